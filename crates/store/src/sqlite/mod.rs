//! The embedded backend: one SQLite file in WAL mode, one thread that writes and a few that read.
//!
//! Callers meet the threads at two bounded queues; nothing else is shared but health and counters.

mod apply;
mod counters;
mod documents;
mod fault;
mod logs;
mod open;
mod rankings;
mod reader;
mod schema;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use self::counters::Counters;
use self::documents::Versions;
use self::writer::Writer;
use crate::batch::Batch;
use crate::error::{CloseError, OpenError, ReadError, WriteError};
use crate::health::{Health, Stats};
use crate::query::Query;
use crate::queue::{Bounds, Queue, Refused};

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
    /// Most batches that may wait; more are turned away as [`WriteError::Busy`].
    pub write_queue: usize,
    /// Most bytes in the batches that wait.
    pub write_queue_bytes: usize,
    /// Most reads that may wait; more are turned away as [`ReadError::Busy`].
    pub read_queue: usize,
    /// Most batches in one commit.
    pub group: usize,
    /// Most bytes in one commit (one larger batch is still taken).
    pub group_bytes: usize,
    /// How long to wait for a lock that another program holds.
    pub busy_timeout_ms: u64,
    /// Page cache of each connection.
    pub cache_bytes: usize,
    /// The file shall not grow past this; writes then fail as [`WriteError::DiskFull`].
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

/// What callers and threads share.
pub(crate) struct Shared {
    path: PathBuf,
    writes: Queue<writer::Job>,
    reads: Queue<reader::Job>,
    health: Mutex<Health>,
    last_error: Mutex<Option<Arc<str>>>,
    counters: Counters,
    closed: watch::Sender<Option<Result<(), CloseError>>>,
}

impl Shared {
    fn health(&self) -> Health {
        self.health.lock().clone()
    }

    /// A store that failed stays so until it is closed.
    fn set_health(&self, health: Health) {
        let mut now = self.health.lock();
        if !matches!(*now, Health::Failed(_)) || health == Health::Closed {
            *now = health;
        }
    }

    fn note(&self, reason: &Arc<str>) {
        *self.last_error.lock() = Some(reason.clone());
    }

    fn impair(&self, reason: &Arc<str>) {
        if self.health().is_ok() {
            tracing::warn!(path = %self.path.display(), %reason, "a commit failed");
        }
        self.note(reason);
        self.set_health(Health::Impaired(reason.clone()));
    }

    fn fail(&self, reason: &Arc<str>) {
        tracing::error!(path = %self.path.display(), %reason, "the store writes no more until it is opened again");
        self.note(reason);
        self.set_health(Health::Failed(reason.clone()));
    }
}

/// An open file. Dropping it closes it in the background; [`Sqlite::close`] tells when that is done.
pub(crate) struct Sqlite {
    shared: Arc<Shared>,
}

impl Sqlite {
    pub(crate) fn open(path: &Path, options: &SqliteOptions) -> Result<Self, OpenError> {
        let opened = open::open(path, options)?;
        let io = |detail: String| OpenError::Io {
            path: path.to_owned(),
            detail,
        };
        let versions =
            Versions::load(&opened.writer).map_err(|error| open::explain(path, &error))?;
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            writes: Queue::new(Bounds {
                items: options.write_queue,
                bytes: options.write_queue_bytes,
            }),
            reads: Queue::new(Bounds {
                items: options.read_queue,
                bytes: usize::MAX,
            }),
            health: Mutex::default(),
            last_error: Mutex::default(),
            counters: Counters::default(),
            closed: watch::Sender::new(None),
        });
        // From here on a failure to start a thread closes the queues, and the threads that run end by themselves.
        let store = Self {
            shared: shared.clone(),
        };
        let mut readers = Vec::new();
        for conn in opened.readers {
            let shared = shared.clone();
            let reader = thread::Builder::new()
                .name("lakh-store-read".to_owned())
                .spawn(move || reader::run(&conn, &shared));
            readers.push(reader.map_err(|error| io(error.to_string()))?);
        }
        let writer = Writer {
            conn: opened.writer,
            versions,
            shared,
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

    pub(crate) fn write(
        &self,
        batch: Batch,
    ) -> Result<oneshot::Receiver<writer::Outcome>, WriteError> {
        let bytes = batch.bytes();
        let (reply, outcome) = oneshot::channel();
        self.shared
            .writes
            .push(writer::Job { batch, reply }, bytes)
            .map_err(|refused| match refused {
                Refused::Full => {
                    self.shared.counters.busy_write();
                    WriteError::Busy
                }
                Refused::Closed => WriteError::Closed,
            })?;
        Ok(outcome)
    }

    pub(crate) fn read(
        &self,
        now_ms: u64,
        queries: Vec<Query>,
    ) -> Result<oneshot::Receiver<reader::Outcome>, ReadError> {
        let (reply, outcome) = oneshot::channel();
        let job = reader::Job {
            now_ms,
            queries,
            reply,
        };
        self.shared
            .reads
            .push(job, 0)
            .map_err(|refused| match refused {
                Refused::Full => {
                    self.shared.counters.busy_read();
                    ReadError::Busy
                }
                Refused::Closed => ReadError::Closed,
            })?;
        Ok(outcome)
    }

    pub(crate) fn health(&self) -> Health {
        self.shared.health()
    }

    pub(crate) fn stats(&self) -> Stats {
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
        let (write_queue, write_queue_bytes) = self.shared.writes.depth();
        let mut stats = self.shared.counters.stats();
        stats.write_queue = write_queue as u64;
        stats.write_queue_bytes = write_queue_bytes as u64;
        stats.read_queue = self.shared.reads.depth().0 as u64;
        stats.file_bytes = size(&self.shared.path);
        stats.wal_bytes = size(&open::beside(&self.shared.path, "-wal"));
        stats.last_error = self.shared.last_error.lock().clone();
        stats
    }

    /// Takes in no more, finishes what waits, and closes the file.
    pub(crate) fn close(&self) -> impl Future<Output = Result<(), CloseError>> + Send + use<> {
        self.shut();
        let mut closed = self.shared.closed.subscribe();
        async move {
            match closed.wait_for(Option::is_some).await.as_deref() {
                Ok(Some(result)) => result.clone(),
                // The sender lives as long as the writer thread, which sends before it ends.
                _ => Ok(()),
            }
        }
    }

    fn shut(&self) {
        self.shared.reads.close();
        self.shared.writes.close();
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.shut();
    }
}

/// If one of the threads dies of a bug, nobody shall wait for it for ever.
struct FailOnPanic(Arc<Shared>);

impl Drop for FailOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            let reason: Arc<str> = "a thread of the store panicked; restart".into();
            self.0.fail(&reason);
            self.0.writes.abandon();
            self.0.reads.abandon();
            self.0
                .closed
                .send_replace(Some(Err(CloseError::Checkpoint(reason))));
        }
    }
}
