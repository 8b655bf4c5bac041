//! Bytes of files, as they come over HTTP.

use lakh_files::random_word;
use lakh_hub::store::{Batch, Condition};
use lakh_hub::{Attempts, Failure};
use serde_json::Value;

use super::record::{
    self, BlobRecord, BlobRef, FileRecord, Found, Seen, SmallRecord, State, find_one, hash,
    no_file, no_random,
};
use super::upload::check_kind;
use super::{names, tidy};
use crate::records::to_bytes;
use crate::rooms::busy;
use crate::{Chat, stored};

/// How long a file is kept that no message takes.
pub(super) const UNSENT_MS: u64 = 24 * 3_600_000;
/// By when bytes that are being kept must be some file's.
const KEEPING_MS: u64 = 3_600_000;

/// Whether bytes are awaited on a path.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrival {
    /// They are.
    Awaited(Arriving),
    /// They have come: this is the file.
    Come(Value),
}

/// A file whose bytes are awaited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arriving {
    /// Its id.
    pub id: String,
    /// Its exact size.
    pub size: u64,
    /// Its type, as whoever sends it says.
    pub kind: String,
    /// Milliseconds since 1970 by which it must be there.
    pub until_ms: u64,
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// SHA-256 of the bytes, in hexadecimal.
    pub hash: String,
    /// What they are.
    pub kind: String,
    /// Width and height of a picture.
    pub sides: Option<(u32, u32)>,
    /// A small picture of it.
    pub small: Option<Small>,
}

/// A small picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Small {
    /// What it is.
    pub kind: String,
    /// Its bytes.
    pub size: u64,
}

/// What is to be done with bytes that came.
#[derive(Clone, Debug, PartialEq)]
pub enum Adopted {
    /// Nothing: the same were here already. This is the file.
    Done(Value),
    /// Keep them under this key, and the small picture under [`small_key`](Chat::small_key); then call
    /// [`Chat::adopt_kept`].
    Keep {
        /// The key.
        key: String,
        /// Milliseconds since 1970 from which they are removed again if nobody has.
        until_ms: u64,
    },
}

impl Chat {
    /// Whether a file's bytes are awaited on this path.
    ///
    /// # Errors
    /// `not_found` if nobody reserved it, or too long ago.
    pub async fn arriving(&self, id: &str, secret: &str) -> Result<Arrival, Failure> {
        let Found {
            record, is_gone, ..
        } = find_one(self, id).await?.ok_or_else(|| no_file(id))?;
        // Both are hashes: how far they agree says nothing of the words.
        if is_gone || record.secret != hash(secret) {
            return Err(no_file(id));
        }
        if record.state != State::Reserved {
            return Ok(Arrival::Come(record.shown(id)));
        }
        if record.until <= self.now_ms() {
            return Err(late());
        }
        Ok(Arrival::Awaited(Arriving {
            id: id.to_owned(),
            size: record.size,
            kind: record.kind,
            until_ms: record.until,
        }))
    }

    /// Takes up what came, if the same bytes are here already.
    ///
    /// # Errors
    /// `unsupported_type` if they are something that isn't taken here; `not_found` if the file isn't awaited any more.
    pub async fn adopt(&self, arriving: &Arriving, content: &Content) -> Result<Adopted, Failure> {
        check_kind(self, &content.kind)?;
        if let Some(file) = self.adopt_known(arriving, content).await? {
            return Ok(Adopted::Done(file));
        }
        let word = random_word().ok_or_else(no_random)?;
        // Bytes that are being removed, and the same that come again, are never under one key.
        let key = format!("{}-{}", content.hash, &word[..16]);
        let until_ms = self.now_ms() + KEEPING_MS;
        let due = names::due(until_ms, &key);
        let batch =
            Batch::new(self.now_ms()).put(names::BLOBS_GONE, &due, "{}", Condition::Any, None);
        stored::try_write(self, batch).await?;
        Ok(Adopted::Keep { key, until_ms })
    }

