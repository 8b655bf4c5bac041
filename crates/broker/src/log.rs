//! The room log: what was broadcast lately, found by room.
//!
//! Entries stand in the order of their sequence numbers, and each room keeps the numbers of its own.
//! So a client that comes back costs what it missed and not what the whole namespace said meanwhile. The log is bounded
//! by bytes and by age; a reader whose start was cut off is told so instead of being given a gap.

use std::collections::{HashMap, VecDeque};

use smallvec::SmallVec;
use thiserror::Error;

use crate::{NameHasher, Room};

/// How much a log keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// Bytes of all entries together, as their publishers count them.
    pub max_bytes: usize,
    /// Milliseconds that an entry is kept.
    pub max_age_ms: u64,
}

impl Default for LogLimits {
    /// 64 MiB and two minutes, the span for which Node keeps a session.
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
            max_age_ms: 120_000,
        }
    }
}

/// What a log holds at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Entries kept.
    pub entries: usize,
    /// Bytes of all entries, as their publishers count them.
    pub bytes: usize,
    /// Milliseconds that the oldest entry reaches back; 0 when empty.
    pub reach_ms: u64,
}

/// Why a log can't be read from where the reader stopped.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ReadError {
    /// The entries after the reader's position were dropped by age or size.
    #[error(
        "the log no longer reaches back to position {after}: start over from the current state"
    )]
    Trimmed {
        /// The last number that the reader saw.
        after: u64,
    },
    /// The reader names a number that this log has not given out.
    #[error("position {after} was never given out by this log: start over from the current state")]
    Unknown {
        /// The last number that the reader claims to have seen.
        after: u64,
    },
}

/// One broadcast in the log.
#[derive(Debug)]
pub struct Entry<T> {
    /// Its number in the channel, from 1.
    pub seq: u64,
    /// What was broadcast.
    pub item: T,
    rooms: SmallVec<[Room; 1]>,
    at_ms: u64,
    bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Log<T> {
    limits: LogLimits,
    entries: VecDeque<Entry<T>>,
    /// Numbers by room. Broadcasts to nobody in particular (all sockets) are in `everyone`.
    by_room: HashMap<Room, VecDeque<u64>, NameHasher>,
    everyone: VecDeque<u64>,
    bytes: usize,
    last: u64,
    /// The newest number that may have been dropped.
    dropped: u64,
}

impl<T> Log<T> {
    pub(crate) fn new(limits: LogLimits) -> Self {
        Self {
            limits,
            entries: VecDeque::new(),
            by_room: HashMap::default(),
            everyone: VecDeque::new(),
            bytes: 0,
            last: 0,
            dropped: 0,
        }
    }

    /// Forgets all, and that there was anything up to this number.
    pub(crate) fn begin_at(&mut self, seq: u64) {
        self.entries.clear();
        self.by_room.clear();
        self.everyone.clear();
        self.bytes = 0;
        (self.last, self.dropped) = (seq, seq);
    }

    /// There is nothing between the last entry and this number.
    pub(crate) fn advance(&mut self, seq: u64) {
        self.last = seq;
    }

    /// The newest number that may have been dropped.
    pub(crate) fn begins_at(&self) -> u64 {
        self.dropped
    }

    /// Appends an entry. Its number is higher than that of any before it.
    pub(crate) fn append(&mut self, seq: u64, rooms: &[Room], bytes: usize, at_ms: u64, item: T) {
        self.last = seq;
        for room in rooms {
            match self.by_room.get_mut(room) {
                Some(numbers) => numbers.push_back(self.last),
                None => {
                    self.by_room
                        .insert(Room::clone(room), VecDeque::from([self.last]));
                }
            }
        }
        if rooms.is_empty() {
            self.everyone.push_back(self.last);
        }
        self.bytes += bytes;
        self.entries.push_back(Entry {
            seq: self.last,
            item,
            rooms: rooms.into(),
            at_ms,
            bytes,
        });
        self.trim(at_ms);
    }

    /// Drops what is too old or too much.
    pub(crate) fn trim(&mut self, now_ms: u64) {
        while let Some(front) = self.entries.front() {
            let expired = front.at_ms.saturating_add(self.limits.max_age_ms) < now_ms;
            if !expired && self.bytes <= self.limits.max_bytes {
                break;
            }
            self.drop_front();
        }
    }

