//! A node whose rooms have a state with small bounds, and what its tests ask of it.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::rc::Rc;

use lakh_hub::store::Store;
use lakh_rooms::{Config, KeepState, RoomOptions, StateOptions};
use serde_json::{Value, json};

use crate::driver::{Client, Loop, TestClock, hub};

/// In memory, and with a store.
pub(crate) const KEPT: [KeepState; 2] = [KeepState::Memory, KeepState::Store];

pub(crate) fn options(keep: KeepState) -> StateOptions {
    StateOptions {
        keep,
        max_keys: 8,
        max_value_bytes: 2_000,
        max_room_bytes: 4_000,
        writes_per_second: 1_000_000,
        own_keys: vec!["of/{user}/".into()],
        ..StateOptions::default()
    }
}

pub(crate) fn config(state: StateOptions) -> Config {
    Config {
        options: vec![RoomOptions {
            state,
            ..RoomOptions::of("*")
        }],
        ..Config::default()
    }
}

pub(crate) fn start(state: StateOptions) -> (Rc<Loop>, TestClock) {
    let (hub, clock) = hub(1, &["/"]);
    lakh_rooms::install(&hub, Store::memory(), config(state));
    (Loop::start(&hub, 0), clock)
}

pub(crate) async fn joined(on: &Rc<Loop>, name: &str) -> Client {
    let client = on.connect("/", name).await;
    client.ok("room:join", json!({"room": "r"})).await;
    client
}

pub(crate) async fn set(client: &Client, key: &str, value: Value) -> u64 {
    let request = json!({"room": "r", "key": key, "value": value});
    version(&client.ok("state:set", request).await)
}

pub(crate) fn version(answer: &Value) -> u64 {
    answer["version"].as_u64().expect("a version")
}
