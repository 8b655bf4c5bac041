//! What the store keeps of a chat, and where.
//!
//! | where | what |
//! |---|---|
//! | collection `chat_rooms`, key: the room | [`RoomRecord`] |
//! | collection `chat_members:<room>`, key: the person | [`MemberRecord`]; ranking of the same name: members by when they came |
//! | collection `chat_memberships:<person>`, key: the room | [`MembershipRecord`] |
//! | collection `chat_bans:<room>`, key: the person | [`BanRecord`] |
//! | log `chat:<room>`; of a thread `chat:<room>\n<root>` | [`Said`](crate::shapes::Said), one entry a message, its number the message's; dedupe key `<person's id>\n<key>` |
//! | collection `chat_overlay:<room>`, of a thread `chat_overlay:<room>\n<root>`, key: the message's number in 16 digits | [`Overlay`](crate::shapes::Overlay); every change is made on condition of the version that it was read at |
//! | collection `chat_edits:…`, likewise | [`EditsRecord`] |
//! | log `chat_changes:<room>` | [`Change`](crate::changes::Change), its number the room's `rev` |
//!
//! Readers pass over fields that they don't know, so that later versions can add some; fields that are missing are as if
//! they had never been set.

use lakh_hub::store::Document;
use lakh_hub::{Failure, Person};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::permissions::{Kind, Role};
use crate::shapes::Reactions;
use crate::stored::unreadable;

/// A record as bytes.
pub(crate) fn to_bytes(record: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(record).map_err(|error| unreadable(&error))
}

/// The record of a document.
pub(crate) fn read<T: DeserializeOwned>(document: &Document) -> Result<T, Failure> {
    serde_json::from_slice(&document.value).map_err(|error| unreadable(&error))
}

/// A room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RoomRecord {
    #[serde(default = "public")]
    pub kind: Kind,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Where the picture is: a URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Map<String, Value>>,
    pub created_at: u64,
    /// Who made it, by id; nobody made a thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub archived: bool,
    #[serde(default, skip_serializing_if = "Settings::is_default")]
    pub settings: Settings,
}

/// What can be set for a room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    /// Seconds between two messages of one person; 0 is off.
    pub slow_mode_s: u32,
    /// Days after which messages go; 0 keeps them.
    pub retention_days: u32,
    pub reactions: Reactions,
    /// Words that nobody may say here, beside those of the server.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
}

impl Settings {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Somebody in a room, or invited to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MemberRecord {
    /// Guest: no member, but somebody of whom something is kept, such as an invitation or that they are muted.
    pub role: Role,
    pub name: String,
    pub joined_at: u64,
    /// Who has invited them; they are no member yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invited_by: Option<Person>,
    /// Milliseconds since 1970 until when they may not speak.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muted_until: Option<u64>,
}

/// A room of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MembershipRecord {
    pub role: Role,
    #[serde(default)]
    pub notify: Notify,
    /// Who has invited them; they are no member yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invited_by: Option<Person>,
}

/// Of what somebody who is away is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Notify {
    /// Of each message.
    #[default]
    All,
    /// Of those that mention them.
    Mentions,
    /// Of none.
    None,
}

/// Somebody who may not come in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BanRecord {
    pub by: Person,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub at: u64,
    /// Milliseconds since 1970; without it for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

/// What a message said before it was edited, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct EditsRecord {
    pub edits: Vec<Edit>,
}

/// What a message said until it was edited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Edit {
    pub text: String,
    /// When this was written.
    pub time: u64,
}

fn public() -> Kind {
    Kind::Public
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
pub(crate) fn is_false(value: &bool) -> bool {
    !value
}
