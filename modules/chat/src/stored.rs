//! Reading and writing the store, and what goes wrong with it in words for clients.

use lakh_hub::Failure;
use lakh_hub::store::{Answer, Applied, Batch, Document, Page, Query, ReadError, Scan, WriteError};

use crate::Chat;

/// Answers of one snapshot, in the order of the questions.
pub(crate) async fn read(chat: &Chat, queries: Vec<Query>) -> Result<Vec<Answer>, Failure> {
    if queries.is_empty() {
        return Ok(Vec::new());
    }
    let reading = chat.0.store.read(chat.now_ms(), queries);
    reading.await.map_err(|error| not_read(&error))
}

pub(crate) async fn get(
    chat: &Chat,
    collection: &str,
    key: &str,
) -> Result<Option<Document>, Failure> {
    let getting = chat.0.store.get(chat.now_ms(), collection, key);
    getting.await.map_err(|error| not_read(&error))
}

pub(crate) async fn scan(
    chat: &Chat,
    collection: &str,
    scan: Scan,
) -> Result<Page<(String, Document)>, Failure> {
    let scanning = chat.0.store.scan(chat.now_ms(), collection, scan);
    scanning.await.map_err(|error| not_read(&error))
}

/// Writes a batch that has no condition, or whose failing is a fault.
pub(crate) async fn write(chat: &Chat, batch: Batch) -> Result<Vec<Applied>, Failure> {
    let writing = chat.0.store.write(batch);
    writing.await.map_err(|error| not_written(&error))
}

/// Writes; `None` if a condition didn't hold, and nothing was written.
pub(crate) async fn try_write(chat: &Chat, batch: Batch) -> Result<Option<Vec<Applied>>, Failure> {
    match chat.0.store.write(batch).await {
        Ok(applied) => Ok(Some(applied)),
        Err(WriteError::Conflict { .. }) => Ok(None),
        Err(error) => Err(not_written(&error)),
    }
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
