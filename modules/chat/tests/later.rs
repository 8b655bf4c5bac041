//! What happens at its time: messages that expire or are sent later, and people who are reminded. On each of the store's
//! backends; and what two nodes make of the same.

#[path = "../../rooms/tests/driver/mod.rs"]
mod driver;
mod room;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use driver::{Client, Loop, START_MS, TestClock, hub, hub_named, run};
use lakh_chat::Config;
use lakh_hub::store::{RedisOptions, Store};
use lakh_hub::{Occurrence, Watcher, What};
use lakh_testkit::redis::Redis;
use room::{here, in_room, message, on_each_store, sqlite, start, unhurried};
use serde_json::{Value, json};
use tokio::sync::Notify;

fn at(key: &str, at_ms: u64) -> Value {
    json!({"room": "r", "key": key, "text": key, "at": at_ms})
}

fn texts(history: &Value) -> Vec<&str> {
    let messages = history["messages"].as_array().expect("a list");
    messages
        .iter()
        .map(|message| message["text"].as_str().expect("a text"))
        .collect()
}

#[test]
fn a_message_expires_for_everybody_and_leaves_its_number() {
    on_each_store(async |on, clock| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        let short = json!({"room": "r", "key": "k", "text": "secret", "expires_in_s": 60});
        let sent = ada.ok("message:send", short).await;
        assert_eq!(sent["message"]["expires_at"], START_MS + 60_000);
        let reply =
            json!({"room": "r", "thread": 1, "key": "t", "text": "too", "expires_in_s": 60});
        ada.ok("message:send", reply).await;
        ada.ok("message:send", message("l", "stays")).await;
        clock.advance(60_000);
        let mut changes = Vec::new();
        while changes.len() < 2 {
            let changed = ben.heard("message:changed").await;
            if changed["what"] == "expire" {
                assert_eq!(changed["set"]["deleted"]["by"], Value::Null);
                changes.push(json!([changed["seq"], changed["thread"]]));
            }
        }
        changes.sort_by_key(Value::to_string);
        assert_eq!(changes, [json!([1, 1]), json!([1, null])]);
        let history = ben.ok("message:history", in_room()).await;
        assert_eq!(texts(&history), ["", "stays"]);
        assert!(history["messages"][0]["deleted"].is_object());
    });
}

#[test]
fn a_message_is_sent_when_its_time_has_come_and_once() {
    on_each_store(async |on, clock| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        let first = ada.ok("message:send", at("k1", START_MS + 60_000)).await["scheduled"].take();
        let again = ada.ok("message:send", at("k1", START_MS + 70_000)).await["scheduled"].take();
        assert_eq!(first, again, "the same key is the same message");
        assert_eq!(
            (&first["at"], &first["text"]),
            (&json!(START_MS + 60_000), &json!("k1"))
        );
        let second = ada.ok("message:send", at("k2", START_MS + 5_000)).await["scheduled"].take();
        let third = ada.ok("message:send", at("k3", START_MS + 9_000)).await["scheduled"].take();
        let list = ada.ok("scheduled:list", in_room()).await;
        let ids: Vec<_> = list["scheduled"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|one| &one["id"])
            .collect();
        assert_eq!(
            ids,
            [&second["id"], &third["id"], &first["id"]],
            "the next one first"
        );
        assert!(ben.ok("scheduled:list", json!({})).await["scheduled"] == json!([]));
        let id = json!({"id": second["id"]});
        assert_eq!(
            ben.refused("scheduled:cancel", id.clone()).await,
            "not_found"
        );
        ada.ok("scheduled:cancel", id.clone()).await;
        assert_eq!(ada.refused("scheduled:cancel", id).await, "not_found");
        let change = json!({"id": third["id"], "text": "changed", "at": START_MS + 90_000});
        let changed = ada.ok("scheduled:change", change).await["scheduled"].take();
        assert_eq!(
            (&changed["text"], &changed["at"]),
            (&json!("changed"), &json!(START_MS + 90_000))
        );
        clock.advance(60_000);
        let heard = ben.heard("message:new").await;
        assert_eq!(
            (&heard["text"], &heard["seq"], &heard["time"]),
            (&json!("k1"), &json!(1), &json!(START_MS + 60_000))
        );
        assert_eq!(heard["from"]["id"], "dev:ada");
        clock.advance(30_000);
        assert_eq!(ben.heard("message:new").await["text"], "changed");
        assert_eq!(
            ada.ok("scheduled:list", json!({})).await["scheduled"],
            json!([])
        );
        // The client that asks again with the key, without a time, finds what was sent.
        let again = ada.ok("message:send", message("k1", "k1")).await;
        assert_eq!(
            (&again["duplicate"], &again["message"]["seq"]),
            (&json!(true), &json!(1))
        );
        assert_eq!(
            texts(&ben.ok("message:history", in_room()).await),
            ["k1", "changed"]
        );
    });
}

