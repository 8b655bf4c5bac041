//! What is refused, and in what words; what comes of things that are not there; and what must not be lost at the edges.

#[path = "../../rooms/tests/driver/mod.rs"]
mod driver;
mod room;

use std::rc::Rc;

use driver::{Client, Loop, START_MS};
use room::{at, here, in_room, message, on_each_store, say, with, with_each_store};
use serde_json::{Value, json};

async fn three(on: &Rc<Loop>) -> [Client; 3] {
    [
        here(on, "Ada").await,
        here(on, "Ben").await,
        here(on, "Cy").await,
    ]
}

/// What somebody is told of a refusal: code and words.
async fn told(client: &Client, name: &str, request: &Value) -> (String, String) {
    let answer = client.request(name, request.clone()).await;
    let error = &answer["error"];
    let text = |field: &str| error[field].as_str().unwrap_or_default().to_owned();
    assert_eq!(answer["ok"], false, "{name} {request}: {answer}");
    (text("code"), text("message"))
}

#[test]
fn a_refusal_names_the_field_that_is_wrong() {
    on_each_store(async |on, _| {
        let [ada, ..] = three(&on).await;
        say(&ada, message("k", "x")).await;
        let long = "x".repeat(401);
        for (name, request, field) in [
            ("room:set", json!({"room": "r", "name": 7}), "`name`"),
            (
                "room:set",
                json!({"room": "r", "settings": [30]}),
                "`settings`",
            ),
            (
                "room:set",
                json!({"room": "r", "version": "1"}),
                "`version`",
            ),
            ("room:create", json!({"topic": false}), "`topic`"),
            ("room:create", json!({"members": ["a\nb"]}), "members"),
            ("room:direct", json!({"people": [long]}), "people"),
            (
                "reaction:add",
                json!({"room": "r", "seq": "1", "emoji": "x"}),
                "`seq`",
            ),
            (
                "reaction:remove",
                json!({"room": "r", "seq": 1, "emoji": 1}),
                "`emoji`",
            ),
            ("reaction:list", json!({"room": "r", "seq": -1}), "`seq`"),
            (
                "reaction:add",
                json!({"room": "r", "seq": 1, "emoji": ""}),
                "emoji",
            ),
            (
                "member:invite",
                json!({"room": "r", "people": [""]}),
                "people",
            ),
            (
                "message:send",
                with(message("m", "x"), json!({"mentions": [""]})),
                "mentions",
            ),
            ("message:send", message("", "x"), "key"),
            ("message:search", json!({"words": "x", "from": ""}), "from"),
            ("presence:watch", json!({"people": [""]}), "people"),
            ("person:get", json!({"people": [""]}), "people"),
            (
                "member:ban",
                json!({"room": "r", "person": "dev:ada"}),
                "person",
            ),
            (
                "member:mute",
                json!({"room": "r", "person": "dev:ada", "seconds": 1}),
                "person",
            ),
        ] {
            let (code, words) = told(&ada, name, &request).await;
            assert_eq!(code, "bad_request", "{name} {request}: {words}");
            assert!(words.contains(field), "{name} {request}: {words}");
        }
    });
}

#[test]
fn a_cursor_that_was_never_given_is_refused_by_every_list() {
    on_each_store(async |on, _| {
        let [ada, ..] = three(&on).await;
        say(&ada, message("k", "x")).await;
        let cursor = json!({"cursor": "\n".repeat(700)});
        for (name, request) in [
            ("room:list", json!({})),
            ("room:list", json!({"mine": true})),
            ("member:list", in_room()),
            ("ban:list", in_room()),
            ("person:find", json!({"search": "a"})),
            ("block:list", json!({})),
            ("reaction:list", at(1)),
            ("receipt:list", in_room()),
            ("message:search", json!({"words": "x"})),
            ("report:list", in_room()),
            ("moderation:log", in_room()),
            ("presence:list", in_room()),
        ] {
            let (code, words) = told(&ada, name, &with(request, cursor.clone())).await;
            assert_eq!(code, "bad_request", "{name}: {words}");
            assert!(words.contains("cursor"), "{name}: {words}");
        }
    });
}

