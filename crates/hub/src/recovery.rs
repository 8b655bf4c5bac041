//! Sessions that may come back, by their recovery id (`pid`).
//!
//! A record is made when a socket connects to a recoverable namespace, and not when it closes: so a newcomer with the
//! same `pid` finds the half-open connection that it replaces. A record leaves only by age or when too many are
//! saved; restoring one doesn't consume it.

use std::collections::VecDeque;

use lakh_broker::{Position, Room};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::ids::Id;
use crate::kept::Kept;
use crate::shard::SocketKey;

/// Saved sessions kept at most, a namespace. At 200 bytes each, and what users kept, this is some 20 MB.
const MAX_SAVED: usize = 100_000;

/// A room that a socket is in.
#[derive(Clone, Debug)]
pub(crate) struct Membership {
    pub room: Room,
    /// What was said there up to this place in the order is not for it: it joined after that.
    pub after: u64,
}

/// The rooms that a socket was in when this was said.
pub(crate) fn rooms_at(
    memberships: &[Membership],
    seq: u64,
) -> impl Iterator<Item = &Room> + Clone {
    let then = move |joined: &&Membership| joined.after < seq;
    memberships.iter().filter(then).map(|joined| &joined.room)
}

/// What a session is restored from.
#[derive(Clone)]
pub(crate) struct Saved {
    pub id: Id,
    pub rooms: SmallVec<[Membership; 2]>,
    pub kept: Option<Box<Kept>>,
    /// Where the session began: a client that has seen no event replays from here.
    pub start: Position,
    /// How often it was taken over in its fleet by then.
    pub epoch: u64,
}

/// Every session of a namespace has one, connected or not: 32 bytes with its `pid`.
#[derive(Clone, Copy)]
enum Record {
    Live {
        shard: u16,
        key: SocketKey,
    },
    /// The last digits of its number in the queue.
    Saved(u32),
}

/// A session that was saved, in the order of the saving.
struct Entry {
    pid: Id,
    at_ms: u64,
    /// `None`: it came back since.
    saved: Option<Saved>,
}

#[derive(Default)]
pub(crate) struct Sessions(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    records: FxHashMap<Id, Record>,
    saved: VecDeque<Entry>,
    /// The number of the first in the queue.
    first: u32,
}

pub(crate) enum Found {
    Nothing,
    Live { shard: usize, key: SocketKey },
    Saved(Saved),
}

impl Sessions {
    /// A socket has the session now. The other one that had it, if there is one, must be closed.
    pub(crate) fn live(&self, pid: Id, shard: usize, key: SocketKey) -> Option<(usize, SocketKey)> {
        let mut inner = self.0.lock();
        match inner.records.insert(pid, Record::live(shard, key))? {
            Record::Live { shard, key } => Some((usize::from(shard), key)),
            Record::Saved(number) => {
                let entry = inner.entry(number)?;
                let saved = entry.saved.take();
                // Users' values may do anything when they are dropped.
                drop(inner);
                drop(saved);
                None
            }
        }
    }

    /// The connection closed, but may come back.
    pub(crate) fn save(
        &self,
        pid: Id,
        of: (usize, SocketKey),
        saved: Saved,
        now_ms: u64,
        window_ms: u64,
    ) {
        let mut inner = self.0.lock();
        // A newcomer has the record already: the late close of its predecessor must not take it away.
        if !inner.is_live(pid, of) {
            return;
        }
        let number = inner.first.wrapping_add(inner.saved.len() as u32);
        inner.records.insert(pid, Record::Saved(number));
        inner.saved.push_back(Entry {
            pid,
            at_ms: now_ms,
            saved: Some(saved),
        });
        self.prune(inner, now_ms, window_ms);
    }

    /// The client said goodbye: it won't come back under this id.
    pub(crate) fn forget(&self, pid: Id, shard: usize, key: SocketKey) {
        let mut inner = self.0.lock();
        if inner.is_live(pid, (shard, key)) {
            inner.records.remove(&pid);
        }
    }

    pub(crate) fn find(&self, pid: Id, now_ms: u64, window_ms: u64) -> Found {
        self.trim(now_ms, window_ms);
        let mut inner = self.0.lock();
        match inner.records.get(&pid).copied() {
            None => Found::Nothing,
            Some(Record::Live { shard, key }) => Found::Live {
                shard: usize::from(shard),
                key,
            },
            Some(Record::Saved(number)) => {
                let saved = inner.entry(number).and_then(|entry| entry.saved.clone());
                saved.map_or(Found::Nothing, Found::Saved)
            }
        }
    }

    /// Forgets what is past its age. Saving does it, too; but after a storm nothing may be saved for long.
    pub(crate) fn trim(&self, now_ms: u64, window_ms: u64) {
        self.prune(self.0.lock(), now_ms, window_ms);
    }

    fn prune(&self, mut inner: parking_lot::MutexGuard<'_, Inner>, now_ms: u64, window_ms: u64) {
        let mut gone = SmallVec::<[Entry; 1]>::new();
        while let Some(entry) = inner.pop_old(now_ms, window_ms) {
            gone.push(entry);
        }
        if !gone.is_empty() {
            inner.give_back();
        }
        drop(inner);
        // Outside the lock: users' values are dropped with it.
        drop(gone);
    }
}

