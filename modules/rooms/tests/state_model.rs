//! Random acts of many clients on a room's state, against a plain map: every view equals it in the end, and on the way no
//! change is missed or doubled.

mod driver;
mod views;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use driver::{Client, Loop, START_MS, TestClock, hub, run_paused};
use lakh_hub::store::Store;
use lakh_rooms::{Config, KeepState, RoomOptions, StateOptions};
use serde_json::{Value, json};
use views::{Random, View};

/// What stands in the plain map.
#[derive(Clone, Debug)]
struct Kept {
    value: Value,
    version: u64,
    expires_at: Option<u64>,
    /// The client whose leaving removes it.
    owner: Option<usize>,
}

struct World {
    on: Rc<Loop>,
    clock: TestClock,
    now_ms: u64,
    random: Random,
    writers: Vec<Client>,
    /// How often a writer was replaced.
    made: usize,
    views: Vec<View>,
    model: BTreeMap<String, Kept>,
}

const KEYS: u64 = 12;

impl World {
    async fn new(seed: u64, keep: KeepState) -> Self {
        let (hub, clock) = hub(1, &["/"]);
        let state = StateOptions {
            keep,
            writes_per_second: 1_000_000,
            ..StateOptions::default()
        };
        let config = Config {
            options: vec![RoomOptions {
                state,
                ..RoomOptions::of("*")
            }],
            ..Config::default()
        };
        lakh_rooms::install(&hub, Store::memory(), config);
        let on = Loop::start(&hub, 0);
        let mut world = Self {
            on,
            clock,
            now_ms: START_MS,
            random: Random(seed),
            writers: Vec::new(),
            made: 0,
            views: Vec::new(),
            model: BTreeMap::new(),
        };
        for _ in 0..4 {
            let writer = world.writer().await;
            world.writers.push(writer);
        }
        world
    }

    async fn writer(&mut self) -> Client {
        self.made += 1;
        let client = self.on.connect("/", &format!("w{}", self.made)).await;
        client.ok("room:join", json!({"room": "r"})).await;
        client
    }

    fn expire(&mut self) {
        let now = self.now_ms;
        self.model
            .retain(|_, kept| kept.expires_at.is_none_or(|at| at > now));
    }

    /// Several writes at once, of different keys, each by some client; and joins in the middle of them.
    async fn burst(&mut self) {
        self.expire();
        let first = self.random.below(KEYS);
        let count = 1 + self.random.below(5);
        let mut sent = Vec::new();
        let mut expected = Vec::new();
        let mut joining = Vec::new();
        for n in 0..count {
            let key = format!("k{}", (first + n) % KEYS);
            let writer = self.random.below(4) as usize;
            let (request, name, kept, fits) = self.act(&key, writer);
            // Each is sent now, and waited for later.
            let answer = self.writers[writer].request_later(name, request);
            sent.push((writer, answer));
            expected.push((key, kept, fits));
            if self.random.below(4) == 0 && self.views.len() < 12 {
                let id = format!("v{}", self.views.len());
                let client = self.on.connect("/", &id).await;
                let how = match self.random.below(3) {
                    0 => json!({"room": "r"}),
                    1 => json!({"room": "r", "delta": true}),
                    _ => json!({"room": "r", "conflate": true}),
                };
                // Sent, and not waited for.
                joining.push((client.request_later("state:join", how.clone()), client, how));
            }
        }
        for ((writer, answer), (key, kept, fits)) in sent.into_iter().zip(expected) {
            let answer = self.writers[writer].answer(answer).await;
            assert_eq!(answer["ok"], json!(fits), "{key}: {answer}");
            if !fits {
                assert_eq!(answer["error"]["code"], "conflict");
                continue;
            }
            match kept {
                Some(mut kept) => {
                    kept.version = answer["version"].as_u64().expect("a version");
                    self.model.insert(key, kept);
                }
                None => drop(self.model.remove(&key)),
            }
        }
        for (ack, client, how) in joining {
            let answer = client.answer(ack).await;
            assert_eq!(answer["ok"], true, "{answer}");
            let mut view = View::of(client);
            view.conflated = how["conflate"] == json!(true);
            self.views.push(view);
        }
    }

