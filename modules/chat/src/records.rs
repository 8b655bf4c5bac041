//! What the store keeps of a chat, and where.
//!
//! | where | what |
//! |---|---|
//! | collection `chat_rooms`, key: the room | [`RoomRecord`] |
//! | collection `chat_members:<room>`, key: the person | [`MemberRecord`]; ranking of the same name: members by when they came |
//! | collection `chat_memberships:<person>`, key: the room | [`MembershipRecord`] |
//! | collection `chat_seen`, key: the person | `{"at"}`: when they went offline, in milliseconds since 1970, to the minute |
//! | collection `chat_bans:<room>`, key: the person | [`BanRecord`] |
//! | log `chat:<room>`; of a thread `chat:<room>\n<root>` | [`Said`](crate::shapes::Said), one entry a message, its number the message's; dedupe key `<person's id>\n<key>` |
//! | collection `chat_overlay:<room>`, of a thread `chat_overlay:<room>\n<root>`, key: the message's number in 16 digits | [`OverlayRecord`]; every change is made on condition of the version that it was read at |
//! | collection `chat_edits:…`, likewise | [`EditsRecord`] |
//! | collection `chat_reactions:…`, likewise, key: the message's number`\n<person>` | [`GivenRecord`] |
//! | collection `chat_reactors:…`, likewise, key: the message's number`\n<emoji>\n<place in 16 digits>` | [`ReactorRecord`] |
//! | collection `chat_pins`, key: the room | [`PinsRecord`] |
//! | collection `chat_mentions:<person>`; `chat_mentions_of_all` for `*`; key: `<room>\n<number>`, in a thread `<room>\nt<root>\n<number>`, numbers in 16 digits | [`MentionRecord`] |
//! | collection `chat_due`, key: milliseconds since 1970 in 16 digits`\n<id>` | [`DueRecord`] |
//! | ranking `chat_roles:<room>` | moderators and owners by their role |
//! | collection `chat_deletions`, key: the room | [`DeletionRecord`]: a room that is being deleted, for whoever goes on with it |
//! | collection `chat_people`, key: the person | [`PersonRecord`] |
//! | collection `chat_names`, key: a folded name or id, a line feed, the person | [`FoundRecord`] |
//! | collection `chat_blocks:<person>`, key: whom they have blocked | [`BlockRecord`] |
//! | log `chat_moderation:<room>` | [`Deed`](crate::moderation::Deed) |
//! | collection `chat_slow:<room>`, key: the person | when they sent last, as long as they have to wait |
//! | collections `chat_reports`, `chat_reporting`, `chat_reports_by_state`, `chat_reports_of:<room>`, `chat_reports_by:<person>`, `chat_reports_on:<person>` | reports, and what finds them: [`moderation`](crate::moderation) |
//! | collections `chat_written:<person>`, `chat_reacted:<person>`, key: as of mentions | nothing: by it what a person wrote, and where they reacted, is found. A message costs one put more (in a debug build 144,000 instead of 118,000 instructions) |
//! | collection `chat_exports`, key: the ticket; `chat_erasures`, key: the person | who wants what is kept of them, or is being erased: [`rights`](crate::rights) |
//! | collection `chat_marks:<room>`, key: the person | [`Marks`](crate::receipts::Marks) |
//! | collection `chat_scheduled:<person>`, key: the id | [`ScheduledRecord`](crate::schedule::ScheduledRecord) |
//! | collection `chat_away:<room>`, key: the person | that they are to be reminded |
//! | collection `chat_reminded:<room>`, key: the person | of which message they were reminded last |
//! | log `chat_changes:<room>` | [`Change`](crate::changes::Change), its number the room's `rev` |
//!
//! Readers pass over fields that they don't know, so that later versions can add some; fields that are missing are as if
//! they had never been set.

use std::collections::BTreeMap;

use lakh_hub::store::Document;
use lakh_hub::{Failure, Person};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::permissions::{Kind, Role};
use crate::shapes::{Overlay, Reactions};
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
    /// It's being deleted: to everybody it's gone.
    #[serde(default, skip_serializing_if = "is_false")]
    pub deleted: bool,
    /// Between whom it is, by id, if it is between a few.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<String>,
    /// It's between two, and one of them has left it at some time.
    #[serde(default, skip_serializing_if = "is_false")]
    pub left: bool,
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
    pub(crate) fn is_default(&self) -> bool {
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

/// What has come to a message, with what clients aren't told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct OverlayRecord {
    #[serde(flatten)]
    pub overlay: Overlay,
    /// How many reactions of people were ever taken in: it gives them their order.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub given: u64,
}

/// What a person gave to a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct GivenRecord(pub BTreeMap<String, Given>);

/// One reaction of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Given {
    pub count: u64,
    /// Its place among those of all people.
    pub place: u64,
    /// With which keys it was given, the last ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
}

/// Who gave a reaction, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReactorRecord {
    pub user: Person,
    pub count: u64,
}

/// What is pinned in a room, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PinsRecord {
    pub pins: Vec<PinRecord>,
}

/// A pinned message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PinRecord {
    pub seq: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<u64>,
}

/// That a message mentions somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MentionRecord {
    /// When it was sent.
    pub time: u64,
}

/// What is to be done at the time that its key begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum DueRecord {
    /// A message is gone from then on.
    Expire {
        room: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        thread: Option<u64>,
        /// Its number. It isn't known when the document is written together with the message: then it's what the document's
        /// key ends in ([`DueRecord::seq_of`]).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
    },
    /// A message is sent: one of those that a person has scheduled.
    Send { person: String, id: String },
    /// Somebody who is away is told of what they have not read.
    Remind {
        room: String,
        person: String,
        /// The reply that mentions them: its thread and number. Otherwise it's the room's messages.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply: Option<(u64, u64)>,
    },
}

impl DueRecord {
    /// What the key of something that is due begins with.
    pub(crate) fn prefix(at_ms: u64, id: &str) -> String {
        format!("{at_ms:016}\n{id}")
    }

    /// The number that a key ends in.
    pub(crate) fn seq_of(key: &str) -> Option<u64> {
        key.get(key.len().checked_sub(16)?..)?.parse().ok()
    }
}

/// A room that is being deleted. Each step puts it anew, on condition that nobody else has: so one node is at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeletionRecord {
    /// When the last step was made.
    pub at: u64,
}

/// What is known of a person.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct PersonRecord {
    pub name: String,
    /// They have chosen the name; otherwise it's what their sign-in says.
    #[serde(default, skip_serializing_if = "is_false")]
    pub chosen: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Map<String, Value>>,
    pub updated_at: u64,
}

/// By what a person is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FoundRecord {
    Name,
    Id,
}

/// Somebody who is blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BlockRecord {
    pub at: u64,
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

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}
