//! Private rooms by token, and rooms that are bound to a person.

mod driver;

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use driver::{Client, Loop, START_MS, TestClock, hub, run_paused};
use lakh_hub::auth::{Effect, Grant, Policy, Principal, Rule, Who};
use lakh_hub::store::Store;
use lakh_hub::{Failure, Hub};
use lakh_rooms::{
    Config, HistoryOptions, Keep, PresenceOptions, RoomOptions, RoomToken, Rooms, TokenCheck,
};
use serde_json::{Value, json};

/// A token here is its own content; who signs and how it's checked is another test's matter.
fn check(token: &str, _: u64) -> Result<RoomToken, Failure> {
    let said: Value = serde_json::from_str(token)
        .map_err(|error| Failure::new("bad_token", error.to_string()))?;
    let grants: Vec<String> = serde_json::from_value(said["grants"].clone()).unwrap_or_default();
    let user = said["user"].as_str();
    Ok(RoomToken {
        principal: Principal {
            grants: grants
                .iter()
                .map(|grant| grant.parse().expect("a grant"))
                .collect(),
            token: said["jti"].as_str().map(str::to_owned),
            ..Principal::person(user.unwrap_or("anyone"), "")
        },
        for_anyone: user.is_none(),
        expires_ms: said["exp"].as_u64(),
    })
}

/// The `jti` of tokens that were taken back.
#[derive(Clone, Default)]
struct TakenBack(Arc<Mutex<HashSet<String>>>);

impl TakenBack {
    fn has(&self, principal: &Principal) -> bool {
        let ids = self.0.lock().expect("a set");
        principal.token.as_ref().is_some_and(|id| ids.contains(id))
    }
}

fn start() -> (Rc<Loop>, TestClock) {
    let (on, clock, ..) = start_with(TakenBack::default());
    (on, clock)
}

fn start_with(taken_back: TakenBack) -> (Rc<Loop>, TestClock, Hub, Rooms) {
    let (hub, clock) = hub(1, &["/"]);
    let is_revoked = move |principal: &Principal| taken_back.has(principal);
    let config = Config {
        tokens: Some(TokenCheck::new(check).revoked_by(is_revoked)),
        options: vec![RoomOptions {
            private: true,
            presence: PresenceOptions {
                enabled: true,
                ..PresenceOptions::default()
            },
            history: HistoryOptions {
                keep: Keep::Memory,
                ..HistoryOptions::default()
            },
            ..RoomOptions::of("deal:*")
        }],
        ..Config::default()
    };
    let rooms = lakh_rooms::install(&hub, Store::memory(), config);
    (Loop::start(&hub, 0), clock, hub, rooms)
}

fn token(said: &Value) -> Value {
    json!({"room": "deal:1", "token": said.to_string()})
}

async fn refused_with(client: &Client, said: Value) -> String {
    client.refused("room:join", token(&said)).await
}

#[test]
fn a_private_room_wants_a_token_that_fits() {
    run_paused(async {
        let (on, _) = start();
        let ada = on.connect("/", "Ada").await;
        assert_eq!(
            ada.refused("room:join", json!({"room": "deal:1"})).await,
            "token_required"
        );
        let both = json!(["rooms:join,emit:deal:1"]);
        for (said, code) in [
            (
                json!({"grants": ["rooms:join:deal:2", "chat:join:deal:1"]}),
                "forbidden",
            ),
            (json!({"grants": ["rooms:emit:deal:1"]}), "forbidden"),
            (json!({"grants": both, "user": "dev:eve"}), "forbidden"),
            (json!({"grants": both, "exp": START_MS}), "token_expired"),
            (json!({}), "forbidden"),
        ] {
            assert_eq!(refused_with(&ada, said.clone()).await, code, "{said}");
        }
        let broken = json!({"room": "deal:1", "token": "x"});
        assert_eq!(ada.refused("room:join", broken).await, "bad_token");
        let good = json!({"grants": ["rooms:*:deal:*"], "user": "dev:ada"});
        ada.ok("room:join", token(&good)).await;
        ada.ok("room:emit", json!({"room": "deal:1", "event": "e"}))
            .await;
        // Who is in may ask again without it.
        ada.ok(
            "room:join",
            json!({"room": "deal:1", "rewind": {"last": 5}}),
        )
        .await;
        // Nobody looks in from outside.
        let eve = on.connect("/", "Eve").await;
        for request in ["history:get", "presence:get", "presence:subscribe"] {
            assert_eq!(
                eve.refused(request, json!({"room": "deal:1"})).await,
                "not_member"
            );
        }
        ada.ok("history:get", json!({"room": "deal:1"})).await;
    });
}

