//! Limits of persons, addresses and the node: each with what happens past it, and what the client is told.

use std::sync::Arc;

use lakh_hub::auth::Principal;
use lakh_hub::auth::limits::{Bounds, Limits, Past};
use lakh_hub::{Ack, CloseReason, Namespace, Occurrence, Socket, Watcher, What, Wish, answer};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::support::{Client, Log, World, run};

/// A namespace where a name is sign-in enough, whose handlers note what reaches them.
fn limited(world: &World, limits: Limits) -> (Namespace, Log) {
    world.hub().set_limits(limits);
    let ns = world.of("/");
    ns.use_sign_in(async |socket: Socket| {
        let auth: Value = socket.auth().unwrap_or_default();
        Ok(match auth["name"].as_str() {
            Some(name) => Principal::person(name, name),
            None => Principal::anonymous(),
        })
    });
    let log = Log::default();
    let told = log.clone();
    ns.on("say", async move |_: Socket, text: String, ack: Ack| {
        told.add(text);
        ack.send(&json!({"ok": true})).unwrap();
    });
    ns.on("join", async |socket: Socket, room: String, ack: Ack| {
        let passed = socket.pass(Wish::Subscribe { room: &room }).await;
        let joined = passed.map(|_| {
            socket.join(&*room);
        });
        ack.send_raw(answer(joined));
    });
    ns.on("leave", async |socket: Socket, room: String| {
        socket.leave(&*room)
    });
    (ns, log)
}

fn person(bounds: Bounds) -> Limits {
    Limits {
        person: bounds,
        ..Limits::default()
    }
}

fn events(per_second: u32) -> Bounds {
    Bounds {
        events: Some(per_second),
        ..Bounds::default()
    }
}

