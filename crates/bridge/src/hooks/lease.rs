//! Who sends for an endpoint: one node of all that share a store, until it's silent for too long.
//!
//! The lease is a document. Whoever has it puts it anew with each batch that they write, on the condition that it is as they
//! left it: so nothing is written by a node that has lost it and doesn't know yet. It is taken over when it has not changed
//! for [`LEASE_MS`] by the clock of whoever looks; no two clocks are compared.

use std::time::Duration;

use lakh_hub::Hub;
use lakh_hub::store::{Applied, Batch, Condition, Op, Store, WriteError};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

/// Silence after which another node takes over.
pub(crate) const LEASE_MS: u64 = 6_000;
/// How often those look who wait.
const LOOK: Duration = Duration::from_secs(1);
/// The collection.
const LEASES: &str = "hooks_leases";

#[derive(Serialize, Deserialize)]
struct Written {
    node: String,
    /// Names this time of having it.
    term: String,
}

/// It is another's, or the store is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lost;

/// The lease, while it's held.
pub(crate) struct Lease {
    hub: Hub,
    store: Store,
    name: String,
    value: Vec<u8>,
    term: String,
    version: u64,
    /// When it was put last, by the hub's monotonic clock.
    put_ms: u64,
}

impl Lease {
    /// Waits until it is ours. `shared`: other nodes have the same store; otherwise whoever had it is gone.
    pub(crate) async fn take(hub: &Hub, store: &Store, name: &str, shared: bool) -> Self {
        let node = hub.settings().node.clone();
        let term = format!("{:08x}{:08x}", hub.random(), hub.random());
        let written = Written {
            node: node.clone(),
            term: term.clone(),
        };
        // Two texts can always be written.
        let value = serde_json::to_vec(&written).unwrap_or_default();
        let mut seen: Option<(u64, u64)> = None;
        loop {
            let condition = match store.get(hub.wall_ms(), LEASES, name).await {
                Ok(None) => Some(Condition::Absent),
                Ok(Some(found)) => {
                    let now = hub.clock_ms();
                    let since = match seen {
                        Some((version, since)) if version == found.version => since,
                        _ => now,
                    };
                    seen = Some((found.version, since));
                    // Nobody else runs under our name, so this was an earlier life.
                    let was_ours = serde_json::from_slice::<Written>(&found.value)
                        .is_ok_and(|written| written.node == node);
                    let is_free = !shared || was_ours || now.saturating_sub(since) >= LEASE_MS;
                    is_free.then_some(Condition::Version(found.version))
                }
                Err(error) => {
                    tracing::debug!(hook = name, %error, "nobody knows who sends");
                    None
                }
            };
            if let Some(condition) = condition {
                let bytes = value.clone().into();
                let put = store.put(hub.wall_ms(), LEASES, name, bytes, condition, None);
                if let Ok(version) = put.await {
                    break Self {
                        hub: hub.clone(),
                        store: store.clone(),
                        name: name.to_owned(),
                        value,
                        term,
                        version,
                        put_ms: hub.clock_ms(),
                    };
                }
            }
            sleep(LOOK).await;
        }
    }

    /// Whether it is certain that nobody else has it.
    pub(crate) fn is_certain(&self) -> bool {
        self.hub.clock_ms().saturating_sub(self.put_ms) < LEASE_MS * 2 / 3
    }

    /// Whether it should be put again.
    pub(crate) fn is_old(&self) -> bool {
        self.hub.clock_ms().saturating_sub(self.put_ms) >= LEASE_MS / 3
    }

    /// Writes, if it is still ours, as often as it takes. All operations must be such that doing them twice is harmless.
    pub(crate) async fn write(&mut self, ops: &[Op]) -> Result<Vec<Applied>, Lost> {
        let mut wait_ms = 100;
        loop {
            let put_ms = self.hub.clock_ms();
            let mut batch = Batch::new(self.hub.wall_ms()).put(
                LEASES,
                &self.name,
                self.value.clone(),
                Condition::Version(self.version),
                None,
            );
            for op in ops {
                batch = batch.op(op.clone());
            }
            match self.store.write(batch).await {
                Ok(mut applied) => {
                    if let Some(Applied::Put { version }) = applied.first() {
                        self.version = *version;
                    }
                    self.put_ms = put_ms;
                    applied.remove(0);
                    return Ok(applied);
                }
                Err(WriteError::Conflict { .. }) => self.still_ours().await?,
                Err(WriteError::Closed) => return Err(Lost),
                Err(error) => {
                    tracing::warn!(hook = self.name, %error, "what was sent can't be noted yet");
                    sleep(Duration::from_millis(wait_ms)).await;
                    wait_ms = (wait_ms * 2).min(2_000);
                }
            }
        }
    }

    /// A write whose end was unknown may have changed the lease: then it's still ours.
    async fn still_ours(&mut self) -> Result<(), Lost> {
        let found = self.store.get(self.hub.wall_ms(), LEASES, &self.name).await;
        let Ok(found) = found else {
            return Err(Lost);
        };
        let found = found.ok_or(Lost)?;
        let written: Written = serde_json::from_slice(&found.value).map_err(|_| Lost)?;
        if written.term != self.term || found.version == self.version {
            return Err(Lost);
        }
        self.version = found.version;
        Ok(())
    }

    /// Lets another node have it at once.
    pub(crate) async fn release(self) {
        let condition = Condition::Version(self.version);
        let deleted = self
            .store
            .delete(self.hub.wall_ms(), LEASES, &self.name, condition);
        if let Err(error) = deleted.await {
            tracing::debug!(hook = self.name, %error, "another node will take over after a while");
        }
    }
}
