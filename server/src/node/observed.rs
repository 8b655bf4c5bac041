//! What the HTTP side asks of the running node.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use lakh_bridge::flows::Flows;
use lakh_bridge::hooks::Hooks;
use lakh_hub::{CLOSE_REASONS, Hub};
use lakh_net::Observer;
use lakh_store::Store;
use lakh_world::Worlds;
use tokio::sync::{mpsc, oneshot};

use super::backing::Backing;
use crate::files::Files;
use crate::http::health::Check;
use crate::http::{Later, Observed};
use crate::life_cycle::Signal;
use crate::sign_in::SignIn;
use crate::telemetry::snapshot::{ChatCount, LogCount, NamespaceCount, Snapshot, StoreCount};

/// A loop that gets to nothing new for this long is not well.
const LOOP_PATIENCE: Duration = Duration::from_secs(2);

/// A running node, or one that is about to run.
pub struct Node {
    name: String,
    started: Instant,
    started_at_ms: u64,
    hub: Hub,
    backing: Arc<Backing>,
    /// Where the end of the process is asked for.
    ask: mpsc::Sender<Signal>,
    /// Set once the sockets are there: the HTTP side is made before them.
    sockets: OnceLock<Observer>,
    hooks: Option<Hooks>,
    flows: OnceLock<Arc<Flows>>,
    sign_in: OnceLock<SignIn>,
    files: OnceLock<Files>,
    worlds: OnceLock<Worlds>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Node({})", self.name)
    }
}

impl Node {
    /// A node that starts now, `started_at_ms` milliseconds since 1970.
    pub fn new(
        name: String,
        started_at_ms: u64,
        hub: Hub,
        backing: Arc<Backing>,
        ask: mpsc::Sender<Signal>,
        hooks: Option<Hooks>,
    ) -> Arc<Self> {
        Arc::new(Self {
            name,
            started: Instant::now(),
            started_at_ms,
            hub,
            backing,
            ask,
            sockets: OnceLock::new(),
            hooks,
            flows: OnceLock::new(),
            sign_in: OnceLock::new(),
            files: OnceLock::new(),
            worlds: OnceLock::new(),
        })
    }

    /// Its hub.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What stands behind it.
    pub(super) fn backing(&self) -> &Backing {
        &self.backing
    }

    /// Its hooks, if there are any.
    pub(super) fn hooks(&self) -> Option<&Hooks> {
        self.hooks.as_ref()
    }

    /// When it started, in milliseconds since 1970.
    pub(super) fn started_at_ms(&self) -> u64 {
        self.started_at_ms
    }

    /// Asks for the end of the process, as SIGTERM does.
    pub(super) fn ask_for_the_end(&self) {
        // Full means that it was asked for already.
        let _ = self.ask.try_send(Signal::Asked);
    }

    /// The sockets are there.
    pub fn listens(&self, sockets: Observer) {
        // Set once, by whoever starts the node.
        let _ = self.sockets.set(sockets);
    }

    /// It counts whom it refuses.
    pub fn refuses(&self, sign_in: SignIn) {
        // Set once, by whoever starts the node.
        let _ = self.sign_in.set(sign_in);
    }

    /// It serves the chat, with files.
    pub fn chats(&self, files: Files) {
        // Set once, by whoever starts the node.
        let _ = self.files.set(files);
    }

    /// It serves worlds.
    pub fn has_worlds(&self, worlds: Worlds) {
        // Set once, by whoever starts the node.
        let _ = self.worlds.set(worlds);
    }

    /// It has sources and sinks.
    pub fn bridges(&self, flows: Arc<Flows>) {
        // Set once, by whoever starts the node.
        let _ = self.flows.set(flows);
    }

    /// Whether every event loop gives a sign of life.
    pub async fn loops_answer(&self) -> bool {
        self.loop_lags().await.iter().all(Option::is_some)
    }

    /// Asks each event loop for a sign of life. `None` stands for one that gave none in time.
    async fn loop_lags(&self) -> Vec<Option<Duration>> {
        let asked = Instant::now();
        let answers = (0..self.hub.shard_count()).map(|index| self.answer_of(index, asked));
        let mut lags = Vec::new();
        // All are asked before the first is awaited.
        for answer in answers.collect::<Vec<_>>() {
            lags.push(answer.await);
        }
        lags
    }

