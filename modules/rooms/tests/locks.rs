//! Locks and cursors of rooms through the hub, without sockets.

mod driver;

use std::rc::Rc;

use driver::{Client, Loop, START_MS, TestClock, hub, run_paused};
use lakh_hub::store::Store;
use lakh_rooms::{Config, KeepState, RoomOptions, StateOptions};
use serde_json::{Value, json};

const KEPT: [KeepState; 2] = [KeepState::Memory, KeepState::Store];

fn start(keep: KeepState) -> (Rc<Loop>, TestClock) {
    let (hub, clock) = hub(1, &["/"]);
    let state = StateOptions {
        keep,
        max_lock_waiters: 2,
        ..StateOptions::default()
    };
    let config = Config {
        options: vec![RoomOptions {
            state,
            ..RoomOptions::of("*")
        }],
        ..Config::default()
    };
    lakh_rooms::install(&hub, Store::memory(), config);
    (Loop::start(&hub, 0), clock)
}

async fn joined(on: &Rc<Loop>, name: &str) -> Client {
    let client = on.connect("/", name).await;
    client.ok("room:join", json!({"room": "r"})).await;
    client
}

fn acquire(wait_ms: u64) -> Value {
    json!({"room": "r", "name": "l", "ttl_ms": 5_000, "wait_ms": wait_ms})
}

fn token(answer: &Value) -> u64 {
    assert_eq!(answer["ok"], true, "{answer}");
    answer["token"].as_u64().expect("a token")
}

fn release(token: u64) -> Value {
    json!({"room": "r", "name": "l", "token": token})
}

#[test]
fn a_lock_has_one_holder_and_tokens_only_grow() {
    for keep in KEPT {
        run_paused(async {
            let (on, _) = start(keep);
            let (ada, ben) = (joined(&on, "Ada").await, joined(&on, "Ben").await);
            let first = ada.ok("lock:acquire", acquire(0)).await;
            assert_eq!(first["expires_at"], json!(START_MS + 5_000));
            let one = token(&first);
            assert_eq!(
                token(&ada.ok("lock:acquire", acquire(0)).await),
                one,
                "asked again"
            );
            let refused = ben.request("lock:acquire", acquire(0)).await;
            assert_eq!(refused["error"]["code"], "conflict");
            assert_eq!(refused["error"]["current"]["holder"]["id"], json!(ada.id()));
            assert_eq!(ben.refused("lock:release", release(one)).await, "conflict");
            assert_eq!(
                ada.refused("lock:release", release(one + 1)).await,
                "conflict"
            );
            ada.ok("lock:release", release(one)).await;
            let two = token(&ben.ok("lock:acquire", acquire(0)).await);
            assert!(two > one);
            let renew = json!({"room": "r", "name": "l", "token": one, "ttl_ms": 1_000});
            assert_eq!(ada.refused("lock:renew", renew).await, "conflict");
        });
    }
}

#[test]
fn who_waits_gets_the_lock_in_the_order_of_asking() {
    for keep in KEPT {
        run_paused(async {
            let (on, _) = start(keep);
            let (ada, ben, cid) = (
                joined(&on, "Ada").await,
                joined(&on, "Ben").await,
                joined(&on, "Cid").await,
            );
            let watched = ada.ok("lock:watch", json!({"room": "r"})).await;
            assert_eq!(watched["locks"], json!([]));
            let one = token(&ada.ok("lock:acquire", acquire(0)).await);
            let second = ben.request("lock:acquire", acquire(60_000));
            until_waiting(&ada, 1).await;
            let third = cid.request("lock:acquire", acquire(60_000));
            until_waiting(&ada, 2).await;
            let dora = joined(&on, "Dora").await;
            assert_eq!(
                dora.refused("lock:acquire", acquire(1_000)).await,
                "conflict"
            );
            ada.ok("lock:release", release(one)).await;
            let two = token(&second.await);
            ben.ok("lock:release", release(two)).await;
            let three = token(&third.await);
            assert!(one < two && two < three);
            cid.ok("lock:release", release(three)).await;
            let last = loop {
                let told = ada.heard("lock:changed").await;
                if told["holder"] == Value::Null {
                    break told;
                }
            };
            assert_eq!(
                (last["room"].clone(), last["name"].clone()),
                (json!("r"), json!("l"))
            );
        });
    }
}

async fn until_waiting(watcher: &Client, count: u64) {
    while watcher.heard("lock:changed").await["waiting"] != json!(count) {}
}

