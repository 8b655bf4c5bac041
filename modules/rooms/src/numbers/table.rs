//! The table of rooms behind the numbers' lock: which are empty, and since when, and the events that are kept of each.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use lakh_hub::Room;

use super::Bounds;
use crate::names;
use crate::options::Kinds;
use crate::tail::{Kept, Tail};

/// Empty rooms looked at in one step: each step makes at most a few, so they don't pile up, and no step is long.
const LOOKED_AT: usize = 16;

/// What an event's place in the order of all rooms weighs.
const ARRIVAL_BYTES: usize = 24;
/// Places of events that are gone, before they are looked for.
const MOST_GONE: usize = 1_024;

pub(crate) struct Table {
    pub(super) rooms: HashMap<Room, Entry>,
    pub(super) kinds: Arc<Kinds>,
    shared: bool,
    /// The rooms of events in memory, in the order in which these came. Some of them may have gone.
    arrivals: VecDeque<(Room, u64)>,
    events: usize,
    pub(super) bytes: usize,
    max_bytes: usize,
    /// Emptied since somebody last told the time.
    pub(super) emptied: Vec<Room>,
    /// Empty rooms, the longest empty first.
    pub(super) idle: VecDeque<Room>,
}

#[derive(Default)]
pub(super) struct Entry {
    /// Number of the room's last event.
    pub(super) seq: u64,
    pub(super) members: usize,
    /// Since when nobody is in, as far as that is known.
    pub(super) idle_since_ms: Option<u64>,
    /// Stands in `emptied` or `idle`.
    pub(super) queued: bool,
    /// Whether `seq` is known to be the last number, and not only the last that was heard of.
    pub(super) known: bool,
    pub(super) tail: Option<Box<Tail>>,
    /// Bytes that went to the store since somebody last looked how many there are.
    pub(super) stored: usize,
}

/// What is to be done with the first of the idle rooms.
enum First {
    Filled,
    EmptiedAgain,
    Old,
    Young,
}

impl Table {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            rooms: HashMap::new(),
            kinds: bounds.kinds,
            shared: bounds.shared,
            arrivals: VecDeque::new(),
            events: 0,
            bytes: 0,
            max_bytes: bounds.max_bytes,
            emptied: Vec::new(),
            idle: VecDeque::new(),
        }
    }

    pub(super) fn is_shared(&self, room: &Room) -> bool {
        let name = names::name(room);
        self.shared || name.is_some_and(|name| self.kinds.of(name).is_stored())
    }

    pub(super) fn entry(&mut self, room: &Room) -> &mut Entry {
        let fresh = !self.rooms.contains_key(room);
        let known = fresh && !self.is_shared(room);
        let kinds = Arc::clone(&self.kinds);
        let entry = self.rooms.entry(Room::clone(room)).or_default();
        if fresh {
            entry.known = known;
            entry.tail = names::name(room)
                .and_then(|name| Tail::new(&kinds.of(name).history))
                .map(Box::new);
        }
        entry
    }

    pub(super) fn admit(&mut self, room: &Room, now_ms: u64, max_rooms: usize) -> bool {
        if self.rooms.contains_key(room) {
            return true;
        }
        if self.rooms.len() >= max_rooms && !self.forget_one() {
            return false;
        }
        let entry = self.entry(room);
        entry.idle_since_ms = Some(now_ms);
        entry.queued = true;
        self.idle.push_back(Room::clone(room));
        true
    }

    /// Keeps an event that has its number.
    pub(crate) fn keep(&mut self, room: &Room, kept: Arc<Kept>) {
        let seq = kept.seq;
        if !self.change(room, |tail| tail.push(kept)) {
            return;
        }
        self.arrivals.push_back((Room::clone(room), seq));
        while self.bytes + self.arrivals.len() * ARRIVAL_BYTES > self.max_bytes {
            let Some((room, seq)) = self.arrivals.pop_front() else {
                break;
            };
            self.change(&room, |tail| {
                if tail.first() == Some(seq) {
                    tail.pop();
                }
            });
        }
        if self.arrivals.len() > 2 * self.events + MOST_GONE {
            // Rooms have let go of their own oldest.
            let Self {
                arrivals, rooms, ..
            } = self;
            arrivals.retain(|(room, seq)| {
                let tail = rooms.get(room).and_then(|entry| entry.tail.as_ref());
                tail.and_then(|tail| tail.first())
                    .is_some_and(|first| first <= *seq)
            });
        }
    }

    /// Changes the newest events of a room. `false`: it keeps none.
    pub(super) fn change(&mut self, room: &Room, change: impl FnOnce(&mut Tail)) -> bool {
        let entry = self.rooms.get_mut(room);
        let Some(tail) = entry.and_then(|entry| entry.tail.as_mut()) else {
            return false;
        };
        let (bytes, events) = (tail.bytes(), tail.entries().len());
        change(tail);
        self.bytes = self.bytes + tail.bytes() - bytes;
        self.events = self.events + tail.entries().len() - events;
        true
    }

    fn remove(&mut self, room: &Room) {
        self.change(room, Tail::clear);
        self.rooms.remove(room);
    }

    /// Forgets rooms that have been empty for long.
    pub(super) fn forget(&mut self, now_ms: u64, keep_ms: u64) {
        for room in self.emptied.drain(..) {
            if let Some(entry) = self.rooms.get_mut(&room) {
                entry.idle_since_ms = Some(now_ms);
            }
            self.idle.push_back(room);
        }
        for _ in 0..LOOKED_AT {
            let Some(room) = self.idle.front().cloned() else {
                return;
            };
            self.change(&room, |tail| tail.expire(now_ms));
            let first = match self.rooms.get(&room) {
                None => First::Old,
                Some(entry) if entry.members > 0 => First::Filled,
                Some(Entry {
                    idle_since_ms: None,
                    ..
                }) => First::EmptiedAgain,
                Some(Entry {
                    idle_since_ms: Some(since),
                    tail,
                    ..
                }) if since.saturating_add(keep_ms) <= now_ms => match tail {
                    // Its events outlive it.
                    Some(tail) if tail.last().is_some() => First::EmptiedAgain,
                    _ => First::Old,
                },
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
            First::Old | First::Young => self.remove(&room),
        }
    }

    /// Forgets the room that has been empty for longest, for want of space. `false`: all have members.
    fn forget_one(&mut self) -> bool {
        while let Some(room) = self.idle.pop_front() {
            match self.rooms.get_mut(&room) {
                Some(entry) if entry.members > 0 => entry.queued = false,
                _ => {
                    self.remove(&room);
                    return true;
                }
            }
        }
        false
    }
}