impl Record {
    fn live(shard: usize, key: SocketKey) -> Self {
        // There are at most MAX_SHARDS.
        let shard = shard as u16;
        Self::Live { shard, key }
    }
}

impl Inner {
    /// Whether the session belongs to this socket. Keys are unique on their shard only.
    fn is_live(&self, pid: Id, of: (usize, SocketKey)) -> bool {
        matches!(self.records.get(&pid), Some(Record::Live { shard, key }) if (usize::from(*shard), *key) == of)
    }

    fn entry(&mut self, number: u32) -> Option<&mut Entry> {
        // The queue is far shorter than the numbers' range, so the last digits are enough.
        self.saved.get_mut(number.wrapping_sub(self.first) as usize)
    }

    /// Takes out the first that was saved, if that was long ago or there are too many.
    fn pop_old(&mut self, now_ms: u64, window_ms: u64) -> Option<Entry> {
        let first = self.saved.front()?;
        if first.at_ms.saturating_add(window_ms) >= now_ms && self.saved.len() <= MAX_SAVED {
            return None;
        }
        let entry = self.saved.pop_front()?;
        let number = self.first;
        self.first = self.first.wrapping_add(1);
        if matches!(self.records.get(&entry.pid), Some(Record::Saved(its)) if *its == number) {
            self.records.remove(&entry.pid);
        }
        Some(entry)
    }

    /// Neither shrinks by itself; after a storm the memory would stay.
    fn give_back(&mut self) {
        const KEPT: usize = 1024;
        if self.saved.capacity() > KEPT.max(4 * self.saved.len()) {
            self.saved.shrink_to(2 * self.saved.len());
        }
        if self.records.capacity() > KEPT.max(4 * self.records.len()) {
            self.records.shrink_to(2 * self.records.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{IdMaker, NodeTag};

    const WINDOW: u64 = 1000;

    fn key(slot: u32) -> SocketKey {
        SocketKey {
            slot,
            generation: 1,
        }
    }

    fn saved(id: Id) -> Saved {
        Saved {
            id,
            rooms: SmallVec::new(),
            kept: None,
            start: Position { epoch: 1, seq: 0 },
            epoch: 0,
        }
    }

    fn ids(count: usize) -> Vec<Id> {
        let mut ids = IdMaker::new(NodeTag::from_name("n"), 0);
        (0..count).map(|_| ids.make()).collect()
    }

    fn found(sessions: &Sessions, pid: Id, now_ms: u64) -> bool {
        matches!(sessions.find(pid, now_ms, WINDOW), Found::Saved(saved) if saved.id == pid)
    }

    #[test]
    fn a_record_takes_32_bytes() {
        assert_eq!(size_of::<(Id, Record)>(), 32);
    }

    #[test]
    fn what_was_saved_is_found_until_it_is_too_old() {
        let sessions = Sessions::default();
        let pids = ids(3);
        for (slot, pid) in (0..).zip(&pids) {
            assert_eq!(sessions.live(*pid, 0, key(slot)), None);
            sessions.save(
                *pid,
                (0, key(slot)),
                saved(*pid),
                u64::from(slot) * 400,
                WINDOW,
            );
        }
        assert!(pids.iter().all(|pid| found(&sessions, *pid, 1000)));
        let left: Vec<bool> = pids
            .iter()
            .map(|pid| found(&sessions, *pid, 1401))
            .collect();
        assert_eq!(left, [false, false, true]);
    }

    #[test]
    fn who_came_back_is_live_and_is_saved_anew() {
        let sessions = Sessions::default();
        let pid = ids(1)[0];
        sessions.live(pid, 0, key(1));
        sessions.save(pid, (0, key(1)), saved(pid), 0, WINDOW);
        assert_eq!(sessions.live(pid, 3, key(2)), None);
        assert!(matches!(
            sessions.find(pid, 1, WINDOW),
            Found::Live { shard: 3, .. }
        ));
        // The late close of its predecessor changes nothing.
        sessions.save(pid, (0, key(1)), saved(pid), 2, WINDOW);
        assert!(!found(&sessions, pid, 2));
        sessions.save(pid, (3, key(2)), saved(pid), 900, WINDOW);
        // Its first place in the queue is past its age; the second isn't.
        assert!(found(&sessions, pid, 1500));
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many_and_memory_is_given_back() {
        let sessions = Sessions::default();
        let pids = ids(MAX_SAVED + 1);
        for (slot, pid) in (0..).zip(&pids) {
            sessions.live(*pid, 0, key(slot));
            sessions.save(*pid, (0, key(slot)), saved(*pid), 0, WINDOW);
        }
        assert!(!found(&sessions, pids[0], 0));
        assert!(found(&sessions, pids[1], 0) && found(&sessions, pids[MAX_SAVED], 0));
        sessions.trim(WINDOW + 1, WINDOW);
        let inner = sessions.0.lock();
        assert_eq!((inner.records.len(), inner.saved.len()), (0, 0));
        assert!(inner.records.capacity() < 2048 && inner.saved.capacity() < 2048);
    }
}
