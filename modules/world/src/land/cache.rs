//! The chunks that a node has in memory: no more than so many bytes, and what was not used for the longest goes first.
//!
//! What has changed lately stands in a ring by numbers that grow: a viewer that has looked at all up to one of them only
//! looks at what came behind.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustc_hash::FxHashMap;

use super::chunk::Chunk;
use super::plan::{Coords, LandPlan};

/// Changes that are kept by name; who was away for more looks at everything.
const RECENT: usize = 1024;
/// What an entry takes beside its chunk.
const ENTRY_BYTES: usize = 96;

struct Slot {
    chunk: Arc<Chunk>,
    used: AtomicBool,
    bytes: usize,
}

/// The land of a world, as far as it's in memory.
pub struct Land {
    plan: Arc<LandPlan>,
    chunks: FxHashMap<Coords, Slot>,
    /// Each chunk once, in the order in which they are looked at for being thrown out.
    order: VecDeque<Coords>,
    bytes: usize,
    most_bytes: usize,
    /// Grows with each change.
    stamp: u64,
    recent: VecDeque<Coords>,
}

impl std::fmt::Debug for Land {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Land")
            .field("chunks", &self.chunks.len())
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl Land {
    /// Nothing is in memory yet.
    #[must_use]
    pub fn new(plan: Arc<LandPlan>, most_bytes: usize) -> Self {
        Self {
            plan,
            chunks: FxHashMap::default(),
            order: VecDeque::new(),
            bytes: 0,
            most_bytes,
            // Viewers begin at 0, and look at everything once.
            stamp: 1,
            recent: VecDeque::new(),
        }
    }

    /// What land it is.
    #[must_use]
    pub fn plan(&self) -> &Arc<LandPlan> {
        &self.plan
    }

    /// A chunk, if it's in memory.
    #[must_use]
    pub fn get(&self, at: Coords) -> Option<&Arc<Chunk>> {
        let slot = self.chunks.get(&at)?;
        slot.used.store(true, Ordering::Relaxed);
        Some(&slot.chunk)
    }

    /// Chunks in memory.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chunks.len()
    }

    /// None is in memory.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// What they take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// A chunk was read or has changed. One that is older than what is here is not taken; where each has something newer,
    /// it has to be read again.
    pub fn put(&mut self, at: Coords, chunk: Arc<Chunk>) {
        let bytes = chunk.bytes() + ENTRY_BYTES;
        if let Some(slot) = self.chunks.get_mut(&at) {
            let order = |layer| chunk.version_in(layer).cmp(&slot.chunk.version_in(layer));
            let mut layers = 0..=chunk.layers();
            if layers.clone().any(|layer| order(layer).is_lt()) {
                if layers.any(|layer| order(layer).is_gt()) {
                    self.forget(at);
                }
                return;
            }
            self.bytes = self.bytes - slot.bytes + bytes;
            (slot.chunk, slot.bytes) = (chunk, bytes);
        } else {
            let slot = Slot {
                chunk,
                used: AtomicBool::new(false),
                bytes,
            };
            self.chunks.insert(at, slot);
            self.order.push_back(at);
            self.bytes += bytes;
        }
        self.note(at);
        self.shrink(at);
    }

    /// What is in memory of a chunk may be old: it's to be read again by those who see it.
    pub fn forget(&mut self, at: Coords) {
        self.take(at);
        self.note(at);
    }

    /// The same of all.
    pub fn forget_all(&mut self) {
        self.chunks.clear();
        self.order.clear();
        self.bytes = 0;
        self.recent.clear();
        // Nobody's stamp is within the ring any more.
        self.stamp += RECENT as u64 + 1;
    }

    fn take(&mut self, at: Coords) {
        if let Some(slot) = self.chunks.remove(&at) {
            self.bytes -= slot.bytes;
            self.order.retain(|other| *other != at);
        }
    }

    fn note(&mut self, at: Coords) {
        self.stamp += 1;
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(at);
    }

    /// Throws out what was not used for long, but for one.
    fn shrink(&mut self, keep: Coords) {
        // Twice around: the first time takes the marks away.
        let mut looks = self.order.len() * 2;
        while self.bytes > self.most_bytes && looks > 0 {
            looks -= 1;
            let Some(at) = self.order.pop_front() else {
                return;
            };
            let Some(slot) = self.chunks.get(&at) else {
                continue;
            };
            if at == keep || slot.used.swap(false, Ordering::Relaxed) {
                self.order.push_back(at);
                continue;
            }
            self.bytes -= slot.bytes;
            self.chunks.remove(&at);
        }
    }

    pub(crate) fn stamp(&self) -> u64 {
        self.stamp
    }

    /// What has changed behind a stamp; `None`: that is too long ago to say.
    pub(crate) fn changed_since(&self, stamp: u64) -> Option<impl Iterator<Item = Coords>> {
        let count = usize::try_from(self.stamp - stamp).unwrap_or(usize::MAX);
        let skip = self.recent.len().checked_sub(count)?;
        Some(self.recent.iter().skip(skip).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_used_goes_when_there_is_too_much() {
        let plan = Arc::new(LandPlan::default());
        let size = Chunk::new(&plan).bytes() + ENTRY_BYTES;
        let mut land = Land::new(Arc::clone(&plan), size * 10);
        for x in 0..100 {
            land.put([x, 0, 0], Arc::new(Chunk::new(&plan)));
            assert!(land.get([0, 0, 0]).is_some(), "it's used all the time");
            assert!(land.bytes() <= size * 10);
        }
        assert_eq!((land.len(), land.order.len()), (10, 10));
        assert!(land.get([99, 0, 0]).is_some());
        land.forget([0, 0, 0]);
        assert_eq!((land.len(), land.bytes()), (9, size * 9));
    }

    #[test]
    fn what_changed_behind_a_stamp_is_known_for_a_while() {
        let plan = Arc::new(LandPlan::default());
        let mut land = Land::new(Arc::clone(&plan), 1 << 20);
        let stamp = land.stamp();
        land.put([1, 0, 0], Arc::new(Chunk::new(&plan)));
        let mut newer = Chunk::new(&plan);
        newer.set(0, 1, 1, plan.cells());
        land.put([2, 0, 0], Arc::new(newer));
        land.put([2, 0, 0], Arc::new(Chunk::new(&plan)));
        assert_eq!(
            land.get([2, 0, 0]).expect("it is there").version(),
            1,
            "the older one is not taken"
        );
        let changed: Vec<_> = land.changed_since(stamp).expect("it is there").collect();
        assert_eq!(changed, [[1, 0, 0], [2, 0, 0]]);
        assert!(land.changed_since(0).is_none());
        land.forget_all();
        assert!(land.changed_since(stamp).is_none());
        assert_eq!(
            land.changed_since(land.stamp())
                .expect("it is there")
                .count(),
            0
        );
    }
}
