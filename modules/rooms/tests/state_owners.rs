//! What goes with a socket or a person, and who comes back: state of rooms in memory and with a store.

mod driver;
mod stateful;
mod views;

use driver::run_paused;
use serde_json::json;
use stateful::{KEPT, joined, options, set, start};
use views::View;

#[test]
fn what_goes_with_a_socket_goes_when_it_leaves() {
    for keep in KEPT {
        run_paused(async {
            let (on, _) = start(options(keep));
            let mut watcher = View::of(joined(&on, "Watcher").await);
            watcher.follow("r", json!({})).await;
            for leaves in [true, false] {
                let ada = joined(&on, "Ada").await;
                let bound = json!({"room": "r", "key": "ada", "value": 1, "bind": "socket"});
                ada.ok("state:set", bound).await;
                set(&ada, "stays", json!(leaves)).await;
                watcher.until("ada", |view| view.contains_key("ada")).await;
                match leaves {
                    true => drop(ada.ok("room:leave", json!({"room": "r"})).await),
                    false => ada.disconnect(),
                }
                watcher
                    .until("her leaving", |view| !view.contains_key("ada"))
                    .await;
                assert_eq!(watcher.entries["stays"], json!(leaves));
                assert_eq!(watcher.last["why"], "left");
            }
        });
    }
}

#[test]
fn who_leaves_and_joins_in_one_breath_keeps_what_it_owns_from_then_on() {
    for keep in KEPT {
        run_paused(async {
            let (on, _) = start(options(keep));
            let ada = joined(&on, "Ada").await;
            let bound = json!({"room": "r", "key": "new", "value": 1, "bind": "socket"});
            let old = json!({"room": "r", "key": "old", "value": 1, "bind": "socket"});
            let lock = json!({"room": "r", "name": "l", "ttl_ms": 60_000});
            ada.ok("state:set", old).await;
            let held = ada.ok("lock:acquire", lock.clone()).await;
            // All of it before anything is answered.
            let asked = [
                ("room:leave", json!({"room": "r"})),
                ("room:join", json!({"room": "r"})),
                ("state:set", bound),
                ("lock:acquire", lock),
            ]
            .map(|(name, request)| ada.request_later(name, request));
            let mut answers = Vec::new();
            for asked in asked {
                answers.push(ada.answer(asked).await);
            }
            assert!(
                answers.iter().all(|answer| answer["ok"] == true),
                "{answers:?}"
            );
            assert!(answers[3]["token"].as_u64() > held["token"].as_u64());
            tokio::time::sleep(std::time::Duration::from_secs(5)).await;
            let got = ada.ok("state:get", json!({"room": "r"})).await;
            let keys: Vec<_> = got["entries"]
                .as_object()
                .expect("entries")
                .keys()
                .collect();
            assert_eq!(keys, ["new"]);
            let locks = ada.ok("lock:watch", json!({"room": "r"})).await;
            assert_eq!(locks["locks"][0]["holder"]["token"], answers[3]["token"]);
        });
    }
}

#[test]
fn who_was_cut_off_keeps_what_goes_with_them_if_they_come_back_in_time() {
    for keep in KEPT {
        run_paused(async {
            let (on, clock) = start(options(keep));
            let mut watcher = View::of(joined(&on, "Watcher").await);
            watcher.follow("r", json!({})).await;
            let ada = joined(&on, "Ada").await;
            ada.ok(
                "state:set",
                json!({"room": "r", "key": "ada", "value": 1, "bind": "socket"}),
            )
            .await;
            ada.cut();
            clock.advance(9_000);
            let back = ada.come_back().await;
            clock.advance(5_000);
            // Some time passes in which it would be removed.
            tokio::time::sleep(std::time::Duration::from_secs(5)).await;
            set(&back, "b", json!(2)).await;
            watcher.until("b", |view| view.contains_key("b")).await;
            assert!(watcher.entries.contains_key("ada"));
            back.cut();
            clock.advance(10_000);
            watcher
                .until("her absence", |view| !view.contains_key("ada"))
                .await;
        });
    }
}

#[test]
fn what_goes_with_a_person_goes_with_their_last_socket() {
    for keep in KEPT {
        run_paused(async {
            let (on, _) = start(options(keep));
            let mut watcher = View::of(joined(&on, "Watcher").await);
            watcher.follow("r", json!({})).await;
            let (one, two) = (joined(&on, "Ada").await, joined(&on, "Ada").await);
            let bound = json!({"room": "r", "key": "ada", "value": 1, "bind": "person"});
            one.ok("state:set", bound.clone()).await;
            one.disconnect();
            set(&two, "two", json!(2)).await;
            watcher.until("two", |view| view.contains_key("two")).await;
            tokio::time::sleep(std::time::Duration::from_secs(5)).await;
            watcher.take();
            assert!(watcher.entries.contains_key("ada"));
            two.disconnect();
            watcher
                .until("her leaving", |view| !view.contains_key("ada"))
                .await;
            let anonymous = on.open("/", json!({}));
            anonymous.await_connect().await.expect("let in");
            anonymous.ok("room:join", json!({"room": "r"})).await;
            assert_eq!(anonymous.refused("state:set", bound).await, "forbidden");
        });
    }
}

#[test]
fn who_comes_back_is_given_a_new_snapshot() {
    for keep in KEPT {
        run_paused(async {
            let (on, _) = start(options(keep));
            let ada = joined(&on, "Ada").await;
            let ben = joined(&on, "Ben").await;
            ben.ok("state:join", json!({"room": "r"})).await;
            // An event of the log, by which the client comes back.
            ada.ok("room:emit", json!({"room": "r", "event": "e"}))
                .await;
            ben.next("e").await;
            ben.cut();
            let last = set(&ada, "a", json!(1)).await;
            let mut ben = View::of(ben.come_back().await);
            ben.until("the snapshot", |view| view.contains_key("a"))
                .await;
            assert_eq!(ben.version, last);
            set(&ada, "b", json!(1)).await;
            ben.until("a change", |view| view.contains_key("b")).await;
        });
    }
}
