//! Who is here and who is typing, through the hub, without sockets.

#[path = "../../rooms/tests/driver/mod.rs"]
mod driver;
mod room;

use std::time::Duration;

use driver::{run, run_paused};
use lakh_chat::Config;
use room::{here, in_room, message, start_going, unhurried, user};
use serde_json::json;

#[test]
fn presence_is_told_once_a_person_first_socket_in_last_socket_out() {
    run(async {
        let (on, _) = start_going(unhurried());
        let ada = here(&on, "Ada").await;
        let (phone, laptop) = (here(&on, "Ben").await, here(&on, "Ben").await);
        let update = |online: bool| json!({"room": "r", "user": user("Ben"), "online": online});
        assert_eq!(ada.received_of("presence:update"), [update(true)]);
        let listed = ada.ok("presence:list", in_room()).await;
        assert_eq!(listed["members"].as_array().map(Vec::len), Some(2));
        assert_eq!(listed["count"], 2);
        phone.ok("room:unwatch", in_room()).await;
        assert!(ada.received_of("presence:update").is_empty());
        laptop.disconnect();
        assert_eq!(ada.received_of("presence:update"), [update(false)]);
        assert_eq!(
            ada.ok("presence:list", in_room()).await["members"],
            json!([{"id": "dev:ada", "name": "Ada", "online": true}])
        );
        let again = here(&on, "Ben").await;
        again.ok("room:leave", in_room()).await;
        assert_eq!(
            ada.received_of("presence:update"),
            [update(true), update(false)]
        );
        assert!(
            again.received_of("presence:update").is_empty(),
            "nobody is told of themselves"
        );
    });
}

#[test]
fn a_short_cut_of_the_connection_is_nobodys_business() {
    run_paused(async {
        let (on, _) = start_going(unhurried());
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        ada.received();
        ben.cut();
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert_eq!(ada.ok("presence:list", in_room()).await["count"], 2);
        ada.ok("message:send", message("k", "missed")).await;
        let back = ben.come_back().await;
        assert_eq!(back.heard("message:new").await["text"], "missed");
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(ada.received_of("presence:update").is_empty());
        assert_eq!(back.ok("presence:list", in_room()).await["count"], 2);
        // By a page loaded anew, too: another socket, no recovery.
        back.cut();
        let anew = here(&on, "Ben").await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(ada.received_of("presence:update").is_empty());
        anew.disconnect();
        assert_eq!(ada.received_of("presence:update").len(), 1);
    });
}

#[test]
fn a_person_who_stays_away_is_offline_and_recovers_their_presence() {
    run_paused(async {
        let (on, chat) = start_going(unhurried());
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        ada.received();
        ben.cut();
        assert_eq!(ada.heard("presence:update").await["online"], false);
        assert_eq!(ada.ok("presence:list", in_room()).await["count"], 1);
        let back = ben.come_back().await;
        assert_eq!(
            ada.heard("presence:update").await,
            json!({"room": "r", "user": user("Ben"), "online": true})
        );
        back.ok("message:send", message("k", "still a member"))
            .await;
        ada.cut();
        back.cut();
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert_eq!(chat.live_rooms(), 0);
    });
}

#[test]
fn typing_is_told_to_the_others_and_ends_by_itself() {
    run_paused(async {
        let (on, _) = start_going(unhurried());
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        let update = |typing: bool| json!({"room": "r", "user": user("Ben"), "typing": typing});
        let set = |typing: bool| json!({"room": "r", "typing": typing});
        ben.ok("typing:set", set(true)).await;
        ben.ok("typing:set", set(true)).await;
        assert_eq!(ada.received_of("typing:update"), [update(true)]);
        ben.ok("typing:set", set(false)).await;
        ben.ok("typing:set", set(false)).await;
        assert_eq!(ada.received_of("typing:update"), [update(false)]);
        assert!(ben.received_of("typing:update").is_empty());

        ben.ok("typing:set", set(true)).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        ben.ok("typing:set", set(true)).await;
        assert_eq!(
            ada.received_of("typing:update"),
            [update(true), update(true)]
        );
        let renewed = tokio::time::Instant::now();
        assert_eq!(ada.heard("typing:update").await, update(false));
        assert_eq!(renewed.elapsed().as_secs(), 6);

        // What was said ends the typing of it.
        ben.ok("typing:set", set(true)).await;
        ben.ok("message:send", message("k", "x")).await;
        assert_eq!(
            ada.received_of("typing:update"),
            [update(true), update(false)]
        );
    });
}