fn ada(world: &World) -> Client {
    let client = world.client();
    client.connect_with("/", r#"{"name":"ada"}"#);
    client
}

/// The answers that came, as their codes; `ok` for the good ones.
fn answers(client: &Client) -> Vec<String> {
    let texts = client.texts();
    let answers = texts.iter().filter_map(|text| {
        let text = text.strip_prefix("43")?;
        let value: Value = serde_json::from_str(&text[text.find('[')?..]).ok()?;
        Some(
            value[0]["error"]["code"]
                .as_str()
                .unwrap_or("ok")
                .to_owned(),
        )
    });
    answers.collect()
}

#[test]
fn too_many_events_are_refused_with_a_code() {
    run(async |world| {
        let (_, log) = limited(&world, person(events(3)));
        let (one, two) = (ada(&world), ada(&world));
        for id in 0..3 {
            one.send(&format!(r#"42{id}["say","one"]"#));
            two.send(&format!(r#"42{id}["say","two"]"#));
        }
        assert_eq!(log.take(), ["one", "two", "one"], "both count for her");
        assert_eq!(answers(&one), ["ok", "ok", "rate_limited"]);
        assert_eq!(answers(&two), ["ok", "rate_limited", "rate_limited"]);
        // Who is nobody in particular has no account of their own.
        let anonymous = world.joined();
        anonymous.send(r#"421["say","anonymous"]"#);
        assert_eq!(answers(&anonymous), ["ok"]);
        world.pass(334);
        one.send(r#"429["say","later"]"#);
        assert_eq!(answers(&one), ["ok"]);
    });
}

#[test]
fn who_waits_for_no_answer_is_told_by_an_event_once_a_second() {
    run(async |world| {
        limited(&world, person(events(1)));
        let client = ada(&world);
        for _ in 0..5 {
            client.send(r#"42["say","x"]"#);
        }
        let told = json!(["limit", {
            "code": "rate_limited", "limit": "events", "scope": "person", "action": "refuse",
            "retry_in_ms": 1_000,
        }]);
        assert_eq!(client.events(), [told]);
        world.pass(999);
        client.send(r#"42["say","x"]"#);
        assert_eq!(client.events().len(), 0);
        world.pass(1);
        for _ in 0..5 {
            client.send(r#"42["say","x"]"#);
        }
        assert_eq!(client.names(), ["limit"]);
    });
}

#[test]
fn who_is_to_be_slowed_is_read_no_further_for_as_long_as_it_was_too_fast() {
    run(async |world| {
        let limits = Limits {
            past_events: Past::Slow,
            ..person(events(10))
        };
        let (_, log) = limited(&world, limits);
        let client = ada(&world);
        for _ in 0..10 {
            client.send(r#"42["say","x"]"#);
        }
        assert!(!client.is_paused());
        client.send(r#"42["say","x"]"#);
        assert!(client.is_paused());
        assert_eq!(log.take().len(), 11, "what was read is done");
        assert_eq!(client.names(), ["limit"]);
        world.pass(99);
        assert!(client.is_paused());
        client.signals();
        world.pass(1);
        assert!(!client.is_paused());
        assert!(client.signals().iter().any(|signals| signals.resume));
        // And it goes on so.
        client.send(r#"42["say","x"]"#);
        assert!(client.is_paused());
    });
}

#[test]
fn who_is_to_be_closed_is_told_why_and_closed() {
    run(async |world| {
        let limits = Limits {
            past_events: Past::Disconnect,
            ..person(events(2))
        };
        let (ns, log) = limited(&world, limits);
        let client = ada(&world);
        for _ in 0..5 {
            client.send(r#"42["say","x"]"#);
        }
        assert_eq!(log.take(), ["x", "x"]);
        let texts = client.texts();
        assert!(texts[0].contains(r#""code":"rate_limited""#), "{texts:?}");
        assert!(texts[1].starts_with("41"), "{texts:?}");
        assert_eq!(client.closed(), Some(CloseReason::ForcedServerClose));
        assert_eq!(ns.socket_count(), 0);
    });
}

#[test]
fn a_person_has_only_so_many_connections() {
    for (past, closed) in [(Past::Refuse, false), (Past::Disconnect, true)] {
        run(async |world| {
            let bounds = Bounds {
                connections: Some(2),
                ..Bounds::default()
            };
            let limits = Limits {
                past_connections: past,
                ..person(bounds)
            };
            limited(&world, limits);
            let (one, _two) = (ada(&world), ada(&world));
            let third = world.client();
            third.frames();
            third.send(r#"40{"name":"ada"}"#);
            let texts = third.texts();
            assert!(texts[0].starts_with("44"), "{texts:?}");
            assert!(
                texts[0].contains(r#""code":"too_many_connections""#),
                "{texts:?}"
            );
            assert_eq!(third.closed().is_some(), closed);
            one.cut();
            let again = world.client();
            again.connect_with("/", r#"{"name":"ada"}"#);
        });
    }
}

#[test]
fn joins_and_rooms_have_bounds() {
    run(async |world| {
        let bounds = Bounds {
            joins: Some(4),
            rooms: Some(2),
            ..Bounds::default()
        };
        limited(&world, person(bounds));
        let (one, two) = (ada(&world), ada(&world));
        one.send(r#"421["join","a"]"#);
        two.send(r#"421["join","a"]"#);
        two.send(r#"422["join","b"]"#);
        one.send(r#"422["join","c"]"#);
        assert_eq!(answers(&one), ["ok", "too_many_rooms"]);
        assert_eq!(answers(&two), ["ok", "too_many_rooms"]);
        two.send(r#"42["leave","a"]"#);
        one.send(r#"423["join","c"]"#);
        assert_eq!(answers(&one), ["ok"]);
        // Who goes leaves their rooms.
        one.cut();
        two.send(r#"423["join","d"]"#);
        two.send(r#"42["leave","d"]"#);
        two.send(r#"424["join","e"]"#);
        assert_eq!(answers(&two), ["ok", "rate_limited"]);
    });
}

#[test]
fn bytes_count_before_they_are_understood() {
    for past in [Past::Slow, Past::Refuse, Past::Disconnect] {
        run(async |world| {
            let limits = Limits {
                address: Bounds {
                    bytes: Some(1_000),
                    ..Bounds::default()
                },
                past_bytes: past,
                ..Limits::default()
            };
            limited(&world, limits);
            let client = ada(&world);
            world.shard().received(client.key, 1_000);
            assert!(!client.is_paused() && client.closed().is_none());
            world.shard().received(client.key, 500);
            match past {
                Past::Slow => {
                    assert!(client.is_paused());
                    world.pass(500);
                    assert!(!client.is_paused());
                }
                Past::Refuse => {
                    client.send(r#"421["say","x"]"#);
                    assert_eq!(answers(&client), ["rate_limited"]);
                    world.pass(500);
                    client.send(r#"422["say","x"]"#);
                    assert_eq!(answers(&client), ["ok"]);
                }
                Past::Disconnect => assert!(client.closed().is_some()),
            }
        });
    }
}

#[test]
fn hits_are_counted_and_told_to_who_watches_once_a_second() {
    struct Notes(Arc<Mutex<Vec<Value>>>);
    impl Watcher for Notes {
        fn wants(&self, what: What, _: &str) -> bool {
            what == What::RateLimit
        }
        fn saw(&self, occurrence: &Arc<Occurrence>) {
            let data = occurrence.data.as_ref().unwrap().get();
            let user = &occurrence.user.as_ref().unwrap().id;
            let data: Value = serde_json::from_str(data).unwrap();
            self.0.lock().push(json!([user, data]));
        }
    }
    run(async |world| {
        limited(&world, person(events(1)));
        let notes = Arc::new(Mutex::new(Vec::new()));
        world.hub().watch(Notes(Arc::clone(&notes)));
        let client = ada(&world);
        for id in 0..6 {
            client.send(&format!(r#"42{id}["say","x"]"#));
        }
        let data = json!({"limit": "events", "scope": "person", "action": "refuse"});
        assert_eq!(*notes.lock(), [json!(["ada", data])]);
        let hits: Vec<_> = world.hub().limit_hits();
        assert!(hits.contains(&("person", "events", 5)), "{hits:?}");
    });
}
