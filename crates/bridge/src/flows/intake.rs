//! What happened, on its way into a sink's queue in the store.
//!
//! Loops put occurrences into memory, bounded in bytes, and never wait; a task writes them to the store's log, all that
//! wait in one batch. Each has an id (the process's, and a number), so a write whose outcome is unknown is repeated
//! without harm.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use lakh_hub::store::{Applied, Batch, Entry, Trim, WriteError};
use lakh_hub::{Bytes, Keeping, Occurrence, Watcher, What};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use super::settings::{Overflow, SinkSettings};
use super::stats::Counts;
use crate::lease::Leases;
use crate::told::{encode, until};

/// Bytes that may wait for the store, about.
const MAX_BYTES: usize = 32 << 20;
/// What an occurrence counts besides its data.
const OVERHEAD: usize = 512;
/// Entries of one batch, and their bytes.
const BATCH: usize = 1_000;
const BATCH_BYTES: usize = 4 << 20;
/// Wait between attempts while the store takes nothing.
const AGAIN: Duration = Duration::from_millis(100);

/// The log that a sink's queue is.
pub(super) fn log(sink: &str) -> String {
    format!("bridge_sink:{sink}")
}

/// What waits for the store.
pub(super) struct Intake {
    settings: Arc<SinkSettings>,
    counts: Arc<Counts>,
    /// Whether answers wait for what was noted before.
    durable: bool,
    waiting: Mutex<Waiting>,
    filled: Notify,
    /// How many occurrences stand in the store, or were given up.
    stored: watch::Sender<u64>,
}

#[derive(Default)]
struct Waiting {
    occurrences: VecDeque<Arc<Occurrence>>,
    bytes: usize,
    /// How many were taken in.
    number: u64,
    closed: bool,
}

/// A watcher that puts what it sees into an [`Intake`].
pub(super) struct Notes(pub(super) Arc<Intake>);

impl Watcher for Notes {
    fn wants(&self, what: What, namespace: &str) -> bool {
        self.0.settings.filter.may_want(what, namespace)
    }

    fn saw(&self, occurrence: &Arc<Occurrence>) {
        if self.0.settings.filter.wants(occurrence) {
            self.0.note(occurrence);
        }
    }

    fn kept(&self) -> Option<Keeping> {
        if !self.0.durable {
            return None;
        }
        let number = self.0.waiting.lock().number;
        until(&self.0.stored, number)
    }
}

impl Intake {
    pub(super) fn new(settings: Arc<SinkSettings>, counts: Arc<Counts>, durable: bool) -> Self {
        Self {
            settings,
            counts,
            durable,
            waiting: Mutex::default(),
            filled: Notify::new(),
            stored: watch::Sender::new(0),
        }
    }

    fn note(&self, occurrence: &Arc<Occurrence>) {
        Counts::add(&self.counts.received, 1);
        let bytes = weight(occurrence);
        let mut waiting = self.waiting.lock();
        let full = !waiting.occurrences.is_empty() && waiting.bytes + bytes > MAX_BYTES;
        if full || waiting.closed {
            drop(waiting);
            return Counts::add(&self.counts.dropped, 1);
        }
        waiting.bytes += bytes;
        waiting.number += 1;
        waiting.occurrences.push_back(Arc::clone(occurrence));
        drop(waiting);
        self.filled.notify_one();
    }

    /// Waits until more was stored, from this call on.
    pub(super) fn stored(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stored = self.stored.subscribe();
        async move {
            // The sender lives as long as the sink.
            let _ = stored.changed().await;
        }
    }

    /// Takes nothing in any more; what waits is still written.
    pub(super) fn close(&self) {
        self.waiting.lock().closed = true;
        self.filled.notify_one();
    }

    /// What waits, as much as fits in one batch. `None`: it is closed, and empty.
    async fn take(&self) -> Option<Vec<Arc<Occurrence>>> {
        loop {
            {
                let mut waiting = self.waiting.lock();
                let (mut taken, mut bytes) = (Vec::new(), 0);
                while let Some(next) = waiting.occurrences.front() {
                    let own = weight(next);
                    if taken.len() >= BATCH || (bytes + own > BATCH_BYTES && !taken.is_empty()) {
                        break;
                    }
                    bytes += own;
                    taken.extend(waiting.occurrences.pop_front());
                }
                waiting.bytes -= bytes;
                if !taken.is_empty() {
                    return Some(taken);
                }
                if waiting.closed {
                    return None;
                }
            }
            self.filled.notified().await;
        }
    }

    /// Writes to the store until it is closed and empty.
    pub(super) async fn write(self: Arc<Self>, leases: Leases, node: Arc<str>) {
        let mut number = 0_u64;
        while let Some(taken) = self.take().await {
            let now_ms = leases.now_ms();
            let count = taken.len() as u64;
            let mut entries = Vec::with_capacity(taken.len());
            for occurrence in taken {
                number += 1;
                let id = format!("{}-{number}", leases.run());
                match encode(&occurrence, &id, &node) {
                    Some(json) => entries.push(Entry::new(now_ms, json).dedupe(&id)),
                    None => Counts::add(&self.counts.dead, 1),
                }
            }
            if !entries.is_empty() && !self.append(&leases, entries).await {
                return;
            }
            self.stored.send_modify(|stored| *stored += count);
        }
    }

    /// Appends within the bound, however long that takes. False: the store is closed.
    async fn append(&self, leases: &Leases, entries: Vec<Entry>) -> bool {
        let (log, most, count) = (
            log(&self.settings.name),
            self.settings.queue_bytes,
            entries.len(),
        );
        loop {
            if self.settings.overflow == Overflow::DropNewest {
                let full = leases.store().log_info(&log).await;
                if full.is_ok_and(|info| info.bytes >= most) {
                    Counts::add(&self.counts.dropped, count);
                    return true;
                }
            }
            let bound = Trim {
                max_bytes: (self.settings.overflow == Overflow::DropOldest).then_some(most),
                ..Trim::default()
            };
            let batch = Batch::new(leases.now_ms());
            let batch = batch.append(&log, entries.clone()).trim(&log, bound);
            match leases.store().write(batch).await {
                Ok(applied) => {
                    if let Some(Applied::Trimmed(trimmed)) = applied.get(1) {
                        let removed = usize::try_from(trimmed.removed).unwrap_or(usize::MAX);
                        Counts::add(&self.counts.dropped, removed);
                    }
                    return true;
                }
                Err(WriteError::Closed) => {
                    Counts::add(&self.counts.dropped, count);
                    return false;
                }
                Err(error) => {
                    let name = &*self.settings.name;
                    tracing::debug!(name, %error, "the queue of a sink waits for the store");
                    sleep(AGAIN).await;
                }
            }
        }
    }
}

/// Bytes that an occurrence holds in memory, about.
fn weight(occurrence: &Occurrence) -> usize {
    let data = occurrence.data.as_ref().map_or(0, |data| data.get().len());
    let binary: usize = occurrence.attachments.iter().map(Bytes::len).sum();
    OVERHEAD + data + binary
}
