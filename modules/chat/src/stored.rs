//! What the store keeps of a chat.
//!
//! | where | what |
//! |---|---|
//! | collection `chat_rooms`, key: the room | `{"name","created_at"}` |
//! | log `chat:<room>` | one entry a message, its number the message's; value `{"key","from":{"id","name"},"text"}`, dedupe key `<person's id>\n<key>` |
//!
//! Readers pass over fields that they don't know, so that later versions can add some.

use lakh_hub::store::{Answer, Document, Entry, LogEntry, ReadError, WriteError};
use lakh_hub::{Failure, Person};
use serde::{Deserialize, Serialize};

use crate::names;
use crate::shapes::{Message, Room};

/// The collection of rooms.
pub(crate) const ROOMS: &str = "chat_rooms";

#[derive(Serialize, Deserialize)]
pub(crate) struct StoredRoom {
    pub name: String,
    pub created_at: u64,
}

impl StoredRoom {
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, Failure> {
        serde_json::to_vec(self).map_err(|error| unreadable(&error))
    }

    pub(crate) fn read(document: &Document) -> Result<Self, Failure> {
        serde_json::from_slice(&document.value).map_err(|error| unreadable(&error))
    }

    pub(crate) fn into_room(self, id: &str, seq: u64) -> Room {
        Room {
            id: id.to_owned(),
            name: self.name,
            created_at: self.created_at,
            seq,
        }
    }
}

#[derive(Serialize)]
struct WrittenMessage<'a> {
    key: &'a str,
    from: &'a Person,
    text: &'a str,
}

#[derive(Deserialize)]
struct StoredMessage {
    key: String,
    from: Person,
    text: String,
}

/// The log entry of a message that has no number yet.
pub(crate) fn entry(key: &str, from: &Person, text: &str, time_ms: u64) -> Result<Entry, Failure> {
    let value = serde_json::to_vec(&WrittenMessage { key, from, text })
        .map_err(|error| unreadable(&error))?;
    Ok(Entry::new(time_ms, value).dedupe(&names::dedupe(&from.id, key)))
}

/// The message of a log entry.
pub(crate) fn message(room: &str, entry: &LogEntry) -> Result<Message, Failure> {
    let StoredMessage { key, from, text } =
        serde_json::from_slice(&entry.value).map_err(|error| unreadable(&error))?;
    Ok(Message {
        room: room.to_owned(),
        seq: entry.seq,
        key,
        from,
        text,
        time: entry.time_ms,
    })
}

/// A value in the store that this module did not write, or not so.
pub(crate) fn unreadable(error: &serde_json::Error) -> Failure {
    tracing::error!(%error, "the store holds something else than chat put there");
    Failure::new("internal", "what is stored of this room can't be read")
}

/// An answer of another kind than the question.
pub(crate) fn unexpected(answer: Option<&Answer>) -> Failure {
    tracing::error!(
        ?answer,
        "the store answered something else than it was asked"
    );
    Failure::new("internal", "the store gave an answer that doesn't fit")
}

pub(crate) fn not_read(error: &ReadError) -> Failure {
    tracing::warn!(%error, "chat could not read the store");
    Failure::new(
        "unavailable",
        "the store can't be read now; try again later",
    )
}

pub(crate) fn not_written(error: &WriteError) -> Failure {
    tracing::warn!(%error, "chat could not write to the store");
    match error {
        WriteError::Invalid { reason, .. } => Failure::bad_request(reason.clone()),
        _ => Failure::new(
            "unavailable",
            "the store can't be written now; try again later, with the same key",
        ),
    }
}