#[test]
fn a_lock_comes_free_when_its_time_is_over_or_its_holder_goes() {
    for keep in KEPT {
        run_paused(async {
            let (on, clock) = start(keep);
            let (ada, ben) = (joined(&on, "Ada").await, joined(&on, "Ben").await);
            ben.ok("lock:watch", json!({"room": "r"})).await;
            let one = token(&ada.ok("lock:acquire", acquire(0)).await);
            let renew = json!({"room": "r", "name": "l", "token": one, "ttl_ms": 8_000});
            let renewed = ada.ok("lock:renew", renew).await;
            assert_eq!(renewed["expires_at"], json!(START_MS + 8_000));
            let waiting = ben.request("lock:acquire", acquire(60_000));
            until_waiting(&ben, 1).await;
            clock.advance(8_000);
            let two = token(&waiting.await);
            assert!(two > one);
            // Now the holder says goodbye.
            let waiting = ada.request("lock:acquire", acquire(60_000));
            until_waiting(&ben, 1).await;
            ben.disconnect();
            let three = token(&waiting.await);
            assert!(three > two);
            let cid = joined(&on, "Cid").await;
            ada.cut();
            clock.advance(4_000);
            assert_eq!(
                cid.refused("lock:acquire", acquire(0)).await,
                "conflict",
                "she may come back"
            );
            clock.advance(6_000);
            token(&cid.ok("lock:acquire", acquire(60_000)).await);
        });
    }
}

#[test]
fn who_waits_in_vain_is_told_and_stands_in_the_way_no_longer() {
    for keep in KEPT {
        run_paused(async {
            let (on, _) = start(keep);
            let (ada, ben, cid) = (
                joined(&on, "Ada").await,
                joined(&on, "Ben").await,
                joined(&on, "Cid").await,
            );
            ada.ok("lock:watch", json!({"room": "r"})).await;
            let one = token(&ada.ok("lock:acquire", acquire(0)).await);
            assert_eq!(ben.refused("lock:acquire", acquire(100)).await, "timeout");
            let waiting = cid.request("lock:acquire", acquire(60_000));
            until_waiting(&ada, 1).await;
            ben.cut();
            ada.ok("lock:release", release(one)).await;
            token(&waiting.await);
            for wrong in [
                json!({"room": "r", "name": "", "ttl_ms": 1}),
                json!({"room": "r", "name": "l", "ttl_ms": 0}),
                json!({"room": "r", "name": "l", "ttl_ms": 300_001}),
                json!({"room": "r", "name": "l", "ttl_ms": 1, "wait_ms": 300_001}),
            ] {
                assert_eq!(ada.refused("lock:acquire", wrong).await, "bad_request");
            }
            let outside = on.connect("/", "Out").await;
            assert_eq!(
                outside.refused("lock:acquire", acquire(0)).await,
                "not_member"
            );
        });
    }
}

#[test]
fn cursors_come_in_batches_and_go_with_their_sockets() {
    run_paused(async {
        let (on, clock) = start(KeepState::Memory);
        let (ada, ben) = (joined(&on, "Ada").await, joined(&on, "Ben").await);
        let room = json!({"room": "r"});
        for client in [&ada, &ben] {
            assert_eq!(
                client.ok("cursor:join", room.clone()).await["cursors"],
                json!([])
            );
        }
        let at = |x: f64, y: f64| json!({"room": "r", "x": x, "y": y});
        for x in 0..30 {
            ada.ok("cursor:move", at(f64::from(x), 1.5)).await;
        }
        let mut data = at(-3.0, 0.0);
        data["data"] = json!({"tool": "pen"});
        ben.ok("cursor:move", data).await;
        clock.advance(50);
        let told = ada.heard("cursor:moved").await;
        assert_eq!(
            told,
            json!({"room": "r", "moved": [[ada.id(), 29, 1.5], [ben.id(), -3, 0, {"tool": "pen"}]]})
        );
        assert_eq!(ben.heard("cursor:moved").await, told);
        let cid = joined(&on, "Cid").await;
        assert_eq!(cid.refused("cursor:move", at(1.0, 1.0)).await, "not_member");
        let mut shown = cid.ok("cursor:join", room.clone()).await["cursors"].clone();
        let shown = shown.as_array_mut().expect("cursors");
        shown.sort_by_key(|cursor| cursor["x"].as_f64().map(|x| x as i64));
        let user = |id: &str, name: &str| json!({"id": id, "name": name});
        assert_eq!(
            *shown,
            [
                json!({"id": ben.id(), "x": -3.0, "y": 0.0, "data": {"tool": "pen"}, "user": user("dev:ben", "Ben")}),
                json!({"id": ada.id(), "x": 29.0, "y": 1.5, "user": user("dev:ada", "Ada")}),
            ]
        );
        ben.disconnect();
        clock.advance(50);
        assert_eq!(
            ada.heard("cursor:left").await,
            json!({"room": "r", "ids": [ben.id()]})
        );
        assert_eq!(cid.heard("cursor:left").await["ids"], json!([ben.id()]));
        ada.ok("room:leave", room.clone()).await;
        clock.advance(50);
        assert_eq!(
            cid.heard("cursor:left").await,
            json!({"room": "r", "ids": [ada.id()]})
        );
        let mut long = at(0.0, 0.0);
        long["data"] = json!("x".repeat(300));
        assert_eq!(cid.refused("cursor:move", long).await, "too_large");
        let answers: Vec<_> = (0..80)
            .map(|_| cid.request("cursor:move", at(0.0, 0.0)))
            .collect();
        let mut refused = 0;
        for answer in answers {
            refused += u32::from(answer.await["error"]["code"] == "rate_limited");
        }
        assert_eq!(refused, 21, "one more was too long");
    });
}