#[test]
fn what_a_token_does_not_say_may_not_be_done() {
    run_paused(async {
        let (on, _) = start();
        let ada = on.connect("/", "Ada").await;
        ada.ok(
            "room:join",
            token(&json!({"grants": ["rooms:join:deal:1"]})),
        )
        .await;
        let emit = json!({"room": "deal:1", "event": "e"});
        assert_eq!(ada.refused("room:emit", emit.clone()).await, "forbidden");
        ada.ok(
            "room:join",
            token(&json!({"grants": ["rooms:join,emit:deal:1"]})),
        )
        .await;
        ada.ok("room:emit", emit.clone()).await;
        // What was left needs a token again.
        ada.ok("room:leave", json!({"room": "deal:1"})).await;
        assert_eq!(
            ada.refused("room:join", json!({"room": "deal:1"})).await,
            "token_required"
        );
        assert_eq!(ada.refused("room:emit", emit).await, "not_member");
    });
}

#[test]
fn membership_ends_with_its_token_and_a_new_token_goes_on() {
    run_paused(async {
        let (on, clock) = start();
        let ada = on.connect("/", "Ada").await;
        let until =
            |end: u64| token(&json!({"grants": ["rooms:join,emit:deal:1"], "exp": START_MS + end}));
        ada.ok("room:join", until(1_000)).await;
        ada.ok("room:join", until(5_000)).await;
        clock.advance(2_000);
        tokio::time::sleep(std::time::Duration::from_millis(2_000)).await;
        ada.ok("room:emit", json!({"room": "deal:1", "event": "e"}))
            .await;
        clock.advance(3_000);
        assert_eq!(ada.heard("room:expired").await, json!({"room": "deal:1"}));
        let emit = json!({"room": "deal:1", "event": "e"});
        assert_eq!(ada.refused("room:emit", emit).await, "not_member");
    });
}

#[test]
fn a_membership_by_token_comes_back_with_its_session_and_ends_in_time() {
    run_paused(async {
        let (on, clock) = start();
        let ada = on.connect("/", "Ada").await;
        let said = json!({"grants": ["rooms:join,emit:deal:1"], "exp": START_MS + 5_000});
        ada.ok("room:join", token(&said)).await;
        ada.ok("room:emit", json!({"room": "deal:1", "event": "e"}))
            .await;
        assert_eq!(ada.next("e").await.args[0], Value::Null);
        ada.cut();
        let back = ada.come_back().await;
        back.ok("room:emit", json!({"room": "deal:1", "event": "e"}))
            .await;
        clock.advance(5_000);
        assert_eq!(back.heard("room:expired").await, json!({"room": "deal:1"}));
    });
}

/// Follows all that there is to follow in a room.
async fn follow_all(client: &Client, token: Value) {
    let mut join = token;
    join["state"] = json!(true);
    join["presence"] = json!(true);
    client.ok("room:join", join).await;
    for request in ["cursor:join", "lock:watch"] {
        client.ok(request, json!({"room": "deal:1"})).await;
    }
    client.received();
}

/// Has everything happen in the room that somebody could hear of.
async fn stir(client: &Client) {
    let room = |more: Value| {
        let mut request = json!({"room": "deal:1"});
        let fields = request.as_object_mut().expect("fields");
        fields.extend(more.as_object().expect("fields").clone());
        request
    };
    client.ok("room:emit", room(json!({"event": "e"}))).await;
    for n in 0..2 {
        client
            .ok("state:set", room(json!({"key": "k", "value": n})))
            .await;
    }
    let lock = room(json!({"name": "l", "ttl_ms": 1_000}));
    client.ok("lock:acquire", lock).await;
    client
        .ok("presence:update", room(json!({"data": {"a": 1}})))
        .await;
    client
        .ok("cursor:move", room(json!({"x": 1, "y": 2})))
        .await;
    client.heard("cursor:moved").await;
}