    /// Takes up bytes that were kept.
    ///
    /// # Errors
    /// `not_found` if the file isn't awaited any more; `unavailable`.
    pub async fn adopt_kept(
        &self,
        arriving: &Arriving,
        content: &Content,
        (key, until_ms): (&str, u64),
    ) -> Result<Value, Failure> {
        let seen = Seen {
            key: key.to_owned(),
            width: content.sides.map(|(width, _)| width),
            height: content.sides.map(|(_, height)| height),
            small: content.small.clone().map(|small| SmallRecord {
                kind: small.kind,
                size: small.size,
            }),
        };
        let mut attempts = Attempts::default();
        while attempts.another().await {
            // Somebody else may have sent the same meanwhile. Then these bytes go as was written down.
            if let Some(file) = self.adopt_known(arriving, content).await? {
                return Ok(file);
            }
            let blob = BlobRecord {
                files: 1,
                seen: seen.clone(),
                unused_since: None,
            };
            let due = names::due(until_ms, key);
            let batch = Batch::new(self.now_ms())
                .put(
                    names::BLOBS,
                    &content.hash,
                    to_bytes(&blob)?,
                    Condition::Absent,
                    None,
                )
                .delete(names::BLOBS_GONE, &due, Condition::Any);
            if let Some(file) = self
                .become_ready(arriving, content, blob.seen, batch)
                .await?
            {
                return Ok(file);
            }
        }
        Err(busy())
    }

    /// What a small picture is kept under, beside its picture.
    #[must_use]
    pub fn small_key(key: &str) -> String {
        format!("{key}-s")
    }

    async fn adopt_known(
        &self,
        arriving: &Arriving,
        content: &Content,
    ) -> Result<Option<Value>, Failure> {
        let mut attempts = Attempts::default();
        while attempts.another().await {
            let known = record::record::<BlobRecord>(self, names::BLOBS, &content.hash).await?;
            let (Some(blob), condition) = known else {
                return Ok(None);
            };
            let more = tidy::with_one_more(&blob);
            let batch = Batch::new(self.now_ms()).put(
                names::BLOBS,
                &content.hash,
                to_bytes(&more)?,
                condition,
                None,
            );
            if let Some(file) = self
                .become_ready(arriving, content, blob.seen, batch)
                .await?
            {
                return Ok(Some(file));
            }
        }
        Err(busy())
    }

    /// Writes that a file's bytes are there, with a batch; `None` if a condition didn't hold.
    async fn become_ready(
        &self,
        arriving: &Arriving,
        content: &Content,
        seen: Seen,
        batch: Batch,
    ) -> Result<Option<Value>, Failure> {
        let id = arriving.id.as_str();
        let found = find_one(self, id).await?.ok_or_else(late)?;
        let before = &found.record;
        if before.state != State::Reserved {
            // The same path twice at a time; what came first counts.
            return Err(Failure::new("conflict", "this file has come already"));
        }
        if found.is_gone || before.until <= self.now_ms() {
            return Err(late());
        }
        let record = FileRecord {
            kind: content.kind.clone(),
            state: State::Ready,
            until: self.now_ms() + UNSENT_MS,
            blob: Some(BlobRef {
                hash: content.hash.clone(),
                seen,
            }),
            ..before.clone()
        };
        let batch = batch
            .delete(names::DUE, &names::due(before.until, id), Condition::Any)
            .put(
                names::DUE,
                &names::due(record.until, id),
                "{}",
                Condition::Any,
                None,
            );
        let batch = record.put(batch, id, found.version)?;
        let written = stored::try_write(self, batch).await?;
        Ok(written.map(|_| record.shown(id)))
    }
}

fn late() -> Failure {
    Failure::new(
        "not_found",
        "the time for this file is over; ask for another with attachment:upload",
    )
}