#[test]
fn what_nobody_can_see_is_no_text_and_no_id() {
    on_each_store(async |on, _| {
        let [ada, ..] = three(&on).await;
        for nothing in [" ", "\n\n", "\u{200b}", "\u{202e}\u{2060}", "\u{3164}"] {
            let refused = ada.refused("message:send", message("k", nothing)).await;
            assert_eq!(refused, "bad_request", "{nothing:?}");
            let room = json!({"room": nothing});
            assert_eq!(
                ada.refused("room:join", room).await,
                "bad_request",
                "{nothing:?}"
            );
        }
        say(&ada, message("k", "❤️")).await;
        let edit = with(at(1), json!({"text": "\u{200b}"}));
        assert_eq!(ada.refused("message:edit", edit).await, "bad_request");
    });
}

#[test]
fn data_that_is_nested_too_deep_is_refused_before_anything_is_stored() {
    on_each_store(async |on, _| {
        let [ada, ben, _] = three(&on).await;
        let nested = |deep: usize| (1..deep).fold(json!({}), |inner, _| json!({"a": inner}));
        let send = |key: &str, deep: usize| with(message(key, "x"), json!({"data": nested(deep)}));
        for deep in [65, 90] {
            let refused = ada.refused("message:send", send("deep", deep)).await;
            assert_eq!(refused, "bad_request", "{deep}");
        }
        let set = json!({"room": "r", "data": nested(65)});
        assert_eq!(ada.refused("room:set", set).await, "bad_request");
        ada.ok("message:send", send("k", 64)).await;
        assert_eq!(ben.heard("message:new").await["data"], nested(64));
        let page = ben.ok("message:history", in_room()).await;
        assert_eq!(page["messages"][0]["data"], nested(64));
        assert_eq!(page["seq"], 1);
    });
}

#[test]
fn null_is_as_good_as_nothing_where_a_field_may_be_left_out() {
    on_each_store(async |on, _| {
        let [ada, ..] = three(&on).await;
        let nulls = json!({
            "data": null, "mentions": null, "attachments": null, "reply_to": null, "thread": null, "at": null,
            "expires_in_s": null, "silent": null
        });
        say(&ada, with(message("k", "x"), nulls)).await;
        let nulls = json!({
            "mine": null, "watch": null, "kind": null, "archived": null, "search": null, "cursor": null,
            "limit": null
        });
        ada.ok("room:list", nulls).await;
        let nulls = json!({"room": null, "state": null, "cursor": null});
        ada.ok("report:list", nulls).await;
        let nulls = json!({"limit": null, "created_at": null, "seq": 0, "rev": 0, "thread": null});
        ada.ok("message:sync", with(in_room(), nulls)).await;
        let nulls = json!({"id": null, "kind": null, "members": null});
        ada.ok("room:create", nulls).await;
    });
}

#[test]
fn bytes_that_a_request_has_no_place_for_are_refused_and_not_lost() {
    on_each_store(async |on, _| {
        let [ada, ..] = three(&on).await;
        let bytes = json!({"_placeholder": true, "num": 0});
        let more = json!({"data": {"picture": bytes}});
        let request = with(message("k", "x"), more);
        let sent = ada.request_with("message:send", &request, &[vec![1, 2].into()]);
        let answer = sent.await;
        assert_eq!(answer["error"]["code"], "bad_request", "{answer}");
        let words = answer["error"]["message"].as_str().expect("words");
        assert!(words.contains("binary"), "{words}");
        let page = ada.ok("message:history", in_room()).await;
        assert_eq!(page["seq"], 0);
    });
}

