//! Nodes of the tests: each a runtime of its own, so that one can be killed in the middle of anything.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lakh_bridge::flows::{
    Config, Event, Figures, Flows, Known, Publish, PublishError, Publishing, SinkSettings,
    SourceSettings, State,
};
use lakh_bridge::lease::{Leases, Time};
use lakh_hub::store::Store;
use lakh_hub::{Clock, Hub, Millis, Settings};
use parking_lot::Mutex;
use tokio::runtime::Runtime;

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

struct Wall(Instant);

impl Clock for Wall {
    fn now(&self) -> Millis {
        Millis(u64::try_from(self.0.elapsed().as_millis()).unwrap())
    }

    fn wall_ms(&self) -> u64 {
        now_ms()
    }
}

/// What was published: room, number, id. Knows what was, as a log does that outlives its process.
#[derive(Default)]
pub(crate) struct Rooms {
    pub(crate) published: Mutex<Vec<(String, u64, String)>>,
    ids: Mutex<HashSet<String>>,
    pub(crate) closed: AtomicBool,
}

pub(crate) struct Door(pub(crate) Arc<Rooms>);

impl Publish for Door {
    fn known(&self, event: &Event) -> Known {
        let known = self.0.ids.lock().contains(&event.id);
        Box::pin(async move { Ok(known) })
    }

    fn publish(&self, event: Event) -> Result<Publishing, PublishError> {
        let rooms = &self.0;
        if rooms.closed.load(Ordering::SeqCst) {
            return Err(PublishError::Unavailable("closed for the test".to_owned()));
        }
        if &*event.room == "forbidden" {
            return Err(PublishError::Refused("nobody may".to_owned()));
        }
        assert!(!event.id.is_empty());
        assert!(rooms.ids.lock().insert(event.id.clone()), "{event:?} again");
        let number = event.data.get().parse().unwrap();
        let mut published = rooms.published.lock();
        published.push((event.room.into(), number, event.id));
        Ok(Box::pin(async { Ok(Some(1)) }))
    }
}

impl Rooms {
    pub(crate) fn count(&self) -> usize {
        self.published.lock().len()
    }

    /// That each room got each number once, in order.
    pub(crate) fn check(&self, rooms: usize, each: u64) {
        let published = self.published.lock();
        for room in 0..rooms {
            let name = format!("room{room}");
            let numbers = published.iter().filter(|(found, ..)| *found == name);
            let numbers: Vec<_> = numbers.map(|(_, number, _)| *number).collect();
            assert_eq!(numbers, (0..each).collect::<Vec<_>>(), "{name}");
        }
    }
}

/// A node.
pub(crate) struct Node {
    runtime: Option<Runtime>,
    pub(crate) flows: Arc<Flows>,
    pub(crate) hub: Hub,
}

impl Node {
    pub(crate) fn start(
        name: &str,
        store: &Store,
        shared: bool,
        rooms: &Arc<Rooms>,
        flows: (Vec<SourceSettings>, Vec<SinkSettings>),
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let settings = Settings {
            shards: 1,
            ..Settings::default()
        };
        let hub = Hub::new(settings, Wall(Instant::now()));
        let run = format!("{name}-{}", now_ms());
        let time = Time {
            wall_ms: now_ms,
            instant: tokio::time::Instant::now,
        };
        let leases = Leases::new(store.clone(), &run, shared, time);
        let publish: Arc<dyn Publish> = Arc::new(Door(Arc::clone(rooms)));
        let (sources, sinks) = flows;
        let flows = Config {
            sources,
            sinks,
            durable: true,
        };
        let flows = runtime.block_on(async { Flows::start(&hub, flows, &leases, name, &publish) });
        Self {
            runtime: Some(runtime),
            flows: Arc::new(flows),
            hub,
        }
    }

    /// As a kill would: what is under way stays undone.
    pub(crate) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Whatever it does at this moment is done when the next one begins.
            runtime.shutdown_timeout(lakh_testkit::BOUND);
        }
    }

    pub(crate) fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.block_on(self.flows.stop());
            runtime.shutdown_background();
        }
    }

    pub(crate) fn source(&self) -> Figures {
        self.flows.sources().remove(0)
    }

    pub(crate) fn sink(&self) -> Figures {
        self.flows.sinks().remove(0)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Which of two nodes does the work.
pub(crate) fn at_work(nodes: &[Node], figures: fn(&Node) -> Figures) -> Option<usize> {
    nodes
        .iter()
        .position(|node| node.runtime.is_some() && figures(node).state == State::Up)
}

/// Waits until something holds; says what if it doesn't.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + lakh_testkit::BOUND;
    while !holds() {
        assert!(Instant::now() < end, "it did not come to this: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Opens the store of a node that was killed. A process that another test starts at this moment holds what this one has
/// open, its lock too, until it is on its own.
pub(crate) fn reopened(folder: &std::path::Path) -> Store {
    let mut opened = None;
    until("the store is free", || {
        let options = lakh_hub::store::SqliteOptions::default();
        opened = Store::sqlite(folder.join("lakh.db"), &options).ok();
        opened.is_some()
    });
    opened.unwrap()
}
