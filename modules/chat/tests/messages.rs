//! What becomes of messages, through the hub, on each of the store's backends.

#[path = "../../rooms/tests/driver/mod.rs"]
mod driver;
mod room;

use driver::START_MS;
use lakh_hub::store::Store;
use room::{
    at, here, in_room, make_room, message, on_each_store, put, say, user, with, with_each_store,
};
use serde_json::{Value, json};

/// The message with what a change sets.
fn changed(mut message: Value, change: &Value) -> Value {
    let fields = message.as_object_mut().expect("a message");
    for (name, value) in change["set"].as_object().expect("a set") {
        match value {
            Value::Null => drop(fields.remove(name)),
            value => drop(fields.insert(name.clone(), value.clone())),
        }
    }
    message
}

async fn become_role(store: &Store, name: &str, role: &str, muted_until: Option<u64>) {
    let mut record = json!({"role": role, "name": name, "joined_at": 1});
    if let Some(until) = muted_until {
        record["muted_until"] = json!(until);
    }
    let id = user(name)["id"].as_str().expect("an id").to_owned();
    put(store, "chat_members:r", &id, &record).await;
    put(
        store,
        &format!("chat_memberships:{id}"),
        "r",
        &json!({"role": role}),
    )
    .await;
}

#[test]
fn a_quote_says_what_the_quoted_message_says_now() {
    on_each_store(async |on, _| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        for (key, text) in [("1", "first"), ("2", "in a thread")] {
            let root = json!((key == "2").then_some(1));
            say(&ada, with(message(key, text), json!({"thread": root}))).await;
        }
        let answer = say(&ben, with(message("3", "so"), json!({"reply_to": 1}))).await;
        assert_eq!(answer["reply_to"]["text"], "first");
        let in_thread = json!({"reply_to": 1, "thread": 1});
        say(&ben, with(message("4", "so"), in_thread.clone())).await;
        let quotes = async || {
            let history = ben.ok("message:history", in_room()).await;
            let search = json!({"room": "r", "words": "so"});
            let hits = ben.ok("message:search", search).await;
            let sync = json!({"room": "r", "seq": 1, "rev": 0});
            let get = json!({"room": "r", "seq": 2});
            let edit = json!({"room": "r", "seq": 2, "text": "so"});
            let list = ben.ok("room:list", json!({})).await;
            let of_thread = ben.ok("message:get", json!({"room": "r", "seq": 2, "thread": 1}));
            let thread = of_thread.await["message"]["reply_to"].clone();
            let hits = hits["hits"].as_array().expect("hits").iter();
            let mut hits = hits.filter(|hit| hit["message"]["thread"].is_null());
            let all = [
                history["messages"][1]["reply_to"].clone(),
                hits.next().expect("a hit")["message"]["reply_to"].clone(),
                ben.ok("message:sync", sync).await["messages"][0]["reply_to"].clone(),
                ben.ok("message:get", get).await["message"]["reply_to"].clone(),
                ben.ok("message:edit", edit).await["message"]["reply_to"].clone(),
                say(&ben, with(message("3", "so"), json!({"reply_to": 1}))).await["reply_to"]
                    .clone(),
                list["rooms"][0]["last"]["reply_to"].clone(),
            ];
            assert!(all.iter().all(|quote| *quote == all[0]), "{all:#?}");
            (all[0].clone(), thread)
        };
        let quoted = |text: &str| json!({"seq": 1, "from": user("Ada"), "text": text});
        let edit = json!({"room": "r", "seq": 1, "text": "second"});
        ada.ok("message:edit", edit).await;
        assert_eq!(quotes().await, (quoted("second"), quoted("in a thread")));
        for at in [json!({"seq": 1}), json!({"seq": 1, "thread": 1})] {
            ada.ok("message:delete", with(in_room(), at)).await;
        }
        let deleted = with(quoted(""), json!({"deleted": true}));
        assert_eq!(quotes().await, (deleted.clone(), deleted));
    });
}