#[test]
fn whoever_left_a_room_between_two_is_in_it_again_when_something_is_said_to_them() {
    on_each_store(async |on, _| {
        let ada = on.connect("/chat", "Ada").await;
        let ben = on.connect("/chat", "Ben").await;
        let opened = ada.ok("room:direct", json!({"people": ["dev:ben"]})).await;
        let room = json!({"room": opened["room"]["id"]});
        let send = |key: &str, more: Value| {
            let text = json!({"key": key, "text": key});
            with(with(room.clone(), text), more)
        };
        ben.ok("message:send", send("one", json!({}))).await;
        ada.ok("message:send", send("two", json!({}))).await;
        ben.ok("room:leave", room.clone()).await;
        ben.received();
        ada.ok("message:send", send("three", json!({}))).await;
        let invited = ben.heard("room:invited").await;
        assert_eq!(invited["room"]["id"], room["room"]);
        assert_eq!(invited["room"]["mine"]["role"], "member");
        let unread = ben.heard("unread:changed").await;
        assert_eq!(
            (&unread["room"], &unread["unread"]),
            (&room["room"], &json!(1))
        );
        assert_eq!(unread["last"]["text"], "three");
        // Once more, and by what is said under a message.
        ben.ok("room:leave", room.clone()).await;
        ada.ok("message:send", send("four", json!({"thread": 1})))
            .await;
        let mine = ben.ok("room:get", room.clone()).await;
        assert_eq!(mine["room"]["mine"]["role"], "member");
        // Both gone, and a backend has something to say.
        ben.ok("room:leave", room.clone()).await;
        ada.ok("room:leave", room.clone()).await;
        assert_eq!(
            ada.refused("message:send", send("five", json!({}))).await,
            "not_found"
        );
        // Between three whoever leaves stays away.
        let all = json!({"people": ["dev:ben", "dev:cy"]});
        let three = json!({"room": ada.ok("room:direct", all).await["room"]["id"]});
        ben.ok("room:leave", three.clone()).await;
        ada.ok(
            "message:send",
            with(three.clone(), json!({"key": "k", "text": "x"})),
        )
        .await;
        assert_eq!(ben.refused("room:get", three).await, "not_found");
    });
}

#[test]
fn what_would_be_refused_later_is_refused_when_it_is_scheduled() {
    with_each_store(async |on, _, store| {
        room::make_room(&store, "r", json!({"words": ["darn"]})).await;
        let [ada, ben, _] = three(&on).await;
        say(&ada, message("k", "x")).await;
        say(&ada, message("gone", "x")).await;
        ada.ok("message:delete", at(2)).await;
        let later = |key: &str, more: Value| {
            with(
                with(message(key, "later"), json!({"at": START_MS + 60_000})),
                more,
            )
        };
        for (more, code) in [
            (json!({"text": "darn"}), "blocked_word"),
            (json!({"reply_to": 9}), "not_found"),
            (json!({"reply_to": 2}), "not_found"),
            (json!({"thread": 9}), "not_found"),
            (json!({"thread": 2}), "not_found"),
            (json!({"mentions": ["*"]}), "forbidden"),
            (json!({"mentions": vec!["x"; 51]}), "too_large"),
        ] {
            let refused = ben
                .refused("message:send", later("bad", more.clone()))
                .await;
            assert_eq!(refused, code, "{more}");
        }
        let listed = ben.ok("scheduled:list", json!({})).await;
        assert_eq!(listed["scheduled"], json!([]));
        let put = ben
            .ok("message:send", later("good", json!({"reply_to": 1})))
            .await;
        let id = &put["scheduled"]["id"];
        let change = json!({"id": id, "text": "darn"});
        assert_eq!(
            ben.refused("scheduled:change", change).await,
            "blocked_word"
        );
        // A retry is answered what is there, whatever has become of what it quotes.
        ada.ok("message:delete", at(1)).await;
        let again = ben
            .ok("message:send", later("good", json!({"reply_to": 1})))
            .await;
        assert_eq!(again["scheduled"]["id"], *id);
    });
}

