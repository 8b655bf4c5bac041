//! The module through the hub, without sockets, on each of the store's backends.

#[path = "../../rooms/tests/driver/mod.rs"]
mod driver;
mod room;

use driver::{Loop, START_MS, hub, run};
use lakh_chat::Config;
use lakh_hub::store::Store;
use room::{here, in_room, message, on_each_store, sqlite, start, start_on, unhurried, user};
use serde_json::{Value, json};

fn seqs(answer: &Value) -> Vec<u64> {
    answer["messages"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|message| message["seq"].as_u64())
        .collect()
}

#[test]
fn what_one_says_the_others_hear_and_the_answer_holds_the_same() {
    on_each_store(async |on, clock| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        clock.advance(7);
        let sent = ada.ok("message:send", message("k1", "Hello é🦀 <b>")).await;
        let expected = json!({
            "room": "r", "seq": 1, "key": "k1", "from": user("Ada"), "text": "Hello é🦀 <b>", "time": START_MS + 7
        });
        assert_eq!(
            sent,
            json!({"ok": true, "message": expected, "duplicate": false})
        );
        assert_eq!(ada.heard("message:new").await, expected);
        assert_eq!(ben.heard("message:new").await, expected);
        let history = ben.ok("message:history", in_room()).await;
        assert_eq!(
            history,
            json!({
                "ok": true, "messages": [expected], "more": false, "more_before": false, "more_after": false, "first": 1,
                "seq": 1, "rev": 1
            })
        );
    });
}

#[test]
fn a_message_sent_again_with_its_key_is_the_same_message_told_once() {
    on_each_store(async |on, clock| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        let first = ada.ok("message:send", message("k", "once")).await;
        clock.advance(1_000);
        let again = ada.ok("message:send", message("k", "another text")).await;
        assert_eq!(
            (&again["duplicate"], &again["message"]),
            (&json!(true), &first["message"])
        );
        // From another device of the same person it's the same message, too; from another person it's not.
        let phone = here(&on, "Ada").await;
        assert_eq!(
            phone.ok("message:send", message("k", "once")).await["duplicate"],
            json!(true)
        );
        assert_eq!(
            ben.ok("message:send", message("k", "mine")).await["duplicate"],
            json!(false)
        );
        assert_eq!(ben.heard("message:new").await["text"], "once");
        assert_eq!(ben.heard("message:new").await["text"], "mine");
        assert!(ben.received_of("message:new").is_empty());
    });
}

#[test]
fn retries_that_overtake_each_other_make_one_message() {
    on_each_store(async |on, _| {
        let ada = here(&on, "Ada").await;
        let sent: Vec<_> = (0..20)
            .map(|_| ada.request("message:send", message("k", "once")))
            .collect();
        let mut first = 0;
        for answer in sent {
            let answer = answer.await;
            assert_eq!(answer["message"]["seq"], 1, "{answer}");
            first += usize::from(answer["duplicate"] == false);
        }
        assert_eq!(first, 1);
        assert_eq!(
            ada.ok("message:send", message("l", "next")).await["message"]["seq"],
            2
        );
        assert_eq!(ada.received_of("message:new").len(), 2);
    });
}

#[test]
fn messages_in_flight_are_told_in_the_order_of_their_numbers() {
    on_each_store(async |on, _| {
        let clients = [
            here(&on, "Ada").await,
            here(&on, "Ben").await,
            here(&on, "Cy").await,
        ];
        let mut sent = Vec::new();
        for number in 0..100 {
            for client in &clients {
                sent.push(client.request(
                    "message:send",
                    message(&format!("k{number}"), &number.to_string()),
                ));
            }
        }
        for answer in sent {
            assert_eq!(answer.await["ok"], true);
        }
        for client in &clients {
            let heard = client.received_of("message:new");
            let seqs: Vec<_> = heard.iter().map(|message| message["seq"].clone()).collect();
            assert_eq!(seqs, (1..=300).map(Value::from).collect::<Vec<_>>());
            for name in ["Ada", "Ben", "Cy"] {
                let said = heard
                    .iter()
                    .filter(|message| message["from"]["name"] == name);
                let said: Vec<_> = said.map(|message| message["text"].clone()).collect();
                assert_eq!(
                    said,
                    (0..100)
                        .map(|number| json!(number.to_string()))
                        .collect::<Vec<_>>()
                );
            }
        }
    });
}

