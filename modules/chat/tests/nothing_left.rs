//! What stands in the store after a room was deleted, or a person erased: nothing but what docs/chat.md names.

#[path = "../../rooms/tests/driver/mod.rs"]
mod driver;
mod files;
mod room;
mod walk;

use std::rc::Rc;

use driver::{Client, Loop, START_MS, TestClock};
use files::{HOUR, bring, tidied};
use lakh_chat::Chat;
use room::with;
use serde_json::{Value, json};

/// Names that stand in nothing else.
const ROOM: &str = "gone-room";
const PERSON: &str = "Zelda";

fn of(more: Value) -> Value {
    with(json!({"room": ROOM}), more)
}

async fn file(chat: &Chat, client: &Client, hash: &str) -> Value {
    let ask = json!({"room": ROOM, "name": "a.png", "size": 100, "type": "image/png"});
    let ticket = client.ok("attachment:upload", ask).await;
    bring(chat, &ticket, hash).await.0["id"].take()
}

async fn send(client: &Client, key: &str, more: Value) {
    let request = json!({"room": ROOM, "key": key, "text": format!("words of {key}")});
    client.ok("message:send", with(request, more)).await;
}

/// Everybody does everything in the room: Zelda its owner, Ben, and Cy who leaves.
async fn live(on: &Rc<Loop>, clock: &TestClock, chat: &Chat) -> (Client, Client) {
    let zelda = on.connect("/chat", PERSON).await;
    let (ben, cy) = (
        on.connect("/chat", "Ben").await,
        on.connect("/chat", "Cy").await,
    );
    let settings = json!({"reactions": "counted", "words": ["darn"], "retention_days": 300});
    let made = json!({
        "id": ROOM, "kind": "public", "topic": "all", "data": {"a": 1}, "picture": "/a.png", "settings": settings
    });
    zelda.ok("room:create", made).await;
    for client in [&ben, &cy] {
        client.ok("room:join", of(json!({}))).await;
    }
    for (number, client) in [&zelda, &ben, &cy, &zelda].into_iter().enumerate() {
        let mentions = json!({"mentions": ["dev:ben", "dev:zelda", "dev:cy"], "data": {"b": 1}});
        send(client, &format!("k{number}"), mentions).await;
        let reply = json!({"thread": 1, "mentions": ["dev:zelda", "dev:cy"]});
        send(client, &format!("t{number}"), reply).await;
        for thread in [json!({}), json!({"thread": 1})] {
            let at = with(of(json!({"seq": 1, "emoji": "👍"})), thread);
            client.ok("reaction:add", at).await;
        }
        send(
            client,
            &format!("e{number}"),
            json!({"expires_in_s": 86_000}),
        )
        .await;
    }
    let all =
        json!({"mentions": ["*"], "reply_to": 1, "attachments": [file(chat, &zelda, "a").await]});
    send(&zelda, "all", all).await;
    send(
        &ben,
        "file",
        json!({"attachments": [file(chat, &ben, "b").await]}),
    )
    .await;
    send(&ben, "quote", json!({"reply_to": 1})).await;
    file(chat, &zelda, "c").await;
    for (name, request) in [
        ("message:edit", json!({"seq": 1, "text": "other words"})),
        (
            "message:edit",
            json!({"seq": 1, "thread": 1, "text": "other words"}),
        ),
        ("message:edit", json!({"seq": 7, "mentions": ["dev:cy"]})),
        ("message:pin", json!({"seq": 1, "pinned": true})),
        (
            "message:pin",
            json!({"seq": 1, "thread": 1, "pinned": true}),
        ),
        ("message:delete", json!({"seq": 7})),
        ("message:purge", json!({"seq": 5})),
        ("receipt:read", json!({"seq": 3})),
        ("room:notify", json!({"notify": "mentions"})),
        (
            "member:role",
            json!({"person": "dev:ben", "role": "moderator"}),
        ),
        ("member:invite", json!({"people": ["dev:di"]})),
        ("member:ban", json!({"person": "dev:eve", "reason": "Spam"})),
        ("member:mute", json!({"person": "dev:cy", "seconds": 3_600})),
        ("room:set", json!({"settings": {"slow_mode_s": 3_600}})),
        ("report:send", json!({"seq": 2, "reason": "Spam"})),
        (
            "report:send",
            json!({"seq": 2, "thread": 1, "reason": "Spam"}),
        ),
    ] {
        zelda.ok(name, of(request)).await;
    }
    ben.ok("report:send", of(json!({"seq": 1, "reason": "Spam"})))
        .await;
    let reports = ben.ok("report:list", of(json!({}))).await;
    let close = json!({"id": reports["reports"][0]["id"], "outcome": "dismissed"});
    ben.ok("report:close", close).await;
    ben.ok("message:search", of(json!({"words": "words"})))
        .await;
    cy.ok("room:leave", of(json!({}))).await;
    clock.advance(HOUR);
    (zelda, ben)
}