#[test]
fn a_message_sent_again_by_somebody_who_may_say_no_more_is_the_same_message() {
    on_each_store(async |on, _| {
        let [ada, ben, _] = three(&on).await;
        say(&ben, message("k", "x")).await;
        let under = with(message("t", "y"), json!({"thread": 1}));
        say(&ben, under.clone()).await;
        let mute = json!({"room": "r", "person": "dev:ben", "seconds": 60});
        ada.ok("member:mute", mute).await;
        for request in [message("k", "other"), under] {
            let again = ben.ok("message:send", request).await;
            assert_eq!(again["duplicate"], true);
            assert_eq!(again["message"]["seq"], 1);
        }
        assert_eq!(
            ben.refused("message:send", message("new", "x")).await,
            "muted"
        );
        ada.ok("member:kick", json!({"room": "r", "person": "dev:ben"}))
            .await;
        let again = ben.ok("message:send", message("k", "x")).await;
        assert_eq!(again["duplicate"], true);
        assert_eq!(
            ben.refused("message:send", message("new", "x")).await,
            "not_member"
        );
    });
}

#[test]
fn who_is_muted_is_not_shown_as_typing_and_may_report() {
    on_each_store(async |on, _| {
        let [ada, ben, cy] = three(&on).await;
        say(&ada, message("k", "x")).await;
        let mute = json!({"room": "r", "person": "dev:ben", "seconds": 60});
        ada.ok("member:mute", mute).await;
        let typing = with(in_room(), json!({"typing": true}));
        assert_eq!(ben.refused("typing:set", typing.clone()).await, "muted");
        ben.ok("report:send", with(at(1), json!({"reason": "spam"})))
            .await;
        cy.ok("room:unwatch", in_room()).await;
        let (code, words) = told(&cy, "typing:set", &typing).await;
        assert_eq!(code, "bad_request");
        assert!(words.contains("room:watch"), "{words}");
    });
}

#[test]
fn what_is_asked_of_a_message_that_is_not_there_is_not_found() {
    on_each_store(async |on, _| {
        let [ada, ..] = three(&on).await;
        say(&ada, message("k", "x")).await;
        for (name, request) in [
            ("reaction:list", at(9)),
            ("message:history", with(in_room(), json!({"thread": 9}))),
            (
                "message:sync",
                with(in_room(), json!({"thread": 9, "seq": 0, "rev": 0})),
            ),
        ] {
            assert_eq!(ada.refused(name, request).await, "not_found", "{name}");
        }
        ada.ok("reaction:list", at(1)).await;
        let thread = ada
            .ok("message:history", with(in_room(), json!({"thread": 1})))
            .await;
        assert_eq!(
            (&thread["messages"], &thread["seq"]),
            (&json!([]), &json!(0))
        );
    });
}

#[test]
fn a_room_that_was_deleted_and_made_anew_is_not_the_one_that_a_client_knows() {
    on_each_store(async |on, clock| {
        let [ada, ..] = three(&on).await;
        let created_at = ada.ok("room:get", in_room()).await["room"]["created_at"].take();
        say(&ada, message("k", "x")).await;
        let rev = ada.ok("message:history", in_room()).await["rev"].take();
        let known = json!({"seq": 1, "rev": rev, "created_at": created_at});
        let sync = async |known: &Value| {
            let missed = ada.ok("message:sync", with(in_room(), known.clone())).await;
            missed["reset"] == true
        };
        assert!(!sync(&known).await);
        ada.ok("room:delete", in_room()).await;
        clock.advance(1);
        let [again, ..] = three(&on).await;
        for key in ["a", "b", "c"] {
            say(&again, message(key, "new")).await;
            again
                .ok("message:pin", with(at(1), json!({"pinned": key != "b"})))
                .await;
        }
        assert!(sync(&known).await);
        let mine = json!({"seq": 1, "rev": 3});
        assert!(
            !sync(&mine).await,
            "without it the numbers are all that tells"
        );
    });
}
