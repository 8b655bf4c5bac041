//! A room's state as a client has it: from the snapshot, and each change behind it.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::driver::{Client, Event};

/// What a client knows of one room.
pub(crate) struct View {
    pub(crate) client: Client,
    pub(crate) entries: BTreeMap<String, Value>,
    pub(crate) version: u64,
    /// The last change.
    pub(crate) last: Value,
    /// Changes may be left out where newer ones of the same key come.
    pub(crate) conflated: bool,
    pub(crate) snapshots: usize,
}

impl View {
    pub(crate) fn of(client: Client) -> Self {
        Self {
            client,
            entries: BTreeMap::new(),
            version: 0,
            last: Value::Null,
            conflated: false,
            snapshots: 0,
        }
    }

    /// Follows a room.
    pub(crate) async fn follow(&mut self, room: &str, how: Value) {
        let mut request = how;
        request["room"] = json!(room);
        self.conflated = request["conflate"] == json!(true);
        self.client.ok("state:join", request).await;
        let snapshot = self.client.next("state:snapshot").await;
        self.event(&snapshot);
    }

    /// Takes in what came so far.
    pub(crate) fn take(&mut self) {
        for event in self.client.received() {
            self.event(&event);
        }
    }

    /// Waits until the view is so.
    pub(crate) async fn until(
        &mut self,
        what: &str,
        holds: impl Fn(&BTreeMap<String, Value>) -> bool,
    ) {
        while !holds(&self.entries) {
            let event = self.client.any(what).await;
            self.event(&event);
        }
    }

    pub(crate) fn event(&mut self, event: &Event) {
        let data = &event.args[0];
        match &*event.name {
            "state:snapshot" => {
                self.entries = data["entries"]
                    .as_object()
                    .expect("entries")
                    .iter()
                    .map(|(key, entry)| (key.clone(), entry["value"].clone()))
                    .collect();
                self.version = data["version"].as_u64().expect("a version");
                self.snapshots += 1;
            }
            "state:changed" => {
                for change in data["changes"].as_array().expect("changes") {
                    self.change(change);
                }
                assert_eq!(data["version"].as_u64(), Some(self.version));
            }
            _ => {}
        }
    }

    fn change(&mut self, change: &Value) {
        let version = change["version"].as_u64().expect("a version");
        match self.conflated {
            false => assert_eq!(version, self.version + 1, "a hole, or a double: {change}"),
            true => assert!(
                version > self.version,
                "older than what came before: {change}"
            ),
        }
        self.version = version;
        self.last = change.clone();
        let key = change["key"].as_str().expect("a key").to_owned();
        if change["deleted"] == json!(true) {
            self.entries.remove(&key);
        } else if let Some(patch) = change.get("patch") {
            let value = self.entries.get_mut(&key).expect("what is patched");
            merge(value, patch);
        } else {
            self.entries.insert(key, change["value"].clone());
        }
    }
}

/// RFC 7396, as its pseudocode has it.
fn merge(target: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in patch {
        if value.is_null() {
            target.as_object_mut().expect("an object").remove(name);
        } else {
            merge(&mut target[name], value);
        }
    }
}

/// A small generator: the same acts for the same seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }
}
