//! Hooks in the way: what a backend may refuse and change, and what happens when it's silent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lakh_bridge::hooks::{BreakerState, Config, GateHook, GateStatus, Hooks, On, Silence, admit};
use lakh_hub::auth::Principal;
use lakh_hub::store::Store;
use lakh_hub::{Failure, Hub, Shard, Socket, Wish};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::driver::{Client, Loop, hub};
use crate::node::{leases, secret};
use crate::receiver::{Reaction, Receiver, Request};

#[derive(Deserialize)]
struct Say {
    room: String,
    data: Value,
}

#[derive(Serialize)]
struct Said {
    data: Value,
    place: usize,
}

/// Runs a test on a loop that can make requests.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test);
    Shard::exit();
}

/// A hub where clients may say things in rooms, if the hooks let them.
fn asking(gates: Vec<GateHook>) -> (Hub, Hooks) {
    let (hub, _) = hub(1, &["/"]);
    let namespace = hub.of("/");
    namespace.use_connect(admit);
    let places = Arc::new(AtomicUsize::new(0));
    namespace.on_request("say", async move |socket: Socket, say: Say| {
        let data = say.data.to_string();
        let wish = Wish::Publish {
            room: &say.room,
            event: "say",
            data: &data,
        };
        let passed = socket.pass(wish).await?;
        let changed = passed.changed.as_ref();
        let data = changed.map_or(say.data, |data| serde_json::from_str(data.get()).unwrap());
        let place = places.fetch_add(1, Ordering::Relaxed);
        Ok::<_, Failure>(Said { data, place })
    });
    namespace.on_request("join", async move |socket: Socket, room: String| {
        socket.pass(Wish::Subscribe { room: &room }).await.map(drop)
    });
    namespace.on_request("who", async |socket: Socket, _: Value| {
        let principal = socket.get::<Principal>().unwrap();
        let grants = principal.grants.iter().map(ToString::to_string);
        Ok::<_, Failure>(json!({
            "id": principal.id, "name": principal.name, "roles": principal.roles,
            "grants": grants.collect::<Vec<_>>()
        }))
    });
    let config = Config {
        endpoints: Vec::new(),
        gates,
        durable: false,
    };
    let hooks = Hooks::start(&hub, &leases("n1", &Store::memory(), false), config).unwrap();
    (hub, hooks)
}

fn gate(receiver: &Receiver, on: &[On]) -> GateHook {
    GateHook {
        on: on.to_vec(),
        timeout: Duration::from_secs(30),
        ..GateHook::new("guard", &receiver.url(), vec![secret()])
    }
}

fn say(data: Value) -> Value {
    json!({"room": "r", "data": data})
}

fn status(hooks: &Hooks) -> GateStatus {
    hooks.gates().remove(0)
}

#[test]
fn a_backend_allows_refuses_and_changes_what_is_published() {
    let receiver = Receiver::start(|request: &Request| match request.body["data"].as_str() {
        Some("bad") => Reaction::json(json!({"refuse": {"code": "rude", "message": "Be nice"}})),
        Some("plain") => Reaction::json(json!({"change": {"data": {"was": "plain"}}})),
        _ => Reaction::json(json!({"allow": true})),
    });
    run(async {
        let (hub, hooks) = asking(vec![gate(&receiver, &[On::Publish])]);
        let on = Loop::start(&hub, 0);
        let ada = on.connect("/", "Ada").await;
        assert_eq!(ada.ok("say", say(json!("good"))).await["data"], "good");
        let changed = ada.ok("say", say(json!("plain"))).await;
        assert_eq!(changed["data"], json!({"was": "plain"}));
        assert_eq!(ada.refused("say", say(json!("bad"))).await, "rude");
        // Nobody wants to be asked about this.
        ada.ok("join", json!("r")).await;
        let own = status(&hooks);
        assert_eq!((own.allowed, own.changed, own.refused), (1, 1, 1));
        receiver.look(|seen| {
            assert_eq!(seen.requests.len(), 3);
            let body = &seen.requests[0].body;
            assert_eq!(
                (
                    &body["type"],
                    &body["room"],
                    &body["event"],
                    &body["data"],
                    &body["user"]["id"]
                ),
                (
                    &json!("publish"),
                    &json!("r"),
                    &json!("say"),
                    &json!("good"),
                    &json!("dev:ada")
                )
            );
            assert!(seen.requests[0].header("webhook-id").starts_with("ask_"));
        });
    });
}

#[test]
fn several_hooks_are_asked_in_turn_each_about_what_the_one_before_made_of_it() {
    let first = Receiver::start(|_| Reaction::json(json!({"change": {"data": "one"}})));
    let second = Receiver::start(|request: &Request| {
        let data = format!("{}, two", request.body["data"].as_str().unwrap());
        Reaction::json(json!({"change": {"data": data}}))
    });
    run(async {
        let mut behind = gate(&second, &[On::Publish]);
        behind.name = "second".into();
        let (hub, _hooks) = asking(vec![gate(&first, &[On::Publish]), behind]);
        let on = Loop::start(&hub, 0);
        let ada = on.connect("/", "Ada").await;
        assert_eq!(ada.ok("say", say(json!("zero"))).await["data"], "one, two");
    });
}