#[test]
fn typing_ends_before_a_longer_grace_does() {
    run_paused(async {
        let (on, _) = start_going(Config {
            presence_grace_ms: 20_000,
            typing_ms: 1_000,
            ..unhurried()
        });
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        ada.received();
        ben.cut();
        let cy = here(&on, "Cy").await;
        let begun = tokio::time::Instant::now();
        cy.ok("typing:set", json!({"room": "r", "typing": true}))
            .await;
        ada.heard("typing:update").await;
        assert_eq!(ada.heard("typing:update").await["typing"], false);
        assert_eq!(
            begun.elapsed().as_secs(),
            1,
            "the sweeper slept for the grace when this came in"
        );
        ada.heard("presence:update").await;
        assert_eq!(ada.heard("presence:update").await["online"], false);
        assert_eq!(begun.elapsed().as_secs(), 20);
    });
}

#[test]
fn threads_are_typed_in_by_themselves_and_a_message_ends_all_of_it() {
    run_paused(async {
        let (on, _) = start_going(unhurried());
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        let set = |thread: u64| json!({"room": "r", "thread": thread, "typing": true});
        ben.ok("typing:set", set(1)).await;
        ben.ok("typing:set", set(2)).await;
        let told = ada.received_of("typing:update");
        let threads: Vec<_> = told.iter().map(|update| &update["thread"]).collect();
        assert_eq!(threads, [&json!(1), &json!(2)]);
        ben.ok("message:send", message("k", "x")).await;
        let told = ada.received_of("typing:update");
        assert_eq!(told.len(), 2);
        assert!(told.iter().all(|update| update["typing"] == false));
    });
}

#[test]
fn the_status_is_that_of_the_device_which_is_used_most() {
    run_paused(async {
        let (on, chat) = start_going(unhurried());
        let ada = on.connect("/chat", "Ada").await;
        let ben = json!({"people": ["dev:ben"]});
        let watched = ada.ok("presence:watch", ben.clone()).await;
        assert_eq!(
            watched["people"],
            json!([{"id": "dev:ben", "status": "offline"}]),
            "never seen"
        );
        let change = |status: &str| json!({"id": "dev:ben", "status": status});
        let phone = on.connect("/chat", "Ben").await;
        let laptop = on.connect("/chat", "Ben").await;
        assert_eq!(ada.received_of("presence:change"), [change("online")]);
        let away = json!({"status": "away"});
        let own = phone.ok("me:status", away.clone()).await;
        assert_eq!(own["status"], "online", "the other device is used");
        assert!(ada.received_of("presence:change").is_empty());
        assert_eq!(laptop.ok("me:status", away).await["status"], "away");
        assert_eq!(ada.received_of("presence:change"), [change("away")]);
        let own = phone.ok("me:status", json!({"status": "online"})).await;
        assert_eq!(own["status"], "online");
        assert_eq!(ada.received_of("presence:change"), [change("online")]);
        phone.disconnect();
        assert_eq!(ada.received_of("presence:change"), [change("away")]);
        assert!(chat.is_anywhere("dev:ben").await);
        laptop.cut();
        assert!(ada.received_of("presence:change").is_empty(), "in grace");
        let gone = ada.heard("presence:change").await;
        assert_eq!(gone["status"], "offline");
        let last_seen = gone["last_seen"].as_u64().expect("milliseconds");
        assert_eq!(last_seen % 60_000, 0);
        assert!(!chat.is_anywhere("dev:ben").await);

        // What was told is stored, and others are answered the same.
        let watched = ada.ok("presence:watch", ben.clone()).await;
        assert_eq!(watched["people"], json!([gone]));
        let found = ada.ok("person:get", ben.clone()).await;
        assert_eq!(found["people"][0]["last_seen"], last_seen);
        ada.ok("presence:unwatch", ben).await;
        on.connect("/chat", "Ben").await;
        assert!(ada.received_of("presence:change").is_empty());
    });
}

