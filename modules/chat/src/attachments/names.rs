//! Where the store keeps what is known of files.

pub(super) use crate::names::{FILES, files_of as of_person};

/// That a file was sent, by its id, a line feed and the number of the message; written with the message.
pub(super) const SENT: &str = "chat_file_sent";
/// That a file's message is gone, by its id.
pub(super) const GONE: &str = "chat_file_gone";
/// Files to be looked after, by time and id.
pub(super) const DUE: &str = "chat_file_due";
/// How much people keep, by person.
pub(super) const USAGE: &str = "chat_file_usage";
/// Bytes, by their hash.
pub(super) const BLOBS: &str = "chat_blobs";
/// Bytes that nothing needed at some time, by time and hash.
pub(super) const BLOB_DUE: &str = "chat_blob_due";
/// Bytes to be removed, by time and key.
pub(super) const BLOBS_GONE: &str = "chat_blobs_gone";
/// Secrets that all nodes share.
pub(super) const KEYS: &str = "chat_keys";

/// Files of a room, by id.
pub(super) fn of_room(room: &str) -> String {
    format!("chat_room_files:{room}")
}

/// A key of what is due at a time.
pub(super) fn due(at_ms: u64, id: &str) -> String {
    format!("{at_ms:016}\n{id}")
}

/// What is due by such a key.
pub(super) fn of_due(key: &str) -> &str {
    key.split_once('\n').map_or(key, |(_, id)| id)
}

/// What the keys of a file's messages begin with.
pub(super) fn sent(id: &str) -> String {
    format!("{id}\n")
}