    fn answer_of(
        &self,
        index: usize,
        asked: Instant,
    ) -> impl Future<Output = Option<Duration>> + Send + use<> {
        let (send, answer) = oneshot::channel();
        let sent = self.hub.run_on(index, move |_| {
            // Whoever asked may have given up.
            let _ = send.send(asked.elapsed());
        });
        async move {
            sent.ok()?;
            let left = LOOP_PATIENCE.saturating_sub(asked.elapsed());
            tokio::time::timeout(left, answer).await.ok()?.ok()
        }
    }

    fn count(&self, lags: &[Option<Duration>]) -> Snapshot {
        let (hub, logs) = (self.hub.stats(), self.hub.log_stats());
        let sockets = self.sockets.get().map(Observer::stats).unwrap_or_default();
        let namespaces = self.hub.namespaces().into_iter();
        let namespaces: Vec<_> = namespaces
            .map(|namespace| NamespaceCount {
                name: namespace.name().to_owned(),
                sockets: namespace.socket_count() as u64,
                rooms: namespace.room_count() as u64,
            })
            .collect();
        let closed = CLOSE_REASONS.iter().zip(hub.closed);
        let logs = logs.into_iter().map(|(namespace, log)| LogCount {
            namespace,
            entries: log.entries as u64,
            bytes: log.bytes as u64,
            reach_ms: log.reach_ms,
        });
        let forwarded = sockets.forwarded.iter();
        let forwarded = forwarded.map(|count| (count.kind, count.result, count.count));
        let forwarding = sockets.forwarding.iter();
        let forwarding = forwarding.map(|(kind, open)| (*kind, *open as u64));
        let revocations = self.backing.revocations();
        let (revocations, sockets_revoked) =
            revocations.map_or((0, 0), |revocations| revocations.counts());
        let slowest = lags.iter().map(|lag| lag.unwrap_or(LOOP_PATIENCE)).max();
        Snapshot {
            node: self.name.clone(),
            started_at_ms: self.started_at_ms,
            uptime_ms: ms(self.started.elapsed()),
            loops: lags.len() as u64,
            io_uring_loops: sockets.io_uring_loops as u64,
            loop_lag_ms: ms(slowest.unwrap_or_default()),
            open_streams: sockets.connections as u64,
            connections_websocket: hub.websocket,
            connections_polling: hub.sessions.saturating_sub(hub.websocket),
            sockets: hub.sockets,
            rooms: namespaces.iter().map(|namespace| namespace.rooms).sum(),
            namespaces,
            messages_in: hub.packets_in,
            messages_out: hub.packets_out,
            messages_refused: hub.refused_events,
            bytes_in: sockets.bytes_in,
            bytes_out: sockets.bytes_out,
            sessions_opened: hub.sessions + hub.closed.iter().sum::<u64>(),
            sessions_closed: closed
                .map(|(reason, count)| (reason.as_str(), count))
                .collect(),
            handshakes_refused: sockets.refused.into_iter().collect(),
            limits_hit: self.hub.limit_hits(),
            acts_refused: self.hub.refused_acts(),
            sign_ins_refused: self.sign_in.get().map_or_else(Vec::new, SignIn::refusals),
            revocations: revocations as u64,
            sockets_revoked,
            forwarded: forwarded.collect(),
            forwarding: forwarding.collect(),
            packets_dropped: [
                ("volatile", hub.dropped_volatile),
                ("slow_reader", hub.dropped_slow),
                ("conflated", hub.conflated),
            ]
            .into(),
            recoveries: [("recovered", hub.recovered), ("refused", hub.not_recovered)].into(),
            recovery_logs: logs.collect(),
            store: store_count(self.backing.store()),
            broker: None,
            hooks: Vec::new(),
            gates: Vec::new(),
            sources: self
                .flows
                .get()
                .map(|flows| flows.sources())
                .unwrap_or_default(),
            sinks: self
                .flows
                .get()
                .map(|flows| flows.sinks())
                .unwrap_or_default(),
            chat: self.files.get().map(|files| ChatCount {
                chat: files.chat().figures(),
                files: files.figures(),
            }),
            world: self.worlds.get().map(Worlds::figures),
        }
    }
}

