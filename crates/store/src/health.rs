//! How a store is doing: for readiness checks and metrics.

use std::sync::Arc;

/// Whether the store can be relied on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// The last commit went well, or there was none yet.
    #[default]
    Ok,
    /// The last commit failed, or the server is away, for a reason that can pass (disk full, file locked, Redis down); the next
    /// success clears it.
    Impaired(Arc<str>),
    /// The store writes no more until it is opened again (file damaged, disk failing).
    Failed(Arc<str>),
    /// The store was closed.
    Closed,
}

impl Health {
    /// Whether writes are expected to work.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Ok)
    }
}

/// How many buckets [`Stats::group_sizes`] has.
pub const GROUP_BUCKETS: usize = 12;

/// Figures since the store was opened; those marked *now* are of this moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Transactions committed.
    pub commits: u64,
    /// Batches applied.
    pub batches: u64,
    /// Batches refused or failed.
    pub batches_failed: u64,
    /// Operations in the batches applied.
    pub ops: u64,
    /// Bytes in the batches applied (names and values).
    pub bytes_written: u64,
    /// Commits by how many batches they took: bucket *i* counts those of 2^i and more, up to below 2^(i+1); the last has no end.
    pub group_sizes: [u64; GROUP_BUCKETS],
    /// Writes turned away because the queue was full.
    pub writes_busy: u64,
    /// Reads answered (each may hold several queries).
    pub reads: u64,
    /// Reads turned away because the queue was full.
    pub reads_busy: u64,
    /// Batches that wait or are being committed, *now*.
    pub write_queue: u64,
    /// Bytes of those batches, *now*.
    pub write_queue_bytes: u64,
    /// Reads that wait or are being answered, *now*.
    pub read_queue: u64,
    /// Size of the database file, *now*; 0 where there is none.
    pub file_bytes: u64,
    /// Size of the write-ahead log beside it, *now*.
    pub wal_bytes: u64,
    /// The last error that was not the caller's doing.
    pub last_error: Option<Arc<str>>,
}
