//! Random acts of many people, some of whom come and go, on one node and on three: in the end what every client has put
//! together from events and `message:sync` alone is what a plain model says, and what the server's history holds.
//!
//! A seed is printed; `SEED=…` plays the same acts again (not how the threads interleave).

#[path = "../../../rooms/tests/driver/mod.rs"]
mod driver;
mod plain;
#[path = "../room/mod.rs"]
mod room;
mod view;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use driver::{Client, Loop, TestClock, hub_with};
use lakh_hub::redis::{Backend, Config as LinkConfig, Link};
use lakh_hub::store::{RedisOptions, Store};
use lakh_hub::{Clock, Settings, Shard};
use lakh_testkit::redis::Redis;
use parking_lot::Mutex;
use plain::{Model, Random};
use room::{make_room, put, sqlite, unhurried, user};
use serde_json::{Value, json};
use tokio::sync::Barrier;
use view::View;

/// Rooms, one for each way to react.
const ROOMS: [&str; 3] = ["each", "one", "counted"];
const EMOJI: [&str; 4] = ["👍", "🎉", "❤️", "👀"];
/// People on all nodes together.
const PEOPLE: usize = 9;
/// Acts of each.
const ACTS: usize = 90;

fn seed() -> u64 {
    let given = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(1, |now| u64::from(now.subsec_nanos()))
    });
    println!("SEED={seed}");
    seed
}

/// Somebody with one device, and what it shows.
struct Who {
    name: String,
    on: Rc<Loop>,
    /// `None` while they are away.
    client: Option<Client>,
    views: Vec<View>,
    random: Random,
    sent: usize,
    model: Arc<Mutex<Model>>,
}

impl Who {
    async fn come(&mut self) {
        let client = self.on.connect("/chat", &self.name).await;
        for view in &mut self.views {
            client.ok("room:watch", json!({"room": view.room})).await;
            // First it listens, then it asks what it missed.
            view.sync(&client, self.random.below(5) + 1).await;
        }
        self.client = Some(client);
    }

    /// Takes in what came, and asks for what is missing now and then.
    async fn look(&mut self) {
        let Some(client) = &self.client else { return };
        for event in client.received() {
            for view in &mut self.views {
                view.hear(&event);
            }
        }
        for view in &mut self.views {
            if view.has_hole() && self.random.below(3) == 0 {
                view.sync(client, self.random.below(20) + 1).await;
            }
        }
    }

    async fn act(&mut self) {
        if self.client.is_none() {
            if self.random.below(4) == 0 {
                self.come().await;
            }
            return;
        }
        self.look().await;
        if self.random.below(25) == 0 {
            if let Some(client) = self.client.take() {
                client.disconnect();
            }
            return;
        }
        let room = self.random.below(ROOMS.len() as u64) as usize;
        let (name, request) = self.wish(room);
        let client = self.client.as_ref().expect("here");
        let answer = client.request(name, request.clone()).await;
        let mut model = self.model.lock();
        model.done(&self.name, name, &request, &answer);
    }

