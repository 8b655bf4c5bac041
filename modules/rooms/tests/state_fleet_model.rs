//! Random acts on three nodes against a plain map: writes and locks, several at once, while members join, owners leave in
//! each way there is, and entries expire. Every view on every node equals the map in the end, whatever links the nodes, and on
//! the way no change is missed or doubled.

mod driver;
mod nodes;
mod views;

use std::collections::BTreeMap;
use std::sync::mpsc::Receiver;

use driver::TestClock;
use lakh_hub::Clock;
use lakh_hub::redis::Backend;
use nodes::{BOUND, Fleet, Node, fleet};
use serde_json::{Value, json};
use views::Random;

const KEYS: u64 = 10;
const LOCKS: u64 = 3;
const WRITERS: u64 = 2;
const ROUNDS: usize = 60;
/// What the clock may move on by in all. Nodes say in real time that they live, and are believed for ten seconds of this one.
const CLOCK_MS: u64 = 8_500;
/// The grace of owners whose connection breaks.
const GRACE_MS: u64 = 1_000;

/// A writer: node, and place there.
type Writer = (usize, usize);

/// What stands in the plain map.
#[derive(Clone)]
struct Kept {
    value: Value,
    version: u64,
    expires_at: Option<u64>,
    /// Whose leaving removes it.
    owner: Option<Writer>,
}

/// A write that was sent and not answered yet, and what is to come of it.
struct Sent {
    key: String,
    node: usize,
    writer_and_id: Receiver<(usize, u64)>,
    kept: Option<Kept>,
    fits: bool,
}

struct World {
    fleet: Fleet,
    random: Random,
    map: BTreeMap<String, Kept>,
    /// Who holds which lock, by which token.
    locks: BTreeMap<String, (Writer, u64)>,
    joining: Vec<Receiver<()>>,
    clock_left_ms: u64,
    /// How often an owner's leaving removed something.
    removed: usize,
}

impl World {
    fn new(backend: &Backend, seed: u64) -> Self {
        let fleet = fleet(backend);
        for node in &fleet.nodes {
            node.writer("Ada");
            node.writer("Ben");
        }
        Self {
            fleet,
            random: Random(seed),
            map: BTreeMap::new(),
            locks: BTreeMap::new(),
            joining: Vec::new(),
            clock_left_ms: CLOCK_MS,
            removed: 0,
        }
    }

    fn clock(&self) -> &TestClock {
        &self.fleet.clock
    }

    fn node(&self, at: usize) -> &Node {
        &self.fleet.nodes[at]
    }

    fn anybody(&mut self) -> Writer {
        (
            self.random.below(3) as usize,
            self.random.below(WRITERS) as usize,
        )
    }

    fn advance(&mut self, ms: u64) -> bool {
        let enough = ms <= self.clock_left_ms;
        if enough {
            self.clock().advance(ms);
            self.clock_left_ms -= ms;
        }
        enough
    }

    fn expire(&mut self) {
        let now = self.clock().wall_ms();
        self.map
            .retain(|_, kept| kept.expires_at.is_none_or(|at| at > now));
    }

    /// Sends a write of this key, by anybody.
    fn send(&mut self, key: String) -> Sent {
        let by = self.anybody();
        let now = self.clock().wall_ms();
        let old = self.map.get(&key).map_or(0, |kept| kept.version);
        let condition = [Some(old), Some(old + 1), None][self.random.below(3) as usize];
        let mut request = json!({"room": "r", "key": key});
        if let Some(condition) = condition {
            request["if_version"] = json!(condition);
        }
        let fits = condition.is_none_or(|condition| condition == old);
        let kept = match self.random.below(5) {
            0 => None,
            kind => {
                let value = json!({"n": self.random.below(1_000), "text": "x".repeat(300)});
                request["value"] = value.clone();
                let ttl = (kind == 1).then(|| 1 + self.random.below(1_500));
                if let Some(ttl) = ttl {
                    request["ttl_ms"] = json!(ttl);
                }
                let bound = kind >= 3;
                if bound {
                    request["bind"] = json!("socket");
                }
                Some(Kept {
                    value,
                    version: 0,
                    expires_at: ttl.map(|ttl| now + ttl),
                    owner: bound.then_some(by),
                })
            }
        };
        let name = match kept {
            Some(_) => "state:set",
            None => "state:delete",
        };
        let (node, writer) = by;
        let writer_and_id = self.node(node).start_job(async move |here| {
            // Sent, so that others may be, and answered when it's asked for.
            (writer, here.clients[writer].request_later(name, request))
        });
        Sent {
            key,
            node,
            writer_and_id,
            kept,
            fits,
        }
    }

    fn answered(&mut self, sent: Sent) {
        let (writer, id) = sent.writer_and_id.recv_timeout(BOUND).expect("it was sent");
        let answer = self
            .node(sent.node)
            .run(async move |here| here.clients[writer].answer(id).await);
        assert_eq!(answer["ok"], json!(sent.fits), "{}: {answer}", sent.key);
        match sent.kept {
            _ if !sent.fits => assert_eq!(answer["error"]["code"], "conflict"),
            Some(kept) => {
                let version = answer["version"].as_u64().expect("a version");
                self.map.insert(sent.key, Kept { version, ..kept });
            }
            None => drop(self.map.remove(&sent.key)),
        }
    }

