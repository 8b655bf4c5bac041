//! From memory to the store: what was noted is appended to the log of each endpoint that wants it.

use std::sync::Arc;
use std::time::Duration;

use lakh_hub::Hub;
use lakh_hub::store::{Applied, Batch, Entry, Store, Trim, WriteError};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::config::{Endpoint, Full};
use super::counts::Counts;
use super::event::entry;
use super::intake::{Intake, Note};
use crate::told::encode;

/// Notes taken at once.
const AT_ONCE: usize = 1_000;
/// Bytes of notes taken at once, nearly.
const BYTES_AT_ONCE: usize = 4 << 20;
/// The first wait when the store doesn't take anything, and the longest.
const WAITS_MS: (u64, u64) = (50, 2_000);

/// What an endpoint is written by, and read by.
#[derive(Debug)]
pub(crate) struct Line {
    pub endpoint: Endpoint,
    pub counts: Arc<Counts>,
    /// This node has stored something for it, or somebody has.
    pub arrived: Notify,
}

impl Line {
    /// The log of what waits.
    pub(crate) fn log(&self) -> String {
        format!("hooks:{}", self.endpoint.name)
    }
}

/// Writes for as long as there is something to write: until the intake is closed and empty.
pub(crate) struct Writer {
    pub hub: Hub,
    pub store: Store,
    pub intake: Arc<Intake>,
    pub lines: Vec<Arc<Line>>,
    /// What the ids of this life's events begin with.
    pub prefix: String,
}

impl Writer {
    pub(crate) async fn run(self) {
        while let Some(notes) = self.intake.take(AT_ONCE, BYTES_AT_ONCE).await {
            let mut writes = Vec::new();
            for (index, line) in self.lines.iter().enumerate() {
                let own: Vec<Entry> = notes
                    .iter()
                    .filter(|note| note.wanted >> index & 1 == 1)
                    .filter_map(|note| self.entry(line, note))
                    .collect();
                if !own.is_empty() {
                    writes.push(self.append(line, own));
                }
            }
            // Submitted together, so the store commits them together.
            futures_util::future::join_all(writes).await;
            if let Some(last) = notes.last() {
                self.intake.stored(last.number);
            }
        }
    }

    fn entry(&self, line: &Line, note: &Note) -> Option<Entry> {
        let id = format!("{}{:x}", self.prefix, note.number);
        let json = encode(&note.occurrence, &id, &self.hub.settings().node);
        if json.is_none() {
            tracing::warn!(
                hook = line.endpoint.name,
                "an event is too large for a hook, or can't be written; it is dropped"
            );
            line.counts.dropped.add(1);
        }
        Some(entry(&id, self.hub.wall_ms(), json?))
    }

    /// Appends to a log, as often as it takes. What is appended twice is there once.
    async fn append(&self, line: &Line, entries: Vec<Entry>) {
        let mut wait = WAITS_MS.0;
        loop {
            match self.try_append(line, &entries).await {
                Ok(()) => return line.arrived.notify_one(),
                Err(WriteError::Closed) => return line.counts.dropped.add(entries.len() as u64),
                Err(error @ WriteError::Invalid { .. }) => {
                    tracing::error!(hook = line.endpoint.name, %error, "events are dropped");
                    return line.counts.dropped.add(entries.len() as u64);
                }
                Err(error) => {
                    tracing::warn!(hook = line.endpoint.name, %error, "events wait in memory for the store");
                    sleep(Duration::from_millis(wait)).await;
                    wait = (wait * 2).min(WAITS_MS.1);
                }
            }
        }
    }

    async fn try_append(&self, line: &Line, entries: &[Entry]) -> Result<(), WriteError> {
        let (log, endpoint) = (line.log(), &line.endpoint);
        let mut batch = Batch::new(self.hub.wall_ms());
        match endpoint.full {
            Full::DropNewest => {
                let info = self.store.log_info(&log).await;
                let info =
                    info.map_err(|error| WriteError::Unavailable(error.to_string().into()))?;
                if info.bytes >= endpoint.max_bytes {
                    line.counts.dropped.add(entries.len() as u64);
                    return Ok(());
                }
                batch = batch.append(&log, entries.to_vec());
            }
            Full::DropOldest => {
                let trim = Trim {
                    max_bytes: Some(endpoint.max_bytes),
                    ..Trim::default()
                };
                batch = batch.append(&log, entries.to_vec()).trim(&log, trim);
            }
        }
        let applied = self.store.write(batch).await?;
        if let Some(Applied::Trimmed(trimmed)) = applied.last()
            && trimmed.removed > 0
        {
            line.counts.dropped.add(trimmed.removed);
        }
        Ok(())
    }
}
