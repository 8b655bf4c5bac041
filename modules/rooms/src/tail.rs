//! The newest events of a room, in memory: one unbroken run of numbers, bounded in events, bytes and age.

use std::collections::VecDeque;
use std::sync::Arc;

use lakh_hub::Bytes;

use crate::options::{HistoryOptions, Keep};

/// Events in memory of a room whose history is in the store. They bridge the time that a write takes.
const BRIDGE_ENTRIES: usize = 1_024;
/// The same in bytes.
const BRIDGE_BYTES: usize = 1 << 20;
/// What an event weighs besides its text.
const OVERHEAD: usize = 96;

/// An event as its receivers got it.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) seq: u64,
    pub(crate) time_ms: u64,
    /// The argument list: name, data, origin.
    pub(crate) text: Box<str>,
    pub(crate) attachments: Vec<Bytes>,
}

impl Kept {
    pub(crate) fn bytes(&self) -> usize {
        self.text.len() + self.attachments.iter().map(Bytes::len).sum::<usize>() + OVERHEAD
    }
}

#[derive(Debug)]
pub(crate) struct Tail {
    entries: VecDeque<Arc<Kept>>,
    bytes: usize,
    max_entries: usize,
    max_bytes: usize,
    max_age_ms: u64,
}

impl Tail {
    /// `None` where nothing is kept.
    pub(crate) fn new(options: &HistoryOptions) -> Option<Self> {
        let (entries, bytes) = match options.keep {
            Keep::Nothing => return None,
            Keep::Memory => (usize::MAX, usize::MAX),
            Keep::Store => (BRIDGE_ENTRIES, BRIDGE_BYTES),
        };
        Some(Self {
            entries: VecDeque::new(),
            bytes: 0,
            max_entries: options.max_entries.min(entries),
            max_bytes: options.max_bytes.min(bytes),
            max_age_ms: options.max_age_ms,
        })
    }

    /// Takes the next event in. One that was here before is passed over; behind a hole, what is before it goes.
    pub(crate) fn push(&mut self, kept: Arc<Kept>) {
        if let Some(last) = self.last() {
            if kept.seq <= last {
                return;
            }
            if kept.seq > last + 1 {
                self.clear();
            }
        }
        let now_ms = kept.time_ms;
        self.bytes += kept.bytes();
        self.entries.push_back(kept);
        while self.entries.len() > self.max_entries || self.bytes > self.max_bytes {
            self.pop();
        }
        self.expire(now_ms);
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    /// Drops the oldest.
    pub(crate) fn pop(&mut self) {
        if let Some(old) = self.entries.pop_front() {
            self.bytes -= old.bytes();
        }
    }

    /// Drops what is past its age.
    pub(crate) fn expire(&mut self, now_ms: u64) {
        let oldest_ms = now_ms.saturating_sub(self.max_age_ms);
        while self
            .entries
            .front()
            .is_some_and(|old| old.time_ms < oldest_ms)
        {
            self.pop();
        }
    }

    pub(crate) fn first(&self) -> Option<u64> {
        self.entries.front().map(|first| first.seq)
    }

    pub(crate) fn last(&self) -> Option<u64> {
        self.entries.back().map(|last| last.seq)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn entries(&self) -> &VecDeque<Arc<Kept>> {
        &self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(seq: u64, time_ms: u64) -> Arc<Kept> {
        Arc::new(Kept {
            seq,
            time_ms,
            text: "x".repeat(10).into(),
            attachments: Vec::new(),
        })
    }

    fn numbers(tail: &Tail) -> Vec<u64> {
        tail.entries().iter().map(|kept| kept.seq).collect()
    }

    fn tail(max_entries: usize, max_bytes: usize) -> Tail {
        Tail::new(&HistoryOptions {
            keep: Keep::Memory,
            max_entries,
            max_bytes,
            max_age_ms: 1_000,
        })
        .expect("kept")
    }

    #[test]
    fn the_oldest_go_by_number_bytes_and_age() {
        let mut some = tail(3, usize::MAX);
        (1..=5).for_each(|seq| some.push(kept(seq, 0)));
        assert_eq!(numbers(&some), [3, 4, 5]);
        let mut light = tail(100, 2 * (10 + OVERHEAD));
        (1..=5).for_each(|seq| light.push(kept(seq, 0)));
        assert_eq!(numbers(&light), [4, 5]);
        let mut young = tail(100, usize::MAX);
        (1..=5).for_each(|seq| young.push(kept(seq, seq * 400)));
        assert_eq!(numbers(&young), [3, 4, 5]);
        young.expire(10_000);
        assert_eq!((young.first(), young.bytes()), (None, 0));
    }

    #[test]
    fn it_is_one_unbroken_run() {
        let mut tail = tail(100, usize::MAX);
        for seq in [1, 2, 2, 1, 3] {
            tail.push(kept(seq, 0));
        }
        assert_eq!(numbers(&tail), [1, 2, 3]);
        tail.push(kept(7, 0));
        assert_eq!(numbers(&tail), [7]);
    }
}
