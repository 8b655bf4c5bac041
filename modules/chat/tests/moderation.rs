//! Keeping order, through the hub, on each of the store's backends.

#[path = "../../rooms/tests/driver/mod.rs"]
mod driver;
mod room;

use std::rc::Rc;

use driver::{Client, Loop, TestClock, hub_by, run};
use lakh_chat::{Asker, Chat, Config, WordsAction};
use lakh_hub::store::{RedisOptions, Store};
use lakh_testkit::redis::Redis;
use room::{here, in_room, make_room, message, sqlite, start_on, unhurried, user};
use serde_json::{Value, json};

fn on_each_store(config: &Config, test: impl AsyncFn(Rc<Loop>, TestClock, Chat)) {
    let run_on = |store: Store| {
        run(async {
            let (on, clock, chat) = start_on(store.clone(), config.clone());
            test(on, clock, chat).await;
            store.close().await.expect("closes");
        });
    };
    run_on(Store::memory());
    let folder = tempfile::tempdir().expect("a folder");
    run_on(sqlite(&folder));
    let redis = Redis::start(&[]).expect("a redis-server");
    run_on(Store::redis(&redis.url(), &RedisOptions::default()).expect("a store"));
}

/// Ada's room, with settings.
async fn set(ada: &Client, settings: Value) {
    let request = json!({"room": "r", "settings": settings});
    ada.ok("room:set", request).await;
}

/// As the backend itself.
async fn system(chat: &Chat, name: &str, request: Value) -> Value {
    let answer = chat
        .call(&Asker::system(), name, &request.to_string())
        .await;
    serde_json::from_str(answer.expect("answered").get()).expect("JSON")
}

#[test]
fn words_of_the_server_and_of_the_room_are_refused() {
    let config = Config {
        words: vec!["darn*".into()],
        ..unhurried()
    };
    on_each_store(&config, async |on, _, chat| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        set(&ada, json!({"words": ["Fudge"]})).await;
        for text in ["Dárning", "oh FUDGE!"] {
            let refused = ben.refused("message:send", message("1", text)).await;
            assert_eq!(refused, "blocked_word", "{text}");
        }
        let sent = ben.ok("message:send", message("1", "fudges")).await;
        assert_eq!(sent["message"]["seq"], 1);
        let edit = json!({"room": "r", "seq": 1, "text": "fudge"});
        assert_eq!(ben.refused("message:edit", edit).await, "blocked_word");
        // Who keeps order is held to it, and the backend isn't.
        let refused = ada.refused("message:send", message("1", "darn")).await;
        assert_eq!(refused, "blocked_word");
        let sent = system(&chat, "message:send", message("1", "darn")).await;
        assert_eq!(sent["message"]["seq"], 2);
    });
}

#[test]
fn words_are_masked_where_the_server_says_so() {
    let config = Config {
        words: vec!["darn*".into(), "go away".into()],
        words_action: WordsAction::Mask,
        ..unhurried()
    };
    on_each_store(&config, async |on, _, _| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        let sent = ben
            .ok("message:send", message("1", "Darned 🦀, go  away!"))
            .await;
        assert_eq!(sent["message"]["text"], "•••••• 🦀, ••  ••••!");
        assert_eq!(ada.heard("message:new").await, sent["message"]);
        let edit = json!({"room": "r", "seq": 1, "text": "darn it"});
        let edited = ben.ok("message:edit", edit).await;
        assert_eq!(edited["message"]["text"], "•••• it");
    });
}

