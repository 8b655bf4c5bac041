//! Rooms: making, changing, deleting, listing, and who has them.

#[path = "../../rooms/tests/driver/mod.rs"]
mod driver;
mod room;

use driver::{Client, START_MS, run};
use lakh_chat::{Asker, Config};
use lakh_hub::Person;
use room::{here, in_room, on_each_store, start, unhurried, user, with_each_store};
use serde_json::{Value, json};

fn ids(list: &Value) -> Vec<&str> {
    let list = list.as_array().expect("a list").iter();
    list.map(|item| item["id"].as_str().expect("an id"))
        .collect()
}

async fn role(client: &Client, room: &str) -> Value {
    client.ok("room:get", json!({"room": room})).await["room"]["mine"]["role"].clone()
}

#[test]
fn a_room_is_made_with_what_it_is_to_have_and_belongs_to_who_made_it() {
    on_each_store(async |on, clock| {
        let (ada, ben) = (
            on.connect("/chat", "Ada").await,
            on.connect("/chat", "Ben").await,
        );
        clock.advance(5);
        let asked = json!({
            "kind": "private", "id": "den", "name": "The den", "topic": "quiet\nplease", "picture": "https://a.example/d.png",
            "data": {"floor": 2}, "settings": {"slow_mode_s": 10}, "members": ["dev:ben", "dev:ben", "dev:ada"]
        });
        let made = ada.ok("room:create", asked.clone()).await;
        assert_eq!(
            made["room"],
            json!({
                "id": "den", "kind": "private", "name": "The den", "topic": "quiet\nplease",
                "picture": "https://a.example/d.png", "data": {"floor": 2}, "created_at": START_MS + 5,
                "created_by": "dev:ada", "archived": false,
                "settings": {"slow_mode_s": 10, "retention_days": 0, "reactions": "each"},
                "version": made["room"]["version"], "seq": 0, "rev": 0, "members": 2,
                "mine": {
                    "role": "owner", "joined_at": START_MS + 5, "notify": "all", "read": 0, "delivered": 0,
                    "unread": 0, "mentions": 0
                }
            })
        );
        assert_eq!(made["members"][0]["id"], "dev:ada", "its socket watches");
        let told = ben.heard("room:invited").await;
        assert_eq!(
            (&told["by"], &told["room"]["id"]),
            (&user("Ada"), &json!("den"))
        );
        assert_eq!(told["room"]["mine"]["role"], "member");
        assert!(
            ben.received_of("room:new").is_empty(),
            "private rooms are nobody else's business"
        );
        assert_eq!(role(&ben, "den").await, "member");
        assert_eq!(ada.refused("room:create", asked).await, "exists");

        let made = ada
            .ok("room:create", json!({"kind": "public", "name": "Hall"}))
            .await;
        let id = made["room"]["id"].as_str().expect("an id");
        assert_eq!((id.len(), &made["room"]["name"]), (22, &json!("Hall")));
        assert_eq!(ben.heard("room:new").await["id"], json!(id));
    });
}

