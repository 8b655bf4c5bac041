//! Private rooms by token, and rooms that are bound to a person.

mod driver;

use std::rc::Rc;

use driver::{Client, Loop, START_MS, TestClock, hub, run_paused};
use lakh_hub::Failure;
use lakh_hub::auth::{Effect, Grant, Policy, Rule, Who};
use lakh_hub::store::Store;
use lakh_rooms::{
    Config, HistoryOptions, Keep, PresenceOptions, RoomOptions, RoomToken, TokenCheck,
};
use serde_json::{Value, json};

/// A token here is its own content; who signs and how it's checked is another test's matter.
fn check(token: &str, _: u64) -> Result<RoomToken, Failure> {
    let said: Value = serde_json::from_str(token)
        .map_err(|error| Failure::new("bad_token", error.to_string()))?;
    let grants: Vec<String> = serde_json::from_value(said["grants"].clone()).unwrap_or_default();
    Ok(RoomToken {
        grants: grants
            .iter()
            .map(|grant| grant.parse().expect("a grant"))
            .collect(),
        user: said["user"].as_str().map(str::to_owned),
        expires_ms: said["exp"].as_u64(),
    })
}

fn start() -> (Rc<Loop>, TestClock) {
    let (hub, clock) = hub(1, &["/"]);
    let config = Config {
        tokens: Some(TokenCheck::new(check)),
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
    lakh_rooms::install(&hub, Store::memory(), config);
    (Loop::start(&hub, 0), clock)
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
