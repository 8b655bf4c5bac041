//! People: their profiles, the names others see, and finding them.

#[path = "../../rooms/tests/driver/mod.rs"]
mod driver;
mod room;

use driver::{Client, START_MS, run};
use room::{here, in_room, message, on_each_store, start, unhurried};
use serde_json::{Value, json};

fn without_status(mut person: Value) -> Value {
    person.as_object_mut().expect("a person").remove("status");
    person
}

#[test]
fn a_chosen_name_is_what_others_see_from_then_on() {
    on_each_store(async |on, clock| {
        let (ada, phone, ben) = (
            here(&on, "Ada").await,
            here(&on, "Ada").await,
            here(&on, "Ben").await,
        );
        clock.advance(9);
        let set = json!({"name": "Countess", "picture": "https://a.example/a.png", "data": {"pronouns": "she"}});
        let person = json!({
            "id": "dev:ada", "name": "Countess", "picture": "https://a.example/a.png", "data": {"pronouns": "she"},
            "updated_at": START_MS + 9
        });
        assert_eq!(ada.ok("me:set", set).await["person"], person);
        let told =
            json!({"id": "dev:ada", "name": "Countess", "picture": "https://a.example/a.png"});
        for client in [&ben, &phone] {
            assert_eq!(
                client.received_of("person:changed"),
                std::slice::from_ref(&told),
                "once"
            );
        }
        let countess = json!({"id": "dev:ada", "name": "Countess"});
        phone
            .ok("message:send", message("k", "from another device"))
            .await;
        assert_eq!(ben.heard("message:new").await["from"], countess);
        let here_now = ben.ok("presence:list", in_room()).await;
        assert_eq!(
            here_now["members"][1],
            json!({"id": "dev:ada", "name": "Countess", "online": true})
        );
        assert_eq!(
            ben.ok("member:list", in_room()).await["members"][0]["name"],
            "Countess"
        );
        // Whoever signs in anew is called so, too, whatever their sign-in says.
        let again = here(&on, "Ada").await;
        let shown = again.ok("me:get", json!({})).await["person"].clone();
        assert_eq!(shown["status"], "online");
        assert_eq!(without_status(shown), person);
        again.ok("message:send", message("l", "x")).await;
        assert_eq!(ben.heard("message:new").await["from"], countess);
        ada.ok("me:set", json!({"picture": null, "data": null}))
            .await;
        let bare = json!({"id": "dev:ada", "name": "Countess", "updated_at": START_MS + 9, "status": "online"});
        let got = ben
            .ok("person:get", json!({"people": ["dev:ada", "dev:nobody"]}))
            .await;
        assert_eq!(got["people"], json!([bare]));
    });
}

#[test]
fn who_comes_back_after_a_cut_has_the_name_they_chose() {
    on_each_store(async |on, _| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        ada.ok("me:set", json!({"name": "Countess"})).await;
        ada.ok("message:send", message("k", "x")).await;
        ada.heard("message:new").await;
        ada.cut();
        let back = ada.come_back().await;
        back.ok("message:send", message("l", "x")).await;
        ben.heard("message:new").await;
        assert_eq!(ben.heard("message:new").await["from"]["name"], "Countess");
    });
}