/// Lets files go, and what is kept for a time only.
async fn settle(clock: &TestClock, chat: &Chat) {
    for _ in 0..3 {
        tidied(chat).await;
        while chat.tidy().await.expect("tidied") {}
        clock.advance(25 * HOUR);
    }
}

#[test]
fn of_a_deleted_room_only_who_deleted_it_is_left() {
    walk::after(
        async |on, clock, chat, _| {
            let (zelda, ben) = live(&on, &clock, &chat).await;
            send(&ben, "slow", json!({})).await;
            zelda.ok("room:delete", of(json!({}))).await;
            settle(&clock, &chat).await;
        },
        |all| {
            let left: Vec<_> = all.iter().filter(|line| line.contains(ROOM)).collect();
            assert!(!left.is_empty(), "the walk finds nothing: {all:?}");
            for line in left {
                assert!(line.contains("chat_moderation"), "{line}");
            }
            let words = all.iter().find(|line| line.contains("words of"));
            assert_eq!(words, None);
            let deeds = all.iter().filter(|line| line.contains("delete_room"));
            assert_eq!(deeds.count(), 1, "{all:#?}");
        },
    );
}

#[test]
fn an_erased_person_is_named_nowhere_but_where_the_documents_say() {
    walk::after(
        async |on, clock, chat, _| {
            let (zelda, ben) = live(&on, &clock, &chat).await;
            zelda.ok("me:set", json!({"name": "Zelda the Great"})).await;
            zelda.ok("block:add", json!({"person": "dev:cy"})).await;
            let direct = json!({"people": ["dev:ben"]});
            let direct = zelda.ok("room:direct", direct).await;
            let hello = json!({"room": direct["room"]["id"], "key": "d", "text": "words to Ben"});
            zelda.ok("message:send", hello).await;
            let mut later = json!({"room": ROOM, "key": "later", "text": "words of later"});
            later["at"] = json!(START_MS + 2 * HOUR);
            zelda.ok("message:send", later).await;
            let place = json!({"room": ROOM, "name": "z.png", "size": 9, "type": "image/png"});
            zelda.ok("attachment:upload", place).await;
            zelda.ok("data:export", json!({})).await;
            zelda.ok("data:erase", json!({})).await;
            zelda.disconnect();
            let told = ben
                .ok("room:get", json!({"room": direct["room"]["id"]}))
                .await;
            let people = told["room"]["people"].as_array().expect("two");
            let erased = people.iter().find(|one| one["id"] != "dev:ben");
            assert_eq!(erased.expect("the other")["name"], "Deleted person");
            settle(&clock, &chat).await;
        },
        |all| {
            let id = "dev:zelda";
            let named = |line: &&String| line.contains(id) || line.contains(PERSON);
            let stays = |line: &str| {
                let is_key_of_a_message = line.contains("dev:zelda\n") && !line.contains(PERSON);
                is_key_of_a_message
                    || line.contains("chat_moderation")
                    || line.contains("chat_changes")
                    || line.contains("chat_bans")
                    || line.contains(r#""mentions":["#)
                    || line.contains("invited_by")
                    || line.contains(r#""deleted":{"by":"#)
            };
            let left: Vec<_> = all
                .iter()
                .filter(named)
                .filter(|line| !stays(line))
                .collect();
            assert!(left.is_empty(), "{left:#?}");
        },
    );
}