#[test]
fn who_comes_in_may_be_refused_and_given_more_rights_and_no_secret_goes_out() {
    let receiver =
        Receiver::start(
            |request: &Request| match request.body["user"]["name"].as_str() {
                Some("Eve") => {
                    Reaction::json(json!({"refuse": {"code": "banned", "message": "No"}}))
                }
                _ => Reaction::json(json!({"change": {"data": {
                    "name": "Ada L.", "roles": ["vip"], "grants": ["rooms:join:vip:*"]
                }}})),
            },
        );
    run(async {
        let (hub, _hooks) = asking(vec![gate(&receiver, &[On::Connect])]);
        let on = Loop::start(&hub, 0);
        let auth = json!({"name": "Ada", "token": "t0p", "device": {"secret": "t0p", "os": "x"}});
        let ada = on.open("/", auth);
        ada.await_connect().await.unwrap();
        let who = ada.ok("who", json!(null)).await;
        assert_eq!(
            (&who["id"], &who["name"], &who["roles"], &who["grants"]),
            (
                &json!("dev:ada"),
                &json!("Ada L."),
                &json!(["vip"]),
                &json!(["rooms:join:vip:*"])
            )
        );
        let refused = on.open("/", json!({"name": "Eve"})).await_connect().await;
        let refused = refused.unwrap_err();
        assert_eq!(
            refused,
            json!({"message": "No", "data": {"code": "banned"}})
        );
        receiver.look(|seen| {
            let request = &seen.requests[0];
            assert!(!request.text.contains("t0p"), "{}", request.text);
            assert_eq!(
                request.body["auth"],
                json!({"name": "Ada", "device": {"os": "x"}})
            );
            assert_eq!(request.body["handshake"]["address"], "127.0.0.1");
        });
    });
}

#[test]
fn without_a_good_answer_the_policy_for_silence_decides() {
    for reaction in [
        Reaction::status(500),
        Reaction::Cut,
        Reaction::json(json!({"maybe": true})),
        Reaction::Answer(200, "<html>".into()),
        Reaction::json(json!({"change": {"data": {"_placeholder": true, "num": 0}}})),
        Reaction::Hang,
    ] {
        let own = reaction.clone();
        let receiver = Receiver::start(move |_| own.clone());
        for silence in [Silence::Refuse, Silence::Allow] {
            run(async {
                let hook = GateHook {
                    silence,
                    timeout: match reaction {
                        Reaction::Hang => Duration::from_millis(50),
                        _ => Duration::from_secs(30),
                    },
                    ..gate(&receiver, &[On::Publish])
                };
                let (hub, hooks) = asking(vec![hook]);
                let on = Loop::start(&hub, 0);
                let ada = on.connect("/", "Ada").await;
                match silence {
                    Silence::Refuse => {
                        let code = ada.refused("say", say(json!(1))).await;
                        assert_eq!(code, "unavailable", "{reaction:?}");
                    }
                    Silence::Allow => {
                        assert_eq!(ada.ok("say", say(json!(1))).await["data"], 1);
                    }
                }
                assert_eq!(status(&hooks).failed, 1, "{reaction:?}");
            });
        }
    }
}

#[test]
fn the_breaker_opens_after_failures_in_a_row_and_nobody_is_asked() {
    let receiver = Receiver::start(|_| Reaction::status(500));
    run(async {
        let hook = GateHook {
            breaker_failures: 3,
            ..gate(&receiver, &[On::Publish])
        };
        let (hub, hooks) = asking(vec![hook]);
        let on = Loop::start(&hub, 0);
        let ada = on.connect("/", "Ada").await;
        for _ in 0..10 {
            ada.refused("say", say(json!(1))).await;
        }
        let own = status(&hooks);
        assert_eq!((own.failed, own.unasked, own.opened), (3, 7, 1));
        assert_eq!(own.breaker, BreakerState::Open);
        assert_eq!(receiver.look(|seen| seen.requests.len()), 3);
    });
}

#[test]
fn requests_under_way_and_those_that_wait_for_them_are_bounded() {
    let receiver = Receiver::start(|_| Reaction::Late);
    run(async {
        let hook = GateHook {
            concurrency: 2,
            waiting: 3,
            ..gate(&receiver, &[On::Publish])
        };
        let (hub, hooks) = asking(vec![hook]);
        let on = Loop::start(&hub, 0);
        let mut people: Vec<Client> = Vec::new();
        for number in 0..8 {
            people.push(on.connect("/", &format!("P{number}")).await);
        }
        let asked: Vec<_> = people
            .iter()
            .map(|person| person.request("say", say(json!(1))))
            .collect();
        while status(&hooks).unasked < 3 {
            tokio::task::yield_now().await;
        }
        assert_eq!(status(&hooks).open, 5);
        receiver.look(|seen| assert!(seen.requests.len() <= 2));
        receiver.open();
        let mut refused = 0;
        for answer in asked {
            refused += usize::from(answer.await["ok"] == json!(false));
        }
        // Late answers are empty, which is none: all are refused, by the policy or for it.
        assert_eq!(refused, 8);
        assert_eq!(receiver.look(|seen| seen.requests.len()), 5);
    });
}

#[test]
fn a_socket_s_events_keep_their_order_whichever_answer_comes_first() {
    // The first of each ten waits for all others.
    let answered = Arc::new(AtomicUsize::new(0));
    let receiver = Receiver::start(move |request: &Request| {
        if request.body["data"].as_u64().unwrap() == 0 {
            while answered.load(Ordering::Acquire) < 9 {
                std::thread::yield_now();
            }
        } else {
            answered.fetch_add(1, Ordering::AcqRel);
        }
        Reaction::json(json!({"allow": true}))
    });
    run(async {
        let (hub, _hooks) = asking(vec![gate(&receiver, &[On::Publish])]);
        let on = Loop::start(&hub, 0);
        let ada = on.connect("/", "Ada").await;
        let asked: Vec<_> = (0..10)
            .map(|number| ada.request("say", say(json!(number))))
            .collect();
        for (number, answer) in asked.into_iter().enumerate() {
            assert_eq!(answer.await["place"], number);
        }
    });
}
