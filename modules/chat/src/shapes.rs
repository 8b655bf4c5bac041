//! What clients are told: rooms, messages, members, and the server's events. docs/chat.md describes each.

use lakh_hub::{Payload, Person};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::crowd::Crowd;
use crate::permissions::{Kind, Role};
use crate::records::{Notify, Settings};

/// How people react to messages in a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reactions {
    /// Each person gives each reaction once at most.
    #[default]
    Each,
    /// Each person gives one reaction; another takes its place.
    One,
    /// Each person gives as many as they like, and all are counted.
    Counted,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Message {
    pub room: String,
    /// The number of the message under which this one stands, in a thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<u64>,
    /// From 1, without holes: in the room, or in the thread.
    pub seq: u64,
    #[serde(flatten)]
    pub said: Said,
    /// Milliseconds since 1970.
    pub time: u64,
    #[serde(flatten)]
    pub overlay: Overlay,
}

/// What somebody has said: what the log keeps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Said {
    /// Made by the sender's client; unique for that person in that room.
    pub key: String,
    pub from: Person,
    #[serde(default)]
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Map<String, Value>>,
    /// Ids of people, or `*` for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Quote>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forwarded: Option<Origin>,
    /// Nobody who is away is to be told.
    #[serde(default, skip_serializing_if = "crate::records::is_false")]
    pub silent: bool,
    /// Milliseconds since 1970 from which it's gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
}

impl Said {
    /// Nothing, by somebody.
    pub(crate) fn nothing(key: String, from: Person) -> Self {
        Self {
            key,
            from,
            text: String::new(),
            data: None,
            mentions: Vec::new(),
            attachments: Vec::new(),
            reply_to: None,
            forwarded: None,
            silent: false,
            expires_at: None,
        }
    }
}

/// What has come to a message since it was sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Overlay {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<u64>,
    /// How often it was edited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edits: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<Deleted>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<Done>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<Reaction>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replies: Option<Replies>,
}

/// Who has deleted a message, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Deleted {
    /// Nobody, if it has expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Person>,
    pub at: u64,
    /// Its history is gone, too.
    #[serde(default)]
    pub purged: bool,
}

/// Who has done something, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Done {
    pub by: Person,
    pub at: u64,
}

/// One reaction to a message, over all people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reaction {
    pub emoji: String,
    pub count: u64,
    /// Some who gave it, the first ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<Person>,
    /// How many are of whoever asks; not told to rooms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mine: Option<u64>,
}

/// The thread under a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Replies {
    pub count: u64,
    pub last_at: u64,
    /// Some who take part, those who replied last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<Person>,
}

/// The message that another answers. Of all this only the number is stored: what a message said is gone with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Quote {
    pub seq: u64,
    /// Nobody, where the message isn't there any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Person>,
    /// Its beginning.
    #[serde(default)]
    pub text: String,
    /// It's deleted, or gone.
    #[serde(default, skip_serializing_if = "crate::records::is_false")]
    pub deleted: bool,
}

/// Where a message was forwarded from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    pub room: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<u64>,
    pub seq: u64,
    pub from: Person,
    pub time: u64,
}

/// A room.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Room {
    pub id: String,
    pub kind: Kind,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Map<String, Value>>,
    /// Milliseconds since 1970.
    pub created_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    pub archived: bool,
    pub settings: Settings,
    /// Between whom it is, if it is between a few.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<Person>,
    /// Of its record; a change may be made conditional on it.
    pub version: u64,
    /// Number of its last message; 0 if there is none.
    pub seq: u64,
    /// Number of its last change; 0 if there is none.
    pub rev: u64,
    /// How many members it has.
    pub members: u64,
    /// How many sockets watch it now.
    pub watching: usize,
    /// What it is told of its people.
    pub crowd: Crowd,
    /// What whoever asks is in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mine: Option<Mine>,
}

/// What somebody is in a room, and what they have read of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Mine {
    pub role: Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joined_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invited_by: Option<Person>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub muted_until: Option<u64>,
    pub notify: Notify,
    /// Number of the last message that was read.
    pub read: u64,
    /// Number of the last message that has reached a device.
    pub delivered: u64,
    /// Messages after the last read one.
    pub unread: u64,
    /// Those among them that mention whoever asks.
    pub mentions: u64,
}

/// Somebody who is in a room now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Member {
    #[serde(flatten)]
    pub person: Person,
    pub online: bool,
}

/// A request that names a room and nothing else.
#[derive(Deserialize)]
pub(crate) struct InRoom {
    pub room: String,
}

/// A request that names a message and nothing else.
#[derive(Deserialize)]
pub(crate) struct OfMessage {
    pub room: String,
    pub seq: u64,
    pub thread: Option<u64>,
}

/// An answer without fields of its own.
#[derive(Serialize)]
pub(crate) struct Nothing {}

/// The argument of `presence:update`.
#[derive(Serialize)]
pub(crate) struct PresenceUpdate<'a> {
    pub room: &'a str,
    pub user: &'a Person,
    pub online: bool,
}

/// The argument of `typing:update`.
#[derive(Serialize)]
pub(crate) struct TypingUpdate<'a> {
    pub room: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<u64>,
    pub user: &'a Person,
    pub typing: bool,
}

/// An event with one argument. `None` can't happen: these shapes are strings, numbers and booleans.
pub(crate) fn event(name: &str, argument: &(impl Serialize + ?Sized)) -> Option<Payload> {
    match serde_json::to_string(argument) {
        Ok(argument) => Some(Payload::from_raw(
            format!(r#"["{name}",{argument}]"#),
            Vec::new(),
        )),
        Err(error) => {
            tracing::error!(name, %error, "an event could not be written as JSON");
            None
        }
    }
}