    /// What somebody does next, by what they see.
    fn wish(&mut self, room: usize) -> (&'static str, Value) {
        let view = &self.views[room];
        let mut request = json!({"room": ROOMS[room]});
        let seen: Vec<(u64, u64)> = view.messages.keys().copied().collect();
        let act = self.random.below(20);
        if act < 6 || seen.is_empty() {
            // One in eight is a retry.
            if self.sent == 0 || self.random.below(8) != 0 {
                self.sent += 1;
            }
            request["key"] = json!(format!("k{}", self.sent));
            request["text"] = json!(format!("{} says {}", self.name, self.sent));
            // Each key belongs to one room and thread, whatever happens.
            request["room"] = json!(ROOMS[self.sent % ROOMS.len()]);
            let has_root = self.views[self.sent % ROOMS.len()]
                .messages
                .contains_key(&(0, 1));
            if self.sent.is_multiple_of(4) && has_root {
                request["thread"] = json!(1 + self.sent as u64 % 2);
            } else if self.sent.is_multiple_of(4) {
                request["key"] = json!(format!("early{}", self.sent));
            }
            return ("message:send", request);
        }
        let is_own = |at: &(u64, u64)| view.messages[at]["from"]["name"] == self.name.as_str();
        // Only one's own is edited or deleted; by chance alone that would hardly ever happen.
        let own: Vec<(u64, u64)> = seen.iter().copied().filter(is_own).collect();
        let some = match act {
            6..=9 if !own.is_empty() => &own,
            _ => &seen,
        };
        let at = some[self.random.below(some.len() as u64) as usize];
        let (is_own, (thread, seq)) = (is_own(&at), at);
        request["seq"] = json!(seq);
        if thread > 0 {
            request["thread"] = json!(thread);
        }
        let is_root = thread == 0 && seq <= 2;
        match act {
            6..=8 if is_own => {
                request["text"] = json!(format!("edited {}", self.random.below(1_000)));
                ("message:edit", request)
            }
            9 if is_own && !is_root => ("message:delete", request),
            // What depends on the order among several is done by one.
            10..=12 if self.name == "P0" => {
                request["pinned"] = json!(self.random.below(2) == 0);
                ("message:pin", request)
            }
            _ => {
                let emoji = EMOJI[self.random.below(EMOJI.len() as u64) as usize];
                request["emoji"] = json!(emoji);
                if act < 17 {
                    ("reaction:add", request)
                } else {
                    ("reaction:remove", request)
                }
            }
        }
    }
}

/// What one node's people have in the end.
type Seen = Vec<(String, Vec<view::Messages>)>;

/// What a node needs of the fleet.
#[derive(Clone)]
struct Fleet {
    url: String,
    backend: Backend,
}

/// What a node is given.
struct Setup {
    index: usize,
    nodes: usize,
    seed: u64,
    fleet: Option<Fleet>,
    store: Store,
    clock: TestClock,
    model: Arc<Mutex<Model>>,
    barrier: Arc<Barrier>,
}

/// A node of the fleet, as `lakh serve` sets it up, but for sockets.
async fn set_up(setup: &Setup) -> Rc<Loop> {
    let settings = Settings {
        node: format!("n{}", setup.index),
        ..Settings::default()
    };
    let hub = hub_with(settings, &setup.clock, &["/chat"]);
    if let Some(fleet) = &setup.fleet {
        let clock = setup.clock.clone();
        let config = LinkConfig {
            echo: true,
            backoff: (Duration::from_millis(5), Duration::from_millis(50)),
            ..LinkConfig::new(
                &fleet.url,
                fleet.backend.clone(),
                Arc::new(move || clock.now().0),
            )
        };
        let (link, inbound) = Link::open(config).expect("a link");
        tokio::spawn(hub.join_cluster(link, inbound).expect("in the fleet"));
    }
    lakh_chat::install(&hub, setup.store.clone(), unhurried());
    let on = Loop::start(&hub, 0);
    hub.cluster_ready().await;
    on
}