#[test]
fn history_is_read_in_pages_both_ways() {
    on_each_store(async |on, _| {
        let ada = here(&on, "Ada").await;
        assert_eq!(
            ada.ok("message:history", in_room()).await,
            json!({
                "ok": true, "messages": [], "more": false, "more_before": false, "more_after": false, "first": 1,
                "seq": 0, "rev": 0
            })
        );
        for number in 1..=25 {
            ada.ok("message:send", message(&number.to_string(), "x"))
                .await;
        }
        for (before, after, limit, expected, more) in [
            (None, None, Some(10), 16..26, true),
            (Some(16), None, Some(10), 6..16, true),
            (Some(6), None, Some(10), 1..6, false),
            (Some(1), None, None, 1..1, false),
            (Some(0), None, None, 1..1, false),
            (Some(u64::MAX), None, None, 1..26, false),
            (None, Some(0), Some(10), 1..11, true),
            (None, Some(15), Some(10), 16..26, false),
            (None, Some(25), None, 1..1, false),
            (None, Some(u64::MAX), None, 1..1, false),
            (None, None, Some(1_000), 1..26, false),
        ] {
            let mut request = in_room();
            for (name, value) in [("before", before), ("after", after), ("limit", limit)] {
                if let Some(value) = value {
                    request[name] = json!(value);
                }
            }
            let page = ada.ok("message:history", request.clone()).await;
            assert_eq!(
                (seqs(&page), &page["more"]),
                (expected.collect(), &json!(more)),
                "{request}"
            );
        }
        for request in [
            json!({"room": "r", "before": 3, "after": 1}),
            json!({"room": "r", "limit": 0}),
            json!({"room": "r", "before": -1}),
        ] {
            assert_eq!(ada.refused("message:history", request).await, "bad_request");
        }
    });
}

#[test]
fn joining_tells_the_room_who_is_there_and_the_last_number() {
    on_each_store(async |on, clock| {
        let ada = on.connect("/chat", "Ada").await;
        let watcher = on.connect("/chat", "Watcher").await;
        clock.advance(3);
        let joined = ada.ok("room:join", in_room()).await;
        let room = json!({
            "id": "r", "kind": "public", "name": "r", "created_at": START_MS + 3, "created_by": "dev:ada",
            "archived": false, "settings": {"slow_mode_s": 0, "retention_days": 0, "reactions": "each"},
            "version": joined["room"]["version"], "seq": 0, "rev": 0, "members": 1,
            "watching": joined["room"]["watching"], "crowd": "none"
        });
        let mine = |role: &str, at: u64| {
            json!({
                "role": role, "joined_at": at, "notify": "all", "read": 0, "delivered": 0, "unread": 0, "mentions": 0
            })
        };
        let with = |mine: Value| {
            let mut room = room.clone();
            room["mine"] = mine;
            room
        };
        let online = |name: &str| json!({"id": user(name)["id"], "name": name, "online": true});
        assert_eq!(
            joined,
            json!({
                "ok": true, "room": with(mine("owner", START_MS + 3)), "members": [online("Ada")], "count": 1,
                "seq": 0, "rev": 0
            })
        );
        let mut news = room.clone();
        news["watching"] = json!(0);
        assert_eq!(watcher.heard("room:new").await, news);
        ada.ok("message:send", message("k", "x")).await;
        clock.advance(3);
        let ben = on.connect("/chat", "Ben").await;
        let joined = ben.ok("room:join", in_room()).await;
        let mut newcomer = mine("member", START_MS + 6);
        // What was said before is not theirs to catch up on.
        newcomer["read"] = json!(1);
        newcomer["delivered"] = json!(1);
        assert_eq!(joined["room"]["mine"], newcomer);
        assert_eq!(
            (
                &joined["room"]["seq"],
                &joined["seq"],
                &joined["room"]["members"]
            ),
            (&json!(1), &json!(1), &json!(2))
        );
        assert_eq!(joined["members"], json!([online("Ada"), online("Ben")]));
        assert_eq!(
            ben.ok("room:join", in_room()).await["count"],
            2,
            "joining again changes nothing"
        );
        assert!(watcher.received().is_empty(), "the room is made once");
    });
}

