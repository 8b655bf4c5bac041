//! The model: what a room holds when some acts have been granted, in no more words than that takes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::room::user;
use crate::view::{Messages, number};

/// Numbers that look like chance (xorshift).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }
}

#[derive(Default)]
struct Message {
    /// Its sender was answered. Others may have seen it before that, and done something to it.
    sent: bool,
    key: String,
    from: String,
    text: String,
    edits: u64,
    deleted: bool,
    pinned: bool,
    /// By emoji and person.
    reactions: BTreeMap<String, BTreeMap<String, u64>>,
}

#[derive(Default)]
pub(crate) struct Model {
    rooms: BTreeMap<String, BTreeMap<(u64, u64), Message>>,
    granted: BTreeMap<&'static str, usize>,
    refused: usize,
}

impl Model {
    /// Somebody's act was answered.
    pub(crate) fn done(&mut self, who: &str, act: &'static str, request: &Value, answer: &Value) {
        if answer["ok"] != true {
            // Only what was deleted meanwhile can't be touched.
            assert_eq!(
                answer["error"]["code"], "not_found",
                "{act} {request}: {answer}"
            );
            self.refused += 1;
            return;
        }
        *self.granted.entry(act).or_default() += 1;
        let room = request["room"].as_str().expect("a room");
        let messages = self.rooms.entry(room.to_owned()).or_default();
        let log = request["thread"].as_u64().unwrap_or(0);
        if act == "message:send" {
            let key = (log, number(&answer["message"]["seq"]));
            let message = messages.entry(key).or_default();
            let is_there = std::mem::replace(&mut message.sent, true);
            assert_eq!(answer["duplicate"], is_there, "{who}: {request} {answer}");
            if !is_there {
                who.clone_into(&mut message.from);
                message.key = text(&request["key"]);
                message.text = text(&request["text"]);
            }
            assert_eq!(
                (&message.key, &*message.from),
                (&text(&request["key"]), who)
            );
            return;
        }
        let message = messages.entry((log, number(&request["seq"]))).or_default();
        match act {
            "message:edit" => {
                let new = text(&request["text"]);
                // The same text again is no edit.
                message.edits += u64::from(message.text != new);
                message.text = new;
            }
            "message:delete" => message.deleted = true,
            "message:pin" => message.pinned = request["pinned"] == true,
            "reaction:add" => {
                let emoji = text(&request["emoji"]);
                if room == "one" {
                    for people in message.reactions.values_mut() {
                        people.remove(who);
                    }
                }
                let people = message.reactions.entry(emoji).or_default();
                let count = people.entry(who.to_owned()).or_default();
                *count = if room == "counted" { *count + 1 } else { 1 };
            }
            "reaction:remove" => {
                let people = message
                    .reactions
                    .get_mut(request["emoji"].as_str().expect("one"));
                people.and_then(|people| people.remove(who));
            }
            other => panic!("{other}"),
        }
    }

    /// Compares the server's history, as this person reads it.
    pub(crate) fn check(&self, who: &str, room: &str, history: &Messages) {
        let none = BTreeMap::new();
        let messages = self.rooms.get(room).unwrap_or(&none);
        let keys: Vec<_> = history.keys().collect();
        assert_eq!(keys, messages.keys().collect::<Vec<_>>(), "{room}");
        for (key, message) in messages {
            let there = &history[key];
            let what = format!("{room} {key:?}: {there}");
            assert_eq!(there["from"], user(&message.from), "{what}");
            assert_eq!(there["key"], json!(message.key), "{what}");
            assert_eq!(there["deleted"].is_object(), message.deleted, "{what}");
            self.check_replies(key, there, messages);
            if message.deleted {
                assert_eq!(there["text"], "", "{what}");
                for gone in ["pinned", "reactions", "edits", "edited_at"] {
                    assert_eq!(there[gone], Value::Null, "{what}");
                }
                continue;
            }
            assert_eq!(there["text"], json!(message.text), "{what}");
            assert_eq!(
                there["edits"].as_u64().unwrap_or(0),
                message.edits,
                "{what}"
            );
            assert_eq!(there["pinned"].is_object(), message.pinned, "{what}");
            assert_eq!(reactions(there), expected(message, who), "{what}");
        }
    }

    fn check_replies(
        &self,
        key: &(u64, u64),
        there: &Value,
        messages: &BTreeMap<(u64, u64), Message>,
    ) {
        if key.0 > 0 {
            return;
        }
        let thread = messages.range((key.1, 0)..(key.1 + 1, 0));
        let from: Vec<_> = thread.map(|(_, reply)| reply.from.clone()).collect();
        assert_eq!(
            there["replies"]["count"].as_u64().unwrap_or(0),
            from.len() as u64,
            "{there}"
        );
        let mut last: Vec<Value> = Vec::new();
        for name in from.iter().rev().map(|name| user(name)) {
            if last.len() < 5 && !last.contains(&name) {
                last.push(name);
            }
        }
        let told = there["replies"]["people"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        assert_eq!(told, last, "{there}");
    }

    pub(crate) fn summary(&self) -> String {
        let refused = self.refused;
        assert!(
            self.granted.len() == 6,
            "some act was never tried: {:?}",
            self.granted
        );
        format!("granted {:?}, refused {refused}", self.granted)
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// Emoji with count, those who gave it, and how many are one's own.
type Given = BTreeMap<String, (u64, Vec<String>, u64)>;

fn reactions(message: &Value) -> Given {
    let reactions = message["reactions"].as_array().cloned().unwrap_or_default();
    let given = reactions.iter().map(|reaction| {
        let people = reaction["people"].as_array().expect("a list").iter();
        let mut people: Vec<_> = people.map(|person| text(&person["name"])).collect();
        people.sort();
        let counts = (
            number(&reaction["count"]),
            people,
            number(&reaction["mine"]),
        );
        (text(&reaction["emoji"]), counts)
    });
    given.collect()
}

fn expected(message: &Message, who: &str) -> Given {
    let given = message
        .reactions
        .iter()
        .filter(|(_, people)| !people.is_empty());
    let given = given.map(|(emoji, people)| {
        let mine = people.get(who).copied().unwrap_or(0);
        let names: Vec<_> = people.keys().cloned().collect();
        (emoji.clone(), (people.values().sum(), names, mine))
    });
    given.collect()
}
