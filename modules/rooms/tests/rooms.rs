//! The module through the hub, without sockets: what each request does and refuses.

mod driver;

use driver::{Client, Loop, START_MS, TestClock, hub, run};
use lakh_hub::auth::{Effect, Policy, Rule, Who};
use lakh_hub::store::Store;
use lakh_hub::{Bytes, LogLimits};
use lakh_rooms::{Config, Rooms};
use serde_json::{Value, json};
use std::rc::Rc;

fn start(config: Config) -> (Rc<Loop>, TestClock, Rooms) {
    let (hub, clock) = hub(1, &["/"]);
    let rooms = lakh_rooms::install(&hub, Store::memory(), config);
    (Loop::start(&hub, 0), clock, rooms)
}

async fn pair(on: &Rc<Loop>) -> (Client, Client) {
    let (ada, ben) = (on.connect("/", "Ada").await, on.connect("/", "Ben").await);
    for client in [&ada, &ben] {
        client.ok("room:join", json!({"room": "r"})).await;
    }
    (ada, ben)
}

fn tick(data: impl Into<Value>) -> Value {
    json!({"room": "r", "event": "tick", "data": data.into()})
}

#[test]
fn members_get_an_event_with_its_data_and_who_sent_it_where_and_when() {
    run(async {
        let (on, clock, _) = start(Config::default());
        let (ada, ben) = pair(&on).await;
        clock.advance(5);
        let sent = ada
            .ok(
                "room:emit",
                json!({"room": "r", "event": "liked", "data": {"post": 7, "x": [1.5, "é🦀"]}}),
            )
            .await;
        assert_eq!(sent, json!({"ok": true, "seq": 1, "time": START_MS + 5}));
        for client in [&ada, &ben] {
            let meta = json!({
                "room": "r", "from": ada.id(), "user": {"id": "dev:ada", "name": "Ada"}, "time": START_MS + 5, "seq": 1
            });
            assert_eq!(
                client.next("liked").await.args,
                [json!({"post": 7, "x": [1.5, "é🦀"]}), meta]
            );
        }
        let anonymous = on.open("/", json!({}));
        anonymous.await_connect().await.expect("let in");
        anonymous.ok("room:join", json!({"room": "r"})).await;
        anonymous.ok("room:emit", tick(1)).await;
        assert_eq!(ben.next("tick").await.args[1].get("user"), None);
    });
}

#[test]
fn binary_values_go_through_as_they_came() {
    run(async {
        let (on, _, _) = start(Config::default());
        let (ada, ben) = pair(&on).await;
        let hole = |number: u8| json!({"_placeholder": true, "num": number});
        let (one, two) = (
            Bytes::from_static(&[0, 255, 128]),
            Bytes::from_static(b"two"),
        );
        let request =
            json!({"room": "r", "event": "picture", "data": {"a": hole(1), "b": [hole(0)]}});
        let sent = ada
            .request_with("room:emit", &request, &[one.clone(), two.clone()])
            .await;
        assert_eq!(sent["seq"], 1);
        let event = ben.next("picture").await;
        assert_eq!(event.args[0], json!({"a": hole(1), "b": [hole(0)]}));
        assert_eq!(event.attachments, [one, two]);
    });
}

#[test]
fn joining_tells_the_last_number_and_how_many_are_there() {
    run(async {
        let (on, _, _) = start(Config::default());
        let (ada, ben) = (on.connect("/", "Ada").await, on.connect("/", "Ben").await);
        let room = json!({"room": "r"});
        assert_eq!(
            ada.ok("room:join", room.clone()).await,
            json!({"ok": true, "seq": 0, "count": 1})
        );
        ada.ok("room:emit", tick(1)).await;
        assert_eq!(
            ben.ok("room:join", room.clone()).await,
            json!({"ok": true, "seq": 1, "count": 2})
        );
        assert_eq!(ben.ok("room:join", room.clone()).await["count"], 2);
        ada.ok("room:leave", room.clone()).await;
        ada.ok("room:leave", room.clone()).await;
        assert_eq!(ben.ok("room:join", room.clone()).await["count"], 1);
        ben.disconnect();
        assert_eq!(
            ada.ok("room:join", room).await,
            json!({"ok": true, "seq": 1, "count": 1})
        );
    });
}