#[test]
fn a_message_carries_data_mentions_and_a_quote() {
    on_each_store(async |on, _| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        let eve = on.connect("/chat", "Eve").await;
        let long = "é".repeat(300);
        let first = say(&ada, message("1", &long)).await;
        let request = json!({
            "room": "r", "key": "2", "text": "look @Ben", "data": {"mood": "good"}, "reply_to": 1, "silent": true,
            "mentions": ["dev:ben", "dev:eve", "dev:ben", "dev:ada", "dev:nobody"]
        });
        let second = say(&ada, request).await;
        let quote = json!({"seq": 1, "from": user("Ada"), "text": "é".repeat(200)});
        assert_eq!(
            second,
            json!({
                "room": "r", "seq": 2, "key": "2", "from": user("Ada"), "text": "look @Ben", "time": START_MS,
                "data": {"mood": "good"}, "reply_to": quote, "silent": true,
                "mentions": ["dev:ben", "dev:eve", "dev:ada", "dev:nobody"]
            })
        );
        let mention = json!({"room": "r", "seq": 2, "from": user("Ada"), "text": "look @Ben"});
        assert_eq!(ben.heard("mention:new").await, mention);
        assert_eq!(ben.received_of("message:new"), [first, second]);
        // Who isn't a member isn't told, nor is whoever says it.
        assert!(eve.received_of("mention:new").is_empty());
        assert!(ada.received_of("mention:new").is_empty());
        for (request, code) in [
            (json!({"data": {"a": "x".repeat(8 << 10)}}), "too_large"),
            (json!({"data": 7}), "bad_request"),
            (json!({"mentions": vec!["dev:ben"; 51]}), "too_large"),
            (json!({"mentions": [""]}), "bad_request"),
            (json!({"reply_to": 9}), "not_found"),
            (json!({"thread": 9}), "not_found"),
            (json!({"attachments": ["a"]}), "not_found"),
            (json!({"attachments": vec!["a"; 11]}), "too_large"),
            (json!({"expires_in_s": 0}), "bad_request"),
        ] {
            let request = with(message("3", "x"), request);
            assert_eq!(
                ada.refused("message:send", request.clone()).await,
                code,
                "{request}"
            );
        }
        let all = with(message("3", "all"), json!({"mentions": ["*"]}));
        assert_eq!(ben.refused("message:send", all.clone()).await, "forbidden");
        assert_eq!(say(&ada, all).await["mentions"], json!(["*"]));
    });
}

#[test]
fn what_one_says_at_once_stays_in_its_order_whatever_has_to_be_read_for_it() {
    on_each_store(async |on, _| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        say(&ada, message("first", "x")).await;
        let sent: Vec<_> = (0..60)
            .map(|number| {
                let more = match number % 4 {
                    0 => json!({"reply_to": 1}),
                    1 => json!({"mentions": ["dev:ben"]}),
                    _ => json!({}),
                };
                let request = with(message(&number.to_string(), "x"), more);
                ada.request("message:send", request)
            })
            .collect();
        for (number, answer) in sent.into_iter().enumerate() {
            assert_eq!(answer.await["message"]["seq"], number + 2);
        }
        assert_eq!(ben.received_of("mention:new").len(), 15);
    });
}