#[test]
fn what_was_taken_back_ends_all_that_it_let_somebody_follow() {
    run_paused(async {
        let taken_back = TakenBack::default();
        let (on, _, hub, rooms) = start_with(taken_back.clone());
        let (ada, eve) = (on.connect("/", "Ada").await, on.connect("/", "Eve").await);
        let by = |jti: &str| token(&json!({"grants": ["rooms:*:deal:1"], "jti": jti}));
        follow_all(&ada, by("hers")).await;
        follow_all(&eve, by("bad")).await;
        taken_back.0.lock().expect("a set").insert("bad".into());
        hub.visit_sockets(move |socket| rooms.end_revoked(socket));
        assert_eq!(eve.heard("room:revoked").await, json!({"room": "deal:1"}));
        eve.received();
        stir(&ada).await;
        assert_eq!(eve.received(), [], "nothing of the room comes any more");
        let write = json!({"room": "deal:1", "key": "k", "value": 1});
        assert_eq!(eve.refused("state:set", write).await, "not_member");
        assert_eq!(
            eve.refused("state:get", json!({"room": "deal:1"})).await,
            "forbidden"
        );
        assert_eq!(eve.refused("room:join", by("bad")).await, "token_revoked");
        eve.ok("room:join", by("another")).await;
    });
}

#[test]
fn the_end_of_a_token_ends_all_that_it_let_somebody_follow() {
    run_paused(async {
        let (on, clock) = start();
        let (ada, eve) = (on.connect("/", "Ada").await, on.connect("/", "Eve").await);
        let grants = json!(["rooms:*:deal:1"]);
        follow_all(&ada, token(&json!({"grants": grants}))).await;
        let ends = json!({"grants": grants, "exp": START_MS + 1_000});
        follow_all(&eve, token(&ends)).await;
        clock.advance(1_000);
        eve.heard("room:expired").await;
        eve.received();
        stir(&ada).await;
        assert_eq!(eve.received(), []);
        // Who leaves a private room hears no more of it either.
        ada.ok("room:leave", json!({"room": "deal:1"})).await;
        ada.received();
        let ben = on.connect("/", "Ben").await;
        follow_all(&ben, token(&json!({"grants": grants}))).await;
        // The next batch of cursors has its time, too.
        clock.advance(1_000);
        stir(&ben).await;
        assert_eq!(ada.received(), []);
    });
}

#[test]
fn who_was_away_while_a_token_was_taken_back_is_out() {
    run_paused(async {
        let taken_back = TakenBack::default();
        let (on, ..) = start_with(taken_back.clone());
        let eve = on.connect("/", "Eve").await;
        // A token stands in for the rules in rooms that aren't private, too.
        for room in ["deal:1", "open:1"] {
            let said = json!({"grants": ["rooms:*:*"], "jti": "bad"});
            let join = json!({"room": room, "token": said.to_string()});
            eve.ok("room:join", join).await;
        }
        eve.ok("room:emit", json!({"room": "deal:1", "event": "e"}))
            .await;
        eve.next("e").await;
        eve.cut();
        taken_back.0.lock().expect("a set").insert("bad".into());
        let back = eve.come_back().await;
        let mut out = vec![
            back.heard("room:revoked").await,
            back.heard("room:revoked").await,
        ];
        out.sort_by_key(ToString::to_string);
        assert_eq!(out, [json!({"room": "deal:1"}), json!({"room": "open:1"})]);
        let emit = json!({"room": "open:1", "event": "e"});
        assert_eq!(back.refused("room:emit", emit).await, "not_member");
    });
}

#[test]
fn a_room_may_be_bound_to_a_person() {
    run_paused(async {
        let (hub, _) = hub(1, &["/"]);
        let rule = |who: Who, pattern: &str, effect| Rule {
            who: vec![who],
            what: vec![Grant::new(lakh_rooms::MODULE, "join", pattern)],
            effect,
        };
        hub.set_policy(Policy::new(
            vec![
                rule(Who::SignedIn, "inbox:{user}", Effect::Allow),
                rule(Who::Anyone, "inbox:*", Effect::Deny),
            ],
            Effect::Allow,
        ));
        lakh_rooms::install(&hub, Store::memory(), Config::default());
        let on = Loop::start(&hub, 0);
        let (ada, eve) = (on.connect("/", "Ada").await, on.connect("/", "Eve").await);
        let inbox = json!({"room": "inbox:dev:ada"});
        ada.ok("room:join", inbox.clone()).await;
        assert_eq!(eve.refused("room:join", inbox.clone()).await, "forbidden");
        assert_eq!(eve.refused("history:get", inbox.clone()).await, "forbidden");
        eve.ok("room:join", json!({"room": "inbox:dev:eve"})).await;
        let anonymous = on.open("/", json!({}));
        anonymous.await_connect().await.expect("let in");
        assert_eq!(
            anonymous
                .refused("room:join", json!({"room": "inbox:"}))
                .await,
            "forbidden"
        );
    });
}