#[test]
fn echo_false_spares_the_sender_and_takes_a_number() {
    run(async {
        let (on, _, _) = start(Config::default());
        let (ada, ben) = pair(&on).await;
        let quiet = json!({"room": "r", "event": "tick", "data": "quiet", "echo": false});
        assert_eq!(ada.ok("room:emit", quiet).await["seq"], 1);
        assert_eq!(ada.ok("room:emit", tick("loud")).await["seq"], 2);
        assert_eq!(ada.received_of("tick"), ["loud"]);
        assert_eq!(ben.received_of("tick"), ["quiet", "loud"]);
    });
}

#[test]
fn members_are_told_to_members_up_to_a_limit() {
    run(async {
        let (on, _, _) = start(Config::default());
        let (ada, ben) = pair(&on).await;
        let answer = ada.ok("room:members", json!({"room": "r"})).await;
        let mut members = answer["members"].as_array().expect("a list").clone();
        members.sort_by_key(|member| member["user"]["name"].to_string());
        let member = |client: &Client, id: &str, name: &str| json!({"id": client.id(), "user": {"id": id, "name": name}});
        assert_eq!(
            members,
            [
                member(&ada, "dev:ada", "Ada"),
                member(&ben, "dev:ben", "Ben")
            ]
        );
        let answer = ada
            .ok("room:members", json!({"room": "r", "limit": 1}))
            .await;
        assert_eq!(
            (answer["members"].as_array().map(Vec::len), &answer["count"]),
            (Some(1), &json!(2))
        );
        for limit in [0, 1_001] {
            assert_eq!(
                ada.refused("room:members", json!({"room": "r", "limit": limit}))
                    .await,
                "bad_request"
            );
        }
        let eve = on.connect("/", "Eve").await;
        assert_eq!(
            eve.refused("room:members", json!({"room": "r"})).await,
            "not_member"
        );
    });
}

#[test]
fn what_does_not_fit_is_refused_with_a_code() {
    run(async {
        let (on, _, _) = start(Config {
            max_data_bytes: 10,
            ..Config::default()
        });
        let (ada, _) = pair(&on).await;
        for (name, request, code) in [
            ("room:join", json!({}), "bad_request"),
            ("room:join", json!({"room": ""}), "bad_request"),
            ("room:join", json!({"room": 7}), "bad_request"),
            ("room:join", json!({"room": "x".repeat(129)}), "bad_request"),
            ("room:join", json!("r"), "bad_request"),
            ("room:join", Value::Null, "bad_request"),
            ("room:leave", json!({"room": "\n"}), "bad_request"),
            ("room:emit", json!({"room": "r"}), "bad_request"),
            (
                "room:emit",
                json!({"room": "r", "event": "disconnect", "data": 1}),
                "bad_request",
            ),
            (
                "room:emit",
                json!({"room": "r", "event": "room:join", "data": 1}),
                "bad_request",
            ),
            (
                "room:emit",
                json!({"room": "other", "event": "tick", "data": 1}),
                "not_member",
            ),
            ("room:emit", tick("123456789"), "too_large"),
        ] {
            assert_eq!(
                ada.refused(name, request.clone()).await,
                code,
                "{name} {request}"
            );
        }
        let request = json!({"room": "r", "event": "e"});
        let answer = ada
            .request_with("room:emit", &request, &[Bytes::from_static(b"1234567")])
            .await;
        assert_eq!(answer["error"]["code"], "too_large", "null and 7 bytes");
        assert_eq!(
            ada.ok("room:emit", tick("12345678")).await["seq"],
            1,
            "what was refused took no number"
        );
    });
}

#[test]
fn a_socket_that_emits_too_fast_is_told_so() {
    run(async {
        let (on, clock, _) = start(Config {
            events_per_second: 3,
            ..Config::default()
        });
        let (ada, ben) = pair(&on).await;
        for _ in 0..3 {
            ada.ok("room:emit", tick(1)).await;
        }
        assert_eq!(ada.refused("room:emit", tick(1)).await, "rate_limited");
        ben.ok("room:emit", tick(1)).await;
        clock.advance(334);
        assert_eq!(ada.ok("room:emit", tick(1)).await["seq"], 5);
        assert_eq!(ada.refused("room:emit", tick(1)).await, "rate_limited");
    });
}

