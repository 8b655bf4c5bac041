//! Hooks: backends that are told what happened ([`Endpoint`]), and backends that are asked first ([`GateHook`]).
//!
//! What receivers get, and what is promised to them, is written in docs/hooks.md. The way of an event that happened:
//!
//! ```text
//! loops ──► intake ──► writer ──► a log for each endpoint ──► the node that has the lease ──► requests
//!           memory     the store, off the loops               queue: lanes, held lanes
//! ```
//!
//! No loop ever waits: it puts a reference into the intake, or counts what finds no room there. What stands in a log is
//! sent at least once, by one node at a time, and of a room in its order.

mod admit;
mod answer;
mod breaker;
mod changes;
mod config;
mod counts;
mod dead;
mod event;
mod filter;
mod gate;
mod held;
mod intake;
mod lead;
mod lease;
mod next;
mod post;
mod question;
mod queue;
mod retry;
mod sign;
mod write;

#[cfg(test)]
mod queue_tests;
#[cfg(test)]
mod queue_world;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lakh_hub::Hub;
use lakh_hub::store::{Answer, Query, Range, Store};
use parking_lot::Mutex;
use serde::Serialize;
use thiserror::Error;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

pub use admit::admit;
#[doc(hidden)]
pub use answer::changed;
pub use breaker::BreakerState;
pub use config::{Config, ConfigError, Endpoint, Full, GateHook, MAX_HOOKS, On, Order, Silence};
pub use dead::{DeadError, DeadLetter, DeadLetters, Which};
pub use filter::{Kind, Place};
pub use gate::GateStatus;
pub use post::ClientError;
pub use retry::Retry;
pub use sign::{Secret, SecretError};

use crate::lease::Leases;
use counts::Counts;
use gate::Gates;
use intake::{Intake, Notes};
use lead::Leader;
use post::Post;
use write::{Line, Writer};

/// The hooks of a node. Cheap to clone.
#[derive(Clone)]
pub struct Hooks(Arc<Inner>);

struct Inner {
    hub: Hub,
    store: Store,
    intake: Arc<Intake>,
    lines: Vec<Arc<Line>>,
    gates: Option<Arc<Gates>>,
    stop: watch::Sender<Option<Duration>>,
    writer: Mutex<JoinSet<()>>,
    leaders: Mutex<JoinSet<()>>,
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hooks")
            .field("endpoints", &self.0.lines.len())
            .finish_non_exhaustive()
    }
}

/// Why hooks can't be started.
#[derive(Debug, Error)]
pub enum StartError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The HTTP client can't be made.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// How an endpoint is doing. Counts are this node's since its start, but for what waits.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct EndpointStatus {
    /// Its name.
    pub name: String,
    /// Where to.
    pub url: String,
    /// Whether this node is the one that sends.
    pub leads: bool,
    /// Whether the endpoint seems to be away; known where `leads`.
    pub is_down: bool,
    /// Events that it has taken.
    pub sent: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Requests that had failed before.
    pub retried: u64,
    /// Events that became dead letters.
    pub dead: u64,
    /// Events that were dropped.
    pub dropped: u64,
    /// Events sent after one of their room with a higher number.
    pub late: u64,
    /// Events that wait in the store, those of all nodes; `None` if it can't be read now.
    pub waiting: Option<u64>,
    /// How long the oldest of them has waited, in milliseconds.
    pub oldest_age_ms: u64,
}

impl Hooks {
    /// Starts to tell and to ask. To be called on the runtime that shall make the requests, before the loops start and
    /// after modules are on the hub.
    ///
    /// # Errors
    /// If the configuration is wrong: see [`Config::problems`].
    pub fn start(hub: &Hub, leases: &Leases, config: Config) -> Result<Self, StartError> {
        let store = leases.store();
        if let Some(problem) = config.problems().into_iter().next() {
            return Err(problem.into());
        }
        for hook in config.in_the_clear() {
            tracing::warn!(
                hook,
                "its url is http://: signed, but anybody on the way can read it"
            );
        }
        let gates = match config.gates.is_empty() {
            true => None,
            false => Some(Arc::new(Gates::new(hub, config.gates)?)),
        };
        if let Some(gates) = &gates {
            hub.set_gate(Arc::clone(gates) as Arc<dyn lakh_hub::Gate>);
        }
        let lines: Vec<_> = config.endpoints.into_iter().map(line).collect();
        let noted = lines
            .iter()
            .map(|line| (line.endpoint.clone(), Arc::clone(&line.counts)));
        let intake = Arc::new(Intake::new(noted.collect(), config.durable));
        let (stop, stopping) = watch::channel(None);
        let (mut writers, mut leaders) = (JoinSet::new(), JoinSet::new());
        for line in &lines {
            let endpoint = &line.endpoint;
            let post = Post::new(
                &endpoint.url,
                &endpoint.secrets,
                endpoint.timeout,
                endpoint.concurrency,
            )?;
            let leader = Leader {
                hub: hub.clone(),
                store: store.clone(),
                line: Arc::clone(line),
                post: Arc::new(post),
                leases: leases.clone(),
                stop: stopping.clone(),
            };
            leaders.spawn(leader.run());
        }
        if !lines.is_empty() {
            let writer = Writer {
                hub: hub.clone(),
                store: store.clone(),
                intake: Arc::clone(&intake),
                lines: lines.clone(),
                prefix: format!("evt_{:08x}{:08x}_", hub.random(), hub.random()),
            };
            writers.spawn(writer.run());
            hub.watch(Notes(Arc::clone(&intake)));
        }
        Ok(Self(Arc::new(Inner {
            hub: hub.clone(),
            store: store.clone(),
            intake,
            lines,
            gates,
            stop,
            writer: Mutex::new(writers),
            leaders: Mutex::new(leaders),
        })))
    }

