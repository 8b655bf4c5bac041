//! SQLite's errors sorted by what follows from them.

use std::sync::Arc;

use rusqlite::ErrorCode;

/// Why an operation inside a transaction stopped.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Its condition doesn't hold. Nothing was written by this operation.
    Conflict(Option<u64>),
    /// It breaks a bound. Nothing was written by this operation.
    Invalid(String),
    /// SQLite gave up; the transaction may be half done or already rolled back.
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// What an error of SQLite means for the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// No space; passes when there is some.
    Full,
    /// Somebody else holds the lock; passes.
    Locked,
    /// The file or the disk can't be trusted any more.
    Fatal(Arc<str>),
    /// This statement failed, others may not.
    Other(Arc<str>),
}

pub(crate) fn meaning(error: &rusqlite::Error) -> Meaning {
    let text: Arc<str> = error.to_string().into();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Meaning::Full,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Meaning::Locked,
        Some(
            ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::SystemIoFailure
            | ErrorCode::ReadOnly
            | ErrorCode::CannotOpen,
        ) => Meaning::Fatal(text),
        _ => Meaning::Other(text),
    }
}

/// The largest integer that SQLite holds stands for everything above it.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Numbers that the store wrote are never negative; a doctored one reads as 0.
pub(crate) fn uint(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
