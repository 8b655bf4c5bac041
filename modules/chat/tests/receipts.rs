//! What people have read, through the hub, on each of the store's backends.

#[path = "../../rooms/tests/driver/mod.rs"]
mod driver;
mod room;

use std::rc::Rc;

use driver::{Client, Loop, run};
use lakh_chat::Config;
use room::{here, in_room, message, on_each_store, start, unhurried, user};
use serde_json::{Value, json};

fn at(seq: u64) -> Value {
    json!({"room": "r", "seq": seq})
}

/// What is told of somebody's marks: `[read, delivered, unread, mentions]`.
fn tally(of: &Value) -> Value {
    json!([of["read"], of["delivered"], of["unread"], of["mentions"]])
}

async fn mine(client: &Client) -> Value {
    tally(&client.ok("room:get", in_room()).await["room"]["mine"])
}

async fn send(client: &Client, texts: &[&str]) {
    for text in texts {
        client.ok("message:send", message(text, text)).await;
    }
}

/// The next that somebody hears of how far this person has read. Where sending took longer than a second, they hear of
/// themselves in between.
async fn heard_of(client: &Client, name: &str) -> Value {
    loop {
        let update = client.heard("receipt:update").await;
        if update["user"] == user(name) {
            return update;
        }
    }
}

/// Asks until the store has what is written a moment later.
async fn until(client: &Client, name: &str, request: Value, holds: impl Fn(&Value) -> bool) {
    for _ in 0..1_000 {
        let answer = client.ok(name, request.clone()).await;
        if holds(&answer) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("{name} {request} did not come to hold");
}

#[test]
fn marks_go_forward_up_to_the_last_message_and_back_only_on_purpose() {
    on_each_store(async |on, _| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        send(&ben, &["a", "b", "c"]).await;
        assert_eq!(mine(&ada).await, json!([0, 0, 3, 0]));
        let steps = [
            ("receipt:delivered", 2, json!([0, 2, 3, 0])),
            ("receipt:read", 1, json!([1, 2, 2, 0])),
            ("receipt:delivered", 1, json!([1, 2, 2, 0])),
            ("receipt:read", 0, json!([1, 2, 2, 0])),
            ("receipt:read", 99, json!([3, 3, 0, 0])),
            ("receipt:unread", 2, json!([1, 3, 2, 0])),
            ("receipt:read", 2, json!([2, 3, 1, 0])),
            ("receipt:unread", 99, json!([3, 3, 0, 0])),
            ("receipt:unread", 1, json!([0, 3, 3, 0])),
        ];
        for (name, seq, expected) in steps {
            let answer = ada.ok(name, at(seq)).await;
            assert_eq!(tally(&answer), expected, "{name} {seq}");
            assert_eq!(mine(&ada).await, expected, "{name} {seq}");
        }
        assert_eq!(ada.refused("receipt:unread", at(0)).await, "bad_request");
        let nowhere = json!({"room": "nowhere", "seq": 1});
        assert_eq!(ada.refused("receipt:read", nowhere).await, "not_found");
        let text = json!({"room": "r", "seq": "1"});
        assert_eq!(ada.refused("receipt:read", text).await, "bad_request");
    });
}

#[test]
fn only_members_have_marks() {
    on_each_store(async |on, _| {
        let ada = on.connect("/chat", "Ada").await;
        let thing = json!({"room": "post:1"});
        ada.ok("room:watch", thing).await;
        ada.ok(
            "message:send",
            json!({"room": "post:1", "key": "k", "text": "x"}),
        )
        .await;
        let at = json!({"room": "post:1", "seq": 1});
        for name in [
            "receipt:read",
            "receipt:delivered",
            "receipt:unread",
            "receipt:list",
        ] {
            assert_eq!(ada.refused(name, at.clone()).await, "not_member", "{name}");
        }
    });
}

