//! Reading and writing the store, and what goes wrong with it in words for clients.

use lakh_hub::Failure;
use lakh_hub::store::{Batch, Document, Page, ReadError, Scan, WriteError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Worlds;

pub(crate) async fn get(
    worlds: &Worlds,
    collection: &str,
    key: &str,
) -> Result<Option<Document>, Failure> {
    let getting = worlds.0.store.get(worlds.now_ms(), collection, key);
    getting.await.map_err(|error| not_read(&error))
}

pub(crate) async fn scan(
    worlds: &Worlds,
    collection: &str,
    scan: Scan,
) -> Result<Page<(String, Document)>, Failure> {
    let scanning = worlds.0.store.scan(worlds.now_ms(), collection, scan);
    scanning.await.map_err(|error| not_read(&error))
}

/// Writes; `false` if a condition didn't hold, and nothing was written.
pub(crate) async fn try_write(worlds: &Worlds, batch: Batch) -> Result<bool, Failure> {
    match worlds.0.store.write(batch).await {
        Ok(_) => Ok(true),
        Err(WriteError::Conflict { .. }) => Ok(false),
        Err(error) => Err(not_written(&error)),
    }
}

/// A record as it's stored.
pub(crate) fn write_record(record: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(record).map_err(|error| {
        tracing::error!(%error, "a record could not be written as JSON");
        Failure::new("internal", "this can't be stored")
    })
}

pub(crate) fn read_record<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|error| {
        tracing::error!(%error, "the store holds something else than world put there");
        Failure::new("internal", "what is stored of this world can't be read")
    })
}

pub(crate) fn not_read(error: &ReadError) -> Failure {
    tracing::warn!(%error, "world could not read the store");
    Failure::new(
        "unavailable",
        "the store can't be read now; try again later",
    )
}

pub(crate) fn not_written(error: &WriteError) -> Failure {
    tracing::warn!(%error, "world could not write to the store");
    match error {
        WriteError::Invalid { reason, .. } => Failure::bad_request(reason.clone()),
        _ => Failure::new(
            "unavailable",
            "the store can't be written now; try again later",
        ),
    }
}
