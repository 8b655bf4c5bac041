//! What clients are told: rooms, messages, members, and the server's events.

use lakh_hub::{Payload, Person};
use serde::{Deserialize, Serialize};

/// A message.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Message {
    pub room: String,
    /// From 1, without holes.
    pub seq: u64,
    /// Made by the sender's client; unique for that person in that room.
    pub key: String,
    pub from: Person,
    pub text: String,
    /// Milliseconds since 1970.
    pub time: u64,
}

/// A room.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Room {
    pub id: String,
    pub name: String,
    /// Milliseconds since 1970.
    pub created_at: u64,
    /// Number of its last message; 0 if there is none.
    pub seq: u64,
}

/// Somebody in a room.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Member {
    #[serde(flatten)]
    pub person: Person,
    pub online: bool,
}

/// Most of the people in a room, and how many they are.
#[derive(Debug, Serialize)]
pub(crate) struct Members {
    pub members: Vec<Member>,
    pub count: usize,
}

/// A request that names a room and nothing else.
#[derive(Deserialize)]
pub(crate) struct InRoom {
    pub room: String,
}

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
    pub user: &'a Person,
    pub typing: bool,
}

/// An event with one argument. `None` can't happen: these shapes are strings, numbers and booleans.
pub(crate) fn event(name: &'static str, argument: &impl Serialize) -> Option<Payload> {
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