#[test]
fn what_its_author_may_no_longer_say_is_not_sent_and_they_hear_why() {
    on_each_store(async |on, clock| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        let scheduled = ben.ok("message:send", at("k", START_MS + 1_000)).await["scheduled"].take();
        ada.ok(
            "member:mute",
            json!({"room": "r", "person": "dev:ben", "seconds": 3_600}),
        )
        .await;
        clock.advance(1_000);
        let failed = ben.heard("scheduled:failed").await;
        assert_eq!(
            (&failed["id"], &failed["error"]["code"]),
            (&scheduled["id"], &json!("muted"))
        );
        assert_eq!(failed["scheduled"]["text"], "k");
        assert_eq!(
            ben.ok("scheduled:list", json!({})).await["scheduled"],
            json!([])
        );
        ada.ok("message:send", at("a", START_MS + 2_000)).await;
        ada.ok("room:archive", json!({"room": "r", "archived": true}))
            .await;
        clock.advance(1_000);
        assert_eq!(
            ada.heard("scheduled:failed").await["error"]["code"],
            "archived"
        );
        assert!(texts(&ada.ok("message:history", in_room()).await).is_empty());
    });
}

#[test]
fn what_may_be_scheduled_has_bounds() {
    let config = Config {
        max_scheduled: 2,
        ..unhurried()
    };
    run(async {
        let (on, _, _) = start(config);
        let ada = here(&on, "Ada").await;
        let year = 366 * 24 * 3_600_000;
        assert_eq!(
            ada.refused("message:send", at("k", START_MS + year + 1))
                .await,
            "bad_request"
        );
        ada.ok("message:send", at("k1", START_MS + year)).await;
        ada.ok("message:send", at("k2", START_MS + 1)).await;
        assert_eq!(
            ada.refused("message:send", at("k3", START_MS + 2)).await,
            "too_many"
        );
        let ben = on.connect("/chat", "Ben").await;
        assert_eq!(
            ben.refused("message:send", at("k", START_MS + 1)).await,
            "not_member"
        );
        assert_eq!(
            ada.refused("scheduled:change", json!({"id": "x"})).await,
            "not_found"
        );
        let none = json!({"id": "0".repeat(32), "text": "x"});
        assert_eq!(ada.refused("scheduled:change", none).await, "not_found");
    });
}

/// What is told of people who are away.
#[derive(Clone, Default)]
struct Reminders(Arc<(Mutex<Vec<Value>>, Notify)>);

impl Watcher for Reminders {
    fn wants(&self, what: What, _: &str) -> bool {
        what == What::Module
    }

    fn saw(&self, occurrence: &Arc<Occurrence>) {
        if occurrence.event.as_deref() == Some("message:unread") {
            let data = occurrence.data.as_ref().expect("data").get();
            let data = serde_json::from_str(data).expect("JSON");
            self.0.0.lock().expect("no panic").push(data);
            self.0.1.notify_one();
        }
    }
}

impl Reminders {
    /// Lets time pass until somebody is reminded: what is due is written a moment after the message.
    async fn next(&self, clock: &TestClock) -> Value {
        for _ in 0..60 {
            let told = self.0.0.lock().expect("no panic").pop();
            if let Some(told) = told {
                return told;
            }
            clock.advance(10_000);
            drop(tokio::time::timeout(Duration::from_secs(1), self.0.1.notified()).await);
        }
        panic!("nobody was reminded");
    }

    fn is_empty(&self) -> bool {
        self.0.0.lock().expect("no panic").is_empty()
    }
}

fn watched(store: Store, config: Config) -> (std::rc::Rc<Loop>, TestClock, Reminders) {
    let (hub, clock) = hub(1, &["/chat"]);
    lakh_chat::install(&hub, store, config);
    let reminders = Reminders::default();
    hub.watch(reminders.clone());
    (Loop::start(&hub, 0), clock, reminders)
}

/// Becomes a member and goes away.
async fn away(on: &std::rc::Rc<Loop>, name: &str) {
    let client = here(on, name).await;
    client.disconnect();
    // Until the server says that nobody is left, it may not have noticed.
    drop(client);
}

