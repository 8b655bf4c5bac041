//! The numbers of rooms: how many events a room has had, and how many members.
//!
//! One lock holds them all. Whoever emits takes the next number under it and lets it go when the broadcast has its
//! place among all others: so the order of numbers is the order of delivery. The hub's log is behind one lock a
//! namespace anyway, so a lock for each room would only be a second door to the same corridor.
//!
//! A room that empties keeps its numbers as long as one of its members might come back with a recovered session. Then
//! it's forgotten, and begins with 1 when it fills again. Every room without members stands in the queue of those to
//! be forgotten, and once only, so the queue is no longer than the table.
//!
//! Where rooms have a history, its newest part is kept under the same lock. So whoever holds it knows for each loop which
//! events are behind it already, and which are still to come.

mod table;

use std::sync::Arc;

use lakh_hub::Room;
use parking_lot::{Mutex, MutexGuard};

use crate::names;
use crate::options::Kinds;
use crate::tail::{Kept, Tail};
pub(crate) use table::Table;

pub(crate) struct Numbers {
    // The names come from clients: the map's hash is keyed, so that they can't be chosen to collide.
    table: Mutex<Table>,
    max_rooms: usize,
    keep_ms: u64,
}

/// How much is kept, and of what.
pub(crate) struct Bounds {
    pub(crate) max_rooms: usize,
    /// For how long the numbers of an empty room are kept.
    pub(crate) keep_ms: u64,
    /// Bytes of events of all rooms together.
    pub(crate) max_bytes: usize,
    pub(crate) kinds: Arc<Kinds>,
    /// The numbers may have begun elsewhere, or in an earlier life.
    pub(crate) shared: bool,
}

/// A room's newest events, while none can come.
pub(crate) struct View<'a> {
    /// Number of the last event.
    pub(crate) seq: u64,
    pub(crate) tail: Option<&'a Tail>,
}

