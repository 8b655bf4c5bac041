//! Lists of rooms, rooms of things, and what backends do with rooms.

#[path = "../../rooms/tests/driver/mod.rs"]
mod driver;
mod room;

use driver::run;
use lakh_chat::{Asker, Config};
use lakh_hub::Person;
use lakh_hub::store::Condition;
use room::{on_each_store, start, unhurried, user};
use serde_json::{Value, json};

fn ids(list: &Value) -> Vec<&str> {
    let list = list.as_array().expect("a list").iter();
    list.map(|item| item["id"].as_str().expect("an id"))
        .collect()
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

#[test]
fn a_page_of_ones_many_rooms_costs_few_reads_and_the_pages_behind_it_fewer() {
    run(async {
        let folder = tempfile::tempdir().expect("a folder");
        let store = room::sqlite(&folder);
        let (on, clock, _) = room::start_on(store.clone(), unhurried());
        let ada = on.connect("/chat", "Ada").await;
        let own = json!({"role": "member", "name": "Ada", "joined_at": 1});
        for number in 0..450_u64 {
            let id = format!("r{number:03}");
            let between = match number % 2 {
                0 => {
                    json!({"kind": "direct", "name": "", "created_at": 1, "people": ["dev:ada", format!("p{number}")]})
                }
                _ => json!({"kind": "public", "name": id, "created_at": 1}),
            };
            let said = json!({"key": "k", "from": user("Ben"), "text": "hi"}).to_string();
            let entry = lakh_hub::store::Entry::new(driver::START_MS + number, said);
            let batch = lakh_hub::store::Batch::new(1)
                .put("chat_rooms", &id, between.to_string(), Condition::Any, None)
                .put(
                    "chat_memberships:dev:ada",
                    &id,
                    r#"{"role":"member"}"#,
                    Condition::Any,
                    None,
                )
                .put(
                    &format!("chat_members:{id}"),
                    "dev:ada",
                    own.to_string(),
                    Condition::Any,
                    None,
                )
                .append(&format!("chat:{id}"), vec![entry]);
            store.write(batch).await.expect("written");
        }
        let (mut seen, mut costs, mut cursor) = (Vec::new(), Vec::new(), None::<Value>);
        loop {
            let request = match &cursor {
                Some(cursor) => json!({"mine": true, "limit": 100, "cursor": cursor}),
                None => json!({"mine": true, "limit": 100}),
            };
            let before = store.stats().reads;
            let page = ada.ok("room:list", request).await;
            costs.push(store.stats().reads - before);
            seen.extend(ids(&page["rooms"]).into_iter().map(str::to_owned));
            assert_eq!(page["rooms"][0]["last"]["text"], "hi");
            assert_eq!(page["rooms"][0]["mine"]["unread"], 1);
            cursor = Some(page["cursor"].clone()).filter(|cursor| !cursor.is_null());
            if cursor.is_none() {
                break;
            }
        }
        let expected: Vec<_> = (0..450)
            .rev()
            .map(|number| format!("r{number:03}"))
            .collect();
        assert_eq!(seen, expected);
        // 12, and then 6 each; the node looks after what is due in between, too. One read a room would be a hundred.
        assert!(costs[0] < 20, "{costs:?}");
        assert!(costs[1..].iter().all(|cost| *cost < 14), "{costs:?}");
        // What is said meanwhile is found by the next first page.
        clock.advance(60_000);
        ada.ok(
            "message:send",
            json!({"room": "r007", "key": "k", "text": "ho"}),
        )
        .await;
        let page = ada.ok("room:list", json!({"mine": true, "limit": 1})).await;
        assert_eq!(ids(&page["rooms"]), ["r007"]);
        let narrow = json!({"mine": true, "search": "p44"});
        let found = ada.ok("room:list", narrow).await;
        assert_eq!(
            ids(&found["rooms"]),
            ["r448", "r446", "r444", "r442", "r440", "r044"]
        );
        drop(on);
    });
}
