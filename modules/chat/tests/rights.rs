//! What is kept of people, for how long, and how they have it and are rid of it; on each of the store's backends.

#[path = "../../rooms/tests/driver/mod.rs"]
mod driver;
mod room;

use std::rc::Rc;

use driver::{Loop, TestClock, run};
use lakh_chat::{Asker, Chat};
use lakh_hub::store::{Batch, Condition, RedisOptions, Scan, Store};
use lakh_testkit::redis::Redis;
use room::{here, in_room, message, sqlite, start_on, unhurried, user};
use serde_json::{Value, json};

const DAY_MS: u64 = 86_400_000;

fn on_each_store(test: impl AsyncFn(Rc<Loop>, TestClock, Chat, Store)) {
    let run_on = |store: Store| {
        run(async {
            let (on, clock, chat) = start_on(store.clone(), unhurried());
            test(on, clock, chat, store.clone()).await;
            store.close().await.expect("closes");
        });
    };
    run_on(Store::memory());
    let folder = tempfile::tempdir().expect("a folder");
    run_on(sqlite(&folder));
    let redis = Redis::start(&[]).expect("a redis-server");
    run_on(Store::redis(&redis.url(), &RedisOptions::default()).expect("a store"));
}

async fn tidy(chat: &Chat) {
    while chat.tidy().await.expect("tidied") {}
}

async fn keys(store: &Store, collection: &str) -> Vec<String> {
    let page = store.scan(0, collection, Scan::default()).await;
    let page = page.expect("read");
    page.items.into_iter().map(|(key, _)| key).collect()
}

fn in_thread(key: &str, text: &str) -> Value {
    json!({"room": "r", "key": key, "text": text, "thread": 1})
}

#[test]
fn messages_go_when_their_time_is_over_with_all_that_came_to_them() {
    on_each_store(async |on, clock, chat, store| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        let settings = json!({"room": "r", "settings": {"retention_days": 2}});
        ada.ok("room:set", settings).await;
        let mention = json!({"room": "r", "key": "1", "text": "old", "mentions": ["dev:ben"]});
        ada.ok("message:send", mention).await;
        ben.ok("message:send", in_thread("2", "old reply")).await;
        ben.ok(
            "reaction:add",
            json!({"room": "r", "seq": 1, "emoji": "👍"}),
        )
        .await;
        ada.ok(
            "message:edit",
            json!({"room": "r", "seq": 1, "text": "older"}),
        )
        .await;
        ada.ok(
            "message:pin",
            json!({"room": "r", "seq": 1, "pinned": true}),
        )
        .await;
        clock.advance(DAY_MS);
        let young = json!({"room": "r", "key": "3", "text": "young", "reply_to": 1});
        ada.ok("message:send", young).await;
        ben.ok("message:send", in_thread("4", "young reply")).await;
        tidy(&chat).await;
        assert_eq!(ada.ok("message:history", in_room()).await["first"], 1);
        clock.advance(DAY_MS + 1);
        tidy(&chat).await;
        let history = ada.ok("message:history", in_room()).await;
        assert_eq!((&history["first"], &history["seq"]), (&json!(2), &json!(2)));
        assert_eq!(history["messages"][0]["text"], "young");
        let gone = json!({"seq": 1, "text": "", "deleted": true});
        assert_eq!(history["messages"][0]["reply_to"], gone);
        assert_eq!(history["more_before"], false);
        let thread = ada
            .ok("message:history", json!({"room": "r", "thread": 1}))
            .await;
        assert_eq!(thread["first"], 2);
        assert_eq!(thread["messages"][0]["text"], "young reply");
        assert_eq!(ada.ok("pin:list", in_room()).await["pins"], json!([]));
        for collection in [
            "chat_overlay:r",
            "chat_edits:r",
            "chat_reactions:r",
            "chat_reactors:r",
            "chat_mentions:dev:ben",
            "chat_reacted:dev:ben",
        ] {
            let left = keys(&store, collection).await;
            assert!(left.is_empty(), "{collection}: {left:?}");
        }
        assert_eq!(
            keys(&store, "chat_written:dev:ada").await,
            ["r\n0000000000000002"]
        );
        // Twice is harmless, and numbers go on.
        tidy(&chat).await;
        let sent = ada.ok("message:send", message("5", "next")).await;
        assert_eq!(sent["message"]["seq"], 3);
    });
}