    /// One write: what is sent, what becomes of the key, and whether it's granted.
    fn act(&mut self, key: &str, writer: usize) -> (Value, &'static str, Option<Kept>, bool) {
        let old = self.model.get(key).cloned();
        let version = old.as_ref().map_or(0, |old| old.version);
        let condition = match self.random.below(4) {
            0 => Some(version),
            1 => Some(version + 1),
            _ => None,
        };
        let fits = condition.is_none_or(|condition| condition == version);
        let number = self.random.below(1_000);
        let mut request = json!({"room": "r", "key": key});
        if let Some(condition) = condition {
            request["if_version"] = json!(condition);
        }
        match self.random.below(5) {
            0 => (request, "state:delete", None, fits),
            1 => {
                let patch = json!({"n": number, "gone": null});
                request["patch"] = patch;
                let mut kept = old.unwrap_or(Kept {
                    value: json!({}),
                    version: 0,
                    expires_at: None,
                    owner: None,
                });
                kept.value["n"] = json!(number);
                (request, "state:patch", Some(kept), fits)
            }
            kind => {
                let value = json!({"n": number, "text": "x".repeat(300)});
                request["value"] = value.clone();
                let ttl = (kind == 2).then(|| 1 + self.random.below(3_000));
                let bind = kind == 3;
                if let Some(ttl) = ttl {
                    request["ttl_ms"] = json!(ttl);
                }
                if bind {
                    request["bind"] = json!("socket");
                }
                let kept = Kept {
                    value,
                    version: 0,
                    expires_at: ttl.map(|ttl| self.now_ms + ttl),
                    owner: bind.then_some(writer),
                };
                (request, "state:set", Some(kept), fits)
            }
        }
    }

    async fn step(&mut self) {
        match self.random.below(10) {
            0 => {
                let ms = self.random.below(2_000);
                self.clock.advance(ms);
                self.now_ms += ms;
            }
            1 => {
                let writer = self.random.below(4) as usize;
                let next = self.writer().await;
                std::mem::replace(&mut self.writers[writer], next).disconnect();
                // What goes with its leaving is gone, before anybody is told of anything else it does.
                self.model.retain(|_, kept| kept.owner != Some(writer));
                self.settle().await;
            }
            _ => self.burst().await,
        }
        for view in &mut self.views {
            view.take();
        }
    }

    /// Waits until the server has the model's keys.
    async fn settle(&mut self) {
        loop {
            self.expire();
            let got = self.writers[0].ok("state:get", json!({"room": "r"})).await;
            let entries = got["entries"].as_object().expect("entries");
            if entries.keys().eq(self.model.keys()) {
                return;
            }
            // The server looks twice a second whether its clock was moved. The runtime's own jumps there.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn compare(&mut self) {
        self.settle().await;
        let last = self.writers[0]
            .ok("state:set", json!({"room": "r", "key": "end", "value": 1}))
            .await;
        let expected: BTreeMap<String, Value> = self
            .model
            .iter()
            .map(|(key, kept)| (key.clone(), kept.value.clone()))
            .chain([("end".to_owned(), json!(1))])
            .collect();
        let got = self.writers[1].ok("state:get", json!({"room": "r"})).await;
        for (key, kept) in &self.model {
            let entry = &got["entries"][key];
            assert_eq!(
                (&entry["value"], &entry["version"]),
                (&kept.value, &json!(kept.version))
            );
        }
        assert!(!self.views.is_empty());
        for view in &mut self.views {
            view.until("the end", |view| view.contains_key("end")).await;
            assert_eq!(view.version, last["version"].as_u64().expect("a version"));
            assert_eq!(view.entries, expected);
            assert_eq!(view.snapshots, 1);
        }
    }
}

fn go(keep: KeepState) {
    for seed in 1..=12 {
        run_paused(async {
            let mut world = World::new(seed * 7_919, keep).await;
            for _ in 0..150 {
                world.step().await;
            }
            world.compare().await;
        });
    }
}

#[test]
fn every_view_equals_a_plain_map_in_memory() {
    go(KeepState::Memory);
}

#[test]
fn every_view_equals_a_plain_map_with_a_store() {
    go(KeepState::Store);
}
