//! State of rooms through the hub, without sockets: what each request does and refuses, in memory and with a store.

mod driver;
mod stateful;
mod views;

use driver::{Loop, START_MS, hub, run_paused};
use lakh_hub::auth::{Effect, Policy, Rule, Who};
use lakh_hub::store::Store;
use lakh_rooms::{KeepState, StateOptions};
use serde_json::{Value, json};
use stateful::{KEPT, config, joined, options, set, start, version};
use views::View;

#[test]
fn a_snapshot_comes_first_and_each_change_behind_it() {
    for keep in KEPT {
        run_paused(async {
            let (on, _) = start(options(keep));
            let ada = joined(&on, "Ada").await;
            let one = set(&ada, "a", json!({"x": [1.50, "é🦀", null]})).await;
            assert_eq!(one, START_MS + 1);
            let ben = on.connect("/", "Ben").await;
            let answer = ben.ok("state:join", json!({"room": "r"})).await;
            assert_eq!(answer, json!({"ok": true, "version": one}));
            let snapshot = ben.heard("state:snapshot").await;
            let entries = json!({"a": {"value": {"x": [1.50, "é🦀", null]}, "version": one}});
            assert_eq!(
                snapshot,
                json!({"room": "r", "version": one, "entries": entries})
            );
            set(&ada, "b", json!(2)).await;
            ada.ok("state:delete", json!({"room": "r", "key": "a"}))
                .await;
            let by = json!({"id": ada.id(), "user": {"id": "dev:ada", "name": "Ada"}});
            let put = json!({"key": "b", "value": 2, "version": one + 1, "by": by});
            assert_eq!(
                ben.heard("state:changed").await,
                json!({"room": "r", "version": one + 1, "changes": [put]})
            );
            let gone = json!({"key": "a", "deleted": true, "version": one + 2, "by": by});
            assert_eq!(
                ben.heard("state:changed").await,
                json!({"room": "r", "version": one + 2, "changes": [gone]})
            );
            assert!(
                ada.received().is_empty(),
                "who doesn't follow hears nothing"
            );
        });
    }
}

#[test]
fn joining_a_room_may_bring_its_state_and_leaving_ends_it() {
    run_paused(async {
        let (on, _) = start(options(KeepState::Memory));
        let ada = joined(&on, "Ada").await;
        let ben = on.connect("/", "Ben").await;
        ben.ok("room:join", json!({"room": "r", "state": true}))
            .await;
        assert_eq!(ben.heard("state:snapshot").await["entries"], json!({}));
        set(&ada, "a", json!(1)).await;
        assert_eq!(
            ben.heard("state:changed").await["changes"][0]["value"],
            json!(1)
        );
        ben.ok("room:leave", json!({"room": "r"})).await;
        set(&ada, "a", json!(2)).await;
        assert!(ben.received().is_empty());
        let request = json!({"room": "r", "key": "a", "value": 3});
        assert_eq!(ben.refused("state:set", request).await, "not_member");
    });
}

#[test]
fn a_write_on_a_condition_happens_or_tells_what_is_there() {
    for keep in KEPT {
        run_paused(async {
            let (on, _) = start(options(keep));
            let ada = joined(&on, "Ada").await;
            let set_if = |value: u64, if_version: u64| {
                let request =
                    json!({"room": "r", "key": "a", "value": value, "if_version": if_version});
                ada.request("state:set", request)
            };
            let one = version(&set_if(1, 0).await);
            let refused = set_if(2, 0).await;
            assert_eq!(refused["error"]["code"], "conflict");
            assert_eq!(
                refused["error"]["current"],
                json!({"value": 1, "version": one})
            );
            let two = version(&set_if(3, one).await);
            assert_eq!(set_if(4, one).await["error"]["current"]["value"], 3);
            let delete = |key: &str, if_version: u64| json!({"room": "r", "key": key, "if_version": if_version});
            assert_eq!(
                ada.refused("state:delete", delete("a", one)).await,
                "conflict"
            );
            let answer = ada.request("state:delete", delete("b", two)).await;
            assert_eq!(answer["error"]["current"], Value::Null);
            let deleted = ada.ok("state:delete", delete("a", two)).await;
            assert_eq!(deleted["existed"], true);
            let nothing = ada
                .ok("state:delete", json!({"room": "r", "key": "a"}))
                .await;
            assert_eq!(
                (nothing["existed"].clone(), version(&nothing)),
                (json!(false), two + 1)
            );
        });
    }
}

