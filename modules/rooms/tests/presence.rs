//! Presence against a plain model: who joins, leaves, breaks off and is killed, on one node and on three.

mod driver;
mod fleet;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use driver::{Client, Loop, TestClock, hub_by, run_paused};
use fleet::{Dice, Fleet};
use lakh_hub::store::Store;
use lakh_hub::{Hub, Occurrence, Watcher, What};
use lakh_rooms::{Config, PresenceOptions, PresenceRange, RoomOptions, Rooms};
use serde_json::{Value, json};
use tokio::sync::Barrier;

fn config(presence: PresenceOptions) -> Config {
    Config {
        events_per_second: 1_000_000,
        presence_silence_ms: 1_500,
        options: vec![RoomOptions {
            presence,
            ..RoomOptions::of("*")
        }],
        ..Config::default()
    }
}

fn on() -> PresenceOptions {
    PresenceOptions {
        enabled: true,
        grace_ms: 50,
        tick_ms: 50,
        ..PresenceOptions::default()
    }
}

fn start(presence: PresenceOptions) -> (Rc<Loop>, Rooms, Hub) {
    let hub = hub_by(&TestClock::going(), "node", 1, &["/"]);
    let rooms = lakh_rooms::install(&hub, Store::memory(), config(presence));
    (Loop::start(&hub, 0), rooms, hub)
}

fn room() -> Value {
    json!({"room": "r"})
}

#[test]
fn a_person_joins_with_the_first_device_and_leaves_with_the_last() {
    run_paused(async {
        let (on, rooms, _) = start(on());
        let watcher = on.connect("/", "Watcher").await;
        let page = watcher.ok("presence:subscribe", room()).await;
        assert_eq!(
            page,
            json!({"ok": true, "members": [], "people": 0, "sockets": 0})
        );
        let (phone, laptop) = (on.connect("/", "Ada").await, on.connect("/", "Ada").await);
        assert_eq!(phone.ok("room:join", room()).await["count"], 1);
        assert_eq!(laptop.ok("room:join", room()).await["count"], 2);
        let ada = json!({"id": "dev:ada", "name": "Ada"});
        assert_eq!(
            watcher.heard("presence:join").await,
            json!({"room": "r", "id": "dev:ada", "user": ada, "sockets": 1, "people": 1, "count": 1})
        );
        phone
            .ok(
                "presence:update",
                json!({"room": "r", "data": {"mood": "good"}}),
            )
            .await;
        assert_eq!(
            watcher.heard("presence:update").await["data"],
            json!({"mood": "good"})
        );
        let page = watcher.ok("presence:get", room()).await;
        assert_eq!(
            page["members"],
            json!([{"id": "dev:ada", "user": ada, "sockets": 2, "data": {"mood": "good"}}])
        );
        phone.ok("room:leave", room()).await;
        laptop.ok("room:leave", room()).await;
        let left = watcher.heard("presence:leave").await;
        assert_eq!(
            (&left["id"], &left["people"], &left["count"]),
            (&json!("dev:ada"), &json!(0), &json!(0))
        );
        assert!(watcher.received_of("presence:join").is_empty());
        let now = rooms.occupancy("r").await.expect("known");
        assert_eq!((now.people, now.sockets), (0, 0));
    });
}

#[test]
fn who_comes_back_within_the_grace_was_never_gone() {
    run_paused(async {
        let (on, rooms, _) = start(on());
        let watcher = on.connect("/", "Watcher").await;
        watcher.ok("presence:subscribe", room()).await;
        let ada = on.connect("/", "Ada").await;
        ada.ok("room:join", room()).await;
        watcher.heard("presence:join").await;
        ada.cut();
        let page = rooms
            .presence("r", PresenceRange::default())
            .await
            .expect("a page");
        assert_eq!(
            (page.members.len(), page.sockets),
            (1, 0),
            "there, without a socket"
        );
        let back = ada.come_back().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(rooms.occupancy("r").await.expect("known").sockets, 1);
        let told = watcher.received();
        assert!(
            told.iter()
                .all(|event| !event.name.starts_with("presence:")),
            "{told:?}"
        );
        back.cut();
        watcher.heard("presence:leave").await;
        assert_eq!(rooms.occupancy("r").await.expect("known").people, 0);
        // Who says goodbye is gone at once.
        let ben = on.connect("/", "Ben").await;
        ben.ok("room:join", room()).await;
        ben.disconnect();
        assert_eq!(rooms.occupancy("r").await.expect("known").people, 0);
    });
}