#[test]
fn what_does_not_fit_is_refused_with_a_code() {
    run(async {
        let (on, _, _) = start(unhurried());
        let ada = here(&on, "Ada").await;
        let many: Vec<_> = (0..101).map(|n| format!("p{n}")).collect();
        for (name, request, code) in [
            ("room:create", json!({"kind": "secret"}), "bad_request"),
            ("room:create", json!({"kind": "direct"}), "bad_request"),
            ("room:create", json!({"id": "direct:x"}), "bad_request"),
            ("room:create", json!({"id": "a\nb"}), "bad_request"),
            ("room:create", json!({"id": "post:1"}), "bad_request"),
            (
                "room:create",
                json!({"id": "x", "kind": "thing"}),
                "bad_request",
            ),
            (
                "room:create",
                json!({"id": "post:1", "kind": "thing"}),
                "forbidden",
            ),
            ("room:create", json!({"name": 7}), "bad_request"),
            (
                "room:create",
                json!({"name": "x".repeat(129)}),
                "bad_request",
            ),
            (
                "room:create",
                json!({"data": {"x": "y".repeat(9_000)}}),
                "too_large",
            ),
            ("room:create", json!({"members": many}), "bad_request"),
            ("room:create", json!({"members": [""]}), "bad_request"),
            ("room:direct", json!({}), "bad_request"),
            ("room:direct", json!({"people": []}), "bad_request"),
            ("room:direct", json!({"people": ["dev:ada"]}), "bad_request"),
            ("room:direct", json!({"people": &many[..10]}), "bad_request"),
            ("room:get", json!({"room": "nowhere"}), "not_found"),
            ("room:get", json!({}), "bad_request"),
            ("room:watch", json!({"room": "nowhere"}), "not_found"),
            ("room:join", json!({"room": "direct:nobody"}), "not_found"),
            (
                "room:set",
                json!({"room": "nowhere", "name": "x"}),
                "not_found",
            ),
            ("room:set", json!({"room": "r", "name": ""}), "bad_request"),
            ("room:set", json!({"room": "r", "topic": 7}), "bad_request"),
            (
                "room:set",
                json!({"room": "r", "picture": "ftp://a"}),
                "bad_request",
            ),
            (
                "room:set",
                json!({"room": "r", "settings": {"slow_mode_s": 21_601}}),
                "bad_request",
            ),
            (
                "room:set",
                json!({"room": "r", "name": "x", "version": 1}),
                "conflict",
            ),
            ("room:archive", json!({"room": "r"}), "bad_request"),
            ("room:delete", json!({"room": "nowhere"}), "not_found"),
            (
                "room:notify",
                json!({"room": "r", "notify": "loud"}),
                "bad_request",
            ),
            (
                "room:notify",
                json!({"room": "other", "notify": "all"}),
                "not_member",
            ),
            ("room:list", json!({"watch": true}), "bad_request"),
            (
                "room:list",
                json!({"search": "x".repeat(65)}),
                "bad_request",
            ),
            (
                "room:list",
                json!({"mine": true, "cursor": "x"}),
                "bad_request",
            ),
            ("room:list", json!({"kind": "secret"}), "bad_request"),
        ] {
            assert_eq!(
                ada.refused(name, request.clone()).await,
                code,
                "{name} {request}"
            );
        }
    });
}

#[test]
fn two_who_open_a_direct_room_at_once_are_in_the_same() {
    on_each_store(async |on, _| {
        let (ada, ben) = (
            on.connect("/chat", "Ada").await,
            on.connect("/chat", "Ben").await,
        );
        let of_ada = ada.request("room:direct", json!({"people": ["dev:ben"]}));
        let of_ben = ben.request("room:direct", json!({"people": ["dev:ada"]}));
        let (of_ada, of_ben) = (of_ada.await, of_ben.await);
        let room = of_ada["room"]["id"].as_str().expect("a room");
        assert_eq!(of_ben["room"]["id"], room, "{of_ben}");
        assert!(room.starts_with("direct:") && room.len() == 29);
        for (client, answer) in [(&ada, &of_ada), (&ben, &of_ben)] {
            assert_eq!(answer["room"]["members"], 2);
            assert_eq!(answer["room"]["people"], json!([user("Ada"), user("Ben")]));
            assert_eq!(role(client, room).await, "member");
        }
        ada.ok(
            "message:send",
            json!({"room": room, "key": "k", "text": "hi"}),
        )
        .await;
        assert_eq!(ben.heard("message:new").await["text"], "hi");
        let cy = on.connect("/chat", "Cy").await;
        assert_eq!(
            cy.refused("room:get", json!({"room": room})).await,
            "not_found"
        );
        assert_eq!(
            cy.refused("room:join", json!({"room": room})).await,
            "not_found"
        );
        let three = cy
            .ok("room:direct", json!({"people": ["dev:ben", "dev:ada"]}))
            .await;
        assert_ne!(three["room"]["id"], room);
        assert_eq!(three["room"]["members"], 3);
        let invited = ben.received_of("room:invited");
        let last = invited.last().expect("told");
        assert_eq!(last["room"]["id"], three["room"]["id"]);

        // Who has left is there again when either opens it.
        ben.ok("room:leave", json!({"room": room})).await;
        assert_eq!(
            ben.refused("room:get", json!({"room": room})).await,
            "not_found"
        );
        let again = ada.ok("room:direct", json!({"people": ["dev:ben"]})).await;
        assert_eq!(
            (&again["room"]["id"], &again["room"]["members"]),
            (&json!(room), &json!(2))
        );
        assert_eq!(role(&ben, room).await, "member");
    });
}

