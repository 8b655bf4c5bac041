//! What a node shares with the others of its fleet, as the settings say: a store, names, and the link by which broadcasts
//! travel.
//!
//! What must hold: a node without Redis does not begin to serve, and one that serves doesn't end for its sake.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use lakh_broker::cluster::sharded::Mode;
use lakh_broker::redis::{Backend, Clock, Config, Link, LinkState};
use lakh_hub::{Clock as _, ClusterState, Hub};
use lakh_net::SystemClock;
use lakh_store::{OpenError, RedisOptions, Store};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::names::{ClaimError, NodeName, random_name};
use super::prepare::{count, count32};
use crate::config::redis_url::RedisUrl;
use crate::config::{Broker, Redis, Settings, StoreKind, SubscriptionMode};
use crate::http::health::Check;
use crate::telemetry::snapshot::BrokerCount;

/// How often Redis is tried at the start.
const AGAIN: Duration = Duration::from_millis(500);
/// How long a reading of the numbers waits for Redis to count the nodes.
const COUNTING: Duration = Duration::from_millis(500);
/// How long the end waits for Redis to hear of it: more than the link takes by itself.
const FAREWELL: Duration = Duration::from_secs(6);
/// The same where Redis is known to be away: it may be just coming back.
const SHORT_FAREWELL: Duration = Duration::from_secs(1);

/// What is shared and where, checked and not yet connected.
#[derive(Debug, Clone)]
pub struct FleetPlan {
    url: RedisUrl,
    link: Option<LinkPlan>,
    /// How the shared store is opened, the one for names at least.
    store: RedisOptions,
    /// Whether modules keep their data there too.
    keeps_data: bool,
    /// Whether this node was given a name.
    named: bool,
    patience: Duration,
}

/// How the link is made.
#[derive(Debug, Clone)]
struct LinkPlan {
    backend: Backend,
    key: String,
    queue_bytes: usize,
    connect_timeout: Duration,
    answer_timeout: Duration,
}

impl FleetPlan {
    /// The plan, where the settings name a Redis.
    pub fn new(settings: &Settings) -> Option<Self> {
        let redis = &settings.redis;
        let keeps_data = redis.store() == StoreKind::Redis;
        let link = link_plan(redis);
        if !keeps_data && link.is_none() {
            return None;
        }
        Some(Self {
            url: redis.url.clone()?,
            link,
            store: RedisOptions {
                prefix: redis.store_prefix.clone(),
                replicas: count32(redis.store_replicas),
                connect_timeout_ms: redis.connect_timeout_ms,
                answer_timeout_ms: redis.answer_timeout_ms,
                ..RedisOptions::default()
            },
            keeps_data,
            named: settings.server.node.is_some(),
            patience: Duration::from_millis(redis.start_timeout_ms),
        })
    }

    /// Whether modules keep their data in Redis.
    pub fn keeps_data(&self) -> bool {
        self.keeps_data
    }

    /// By when Redis must have been found.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.patience
    }
}

fn link_plan(redis: &Redis) -> Option<LinkPlan> {
    let backend = match redis.broker() {
        Broker::Local => return None,
        Broker::Redis => Backend::Classic,
        Broker::RedisSharded => Backend::Sharded {
            mode: match redis.subscription_mode {
                SubscriptionMode::Static => Mode::Static,
                SubscriptionMode::Dynamic => Mode::Dynamic,
                SubscriptionMode::DynamicPrivate => Mode::DynamicPrivate,
            },
        },
        Broker::RedisStreams => Backend::Streams {
            stream: redis.stream.clone(),
            max_len: redis.stream_max_len,
            session_prefix: redis.session_prefix.clone(),
        },
    };
    Some(LinkPlan {
        backend,
        key: redis.key.clone(),
        queue_bytes: count(redis.queue_bytes),
        connect_timeout: Duration::from_millis(redis.connect_timeout_ms),
        answer_timeout: Duration::from_millis(redis.answer_timeout_ms),
    })
}

