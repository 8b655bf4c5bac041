//! Nodes with hooks: a hub, a store, and a runtime of their own that can be killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lakh_bridge::hooks::{Config, Endpoint, EndpointStatus, Hooks, Retry, Secret};
use lakh_bridge::lease::{Leases, Time};
use lakh_hub::store::Store;
use lakh_hub::{Clock, Hub, Millis, Occurrence, Settings, What};
use serde_json::json;
use serde_json::value::to_raw_value;
use tokio::runtime::Runtime;

/// Time as it is.
#[derive(Clone)]
pub(crate) struct RealClock(Instant);

impl Default for RealClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for RealClock {
    fn now(&self) -> Millis {
        Millis(u64::try_from(self.0.elapsed().as_millis()).unwrap())
    }

    fn wall_ms(&self) -> u64 {
        let since = std::time::UNIX_EPOCH.elapsed().unwrap();
        u64::try_from(since.as_millis()).unwrap()
    }
}

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

pub(crate) fn secret() -> Secret {
    Secret::parse(SECRET).unwrap()
}

/// An endpoint that a test doesn't have to wait for.
pub(crate) fn endpoint(url: &str) -> Endpoint {
    Endpoint {
        batch_wait: Duration::from_millis(10),
        timeout: Duration::from_secs(20),
        retry: Retry {
            first_ms: 20,
            longest_ms: 200,
        },
        ..Endpoint::new("crm", url, vec![secret()])
    }
}

/// A node.
pub(crate) struct Node {
    pub(crate) hub: Hub,
    pub(crate) hooks: Hooks,
    runtime: Option<Runtime>,
}

/// The leases of one life of a node.
pub(crate) fn leases(name: &str, store: &Store, shared: bool) -> Leases {
    static LIVES: AtomicU64 = AtomicU64::new(0);
    let life = LIVES.fetch_add(1, Ordering::Relaxed);
    let time = Time {
        wall_ms: || RealClock::default().wall_ms(),
        instant: tokio::time::Instant::now,
    };
    Leases::new(store.clone(), &format!("{name}-{life}"), shared, time)
}

impl Node {
    pub(crate) fn start(name: &str, store: &Store, endpoints: Vec<Endpoint>, shared: bool) -> Self {
        let settings = Settings {
            node: name.into(),
            ..Settings::default()
        };
        let hub = Hub::new(settings, RealClock::default());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let config = Config {
            endpoints,
            gates: Vec::new(),
            durable: true,
        };
        let leases = leases(name, store, shared);
        let hooks = runtime.block_on(async { Hooks::start(&hub, &leases, config).unwrap() });
        Self {
            hub,
            hooks,
            runtime: Some(runtime),
        }
    }

    /// Somebody says something in a room.
    pub(crate) fn say(&self, room: &str, seq: u64) {
        self.hub.tell(What::Message, "/", || {
            let mut said = Occurrence::new(What::Message, "/", "rooms", self.hub.wall_ms());
            said.event = Some("said".into());
            said.data = to_raw_value(&json!({ "n": seq })).ok();
            said.seq = Some(seq);
            said.in_room(room)
        });
    }

    pub(crate) fn run<R>(&self, work: impl Future<Output = R>) -> R {
        self.runtime.as_ref().unwrap().block_on(work)
    }

    pub(crate) fn status(&self) -> EndpointStatus {
        self.run(self.hooks.status()).remove(0)
    }

    /// Waits until something holds for the endpoint.
    pub(crate) fn until(&self, what: &str, holds: impl Fn(&EndpointStatus) -> bool) {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let status = self.status();
            if holds(&status) {
                return;
            }
            assert!(Instant::now() < end, "waited for {what}: {status:?}");
            // There is no event to wait for: counts change silently.
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The end as the server makes it.
    pub(crate) fn close(self) {
        self.run(self.hooks.close(Duration::from_secs(10)));
    }

    /// Closes a store for another life to open its file.
    pub(crate) fn nothing_runs(store: &Store) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(store.close()).unwrap();
    }

    /// The end as `kill -9` makes it: nothing runs any more, wherever it was.
    pub(crate) fn kill(mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }
}

/// A store in a folder.
pub(crate) fn sqlite(folder: &tempfile::TempDir) -> Store {
    let options = lakh_hub::store::SqliteOptions::default();
    Store::sqlite(folder.path().join("lakh.db"), &options).unwrap()
}

/// Says `count` messages in each room, one after the other in turn.
pub(crate) fn say_all(node: &Node, rooms: &[&str], numbers: std::ops::RangeInclusive<u64>) {
    for seq in numbers {
        for room in rooms {
            node.say(room, seq);
        }
    }
}

pub(crate) fn to(count: u64) -> Vec<u64> {
    (1..=count).collect()
}

pub(crate) fn shared<T>(value: T) -> (Arc<T>, Arc<T>) {
    let value = Arc::new(value);
    (Arc::clone(&value), value)
}
