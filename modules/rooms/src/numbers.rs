//! The numbers of rooms: how many events a room has had, and how many members.
//!
//! One lock holds them all. Whoever emits takes the next number under it and lets it go when the broadcast has its
//! place among all others: so the order of numbers is the order of delivery. The hub's log is behind one lock a
//! namespace anyway, so a lock for each room would only be a second door to the same corridor.
//!
//! A room that empties keeps its numbers as long as one of its members might come back with a recovered session. Then
//! it's forgotten, and begins with 1 when it fills again. Every room without members stands in the queue of those to
//! be forgotten, and once only, so the queue is no longer than the table.

use std::collections::{HashMap, VecDeque};

use lakh_hub::Room;
use parking_lot::{Mutex, MutexGuard};

/// Empty rooms looked at in one step: each step makes at most a few, so they don't pile up, and no step is long.
const LOOKED_AT: usize = 16;

pub(crate) struct Numbers {
    // The names come from clients: the map's hash is keyed, so that they can't be chosen to collide.
    table: Mutex<Table>,
    max_rooms: usize,
    keep_ms: u64,
}

#[derive(Default)]
pub(crate) struct Table {
    rooms: HashMap<Room, Entry>,
    /// Emptied since somebody last told the time.
    emptied: Vec<Room>,
    /// Empty rooms, the longest empty first.
    idle: VecDeque<Room>,
}

#[derive(Default)]
struct Entry {
    /// Number of the room's last event.
    seq: u64,
    members: usize,
    /// Since when nobody is in, as far as that is known.
    idle_since_ms: Option<u64>,
    /// Stands in `emptied` or `idle`.
    queued: bool,
}

impl Numbers {
    pub(crate) fn new(max_rooms: usize, keep_ms: u64) -> Self {
        Self {
            table: Mutex::default(),
            max_rooms,
            keep_ms,
        }
    }

    /// Makes sure that the room has its place. `false`: there are too many rooms with members.
    pub(crate) fn admit(&self, room: &Room, now_ms: u64) -> bool {
        let mut table = self.table.lock();
        table.forget(now_ms, self.keep_ms);
        if table.rooms.contains_key(room) {
            return true;
        }
        if table.rooms.len() >= self.max_rooms && !table.forget_one() {
            return false;
        }
        let entry = Entry {
            idle_since_ms: Some(now_ms),
            queued: true,
            ..Entry::default()
        };
        table.rooms.insert(Room::clone(room), entry);
        table.idle.push_back(Room::clone(room));
        true
    }

    /// A socket is in. Sockets also come by other ways than `room:join`: by recovery, or put there by the server.
    pub(crate) fn joined(&self, room: &Room) {
        let mut table = self.table.lock();
        let entry = table.rooms.entry(Room::clone(room)).or_default();
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
        let entry = table.rooms.entry(Room::clone(room)).or_default();
        entry.seq += 1;
        (entry.seq, table)
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

/// What is to be done with the first of the idle rooms.
enum First {
    Filled,
    EmptiedAgain,
    Old,
    Young,
}

impl Table {
    /// Forgets rooms that have been empty for long.
    fn forget(&mut self, now_ms: u64, keep_ms: u64) {
        for room in self.emptied.drain(..) {
            if let Some(entry) = self.rooms.get_mut(&room) {
                entry.idle_since_ms = Some(now_ms);
            }
            self.idle.push_back(room);
        }
        for _ in 0..LOOKED_AT {
            let Some(room) = self.idle.front() else {
                return;
            };
            let first = match self.rooms.get(room) {
                None => First::Old,
                Some(entry) if entry.members > 0 => First::Filled,
                Some(Entry {
                    idle_since_ms: None,
                    ..
                }) => First::EmptiedAgain,
                Some(Entry {
                    idle_since_ms: Some(since),
                    ..
                }) if since.saturating_add(keep_ms) <= now_ms => First::Old,
                Some(_) => First::Young,
            };
            if matches!(first, First::Young) {
                return;
            }
            self.pass(&first, now_ms);
        }
    }

    /// Takes the first of the idle rooms out of the queue, or puts it at its end.
    fn pass(&mut self, first: &First, now_ms: u64) {
        let Some(room) = self.idle.pop_front() else {
            return;
        };
        match first {
            First::Filled => self
                .rooms
                .get_mut(&room)
                .into_iter()
                .for_each(|entry| entry.queued = false),
            First::EmptiedAgain => {
                self.rooms
                    .get_mut(&room)
                    .into_iter()
                    .for_each(|entry| entry.idle_since_ms = Some(now_ms));
                self.idle.push_back(room);
            }
            First::Old | First::Young => {
                self.rooms.remove(&room);
            }
        }
    }

    /// Forgets the room that has been empty for longest, for want of space. `false`: all have members.
    fn forget_one(&mut self) -> bool {
        while let Some(room) = self.idle.pop_front() {
            match self.rooms.get_mut(&room) {
                Some(entry) if entry.members > 0 => entry.queued = false,
                _ => {
                    self.rooms.remove(&room);
                    return true;
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let numbers = Numbers::new(10, 1_000);
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
        let numbers = Numbers::new(10, 1_000);
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
        let numbers = Numbers::new(10, 1_000);
        assert!(join(&numbers, "a", 0));
        assert!(join(&numbers, "a", 0));
        numbers.left(&room("a"));
        assert_eq!(next(&numbers, "a", 1_000_000), 1);
        assert_eq!(next(&numbers, "a", 9_000_000), 2);
        assert_eq!(numbers.of(&room("a")), (2, 1));
    }

    #[test]
    fn past_the_bound_the_longest_empty_room_goes_and_rooms_with_members_stay() {
        let numbers = Numbers::new(3, 1_000_000);
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
        let numbers = Numbers::new(1_000, 50);
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
}
