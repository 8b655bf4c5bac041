//! The embedded backend: one SQLite file in WAL mode, one thread that writes and a few that read.
//!
//! Callers meet the threads at two bounded queues; nothing else is shared but health and counters.

mod apply;
mod documents;
mod fault;
mod logs;
mod open;
mod rankings;
mod reader;
mod schema;
mod texts;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use rusqlite::Connection;

use self::documents::Versions;
use self::texts::Unindexed;
use self::writer::Writer;
use crate::error::OpenError;
use crate::front::Front;
use crate::health::Stats;
use crate::queue::Bounds;

/// When a commit counts as done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// When it is on the disk (fsync): it survives a loss of power.
    #[default]
    Full,
    /// When the system has it: it survives a crash of the process, but a loss of power may take the last commits (never half
    /// of one).
    Normal,
}

/// Settings of the SQLite backend.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// When a commit counts as done.
    pub synchronous: Synchronous,
    /// Threads that read, each with a connection; at least 1.
    pub readers: usize,
    /// Most batches that may wait; more are turned away as [`WriteError::Busy`](crate::WriteError::Busy).
    pub write_queue: usize,
    /// Most bytes in the batches that wait.
    pub write_queue_bytes: usize,
    /// Most reads that may wait; more are turned away as [`ReadError::Busy`](crate::ReadError::Busy).
    pub read_queue: usize,
    /// Most batches in one commit.
    pub group: usize,
    /// Most bytes in one commit (one larger batch is still taken).
    pub group_bytes: usize,
    /// How long to wait for a lock that another program holds.
    pub busy_timeout_ms: u64,
    /// Page cache of each connection.
    pub cache_bytes: usize,
    /// The file shall not grow past this; writes then fail as [`WriteError::DiskFull`](crate::WriteError::DiskFull).
    pub max_file_bytes: Option<u64>,
    /// Check the whole file when it is opened. Takes as long as reading it.
    pub verify_on_open: bool,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            synchronous: Synchronous::Full,
            readers: 2,
            write_queue: 32_768,
            write_queue_bytes: 64 << 20,
            read_queue: 8192,
            group: 1024,
            group_bytes: 8 << 20,
            busy_timeout_ms: 5000,
            cache_bytes: 8 << 20,
            max_file_bytes: None,
            verify_on_open: false,
        }
    }
}

/// An open file. Dropping it closes it in the background; [`Sqlite::close`] tells when that is done.
pub(crate) struct Sqlite {
    path: PathBuf,
    front: Arc<Front>,
}

impl Sqlite {
    pub(crate) fn open(path: &Path, options: &SqliteOptions) -> Result<Self, OpenError> {
        let opened = open::open(path, options)?;
        let io = |detail: String| OpenError::Io {
            path: path.to_owned(),
            detail,
        };
        let explain = |error: rusqlite::Error| open::explain(path, &error);
        let versions = Versions::load(&opened.writer).map_err(explain)?;
        let unindexed = Unindexed::load(&opened.writer).map_err(explain)?;
        let writes = Bounds {
            items: options.write_queue,
            bytes: options.write_queue_bytes,
        };
        let place = path.display().to_string();
        let front = Arc::new(Front::new(place, writes, options.read_queue));
        // From here on a failure to start a thread closes the queues, and the threads that run end by themselves.
        let store = Self {
            path: path.to_owned(),
            front: front.clone(),
        };
        let mut readers = Vec::new();
        for conn in opened.readers {
            let front = front.clone();
            let reader = thread::Builder::new()
                .name("lakh-store-read".to_owned())
                .spawn(move || reader::run(&conn, &front));
            readers.push(reader.map_err(|error| io(error.to_string()))?);
        }
        let writer = Writer {
            conn: opened.writer,
            versions,
            unindexed,
            front,
            group: Bounds {
                items: options.group,
                bytes: options.group_bytes,
            },
            readers,
            lock: opened.lock,
        };
        thread::Builder::new()
            .name("lakh-store-write".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| io(error.to_string()))?;
        Ok(store)
    }

    pub(crate) fn front(&self) -> &Front {
        &self.front
    }

    pub(crate) fn stats(&self) -> Stats {
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
        let mut stats = self.front.stats();
        stats.file_bytes = size(&self.path);
        stats.wal_bytes = size(&open::beside(&self.path, "-wal"));
        stats
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.front.shut();
    }
}

/// Does something while SQLite overwrites what it frees.
fn wiping<T>(conn: &Connection, work: impl FnOnce() -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    let switch = |on: bool| conn.pragma_update(None, "secure_delete", on);
    switch(true)?;
    let outcome = work();
    switch(false)?;
    outcome
}
