//! What a client makes of events and `message:sync`, as docs/chat.md tells clients to.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::driver::{Client, Event};

/// Messages by thread (0: the room itself) and number.
pub(crate) type Messages = BTreeMap<(u64, u64), Value>;

/// A room as one client sees it.
pub(crate) struct View {
    pub(crate) room: String,
    pub(crate) messages: Messages,
    seq: u64,
    rev: u64,
    /// How far each thread goes.
    threads: BTreeMap<u64, u64>,
    /// Events that came before those that they follow.
    early: Vec<(String, Value)>,
}

/// How far everything goes.
pub(crate) struct Ends {
    seq: u64,
    rev: u64,
    threads: BTreeMap<u64, u64>,
}

impl View {
    pub(crate) fn of(room: &str) -> Self {
        Self {
            room: room.to_owned(),
            messages: Messages::new(),
            seq: 0,
            rev: 0,
            threads: BTreeMap::new(),
            early: Vec::new(),
        }
    }

    pub(crate) fn hear(&mut self, event: &Event) {
        let argument = &event.args[0];
        if argument["room"] != self.room.as_str() {
            return;
        }
        if argument["rev"].is_u64() || event.name == "message:new" {
            self.early.push((event.name.clone(), argument.clone()));
            self.take();
        }
    }

    /// Whether something is missing.
    pub(crate) fn has_hole(&self) -> bool {
        !self.early.is_empty()
    }

    pub(crate) fn is_at(&self, end: &Ends) -> bool {
        self.seq == end.seq
            && self.rev == end.rev
            && end
                .threads
                .iter()
                .all(|(root, seq)| self.thread(*root) == *seq)
    }

    fn thread(&self, root: u64) -> u64 {
        self.threads.get(&root).copied().unwrap_or(0)
    }

    /// How far a log goes; 0 is the room's own.
    fn reach(&mut self, log: u64) -> &mut u64 {
        match log {
            0 => &mut self.seq,
            root => self.threads.entry(root).or_default(),
        }
    }

    /// Takes in all that follows what is there.
    fn take(&mut self) {
        loop {
            let before = self.early.len();
            for (name, argument) in std::mem::take(&mut self.early) {
                let taken = match name.as_str() {
                    "message:new" => self.take_message(&argument),
                    _ => self.take_change(&argument),
                };
                if !taken {
                    self.early.push((name, argument));
                }
            }
            if self.early.len() == before {
                return;
            }
        }
    }

    fn take_message(&mut self, message: &Value) -> bool {
        let (log, seq) = (
            message["thread"].as_u64().unwrap_or(0),
            number(&message["seq"]),
        );
        let reach = self.reach(log);
        if seq > *reach + 1 {
            return false;
        }
        if seq == *reach + 1 {
            *reach = seq;
            self.messages.insert((log, seq), bare(message));
        }
        true
    }

    fn take_change(&mut self, change: &Value) -> bool {
        let rev = number(&change["rev"]);
        if rev <= self.rev {
            return true;
        }
        let (log, seq) = (
            change["thread"].as_u64().unwrap_or(0),
            change["seq"].as_u64(),
        );
        // A change to a message that isn't there yet has overtaken it.
        if rev > self.rev + 1 || seq.is_some_and(|seq| seq > *self.reach(log)) {
            return false;
        }
        self.rev = rev;
        if let Some(message) = seq.and_then(|seq| self.messages.get_mut(&(log, seq))) {
            let message = message.as_object_mut().expect("a message");
            for (name, value) in change["set"].as_object().expect("a set") {
                match value {
                    Value::Null => drop(message.remove(name)),
                    value => drop(message.insert(name.clone(), value.clone())),
                }
            }
        }
        true
    }