#[test]
fn nobody_is_spoken_to_by_whom_they_have_blocked() {
    on_each_store(async |on, _| {
        let (ada, ben) = (
            on.connect("/chat", "Ada").await,
            on.connect("/chat", "Ben").await,
        );
        ben.ok("block:add", json!({"person": "dev:ada"})).await;
        ben.ok("block:add", json!({"person": "dev:ada"})).await;
        for (who, other) in [(&ada, "dev:ben"), (&ben, "dev:ada")] {
            let direct = json!({"people": [other, "dev:cy"]});
            assert_eq!(who.refused("room:direct", direct).await, "blocked");
            let made = json!({"members": [other]});
            assert_eq!(who.refused("room:create", made).await, "blocked");
        }
        ada.ok("room:join", in_room()).await;
        let invited = json!({"room": "r", "people": ["dev:ben"]});
        assert_eq!(ada.refused("member:invite", invited).await, "blocked");
        let listed = ben.ok("block:list", json!({})).await;
        assert_eq!(
            listed["people"],
            json!([{"id": "dev:ada", "name": "Ada", "at": START_MS}])
        );
        assert_eq!(
            ben.refused("block:add", json!({"person": "dev:ben"})).await,
            "bad_request"
        );
        assert_eq!(
            ben.refused("block:add", json!({"person": ""})).await,
            "bad_request"
        );
        ben.ok("block:remove", json!({"person": "dev:ada"})).await;
        ada.ok("room:direct", json!({"people": ["dev:ben"]})).await;
    });
}

#[test]
fn a_room_is_changed_on_condition_and_those_who_watch_hear_what_is_new() {
    on_each_store(async |on, _| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        let before = ada.ok("room:get", in_room()).await["room"]["version"].clone();
        let set = |field: &str, value: Value| {
            let mut request = in_room();
            request[field] = value;
            request
        };
        let mut first = set("topic", json!("one"));
        first["version"] = before.clone();
        first["settings"] = json!({"slow_mode_s": 5});
        let changed = ada.ok("room:set", first.clone()).await;
        assert_eq!(changed["room"]["topic"], "one");
        assert_eq!(ada.refused("room:set", first).await, "conflict");
        let told = ben.heard("room:changed").await;
        assert_eq!(
            told,
            json!({
                "room": "r", "rev": told["rev"], "by": user("Ada"),
                "set": {"topic": "one", "settings": {"slow_mode_s": 5, "retention_days": 0, "reactions": "each"}}
            })
        );
        ada.ok("room:set", set("settings", json!({"reactions": "one"})))
            .await;
        let settings = ben.heard("room:changed").await["set"]["settings"].clone();
        assert_eq!(
            settings,
            json!({"slow_mode_s": 5, "retention_days": 0, "reactions": "one"})
        );
        ada.ok("room:set", set("topic", Value::Null)).await;
        assert_eq!(
            ben.heard("room:changed").await["set"],
            json!({"topic": null})
        );
        ada.ok("room:set", set("topic", Value::Null)).await;
        assert!(
            ben.received_of("room:changed").is_empty(),
            "nothing has changed"
        );
        assert_eq!(
            ben.refused("room:set", set("topic", json!("x"))).await,
            "forbidden"
        );

        ada.ok("room:archive", json!({"room": "r", "archived": true}))
            .await;
        assert_eq!(
            ben.heard("room:changed").await["set"],
            json!({"archived": true})
        );
        assert_eq!(
            ada.refused("room:set", set("topic", json!("x"))).await,
            "archived"
        );
        let said = json!({"room": "r", "key": "k", "text": "x"});
        assert_eq!(ben.refused("message:send", said.clone()).await, "archived");
        let cy = on.connect("/chat", "Cy").await;
        assert_eq!(cy.refused("room:join", in_room()).await, "archived");
        cy.ok("message:history", in_room()).await;
        assert_eq!(ids(&cy.ok("room:list", json!({})).await["rooms"]), [""; 0]);
        assert_eq!(
            ids(&cy.ok("room:list", json!({"archived": true})).await["rooms"]),
            ["r"]
        );
        ada.ok("room:archive", json!({"room": "r", "archived": false}))
            .await;
        ben.ok("message:send", said).await;
    });
}