#[test]
fn several_keys_change_together_or_not_at_all() {
    for keep in KEPT {
        run_paused(async {
            let (on, _) = start(options(keep));
            let ada = joined(&on, "Ada").await;
            ada.ok("state:join", json!({"room": "r"})).await;
            ada.next("state:snapshot").await;
            let one = set(&ada, "a", json!(1)).await;
            ada.next("state:changed").await;
            let update = |changes: Value| json!({"room": "r", "changes": changes});
            let both = update(json!([
                {"key": "a", "delete": true, "if_version": one}, {"key": "b", "value": null}, {"key": "none", "delete": true}
            ]));
            let answer = ada.ok("state:update", both.clone()).await;
            let versions = json!({"a": one + 1, "b": one + 2});
            assert_eq!(
                answer,
                json!({"ok": true, "version": one + 2, "versions": versions})
            );
            let told = ada.heard("state:changed").await;
            assert_eq!(told["changes"].as_array().map(Vec::len), Some(2));
            assert_eq!(told["changes"][1]["value"], Value::Null);
            assert_eq!(told["changes"][1].get("deleted"), None);
            assert_eq!(ada.refused("state:update", both).await, "conflict");
            let got = ada.ok("state:get", json!({"room": "r"})).await;
            assert_eq!(version(&got), one + 2, "nothing of it was done");
            for wrong in [
                json!([]),
                json!([{"key": "a"}]),
                json!([{"key": "a", "value": 1, "delete": true}]),
                json!([{"key": "a", "value": 1}, {"key": "a", "value": 2}]),
            ] {
                assert_eq!(
                    ada.refused("state:update", update(wrong)).await,
                    "bad_request"
                );
            }
        });
    }
}

#[test]
fn a_patch_changes_what_it_names_and_leaves_the_rest() {
    run_paused(async {
        let (on, clock) = start(options(KeepState::Memory));
        let ada = joined(&on, "Ada").await;
        let value = json!({"a": {"b": 1, "c": 2}, "d": 3});
        let request = json!({"room": "r", "key": "k", "value": value, "ttl_ms": 5_000});
        ada.ok("state:set", request).await;
        let patch = json!({"a": {"b": null, "e": 4}, "d": 5});
        ada.ok(
            "state:patch",
            json!({"room": "r", "key": "k", "patch": patch}),
        )
        .await;
        let got = ada
            .ok("state:get", json!({"room": "r", "keys": ["k", "none"]}))
            .await;
        let entry = &got["entries"]["k"];
        assert_eq!(entry["value"], json!({"a": {"c": 2, "e": 4}, "d": 5}));
        assert_eq!(entry["expires_at"], json!(START_MS + 5_000));
        clock.advance(5_000);
        let got = ada.ok("state:get", json!({"room": "r"})).await;
        assert_eq!(got["entries"], json!({}));
        ada.ok(
            "state:patch",
            json!({"room": "r", "key": "k", "patch": {"x": 1, "y": null}}),
        )
        .await;
        let got = ada
            .ok("state:get", json!({"room": "r", "prefix": "k"}))
            .await;
        assert_eq!(got["entries"]["k"]["value"], json!({"x": 1}));
    });
}

#[test]
fn an_expiry_is_a_change_like_any_other() {
    for keep in KEPT {
        run_paused(async {
            let (on, clock) = start(options(keep));
            let (ada, mut ben) = (joined(&on, "Ada").await, View::of(joined(&on, "Ben").await));
            ben.follow("r", json!({})).await;
            let request = json!({"room": "r", "key": "a", "value": 1, "ttl_ms": 1_000});
            let one = version(&ada.ok("state:set", request).await);
            set(&ada, "b", json!(2)).await;
            clock.advance(1_000);
            // Nobody does anything: it's told all the same.
            let change = loop {
                let told = ben.client.heard("state:changed").await;
                if told["changes"][0].get("deleted").is_some() {
                    break told["changes"][0].clone();
                }
            };
            let gone = json!({"key": "a", "deleted": true, "version": one + 2, "why": "expired"});
            assert_eq!(change, gone);
            let request = json!({"room": "r", "key": "a", "value": 1, "if_version": 0});
            assert_eq!(version(&ada.ok("state:set", request).await), one + 3);
        });
    }
}

#[test]
fn who_was_away_asks_what_has_changed_since() {
    for keep in KEPT {
        run_paused(async {
            let (on, _) = start(options(keep));
            let ada = joined(&on, "Ada").await;
            let one = set(&ada, "a", json!(1)).await;
            set(&ada, "b", json!(2)).await;
            ada.ok("state:delete", json!({"room": "r", "key": "a"}))
                .await;
            let since =
                |version: u64| ada.ok("state:since", json!({"room": "r", "version": version}));
            let news = since(one).await;
            assert_eq!(version(&news), one + 2);
            let keys = news["changes"].as_array().expect("changes");
            let keys: Vec<_> = keys.iter().map(|change| change["key"].clone()).collect();
            assert_eq!(keys, ["b", "a"]);
            assert_eq!(since(one + 2).await["changes"], json!([]));
            for unknown in [0, one - 2, one + 3] {
                let news = since(unknown).await;
                assert_eq!(news.get("changes"), None, "{unknown}");
                assert_eq!(news["entries"]["b"]["value"], 2);
            }
        });
    }
}

