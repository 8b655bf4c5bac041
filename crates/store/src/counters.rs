//! Figures that a backend's threads count up.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::batch::Batch;
use crate::front::Written;
use crate::health::{GROUP_BUCKETS, Stats};

#[derive(Default)]
pub(crate) struct Counters {
    commits: AtomicU64,
    batches: AtomicU64,
    batches_failed: AtomicU64,
    ops: AtomicU64,
    bytes_written: AtomicU64,
    group_sizes: [AtomicU64; GROUP_BUCKETS],
    writes_busy: AtomicU64,
    reads: AtomicU64,
    reads_busy: AtomicU64,
}

impl Counters {
    /// Counts a group. (A group that had to be tried batch by batch still counts as one commit.)
    pub(crate) fn record(&self, batches: &[&Batch], outcomes: &[Written]) {
        let mut applied = 0;
        for (batch, outcome) in batches.iter().zip(outcomes) {
            if outcome.is_ok() {
                applied += 1;
                self.ops.fetch_add(batch.ops().len() as u64, Relaxed);
                self.bytes_written.fetch_add(batch.bytes() as u64, Relaxed);
            }
        }
        self.batches.fetch_add(applied, Relaxed);
        self.batches_failed
            .fetch_add(batches.len() as u64 - applied, Relaxed);
        if applied > 0 {
            self.commits.fetch_add(1, Relaxed);
            let bucket = batches.len().ilog2() as usize;
            self.group_sizes[bucket.min(GROUP_BUCKETS - 1)].fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn answered_read(&self) {
        self.reads.fetch_add(1, Relaxed);
    }

    /// Counts a batch that was refused before it came to the queue.
    pub(crate) fn refused_write(&self) {
        self.batches_failed.fetch_add(1, Relaxed);
    }

    pub(crate) fn busy_write(&self) {
        self.writes_busy.fetch_add(1, Relaxed);
    }

    pub(crate) fn busy_read(&self) {
        self.reads_busy.fetch_add(1, Relaxed);
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats {
            commits: self.commits.load(Relaxed),
            batches: self.batches.load(Relaxed),
            batches_failed: self.batches_failed.load(Relaxed),
            ops: self.ops.load(Relaxed),
            bytes_written: self.bytes_written.load(Relaxed),
            group_sizes: std::array::from_fn(|bucket| self.group_sizes[bucket].load(Relaxed)),
            writes_busy: self.writes_busy.load(Relaxed),
            reads: self.reads.load(Relaxed),
            reads_busy: self.reads_busy.load(Relaxed),
            ..Stats::default()
        }
    }
}
