//! Sessions that may come back, by their recovery id (`pid`).
//!
//! A record is made when a socket connects to a recoverable namespace, and not when it closes: so a newcomer with the
//! same `pid` finds the half-open connection that it replaces. A record leaves only by age or when too many are
//! saved; restoring one doesn't consume it.

use std::collections::VecDeque;

use lakh_broker::{Position, Room};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use serde_json::Value;

use crate::ids::Id;
use crate::shard::SocketKey;
use crate::socket::Extensions;

/// Saved sessions kept at most, a namespace. At 300 to 600 bytes each this is some 60 MB.
const MAX_SAVED: usize = 100_000;

/// What a session is restored from.
#[derive(Clone)]
pub(crate) struct Saved {
    pub id: Id,
    pub rooms: Vec<Room>,
    pub data: Option<Value>,
    pub extensions: Extensions,
    /// Where the session began: a client that has seen no event replays from here.
    pub start: Position,
}

pub(crate) enum Record {
    Live { shard: usize, key: SocketKey },
    Saved(Box<Saved>, u64),
}

#[derive(Default)]
pub(crate) struct Sessions(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    records: FxHashMap<Id, Record>,
    /// Saved sessions by the time of their saving. One that came back since is passed over.
    saved: VecDeque<(u64, Id)>,
}

pub(crate) enum Found {
    Nothing,
    Live { shard: usize, key: SocketKey },
    Saved(Box<Saved>),
}

impl Sessions {
    /// A socket has the session now. The other one that had it, if there is one, must be closed.
    pub(crate) fn live(&self, pid: Id, shard: usize, key: SocketKey) -> Option<(usize, SocketKey)> {
        let mut inner = self.0.lock();
        match inner.records.insert(pid, Record::Live { shard, key }) {
            Some(Record::Live { shard, key }) => Some((shard, key)),
            _ => None,
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
        inner
            .records
            .insert(pid, Record::Saved(Box::new(saved), now_ms));
        inner.saved.push_back((now_ms, pid));
        inner.prune(now_ms, window_ms);
    }

    /// The client said goodbye: it won't come back under this id.
    pub(crate) fn forget(&self, pid: Id, shard: usize, key: SocketKey) {
        let mut inner = self.0.lock();
        if inner.is_live(pid, (shard, key)) {
            inner.records.remove(&pid);
        }
    }

    pub(crate) fn find(&self, pid: Id, now_ms: u64, window_ms: u64) -> Found {
        let mut inner = self.0.lock();
        inner.prune(now_ms, window_ms);
        match inner.records.get(&pid) {
            None => Found::Nothing,
            Some(Record::Live { shard, key }) => Found::Live {
                shard: *shard,
                key: *key,
            },
            Some(Record::Saved(saved, _)) => Found::Saved(saved.clone()),
        }
    }
}

impl Inner {
    /// Whether the session belongs to this socket. Keys are unique on their shard only.
    fn is_live(&self, pid: Id, of: (usize, SocketKey)) -> bool {
        matches!(self.records.get(&pid), Some(Record::Live { shard, key }) if (*shard, *key) == of)
    }

    fn prune(&mut self, now_ms: u64, window_ms: u64) {
        while let Some((at, pid)) = self.saved.front().copied() {
            if at.saturating_add(window_ms) >= now_ms && self.saved.len() <= MAX_SAVED {
                return;
            }
            self.saved.pop_front();
            if matches!(self.records.get(&pid), Some(Record::Saved(_, saved_at)) if *saved_at == at)
            {
                self.records.remove(&pid);
            }
        }
    }
}
