//! What sources and sinks have in common: each is the work of one node at a time, begun again for as long as it ends.

use std::convert::Infallible;
use std::sync::atomic::Ordering;

use lakh_hub::store::ReadError;
use tokio::sync::watch;
use tokio::time::sleep;

use super::stats::{Counts, State};
use super::trouble::{Backoff, Trouble};
use crate::lease::{Held, LeaseError, Leases};

/// Why a session with a broker ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    /// The broker.
    #[error(transparent)]
    Broker(#[from] Trouble),
    /// The store, or the lease.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// The store can't be read.
    #[error(transparent)]
    Store(#[from] ReadError),
}

/// A source or a sink.
pub(super) trait Job: Sync {
    /// Which of them.
    const KIND: &'static str;
    /// What it has at the broker.
    type Open: Send;

    fn name(&self) -> &str;
    fn leases(&self) -> &Leases;
    fn counts(&self) -> &Counts;

    /// Works until something is wrong. What it opens it leaves in `open`; the backoff begins anew with what goes well.
    fn session(
        &self,
        held: &mut Held,
        open: &mut Option<Self::Open>,
        backoff: &mut Backoff,
    ) -> impl Future<Output = Result<Infallible, Ended>> + Send;

    /// Ends what was open, so that nothing of it is in the next one's way.
    fn close(open: Self::Open) -> impl Future<Output = ()> + Send;

    /// Works until it is told to stop: with the lease, and without it waits for that.
    fn run(self, mut stop: watch::Receiver<bool>) -> impl Future<Output = ()> + Send
    where
        Self: Sized + Send,
    {
        async move {
            let lease = format!("{}:{}", Self::KIND, self.name());
            let mut backoff = Backoff::default();
            loop {
                let mut held = tokio::select! {
                    held = self.leases().acquire(&lease) => held,
                    () = stopped(&mut stop) => return,
                };
                let (lost, mut open) = (held.lost(), None);
                let ended: Option<Ended> = tokio::select! {
                    Err(ended) = self.session(&mut held, &mut open, &mut backoff) => Some(ended),
                    () = lost => Some(LeaseError::Lost.into()),
                    // What is under way is done or not, and the notes say no more than is true.
                    () = stopped(&mut stop) => None,
                };
                // Before another node may begin.
                if let Some(open) = open {
                    Self::close(open).await;
                }
                let Some(ended) = ended else {
                    return held.release().await;
                };
                let state = match &ended {
                    Ended::Lease(LeaseError::Lost) => State::Standby,
                    other => State::Down(other.to_string()),
                };
                self.counts().tell(Self::KIND, self.name(), state);
                self.counts().lag.store(0, Ordering::Relaxed);
                self.counts().lag_bytes.store(0, Ordering::Relaxed);
                // Another node may have better luck.
                held.release().await;
                tokio::select! {
                    () = sleep(backoff.next()) => {}
                    () = stopped(&mut stop) => return,
                }
            }
        }
    }
}

/// Waits until the node is about to end.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone says the same.
    let _ = stop.wait_for(|stop| *stop).await;
}