#[test]
fn members_may_watch_and_others_may_count() {
    run_paused(async {
        let (on, ..) = start(on());
        let ada = on.connect("/", "Ada").await;
        let joined = ada
            .ok("room:join", json!({"room": "r", "presence": true}))
            .await;
        assert_eq!(
            (&joined["presence"]["people"], &joined["count"]),
            (&json!(1), &json!(1))
        );
        let counter = on.open("/", json!({}));
        counter.await_connect().await.expect("let in");
        let counts = json!({"room": "r", "counts": true});
        assert_eq!(
            counter.ok("presence:subscribe", counts).await,
            json!({"ok": true, "people": 1, "sockets": 1})
        );
        let ben = on.connect("/", "Ben").await;
        ben.ok("room:join", room()).await;
        assert_eq!(ada.heard("presence:join").await["id"], "dev:ben");
        loop {
            let told = counter.heard("room:occupancy").await;
            if told["people"] == 2 {
                assert_eq!(
                    told,
                    json!({"room": "r", "people": 2, "sockets": 2, "named": true})
                );
                break;
            }
        }
        assert!(counter.received_of("presence:join").is_empty());
        ada.ok("presence:unsubscribe", room()).await;
        ben.ok("room:leave", room()).await;
        assert!(ada.received_of("presence:leave").is_empty());
        assert_eq!(
            ada.refused(
                "presence:update",
                json!({"room": "r", "data": "x".repeat(2_000)})
            )
            .await,
            "too_large"
        );
    });
}

#[test]
fn where_presence_is_off_it_is_said_so() {
    run_paused(async {
        let (on, rooms, _) = start(PresenceOptions::default());
        let ada = on.connect("/", "Ada").await;
        for request in ["presence:get", "presence:subscribe"] {
            assert_eq!(ada.refused(request, room()).await, "unsupported");
        }
        let join = json!({"room": "r", "presence": true});
        assert_eq!(ada.refused("room:join", join).await, "unsupported");
        assert_eq!(
            rooms.occupancy("r").await.map_err(|failure| failure.code),
            Err("unsupported")
        );
    });
}