#[test]
fn in_a_slow_room_each_waits_for_their_next_message_with_all_their_devices() {
    on_each_store(&unhurried(), async |on, clock, _| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        let other = here(&on, "Ben").await;
        set(&ada, json!({"slow_mode_s": 10})).await;
        // What isn't sent costs nothing.
        let reply = json!({"room": "r", "key": "0", "text": "a", "thread": 99});
        assert_eq!(ben.refused("message:send", reply).await, "not_found");
        ben.ok("message:send", message("1", "a")).await;
        for device in [&ben, &other] {
            let refused = device.refused("message:send", message("2", "b")).await;
            assert_eq!(refused, "slow_mode");
        }
        // The same once more is the same.
        let again = other.ok("message:send", message("1", "a")).await;
        assert_eq!(again["duplicate"], true);
        for key in ["1", "2"] {
            ada.ok("message:send", message(key, "moderators don't wait"))
                .await;
        }
        clock.advance(9_999);
        let refused = other.refused("message:send", message("2", "b")).await;
        assert_eq!(refused, "slow_mode");
        clock.advance(1);
        other.ok("message:send", message("2", "b")).await;
        // A shorter time holds for those who wait already.
        set(&ada, json!({"slow_mode_s": 2})).await;
        clock.advance(2_000);
        ben.ok("message:send", message("3", "c")).await;
    });
}

/// Two nodes on one store, each on a thread of its own, on which the same person speaks at the same time.
fn speak_on_two_nodes(stores: &[Store; 2]) {
    let met = std::sync::Barrier::new(2);
    let sent = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for (index, store) in stores.iter().enumerate() {
            let (met, sent) = (&met, &sent);
            scope.spawn(move || {
                run(async {
                    let clock = TestClock::default();
                    let hub = hub_by(&clock, &format!("n{index}"), 1, &["/chat"]);
                    lakh_chat::install(&hub, store.clone(), unhurried());
                    let on = Loop::start(&hub, 0);
                    if index == 0 {
                        make_room(store, "r", json!({"slow_mode_s": 60})).await;
                    }
                    met.wait();
                    let ben = here(&on, "Ben").await;
                    met.wait();
                    for key in 0..5 {
                        let key = format!("{index}{key}");
                        let answer = ben.request("message:send", message(&key, "a")).await;
                        match answer["ok"] == true {
                            true => sent.fetch_add(1, std::sync::atomic::Ordering::Relaxed),
                            false => {
                                assert_eq!(answer["error"]["code"], "slow_mode", "{answer}");
                                0
                            }
                        };
                    }
                });
            });
        }
    });
    assert_eq!(sent.into_inner(), 1);
}

#[test]
fn a_slow_room_is_slow_over_nodes() {
    let memory = Store::memory();
    speak_on_two_nodes(&[memory.clone(), memory]);
    let redis = Redis::start(&[]).expect("a redis-server");
    let store = || Store::redis(&redis.url(), &RedisOptions::default()).expect("a store");
    speak_on_two_nodes(&[store(), store()]);
}

#[test]
fn a_room_takes_so_many_messages_a_second() {
    let config = Config {
        room_messages_per_second: 1,
        ..unhurried()
    };
    on_each_store(&config, async |on, clock, chat| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        for (client, key) in [(&ada, "1"), (&ben, "1"), (&ada, "2")] {
            client.ok("message:send", message(key, "a")).await;
        }
        for client in [&ada, &ben] {
            let refused = client.refused("message:send", message("3", "a")).await;
            assert_eq!(refused, "rate_limited");
        }
        // Elsewhere, and for the backend, that's nothing.
        ada.ok("room:join", json!({"room": "other"})).await;
        let elsewhere = json!({"room": "other", "key": "1", "text": "a"});
        ada.ok("message:send", elsewhere).await;
        system(&chat, "message:send", message("1", "a")).await;
        clock.advance(1_000);
        ben.ok("message:send", message("3", "a")).await;
    });
}

fn report(seq: u64, reason: &str) -> Value {
    json!({"room": "r", "seq": seq, "reason": reason})
}

