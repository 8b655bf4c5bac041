//! What was said in rooms: `history:get`, and what those get who join with a rewind.
//!
//! A room's newest events are in memory, under the lock of its numbers; older ones may be in the store. Both are read so that
//! no number between them is missing. An answer says up to which number it is: whoever joins with it gets what is behind by
//! the usual way, and nothing twice.

mod gather;
mod requests;

use std::sync::Arc;
use std::time::Duration;

use lakh_hub::store::Order;
use lakh_hub::{Failure, Payload, Room};

use crate::numbers::View;
use crate::options::RoomOptions;
use crate::server_side::{HistoryEntry, HistoryPage, HistoryRange};
use crate::tail::Kept;
use crate::{Inner, names, stored};
use gather::Gather;
pub(crate) use gather::{Found, MAX_EVENTS, Want};
pub(crate) use requests::{install, push_found};

/// How often it's read again because memory has moved on meanwhile.
const TRIES: usize = 8;
/// Wait for a write that is under way, or for the stream.
const BREATH: Duration = Duration::from_millis(10);

/// Reads, and calls `fenced` with what was found while no further event can come; see [`View`].
pub(crate) async fn read<R>(
    rooms: &Inner,
    room: &Room,
    kind: &RoomOptions,
    want: &Want,
    mut fenced: impl FnMut(Found) -> R,
) -> Result<R, Failure> {
    learn(rooms, room, kind).await?;
    for attempt in 1..=TRIES {
        let now_ms = rooms.hub.wall_ms();
        let first = rooms
            .numbers
            .view(room, now_ms, |view| memory_begins(&view));
        let older = match kind.is_stored() && wants_older(rooms, room, want, first) {
            true => Some(older(rooms, room, want, first).await?),
            false => None,
        };
        let last_try = attempt == TRIES;
        let done = rooms.numbers.view(room, now_ms, |view| {
            // Of what is between both, some may have gone out of memory, or not be in the store yet.
            let moved = older.is_some() && memory_begins(&view) > first;
            let torn = older.as_ref().is_some_and(Older::is_torn);
            if (moved || torn) && !last_try {
                return None;
            }
            Some(fenced(together(&view, want, older.as_ref())))
        });
        match done {
            Some(done) => return Ok(done),
            None => tokio::time::sleep(BREATH).await,
        }
    }
    Err(Failure::new(
        "unavailable",
        "the room's events come faster than they can be read; try again",
    ))
}

/// The first number in memory; if there is none, the next one.
fn memory_begins(view: &View<'_>) -> u64 {
    let first = view.tail.and_then(|tail| tail.first());
    first.unwrap_or(view.seq + 1)
}

/// Whether memory alone can't answer.
fn wants_older(rooms: &Inner, room: &Room, want: &Want, first: u64) -> bool {
    if want.after.saturating_add(1) >= first {
        return false;
    }
    if want.oldest_first {
        return true;
    }
    rooms.numbers.view(room, rooms.hub.wall_ms(), |view| {
        let mut gather = Gather::new(want);
        let tail = view
            .tail
            .into_iter()
            .flat_map(|tail| tail.entries().iter().rev());
        tail.for_each(|kept| gather.look(kept));
        !gather.done
    })
}

/// Events of the store, oldest first.
struct Older {
    events: Vec<Arc<Kept>>,
    /// The number up to which they were asked for, if they were read from that end.
    to: Option<u64>,
}

impl Older {
    /// Whether an event that should stand right before those in memory isn't there.
    fn is_torn(&self) -> bool {
        let newest = self.events.last().map(|kept| kept.seq);
        newest
            .zip(self.to)
            .is_some_and(|(newest, to)| newest + 1 < to)
    }
}

