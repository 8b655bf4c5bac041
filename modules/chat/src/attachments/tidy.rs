//! What lets go of files and bytes: any node does it, and several at once don't disturb each other, since every step is
//! made on condition that what was read is still so.

use lakh_hub::store::{Batch, Condition, DeleteRange, Scan};
use lakh_hub::{Attempts, Failure};

use super::record::{self, BlobRecord, FileRecord, Found, State, UsageRecord, find_one, use_more};
use super::{names, take};
use crate::records::to_bytes;
use crate::rooms::busy;
use crate::{Chat, stored};

/// How long bytes are kept that no file has: somebody may send them again.
const UNUSED_MS: u64 = 3_600_000;
/// Files or bytes looked after in one go.
const AT_ONCE: usize = 100;
/// Files looked after in one call, in so many goes.
const ROUNDS: usize = 20;

/// Bytes with one file more.
pub(super) fn with_one_more(blob: &BlobRecord) -> BlobRecord {
    BlobRecord {
        files: blob.files + 1,
        unused_since: None,
        ..blob.clone()
    }
}

impl Chat {
    /// Lets go of what is due, and gives keys whose bytes are to be removed: for each,
    /// [`bytes_removed`](Self::bytes_removed) is to be called then. To be called every now and then, again at once while
    /// keys come.
    ///
    /// # Errors
    /// `unavailable`; it's tried again the next time.
    pub async fn tidy_files(&self) -> Result<Vec<String>, Failure> {
        for _ in 0..ROUNDS {
            let due = self.due(names::DUE).await?;
            for key in &due {
                passed_over(key, look_after_file(self, key).await)?;
            }
            if due.len() < AT_ONCE {
                break;
            }
        }
        for key in self.due(names::BLOB_DUE).await? {
            passed_over(&key, look_after_bytes(self, &key).await)?;
        }
        self.due(names::BLOBS_GONE).await
    }

    /// The bytes under a key that [`tidy_files`](Self::tidy_files) gave are removed.
    ///
    /// # Errors
    /// `unavailable`; they are named again then.
    pub async fn bytes_removed(&self, due: &str) -> Result<(), Failure> {
        let batch = Batch::new(self.now_ms()).delete(names::BLOBS_GONE, due, Condition::Any);
        stored::try_write(self, batch).await.map(drop)
    }

    /// The key of the bytes that are to be removed.
    #[must_use]
    pub fn key_of_due(due: &str) -> &str {
        names::of_due(due)
    }

    async fn due(&self, collection: &str) -> Result<Vec<String>, Failure> {
        let now_ms = self.now_ms();
        let scan = Scan {
            to: Some(names::due(now_ms + 1, "")),
            ..Scan::default().limit(AT_ONCE)
        };
        let scanning = self.0.store.scan(now_ms, collection, scan);
        let page = scanning.await.map_err(|error| stored::not_read(&error))?;
        Ok(page.items.into_iter().map(|(key, _)| key).collect())
    }
}

/// What can't be looked after doesn't keep the rest from it, unless nothing can.
fn passed_over(due: &str, done: Result<(), Failure>) -> Result<(), Failure> {
    match done {
        Err(failure) if failure.code != "unavailable" => {
            let id = names::of_due(due);
            tracing::error!(
                id,
                why = failure.message,
                "a file that is due can't be looked after"
            );
            Ok(())
        }
        done => done,
    }
}

async fn look_after_file(chat: &Chat, due: &str) -> Result<(), Failure> {
    let id = names::of_due(due);
    let mut attempts = Attempts::default();
    while attempts.another().await {
        let now_ms = chat.now_ms();
        let batch = Batch::new(now_ms).delete(names::DUE, due, Condition::Any);
        let batch = match find_one(chat, id).await? {
            None => forget(batch, id),
            Some(found) if !found.is_gone && (found.is_sent || found.record.until > now_ms) => {
                batch
            }
            Some(found) => match take::is_being_taken(&found.record, now_ms) {
                // It may be written in this moment.
                Some(again_ms) if !found.is_gone => batch.put(
                    names::DUE,
                    &names::due(again_ms, id),
                    "{}",
                    Condition::Any,
                    None,
                ),
                _ => remove(chat, batch, id, &found).await?,
            },
        };
        if stored::try_write(chat, batch).await?.is_some() {
            return Ok(());
        }
    }
    Err(busy())
}

/// What is known beside a file that isn't there.
fn forget(batch: Batch, id: &str) -> Batch {
    batch
        .delete(names::GONE, id, Condition::Any)
        .delete_range(names::SENT, DeleteRange::prefix(&names::sent(id)))
}

async fn remove(chat: &Chat, batch: Batch, id: &str, found: &Found) -> Result<Batch, Failure> {
    let FileRecord {
        room,
        owner,
        size,
        state,
        counted,
        blob,
        ..
    } = &found.record;
    let mut batch = forget(batch, id)
        .delete(names::FILES, id, Condition::Version(found.version))
        .delete(&names::of_person(owner), id, Condition::Any)
        .delete(&names::of_room(room), id, Condition::Any);
    if *counted {
        let is_waiting = !matches!(state, State::Taken { .. });
        let less = |usage: UsageRecord| {
            Ok(UsageRecord {
                files: usage.files.saturating_sub(1),
                bytes: usage.bytes.saturating_sub(*size),
                waiting: usage.waiting.saturating_sub(is_waiting.into()),
            })
        };
        batch = use_more(chat, batch, owner, less).await?;
    }
    let Some(blob) = blob else { return Ok(batch) };
    let known = record::record::<BlobRecord>(chat, names::BLOBS, &blob.hash).await?;
    let (Some(mut bytes), condition) = known else {
        return Ok(batch);
    };
    bytes.files = bytes.files.saturating_sub(1);
    if bytes.files == 0 {
        let now_ms = chat.now_ms();
        bytes.unused_since = Some(now_ms);
        let due = names::due(now_ms + UNUSED_MS, &blob.hash);
        batch = batch.put(names::BLOB_DUE, &due, "{}", Condition::Any, None);
    }
    Ok(batch.put(names::BLOBS, &blob.hash, to_bytes(&bytes)?, condition, None))
}

async fn look_after_bytes(chat: &Chat, due: &str) -> Result<(), Failure> {
    let hash = names::of_due(due);
    let mut attempts = Attempts::default();
    while attempts.another().await {
        let now_ms = chat.now_ms();
        let mut batch = Batch::new(now_ms).delete(names::BLOB_DUE, due, Condition::Any);
        let (blob, condition) = record::record::<BlobRecord>(chat, names::BLOBS, hash).await?;
        let is_over = |blob: &BlobRecord| {
            let since = blob.unused_since.filter(|_| blob.files == 0);
            since.is_some_and(|since| since.saturating_add(UNUSED_MS) <= now_ms)
        };
        if let Some(blob) = blob.filter(is_over) {
            let gone = names::due(now_ms, &blob.seen.key);
            batch = batch.delete(names::BLOBS, hash, condition).put(
                names::BLOBS_GONE,
                &gone,
                "{}",
                Condition::Any,
                None,
            );
        }
        if stored::try_write(chat, batch).await?.is_some() {
            return Ok(());
        }
    }
    Err(busy())
}