fn on_each_store_watched(test: impl AsyncFn(std::rc::Rc<Loop>, TestClock, Reminders)) {
    let on = |store: Store| {
        run(async {
            let (on, clock, reminders) = watched(store.clone(), unhurried());
            test(on, clock, reminders).await;
            store.close().await.expect("closes");
        });
    };
    on(Store::memory());
    let folder = tempfile::tempdir().expect("a folder");
    on(sqlite(&folder));
    let redis = Redis::start(&[]).expect("a redis-server");
    on(Store::redis(&redis.url(), &RedisOptions::default()).expect("a store"));
}

async fn send(client: &Client, key: &str) {
    client.ok("message:send", message(key, key)).await;
}

#[test]
fn who_is_away_is_reminded_once_and_again_only_of_later_messages() {
    on_each_store_watched(async |on, clock, reminders| {
        let ada = here(&on, "Ada").await;
        away(&on, "Ben").await;
        for key in ["1", "2", "3"] {
            send(&ada, key).await;
        }
        let told = reminders.next(&clock).await;
        assert_eq!(
            (
                &told["room"],
                &told["person"],
                &told["unread"],
                &told["mentions"]
            ),
            (
                &json!("r"),
                &json!({"id": "dev:ben", "name": "Ben"}),
                &json!(3),
                &json!(0)
            )
        );
        assert_eq!(
            (&told["message"]["seq"], &told["message"]["text"]),
            (&json!(3), &json!("3"))
        );
        assert!(reminders.is_empty());
        // Nothing new: nobody is reminded, however long it takes. Cy shows that time has passed.
        away(&on, "Cy").await;
        send(&ada, "4").await;
        let mut people = Vec::new();
        for _ in 0..2 {
            let told = reminders.next(&clock).await;
            assert_eq!(told["message"]["seq"], 4);
            people.push(json!([told["person"]["name"], told["unread"]]));
        }
        people.sort_by_key(Value::to_string);
        assert_eq!(people, [json!(["Ben", 4]), json!(["Cy", 1])]);
        // Who comes back is left in peace, and so is who does not want to know.
        let ben = on.connect("/chat", "Ben").await;
        send(&ada, "5").await;
        assert_eq!(reminders.next(&clock).await["person"]["name"], "Cy");
        ben.ok("room:notify", json!({"room": "r", "notify": "none"}))
            .await;
        ben.disconnect();
        send(&ada, "6").await;
        assert_eq!(reminders.next(&clock).await["person"]["name"], "Cy");
        assert!(reminders.is_empty());
    });
}

#[test]
fn silent_messages_remind_nobody_and_some_want_to_hear_of_mentions_only() {
    on_each_store_watched(async |on, clock, reminders| {
        let ada = here(&on, "Ada").await;
        let ben = here(&on, "Ben").await;
        ben.ok("room:notify", json!({"room": "r", "notify": "mentions"}))
            .await;
        ben.disconnect();
        away(&on, "Cy").await;
        let silent = json!({"room": "r", "key": "s", "text": "psst", "silent": true, "mentions": ["dev:ben"]});
        ada.ok("message:send", silent).await;
        send(&ada, "1").await;
        let told = reminders.next(&clock).await;
        assert_eq!(
            (&told["person"]["name"], &told["message"]["text"]),
            (&json!("Cy"), &json!("1"))
        );
        let loud = json!({"room": "r", "key": "2", "text": "@Ben", "mentions": ["dev:ben"]});
        ada.ok("message:send", loud).await;
        send(&ada, "3").await;
        let mut told = [reminders.next(&clock).await, reminders.next(&clock).await];
        told.sort_by_key(|told| told["person"]["name"].to_string());
        assert_eq!(
            (&told[0]["person"]["name"], &told[0]["message"]["text"]),
            (&json!("Ben"), &json!("@Ben"))
        );
        assert_eq!(
            (&told[0]["mentions"], &told[1]["message"]["text"]),
            (&json!(2), &json!("3"))
        );
    });
}

#[test]
fn who_is_mentioned_by_a_reply_is_reminded_of_it() {
    on_each_store_watched(async |on, clock, reminders| {
        let ada = here(&on, "Ada").await;
        send(&ada, "1").await;
        away(&on, "Ben").await;
        away(&on, "Cy").await;
        let reply = |key: &str, mentions: Value| json!({"room": "r", "thread": 1, "key": key, "text": key, "mentions": mentions});
        ada.ok("message:send", reply("t1", json!([]))).await;
        ada.ok("message:send", reply("t2", json!(["dev:ben"])))
            .await;
        let told = reminders.next(&clock).await;
        assert_eq!(
            (
                &told["person"]["name"],
                &told["unread"],
                &told["message"]["thread"]
            ),
            (&json!("Ben"), &json!(0), &json!(1))
        );
        assert_eq!(told["message"]["text"], "t2");
        // One that is deleted meanwhile is not told of.
        ada.ok("message:send", reply("t3", json!(["dev:ben"])))
            .await;
        ada.ok(
            "message:delete",
            json!({"room": "r", "thread": 1, "seq": 3}),
        )
        .await;
        ada.ok("message:send", reply("t4", json!(["dev:cy"]))).await;
        assert_eq!(reminders.next(&clock).await["person"]["name"], "Cy");
        assert!(reminders.is_empty());
    });
}

