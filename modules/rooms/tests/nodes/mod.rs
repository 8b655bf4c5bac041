//! Three nodes over a real Redis, each on a thread with a hub, a link and a store of its own.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc as sync_mpsc;
use std::time::Duration;

use lakh_hub::redis::{Backend, Config as LinkConfig, Link};
use lakh_hub::store::{RedisOptions, Store};
use lakh_hub::{Clock, Settings, Shard};
use lakh_rooms::{Config, Nodes, RoomOptions, StateOptions, StateSetup};
use lakh_testkit::redis::Redis;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::driver::{Client, Loop, TestClock, hub_with};
use crate::views::View;

/// Tells a hang from slowness, and nothing else.
pub(crate) const BOUND: Duration = Duration::from_secs(120);

/// What a node has.
pub(crate) struct Here {
    pub(crate) on: std::rc::Rc<Loop>,
    pub(crate) clients: Vec<Client>,
    pub(crate) views: Vec<View>,
}

pub(crate) type Job =
    Box<dyn for<'a> FnOnce(&'a mut Here) -> Pin<Box<dyn Future<Output = ()> + 'a>> + Send>;

/// A node on its thread. Dropped it's gone at once, as if it had been killed.
pub(crate) struct Node {
    jobs: Option<mpsc::UnboundedSender<Job>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

fn link(redis: &Redis, backend: Backend, clock: &TestClock) -> LinkConfig {
    let clock = clock.clone();
    LinkConfig {
        echo: true,
        backoff: (Duration::from_millis(5), Duration::from_millis(50)),
        ..LinkConfig::new(&redis.url(), backend, Arc::new(move || clock.now().0))
    }
}

impl Node {
    fn start(name: &str, redis: &Redis, backend: Backend, clock: &TestClock) -> Self {
        let (jobs, mut receive) = mpsc::unbounded_channel::<Job>();
        let (ready, is_ready) = sync_mpsc::channel();
        let link = link(redis, backend, clock);
        let (name, url, clock) = (name.to_owned(), redis.url(), clock.clone());
        let thread = std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().expect("a runtime");
            tokio::task::LocalSet::new().block_on(&runtime, async move {
                let settings = Settings {
                    node: name,
                    ..Settings::default()
                };
                let hub = hub_with(settings, &clock, &["/"]);
                let (link, inbound) = Link::open(link).expect("a link");
                tokio::spawn(hub.join_cluster(link, inbound).expect("in the fleet"));
                let store = Store::redis(&url, &RedisOptions::default()).expect("a store");
                lakh_rooms::install(&hub, store, config());
                let on = Loop::start(&hub, 0);
                hub.cluster_ready().await;
                ready.send(()).expect("the test waits");
                let mut here = Here {
                    on,
                    clients: Vec::new(),
                    views: Vec::new(),
                };
                while let Some(job) = receive.recv().await {
                    job(&mut here).await;
                }
            });
            Shard::exit();
        });
        is_ready.recv_timeout(BOUND).expect("a node that is ready");
        Self {
            jobs: Some(jobs),
            thread: Some(thread),
        }
    }

    /// Has something done, and gives where its outcome arrives.
    pub(crate) fn start_job<R: Send + 'static>(
        &self,
        job: impl AsyncFnOnce(&mut Here) -> R + Send + 'static,
    ) -> sync_mpsc::Receiver<R> {
        let (send, receive) = sync_mpsc::channel();
        let job: Job = Box::new(move |here| {
            Box::pin(async move {
                let _ = send.send(job(here).await);
            })
        });
        assert!(
            self.jobs
                .as_ref()
                .is_some_and(|jobs| jobs.send(job).is_ok())
        );
        receive
    }

    pub(crate) fn run<R: Send + 'static>(
        &self,
        job: impl AsyncFnOnce(&mut Here) -> R + Send + 'static,
    ) -> R {
        self.start_job(job).recv_timeout(BOUND).expect("an outcome")
    }

    /// Somebody who writes; gives their place.
    pub(crate) fn writer(&self, name: &str) -> usize {
        let name = name.to_owned();
        self.run(async move |here| {
            let client = here.on.connect("/", &name).await;
            client.ok("room:join", json!({"room": "r"})).await;
            here.clients.push(client);
            here.clients.len() - 1
        })
    }

    pub(crate) fn request(&self, writer: usize, name: &'static str, request: Value) -> Value {
        self.run(async move |here| here.clients[writer].request(name, request).await)
    }

    /// Somebody who follows the state from here on.
    pub(crate) fn follow(&self, how: Value) -> sync_mpsc::Receiver<()> {
        self.start_job(async move |here| {
            let mut view = View::of(here.on.connect("/", "viewer").await);
            view.follow("r", how).await;
            here.views.push(view);
        })
    }

    /// What all who follow have in the end.
    pub(crate) fn views(&self, end: u64) -> Vec<BTreeMap<String, Value>> {
        self.run(async move |here| {
            let mut all = Vec::new();
            for view in &mut here.views {
                while view.version < end {
                    let event = view.client.any("the end").await;
                    view.event(&event);
                }
                assert_eq!(view.version, end);
                all.push(view.entries.clone());
            }
            all
        })
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "a node panicked");
        }
    }
}

fn config() -> Config {
    Config {
        options: vec![RoomOptions {
            state: StateOptions {
                writes_per_second: 1_000_000,
                owner_grace_ms: 1_000,
                ..StateOptions::default()
            },
            ..RoomOptions::of("*")
        }],
        state: StateSetup {
            nodes: Nodes::SharedStore,
            ..StateSetup::default()
        },
        ..Config::default()
    }
}

pub(crate) struct Fleet {
    pub(crate) clock: TestClock,
    pub(crate) nodes: Vec<Node>,
    _redis: Redis,
}

pub(crate) fn fleet(backend: &Backend) -> Fleet {
    let redis = Redis::start(&["--appendonly", "no"]).expect("a Redis");
    let clock = TestClock::default();
    let names = ["na1", "nb2", "nc3"];
    let nodes = names.map(|name| Node::start(name, &redis, backend.clone(), &clock));
    Fleet {
        clock,
        nodes: nodes.into(),
        _redis: redis,
    }
}