async fn older(rooms: &Inner, room: &Room, want: &Want, first: u64) -> Result<Older, Failure> {
    let (mut from, mut to) = (want.after.saturating_add(1), want.before.min(first));
    let order = match want.oldest_first {
        true => Order::Ascending,
        false => Order::Descending,
    };
    let mut older = Older {
        events: Vec::new(),
        to: (!want.oldest_first).then_some(to),
    };
    let mut gather = Gather::new(want);
    // One more page than fills the answer tells whether there is more.
    while !gather.done && from < to {
        let page = stored::page(rooms, room, from, to, order).await?;
        let Some(last) = page.last() else { break };
        match order {
            Order::Ascending => from = last.seq + 1,
            Order::Descending => to = last.seq,
        }
        page.iter().for_each(|kept| gather.look(kept));
        older.events.extend(page);
    }
    if order == Order::Descending {
        older.events.reverse();
    }
    Ok(older)
}

fn together(view: &View<'_>, want: &Want, older: Option<&Older>) -> Found {
    let tail = view.tail.into_iter().flat_map(|tail| tail.entries());
    let first = memory_begins(view);
    let stored = older.map_or(&[][..], |older| &older.events);
    let stored = stored.iter().filter(|kept| kept.seq < first);
    let mut gather = Gather::up_to(want, view.seq);
    let oldest = older.and_then(|older| older.events.first());
    let oldest = oldest.map_or(first, |kept| kept.seq);
    match want.oldest_first {
        true => stored.chain(tail).for_each(|kept| gather.look(kept)),
        false => tail
            .rev()
            .chain(stored.rev())
            .for_each(|kept| gather.look(kept)),
    }
    gather.end(view.seq, (oldest <= view.seq).then_some(oldest))
}

/// Sees to it that the room's last number is known, which may have been given elsewhere or in an earlier life.
pub(crate) async fn learn(rooms: &Inner, room: &Room, kind: &RoomOptions) -> Result<(), Failure> {
    if rooms.numbers.is_known(room) {
        return Ok(());
    }
    let namespace = rooms.hub.of("/");
    // Read first: what another node counts and stores from now on may not have come to this one when it's done.
    let mut seq = match kind.is_stored() {
        true => stored::last(rooms, room).await?,
        false => 0,
    };
    if namespace.is_counted() {
        let count = namespace.count_of(room_counter(room)).await;
        seq = seq.max(count.ok_or_else(|| {
            Failure::new(
                "unavailable",
                "the numbers of rooms can't be read now; try again later",
            )
        })?);
        // What was counted before now is on its way at most to this node: it has come once this has.
        namespace
            .server_side_emit("rooms:mark", &())
            .map_err(|error| Failure::new("unavailable", error.to_string()))?;
        if !namespace.logged().await {
            return Err(Failure::new(
                "unavailable",
                "this node has lost its place; try again",
            ));
        }
    }
    rooms.numbers.learn(room, seq, rooms.hub.wall_ms());
    Ok(())
}

/// What a room is counted by.
pub(crate) fn room_counter(room: &Room) -> &str {
    names::name(room).unwrap_or(room)
}

fn unsupported() -> Failure {
    Failure::new(
        "unsupported",
        "rooms of this kind keep no history; set `history` in [[rooms.options]]",
    )
}

/// Rooms of this kind must keep something, and have one order.
pub(crate) fn supported(rooms: &Inner, kind: &RoomOptions) -> Result<(), Failure> {
    if rooms.without_order {
        return Err(Failure::new(
            "unsupported",
            "in a fleet history needs the broker `redis-streams` and recovery: without them rooms have no one order",
        ));
    }
    kind.keeps().then_some(()).ok_or_else(unsupported)
}

/// The events of a room that a range asks for.
pub(crate) async fn page(
    rooms: &Inner,
    name: &str,
    range: HistoryRange,
) -> Result<HistoryPage, Failure> {
    let (room, kind) = (names::room(name)?, rooms.kinds.of(name));
    supported(rooms, kind)?;
    let found = read(rooms, &room, kind, &Want::new(range)?, |found| found).await?;
    let entries = found.events.iter().map(|kept| HistoryEntry {
        seq: kept.seq,
        time_ms: kept.time_ms,
        payload: Payload::from_raw(&*kept.text, kept.attachments.clone()),
    });
    Ok(HistoryPage {
        entries: entries.collect(),
        seq: found.seq,
        next: found.next,
        complete: found.complete,
    })
}