#[test]
fn rooms_without_a_time_keep_everything() {
    on_each_store(async |on, clock, chat, _| {
        let ada = here(&on, "Ada").await;
        ada.ok("message:send", message("1", "kept")).await;
        clock.advance(4_000 * DAY_MS);
        tidy(&chat).await;
        let history = ada.ok("message:history", in_room()).await;
        assert_eq!(
            (&history["first"], &history["messages"][0]["text"]),
            (&json!(1), &json!("kept"))
        );
    });
}

/// All lines of an export.
async fn lines(chat: &Chat, url: &str) -> Vec<Value> {
    let ticket = url.rsplit('/').next().expect("a ticket");
    let mut export = chat.open_export(ticket).await.expect("opens");
    let mut all = Vec::new();
    while let Some(page) = export.next().await.expect("a page") {
        all.extend(page);
    }
    let text = String::from_utf8(all).expect("UTF-8");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn a_person_gets_all_that_is_kept_of_them() {
    on_each_store(async |on, clock, chat, _| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        ada.ok("message:send", message("1", "Ada's")).await;
        ben.ok("me:set", json!({"name": "Benjamin"})).await;
        ben.ok("block:add", json!({"person": "dev:eve"})).await;
        for number in 0..150 {
            ben.ok(
                "message:send",
                message(&format!("k{number}"), &format!("text {number}")),
            )
            .await;
        }
        ben.ok("message:send", in_thread("t", "a reply")).await;
        ben.ok(
            "reaction:add",
            json!({"room": "r", "seq": 1, "emoji": "👍"}),
        )
        .await;
        ben.ok(
            "report:send",
            json!({"room": "r", "seq": 1, "reason": "why"}),
        )
        .await;
        let given = ben.ok("data:export", json!({})).await;
        let url = given["url"].as_str().expect("a URL");
        let lines = lines(&chat, url).await;
        let of = |kind: &str| -> Vec<&Value> {
            lines.iter().filter(|line| line["kind"] == kind).collect()
        };
        assert_eq!(lines[0]["kind"], "person");
        assert_eq!(
            (&lines[0]["id"], &lines[0]["name"]),
            (&json!("dev:ben"), &json!("Benjamin"))
        );
        assert_eq!(of("membership")[0]["room"], "r");
        assert_eq!(of("block")[0]["person"], "dev:eve");
        assert_eq!(of("message").len(), 151);
        assert!(
            of("message")
                .iter()
                .all(|line| line["from"]["id"] == "dev:ben")
        );
        let texts: Vec<_> = of("message")
            .iter()
            .map(|line| line["text"].clone())
            .collect();
        assert!(texts.contains(&json!("a reply")) && !texts.contains(&json!("Ada's")));
        assert_eq!(of("reaction")[0]["given"], json!({"👍": 1}));
        assert_eq!(of("report")[0]["reason"], "why");
        // A ticket is good once, and for a while.
        let ticket = url.rsplit('/').next().expect("a ticket");
        let code = |failure: lakh_hub::Failure| failure.code;
        assert_eq!(
            chat.open_export(ticket).await.map_err(code).err(),
            Some("not_found")
        );
        let given = ben.ok("data:export", json!({})).await;
        clock.advance(300_000);
        let late = given["url"].as_str().and_then(|url| url.rsplit('/').next());
        let late = chat.open_export(late.expect("a ticket")).await;
        assert_eq!(late.map_err(code).err(), Some("not_found"));
        assert_eq!(
            chat.open_export("x").await.map_err(code).err(),
            Some("not_found")
        );
    });
}

