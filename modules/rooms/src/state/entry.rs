//! What a room's state is made of: entries, the changes that make and remove them, and who is behind both.

use std::sync::Arc;

use lakh_hub::{Person, Socket};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What an entry counts besides its key and value.
const OVERHEAD_BYTES: usize = 64;

/// With whom an entry goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bind {
    /// With the socket that put it.
    Socket,
    /// With the last socket that this person has in the room.
    Person,
}

/// Whom an entry belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    /// A socket's id or a person's.
    pub id: Arc<str>,
    pub bind: Bind,
    /// The life of the node that looks after it.
    pub node: Arc<str>,
}

/// Who made a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct By {
    /// The socket's id.
    pub id: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Person>,
}

impl By {
    pub(crate) fn of(socket: &Socket) -> Self {
        Self {
            id: socket.id().into(),
            user: socket.get::<Person>().map(|person| Person::clone(&person)),
        }
    }
}

/// A value under a key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// JSON, as the client wrote it.
    pub value: Box<RawValue>,
    /// Number of the change that put it.
    pub version: u64,
    /// Milliseconds since 1970 from which it's gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
}

impl Entry {
    /// Bytes that it counts in its room.
    pub(crate) fn bytes(&self, key: &str) -> usize {
        key.len() + self.value.get().len() + OVERHEAD_BYTES
    }
}

/// Why an entry changed, where nobody asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Why {
    /// Its time was over.
    Expired,
    /// Its owner has left.
    Left,
}

/// One change of one key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Change {
    pub key: Arc<str>,
    pub version: u64,
    /// What is there now; `None` if nothing.
    pub entry: Option<Arc<Entry>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Arc<By>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
}

/// Changes that were made in one step, with versions that follow each other.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Commit {
    /// Names it, so that a node knows its own again.
    pub id: Arc<str>,
    pub changes: Vec<Change>,
    /// Version of the room's head in the store; 0 where there is none.
    #[serde(default)]
    pub head: u64,
}

impl Commit {
    pub(crate) fn first(&self) -> u64 {
        self.changes.first().map_or(0, |change| change.version)
    }

    pub(crate) fn last(&self) -> u64 {
        self.changes.last().map_or(0, |change| change.version)
    }

    pub(crate) fn bytes(&self) -> usize {
        let of = |change: &Change| {
            let entry = change.entry.as_ref();
            OVERHEAD_BYTES + entry.map_or(change.key.len(), |entry| entry.bytes(&change.key))
        };
        OVERHEAD_BYTES + self.changes.iter().map(of).sum::<usize>()
    }
}

/// An entry as clients see it.
#[derive(Serialize)]
pub(crate) struct EntryView<'a> {
    value: &'a RawValue,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
}

impl<'a> From<&'a Entry> for EntryView<'a> {
    fn from(entry: &'a Entry) -> Self {
        Self {
            value: &entry.value,
            version: entry.version,
            owner: entry.owner.as_ref().map(|owner| &*owner.id),
            expires_at: entry.expires_at,
        }
    }
}