#[test]
fn people_are_found_by_the_beginning_of_their_name_or_id() {
    on_each_store(async |on, _| {
        let ada = on.connect("/chat", "Ada").await;
        for name in ["Adam", "ÉMILE", "Ben", "Adelheid"] {
            on.connect("/chat", name).await;
        }
        let find = async |search: &str| {
            let found = ada.ok("person:find", json!({"search": search})).await;
            let people = found["people"].as_array().expect("a list").iter();
            people
                .map(|person| person["id"].as_str().expect("an id").to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(find("ad").await, ["dev:ada", "dev:adam", "dev:adelheid"]);
        assert_eq!(find(" ADE").await, ["dev:adelheid"]);
        assert_eq!(find("émi").await, ["dev:émile"]);
        assert_eq!(find("dev:b").await, ["dev:ben"]);
        assert_eq!(find("heid").await, [""; 0]);
        ada.ok("me:set", json!({"name": "Dev:a sort of name"}))
            .await;
        assert_eq!(
            find("dev:a").await,
            ["dev:ada", "dev:adam", "dev:adelheid"],
            "each once"
        );
        assert_eq!(
            find("ada").await,
            ["dev:adam"],
            "not by the name of yesterday"
        );
        let mut cursor = Value::Null;
        let mut all = Vec::new();
        loop {
            let mut request = json!({"search": "", "limit": 3});
            if !cursor.is_null() {
                request["cursor"] = cursor;
            }
            let page = ada.ok("person:find", request).await;
            all.extend(
                page["people"]
                    .as_array()
                    .expect("a list")
                    .iter()
                    .map(|person| person["id"].to_string()),
            );
            cursor = page["cursor"].clone();
            if cursor.is_null() {
                break;
            }
        }
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 5);
    });
}

#[test]
fn what_does_not_fit_is_refused_with_a_code() {
    run(async {
        let (on, _, _) = start(unhurried());
        let ada = on.connect("/chat", "Ada").await;
        let many: Vec<_> = (0..101).map(|n| format!("p{n}")).collect();
        for (name, request, code) in [
            ("me:set", json!({"name": ""}), "bad_request"),
            ("me:set", json!({"name": 7}), "bad_request"),
            ("me:set", json!({"picture": "javascript:x"}), "bad_request"),
            (
                "me:set",
                json!({"data": {"x": "y".repeat(9_000)}}),
                "too_large",
            ),
            ("person:get", json!({}), "bad_request"),
            ("person:get", json!({"people": []}), "bad_request"),
            ("person:get", json!({"people": many}), "bad_request"),
            ("person:find", json!({}), "bad_request"),
            (
                "person:find",
                json!({"search": "x".repeat(65)}),
                "bad_request",
            ),
            (
                "person:find",
                json!({"search": "x", "limit": 0}),
                "bad_request",
            ),
            ("block:remove", json!({}), "bad_request"),
        ] {
            assert_eq!(
                ada.refused(name, request.clone()).await,
                code,
                "{name} {request}"
            );
        }
        let me = ada.ok("me:get", json!({})).await["person"].clone();
        assert_eq!(
            me,
            json!({"id": "dev:ada", "name": "Ada", "updated_at": START_MS, "status": "online"})
        );
    });
}

#[test]
fn between_two_of_whom_one_has_blocked_the_other_nobody_says_anything() {
    on_each_store(async |on, _| {
        let mut clients = Vec::new();
        for name in ["Ada", "Ben", "Cy"] {
            clients.push(on.connect("/chat", name).await);
        }
        let [ada, ben, cy] = &clients[..] else {
            panic!("three")
        };
        let direct = ada.ok("room:direct", json!({"people": ["dev:ben"]})).await;
        let all = json!({"people": ["dev:ben", "dev:cy"]});
        let three = ada.ok("room:direct", all).await["room"]["id"].take();
        let room = &direct["room"]["id"];
        ben.ok("room:join", json!({"room": room})).await;
        let say =
            |key: &str| json!({"room": room, "key": key, "text": "hi", "mentions": ["dev:ben"]});
        ada.ok("message:send", say("first")).await;
        ben.ok("message:send", say("second")).await;
        ada.ok("block:add", json!({"person": "dev:ben"})).await;
        let own = |client: &Client| if std::ptr::eq(client, ada) { 1 } else { 2 };
        for (number, client) in [ada, ben].into_iter().enumerate() {
            let at = |more: Value| room::with(json!({"room": room, "seq": own(client)}), more);
            for (name, request) in [
                ("message:send", say(&format!("k{number}"))),
                ("message:send", room::with(say("t"), json!({"thread": 1}))),
                ("message:send", room::with(say("l"), json!({"at": 1}))),
                ("message:edit", at(json!({"text": "still"}))),
                ("message:pin", at(json!({"pinned": true}))),
                ("reaction:add", at(json!({"emoji": "👍"}))),
                ("live:react", json!({"room": room, "emoji": "👍"})),
                ("typing:set", json!({"room": room, "typing": true})),
            ] {
                let refused = client.refused(name, request.clone()).await;
                assert_eq!(refused, "blocked", "{name} {request}");
            }
            // What was said can be read, and taken back.
            client.ok("message:history", json!({"room": room})).await;
            client.ok("message:delete", at(json!({}))).await;
            let elsewhere = json!({"room": three, "key": "k", "text": "hi"});
            client.ok("message:send", elsewhere).await;
        }
        let post = json!({"room": three, "seq": 1, "to": [room], "key": "f"});
        assert_eq!(
            cy.refused("message:forward", post.clone()).await,
            "not_found"
        );
        assert_eq!(ben.refused("message:forward", post).await, "blocked");
        ada.ok("block:remove", json!({"person": "dev:ben"})).await;
        ben.ok("message:send", say("third")).await;
        ada.ok("message:send", say("fourth")).await;
    });
}

#[test]
fn somebody_who_was_erased_and_comes_anew_is_one_of_two_again() {
    on_each_store(async |on, _| {
        let (ada, ben) = (
            on.connect("/chat", "Ada").await,
            on.connect("/chat", "Ben").await,
        );
        let with_ben = json!({"people": ["dev:ben"]});
        let opened = ada.ok("room:direct", with_ben.clone()).await;
        let room = json!({"room": opened["room"]["id"]});
        ada.ok("data:erase", json!({})).await;
        let people = async || ben.ok("room:get", room.clone()).await["room"]["people"].take();
        let left = people().await;
        assert!(!left.to_string().contains("dev:ada"), "{left}");
        assert!(left.to_string().contains("Deleted person"), "{left}");
        let opened = ada.ok("room:direct", with_ben).await;
        assert_eq!(opened["room"]["id"], room["room"]);
        let again = people().await;
        assert!(again.to_string().contains("dev:ada"), "{again}");
        ben.ok("block:add", json!({"person": "dev:ada"})).await;
        let say = room::with(room.clone(), json!({"key": "k", "text": "hi"}));
        assert_eq!(ada.refused("message:send", say).await, "blocked");
    });
}
