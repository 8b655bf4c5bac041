//! What can go wrong, one enum for each way to use the store. Messages say what to do.

use std::path::PathBuf;
use std::sync::Arc;

/// Why a store can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder or the file can't be written.
    #[error(
        "{path} can't be written ({detail}); give the process write access to the file and its folder, or choose another folder"
    )]
    ReadOnly {
        /// The database file.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// Another process (or another store in this one) has the file open.
    #[error(
        "{path} is in use by another process; stop that process, or give this one a folder of its own"
    )]
    Locked {
        /// The database file.
        path: PathBuf,
    },
    /// The file was written by a newer version.
    #[error(
        "{path} has format {found}, and this version knows formats up to {supported}; run the newer version that wrote it, or restore a backup made before"
    )]
    NewerFormat {
        /// The database file, or the server.
        path: PathBuf,
        /// Format of the file.
        found: i64,
        /// Newest format known here.
        supported: i64,
    },
    /// The file is a database of another program.
    #[error(
        "{path} is a database of another program (application id {found:#x}); choose another file"
    )]
    Foreign {
        /// The database file.
        path: PathBuf,
        /// SQLite's `application_id` of the file.
        found: i64,
    },
    /// The file is damaged.
    #[error(
        "{path} is damaged ({detail}); restore a backup, or save what can be read of it as docs/storage.md says under Repair"
    )]
    Corrupt {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        detail: String,
    },
    /// The disk is full.
    #[error("no space to open {path}; free some space and start again")]
    DiskFull {
        /// The database file.
        path: PathBuf,
    },
    /// The URL or a setting makes no sense.
    #[error("the store's address can't be used: {detail}")]
    Address {
        /// What is wrong with it.
        detail: String,
    },
    /// The server doesn't answer, or doesn't let us in.
    #[error("{server} can't be used: {detail}; check that it runs, and its address and password")]
    Unreachable {
        /// The server, without a password.
        server: String,
        /// What it or the system said.
        detail: String,
    },
    /// Anything else that the system or SQLite refuses.
    #[error("{path} can't be opened: {detail}")]
    Io {
        /// The database file.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
}

/// Why a batch was not applied. Nothing of it is stored, except where [`WriteError::Unknown`] says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The condition of an operation doesn't hold.
    #[error("operation {op}: the document is {}; read it again and decide anew", version(*.current))]
    Conflict {
        /// Which operation of the batch, from 0.
        op: usize,
        /// The version that is there.
        current: Option<u64>,
    },
    /// An operation breaks a bound.
    #[error("operation {op}: {reason}")]
    Invalid {
        /// Which operation of the batch, from 0.
        op: usize,
        /// Which bound, and what is allowed.
        reason: String,
    },
    /// The queue of writes is full.
    #[error("too many writes are waiting for the disk; try again later, and send less at once")]
    Busy,
    /// The disk, or the size that was allowed (for the file, or for Redis's memory), is used up.
    #[error(
        "no space left to write; free some space or allow more (writes work again by themselves then)"
    )]
    DiskFull,
    /// Another program holds the file's write lock.
    #[error(
        "another program holds the write lock of the database; end its transaction and try again"
    )]
    Locked,
    /// The commit broke off in a way that leaves it open whether the batch is stored. To repeat it is safe where it has a
    /// condition or a dedupe key.
    #[error(
        "the commit broke off ({0}): the write may be stored or not; read to find out, once the store is well again"
    )]
    Unknown(Arc<str>),
    /// The server can't be reached or can't serve now.
    #[error("the store can't be reached ({0}); try again later")]
    Unavailable(Arc<str>),
    /// The store can't write; [`Health`](crate::Health) says whether it may recover.
    #[error("the store can't write: {0}")]
    Failed(Arc<str>),
    /// The store was closed.
    #[error("the store is closed; open it again to write")]
    Closed,
}

fn version(current: Option<u64>) -> String {
    current.map_or_else(
        || "not there".to_owned(),
        |version| format!("at version {version}"),
    )
}

/// Why a read has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The queue of reads is full.
    #[error("too many reads are waiting; try again later, and ask less at once")]
    Busy,
    /// A query breaks a bound.
    #[error("query {query}: {reason}")]
    Invalid {
        /// Which query of the list, from 0.
        query: usize,
        /// Which bound, and what is allowed.
        reason: String,
    },
    /// The backend can't answer such a query ([`Store::can_search`](crate::Store::can_search) tells before).
    #[error(
        "a store in Redis can't search; read the entries and look through them, or keep the store in a file"
    )]
    Unsupported,
    /// The file can't be read, or the answer not understood.
    #[error("the store can't read: {0}")]
    Failed(Arc<str>),
    /// The server can't be reached or can't serve now.
    #[error("the store can't be reached ({0}); try again later")]
    Unavailable(Arc<str>),
    /// The store was closed.
    #[error("the store is closed; open it again to read")]
    Closed,
}

/// What closing could not do. All that was acknowledged is stored nevertheless.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloseError {
    /// The write-ahead log could not be moved into the file; the next open does it.
    #[error(
        "the last writes stay in the write-ahead log beside the database ({0}); keep both files together"
    )]
    Checkpoint(Arc<str>),
}