#[test]
fn changes_that_meet_are_all_made() {
    on_each_store(async |on, _| {
        let ada = here(&on, "Ada").await;
        let changes: Vec<_> = (0..10)
            .map(|n| {
                ada.request(
                    "room:set",
                    json!({"room": "r", "name": format!("n{n}"), "topic": format!("t{n}")}),
                )
            })
            .collect();
        for change in changes {
            assert_eq!(change.await["ok"], true);
        }
        let room = ada.ok("room:get", in_room()).await["room"].clone();
        assert_eq!(
            (&room["name"], &room["topic"]),
            (&json!("n9"), &json!("t9"))
        );
        let told = ada.received_of("room:changed");
        let revs: Vec<_> = told
            .iter()
            .map(|told| told["rev"].as_u64().expect("a number"))
            .collect();
        assert_eq!(told.len(), 10);
        assert!(
            revs.windows(2).all(|pair| pair[0] + 1 == pair[1]),
            "{revs:?}"
        );
    });
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
    with_each_store(async |on, clock, store| {
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
        assert_eq!(
            store.last_seq("chat:r").await.expect("read"),
            1,
            "another node may be at it"
        );
        clock.advance(61_000);
        on.connect("/chat", "Cy").await;
        assert_eq!(ada.heard("room:removed").await["why"], "deleted");
        while store
            .get(START_MS, "chat_rooms", "r")
            .await
            .expect("read")
            .is_some()
        {
            tokio::task::yield_now().await;
        }
        assert_eq!(store.last_seq("chat:r").await.expect("read"), 0);
        ben.ok("room:join", in_room()).await;
    });
}

#[test]
fn ones_own_rooms_are_listed_by_what_was_said_last() {
    on_each_store(async |on, clock| {
        let (ada, ben) = (
            on.connect("/chat", "Ada").await,
            on.connect("/chat", "Ben").await,
        );
        for n in 0..7 {
            clock.advance(10);
            ada.ok("room:join", json!({"room": format!("r{n}")})).await;
        }
        ben.ok(
            "room:create",
            json!({"id": "den", "kind": "private", "name": "Den"}),
        )
        .await;
        ben.ok(
            "member:invite",
            json!({"room": "den", "people": ["dev:ada"]}),
        )
        .await;
        ben.ok("room:join", json!({"room": "not-hers"})).await;
        clock.advance(10);
        let direct =
            ben.ok("room:direct", json!({"people": ["dev:ada"]})).await["room"]["id"].clone();
        clock.advance(10);
        let said = json!({"room": "r2", "key": "k", "text": "hi"});
        let said = ada.ok("message:send", said).await["message"].clone();

        let (mut rooms, mut cursor) = (Vec::new(), Value::Null);
        loop {
            let mut request = json!({"mine": true, "limit": 4});
            if !cursor.is_null() {
                request["cursor"] = cursor;
            }
            let mut page = ada.ok("room:list", request).await;
            rooms.append(page["rooms"].as_array_mut().expect("a list"));
            cursor = page["cursor"].take();
            if cursor.is_null() {
                break;
            }
        }
        let rooms = json!(rooms);
        let direct = direct.as_str().expect("an id");
        assert_eq!(
            ids(&rooms),
            ["r2", direct, "den", "r6", "r5", "r4", "r3", "r1", "r0"]
        );
        assert_eq!(rooms[0]["last"], said);
        assert_eq!(rooms[0]["mine"]["role"], "owner");
        assert_eq!(rooms[2]["mine"]["invited_by"], user("Ben"));
        for (filter, found) in [
            (json!({"kind": "direct"}), vec![direct]),
            (json!({"kind": "private"}), vec!["den"]),
            (json!({"search": "DE"}), vec!["den"]),
            (json!({"search": "ben"}), vec![direct]),
            (json!({"search": "r4"}), vec!["r4"]),
            (json!({"archived": true}), vec![]),
        ] {
            let mut request = filter.clone();
            request["mine"] = json!(true);
            assert_eq!(
                ids(&ada.ok("room:list", request).await["rooms"]),
                found,
                "{filter}"
            );
        }
        let public = ben.ok("room:list", json!({"search": "r"})).await;
        assert_eq!(ids(&public["rooms"]).len(), 8, "{public}");
    });
}