#[test]
fn a_message_is_reported_once_looked_at_and_closed() {
    on_each_store(&unhurried(), async |on, clock, _| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        let cy = here(&on, "Cy").await;
        ben.ok("message:send", message("1", "something bad")).await;
        let sent = cy.ok("report:send", report(1, "it's rude")).await;
        let told = ada.heard("report:new").await;
        assert_eq!(told["id"], sent["id"]);
        assert_eq!(
            (&told["reason"], &told["text"]),
            (&json!("it's rude"), &json!("something bad"))
        );
        assert_eq!((&told["author"], &told["by"]), (&user("Ben"), &user("Cy")));
        let again = cy.refused("report:send", report(1, "very")).await;
        assert_eq!(again, "conflict");
        assert_eq!(cy.refused("report:send", report(9, "x")).await, "not_found");
        assert_eq!(
            cy.refused("report:send", report(1, "")).await,
            "bad_request"
        );
        clock.advance(5);
        ada.ok("report:send", report(1, "I think so, too")).await;
        // Members don't see them; those of all rooms are those of rooms where one may see them.
        assert_eq!(cy.refused("report:list", in_room()).await, "forbidden");
        assert_eq!(cy.ok("report:list", json!({})).await["reports"], json!([]));
        for request in [json!({}), in_room()] {
            let page = ada.ok("report:list", request).await;
            let reasons: Vec<_> = page["reports"]
                .as_array()
                .expect("a list")
                .iter()
                .map(|one| &one["reason"])
                .collect();
            assert_eq!(reasons, ["I think so, too", "it's rude"]);
            assert_eq!(page["cursor"], Value::Null);
        }
        let close = json!({"id": sent["id"], "outcome": "removed", "note": "warned"});
        assert_eq!(cy.refused("report:close", close.clone()).await, "forbidden");
        let closed = ada.ok("report:close", close.clone()).await;
        assert_eq!(closed["report"]["closed"]["by"], user("Ada"));
        assert_eq!(ada.refused("report:close", close).await, "conflict");
        let page = ada
            .ok("report:list", json!({"room": "r", "state": "closed"}))
            .await;
        assert_eq!(page["reports"], json!([closed["report"]]));
        let page = ada.ok("report:list", in_room()).await;
        assert_eq!(page["reports"].as_array().map(Vec::len), Some(1));
        // It's another one now.
        cy.ok("report:send", report(1, "again")).await;
        let log = ada.ok("moderation:log", in_room()).await;
        let deed = &log["entries"][0];
        assert_eq!(
            (&deed["kind"], &deed["seq"], &deed["person"]),
            (&json!("close_report"), &json!(1), &user("Ben"))
        );
        assert_eq!(cy.refused("moderation:log", in_room()).await, "forbidden");
    });
}

#[test]
fn the_log_says_what_moderators_did_in_pages() {
    on_each_store(&unhurried(), async |on, _, _| {
        let (ada, _ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        for seconds in 1..=55 {
            let mute = json!({"room": "r", "person": "dev:ben", "seconds": seconds});
            ada.ok("member:mute", mute).await;
        }
        let page = ada.ok("moderation:log", in_room()).await;
        let entries = page["entries"].as_array().expect("a list");
        assert_eq!(entries.len(), 50);
        assert_eq!(
            (&entries[0]["kind"], &entries[0]["by"]),
            (&json!("mute"), &user("Ada"))
        );
        let rest = json!({"room": "r", "cursor": page["cursor"]});
        let page = ada.ok("moderation:log", rest).await;
        assert_eq!(page["entries"].as_array().map(Vec::len), Some(5));
        assert_eq!(page["cursor"], Value::Null);
    });
}

/// What counts as a request of one room can't be one of more.
#[test]
fn requests_of_a_room_need_its_name() {
    run(async {
        let (_on, _, chat) = start_on(Store::memory(), unhurried());
        for name in lakh_chat::OF_A_ROOM {
            if !lakh_chat::REQUESTS.contains(name) {
                continue;
            }
            // All that any of them needs, but for the room.
            let all = json!({
                "seq": 1, "rev": 0, "emoji": "x", "key": "k", "text": "t", "person": "p", "people": ["p"], "role": "member",
                "reason": "r", "pinned": true, "archived": true, "notify": "all", "typing": true, "seconds": 1,
                "name": "n", "size": 1, "type": "t",
            });
            let refused = chat.call(&Asker::system(), name, &all.to_string()).await;
            let failure = refused.expect_err(name);
            assert_eq!(failure.code, "bad_request", "{name}");
            assert!(
                failure.message.contains("`room`"),
                "{name}: {}",
                failure.message
            );
        }
    });
}