#[test]
fn a_thread_is_numbered_by_itself_and_changes_its_root() {
    on_each_store(async |on, clock| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        let root = say(&ada, message("root", "root")).await;
        ben.received();
        clock.advance(5);
        let request = with(message("a", "first"), json!({"thread": 1}));
        let reply = say(&ben, request.clone()).await;
        assert_eq!((&reply["seq"], &reply["thread"]), (&json!(1), &json!(1)));
        let replies = json!({"count": 1, "last_at": START_MS + 5, "people": [user("Ben")]});
        let change = json!({
            "room": "r", "rev": 2, "seq": 1, "what": "replies", "set": {"replies": replies}, "by": user("Ben")
        });
        assert_eq!(ada.next("message:new").await.args[0], root);
        assert_eq!(ada.heard("message:new").await, reply);
        assert_eq!(ada.heard("message:changed").await, change);
        // Sent again it's the same, and the root is left alone.
        let again = ben.ok("message:send", request).await;
        assert_eq!(
            (&again["message"], &again["duplicate"]),
            (&reply, &json!(true))
        );
        say(
            &ada,
            with(message("b", "second"), json!({"thread": 1, "reply_to": 1})),
        )
        .await;
        let page = ada
            .ok("message:history", json!({"room": "r", "thread": 1}))
            .await;
        assert_eq!(page["messages"][0], reply);
        assert_eq!(page["messages"][1]["reply_to"]["text"], "first");
        assert_eq!((&page["seq"], &page["rev"]), (&json!(2), &json!(3)));
        let got = ada.ok("message:get", at(1)).await;
        assert_eq!(got["message"]["replies"]["count"], 2);
        assert_eq!(
            got["message"]["replies"]["people"],
            json!([user("Ada"), user("Ben")])
        );
        // A thread has no threads, and none goes on under a message that is gone.
        assert_eq!(
            ada.refused(
                "message:send",
                with(message("c", "x"), json!({"thread": 2}))
            )
            .await,
            "not_found"
        );
        ada.ok("message:delete", at(1)).await;
        assert_eq!(
            ada.refused(
                "message:send",
                with(message("d", "x"), json!({"thread": 1}))
            )
            .await,
            "not_found"
        );
        // What was sent before is there all the same.
        let again = ada
            .ok(
                "message:send",
                with(message("b", "second"), json!({"thread": 1})),
            )
            .await;
        assert_eq!(
            (&again["duplicate"], &again["message"]["seq"]),
            (&json!(true), &json!(2))
        );
    });
}

#[test]
fn an_edit_replaces_what_was_said_and_keeps_what_it_was() {
    on_each_store(async |on, clock| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        let request = with(
            message("k", "0"),
            json!({"data": {"a": 1}, "mentions": ["dev:ada"]}),
        );
        let said = say(&ben, request).await;
        ada.received();
        clock.advance(1);
        let edited = with(at(1), json!({"text": "1", "data": null}));
        let answer = ben.ok("message:edit", edited.clone()).await;
        let change = ada.heard("message:changed").await;
        assert_eq!(
            change["set"],
            json!({"text": "1", "data": null, "edited_at": START_MS + 1, "edits": 1})
        );
        assert_eq!(
            (&change["what"], &change["by"]),
            (&json!("edit"), &user("Ben"))
        );
        assert_eq!(changed(said, &change), answer["message"]);
        assert_eq!(
            ada.ok("message:get", at(1)).await["message"],
            answer["message"]
        );
        // The same again changes nothing.
        ben.ok("message:edit", edited).await;
        assert!(ada.received_of("message:changed").is_empty());
        for number in 2..=25 {
            clock.advance(1);
            ben.ok(
                "message:edit",
                with(at(1), json!({"text": number.to_string()})),
            )
            .await;
        }
        for client in [&ben, &ada] {
            let edits = client.ok("message:edits", at(1)).await["edits"].take();
            let expected: Vec<_> = (5..25)
                .map(|number| json!({"text": number.to_string(), "time": START_MS + number}))
                .collect();
            assert_eq!(edits, json!(expected), "the author and moderators");
        }
        let cy = here(&on, "Cy").await;
        assert_eq!(cy.refused("message:edits", at(1)).await, "forbidden");
        for (client, request, code) in [
            (&ada, json!({"text": "mine"}), "forbidden"),
            (&ben, json!({}), "bad_request"),
            (&ben, json!({"text": ""}), "bad_request"),
            (&ben, json!({"seq": 2, "text": "x"}), "not_found"),
        ] {
            assert_eq!(
                client.refused("message:edit", with(at(1), request)).await,
                code
            );
        }
        // Who is mentioned only now is told now.
        ben.ok(
            "message:edit",
            with(at(1), json!({"mentions": ["dev:ada", "dev:cy"]})),
        )
        .await;
        assert_eq!(cy.heard("mention:new").await["seq"], 1);
        assert!(ada.received_of("mention:new").is_empty());
    });
}

