//! What an endpoint's metrics are made of: counts of this node since it started.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// One count.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counts of one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Events that the endpoint has taken.
    pub sent: Counter,
    /// Requests that failed.
    pub failed: Counter,
    /// Requests that had failed before.
    pub retried: Counter,
    /// Events that became dead letters.
    pub dead: Counter,
    /// Events dropped because too many waited in the store, or in memory for the store.
    pub dropped: Counter,
    /// Events sent after one of their room that has a higher number.
    pub late: Counter,
    /// Whether this node is the one that sends.
    pub leads: AtomicBool,
    /// Whether the endpoint as a whole seems to be away.
    pub is_down: AtomicBool,
}