    fn drop_front(&mut self) {
        let Some(entry) = self.entries.pop_front() else {
            return;
        };
        self.bytes -= entry.bytes;
        self.dropped = entry.seq;
        if entry.rooms.is_empty() {
            self.everyone.pop_front();
        }
        for room in &entry.rooms {
            if let Some(numbers) = self.by_room.get_mut(room) {
                // Oldest first in both, so a room's first number is the one that goes.
                numbers.pop_front();
                if numbers.is_empty() {
                    self.by_room.remove(room);
                }
            }
        }
    }

    /// The entries after number `after` that went to everyone or to one of `rooms`, each once, in order.
    pub(crate) fn after<'a>(
        &self,
        after: u64,
        rooms: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<&Entry<T>>, ReadError> {
        if after > self.last {
            return Err(ReadError::Unknown { after });
        }
        if after < self.dropped {
            return Err(ReadError::Trimmed { after });
        }
        let mut numbers: Vec<u64> = newer(&self.everyone, after).collect();
        for room in rooms {
            if let Some(of_room) = self.by_room.get(room) {
                numbers.extend(newer(of_room, after));
            }
        }
        numbers.sort_unstable();
        numbers.dedup();
        let entry = |seq| {
            let found = self.entries.binary_search_by_key(&seq, |entry| entry.seq);
            self.entries.get(found.ok()?)
        };
        Ok(numbers.into_iter().filter_map(entry).collect())
    }

    pub(crate) fn stats(&self, now_ms: u64) -> LogStats {
        let reach_ms = self
            .entries
            .front()
            .map_or(0, |entry| now_ms.saturating_sub(entry.at_ms));
        LogStats {
            entries: self.entries.len(),
            bytes: self.bytes,
            reach_ms,
        }
    }
}

fn newer(numbers: &VecDeque<u64>, after: u64) -> impl Iterator<Item = u64> + '_ {
    let start = numbers.partition_point(|seq| *seq <= after);
    numbers.range(start..).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(max_bytes: usize) -> Log<u32> {
        Log::new(LogLimits {
            max_bytes,
            max_age_ms: 1000,
        })
    }

    fn room(name: &str) -> Room {
        Room::from(name)
    }

    fn read(log: &Log<u32>, after: u64, rooms: &[&str]) -> Result<Vec<u32>, ReadError> {
        log.after(after, rooms.iter().copied())
            .map(|found| found.iter().map(|entry| entry.item).collect())
    }

    #[test]
    fn a_reader_gets_what_its_rooms_missed_in_order_and_once() {
        let mut log = log(1000);
        log.append(1, &[room("a")], 1, 0, 1);
        log.append(2, &[room("b")], 1, 0, 2);
        log.append(3, &[], 1, 0, 3);
        log.append(4, &[room("a"), room("b")], 1, 0, 4);
        log.append(5, &[room("c")], 1, 0, 5);
        assert_eq!(read(&log, 0, &["a", "b"]), Ok(vec![1, 2, 3, 4]));
        assert_eq!(read(&log, 1, &["a"]), Ok(vec![3, 4]));
        assert_eq!(read(&log, 5, &["a"]), Ok(vec![]));
    }

    #[test]
    fn a_reader_whose_start_was_dropped_is_told() {
        let mut log = log(3);
        for i in 1..=5 {
            log.append(i.into(), &[room("a")], 1, 0, i);
        }
        assert_eq!(read(&log, 1, &["a"]), Err(ReadError::Trimmed { after: 1 }));
        assert_eq!(read(&log, 2, &["a"]), Ok(vec![3, 4, 5]));
        assert_eq!(read(&log, 9, &["a"]), Err(ReadError::Unknown { after: 9 }));
    }

    #[test]
    fn age_empties_the_log_and_its_index() {
        let mut log = log(1000);
        log.append(1, &[room("a")], 10, 0, 1);
        log.trim(2000);
        assert_eq!(log.stats(2000), LogStats::default());
        assert!(log.by_room.is_empty());
        assert_eq!(read(&log, 0, &["a"]), Err(ReadError::Trimmed { after: 0 }));
        assert_eq!(read(&log, 1, &["a"]), Ok(vec![]));
    }

    #[test]
    fn one_entry_larger_than_the_log_is_not_kept() {
        let mut log = log(5);
        log.append(1, &[room("a")], 10, 0, 1);
        assert_eq!(read(&log, 0, &["a"]), Err(ReadError::Trimmed { after: 0 }));
    }
}