#[test]
fn rooms_are_listed_in_pages_with_who_is_there_and_their_last_message() {
    on_each_store(async |on, _| {
        let ada = on.connect("/chat", "Ada").await;
        for number in 0..7 {
            ada.ok("room:join", json!({"room": format!("r{number}")}))
                .await;
        }
        let said = ada
            .ok(
                "message:send",
                json!({"room": "r3", "key": "k", "text": "last"}),
            )
            .await;
        ada.ok("room:leave", json!({"room": "r4"})).await;
        let (mut rooms, mut cursor, mut pages) = (Vec::new(), Value::Null, 0);
        loop {
            let request = if cursor.is_null() {
                json!({"limit": 3})
            } else {
                json!({"limit": 3, "cursor": cursor})
            };
            let mut page = ada.ok("room:list", request).await;
            rooms.append(page["rooms"].as_array_mut().expect("a list"));
            cursor = page["cursor"].take();
            pages += 1;
            if cursor.is_null() {
                break;
            }
        }
        assert_eq!(pages, 3);
        let ids: Vec<_> = rooms.iter().map(|room| room["id"].clone()).collect();
        assert_eq!(
            ids,
            (0..7)
                .map(|number| json!(format!("r{number}")))
                .collect::<Vec<_>>()
        );
        assert_eq!(
            (&rooms[3]["last"], &rooms[3]["seq"], &rooms[3]["online"]),
            (&said["message"], &json!(1), &json!(1))
        );
        assert_eq!(
            (&rooms[4]["last"], &rooms[4]["seq"], &rooms[4]["online"]),
            (&Value::Null, &json!(0), &json!(0))
        );
        assert_eq!(
            ada.refused("room:list", json!({"limit": 0})).await,
            "bad_request"
        );
    });
}

#[test]
fn what_was_acknowledged_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let said = std::cell::RefCell::new(Vec::new());
    run(async {
        let store = sqlite(&folder);
        let (on, _, _) = start_on(store.clone(), unhurried());
        let ada = here(&on, "Ada").await;
        let sent: Vec<_> = (0..50)
            .map(|n| ada.request("message:send", message(&format!("k{n}"), "x")))
            .collect();
        for answer in sent {
            let answer = answer.await;
            said.borrow_mut().push(answer["message"].clone());
        }
        store.close().await.expect("closes");
    });
    run(async {
        let (on, _, _) = start_on(sqlite(&folder), unhurried());
        let ada = on.connect("/chat", "Ada").await;
        let joined = ada.ok("room:join", in_room()).await;
        assert_eq!(
            (&joined["seq"], &joined["room"]["seq"]),
            (&json!(50), &json!(50))
        );
        assert!(ada.received_of("room:new").is_empty());
        assert_eq!(
            ada.ok("message:history", in_room()).await["messages"],
            json!(*said.borrow())
        );
        assert_eq!(
            ada.ok("message:send", message("k7", "x")).await["duplicate"],
            true
        );
        assert_eq!(
            ada.ok("message:send", message("new", "x")).await["message"]["seq"],
            51
        );
    });
}

#[test]
fn a_store_that_takes_no_more_is_told_and_holds_nobody_up() {
    run(async {
        let store = Store::memory();
        let (on, _, chat) = start_on(store.clone(), unhurried());
        let ada = here(&on, "Ada").await;
        ada.ok("message:send", message("k", "x")).await;
        store.close().await.expect("closes");
        assert_eq!(
            ada.refused("message:send", message("l", "y")).await,
            "unavailable"
        );
        assert_eq!(
            ada.refused("room:join", json!({"room": "other"})).await,
            "unavailable"
        );
        assert_eq!(
            ada.refused("message:history", in_room()).await,
            "unavailable"
        );
        // Whether they are a member is stored; that this socket watches is not.
        assert_eq!(ada.refused("room:leave", in_room()).await, "unavailable");
        assert_eq!(chat.live_rooms(), 0, "nothing waits for what never came");
    });
}

