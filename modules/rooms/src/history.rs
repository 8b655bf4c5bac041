//! What was said in rooms: `history:get`, and what those get who join with a rewind.
//!
//! A room's newest events are in memory, under the lock of its numbers; older ones may be in the store. Both are read so that
//! no number between them is missing. An answer says up to which number it is: whoever joins with it gets what is behind by
//! the usual way, and nothing twice.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use lakh_hub::store::Order;
use lakh_hub::{Ack, Bytes, Failure, Namespace, Payload, Room, Socket, answer};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::filter::{self, Filter};
use crate::numbers::View;
use crate::options::RoomOptions;
use crate::server_side::{HistoryEntry, HistoryPage, HistoryRange};
use crate::tail::Kept;
use crate::{Inner, Rooms, enter, names, stored};

/// Events in an answer, where none is told.
const EVENTS: usize = 100;
/// Events in an answer at most.
pub(crate) const MAX_EVENTS: usize = 1_000;
/// Binary values of one page. Stock JavaScript clients break the connection over a packet with more
/// (`maxAttachments` of socket.io-parser).
const MAX_ATTACHMENTS: usize = 10;
/// Bytes of an answer, past which it ends.
const MAX_BYTES: usize = 1 << 20;
/// Events looked at for one answer, where most don't fit.
const MAX_LOOKED_AT: usize = 10_000;
/// How often it's read again because memory has moved on meanwhile.
const TRIES: usize = 8;
/// Wait for a write that is under way, or for the stream.
const BREATH: Duration = Duration::from_millis(10);

/// Which events are wanted.
#[derive(Clone, Debug)]
pub(crate) struct Want {
    pub(crate) after: u64,
    pub(crate) before: u64,
    pub(crate) since_ms: u64,
    pub(crate) event: Option<String>,
    pub(crate) filter: Option<Arc<Filter>>,
    pub(crate) oldest_first: bool,
    pub(crate) limit: usize,
}

impl Want {
    pub(crate) fn new(range: HistoryRange) -> Result<Self, Failure> {
        let limit = if range.limit == 0 {
            EVENTS
        } else {
            range.limit
        };
        if limit > MAX_EVENTS {
            return Err(Failure::bad_request(format!("limit is 1 to {MAX_EVENTS}")));
        }
        Ok(Self {
            after: range.after.unwrap_or(0),
            before: range.before.unwrap_or(u64::MAX),
            since_ms: range.since_ms.unwrap_or(0),
            event: range.event,
            filter: None,
            oldest_first: range.oldest_first,
            limit,
        })
    }

    fn fits(&self, kept: &Kept) -> bool {
        if let Some(event) = &self.event
            && event_name(&kept.text).as_ref() != Some(event)
        {
            return false;
        }
        let filter = self.filter.as_ref();
        filter.is_none_or(|filter| filter.fits(&filter::tags_of(&kept.text)))
    }
}

fn event_name(text: &str) -> Option<String> {
    serde_json::from_str::<(String, &RawValue, &RawValue)>(text)
        .ok()
        .map(|(name, ..)| name)
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// In the order of their numbers.
    pub(crate) events: VecDeque<Arc<Kept>>,
    /// Number of the room's last event at that moment.
    pub(crate) seq: u64,
    /// Where to go on: `before` this number, or `after` it if the oldest came first.
    pub(crate) next: Option<u64>,
    /// Nothing that was asked for is missing up to there.
    pub(crate) complete: bool,
}

/// Goes through events in the order asked for, and takes those that fit.
struct Gather<'a> {
    want: &'a Want,
    found: Found,
    bytes: usize,
    attachments: usize,
    looked_at: usize,
    /// The number looked at last.
    at: Option<u64>,
    /// Nothing more is wanted.
    done: bool,
    holes: bool,
}

impl<'a> Gather<'a> {
    fn new(want: &'a Want) -> Self {
        Self {
            want,
            found: Found::default(),
            bytes: 0,
            attachments: 0,
            looked_at: 0,
            at: None,
            done: false,
            holes: false,
        }
    }

    /// Looks at one more event.
    fn look(&mut self, kept: &Arc<Kept>) {
        let (want, seq) = (self.want, kept.seq);
        let (behind, beyond) = match want.oldest_first {
            true => (seq <= want.after, seq >= want.before),
            false => (seq >= want.before, seq <= want.after),
        };
        if self.done || behind {
            return;
        }
        if beyond {
            self.done = true;
            return;
        }
        let full = self.found.events.len() >= want.limit || self.looked_at >= MAX_LOOKED_AT;
        let heavy = self.bytes > 0
            && (self.bytes + kept.bytes() > MAX_BYTES
                || self.attachments + kept.attachments.len() > MAX_ATTACHMENTS);
        if full || heavy {
            self.found.next = self.at;
            self.done = true;
            return;
        }
        self.holes |= self.at.is_some_and(|at| at.abs_diff(seq) != 1);
        self.at = Some(seq);
        self.looked_at += 1;
        if kept.time_ms < want.since_ms || !want.fits(kept) {
            self.done = kept.time_ms < want.since_ms && !want.oldest_first;
            return;
        }
        self.bytes += kept.bytes();
        self.attachments += kept.attachments.len();
        match want.oldest_first {
            true => self.found.events.push_back(Arc::clone(kept)),
            false => self.found.events.push_front(Arc::clone(kept)),
        }
    }

