//! A server among others: its tie to Redis, with a thread of its own.

use std::sync::Arc;

use lakh_hub::redis::{Backend, Config, Link, OpenError};
use lakh_hub::{Hub, JoinError, redis};
use tokio::runtime::Runtime;

/// Why a server could not join a fleet.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The URL names no Redis, or the system gave no random bytes.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It is in one already, or has recoverable namespaces by now.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// The system gave no thread.
    #[error("the thread that talks to Redis can't be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// The thread that talks to Redis. It ends with this.
#[derive(Debug)]
pub(crate) struct Fleet {
    runtime: Option<Runtime>,
    hub: Hub,
}

impl Fleet {
    pub(crate) fn join(hub: &Hub, url: &str, backend: Backend) -> Result<Self, FleetError> {
        let clock = hub.clone();
        let config = Config::new(url, backend, Arc::new(move || clock.clock_ms()));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("lakh-fleet")
            .enable_all()
            .build()?;
        let entered = runtime.enter();
        let (link, inbound) = Link::open(redis::Config {
            echo: true,
            ..config
        })?;
        let work = hub.join_cluster(link, inbound)?;
        drop(entered);
        drop(runtime.spawn(work));
        Ok(Self {
            runtime: Some(runtime),
            hub: hub.clone(),
        })
    }

    /// Waits until what the others publish arrives.
    pub(crate) fn wait(&self) {
        if let Some(runtime) = &self.runtime {
            runtime.block_on(self.hub.cluster_ready());
        }
    }

    /// Sends what is on its way, and ends.
    pub(crate) async fn leave(&self) {
        self.hub.leave_cluster().await;
    }

    /// The same, where nothing else runs.
    pub(crate) fn leave_now(&self) {
        if let Some(runtime) = &self.runtime {
            runtime.block_on(self.leave());
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        // A runtime must not be waited for where another one runs.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