#[test]
fn a_socket_that_comes_back_watches_all_it_lists() {
    on_each_store(async |on, _| {
        let ada = on.connect("/chat", "Ada").await;
        for room in ["a", "b", "c"] {
            ada.ok("room:join", json!({"room": room})).await;
        }
        ada.disconnect();
        let ben = on.connect("/chat", "Ben").await;
        ben.ok("room:join", json!({"room": "b"})).await;
        let back = on.connect("/chat", "Ada").await;
        let listed = back
            .ok("room:list", json!({"mine": true, "watch": true}))
            .await;
        assert_eq!(ids(&listed["rooms"]).len(), 3);
        ben.ok(
            "message:send",
            json!({"room": "b", "key": "k", "text": "hi"}),
        )
        .await;
        assert_eq!(back.heard("message:new").await["room"], "b");
    });
}

#[test]
fn a_thing_has_a_room_as_soon_as_somebody_looks_and_nobody_owns_it() {
    on_each_store(async |on, _| {
        let (ada, ben) = (
            on.connect("/chat", "Ada").await,
            on.connect("/chat", "Ben").await,
        );
        let thing = json!({"room": "post:7"});
        let watched = ada.ok("room:watch", thing.clone()).await;
        assert_eq!(
            (&watched["room"]["kind"], &watched["room"]["mine"]),
            (&json!("thing"), &Value::Null)
        );
        ben.ok(
            "message:send",
            json!({"room": "post:7", "key": "k", "text": "first!"}),
        )
        .await;
        assert_eq!(ada.heard("message:new").await["text"], "first!");
        assert_eq!(
            ada.ok("room:join", thing.clone()).await["room"]["mine"]["role"],
            "member"
        );
        assert_eq!(ids(&ben.ok("room:list", json!({})).await["rooms"]), [""; 0]);
        assert_eq!(ada.refused("room:delete", thing).await, "forbidden");
    });
}

#[test]
fn a_backend_makes_rooms_for_people_and_may_do_everything() {
    run(async {
        let (on, _, chat) = start(unhurried());
        let ada = on.connect("/chat", "Ada").await;
        let system = Asker::system();
        let call = async |asker: &Asker, name: &str, request: Value| {
            let answer = chat.call(asker, name, &request.to_string()).await;
            let answer = answer.map_err(|failure| failure.code)?;
            Ok::<Value, &str>(serde_json::from_str(answer.get()).expect("JSON"))
        };
        let made = json!({"kind": "thing", "id": "post:9", "name": "A post"});
        call(&system, "room:create", made).await.expect("made");
        let direct = json!({"people": ["dev:ada", "dev:ben"]});
        let direct = call(&system, "room:direct", direct).await.expect("made");
        let room = direct["room"]["id"].clone();
        let kick = json!({"room": room, "person": "dev:ben"});
        assert_eq!(
            ada.refused("member:kick", kick.clone()).await,
            "forbidden",
            "nobody may"
        );
        call(&system, "member:kick", kick)
            .await
            .expect("the system may");
        call(&system, "room:delete", json!({"room": room}))
            .await
            .expect("deleted");
        assert_eq!(ada.heard("room:removed").await["why"], "deleted");
        let cy = Asker::person(Person {
            id: "cy".into(),
            name: "Cy".into(),
        });
        call(&cy, "room:join", json!({"room": "s"}))
            .await
            .expect("joined");
        let mine = call(&cy, "room:list", json!({"mine": true}))
            .await
            .expect("listed");
        assert_eq!(ids(&mine["rooms"]), ["s"]);
        assert_eq!(
            call(&cy, "room:watch", json!({"room": "s"})).await,
            Err("bad_request")
        );
        assert_eq!(
            call(&cy, "me:set", json!({"name": "Cyrus"}))
                .await
                .expect("set")["person"]["name"],
            "Cyrus"
        );
        assert_eq!(
            call(&system, "me:set", json!({"name": "x"})).await,
            Err("bad_request")
        );
    });
}

#[test]
fn rooms_for_things_are_those_that_the_settings_name() {
    run(async {
        let (on, _, _) = start(Config {
            things: vec!["video:*".into()],
            ..unhurried()
        });
        let ada = on.connect("/chat", "Ada").await;
        let kind = async |room: &str| {
            ada.ok("room:join", json!({"room": room})).await["room"]["kind"].clone()
        };
        assert_eq!(
            (kind("video:1").await, kind("post:1").await),
            (json!("thing"), json!("public"))
        );
    });
}