#[test]
fn in_crowds_only_the_mentioned_are_reminded() {
    let config = Config {
        unread_max_members: 2,
        ..unhurried()
    };
    run(async {
        let (on, clock, reminders) = watched(Store::memory(), config);
        let ada = here(&on, "Ada").await;
        away(&on, "Ben").await;
        away(&on, "Cy").await;
        let loud = json!({"room": "r", "key": "1", "text": "@Cy", "mentions": ["dev:cy"]});
        ada.ok("message:send", loud).await;
        assert_eq!(reminders.next(&clock).await["person"]["name"], "Cy");
        assert!(reminders.is_empty());
    });
}

#[test]
fn what_a_node_has_left_another_does() {
    let of = |store: Store, number: usize| {
        // The first node takes the message, and is gone before its time.
        let store = &store;
        run(async {
            let (hub, _) = hub_named("n1", 1, &["/chat"]);
            lakh_chat::install(&hub, store.clone(), unhurried());
            let on = Loop::start(&hub, 0);
            let ada = here(&on, "Ada").await;
            ada.ok("message:send", at("k", START_MS + 60_000)).await;
            let short = json!({"room": "r", "key": "e", "text": "e", "expires_in_s": 60});
            ada.ok("message:send", short).await;
        });
        run(async {
            let (hub, clock) = hub_named("n2", 1, &["/chat"]);
            lakh_chat::install(&hub, store.clone(), unhurried());
            let on = Loop::start(&hub, 0);
            let ben = here(&on, "Ben").await;
            clock.advance(62_000);
            assert_eq!(
                ben.heard("message:new").await["text"],
                "k",
                "store {number}"
            );
            assert_eq!(ben.heard("message:changed").await["what"], "expire");
            assert_eq!(
                texts(&ben.ok("message:history", in_room()).await),
                ["", "k"]
            );
        });
    };
    of(Store::memory(), 0);
    let folder = tempfile::tempdir().expect("a folder");
    of(sqlite(&folder), 1);
    let redis = Redis::start(&[]).expect("a redis-server");
    of(
        Store::redis(&redis.url(), &RedisOptions::default()).expect("a store"),
        2,
    );
}

/// Two nodes on one store, each on a thread of its own, that find the same things due at the same time.
fn race(stores: [Store; 2]) {
    const MESSAGES: usize = 40;
    let met = std::sync::Barrier::new(2);
    let stores = &stores;
    std::thread::scope(|scope| {
        for (index, store) in stores.iter().enumerate() {
            let met = &met;
            scope.spawn(move || {
                run(async {
                    let (hub, clock) = hub_named(&format!("n{index}"), 1, &["/chat"]);
                    lakh_chat::install(&hub, store.clone(), unhurried());
                    let on = Loop::start(&hub, 0);
                    let person = here(&on, &format!("P{index}")).await;
                    met.wait();
                    for number in 0..MESSAGES {
                        let key = format!("{index}-{number}");
                        person.ok("message:send", at(&key, START_MS + 60_000)).await;
                    }
                    met.wait();
                    // Late enough that each takes the other's for its own.
                    clock.advance(70_000);
                    let mut history = Value::Null;
                    while history["messages"].as_array().map_or(0, Vec::len) < 2 * MESSAGES {
                        let page = json!({"room": "r", "limit": 200});
                        history = person.ok("message:history", page).await;
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    let scheduled = person.ok("scheduled:list", json!({})).await;
                    assert_eq!(scheduled["scheduled"], json!([]));
                    met.wait();
                    let page = json!({"room": "r", "limit": 200});
                    let history = person.ok("message:history", page).await;
                    let mut all = texts(&history);
                    all.sort_unstable();
                    all.dedup();
                    assert_eq!(
                        (all.len(), history["seq"].as_u64()),
                        (2 * MESSAGES, Some(2 * MESSAGES as u64))
                    );
                });
            });
        }
    });
}

#[test]
fn two_nodes_send_each_message_once() {
    let store = Store::memory();
    race([store.clone(), store]);
    let redis = Redis::start(&[]).expect("a redis-server");
    race([(); 2].map(|()| Store::redis(&redis.url(), &RedisOptions::default()).expect("a store")));
}
