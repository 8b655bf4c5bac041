//! What is counted of files.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Arrived;
use crate::service::{Kind, Problem};

/// Totals of this node since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileFigures {
    /// Files that came and were stored.
    pub stored: u64,
    /// Those that had come before.
    pub again: u64,
    /// Those that were not taken.
    pub refused: u64,
    /// Those that this server could not take.
    pub failed: u64,
    /// Bytes of the files that were stored.
    pub bytes_in: u64,
    /// Files, parts and thumbnails that were sent.
    pub sent: u64,
    /// Bytes of these.
    pub bytes_out: u64,
}

/// The counters.
#[derive(Debug, Default)]
pub(super) struct Counters {
    stored: AtomicU64,
    again: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    bytes_in: AtomicU64,
    sent: AtomicU64,
    bytes_out: AtomicU64,
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

impl Counters {
    pub(super) fn received(&self, received: &Result<Arrived, Problem>) {
        match received {
            Ok(arrived) if arrived.again => add(&self.again, 1),
            Ok(arrived) => {
                add(&self.stored, 1);
                add(&self.bytes_in, arrived.file["size"].as_u64().unwrap_or(0));
            }
            Err(problem) if matches!(problem.kind, Kind::Unavailable | Kind::Internal) => {
                add(&self.failed, 1);
            }
            Err(_) => add(&self.refused, 1),
        }
    }

    pub(super) fn sent(&self, bytes: u64) {
        add(&self.sent, 1);
        add(&self.bytes_out, bytes);
    }

    pub(super) fn figures(&self) -> FileFigures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        FileFigures {
            stored: read(&self.stored),
            again: read(&self.again),
            refused: read(&self.refused),
            failed: read(&self.failed),
            bytes_in: read(&self.bytes_in),
            sent: read(&self.sent),
            bytes_out: read(&self.bytes_out),
        }
    }
}
