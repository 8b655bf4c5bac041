//! A chat in which people send files, and what is left of them in its store.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::rc::Rc;

use lakh_chat::{Adopted, Arrival, Arriving, Asker, Chat, Config, Content, Small};
use lakh_hub::store::{RedisOptions, Scan, Store};
use lakh_hub::{Failure, Person};
use lakh_testkit::redis::Redis;
use serde_json::{Value, json};

use crate::driver::{self, Client, Loop, TestClock, run};
use crate::room::{sqlite, start_on};

pub(crate) const MINUTE: u64 = 60_000;
pub(crate) const HOUR: u64 = 60 * MINUTE;

/// All that a test needs.
pub(crate) struct House {
    pub(crate) on: Rc<Loop>,
    pub(crate) clock: TestClock,
    pub(crate) chat: Chat,
    pub(crate) store: Store,
}

pub(crate) fn on_each_store(config: &Config, test: impl AsyncFn(House)) {
    let run_on = |store: Store| {
        run(async {
            let (on, clock, chat) = start_on(store.clone(), config.clone());
            let house = House {
                on,
                clock,
                chat,
                store: store.clone(),
            };
            test(house).await;
            store.close().await.expect("closes");
        });
    };
    run_on(Store::memory());
    let folder = tempfile::tempdir().expect("a folder");
    run_on(sqlite(&folder));
    let redis = Redis::start(&[]).expect("a redis-server");
    run_on(Store::redis(&redis.url(), &RedisOptions::default()).expect("a store"));
}

pub(crate) fn ask(name: &str, size: u64) -> Value {
    json!({"room": "r", "name": name, "size": size, "type": "image/png"})
}

/// Bytes that hash so.
pub(crate) fn content(hash: &str) -> Content {
    Content {
        hash: hash.repeat(64 / hash.len()),
        kind: "image/png".into(),
        sides: Some((800, 600)),
        small: Some(Small {
            kind: "image/jpeg".into(),
            size: 9,
        }),
    }
}

pub(crate) async fn arriving(chat: &Chat, ticket: &Value) -> Result<Arrival, Failure> {
    let url = ticket["url"].as_str().expect("a path");
    let path = url.strip_prefix("/chat/uploads/").expect("for uploads");
    let (id, secret) = path.split_once('/').expect("two parts");
    assert_eq!(id, ticket["id"]);
    chat.arriving(id, secret).await
}

pub(crate) async fn awaited(chat: &Chat, ticket: &Value) -> Arriving {
    match arriving(chat, ticket).await.expect("reserved") {
        Arrival::Awaited(arriving) => arriving,
        Arrival::Come(file) => panic!("it has come: {file}"),
    }
}

/// Brings bytes; gives the file, and the key if they are new.
pub(crate) async fn bring(chat: &Chat, ticket: &Value, hash: &str) -> (Value, Option<String>) {
    let (arriving, content) = (awaited(chat, ticket).await, content(hash));
    match chat.adopt(&arriving, &content).await.expect("adopted") {
        Adopted::Done(file) => (file, None),
        Adopted::Keep { key, until_ms } => {
            let kept = chat.adopt_kept(&arriving, &content, (&key, until_ms)).await;
            (kept.expect("kept"), Some(key))
        }
    }
}

pub(crate) async fn sent(chat: &Chat, client: &Client, hash: &str) -> Value {
    let ticket = client.ok("attachment:upload", ask("a.png", 100)).await;
    bring(chat, &ticket, hash).await.0
}

pub(crate) fn with(key: &str, files: &[&Value]) -> Value {
    let ids: Vec<_> = files.iter().map(|file| file["id"].clone()).collect();
    json!({"room": "r", "key": key, "attachments": ids})
}

pub(crate) async fn code(house: &House, name: &str, file: &Value) -> String {
    let id = format!("dev:{}", name.to_lowercase());
    let asker = Asker::person(Person {
        id,
        name: name.into(),
    });
    let file = file["id"].as_str().expect("an id");
    match house.chat.file(&asker, file).await {
        Ok(_) => "ok".into(),
        Err(failure) => failure.code.into(),
    }
}

/// Tidies until nothing is left to do, and gives the keys of bytes that went.
pub(crate) async fn tidied(chat: &Chat) -> Vec<String> {
    let mut keys = Vec::new();
    loop {
        let due = chat.tidy_files().await.expect("tidies");
        if due.is_empty() {
            return keys;
        }
        for due in due {
            keys.push(Chat::key_of_due(&due).to_owned());
            chat.bytes_removed(&due).await.expect("removed");
        }
    }
}

/// Documents about files that are left, but for usage and keys.
pub(crate) async fn left(house: &House) -> Vec<String> {
    let mut found = Vec::new();
    for collection in [
        "chat_files",
        "chat_file_sent",
        "chat_file_gone",
        "chat_file_due",
        "chat_file_users:dev:ada",
        "chat_room_files:r",
        "chat_blobs",
        "chat_blob_due",
        "chat_blobs_gone",
    ] {
        let page = house
            .store
            .scan(driver::START_MS, collection, Scan::default());
        let keys = page.await.expect("scans").items.into_iter();
        found.extend(keys.map(|(key, _)| format!("{collection}/{key}")));
    }
    found
}

pub(crate) async fn usage(client: &Client) -> (u64, u64) {
    let quota = client.ok("attachment:quota", json!({})).await;
    let number = |name: &str| quota[name].as_u64().expect("a number");
    (number("files"), number("bytes"))
}