#[test]
fn whoever_blocks_somebody_is_offline_to_them_and_the_other_way_round() {
    run_paused(async {
        let (on, _) = start_going(unhurried());
        let (ada, ben) = (
            on.connect("/chat", "Ada").await,
            on.connect("/chat", "Ben").await,
        );
        let of = |id: &str| json!({"people": [id]});
        let watched = ada.ok("presence:watch", of("dev:ben")).await;
        assert_eq!(watched["people"][0]["status"], "online");
        ben.ok("presence:watch", of("dev:ada")).await;
        ben.ok("block:add", json!({"person": "dev:ada"})).await;
        assert_eq!(
            ada.heard("presence:change").await,
            json!({"id": "dev:ben", "status": "offline"})
        );
        assert_eq!(
            ben.heard("presence:change").await,
            json!({"id": "dev:ada", "status": "offline"})
        );
        ben.ok("me:status", json!({"status": "away"})).await;
        assert!(ada.received_of("presence:change").is_empty());
        let watched = ada.ok("presence:watch", of("dev:ben")).await;
        assert_eq!(
            watched["people"],
            json!([{"id": "dev:ben", "status": "offline"}])
        );
        let found = ada.ok("person:get", of("dev:ben")).await;
        assert_eq!(found["people"][0]["status"], "offline");
        ben.ok("me:status", json!({"status": "online"})).await;
        assert!(ada.received_of("presence:change").is_empty());
        ben.ok("block:remove", json!({"person": "dev:ada"})).await;
        let watched = ada.ok("presence:watch", of("dev:ben")).await;
        assert_eq!(watched["people"][0]["status"], "online");
    });
}

#[test]
fn people_are_watched_within_bounds() {
    run_paused(async {
        let (on, _) = start_going(unhurried());
        let ada = on.connect("/chat", "Ada").await;
        let some = |from: usize, many: usize| {
            let ids: Vec<_> = (from..from + many).map(|n| format!("p{n}")).collect();
            json!({"people": ids})
        };
        assert_eq!(
            ada.refused("presence:watch", some(0, 0)).await,
            "bad_request"
        );
        assert_eq!(
            ada.refused("presence:watch", some(0, 201)).await,
            "bad_request"
        );
        for from in (0..1_000).step_by(200) {
            ada.ok("presence:watch", some(from, 200)).await;
        }
        ada.ok("presence:watch", some(0, 200)).await;
        assert_eq!(
            ada.refused("presence:watch", some(1_000, 1)).await,
            "too_large"
        );
        ada.ok("presence:unwatch", some(0, 1)).await;
        ada.ok("presence:watch", some(1_000, 1)).await;
        let code = ada.refused("me:status", json!({"status": "gone"})).await;
        assert_eq!(code, "bad_request");
    });
}

#[test]
fn presence_is_listed_in_pages_and_counted_for_those_who_may_read() {
    run_paused(async {
        let (on, _) = start_going(Config {
            thin_from: 5_000,
            crowd_from: 5_000,
            ..unhurried()
        });
        let mut all = Vec::new();
        for number in 0..1_003 {
            let client = on.connect("/chat", &format!("P{number:04}")).await;
            match number {
                0 => client.ok("room:join", in_room()).await,
                _ => client.ok("room:watch", in_room()).await,
            };
            // Nobody reads what the others are told.
            all.iter()
                .for_each(|other: &driver::Client| drop(other.received()));
            all.push(client);
        }
        let first = all[0].ok("presence:list", in_room()).await;
        assert_eq!(first["members"].as_array().map(Vec::len), Some(1_000));
        assert_eq!(first["count"], 1_003);
        let next = json!({"room": "r", "cursor": first["cursor"]});
        let second = all[0].ok("presence:list", next).await;
        assert_eq!(second["members"].as_array().map(Vec::len), Some(3));
        assert!(second["cursor"].is_null());
        let stranger = on.connect("/chat", "Stranger").await;
        let counted = stranger.ok("presence:count", in_room()).await;
        assert_eq!(
            counted,
            json!({"ok": true, "watching": 1_003, "online": 1_003, "crowd": "none"})
        );
        let nowhere = json!({"room": "nowhere"});
        assert_eq!(
            stranger.refused("presence:count", nowhere).await,
            "not_found"
        );
    });
}
