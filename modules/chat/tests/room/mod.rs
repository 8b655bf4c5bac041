//! A chat on one loop, and a room in it that everybody joins.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::rc::Rc;
use std::time::Duration;

use crate::driver::{Client, Loop, START_MS, TestClock, hub, hub_by, run};
use lakh_chat::{Chat, Config};
use lakh_hub::store::{Batch, Condition, RedisOptions, Scan, SqliteOptions, Store};
use lakh_testkit::redis::Redis;
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

/// A chat whose clock goes as the runtime does, also where that is paused.
pub(crate) fn start_going(config: Config) -> (Rc<Loop>, Chat) {
    let hub = hub_by(&TestClock::going(), "node", 1, &["/chat"]);
    let chat = lakh_chat::install(&hub, Store::memory(), config);
    (Loop::start(&hub, 0), chat)
}

pub(crate) fn sqlite(folder: &tempfile::TempDir) -> Store {
    Store::sqlite(folder.path().join("lakh.db"), &SqliteOptions::default()).expect("opens")
}

/// Runs a test on each backend.
pub(crate) fn on_each_store(test: impl AsyncFn(Rc<Loop>, TestClock)) {
    with_each_store(async |on, clock, _| test(on, clock).await);
}

/// The same with the store beneath.
pub(crate) fn with_each_store(test: impl AsyncFn(Rc<Loop>, TestClock, Store)) {
    let run_on = |store: Store| {
        run(async {
            let (on, clock, _) = start_on(store.clone(), unhurried());
            test(on, clock, store.clone()).await;
            store.close().await.expect("closes");
        });
    };
    run_on(Store::memory());
    let folder = tempfile::tempdir().expect("a folder");
    run_on(sqlite(&folder));
    let redis = Redis::start(&[]).expect("a redis-server");
    run_on(Store::redis(&redis.url(), &RedisOptions::default()).expect("a store"));
}

/// Puts a room there before anybody comes.
pub(crate) async fn make_room(store: &Store, room: &str, settings: Value) {
    let record = json!({"kind": "public", "name": room, "created_at": 1, "settings": settings});
    put(store, "chat_rooms", room, &record).await;
}

pub(crate) async fn put(store: &Store, collection: &str, key: &str, record: &Value) {
    let batch = Batch::new(1).put(collection, key, record.to_string(), Condition::Any, None);
    store.write(batch).await.expect("written");
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

/// Sends, and gives the message.
pub(crate) async fn say(client: &Client, request: Value) -> Value {
    client.ok("message:send", request).await["message"].take()
}

pub(crate) fn at(seq: u64) -> Value {
    json!({"room": "r", "seq": seq})
}

pub(crate) fn with(mut request: Value, more: Value) -> Value {
    let Value::Object(more) = more else {
        panic!("fields");
    };
    request.as_object_mut().expect("fields").extend(more);
    request
}

/// Gives a test each backend.
pub(crate) fn on_each(test: impl Fn(Store)) {
    test(Store::memory());
    let folder = tempfile::tempdir().expect("a folder");
    test(sqlite(&folder));
    let redis = Redis::start(&[]).expect("a redis-server");
    test(Store::redis(&redis.url(), &RedisOptions::default()).expect("a store"));
}

/// Waits until the store has something that is due.
pub(crate) async fn until_due(store: &Store) -> Vec<String> {
    for _ in 0..2_000 {
        let scanning = store.scan(START_MS, "chat_due", Scan::default());
        let page = scanning.await.expect("read");
        if !page.items.is_empty() {
            return page.items.into_iter().map(|(key, _)| key).collect();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("nothing is due");
}
