//! The sizes that hold on every backend, and the checks for them.
//!
//! A backend never sees a name, value or batch past these bounds: they are checked where an operation is submitted.

/// Longest name of a collection, key, log, dedupe key, ranking or member, in bytes. None of them may be empty.
pub const MAX_NAME_BYTES: usize = 512;
/// Largest value of a document or log entry, in bytes.
pub const MAX_VALUE_BYTES: usize = 16 << 20;
/// Most operations in one batch; each entry of an append, and each note of an entry, counts as one.
pub const MAX_BATCH_OPS: usize = 4096;
/// Most notes of one entry ([`Entry::note`](crate::Entry::note)).
pub const MAX_NOTES: usize = 64;
/// Longest text by which an entry can be found, in bytes.
pub const MAX_TEXT_BYTES: usize = 256 << 10;
/// Most logs in one search.
pub const MAX_SEARCHED_LOGS: usize = 1000;
/// Most bytes in one batch: names and values together.
pub const MAX_BATCH_BYTES: usize = 32 << 20;
/// Most items in one page; a higher limit in a query is taken as this one.
pub const MAX_PAGE: usize = 1000;
/// A page ends early when its values pass this many bytes (it always holds one item, if there is one).
pub const PAGE_BYTES: usize = 4 << 20;
/// Most entries that one trim, or documents that one purge or range deletion, removes: long work would hold up every other writer.
pub const REMOVE_AT_ONCE: usize = 10_000;

/// Largest number that every backend can hold (SQLite's integers are signed).
pub(crate) const MAX_INTEGER: u64 = i64::MAX as u64;

pub(crate) fn name(what: &str, name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err(format!("the {what} is empty; give it a name"));
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(format!(
            "the {what} has {} bytes; {MAX_NAME_BYTES} are allowed",
            name.len()
        ));
    }
    Ok(())
}

/// An end of a range of names, which need not be a name itself.
pub(crate) fn end(what: &str, end: Option<&str>) -> Result<(), String> {
    match end {
        Some(end) if end.len() > MAX_NAME_BYTES => Err(format!(
            "the {what} has {} bytes; {MAX_NAME_BYTES} are allowed",
            end.len()
        )),
        _ => Ok(()),
    }
}

pub(crate) fn text(text: Option<&str>) -> Result<(), String> {
    match text {
        Some(text) if text.len() > MAX_TEXT_BYTES => Err(format!(
            "the text has {} bytes; {MAX_TEXT_BYTES} are allowed",
            text.len()
        )),
        _ => Ok(()),
    }
}

pub(crate) fn value(value: &[u8]) -> Result<(), String> {
    if value.len() > MAX_VALUE_BYTES {
        return Err(format!(
            "the value has {} bytes; {MAX_VALUE_BYTES} are allowed",
            value.len()
        ));
    }
    Ok(())
}

pub(crate) fn time(what: &str, time_ms: u64) -> Result<(), String> {
    if time_ms > MAX_INTEGER {
        return Err(format!(
            "{what} is {time_ms}; {MAX_INTEGER} is the largest time"
        ));
    }
    Ok(())
}

pub(crate) fn page(limit: usize) -> usize {
    limit.min(MAX_PAGE)
}
