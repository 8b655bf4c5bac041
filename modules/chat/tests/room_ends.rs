//! Who has a room when its owner goes, and what is left of one that was deleted.

#[path = "../../rooms/tests/driver/mod.rs"]
mod driver;
mod room;

use std::rc::Rc;

use driver::{Client, Loop, START_MS, TestClock, run};
use lakh_chat::Chat;
use lakh_hub::store::Store;
use room::{here, in_room, on_each, on_each_store, start_on, unhurried, with_each_store};
use serde_json::{Value, json};

fn with_each_chat(test: impl AsyncFn(Rc<Loop>, TestClock, Chat, Store)) {
    on_each(|store| {
        run(async {
            let (on, clock, chat) = start_on(store.clone(), unhurried());
            test(on, clock, chat, store.clone()).await;
            store.close().await.expect("closes");
        });
    });
}

async fn tidy(chat: &Chat) {
    while chat.tidy().await.expect("tidied") {}
}

async fn role(client: &Client, room: &str) -> Value {
    client.ok("room:get", json!({"room": room})).await["room"]["mine"]["role"].clone()
}

#[test]
fn a_room_goes_from_its_last_owner_to_the_longest_standing_highest() {
    on_each_store(async |on, clock| {
        let ada = here(&on, "Ada").await;
        let mut others = Vec::new();
        for name in ["Ben", "Cy", "Di", "Eve"] {
            clock.advance(10);
            others.push(here(&on, name).await);
        }
        let give = |person: &str, role: &str| json!({"room": "r", "person": person, "role": role});
        for person in ["dev:di", "dev:cy"] {
            ada.ok("member:role", give(person, "moderator")).await;
        }
        assert_eq!(
            ada.refused("member:role", give("dev:ada", "member")).await,
            "last_owner"
        );
        let [ben, cy, di, eve] = &others[..] else {
            panic!("four")
        };
        eve.received();
        ada.ok("room:leave", in_room()).await;
        assert_eq!(role(cy, "r").await, "owner");
        assert_eq!(role(di, "r").await, "moderator");
        let told = eve.received_of("member:changed");
        let told: Vec<_> = told
            .iter()
            .map(|told| (&told["user"]["id"], &told["set"]))
            .collect();
        assert_eq!(
            told,
            [
                (&json!("dev:ada"), &json!({"left": true})),
                (&json!("dev:cy"), &json!({"role": "owner"}))
            ]
        );
        // Another owner is there: nothing is handed over.
        cy.ok("member:role", give("dev:eve", "owner")).await;
        cy.ok("room:leave", in_room()).await;
        assert_eq!(role(di, "r").await, "moderator");
        di.ok("room:leave", in_room()).await;
        eve.ok("room:leave", in_room()).await;
        assert_eq!(role(ben, "r").await, "owner", "the only one who is left");
        // Nobody inherits an empty room; who comes is a member, and only who made it has it back.
        ben.ok("room:leave", in_room()).await;
        ben.ok("room:join", in_room()).await;
        assert_eq!(role(ben, "r").await, "member");
        ben.ok("room:leave", in_room()).await;
        ada.ok("room:join", in_room()).await;
        assert_eq!(role(&ada, "r").await, "owner");
    });
}

#[test]
fn owners_who_leave_at_once_do_not_each_take_the_other_for_the_one_who_stays() {
    on_each_store(async |on, clock| {
        let ada = here(&on, "Ada").await;
        let mut owners = vec![ada];
        for name in ["Ben", "Cy", "Di"] {
            owners.push(here(&on, name).await);
            let id = format!("dev:{}", name.to_lowercase());
            let give = json!({"room": "r", "person": id, "role": "owner"});
            owners[0].ok("member:role", give).await;
        }
        clock.advance(10);
        let eve = here(&on, "Eve").await;
        let leaving: Vec<_> = owners
            .iter()
            .map(|owner| owner.request("room:leave", in_room()))
            .collect();
        for leaving in leaving {
            assert_eq!(leaving.await["ok"], true);
        }
        assert_eq!(role(&eve, "r").await, "owner");
    });
}

