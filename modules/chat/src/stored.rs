//! What goes wrong with the store, in words for clients.

use lakh_hub::Failure;
use lakh_hub::store::{Answer, ReadError, WriteError};

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
