//! Keeping order. What moderators do is written down where they do it: in one batch with the deed, so that neither is without the other.

mod check;
mod log;
mod reports;
mod words;

pub(crate) use check::{Held, check, check_edit, free_at, let_go};
pub(crate) use log::log as deeds;
pub(crate) use reports::{close, erase_reports, forget_reports, list, made_by, send};
pub(crate) use words::Words;
pub use words::WordsAction;

use lakh_hub::store::{Batch, Entry, Trim};
use lakh_hub::{Failure, Person};
use serde::{Deserialize, Serialize};

use crate::{names, records};

/// Deeds kept of a room at most; the oldest go.
const KEPT: u64 = 10_000;

/// What a moderator did: an entry of the log `chat_moderation:<room>`, whose time is the entry's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Deed {
    /// What: `kick`, `ban`, `unban`, `mute`, `unmute`, `role`, `archive`, `unarchive`, `delete_room`, and what is done to messages.
    pub kind: String,
    pub by: Person,
    /// To whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<Person>,
    /// To which message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Under which message that one stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Milliseconds since 1970 until when it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// The role that was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

impl Deed {
    pub(crate) fn new(kind: &str, by: &Person) -> Self {
        Self {
            kind: kind.to_owned(),
            by: by.clone(),
            person: None,
            seq: None,
            thread: None,
            reason: None,
            until: None,
            role: None,
        }
    }

    /// Done to somebody.
    pub(crate) fn to(self, person: &Person) -> Self {
        Self {
            person: Some(person.clone()),
            ..self
        }
    }
}

/// Writes a deed down with the batch that does it.
pub(crate) fn log(batch: Batch, room: &str, deed: &Deed) -> Result<Batch, Failure> {
    let (log, now_ms) = (names::moderation(room), batch.now_ms());
    let entry = Entry::new(now_ms, records::to_bytes(deed)?);
    let trim = Trim {
        max_entries: Some(KEPT),
        ..Trim::default()
    };
    Ok(batch.append(&log, vec![entry]).trim(&log, trim))
}