#[test]
fn rules_hold_at_join_and_at_emit() {
    run(async {
        let rule = |who: Who, effect, what: &str| Rule {
            who: vec![who],
            what: vec![what.parse().expect("a grant")],
            effect,
        };
        let (on, _, _) = start(Config::default());
        on.shard.hub().set_policy(Policy::new(
            vec![
                rule(
                    Who::Person("dev:ada".into()),
                    Effect::Allow,
                    "rooms:emit:news:*",
                ),
                rule(Who::Anyone, Effect::Deny, "rooms:emit:news:*"),
                rule(Who::Anonymous, Effect::Deny, "rooms:*:staff"),
                rule(Who::Anyone, Effect::Deny, "rooms:join:closed*"),
            ],
            Effect::Allow,
        ));
        let (ada, ben, anonymous) = (
            on.connect("/", "Ada").await,
            on.connect("/", "Ben").await,
            on.open("/", json!({})),
        );
        for client in [&ada, &ben, &anonymous] {
            client.ok("room:join", json!({"room": "news:1"})).await;
            client.ok("room:join", json!({"room": "free"})).await;
            assert_eq!(
                client.refused("room:join", json!({"room": "closed"})).await,
                "forbidden"
            );
        }
        let news = json!({"room": "news:1", "event": "tick", "data": 1});
        ada.ok("room:emit", news.clone()).await;
        assert_eq!(ben.refused("room:emit", news.clone()).await, "forbidden");
        assert_eq!(anonymous.refused("room:emit", news).await, "forbidden");
        ben.ok("room:join", json!({"room": "staff"})).await;
        assert_eq!(
            anonymous
                .refused("room:join", json!({"room": "staff"}))
                .await,
            "forbidden"
        );
    });
}

#[test]
fn nobody_joins_the_own_room_of_another_socket() {
    run(async {
        let (on, _, _) = start(Config::default());
        let (ada, eve) = (on.connect("/", "Ada").await, on.connect("/", "Eve").await);
        let room = json!({"room": ada.id()});
        assert_eq!(eve.ok("room:join", room).await["count"], 1);
        on.shard
            .hub()
            .of("/")
            .to(&*ada.id())
            .emit("secret", &1)
            .expect("sent");
        assert_eq!(ada.received_of("secret"), [json!(1)]);
        assert!(eve.received().is_empty());
        // The room of that name is a room like any other.
        eve.ok(
            "room:emit",
            json!({"room": ada.id(), "event": "tick", "data": 1}),
        )
        .await;
        assert_eq!(eve.next("tick").await.args[1]["room"], json!(ada.id()));
        assert!(ada.received().is_empty());
    });
}

#[test]
fn the_rest_of_a_server_reaches_a_room_by_its_name() {
    run(async {
        let (on, _, _) = start(Config::default());
        let (ada, _) = pair(&on).await;
        on.shard
            .hub()
            .of("/")
            .to("r")
            .emit("from the server", &json!({"n": 1}))
            .expect("sent");
        assert_eq!(ada.received_of("from the server"), [json!({"n": 1})]);
    });
}

#[test]
fn a_member_that_lost_its_connection_gets_each_missed_event_once_and_its_room_keeps_its_numbers() {
    run(async {
        let (on, clock, rooms) = start(Config::default());
        let (ada, ben) = pair(&on).await;
        ada.ok("room:emit", tick(0)).await;
        assert_eq!(ben.received_of("tick"), [json!(0)]);
        ben.cut();
        for number in 1..=5 {
            ada.ok("room:emit", tick(number)).await;
        }
        ada.cut();
        clock.advance(100_000);
        let back = ben.come_back().await;
        let missed = back.received();
        let seen: Vec<_> = missed
            .iter()
            .map(|event| (event.args[0].clone(), event.args[1]["seq"].clone()))
            .collect();
        assert_eq!(
            seen,
            (1..=5)
                .map(|number| (json!(number), json!(number + 1)))
                .collect::<Vec<_>>()
        );
        // It is a member again, and the room counts on.
        assert_eq!(back.ok("room:emit", tick(6)).await["seq"], 7);
        assert_eq!(
            back.ok("room:members", json!({"room": "r"})).await["count"],
            1
        );
        assert_eq!(rooms.kept(), 1);
    });
}