impl Observed for Node {
    fn snapshot(&self) -> Later<'_, Snapshot> {
        Box::pin(async {
            let mut snapshot = self.count(&self.loop_lags().await);
            if let Some(link) = self.backing.link() {
                snapshot.broker = link.count().await;
            }
            if let Some(hooks) = &self.hooks {
                snapshot.hooks = hooks.status().await;
                snapshot.gates = hooks.gates();
            }
            snapshot
        })
    }

    fn checks(&self) -> Later<'_, Vec<Check>> {
        Box::pin(async {
            let loops = check_loops(&self.loop_lags().await);
            let mut checks = self.backing.checks();
            checks.push(loops);
            checks.extend(self.flows.get().map(|flows| super::flows::check(flows)));
            checks
        })
    }

    fn draining(&self) -> bool {
        self.sockets
            .get()
            .is_some_and(|sockets| !sockets.is_ready())
    }
}

fn store_count(store: &Store) -> StoreCount {
    let stats = store.stats();
    StoreCount {
        ok: store.health().is_ok(),
        commits: stats.commits,
        writes: stats.batches,
        writes_failed: stats.batches_failed,
        reads: stats.reads,
        refused: stats.writes_busy + stats.reads_busy,
        waiting: stats.write_queue + stats.read_queue,
        file_bytes: stats.file_bytes,
        wal_bytes: stats.wal_bytes,
    }
}

fn check_loops(lags: &[Option<Duration>]) -> Check {
    let stuck = lags.iter().filter(|lag| lag.is_none()).count();
    let detail = (stuck > 0).then(|| {
        let patience = LOOP_PATIENCE.as_secs();
        format!(
            "{stuck} of {} did not answer within {patience} s",
            lags.len()
        )
    });
    Check::of_a_need("loops", detail)
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use lakh_hub::Settings;
    use lakh_net::SystemClock;

    use super::*;

    fn node(shards: usize) -> Arc<Node> {
        let settings = Settings {
            shards,
            ..Settings::default()
        };
        let hub = Hub::new(settings, SystemClock::default());
        let _ = hub.of("/chat");
        Node::new(
            "n1".into(),
            5,
            hub,
            Arc::new(Backing::alone(Store::memory())),
            mpsc::channel(1).0,
            None,
        )
    }

    #[tokio::test(start_paused = true)]
    async fn loops_that_do_not_run_are_told_after_the_time_for_an_answer() {
        let node = node(2);
        let checks = node.checks().await;
        let loops = checks.iter().find(|check| check.name == "loops").unwrap();
        let detail = loops.detail.as_deref().unwrap();
        assert_eq!(detail, "2 of 2 did not answer within 2 s");
        assert!(!node.loops_answer().await);
        assert!(!loops.ok);
        assert_eq!(node.snapshot().await.loop_lag_ms, 2_000);
    }

    #[tokio::test]
    async fn running_loops_answer_and_a_closed_store_is_told() {
        let node = node(2);
        let server = lakh_net::Server::new(
            node.hub.clone(),
            lakh_net::Options {
                listen: lakh_net::accept::ListenAddress::Tcp(([127, 0, 0, 1], 0).into()),
                ..lakh_net::Options::default()
            },
        );
        assert!(!node.draining(), "it has not begun to serve");
        let running = server.start().unwrap();
        node.listens(running.observer());
        assert!(node.checks().await.iter().all(|check| check.ok));
        assert!(node.loops_answer().await);
        let snapshot = node.snapshot().await;
        assert_eq!((snapshot.loops, snapshot.started_at_ms), (2, 5));
        assert_eq!(snapshot.namespaces[0].name, "/chat");
        assert!(!node.draining());

        node.backing.close().await.unwrap();
        let checks = node.checks().await;
        assert_eq!(checks[0].detail.as_deref(), Some("it is closed"));
        running.stop().await;
        assert!(node.draining());
    }
}