impl Numbers {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            max_rooms: bounds.max_rooms,
            keep_ms: bounds.keep_ms,
            table: Mutex::new(Table::new(bounds)),
        }
    }

    /// Makes sure that the room has its place. `false`: there are too many rooms with members.
    pub(crate) fn admit(&self, room: &Room, now_ms: u64) -> bool {
        let mut table = self.table.lock();
        table.forget(now_ms, self.keep_ms);
        table.admit(room, now_ms, self.max_rooms)
    }

    /// A socket is in. Sockets also come by other ways than `room:join`: by recovery, or put there by the server.
    pub(crate) fn joined(&self, room: &Room) {
        let mut table = self.table.lock();
        let entry = table.entry(room);
        entry.members += 1;
        entry.idle_since_ms = None;
    }

    /// A socket is out.
    pub(crate) fn left(&self, room: &Room) {
        let mut table = self.table.lock();
        let Some(entry) = table.rooms.get_mut(room) else {
            return;
        };
        entry.members = entry.members.saturating_sub(1);
        if entry.members == 0 && !std::mem::replace(&mut entry.queued, true) {
            table.emptied.push(Room::clone(room));
        }
    }

    /// Number of the last event, and members.
    pub(crate) fn of(&self, room: &Room) -> (u64, usize) {
        self.table
            .lock()
            .rooms
            .get(room)
            .map_or((0, 0), |entry| (entry.seq, entry.members))
    }

    /// Takes the room's next number. The lock is to be held until the event has its place in the order.
    pub(crate) fn next(&self, room: &Room, now_ms: u64) -> (u64, MutexGuard<'_, Table>) {
        let mut table = self.table.lock();
        table.forget(now_ms, self.keep_ms);
        // Who emits is a member, so the entry is there.
        let entry = table.entry(room);
        entry.seq += 1;
        (entry.seq, table)
    }

    /// An event comes out of the stream that all nodes follow; `go` puts it on its way.
    pub(crate) fn counted(
        &self,
        room: &Room,
        seq: u64,
        now_ms: u64,
        kept: impl FnOnce() -> Option<Kept>,
        go: &mut dyn FnMut(),
    ) {
        let mut table = self.table.lock();
        table.forget(now_ms, self.keep_ms);
        let keeps = names::name(room).is_some_and(|name| table.kinds.of(name).keeps());
        // Nobody on this node may ever ask for it: then it's kept for as long as there is room.
        if keeps && table.admit(room, now_ms, self.max_rooms) {
            let entry = table.entry(room);
            entry.known = true;
            if let Some(kept) = kept() {
                table.keep(room, Arc::new(kept));
            }
        }
        if let Some(entry) = table.rooms.get_mut(room) {
            entry.seq = entry.seq.max(seq);
        }
        go();
    }

    /// Looks at a room while no event of it can come.
    pub(crate) fn view<R>(&self, room: &Room, now_ms: u64, look: impl FnOnce(View<'_>) -> R) -> R {
        let mut table = self.table.lock();
        table.change(room, |tail| tail.expire(now_ms));
        match table.rooms.get(room) {
            Some(entry) => look(View {
                seq: entry.seq,
                tail: entry.tail.as_deref(),
            }),
            None => look(View { seq: 0, tail: None }),
        }
    }

    /// Whether the room's last number is known.
    pub(crate) fn is_known(&self, room: &Room) -> bool {
        let table = self.table.lock();
        match table.rooms.get(room) {
            Some(entry) => entry.known,
            None => !table.is_shared(room),
        }
    }

    /// The room's last number was this one, at least.
    pub(crate) fn learn(&self, room: &Room, seq: u64, now_ms: u64) {
        let mut table = self.table.lock();
        if table.admit(room, now_ms, self.max_rooms) {
            let entry = table.entry(room);
            entry.known = true;
            entry.seq = entry.seq.max(seq);
        }
    }

    /// Counts bytes that went to the store. `true` once there are so many that somebody should look.
    pub(crate) fn stored(&self, room: &Room, bytes: usize, most: usize) -> bool {
        let mut table = self.table.lock();
        let Some(entry) = table.rooms.get_mut(room) else {
            return true;
        };
        entry.stored += bytes;
        let due = entry.stored > most;
        if due {
            entry.stored = 0;
        }
        due
    }

    /// Bytes of events in memory.
    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.table.lock().bytes
    }

    /// Somebody in the fleet has given this number.
    pub(crate) fn heard(&self, room: &Room, seq: u64) {
        if let Some(entry) = self.table.lock().rooms.get_mut(room) {
            entry.seq = entry.seq.max(seq);
        }
    }

    pub(crate) fn kept(&self) -> usize {
        self.table.lock().rooms.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{HistoryOptions, Keep, RoomOptions};

    fn numbers_of(max_rooms: usize, keep_ms: u64) -> Numbers {
        of_kinds(max_rooms, keep_ms, Vec::new())
    }

    fn of_kinds(max_rooms: usize, keep_ms: u64, kinds: Vec<RoomOptions>) -> Numbers {
        Numbers::new(Bounds {
            max_rooms,
            keep_ms,
            max_bytes: 1_000,
            kinds: Arc::new(Kinds::new(kinds)),
            shared: false,
        })
    }

    fn room(name: &str) -> Room {
        Room::from(name)
    }

    fn next(numbers: &Numbers, name: &str, now_ms: u64) -> u64 {
        numbers.next(&room(name), now_ms).0
    }

    fn join(numbers: &Numbers, name: &str, now_ms: u64) -> bool {
        let admitted = numbers.admit(&room(name), now_ms);
        if admitted {
            numbers.joined(&room(name));
        }
        admitted
    }

    #[test]
    fn numbers_go_on_where_a_room_empties_and_fills_again() {
        let numbers = numbers_of(10, 1_000);
        assert!(join(&numbers, "a", 0));
        assert_eq!((next(&numbers, "a", 0), next(&numbers, "a", 0)), (1, 2));
        numbers.left(&room("a"));
        assert!(join(&numbers, "a", 900));
        assert_eq!(next(&numbers, "a", 900), 3);
        // Filled in between: the time of its emptiness begins anew.
        numbers.left(&room("a"));
        assert!(join(&numbers, "b", 1_800));
        assert!(join(&numbers, "b", 2_700));
        assert_eq!(numbers.of(&room("a")), (3, 0));
    }

    #[test]
    fn a_room_that_stays_empty_is_forgotten() {
        let numbers = numbers_of(10, 1_000);
        assert!(join(&numbers, "a", 0));
        assert_eq!(next(&numbers, "a", 0), 1);
        numbers.left(&room("a"));
        assert!(join(&numbers, "b", 5_000));
        assert_eq!(numbers.kept(), 2, "nobody told the time before");
        assert!(join(&numbers, "b", 6_000));
        assert_eq!((numbers.kept(), numbers.of(&room("a"))), (1, (0, 0)));
    }

    #[test]
    fn members_keep_a_room_for_as_long_as_they_stay() {
        let numbers = numbers_of(10, 1_000);
        assert!(join(&numbers, "a", 0));
        assert!(join(&numbers, "a", 0));
        numbers.left(&room("a"));
        assert_eq!(next(&numbers, "a", 1_000_000), 1);
        assert_eq!(next(&numbers, "a", 9_000_000), 2);
        assert_eq!(numbers.of(&room("a")), (2, 1));
    }

    #[test]
    fn past_the_bound_the_longest_empty_room_goes_and_rooms_with_members_stay() {
        let numbers = numbers_of(3, 1_000_000);
        for (at, name) in [(0, "a"), (1, "b"), (2, "c")] {
            assert!(join(&numbers, name, at));
        }
        assert!(!join(&numbers, "d", 3));
        numbers.left(&room("b"));
        assert!(join(&numbers, "d", 4));
        assert!(!join(&numbers, "b", 5));
        assert_eq!((numbers.kept(), numbers.of(&room("a")).1), (3, 1));
    }

    #[test]
    fn coming_and_going_leaves_nothing_behind() {
        let numbers = numbers_of(1_000, 50);
        for now in 0..10_000 {
            let name = format!("r{}", now % 7);
            assert!(join(&numbers, &name, now));
            numbers.left(&room(&name));
        }
        {
            let table = numbers.table.lock();
            assert!(table.idle.len() + table.emptied.len() <= table.rooms.len());
        }
        for now in 20_000..20_100 {
            assert!(join(&numbers, "last", now));
        }
        assert_eq!(numbers.kept(), 1);
    }

    #[test]
    fn events_outlive_an_empty_room_and_the_oldest_of_all_go_first() {
        let history = HistoryOptions {
            keep: Keep::Memory,
            max_age_ms: 10_000,
            ..HistoryOptions::default()
        };
        let kind = RoomOptions {
            history,
            ..RoomOptions::of("*")
        };
        let numbers = of_kinds(10, 100, vec![kind]);
        let say = |name: &str, time_ms| {
            let (seq, mut table) = numbers.next(&room(name), time_ms);
            let kept = Kept {
                seq,
                time_ms,
                text: "x".repeat(100).into(),
                attachments: Vec::new(),
            };
            table.keep(&room(name), Arc::new(kept));
        };
        let kept = |name: &str, now_ms| {
            numbers.view(&room(name), now_ms, |view| {
                let tail = view.tail.expect("a tail");
                (tail.first(), tail.last())
            })
        };
        assert!(join(&numbers, "a", 0) && join(&numbers, "b", 0));
        say("a", 1);
        say("b", 2);
        numbers.left(&room("a"));
        // Long after it was empty it's still there, and its numbers go on.
        for now in [3, 1_000, 5_000] {
            assert!(join(&numbers, "c", now));
        }
        assert_eq!(kept("a", 5_000), (Some(1), Some(1)));
        for now in 0..4 {
            say("b", 5_000 + now);
        }
        assert!(numbers.bytes() <= 1_000);
        assert_eq!(
            (kept("a", 5_000), kept("b", 5_000)),
            ((None, None), (Some(2), Some(5)))
        );
        assert_eq!(kept("b", 50_000), (None, None));
        assert_eq!(numbers.bytes(), 0);
    }
}