#[test]
fn a_deleted_room_is_gone_with_all_that_was_in_it_and_its_name_is_free() {
    with_each_store(async |on, _, store| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        let cy = on.connect("/chat", "Cy").await;
        cy.ok("room:watch", in_room()).await;
        for n in 0..5 {
            let said =
                json!({"room": "r", "key": format!("k{n}"), "text": "hi", "mentions": ["dev:ben"]});
            ada.ok("message:send", said).await;
        }
        ada.ok(
            "message:send",
            json!({"room": "r", "key": "t", "text": "reply", "thread": 1}),
        )
        .await;
        ada.ok(
            "reaction:add",
            json!({"room": "r", "seq": 1, "emoji": "👍"}),
        )
        .await;
        ada.ok(
            "reaction:add",
            json!({"room": "r", "seq": 1, "thread": 1, "emoji": "👍"}),
        )
        .await;
        ada.ok(
            "message:pin",
            json!({"room": "r", "seq": 2, "pinned": true}),
        )
        .await;
        ada.ok(
            "message:edit",
            json!({"room": "r", "seq": 3, "text": "other"}),
        )
        .await;
        ada.ok("member:ban", json!({"room": "r", "person": "dev:eve"}))
            .await;
        ada.ok("member:invite", json!({"room": "r", "people": ["dev:di"]}))
            .await;
        assert_eq!(ben.refused("room:delete", in_room()).await, "forbidden");
        ada.ok("room:delete", in_room()).await;
        for client in [&ada, &ben, &cy] {
            assert_eq!(client.heard("room:deleted").await, in_room());
        }
        assert_eq!(
            ben.heard("room:removed").await,
            json!({"room": "r", "why": "deleted"})
        );
        assert_eq!(ben.refused("room:get", in_room()).await, "not_found");
        assert_eq!(ben.refused("message:history", in_room()).await, "not_found");
        assert_eq!(
            ben.ok("room:list", json!({"mine": true})).await["rooms"],
            json!([])
        );

        let now = START_MS;
        for collection in [
            "chat_rooms",
            "chat_deletions",
            "chat_pins",
            "chat_members:r",
            "chat_bans:r",
            "chat_overlay:r",
            "chat_overlay:r\n1",
            "chat_edits:r",
            "chat_reactions:r",
            "chat_reactions:r\n1",
            "chat_reactors:r",
            "chat_reactors:r\n1",
            "chat_mentions:dev:ben",
            "chat_memberships:dev:ada",
            "chat_memberships:dev:ben",
            "chat_memberships:dev:di",
        ] {
            let page = store
                .scan(now, collection, Default::default())
                .await
                .expect("read");
            assert_eq!(page.items, [], "{collection:?}");
        }
        for log in ["chat:r", "chat:r\n1", "chat_changes:r"] {
            assert_eq!(store.last_seq(log).await.expect("read"), 0, "{log:?}");
        }
        // Who did it is all that stays written.
        let info = store.log_info("chat_moderation:r").await.expect("read");
        assert_eq!(info.first_seq, info.last_seq);

        let again = ben.ok("room:join", in_room()).await;
        assert_eq!(
            (&again["seq"], &again["room"]["mine"]["role"]),
            (&json!(0), &json!("owner"))
        );
        assert_eq!(again["room"]["members"], 1);
    });
}

#[test]
fn a_deletion_whose_node_is_gone_is_gone_on_with() {
    with_each_chat(async |on, clock, chat, store| {
        let ada = here(&on, "Ada").await;
        ada.ok(
            "message:send",
            json!({"room": "r", "key": "k", "text": "hi"}),
        )
        .await;
        // As a node leaves it that ends between the mark and the first step.
        let found = store
            .get(START_MS, "chat_rooms", "r")
            .await
            .expect("read")
            .expect("a room");
        let mut record: Value = serde_json::from_slice(&found.value).expect("JSON");
        record["deleted"] = json!(true);
        room::put(&store, "chat_rooms", "r", &record).await;
        room::put(&store, "chat_deletions", "r", &json!({"at": START_MS})).await;
        let ben = on.connect("/chat", "Ben").await;
        assert_eq!(ben.refused("room:get", in_room()).await, "not_found");
        assert_eq!(ben.refused("room:join", in_room()).await, "not_found");
        tidy(&chat).await;
        assert_eq!(
            store.last_seq("chat:r").await.expect("read"),
            1,
            "another node may be at it"
        );
        clock.advance(31_000);
        tidy(&chat).await;
        assert_eq!(ada.heard("room:removed").await["why"], "deleted");
        let room = store.get(START_MS, "chat_rooms", "r").await;
        assert_eq!(room.expect("read"), None);
        assert_eq!(store.last_seq("chat:r").await.expect("read"), 0);
        ben.ok("room:join", in_room()).await;
    });
}
