//! Who is here and who is typing, through the hub, without sockets.

#[path = "../../rooms/tests/driver/mod.rs"]
mod driver;
mod room;

use std::time::Duration;

use driver::{run, run_paused};
use lakh_chat::Config;
use room::{here, in_room, message, start, unhurried, user};
use serde_json::json;

#[test]
fn presence_is_told_once_a_person_first_socket_in_last_socket_out() {
    run(async {
        let (on, _, _) = start(unhurried());
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
        let (on, _, _) = start(unhurried());
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
        let (on, _, chat) = start(unhurried());
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
        let (on, _, _) = start(unhurried());
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
        let (on, _, _) = start(Config {
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