#[test]
fn large_changes_come_as_patches_to_those_who_ask() {
    run_paused(async {
        let (on, _) = start(options(KeepState::Memory));
        let ada = joined(&on, "Ada").await;
        let mut ben = View::of(joined(&on, "Ben").await);
        ben.follow("r", json!({"delta": true})).await;
        let mut document = json!({"text": "x".repeat(1_000), "n": 0});
        set(&ada, "doc", document.clone()).await;
        ben.until("it", |view| view.contains_key("doc")).await;
        for n in 1..=3 {
            document["n"] = json!(n);
            set(&ada, "doc", document.clone()).await;
            ben.until("its next", |view| view["doc"]["n"] == json!(n))
                .await;
            assert_eq!(ben.last["patch"], json!({"n": n}));
        }
        assert_eq!(ben.entries["doc"], document);
        let both = json!({"room": "r", "delta": true, "conflate": true});
        assert_eq!(ben.client.refused("state:join", both).await, "bad_request");
    });
}

#[test]
fn what_is_too_much_is_refused() {
    run_paused(async {
        let (on, clock) = start(StateOptions {
            writes_per_second: 20,
            ..options(KeepState::Memory)
        });
        let ada = joined(&on, "Ada").await;
        let put = |key: &str, value: Value| json!({"room": "r", "key": key, "value": value});
        let long = json!("x".repeat(1_997));
        set(&ada, "a", json!("x".repeat(1_998))).await;
        assert_eq!(
            ada.refused("state:set", put("b", json!("x".repeat(1_999))))
                .await,
            "too_large"
        );
        // Two of them, their keys, and 64 bytes each are past 4,000.
        assert_eq!(ada.refused("state:set", put("b", long)).await, "too_large");
        ada.ok("state:delete", json!({"room": "r", "key": "a"}))
            .await;
        for n in 0..8 {
            set(&ada, &format!("k{n}"), json!(n)).await;
        }
        assert_eq!(
            ada.refused("state:set", put("k8", json!(8))).await,
            "too_large"
        );
        set(&ada, "k7", json!("again")).await;
        for key in ["", &"k".repeat(129), "a\nb"] {
            assert_eq!(
                ada.refused("state:set", put(key, json!(1))).await,
                "bad_request"
            );
        }
        let none = json!({"room": "r", "key": "a"});
        assert_eq!(ada.refused("state:set", none).await, "bad_request");
        let mut codes = Vec::new();
        for _ in 0..20 {
            let answer = ada.request("state:set", put("k0", json!(1))).await;
            codes.extend(answer["error"]["code"].as_str().map(str::to_owned));
        }
        assert!(codes.iter().all(|code| code == "rate_limited") && !codes.is_empty());
        clock.advance(1_000);
        set(&ada, "k0", json!(1)).await;
    });
}

#[test]
fn keys_that_belong_to_a_person_are_theirs_alone() {
    run_paused(async {
        let (on, _) = start(options(KeepState::Memory));
        let (ada, ben) = (joined(&on, "Ada").await, joined(&on, "Ben").await);
        set(&ada, "of/dev:ada/mood", json!("good")).await;
        for key in ["of/dev:ada/mood", "of/dev:ada", "of/", "of/dev:benjamin/x"] {
            let request = json!({"room": "r", "key": key, "value": 1});
            assert_eq!(
                ben.refused("state:set", request).await,
                "forbidden",
                "{key}"
            );
            let request = json!({"room": "r", "key": key});
            assert_eq!(
                ben.refused("state:delete", request).await,
                "forbidden",
                "{key}"
            );
        }
        set(&ben, "of/dev:ben/mood", json!("bad")).await;
        set(&ben, "other", json!(1)).await;
    });
}

#[test]
fn rights_are_those_of_the_policy() {
    run_paused(async {
        let (hub, _) = hub(1, &["/"]);
        lakh_rooms::install(&hub, Store::memory(), config(options(KeepState::Memory)));
        let grant = |who: Who, what: &str| Rule {
            who: vec![who],
            what: vec![what.parse().expect("a grant")],
            effect: Effect::Allow,
        };
        let ada = || Who::Person("dev:ada".into());
        let rules = vec![
            grant(Who::Anyone, "rooms:join:*"),
            grant(ada(), "rooms:state.read,state.write,lock,cursor:*"),
        ];
        hub.set_policy(Policy::new(rules, Effect::Deny));
        let on = Loop::start(&hub, 0);
        let (ada, ben) = (joined(&on, "Ada").await, joined(&on, "Ben").await);
        let requests = [
            ("state:join", json!({"room": "r"})),
            ("state:get", json!({"room": "r"})),
            ("state:since", json!({"room": "r", "version": 1})),
            ("state:set", json!({"room": "r", "key": "a", "value": {}})),
            ("state:patch", json!({"room": "r", "key": "a", "patch": {}})),
            (
                "state:update",
                json!({"room": "r", "changes": [{"key": "b", "value": 1}]}),
            ),
            ("state:delete", json!({"room": "r", "key": "a"})),
            (
                "lock:acquire",
                json!({"room": "r", "name": "l", "ttl_ms": 1_000}),
            ),
            ("lock:watch", json!({"room": "r"})),
            ("cursor:join", json!({"room": "r"})),
        ];
        for (name, request) in requests {
            ada.ok(name, request.clone()).await;
            assert_eq!(ben.refused(name, request).await, "forbidden", "{name}");
        }
    });
}