    /// Takes nothing in any more, stores what was noted, and waits so long for requests under way. What is not sent by then
    /// stays in the store. To be called when all clients are gone.
    pub async fn close(&self, within: Duration) {
        self.0.intake.close();
        let mut writer = std::mem::take(&mut *self.0.writer.lock());
        if timeout(within, async {
            while writer.join_next().await.is_some() {}
        })
        .await
        .is_err()
        {
            tracing::warn!(
                "the store did not take the last events for hooks in time; they are lost"
            );
        }
        // Nobody may be there to listen.
        let _ = self.0.stop.send(Some(within));
        let mut leaders = std::mem::take(&mut *self.0.leaders.lock());
        let all = async { while leaders.join_next().await.is_some() {} };
        // Each bounds its requests itself; this is about a store that doesn't answer.
        if timeout(within + Duration::from_secs(2), all).await.is_err() {
            tracing::warn!("what was sent last could not be noted; it is sent again");
        }
    }

    /// How each endpoint is doing.
    pub async fn status(&self) -> Vec<EndpointStatus> {
        let mut all = Vec::new();
        for line in &self.0.lines {
            all.push(self.status_of(line).await);
        }
        all
    }

    async fn status_of(&self, line: &Line) -> EndpointStatus {
        let counts = &line.counts;
        let waiting = self.waiting(line).await;
        let now = self.0.hub.wall_ms();
        let oldest = waiting.and_then(|(_, oldest_ms)| oldest_ms);
        EndpointStatus {
            name: line.endpoint.name.clone(),
            url: line.endpoint.url.clone(),
            leads: counts.leads.load(Ordering::Relaxed),
            is_down: counts.is_down.load(Ordering::Relaxed),
            sent: counts.sent.get(),
            failed: counts.failed.get(),
            retried: counts.retried.get(),
            dead: counts.dead.get(),
            dropped: counts.dropped.get(),
            late: counts.late.get(),
            waiting: waiting.map(|(count, _)| count),
            oldest_age_ms: oldest.map_or(0, |oldest_ms| now.saturating_sub(oldest_ms)),
        }
    }

    /// How many events wait in the store, and since when the oldest.
    async fn waiting(&self, line: &Line) -> Option<(u64, Option<u64>)> {
        let mut logs = vec![line.log()];
        let prefix = format!("hooks_held:{}:", line.endpoint.name);
        let scan = lakh_hub::store::Scan::prefix(&prefix).limit(1_000);
        let held = self.0.store.logs(scan).await.ok()?;
        logs.extend(held.items.into_iter().map(|(log, _)| log));
        let first = |log| Query::Range {
            log,
            range: Range::from(0, 1),
        };
        let queries = logs.into_iter().map(first).collect();
        let answers = self.0.store.read(0, queries).await.ok()?;
        let (mut count, mut oldest) = (0, None);
        for answer in answers {
            let Answer::Entries(page) = answer else {
                continue;
            };
            count += page.info.entries();
            let first = page.entries.first().map(|entry| entry.time_ms);
            oldest = [oldest, first].into_iter().flatten().min();
        }
        Some((count, oldest))
    }

    /// How each hook in the way is doing.
    #[must_use]
    pub fn gates(&self) -> Vec<GateStatus> {
        self.0
            .gates
            .as_ref()
            .map_or_else(Vec::new, |gates| gates.status())
    }

    /// Bytes of what happened that wait in memory for the store.
    #[must_use]
    pub fn intake_bytes(&self) -> usize {
        self.0.intake.bytes()
    }

    fn line(&self, endpoint: &str) -> Result<&Line, DeadError> {
        let mut lines = self.0.lines.iter();
        let found = lines.find(|line| line.endpoint.name == endpoint);
        found
            .map(|line| &**line)
            .ok_or_else(|| DeadError::NoEndpoint(endpoint.to_owned()))
    }

    /// A page of an endpoint's dead letters, oldest first, at most 200.
    ///
    /// # Errors
    /// If there is no such endpoint, or the store can't be read.
    pub async fn dead_letters(
        &self,
        endpoint: &str,
        after: Option<String>,
        limit: usize,
    ) -> Result<DeadLetters, DeadError> {
        let name = &self.line(endpoint)?.endpoint.name;
        dead::list(&self.0.hub, &self.0.store, name, after, limit).await
    }

    /// Sends the events of dead letters anew, behind all that waits, and tells how many.
    ///
    /// # Errors
    /// If there is no such endpoint, or the store fails; some may be sent anew then.
    pub async fn replay(&self, endpoint: &str, which: Which) -> Result<u64, DeadError> {
        let line = self.line(endpoint)?;
        dead::take(&self.0.hub, &self.0.store, line, which, true).await
    }

    /// Throws dead letters away, and tells how many.
    ///
    /// # Errors
    /// If there is no such endpoint, or the store fails; some may be gone then.
    pub async fn discard(&self, endpoint: &str, which: Which) -> Result<u64, DeadError> {
        let line = self.line(endpoint)?;
        dead::take(&self.0.hub, &self.0.store, line, which, false).await
    }
}

fn line(endpoint: Endpoint) -> Arc<Line> {
    Arc::new(Line {
        endpoint,
        counts: Arc::new(Counts::default()),
        arrived: Notify::new(),
    })
}
