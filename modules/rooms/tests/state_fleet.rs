//! State of rooms on three nodes over a real Redis, each on a thread with a hub, a link and a store of its own: every view
//! on every node equals a plain map, whatever links the nodes, and what belongs to a node that was killed is removed.

mod driver;
mod views;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc as sync_mpsc;
use std::time::Duration;

use driver::{Client, Loop, TestClock, hub_with};
use lakh_hub::redis::{Backend, Config as LinkConfig, Link};
use lakh_hub::store::{RedisOptions, Store};
use lakh_hub::{Clock, Settings, Shard};
use lakh_rooms::{Config, Nodes, RoomOptions, StateOptions, StateSetup};
use lakh_testkit::redis::Redis;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use views::View;

/// Tells a hang from slowness, and nothing else.
const BOUND: Duration = Duration::from_secs(120);

/// What a node has.
struct Here {
    on: std::rc::Rc<Loop>,
    clients: Vec<Client>,
    views: Vec<View>,
}

type Job = Box<dyn for<'a> FnOnce(&'a mut Here) -> Pin<Box<dyn Future<Output = ()> + 'a>> + Send>;

/// A node on its thread. Dropped it's gone at once, as if it had been killed.
struct Node {
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
    fn start_job<R: Send + 'static>(
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

    fn run<R: Send + 'static>(&self, job: impl AsyncFnOnce(&mut Here) -> R + Send + 'static) -> R {
        self.start_job(job).recv_timeout(BOUND).expect("an outcome")
    }

    /// Somebody who writes; gives their place.
    fn writer(&self, name: &str) -> usize {
        let name = name.to_owned();
        self.run(async move |here| {
            let client = here.on.connect("/", &name).await;
            client.ok("room:join", json!({"room": "r"})).await;
            here.clients.push(client);
            here.clients.len() - 1
        })
    }

    fn request(&self, writer: usize, name: &'static str, request: Value) -> Value {
        self.run(async move |here| here.clients[writer].request(name, request).await)
    }

    /// Somebody who follows the state from here on.
    fn follow(&self, how: Value) -> sync_mpsc::Receiver<()> {
        self.start_job(async move |here| {
            let mut view = View::of(here.on.connect("/", "viewer").await);
            view.follow("r", how).await;
            here.views.push(view);
        })
    }

    /// What all who follow have in the end.
    fn views(&self, end: u64) -> Vec<BTreeMap<String, Value>> {
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

struct Fleet {
    clock: TestClock,
    nodes: Vec<Node>,
    _redis: Redis,
}

fn fleet(backend: &Backend) -> Fleet {
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

/// A small generator: the same acts for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }
}

#[derive(Clone)]
struct Kept {
    value: Value,
    version: u64,
    expires_at: Option<u64>,
}

/// Acts on all nodes, several at once and of different keys; who joins does so in the middle of them.
fn model(backend: &Backend, seed: u64) {
    let fleet = fleet(backend);
    let (nodes, clock) = (&fleet.nodes, &fleet.clock);
    let mut random = Random(seed);
    let mut map: BTreeMap<String, Kept> = BTreeMap::new();
    for node in nodes {
        node.writer("Ada");
        node.writer("Ben");
    }
    let mut joining = Vec::new();
    for round in 0..60 {
        let now = clock.wall_ms();
        map.retain(|_, kept| kept.expires_at.is_none_or(|at| at > now));
        let first = random.below(10);
        let mut sent = Vec::new();
        for n in 0..=random.below(6) {
            let key = format!("k{}", (first + n) % 10);
            let old = map.get(&key).map_or(0, |kept| kept.version);
            let condition = [Some(old), Some(old + 1), None][random.below(3) as usize];
            let mut request = json!({"room": "r", "key": key});
            if let Some(condition) = condition {
                request["if_version"] = json!(condition);
            }
            let fits = condition.is_none_or(|condition| condition == old);
            let value = json!({"n": random.below(1_000), "text": "x".repeat(300)});
            let kept = match random.below(4) {
                0 => None,
                kind => {
                    request["value"] = value.clone();
                    let ttl = (kind == 1).then(|| 1 + random.below(4_000));
                    if let Some(ttl) = ttl {
                        request["ttl_ms"] = json!(ttl);
                    }
                    let expires_at = ttl.map(|ttl| now + ttl);
                    Some(Kept {
                        value,
                        version: 0,
                        expires_at,
                    })
                }
            };
            let name = if kept.is_some() {
                "state:set"
            } else {
                "state:delete"
            };
            let (node, writer) = (random.below(3) as usize, random.below(2) as usize);
            let answer = nodes[node].start_job(async move |here| {
                // Sent, so that others may be, and answered when it's asked for.
                (writer, here.clients[writer].request_later(name, request))
            });
            sent.push((key, node, answer, kept, fits));
        }
        if round % 6 == 0 {
            let how = [json!({}), json!({"delta": true}), json!({"conflate": true})];
            let how = how[random.below(3) as usize].clone();
            joining.push(nodes[random.below(3) as usize].follow(how));
        }
        for (key, node, answer, kept, fits) in sent {
            let (writer, id) = answer.recv_timeout(BOUND).expect("it was sent");
            let answer = nodes[node].run(async move |here| here.clients[writer].answer(id).await);
            assert_eq!(answer["ok"], json!(fits), "{key}: {answer}");
            match kept {
                _ if !fits => assert_eq!(answer["error"]["code"], "conflict"),
                Some(kept) => {
                    let version = answer["version"].as_u64().expect("a version");
                    map.insert(key, Kept { version, ..kept });
                }
                None => drop(map.remove(&key)),
            }
        }
        if random.below(4) == 0 {
            clock.advance(random.below(2_000));
        }
    }
    for joined in joining {
        joined.recv_timeout(BOUND).expect("who joined");
    }
    clock.advance(4_000);
    map.retain(|_, kept| kept.expires_at.is_none());
    compare(nodes, &map);
}

/// Every view on every node, and what each node says when it's asked, is what the map says.
fn compare(nodes: &[Node], map: &BTreeMap<String, Kept>) {
    let end = nodes[0].request(
        0,
        "state:set",
        json!({"room": "r", "key": "end", "value": 1}),
    );
    let end = end["version"].as_u64().expect("a version");
    let values = map
        .iter()
        .map(|(key, kept)| (key.clone(), kept.value.clone()));
    let expected: BTreeMap<_, _> = values.chain([("end".to_owned(), json!(1))]).collect();
    let mut compared = 0;
    for node in nodes {
        for view in node.views(end) {
            assert_eq!(view, expected);
            compared += 1;
        }
        let got = node.request(1, "state:get", json!({"room": "r"}));
        assert_eq!(got["version"], json!(end));
        for (key, kept) in map {
            assert_eq!(got["entries"][key]["version"], json!(kept.version), "{key}");
        }
    }
    assert_eq!(compared, 10);
}

#[test]
fn views_on_three_nodes_equal_a_plain_map_where_a_stream_links_them() {
    model(&Backend::streams(), 4_711);
}

#[test]
fn views_on_three_nodes_equal_a_plain_map_where_they_are_linked_without_a_log() {
    model(&Backend::Classic, 815);
}

#[test]
fn counting_up_from_all_nodes_at_once_loses_nothing() {
    let fleet = fleet(&Backend::streams());
    for node in &fleet.nodes {
        node.writer("Ada");
    }
    let counting: Vec<_> = fleet
        .nodes
        .iter()
        .map(|node| {
            node.start_job(async |here| {
                for _ in 0..40 {
                    loop {
                        let client = &here.clients[0];
                        let got = client
                            .ok("state:get", json!({"room": "r", "keys": ["n"]}))
                            .await;
                        let entry = &got["entries"]["n"];
                        let next = entry["value"].as_u64().unwrap_or(0) + 1;
                        let version = entry["version"].as_u64().unwrap_or(0);
                        let request =
                            json!({"room": "r", "key": "n", "value": next, "if_version": version});
                        let answer = client.request("state:set", request).await;
                        if answer["ok"] == json!(true) {
                            break;
                        }
                        assert_eq!(answer["error"]["code"], "conflict", "{answer}");
                    }
                }
            })
        })
        .collect();
    for counted in counting {
        counted.recv_timeout(BOUND).expect("it has counted");
    }
    let got = fleet.nodes[1].request(0, "state:get", json!({"room": "r"}));
    assert_eq!(got["entries"]["n"]["value"], 120);
}

#[test]
fn a_lock_goes_round_three_nodes_in_order() {
    let fleet = fleet(&Backend::streams());
    let acquire = json!({"room": "r", "name": "l", "ttl_ms": 60_000, "wait_ms": 60_000});
    for node in &fleet.nodes {
        node.writer("Ada");
    }
    let held = fleet.nodes[0].request(0, "lock:acquire", acquire.clone());
    assert_eq!(held["ok"], true, "{held}");
    let watching = |count: u64| {
        fleet.nodes[0].run(async move |here| {
            let client = &here.clients[0];
            loop {
                let watched = client.ok("lock:watch", json!({"room": "r"})).await;
                if watched["locks"][0]["waiting"] == json!(count) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        });
    };
    let wait = |node: usize| {
        let acquire = acquire.clone();
        fleet.nodes[node].start_job(async move |here| {
            let client = &here.clients[0];
            let got = client.request("lock:acquire", acquire).await;
            let token = got["token"].clone();
            let release = json!({"room": "r", "name": "l", "token": token});
            client.ok("lock:release", release).await;
            token.as_u64()
        })
    };
    let second = wait(1);
    watching(1);
    let third = wait(2);
    watching(2);
    let token = held["token"].as_u64();
    let release = json!({"room": "r", "name": "l", "token": token});
    assert_eq!(
        fleet.nodes[0].request(0, "lock:release", release)["ok"],
        true
    );
    let second = second.recv_timeout(BOUND).expect("the second");
    let third = third.recv_timeout(BOUND).expect("the third");
    assert!(
        token < second && second < third,
        "{token:?} {second:?} {third:?}"
    );
}

#[test]
fn what_belongs_to_a_node_that_was_killed_is_removed_and_what_belongs_to_others_stays() {
    let mut fleet = fleet(&Backend::streams());
    for node in &fleet.nodes {
        let writer = node.writer("Ada");
        node.follow(json!({}))
            .recv_timeout(BOUND)
            .expect("it follows");
        let key = format!(
            "of{}",
            fleet
                .nodes
                .iter()
                .position(|other| std::ptr::eq(other, node))
                .expect("it")
        );
        let request = json!({"room": "r", "key": key, "value": 1, "bind": "socket"});
        assert_eq!(node.request(writer, "state:set", request)["ok"], true);
    }
    let request = json!({"room": "r", "key": "hers", "value": 1, "bind": "person"});
    assert_eq!(fleet.nodes[2].request(0, "state:set", request)["ok"], true);
    drop(fleet.nodes.pop());
    let clock = fleet.clock.clone();
    let left = |node: &Node| {
        let clock = clock.clone();
        node.run(async move |here| {
            let view = &mut here.views[0];
            view.until("all of them", |view| view.len() == 4).await;
            while view.entries.contains_key("of2") {
                // The living say so in real time, and are asked after by this clock.
                tokio::time::sleep(Duration::from_millis(100)).await;
                clock.advance(50);
                view.take();
            }
            view.entries.clone()
        })
    };
    for node in &fleet.nodes {
        let left: Vec<String> = left(node).into_keys().collect();
        assert_eq!(left, ["hers", "of0", "of1"], "her other sockets are there");
    }
}