    /// All that there is was looked at. `first`: the oldest that is kept.
    fn end(mut self, seq: u64, first: Option<u64>) -> Found {
        let want = self.want;
        let from_there = first.is_some_and(|first| first <= want.after.saturating_add(1));
        let begun_after = want.since_ms > 0 && self.done && !want.oldest_first;
        let whole = match (self.found.next, self.done) {
            // It ends where the page ends, and the rest is another question.
            (Some(_), _) if !want.oldest_first => true,
            _ => from_there || begun_after || want.after == seq || seq == 0 && want.after == 0,
        };
        self.found.seq = seq;
        self.found.complete = whole && !self.holes && want.after <= seq;
        self.found
    }
}

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
    let mut gather = Gather::new(want);
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
    let mut seq = 0;
    if namespace.is_counted() {
        let count = namespace.count_of(room_counter(room)).await;
        seq = count.ok_or_else(|| {
            Failure::new(
                "unavailable",
                "the numbers of rooms can't be read now; try again later",
            )
        })?;
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
    if kind.is_stored() {
        seq = seq.max(stored::last(rooms, room).await?);
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

#[derive(Deserialize)]
struct Get {
    room: String,
    after: Option<u64>,
    before: Option<u64>,
    since: Option<u64>,
    event: Option<String>,
    #[serde(default)]
    oldest_first: bool,
    limit: Option<usize>,
    filter: Option<Value>,
}

pub(crate) fn install(namespace: &Namespace, rooms: &Rooms) {
    let rooms = rooms.clone();
    namespace.on(
        "history:get",
        async move |socket: Socket, event: lakh_hub::Event, ack: Ack| {
            let found = match event.args::<Get>() {
                Ok(request) => get(&rooms.0, &socket, request).await,
                Err(error) => Err(Failure::bad_request(error.to_string())),
            };
            ack.send_raw(match found {
                Ok(found) => answer_with(&found),
                Err(failure) => answer::<()>(Err(failure)),
            });
        },
    );
}

async fn get(rooms: &Inner, socket: &Socket, request: Get) -> Result<Found, Failure> {
    let (room, kind) = (names::room(&request.room)?, rooms.kinds.of(&request.room));
    enter::may_see(rooms, socket, &request.room, &room).await?;
    supported(rooms, kind)?;
    let mut want = Want::new(HistoryRange {
        after: request.after,
        before: request.before,
        since_ms: request.since,
        event: request.event,
        oldest_first: request.oldest_first,
        limit: request.limit.unwrap_or(0),
    })?;
    if request.limit == Some(0) {
        return Err(Failure::bad_request(format!("limit is 1 to {MAX_EVENTS}")));
    }
    if let Some(filter) = &request.filter {
        want.filter = filter::read(filter)?.map(|text| rooms.filters.get(&text));
    }
    read(rooms, &room, kind, &want, |found| found).await
}

/// The fields of an answer that tell what was found.
pub(crate) fn push_found(text: &mut String, attachments: &mut Vec<Bytes>, found: &Found) {
    text.push_str(r#""events":["#);
    for (at, kept) in found.events.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        push_event(text, attachments, kept);
    }
    text.push_str(&format!(r#"],"complete":{}"#, found.complete));
    if let Some(next) = found.next {
        text.push_str(&format!(r#","next":{next}"#));
    }
}

fn answer_with(found: &Found) -> Payload {
    let mut attachments = Vec::new();
    let mut text = format!(r#"[{{"ok":true,"seq":{},"#, found.seq);
    push_found(&mut text, &mut attachments, found);
    text.push_str("}]");
    Payload::from_raw(text, attachments)
}

/// An event of before as one object: name and data beside what its second argument was.
fn push_event(text: &mut String, attachments: &mut Vec<Bytes>, kept: &Kept) {
    let parts = serde_json::from_str::<(&RawValue, &RawValue, &RawValue)>(&kept.text);
    let Ok((name, data, origin)) = parts else {
        // It was put together by this module; nothing else is kept.
        text.push_str("null");
        return;
    };
    let moved = match (kept.attachments.is_empty(), attachments.is_empty()) {
        (true, _) | (_, true) => None,
        // Binary values before this event's come first.
        _ => serde_json::from_str(data.get())
            .ok()
            .map(|mut data: Value| {
                move_holes(&mut data, attachments.len() as u64);
                data.to_string()
            }),
    };
    attachments.extend(kept.attachments.iter().cloned());
    text.push_str(r#"{"event":"#);
    text.push_str(name.get());
    text.push_str(r#","data":"#);
    text.push_str(moved.as_deref().unwrap_or(data.get()));
    text.push(',');
    text.push_str(origin.get().strip_prefix('{').unwrap_or("}"));
}

/// Adds to the numbers of the placeholders of binary values.
fn move_holes(value: &mut Value, by: u64) {
    match value {
        Value::Object(fields) if fields.get("_placeholder") == Some(&Value::Bool(true)) => {
            if let Some(number) = fields.get("num").and_then(Value::as_u64) {
                fields.insert("num".to_owned(), (number + by).into());
            }
        }
        Value::Object(fields) => fields.values_mut().for_each(|value| move_holes(value, by)),
        Value::Array(list) => list.iter_mut().for_each(|value| move_holes(value, by)),
        _ => {}
    }
}