#[test]
fn what_does_not_fit_is_refused_with_a_code() {
    run(async {
        let (on, _, _) = start(unhurried());
        let ada = here(&on, "Ada").await;
        let eve = on.connect("/chat", "Eve").await;
        for (name, request, code) in [
            ("room:join", json!({}), "bad_request"),
            ("room:join", json!({"room": ""}), "bad_request"),
            ("room:join", json!({"room": "x".repeat(129)}), "bad_request"),
            ("room:leave", Value::Null, "bad_request"),
            ("room:list", json!({"cursor": 7}), "bad_request"),
            (
                "room:list",
                json!({"cursor": "x".repeat(1_000)}),
                "bad_request",
            ),
            (
                "message:send",
                json!({"room": "r", "key": "k"}),
                "bad_request",
            ),
            (
                "message:send",
                json!({"room": "r", "text": "x"}),
                "bad_request",
            ),
            (
                "message:send",
                json!({"key": "k", "text": "x"}),
                "bad_request",
            ),
            ("message:send", message("", "x"), "bad_request"),
            ("message:send", message(&"k".repeat(65), "x"), "bad_request"),
            ("message:send", message("k", ""), "bad_request"),
            (
                "message:send",
                message("k", &"x".repeat(8_001)),
                "too_large",
            ),
            (
                "message:send",
                json!({"room": "r", "key": "k", "text": 7}),
                "bad_request",
            ),
            ("typing:set", json!({"room": "r"}), "bad_request"),
        ] {
            assert_eq!(
                ada.refused(name, request.clone()).await,
                code,
                "{name} {request}"
            );
        }
        for (name, request) in [
            ("message:send", message("k", "x")),
            (
                "reaction:add",
                json!({"room": "r", "seq": 1, "emoji": "👍"}),
            ),
            ("live:react", json!({"room": "r", "emoji": "👍"})),
            ("typing:set", json!({"room": "r", "typing": true})),
        ] {
            assert_eq!(eve.refused(name, request).await, "not_member", "{name}");
        }
        // Everybody may read a public room.
        eve.ok("message:history", in_room()).await;
        assert_eq!(
            ada.ok("message:send", message("k", &"🦀".repeat(8_000)))
                .await["message"]["seq"],
            1
        );
    });
}

#[test]
fn whoever_is_not_signed_in_can_do_nothing() {
    run(async {
        let (on, _, chat) = start(unhurried());
        let nobody = on.open("/chat", json!({}));
        nobody.await_connect().await.expect("let in");
        for (name, request) in [
            ("room:join", in_room()),
            ("room:list", json!({})),
            ("message:send", message("k", "x")),
        ] {
            assert_eq!(nobody.refused(name, request).await, "forbidden", "{name}");
        }
        nobody.disconnect();
        assert_eq!(chat.live_rooms(), 0);
    });
}

#[test]
fn a_person_who_sends_or_makes_rooms_too_fast_is_told_so() {
    run(async {
        let (on, clock, _) = start(Config {
            messages_per_second: 2,
            new_rooms_at_once: 3,
            ..Config::default()
        });
        let (ada, phone, ben) = (
            here(&on, "Ada").await,
            here(&on, "Ada").await,
            here(&on, "Ben").await,
        );
        for number in 0..6 {
            let client = if number % 2 == 0 { &ada } else { &phone };
            client
                .ok("message:send", message(&number.to_string(), "x"))
                .await;
        }
        assert_eq!(
            phone.refused("message:send", message("7", "x")).await,
            "rate_limited"
        );
        ben.ok("message:send", message("7", "x")).await;
        clock.advance(500);
        ada.ok("message:send", message("8", "x")).await;
        for room in ["s", "t"] {
            ada.ok("room:join", json!({"room": room})).await;
        }
        assert_eq!(
            phone.refused("room:join", json!({"room": "u"})).await,
            "rate_limited"
        );
        phone.ok("room:join", json!({"room": "s"})).await;
    });
}

/// Two loops on two threads send into one room at once, over SQLite: every member of either hears 1, 2, 3, … in order.
#[test]
fn numbers_are_the_order_of_telling_on_all_loops() {
    const MESSAGES: usize = 100;
    const CLIENTS: usize = 3;
    let folder = tempfile::tempdir().expect("a folder");
    let (hub, _) = hub(2, &["/chat"]);
    lakh_chat::install(&hub, sqlite(&folder), unhurried());
    let joined = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        for index in 0..2 {
            let (hub, joined) = (&hub, &joined);
            scope.spawn(move || {
                run(async {
                    let on = Loop::start(hub, index);
                    let mut clients = Vec::new();
                    for number in 0..CLIENTS {
                        clients.push(here(&on, &format!("P{index}{number}")).await);
                    }
                    joined.wait();
                    let mut sent = Vec::new();
                    for number in 0..MESSAGES {
                        let key = number.to_string();
                        sent.extend(
                            clients
                                .iter()
                                .map(|client| client.request("message:send", message(&key, "x"))),
                        );
                        tokio::task::yield_now().await;
                    }
                    for answer in sent {
                        assert_eq!(answer.await["ok"], true);
                    }
                    for client in &clients {
                        for expected in 1..=2 * CLIENTS * MESSAGES {
                            assert_eq!(client.heard("message:new").await["seq"], expected);
                        }
                    }
                });
            });
        }
    });
}