    /// Somebody takes a lock, or gives it back.
    fn lock(&mut self) {
        let by = self.anybody();
        let name = format!("l{}", self.random.below(LOCKS));
        let held = self.locks.get(&name).copied();
        let node = self.node(by.0);
        if let Some((holder, token)) = held.filter(|(holder, _)| *holder == by) {
            let release = json!({"room": "r", "name": name, "token": token});
            let answer = node.request(holder.1, "lock:release", release);
            assert_eq!(answer["ok"], true, "{answer}");
            self.locks.remove(&name);
            return;
        }
        let acquire = json!({"room": "r", "name": name, "ttl_ms": 60_000});
        let answer = node.request(by.1, "lock:acquire", acquire);
        assert_eq!(answer["ok"], json!(held.is_none()), "{answer}");
        match answer["token"].as_u64() {
            Some(token) => drop(self.locks.insert(name, (by, token))),
            None => assert_eq!(answer["error"]["code"], "conflict"),
        }
    }

    /// Somebody leaves the room, says goodbye or is cut off for good; and another one is there.
    fn leave(&mut self) {
        let who = self.anybody();
        let how = self.random.below(3);
        if how == 2 && self.clock_left_ms < GRACE_MS {
            return;
        }
        let name = ["Ada", "Ben"][who.1];
        let clock = self.clock().clone();
        self.node(who.0).run(async move |here| {
            let room = json!({"room": "r"});
            match how {
                0 => drop(here.clients[who.1].ok("room:leave", room.clone()).await),
                1 => here.clients[who.1].disconnect(),
                _ => here.clients[who.1].cut(),
            }
            if how > 0 {
                here.clients[who.1] = here.on.connect("/", name).await;
            }
            here.clients[who.1].ok("room:join", room).await;
            if how == 2 {
                clock.advance(GRACE_MS);
            }
        });
        if how == 2 {
            self.clock_left_ms = self.clock_left_ms.saturating_sub(GRACE_MS);
        }
        let before = self.map.len() + self.locks.len();
        self.map.retain(|_, kept| kept.owner != Some(who));
        self.locks.retain(|_, (holder, _)| *holder != who);
        self.removed += before - self.map.len() - self.locks.len();
        self.expire();
        self.settle();
    }

    /// Waits until each node has the keys and locks of the model.
    fn settle(&mut self) {
        let keys: Vec<String> = self.map.keys().cloned().collect();
        let locks: BTreeMap<String, u64> = self
            .locks
            .iter()
            .map(|(name, (_, token))| (name.clone(), *token))
            .collect();
        for node in &self.fleet.nodes {
            let (keys, locks) = (keys.clone(), locks.clone());
            node.run(async move |here| {
                loop {
                    let client = &here.clients[0];
                    let got = client.ok("state:get", json!({"room": "r"})).await;
                    let watched = client.ok("lock:watch", json!({"room": "r"})).await;
                    let has = got["entries"].as_object().expect("entries").keys();
                    if has.eq(keys.iter()) && held(&watched) == locks {
                        return;
                    }
                    tokio::task::yield_now().await;
                }
            });
        }
    }

    fn round(&mut self, round: usize) {
        self.expire();
        let first = self.random.below(KEYS);
        let mut sent = Vec::new();
        for n in 0..=self.random.below(6) {
            sent.push(self.send(format!("k{}", (first + n) % KEYS)));
        }
        if round.is_multiple_of(6) {
            let how = [json!({}), json!({"delta": true}), json!({"conflate": true})];
            let how = how[self.random.below(3) as usize].clone();
            let at = self.random.below(3) as usize;
            let joining = self.node(at).follow(how);
            self.joining.push(joining);
        }
        for sent in sent {
            self.answered(sent);
        }
        match self.random.below(8) {
            0 | 1 => self.lock(),
            2 | 3 => self.leave(),
            4 => {
                let ms = self.random.below(400);
                self.advance(ms);
            }
            _ => {}
        }
    }

    /// Every view on every node, and what each node says when it's asked, is what the map says.
    fn compare(&mut self) {
        for joined in self.joining.drain(..) {
            joined.recv_timeout(BOUND).expect("who joined");
        }
        self.advance(1_500);
        self.expire();
        let last = json!({"room": "r", "key": "end", "value": 1});
        let end = self.node(0).request(0, "state:set", last);
        let end = end["version"].as_u64().expect("a version");
        let values = self
            .map
            .iter()
            .map(|(key, kept)| (key.clone(), kept.value.clone()));
        let expected: BTreeMap<_, _> = values.chain([("end".to_owned(), json!(1))]).collect();
        let mut compared = 0;
        for node in &self.fleet.nodes {
            for view in node.views(end) {
                assert_eq!(view, expected);
                compared += 1;
            }
            let got = node.request(1, "state:get", json!({"room": "r"}));
            assert_eq!(got["version"], json!(end));
            for (key, kept) in &self.map {
                assert_eq!(got["entries"][key]["version"], json!(kept.version), "{key}");
            }
        }
        assert_eq!(compared, 10);
        assert!(self.removed > 3, "{}", self.removed);
    }
}

/// The locks that somebody holds, with their tokens.
fn held(watched: &Value) -> BTreeMap<String, u64> {
    let locks = watched["locks"].as_array().expect("locks").iter();
    locks
        .map(|lock| {
            let name = lock["name"].as_str().expect("a name").to_owned();
            (name, lock["holder"]["token"].as_u64().expect("a token"))
        })
        .collect()
}

fn model(backend: &Backend, seed: u64) {
    let mut world = World::new(backend, seed);
    for round in 0..ROUNDS {
        world.round(round);
    }
    world.compare();
}

#[test]
fn views_on_three_nodes_equal_a_plain_map_where_a_stream_links_them() {
    model(&Backend::streams(), 4_711);
}

#[test]
fn views_on_three_nodes_equal_a_plain_map_where_they_are_linked_without_a_log() {
    model(&Backend::Classic, 815);
}
