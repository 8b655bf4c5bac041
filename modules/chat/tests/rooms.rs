//! Rooms: making and changing them, and those between a few people.

#[path = "../../rooms/tests/driver/mod.rs"]
mod driver;
mod room;

use driver::{Client, START_MS, run};
use room::{here, in_room, on_each_store, start, unhurried, user};
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
                "version": made["room"]["version"], "seq": 0, "rev": 0, "members": 2, "watching": made["room"]["watching"],
                "crowd": "none",
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
        // It has no name but theirs.
        assert_eq!(last["room"]["people"], three["room"]["people"]);
        assert_eq!(last["room"]["people"].as_array().map(Vec::len), Some(3));

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
