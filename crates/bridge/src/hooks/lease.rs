//! What the node that sends for an endpoint writes: under its lease, as often as it takes.

use std::time::Duration;

use lakh_hub::store::{Applied, Batch, Op, WriteError};
use tokio::time::sleep;

use crate::lease::{Held, LeaseError, Leases};

/// The wait after the first write that the store did not take; each is twice as long as the last, up to the second.
const WAIT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// It is another's, or the store is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lost;

/// The lease of an endpoint, while it's held.
pub(crate) struct Lease {
    leases: Leases,
    held: Held,
    name: String,
}

impl Lease {
    /// Waits until it is ours.
    pub(crate) async fn take(leases: &Leases, endpoint: &str) -> Self {
        Self {
            held: leases.acquire(&format!("hook:{endpoint}")).await,
            leases: leases.clone(),
            name: endpoint.to_owned(),
        }
    }

    /// Whether it is certain that nobody else has it.
    pub(crate) fn is_certain(&self) -> bool {
        self.held.is_held()
    }

    /// Waits until it isn't any more.
    pub(crate) fn lost(&self) -> impl Future<Output = ()> + Send + use<> {
        self.held.lost()
    }

    /// Writes, if it is still ours, as often as it takes. All operations must be such that doing them twice is harmless.
    pub(crate) async fn write(&mut self, ops: &[Op]) -> Result<Vec<Applied>, Lost> {
        let mut wait = WAIT.0;
        loop {
            let batch = ops
                .iter()
                .fold(Batch::new(self.leases.now_ms()), |batch, op| {
                    batch.op(op.clone())
                });
            match self.held.write(batch).await {
                Ok(applied) => return Ok(applied),
                Err(LeaseError::Lost | LeaseError::Write(WriteError::Closed)) => return Err(Lost),
                Err(error) => {
                    tracing::warn!(hook = self.name, %error, "what was sent can't be noted yet");
                    sleep(wait).await;
                    wait = (wait * 2).min(WAIT.1);
                }
            }
        }
    }

    /// Lets another node have it at once.
    pub(crate) async fn release(self) {
        self.held.release().await;
    }
}
