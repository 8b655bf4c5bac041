//! Messages that are to be sent later.

use lakh_hub::Failure;
use serde_json::Value;

use crate::Chat;
use crate::asker::Asker;
use crate::messages::Send;
use crate::standing::Standing;

/// Keeps a message until its time, `at_ms` milliseconds since 1970. Gives what whoever asks is told of it.
pub(crate) fn put(
    _chat: &Chat,
    _asker: &Asker,
    _standing: &Standing,
    _request: &Send,
    _at_ms: u64,
) -> std::future::Ready<Result<Value, Failure>> {
    std::future::ready(Err(Failure::new(
        "unsupported",
        "this server doesn't send messages later",
    )))
}