#[test]
fn crowds_are_told_of_in_ticks_and_then_by_number() {
    run_paused(async {
        let (on, ..) = start(PresenceOptions {
            max_named: 3,
            max_batched: 6,
            ..on()
        });
        let watcher = on.connect("/", "Watcher").await;
        watcher.ok("presence:subscribe", room()).await;
        let mut people = Vec::new();
        for number in 0..10 {
            let one = on.connect("/", &format!("P{number}")).await;
            one.ok("room:join", room()).await;
            people.push(one);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        let told = watcher.received();
        let of = |name: &str| told.iter().filter(|event| event.name == name).count();
        assert_eq!(of("presence:join"), 3);
        assert!(
            of("presence:changes") <= 3 && of("room:occupancy") <= 4,
            "{told:?}"
        );
        let last = told.last().map(|event| event.args[0].clone());
        assert_eq!(
            last,
            Some(json!({"room": "r", "people": 10, "sockets": 10, "named": false}))
        );
    });
}

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Watcher for Seen {
    fn wants(&self, what: What, _: &str) -> bool {
        matches!(what, What::Join | What::Leave)
    }

    fn saw(&self, told: &Arc<Occurrence>) {
        let (user, room) = (
            told.user.as_ref().map(|user| &*user.id),
            told.room.as_deref(),
        );
        let line = format!("{} {user:?} {room:?}", told.what.word());
        self.0.lock().expect("a list").push(line);
    }
}

#[test]
fn each_join_and_leave_is_told_once_also_at_the_end_of_a_connection() {
    run_paused(async {
        let (on, _, hub) = start(on());
        let seen = Seen::default();
        hub.watch(seen.clone());
        let ada = on.connect("/", "Ada").await;
        ada.ok("room:join", json!({"room": "r", "presence": true}))
            .await;
        ada.ok("room:join", room()).await;
        ada.ok("room:join", json!({"room": "s", "filter": {"a": 1}}))
            .await;
        ada.ok("room:leave", room()).await;
        ada.ok("room:leave", room()).await;
        ada.cut();
        let told = seen.0.lock().expect("a list").clone();
        let line = |what: &str, room: &str| format!(r#"{what} Some("dev:ada") Some("{room}")"#);
        assert_eq!(
            told,
            [
                line("join", "r"),
                line("join", "s"),
                line("leave", "r"),
                line("leave", "s")
            ]
        );
    });
}

/// What a watcher knows: who is there, with what they say of themselves.
#[derive(Default)]
struct Known(BTreeSet<String>);

impl Known {
    fn begin(page: &Value) -> Self {
        let members = page["members"].as_array().expect("members").iter();
        Self(
            members
                .map(|one| one["id"].as_str().expect("an id").to_owned())
                .collect(),
        )
    }

    fn hear(&mut self, watcher: &Client) {
        for event in watcher.received() {
            let id = || event.args[0]["id"].as_str().expect("an id").to_owned();
            match event.name.as_str() {
                "presence:join" => drop(self.0.insert(id())),
                "presence:leave" => drop(self.0.remove(&id())),
                _ => {}
            }
        }
    }
}

/// Waits until all that is said is what the model says.
async fn until_agreed(watcher: &Client, known: &RefCell<Known>, model: &BTreeMap<String, usize>) {
    let wait = async {
        loop {
            known.borrow_mut().hear(watcher);
            let page = watcher
                .ok("presence:get", json!({"room": "r", "limit": 1000}))
                .await;
            let members = page["members"].as_array().expect("members").iter();
            let said: BTreeMap<String, usize> = members
                .map(|one| {
                    (
                        one["id"].as_str().expect("an id").to_owned(),
                        one["sockets"].as_u64().expect("a number") as usize,
                    )
                })
                .collect();
            let people: BTreeSet<String> = model.keys().cloned().collect();
            if said == *model && known.borrow().0 == people {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let agreed = tokio::time::timeout(Duration::from_secs(60), wait).await;
    assert!(
        agreed.is_ok(),
        "model {model:?}, known {:?}",
        known.borrow().0
    );
}

fn all_nodes_agree_with_the_model(nodes: usize) {
    const PEOPLE: u64 = 5;
    const ROUNDS: usize = 6;
    const STEPS: u64 = 25;
    let fleet = Fleet::start(nodes, &config(on()), &TestClock::going());
    let seats = fleet.seats.len();
    // Sockets of each person, over all seats.
    let model: Mutex<BTreeMap<String, usize>> = Mutex::default();
    let (before, behind) = (Barrier::new(seats), Barrier::new(seats));
    let (model, before, behind) = (&model, &before, &behind);
    fleet.on_each(|seat, on| async move {
        let mut dice = Dice(seat as u64 + 100);
        let watcher = on.connect("/", "Watcher").await;
        let known = RefCell::new(Known::begin(
            &watcher.ok("presence:subscribe", room()).await,
        ));
        let mut mine: Vec<(Client, String)> = Vec::new();
        for _ in 0..ROUNDS {
            for _ in 0..STEPS {
                if mine.is_empty() || dice.below(2) == 0 {
                    let name = format!("P{}", dice.below(PEOPLE));
                    let client = on.connect("/", &name).await;
                    client.ok("room:join", room()).await;
                    let id = format!("dev:{}", name.to_lowercase());
                    *model
                        .lock()
                        .expect("a model")
                        .entry(id.clone())
                        .or_default() += 1;
                    mine.push((client, id));
                    continue;
                }
                let (client, id) = mine.swap_remove(dice.below(mine.len() as u64) as usize);
                match dice.below(3) {
                    0 => drop(client.ok("room:leave", room()).await),
                    1 => client.disconnect(),
                    _ => client.cut(),
                }
                let mut model = model.lock().expect("a model");
                let left = model.get_mut(&id).expect("there");
                *left -= 1;
                if *left == 0 {
                    model.remove(&id);
                }
            }
            before.wait().await;
            let now = model.lock().expect("a model").clone();
            until_agreed(&watcher, &known, &now).await;
            behind.wait().await;
        }
    });
}

#[test]
fn one_node_says_what_the_model_says() {
    all_nodes_agree_with_the_model(1);
}

#[test]
fn three_nodes_say_what_the_model_says() {
    all_nodes_agree_with_the_model(3);
}

#[test]
fn those_on_a_killed_node_leave_and_those_elsewhere_stay() {
    let fleet = Fleet::start(3, &config(on()), &TestClock::going());
    let (there, dead) = (Barrier::new(3), Barrier::new(3));
    let (there, dead, nodes) = (&there, &dead, &fleet.nodes);
    fleet.on_each(|seat, on| async move {
        let watcher = on.connect("/", "Watcher").await;
        let known = RefCell::new(Known::begin(
            &watcher.ok("presence:subscribe", room()).await,
        ));
        let mut all = Vec::new();
        // Ada is on each node, the others on one.
        for name in ["Ada", &format!("P{seat}")] {
            let client = on.connect("/", name).await;
            client.ok("room:join", room()).await;
            all.push(client);
        }
        let model = |ada: usize, seats: &[usize]| {
            let others = seats.iter().map(|seat| (format!("dev:p{seat}"), 1));
            others.chain([("dev:ada".to_owned(), ada)]).collect()
        };
        until_agreed(&watcher, &known, &model(3, &[0, 1, 2])).await;
        there.wait().await;
        if seat == 2 {
            let runtime = nodes[2].runtime.lock().expect("a runtime").take();
            runtime.expect("alive").shutdown_background();
        }
        dead.wait().await;
        if seat < 2 {
            until_agreed(&watcher, &known, &model(2, &[0, 1])).await;
        }
        there.wait().await;
    });
}