#[test]
fn an_erased_person_is_gone_with_what_they_said() {
    on_each_store(async |on, _, chat, store| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        ada.ok("message:send", message("1", "Ada's")).await;
        for number in 0..60 {
            ben.ok("message:send", message(&format!("k{number}"), "a secret"))
                .await;
        }
        ben.ok("message:delete", json!({"room": "r", "seq": 2}))
            .await;
        ben.ok(
            "message:edit",
            json!({"room": "r", "seq": 3, "text": "edited secret"}),
        )
        .await;
        ben.ok("message:send", in_thread("t", "a secret reply"))
            .await;
        ben.ok(
            "reaction:add",
            json!({"room": "r", "seq": 1, "emoji": "👍"}),
        )
        .await;
        ben.ok(
            "report:send",
            json!({"room": "r", "seq": 1, "reason": "a secret reason"}),
        )
        .await;
        ada.ok(
            "report:send",
            json!({"room": "r", "seq": 4, "reason": "rude"}),
        )
        .await;
        ben.ok("block:add", json!({"person": "dev:eve"})).await;
        let refused = ada
            .refused("data:erase", json!({"person": "dev:ben"}))
            .await;
        assert_eq!(refused, "forbidden");
        ben.ok("data:erase", json!({})).await;
        let history = ada
            .ok("message:history", json!({"room": "r", "limit": 200}))
            .await;
        let messages = history["messages"].as_array().expect("messages");
        assert_eq!(messages.len(), 61);
        let id = messages[1]["from"]["id"]
            .as_str()
            .expect("an id")
            .to_owned();
        assert!(id.starts_with("deleted:"), "{id}");
        for message in &messages[1..] {
            assert_eq!(message["from"], json!({"id": id, "name": "Deleted person"}));
            assert_eq!(message["text"], "");
            assert_eq!(message["deleted"]["purged"], true, "{message}");
        }
        assert_eq!(
            (&messages[0]["text"], messages[0].get("reactions")),
            (&json!("Ada's"), None)
        );
        assert_eq!(
            messages[0]["replies"]["people"],
            json!([{"id": id, "name": "Deleted person"}])
        );
        let thread = ada
            .ok("message:history", json!({"room": "r", "thread": 1}))
            .await;
        assert_eq!(thread["messages"][0]["text"], "");
        let reports = ada.ok("report:list", in_room()).await.to_string();
        assert!(
            !reports.contains("secret") && !reports.contains("dev:ben"),
            "{reports}"
        );
        let found = ada.ok("message:search", json!({"words": "secret"})).await;
        assert_eq!(found["hits"], json!([]));
        for collection in [
            "chat_written:dev:ben",
            "chat_reacted:dev:ben",
            "chat_memberships:dev:ben",
            "chat_blocks:dev:ben",
            "chat_mentions:dev:ben",
            "chat_erasures",
        ] {
            let left = keys(&store, collection).await;
            assert!(left.is_empty(), "{collection}: {left:?}");
        }
        assert!(
            !keys(&store, "chat_members:r")
                .await
                .contains(&"dev:ben".to_owned())
        );
        assert_eq!(
            chat.call(&Asker::system(), "data:erase", "{}")
                .await
                .map_err(|failure| failure.code)
                .err(),
            Some("bad_request")
        );
        // Members say on.
        ada.ok("message:send", message("2", "on")).await;
        assert_eq!(user("Ada")["id"], "dev:ada");
    });
}

#[test]
fn an_erasure_whose_node_is_gone_is_gone_on_with() {
    on_each_store(async |on, clock, chat, store| {
        let (ada, ben) = (here(&on, "Ada").await, here(&on, "Ben").await);
        ben.ok("message:send", message("1", "a secret")).await;
        // As a node leaves it that dies at once.
        let record = json!({"at": chat_time(&ada).await, "id": "deleted:0000"});
        let batch = Batch::new(1).put(
            "chat_erasures",
            "dev:ben",
            record.to_string(),
            Condition::Any,
            None,
        );
        store.write(batch).await.expect("written");
        tidy(&chat).await;
        let first = |history: Value| history["messages"][0].clone();
        let message = first(ada.ok("message:history", in_room()).await);
        assert_eq!(message["text"], "a secret", "its node may still be at it");
        clock.advance(30_000);
        tidy(&chat).await;
        let message = first(ada.ok("message:history", in_room()).await);
        assert_eq!(
            (&message["text"], &message["from"]["id"]),
            (&json!(""), &json!("deleted:0000"))
        );
        assert!(keys(&store, "chat_erasures").await.is_empty());
    });
}

/// The server's time.
async fn chat_time(client: &driver::Client) -> u64 {
    let room = client.ok("room:get", in_room()).await;
    room["room"]["created_at"].as_u64().expect("a time")
}
