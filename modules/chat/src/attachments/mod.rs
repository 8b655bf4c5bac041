//! Files that messages carry.

use lakh_hub::Failure;
use lakh_hub::store::Batch;
use serde_json::Value;

use crate::Chat;
use crate::asker::Asker;

/// Files of whoever asks that are to go with a message, as messages show them.
///
/// # Errors
/// `not_found` if one of them isn't there, or not theirs.
pub(crate) fn take(
    _chat: &Chat,
    _asker: &Asker,
    _room: &str,
    ids: &[String],
) -> std::future::Ready<Result<Vec<Value>, Failure>> {
    std::future::ready(match ids.first() {
        None => Ok(Vec::new()),
        Some(id) => Err(Failure::new(
            "not_found",
            format!("there is no file `{id}`; send it first"),
        )),
    })
}

/// Adds to a batch what lets go of files whose message goes.
pub(crate) fn release(_chat: &Chat, _room: &str, _attachments: &[Value], batch: Batch) -> Batch {
    batch
}