#[test]
fn who_sends_has_read_and_who_comes_has_nothing_to_catch_up_on() {
    on_each_store(async |on, _| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        send(&ada, &["a", "b"]).await;
        send(&ben, &["c"]).await;
        assert_eq!(mine(&ben).await, json!([3, 3, 0, 0]), "at once");
        let cy = here(&on, "Cy").await;
        assert_eq!(mine(&cy).await, json!([3, 3, 0, 0]));
        send(&ada, &["d"]).await;
        assert_eq!(mine(&ben).await, json!([3, 3, 1, 0]));
        assert_eq!(mine(&cy).await, json!([3, 3, 1, 0]));
        // In the store, too, a moment later.
        let all = json!({"room": "r", "limit": 2});
        let read =
            |answer: &Value| json!([answer["people"][0]["read"], answer["people"][1]["read"]]);
        until(&cy, "receipt:list", all.clone(), |answer| {
            read(answer) == json!([4, 3])
        })
        .await;
        let first = cy.ok("receipt:list", all).await;
        assert_eq!(
            first["people"][0],
            json!({"id": "dev:ada", "name": "Ada", "read": 4, "delivered": 4})
        );
        let rest = json!({"room": "r", "cursor": first["cursor"]});
        let rest = cy.ok("receipt:list", rest).await;
        assert_eq!(rest["people"][0]["id"], "dev:cy");
        assert_eq!(
            (rest["people"].as_array().map(Vec::len), &rest["cursor"]),
            (Some(1), &Value::Null)
        );
    });
}

#[test]
fn ones_own_devices_hear_at_once_and_others_the_newest_of_each_second() {
    on_each_store(async |on, _| {
        let (phone, laptop) = (here(&on, "Ada").await, here(&on, "Ada").await);
        let ben = here(&on, "Ben").await;
        let texts: Vec<String> = (0..50).map(|number| number.to_string()).collect();
        send(&ben, &texts.iter().map(String::as_str).collect::<Vec<_>>()).await;
        phone.ok("receipt:read", at(1)).await;
        assert_eq!(
            laptop.heard("receipt:update").await,
            json!({"room": "r", "user": user("Ada"), "read": 1, "delivered": 1, "unread": 49, "mentions": 0})
        );
        assert_eq!(
            heard_of(&ben, "Ada").await,
            json!({"room": "r", "user": user("Ada"), "read": 1, "delivered": 1})
        );
        let asked: Vec<_> = (2..=50)
            .map(|seq| phone.request("receipt:read", at(seq)))
            .collect();
        for answer in asked {
            assert_eq!(answer.await["ok"], true);
        }
        let mut heard = Vec::new();
        while heard.last() != Some(&json!(50)) {
            heard.push(heard_of(&ben, "Ada").await["read"].take());
        }
        assert!(heard.len() < 25, "{heard:?}");
        let own = laptop.received_of("receipt:update");
        assert_eq!(own.last().map(|own| own["unread"].clone()), Some(json!(0)));
        assert!(
            phone.received_of("receipt:update").is_empty(),
            "it has its answer"
        );
    });
}

#[test]
fn mentions_are_counted_until_they_are_read() {
    on_each_store(async |on, _| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        let say = |key: &str, mentions: Value| json!({"room": "r", "key": key, "text": key, "mentions": mentions});
        ada.ok("message:send", say("1", json!(["dev:ben"]))).await;
        ada.ok("message:send", say("2", json!(["*"]))).await;
        ada.ok("message:send", say("3", json!([]))).await;
        ada.ok("message:send", say("4", json!(["dev:ben", "*"])))
            .await;
        // A reply is no message of the room, and has no mark to be behind.
        let reply =
            json!({"room": "r", "thread": 1, "key": "t", "text": "x", "mentions": ["dev:ben"]});
        ada.ok("message:send", reply).await;
        assert_eq!(mine(&ben).await, json!([0, 0, 4, 3]));
        assert_eq!(
            tally(&ben.ok("receipt:read", at(1)).await),
            json!([1, 1, 3, 2])
        );
        ada.ok("message:delete", at(2)).await;
        assert_eq!(mine(&ben).await, json!([1, 1, 3, 1]));
        let other = json!({"room": "s"});
        ben.ok("room:join", other.clone()).await;
        ada.ok("room:join", other).await;
        ada.ok(
            "message:send",
            json!({"room": "s", "key": "k", "text": "x"}),
        )
        .await;
        let all = ben.ok("unread:get", json!({})).await;
        assert_eq!(
            (&all["unread"], &all["mentions"], &all["complete"]),
            (&json!(4), &json!(1), &json!(true))
        );
        assert_eq!(
            all["rooms"],
            json!([
                {"room": "r", "read": 1, "delivered": 1, "unread": 3, "mentions": 1},
                {"room": "s", "read": 0, "delivered": 0, "unread": 1, "mentions": 0},
            ])
        );
        assert_eq!(ben.ok("receipt:read_all", json!({})).await["rooms"], 2);
        assert_eq!(ben.ok("receipt:read_all", json!({})).await["rooms"], 0);
        let all = ben.ok("unread:get", json!({})).await;
        assert_eq!((&all["unread"], &all["rooms"]), (&json!(0), &json!([])));
    });
}

