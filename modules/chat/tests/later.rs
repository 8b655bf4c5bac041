//! What happens at its time: messages that expire or are sent later. On each of the store's
//! backends; and what two nodes make of the same.

#[path = "../../rooms/tests/driver/mod.rs"]
mod driver;
mod room;

use std::time::Duration;

use driver::{Loop, START_MS, TestClock, hub_by, run};
use lakh_chat::Config;
use lakh_hub::store::{RedisOptions, Scan, Store};
use lakh_testkit::redis::Redis;
use room::{
    here, in_room, message, on_each, on_each_store, put, start, unhurried, until_due,
    with_each_store,
};
use serde_json::{Value, json};

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

#[test]
fn what_only_a_later_version_can_read_is_in_nobodys_way() {
    with_each_store(async |on, clock, store| {
        for number in 0..40 {
            let key = format!("{:016}\nnew-{number}", START_MS);
            put(&store, "chat_due", &key, &json!({"do": "something new"})).await;
        }
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        ada.ok("message:send", at("k", START_MS + 5_000)).await;
        clock.advance(5_000);
        assert_eq!(ben.heard("message:new").await["text"], "k");
        assert_eq!(
            until_due(&store).await.len(),
            40,
            "they wait for that version"
        );
    });
}

#[test]
fn what_a_node_has_left_another_does() {
    on_each(|store| {
        // The first node takes the message, and is gone before its time.
        run(async {
            let clock = TestClock::default();
            let hub = hub_by(&clock, "n1", 1, &["/chat"]);
            lakh_chat::install(&hub, store.clone(), unhurried());
            let on = Loop::start(&hub, 0);
            let ada = here(&on, "Ada").await;
            ada.ok("message:send", at("k", START_MS + 60_000)).await;
            let short = json!({"room": "r", "key": "e", "text": "e", "expires_in_s": 60});
            ada.ok("message:send", short).await;
        });
        run(async {
            let clock = TestClock::default();
            let hub = hub_by(&clock, "n2", 1, &["/chat"]);
            lakh_chat::install(&hub, store.clone(), unhurried());
            let on = Loop::start(&hub, 0);
            let ben = here(&on, "Ben").await;
            clock.advance(62_000);
            assert_eq!(ben.heard("message:new").await["text"], "k");
            assert_eq!(ben.heard("message:changed").await["what"], "expire");
            assert_eq!(
                texts(&ben.ok("message:history", in_room()).await),
                ["", "k"]
            );
        });
    });
}

/// Two nodes on one store, each on a thread of its own, that find the same things due at the same time.
fn race(stores: &[Store; 2]) {
    const MESSAGES: usize = 40;
    let met = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        for (index, store) in stores.iter().enumerate() {
            let met = &met;
            scope.spawn(move || {
                run(async {
                    let clock = TestClock::default();
                    let hub = hub_by(&clock, &format!("n{index}"), 1, &["/chat"]);
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
    race(&[store.clone(), store]);
    let redis = Redis::start(&[]).expect("a redis-server");
    race(&[(); 2].map(|()| Store::redis(&redis.url(), &RedisOptions::default()).expect("a store")));
}

#[test]
fn in_a_slow_room_what_was_scheduled_waits_until_its_author_may() {
    with_each_store(async |on, clock, store| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        let slow = json!({"room": "r", "settings": {"slow_mode_s": 60}});
        ada.ok("room:set", slow).await;
        for key in ["k1", "k2"] {
            ben.ok("message:send", at(key, START_MS + 1_000)).await;
        }
        clock.advance(1_000);
        assert_eq!(ada.heard("message:new").await["time"], START_MS + 1_000);
        // The other one is put off, not refused.
        let waiting = ben.ok("scheduled:list", json!({})).await["scheduled"].take();
        assert_eq!(waiting.as_array().map(Vec::len), Some(1), "{waiting}");
        let put_off = format!("{:016}\n", START_MS + 61_000);
        while !all_due(&store)
            .await
            .iter()
            .any(|key| key.starts_with(&put_off))
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        clock.advance(60_000);
        assert_eq!(ada.heard("message:new").await["seq"], 2);
        assert!(ben.received_of("scheduled:failed").is_empty());
        assert_eq!(
            ben.ok("scheduled:list", json!({})).await["scheduled"],
            json!([])
        );
    });
}

#[test]
fn what_was_meant_for_a_room_that_is_gone_does_not_happen_in_another_of_its_name() {
    with_each_store(async |on, clock, store| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        ben.ok("message:send", at("k", START_MS + 60_000)).await;
        // As by a node of an earlier version that has deleted the room.
        let due = json!({"do": "expire", "room": "r"});
        let key = format!("{:016}\nr\n{:016}", START_MS + 60_000, 1);
        put(&store, "chat_due", &key, &due).await;
        ada.ok("room:delete", in_room()).await;
        clock.advance(1_000);
        ada.ok("room:join", in_room()).await;
        ben.ok("room:join", in_room()).await;
        ada.ok("message:send", message("new", "stays")).await;
        clock.advance(62_000);
        let failed = ben.heard("scheduled:failed").await;
        assert_eq!(failed["error"]["code"], "not_found");
        while !all_due(&store).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let history = ada.ok("message:history", in_room()).await;
        assert_eq!(texts(&history), ["stays"]);
    });
}

async fn all_due(store: &Store) -> Vec<String> {
    let page = store.scan(START_MS, "chat_due", Scan::default()).await;
    let items = page.expect("read").items.into_iter();
    items.map(|(key, _)| key).collect()
}