#[test]
fn a_message_is_forwarded_to_rooms_in_which_one_may_speak() {
    on_each_store(async |on, _| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        for room in ["s", "t"] {
            ada.ok("room:join", json!({"room": room})).await;
        }
        let said = say(
            &ben,
            with(
                message("k", "news"),
                json!({"data": {"a": 1}, "mentions": ["dev:ada"]}),
            ),
        )
        .await;
        let request = with(at(1), json!({"to": ["s", "t"], "key": "f"}));
        let answer = ada.ok("message:forward", request.clone()).await;
        for (room, message) in ["s", "t"]
            .iter()
            .zip(answer["messages"].as_array().expect("a list"))
        {
            let forwarded =
                json!({"room": "r", "seq": 1, "from": user("Ben"), "time": said["time"]});
            assert_eq!(
                *message,
                json!({
                    "room": room, "seq": 1, "key": "f", "from": user("Ada"), "text": "news", "time": START_MS,
                    "data": {"a": 1}, "forwarded": forwarded
                })
            );
        }
        assert_eq!(
            ada.ok("message:forward", request).await["messages"],
            answer["messages"]
        );
        assert_eq!(
            ada.ok("message:history", json!({"room": "s"})).await["seq"],
            1
        );
        // Whoever wrote it first is named.
        let again = json!({"room": "s", "seq": 1, "to": ["r"], "key": "g"});
        let again = ada.ok("message:forward", again).await;
        assert_eq!(again["messages"][0]["forwarded"]["from"], user("Ben"));
        for (to, code) in [
            (json!([]), "bad_request"),
            (json!(["r", "r"]), "bad_request"),
            (json!(vec!["s"; 11]), "bad_request"),
            (json!(["r", "s"]), "not_member"),
            (json!(["r", "nowhere"]), "not_found"),
        ] {
            let request = with(at(1), json!({"to": to, "key": "h"}));
            assert_eq!(ben.refused("message:forward", request).await, code, "{to}");
        }
        assert_eq!(
            ben.ok("message:history", in_room()).await["seq"],
            2,
            "nothing was sent"
        );
    });
}

#[test]
fn who_is_muted_is_silent_and_an_archived_room_is_read_only() {
    with_each_store(async |on, clock, store| {
        make_room(&store, "r", json!({})).await;
        become_role(&store, "Ada", "owner", None).await;
        become_role(&store, "Ben", "member", Some(START_MS + 1_000)).await;
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        say(&ada, message("k", "x")).await;
        let writes = [
            ("message:send", json!({"key": "new", "text": "x"})),
            (
                "message:send",
                json!({"key": "new", "text": "x", "thread": 1}),
            ),
            ("reaction:add", json!({"seq": 1, "emoji": "👍"})),
            ("reaction:remove", json!({"seq": 1, "emoji": "👍"})),
            ("live:react", json!({"emoji": "👍"})),
        ];
        for (name, request) in &writes {
            let request = with(in_room(), request.clone());
            assert_eq!(ben.refused(name, request).await, "muted", "{name}");
        }
        clock.advance(1_000);
        say(&ben, message("k", "heard")).await;
        let record = json!({"kind": "public", "name": "r", "created_at": 1, "archived": true});
        put(&store, "chat_rooms", "r", &record).await;
        // What stands in memory is looked up again after a while.
        clock.advance(10_000);
        let more = [
            ("message:edit", json!({"seq": 1, "text": "y"})),
            ("message:delete", json!({"seq": 1})),
            ("message:purge", json!({"seq": 1})),
            ("message:pin", json!({"seq": 1, "pinned": true})),
            (
                "message:forward",
                json!({"seq": 1, "to": ["r"], "key": "f"}),
            ),
        ];
        for (name, request) in writes.iter().chain(&more) {
            let request = with(in_room(), request.clone());
            assert_eq!(ada.refused(name, request).await, "archived", "{name}");
        }
        // What was answered before is answered the same.
        let again = ada
            .ok("message:send", with(in_room(), message("k", "x")))
            .await;
        assert_eq!(
            (&again["duplicate"], &again["message"]["seq"]),
            (&json!(true), &json!(1))
        );
        assert_eq!(ben.ok("message:history", in_room()).await["seq"], 2);
    });
}