#[test]
fn an_empty_room_is_forgotten_when_nobody_can_come_back_to_it() {
    run(async {
        let recovery = Some(LogLimits {
            max_age_ms: 1_000,
            ..LogLimits::default()
        });
        let (on, clock, rooms) = start(Config {
            recovery,
            ..Config::default()
        });
        let (ada, ben) = pair(&on).await;
        ada.ok("room:emit", tick(0)).await;
        ada.cut();
        ben.cut();
        let cy = on.connect("/", "Cy").await;
        cy.ok("room:join", json!({"room": "other"})).await;
        assert_eq!(rooms.kept(), 2);
        clock.advance(60_000);
        cy.ok("room:join", json!({"room": "other"})).await;
        assert_eq!(rooms.kept(), 1);
        assert_eq!(cy.ok("room:join", json!({"room": "r"})).await["seq"], 0);
    });
}

#[test]
fn a_server_with_all_its_rooms_taken_says_so() {
    run(async {
        let (on, _, _) = start(Config {
            max_rooms: 2,
            ..Config::default()
        });
        let ada = on.connect("/", "Ada").await;
        for room in ["a", "b"] {
            ada.ok("room:join", json!({"room": room})).await;
        }
        assert_eq!(
            ada.refused("room:join", json!({"room": "c"})).await,
            "unavailable"
        );
        ada.ok("room:leave", json!({"room": "a"})).await;
        ada.ok("room:join", json!({"room": "c"})).await;
    });
}

#[test]
fn without_recovery_the_numbers_hold_all_the_same() {
    run(async {
        let (on, _, _) = start(Config {
            recovery: None,
            ..Config::default()
        });
        let (ada, ben) = pair(&on).await;
        for number in 1..=20 {
            let from = if number % 2 == 0 { &ada } else { &ben };
            assert_eq!(from.ok("room:emit", tick(number)).await["seq"], number);
        }
        let seqs: Vec<_> = ada
            .received()
            .iter()
            .map(|event| event.args[1]["seq"].clone())
            .collect();
        assert_eq!(seqs, (1..=20).map(Value::from).collect::<Vec<_>>());
    });
}

/// Two loops on two threads emit in one room at once: every member of either sees 1, 2, 3, … in order.
#[test]
fn numbers_are_the_order_of_delivery_on_all_loops() {
    const EVENTS: usize = 400;
    const CLIENTS: usize = 3;
    let (hub, _) = hub(2, &["/"]);
    lakh_rooms::install(
        &hub,
        Store::memory(),
        Config {
            events_per_second: 1_000_000,
            ..Config::default()
        },
    );
    let joined = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        for index in 0..2 {
            let (hub, joined) = (&hub, &joined);
            scope.spawn(move || {
                run(async {
                    let on = Loop::start(hub, index);
                    let mut clients = Vec::new();
                    for _ in 0..CLIENTS {
                        let client = on.connect("/", "Ada").await;
                        client.ok("room:join", json!({"room": "r"})).await;
                        clients.push(client);
                    }
                    joined.wait();
                    let mut sent = Vec::new();
                    for number in 0..EVENTS {
                        sent.extend(
                            clients
                                .iter()
                                .map(|client| client.request("room:emit", tick(number))),
                        );
                        // Gives the other loop's broadcasts a chance to arrive in between.
                        tokio::task::yield_now().await;
                    }
                    for answer in sent {
                        assert_eq!(answer.await["ok"], true);
                    }
                    let all = 2 * CLIENTS * EVENTS;
                    for client in &clients {
                        for expected in 1..=all {
                            assert_eq!(client.next("tick").await.args[1]["seq"], expected);
                        }
                    }
                });
            });
        }
    });
}
