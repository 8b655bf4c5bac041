//! A chat on one loop, and a room in it that everybody joins.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::rc::Rc;

use crate::driver::{Client, Loop, TestClock, hub, run};
use lakh_chat::{Chat, Config};
use lakh_hub::store::{SqliteOptions, Store};
use serde_json::{Value, json};

/// Everything at once, as tests do.
pub(crate) fn unhurried() -> Config {
    Config {
        messages_per_second: 1_000_000,
        ..Config::default()
    }
}

pub(crate) fn start_on(store: Store, config: Config) -> (Rc<Loop>, TestClock, Chat) {
    let (hub, clock) = hub(1, &["/chat"]);
    let chat = lakh_chat::install(&hub, store, config);
    (Loop::start(&hub, 0), clock, chat)
}

pub(crate) fn start(config: Config) -> (Rc<Loop>, TestClock, Chat) {
    start_on(Store::memory(), config)
}

pub(crate) fn sqlite(folder: &tempfile::TempDir) -> Store {
    Store::sqlite(folder.path().join("lakh.db"), &SqliteOptions::default()).expect("opens")
}

/// Runs a test on each backend.
pub(crate) fn on_each_store(test: impl AsyncFn(Rc<Loop>, TestClock)) {
    run(async {
        let (on, clock, _) = start(unhurried());
        test(on, clock).await;
    });
    let folder = tempfile::tempdir().expect("a folder");
    run(async {
        let store = sqlite(&folder);
        let (on, clock, _) = start_on(store.clone(), unhurried());
        test(on, clock).await;
        store.close().await.expect("closes");
    });
}

pub(crate) async fn here(on: &Rc<Loop>, name: &str) -> Client {
    let client = on.connect("/chat", name).await;
    client.ok("room:join", in_room()).await;
    client
}

pub(crate) fn in_room() -> Value {
    json!({"room": "r"})
}

pub(crate) fn message(key: &str, text: &str) -> Value {
    json!({"room": "r", "key": key, "text": text})
}

pub(crate) fn user(name: &str) -> Value {
    json!({"id": format!("dev:{}", name.to_lowercase()), "name": name})
}