    /// Asks for what is missing.
    pub(crate) async fn sync(&mut self, client: &Client, limit: u64) {
        loop {
            let request =
                json!({"room": self.room, "seq": self.seq, "rev": self.rev, "limit": limit});
            let answer = client.ok("message:sync", request).await;
            assert_eq!(answer["reset"], false);
            self.add(0, &answer);
            self.seq = number(&answer["seq"]);
            self.rev = number(&answer["rev"]);
            if answer["more"] == false {
                break;
            }
        }
        let roots = self.messages.iter().filter(|((log, _), _)| *log == 0);
        let roots =
            roots.map(|((_, seq), root)| (*seq, root["replies"]["count"].as_u64().unwrap_or(0)));
        let behind: Vec<u64> = roots
            .filter(|(root, count)| self.thread(*root) < *count)
            .map(|(root, _)| root)
            .collect();
        for root in behind {
            let mut rev = self.rev;
            loop {
                let (room, seq) = (&self.room, self.thread(root));
                let request =
                    json!({"room": room, "thread": root, "seq": seq, "rev": rev, "limit": limit});
                let answer = client.ok("message:sync", request).await;
                assert_eq!(answer["reset"], false);
                self.add(root, &answer);
                *self.reach(root) = number(&answer["seq"]);
                rev = number(&answer["rev"]);
                if answer["more"] == false {
                    break;
                }
            }
        }
        self.take();
    }

    fn add(&mut self, log: u64, answer: &Value) {
        for message in answer["changed"].as_array().expect("a list") {
            let key = (
                message["thread"].as_u64().unwrap_or(0),
                number(&message["seq"]),
            );
            // Of threads it's told of messages that it may not have.
            if let Some(there) = self.messages.get_mut(&key) {
                *there = bare(message);
            } else {
                assert_ne!(key.0, 0, "a message that was never seen: {message}");
            }
        }
        for message in answer["messages"].as_array().expect("a list") {
            self.messages
                .insert((log, number(&message["seq"])), bare(message));
        }
    }
}

pub(crate) fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

/// Without what only answers tell.
fn bare(message: &Value) -> Value {
    let mut message = message.clone();
    if let Some(reactions) = message["reactions"].as_array_mut() {
        for reaction in reactions {
            reaction.as_object_mut().expect("a reaction").remove("mine");
        }
    } else {
        message
            .as_object_mut()
            .expect("a message")
            .remove("reactions");
    }
    message
}

/// All that the server's history has, as it answers it.
pub(crate) async fn history(client: &Client, room: &str) -> Messages {
    let mut all = Messages::new();
    read_log(client, room, 0, &mut all).await;
    let roots: Vec<u64> = all
        .iter()
        .filter(|(_, message)| message["replies"].is_object())
        .map(|((_, seq), _)| *seq)
        .collect();
    for root in roots {
        read_log(client, room, root, &mut all).await;
    }
    all
}

async fn read_log(client: &Client, room: &str, log: u64, all: &mut Messages) {
    let mut after = 0;
    loop {
        let mut request = json!({"room": room, "after": after, "limit": 50});
        if log > 0 {
            request["thread"] = json!(log);
        }
        let page = client.ok("message:history", request).await;
        for message in page["messages"].as_array().expect("a list") {
            after = number(&message["seq"]);
            all.insert((log, after), message.clone());
        }
        if page["more_after"] == false {
            return;
        }
    }
}

pub(crate) async fn ends(client: &Client, room: &str) -> Ends {
    let page = client
        .ok("message:history", json!({"room": room, "limit": 1}))
        .await;
    let mut threads = BTreeMap::new();
    for ((log, seq), _) in history(client, room).await {
        if log > 0 {
            threads.insert(log, seq);
        }
    }
    Ends {
        seq: number(&page["seq"]),
        rev: number(&page["rev"]),
        threads,
    }
}

/// Two that must be the same.
pub(crate) fn same(what: &str, one: &Messages, other: &Messages, without_mine: bool) {
    let keys = |messages: &Messages| messages.keys().copied().collect::<Vec<_>>();
    assert_eq!(keys(one), keys(other), "{what}");
    for (key, message) in one {
        let other = if without_mine {
            bare(&other[key])
        } else {
            other[key].clone()
        };
        assert_eq!(*message, other, "{what}: {key:?}");
    }
}
