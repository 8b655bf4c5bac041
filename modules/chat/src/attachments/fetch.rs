//! Who may fetch a file.

use lakh_hub::Failure;

use super::record::{FileRecord, State, find_one, no_file};
use crate::asker::Asker;
use crate::permissions::Right;
use crate::{Chat, standing};

/// A file that may be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The room of its message.
    pub room: String,
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its type.
    pub kind: String,
    /// SHA-256 of its bytes.
    pub hash: String,
    /// What they are kept under.
    pub key: String,
    /// Type and size of the small picture, if there is one.
    pub small: Option<(String, u64)>,
}

impl Chat {
    /// A file, for somebody who may have it: whoever may read its room, and before it's sent only whoever's it is.
    ///
    /// # Errors
    /// `not_found`, `banned`, `not_member`, `forbidden`.
    pub async fn file(&self, asker: &Asker, id: &str) -> Result<Fetched, Failure> {
        let found = find_one(self, id).await?.ok_or_else(|| no_file(id))?;
        if found.is_gone {
            return Err(no_file(id));
        }
        let FileRecord {
            room,
            owner,
            name,
            size,
            kind,
            state,
            blob: Some(blob),
            ..
        } = found.record
        else {
            return Err(no_file(id));
        };
        // Taken, but by a message that may not have been written.
        let is_sent = found.is_sent || matches!(state, State::Taken { .. });
        if !is_sent && owner != asker.id() && !asker.is_system() {
            return Err(no_file(id));
        }
        let standing = standing::of(self, asker, &room).await;
        let standing = standing.map_err(|failure| match failure.code {
            "not_found" => no_file(id),
            _ => failure,
        })?;
        if standing.need_sight(self).is_err() && standing.ban.is_none() {
            return Err(no_file(id));
        }
        asker.allow("history", &room)?;
        standing.need(self, Right::Read)?;
        Ok(Fetched {
            room,
            name,
            size,
            kind,
            hash: blob.hash,
            key: blob.seen.key,
            small: blob.seen.small.map(|small| (small.kind, small.size)),
        })
    }
}