async fn in_both(on: &Rc<Loop>, name: &str) -> Client {
    let client = here(on, name).await;
    client.ok("room:join", json!({"room": "s"})).await;
    client
}

#[test]
fn members_hear_of_messages_in_rooms_that_they_do_not_watch() {
    on_each_store(async |on, _| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        ada.ok("room:unwatch", in_room()).await;
        let sent = ben.ok("message:send", message("k", "x")).await;
        assert_eq!(
            ada.heard("unread:changed").await,
            json!({"room": "r", "unread": 1, "mentions": 0, "last": sent["message"]})
        );
        let asked: Vec<_> = (0..40)
            .map(|number| ben.request("message:send", message(&number.to_string(), "x")))
            .collect();
        for answer in asked {
            assert_eq!(answer.await["ok"], true);
        }
        let mut heard = Vec::new();
        while heard.last() != Some(&json!(41)) {
            heard.push(ada.heard("unread:changed").await["unread"].take());
        }
        assert!(heard.len() < 20, "{heard:?}");
        assert!(
            ben.received_of("unread:changed").is_empty(),
            "who watches sees for themselves"
        );
    });
}

#[test]
fn a_device_that_does_not_watch_hears_though_another_of_the_same_person_does() {
    on_each_store(async |on, _| {
        let (phone, laptop) = (here(&on, "Ada").await, here(&on, "Ada").await);
        let ben = here(&on, "Ben").await;
        laptop.ok("room:unwatch", in_room()).await;
        let sent = ben.ok("message:send", message("k", "x")).await;
        let told = laptop.heard("unread:changed").await;
        assert_eq!(told["last"], sent["message"]);
        for watching in [phone, ben] {
            assert!(watching.received_of("unread:changed").is_empty());
        }
    });
}

#[test]
fn in_crowds_nobody_is_told_and_everybody_may_ask() {
    let config = Config {
        unread_max_members: 2,
        ..unhurried()
    };
    run(async {
        let (on, _, _) = start(config);
        let (ada, ben) = (in_both(&on, "Ada").await, in_both(&on, "Ben").await);
        here(&on, "Cy").await;
        for room in ["r", "s"] {
            ada.ok("room:unwatch", json!({"room": room})).await;
        }
        for room in ["r", "s"] {
            ben.ok(
                "message:send",
                json!({"room": room, "key": "k", "text": "x"}),
            )
            .await;
        }
        // Rooms are told of one after another.
        assert_eq!(ada.heard("unread:changed").await["room"], "s");
        assert!(ada.received_of("unread:changed").is_empty());
        ada.ok("receipt:read", json!({"room": "r", "seq": 1})).await;
        ada.ok("receipt:read", json!({"room": "s", "seq": 1})).await;
        assert_eq!(ben.heard("receipt:update").await["room"], "s");
        let all = ben.ok("receipt:list", in_room()).await;
        assert_eq!(all["people"][0]["read"], 1);
    });
}