async fn node(setup: Setup) -> Seen {
    let on = set_up(&setup).await;
    let Setup {
        index,
        nodes,
        seed,
        model,
        barrier,
        ..
    } = setup;
    let mut people = Vec::new();
    for number in (0..PEOPLE).filter(|number| number % nodes == index) {
        let mut who = Who {
            name: format!("P{number}"),
            on: Rc::clone(&on),
            client: None,
            views: ROOMS.iter().map(|room| View::of(room)).collect(),
            random: Random::new(seed ^ (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            sent: 0,
            model: Arc::clone(&model),
        };
        who.come().await;
        people.push(who);
    }
    barrier.wait().await;
    let mut working = Vec::new();
    for mut who in people {
        working.push(tokio::task::spawn_local(async move {
            for _ in 0..ACTS {
                who.act().await;
            }
            who
        }));
    }
    let mut people = Vec::new();
    for who in working {
        people.push(who.await.expect("no panic"));
    }
    // From here on nothing changes any more.
    barrier.wait().await;
    let mut seen = Vec::new();
    for who in &mut people {
        if who.client.is_none() {
            who.come().await;
        }
        let client = who.client.as_ref().expect("here");
        for view in 0..ROOMS.len() {
            settle(client, &mut who.views, view).await;
        }
        for view in &who.views {
            let history = view::history(client, &view.room).await;
            view::same(
                &format!("{} in {}", who.name, view.room),
                &view.messages,
                &history,
                true,
            );
            model.lock().check(&who.name, &view.room, &history);
        }
        let messages = who.views.iter().map(|view| view.messages.clone());
        seen.push((who.name.clone(), messages.collect()));
    }
    barrier.wait().await;
    if nodes > 1 && index == 0 {
        told_again(people[0].client.as_ref().expect("here")).await;
    }
    barrier.wait().await;
    seen
}

/// Whoever sends a young message again has it told again: the node that stored it might have died.
async fn told_again(client: &Client) {
    client.received();
    let request = json!({"room": ROOMS[0], "key": "again", "text": "once"});
    let first = client.ok("message:send", request.clone()).await;
    let again = client.ok("message:send", request).await;
    assert_eq!(
        (&again["duplicate"], &again["message"]),
        (&json!(true), &first["message"])
    );
    for _ in 0..2 {
        assert_eq!(client.heard("message:new").await, first["message"]);
    }
}

/// Waits for what is still to be told of one room. Events of the others are taken in as they come.
async fn settle(client: &Client, views: &mut [View], index: usize) {
    for event in client.received() {
        views.iter_mut().for_each(|view| view.hear(&event));
    }
    let end = view::ends(client, &views[index].room).await;
    while !views[index].is_at(&end) {
        let event = client.any("what is still to be told").await;
        views.iter_mut().for_each(|view| view.hear(&event));
    }
}

async fn prepare(store: &Store) {
    for room in ROOMS {
        make_room(store, room, json!({"reactions": room})).await;
        for number in 0..PEOPLE {
            let name = format!("P{number}");
            let id = user(&name)["id"].as_str().expect("an id").to_owned();
            let role = if number == 0 { "owner" } else { "member" };
            let member = json!({"role": role, "name": name, "joined_at": 1});
            put(store, &format!("chat_members:{room}"), &id, &member).await;
            let membership = json!({"role": role});
            put(store, &format!("chat_memberships:{id}"), room, &membership).await;
        }
    }
}

fn play(nodes: usize, fleet: Option<&Fleet>, open: impl Fn() -> Store) {
    let seed = seed();
    let (clock, model) = (TestClock::default(), Arc::new(Mutex::new(Model::default())));
    let barrier = Arc::new(Barrier::new(nodes));
    driver::run(async {
        let store = open();
        prepare(&store).await;
    });
    let threads: Vec<_> = (0..nodes)
        .map(|index| {
            let setup = Setup {
                index,
                nodes,
                seed,
                fleet: fleet.cloned(),
                store: open(),
                clock: clock.clone(),
                model: Arc::clone(&model),
                barrier: Arc::clone(&barrier),
            };
            std::thread::spawn(move || {
                let mut runtime = tokio::runtime::Builder::new_current_thread();
                let runtime = runtime.enable_all().build().expect("a runtime");
                let playing = node(setup);
                let seen = tokio::task::LocalSet::new().block_on(&runtime, playing);
                Shard::exit();
                seen
            })
        })
        .collect();
    let mut all = Vec::new();
    for thread in threads {
        all.extend(thread.join().expect("a node that held"));
    }
    for (name, messages) in &all {
        for (index, room) in ROOMS.iter().enumerate() {
            view::same(
                &format!("{name} in {room}"),
                &messages[index],
                &all[0].1[index],
                true,
            );
        }
    }
    println!("{}", model.lock().summary());
}

#[test]
fn on_one_node() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = sqlite(&folder);
    play(1, None, || store.clone());
}

#[test]
fn on_three_nodes_over_redis() {
    for backend in [Backend::Classic, Backend::streams()] {
        let redis = Redis::start(&[]).expect("a redis-server");
        let url = redis.url();
        let fleet = Fleet {
            url: url.clone(),
            backend,
        };
        play(3, Some(&fleet), || {
            Store::redis(&url, &RedisOptions::default()).expect("a store")
        });
    }
}