/// Opens the shared store. Waits for Redis until the deadline, and says so.
pub(super) async fn open_store(plan: &FleetPlan, deadline: Instant) -> anyhow::Result<Store> {
    let mut told = false;
    loop {
        let (url, options) = (plan.url.clone(), plan.store.clone());
        // It connects before it returns.
        let opening = tokio::task::spawn_blocking(move || Store::redis(url.secret(), &options));
        match opening.await.context("the store's opening broke off")? {
            Ok(store) => return Ok(store),
            Err(OpenError::Unreachable { detail, .. }) if Instant::now() + AGAIN < deadline => {
                if !told {
                    let patience_ms = plan.patience.as_millis();
                    tracing::warn!(redis = %plan.url, patience_ms, "waiting for Redis: {detail}");
                    told = true;
                }
                sleep(AGAIN).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Makes sure that no other node of the fleet has the beginning of this one's name. Without a given name another one is
/// made until that holds.
pub(super) async fn claim_name(
    plan: &FleetPlan,
    store: &Store,
    mut name: String,
    now_ms: fn() -> u64,
    deadline: Instant,
) -> anyhow::Result<Arc<NodeName>> {
    loop {
        let claim = NodeName::claim(store.clone(), name, now_ms);
        let claimed = timeout_at(deadline, claim).await;
        match claimed.context("Redis did not let this node claim its name in time")? {
            Ok(claimed) => return Ok(Arc::new(claimed)),
            Err(ClaimError::Taken { .. }) if !plan.named => name = random_name()?,
            Err(error) => return Err(error.into()),
        }
    }
}

/// The link to the other nodes, which the hub holds.
pub struct FleetLink {
    hub: Hub,
    clock: Clock,
    telling: JoinHandle<()>,
}

impl std::fmt::Debug for FleetLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.hub.fmt(f)
    }
}

impl FleetLink {
    /// Joins the others, if nodes are to reach each other. To be called on the runtime that the link lives on, before
    /// modules are put on the hub.
    pub(super) fn join(plan: &FleetPlan, hub: &Hub) -> anyhow::Result<Option<Self>> {
        let Some(wanted) = &plan.link else {
            return Ok(None);
        };
        if plan.url.is_tls() {
            // The process may have chosen one already; then that is taken.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let time = SystemClock::default();
        let clock: Clock = Arc::new(move || time.now().0);
        let own = Arc::clone(&clock);
        let config = Config {
            key: wanted.key.clone(),
            // The hub delivers what it publishes when it comes back.
            echo: true,
            max_inbound_bytes: wanted.queue_bytes,
            max_outbound_bytes: wanted.queue_bytes,
            connect_timeout: wanted.connect_timeout,
            response_timeout: wanted.answer_timeout,
            ..Config::new(plan.url.secret(), wanted.backend.clone(), own)
        };
        let (link, inbound) = Link::open(config)?;
        let telling = tokio::spawn(tell_changes(link.watch_state()));
        tokio::spawn(hub.join_cluster(link, inbound)?);
        let hub = hub.clone();
        Ok(Some(Self {
            hub,
            clock,
            telling,
        }))
    }

    /// Waits until what the others publish arrives.
    pub(super) async fn settle(&self, deadline: Instant) -> anyhow::Result<()> {
        if timeout_at(deadline, self.hub.cluster_ready())
            .await
            .is_err()
        {
            let reason = self.state().and_then(|state| state.link.reason);
            anyhow::bail!(
                "Redis did not let this node listen to the others in time: {}; check that it runs, and its address and \
                 password",
                reason.as_deref().unwrap_or("no answer")
            );
        }
        Ok(())
    }

    fn state(&self) -> Option<ClusterState> {
        self.hub.cluster_state()
    }

    /// Whether other nodes are reached. If not, this one serves its own clients all the same.
    pub(super) fn check(&self) -> Check {
        let detail = self.state().and_then(|state| {
            let away_s = self.age_ms(state.link.since_ms) / 1_000;
            let reason = state.link.reason.as_deref().unwrap_or("not connected yet");
            (!state.link.up).then(|| {
                format!(
                    "Redis is away for {away_s} s ({reason}): clients of other nodes are not reached"
                )
            })
        });
        Check::of_a_help("broker", detail)
    }

    /// The numbers of this moment.
    pub(super) async fn count(&self) -> Option<BrokerCount> {
        let others = tokio::time::timeout(COUNTING, self.hub.other_nodes()).await;
        let state = self.state()?;
        let stats = state.stats;
        Some(BrokerCount {
            up: state.link.up,
            state_ms: self.age_ms(state.link.since_ms),
            sent: stats.sent,
            received: stats.received,
            lost: [
                ("connection", stats.lost),
                ("overflow", stats.dropped),
                ("undecodable", stats.undecodable),
            ]
            .into(),
            gaps: state.gaps,
            connects: stats.connects,
            outbound_bytes: stats.outbound_bytes as u64,
            inbound_bytes: stats.inbound_bytes as u64,
            other_nodes: others.ok().and_then(Result::ok).map(|count| count as u64),
        })
    }

    /// Sends what waits, as far as Redis takes it, and is gone for the other nodes.
    pub(super) async fn leave(&self) {
        // That the connection goes is no news now.
        self.telling.abort();
        let patience = match self.state() {
            Some(state) if !state.link.up => SHORT_FAREWELL,
            _ => FAREWELL,
        };
        if timeout(patience, self.hub.leave_cluster()).await.is_err() {
            tracing::warn!("Redis did not take the last broadcasts and sessions in time");
        }
    }

    fn age_ms(&self, since_ms: u64) -> u64 {
        (self.clock)().saturating_sub(since_ms)
    }
}

/// Says when the link is lost, and when it is back.
async fn tell_changes(mut changes: watch::Receiver<LinkState>) {
    let mut was_up = changes.borrow_and_update().up;
    while changes.changed().await.is_ok() {
        let state = changes.borrow_and_update().clone();
        match (was_up, state.up) {
            (true, false) => {
                let reason = state.reason.as_deref().unwrap_or("the connection is gone");
                tracing::warn!(
                    reason,
                    "Redis is away: clients of other nodes are not reached"
                );
            }
            (false, true) => tracing::info!("Redis is there: other nodes are reached"),
            _ => {}
        }
        was_up = state.up;
    }
}
