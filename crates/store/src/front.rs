//! Where callers meet the threads of a backend: two bounded queues, and what both sides know of each other.

use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use crate::batch::{Applied, Batch};
use crate::counters::Counters;
use crate::error::{CloseError, ReadError, WriteError};
use crate::health::{Health, Stats};
use crate::query::{Answer, Query};
use crate::queue::{Bounds, Queue, Refused};

/// What became of a batch.
pub(crate) type Written = Result<Vec<Applied>, WriteError>;
/// What became of a list of queries.
pub(crate) type Answered = Result<Vec<Answer>, ReadError>;

/// A batch, and who waits for it.
pub(crate) struct WriteJob {
    pub(crate) batch: Batch,
    pub(crate) reply: oneshot::Sender<Written>,
}

/// Queries to answer from one snapshot, and who waits for it.
pub(crate) struct ReadJob {
    pub(crate) now_ms: u64,
    pub(crate) queries: Vec<Query>,
    pub(crate) reply: oneshot::Sender<Answered>,
}

pub(crate) struct Front {
    /// The file or server, as log lines name it.
    pub(crate) place: String,
    pub(crate) writes: Queue<WriteJob>,
    pub(crate) reads: Queue<ReadJob>,
    pub(crate) counters: Counters,
    health: Mutex<Health>,
    last_error: Mutex<Option<Arc<str>>>,
    closed: watch::Sender<Option<Result<(), CloseError>>>,
}

impl Front {
    pub(crate) fn new(place: String, writes: Bounds, reads: usize) -> Self {
        Self {
            place,
            writes: Queue::new(writes),
            reads: Queue::new(Bounds {
                items: reads,
                bytes: usize::MAX,
            }),
            counters: Counters::default(),
            health: Mutex::default(),
            last_error: Mutex::default(),
            closed: watch::Sender::new(None),
        }
    }

    pub(crate) fn write(&self, batch: Batch) -> Result<oneshot::Receiver<Written>, WriteError> {
        let bytes = batch.bytes();
        let (reply, outcome) = oneshot::channel();
        let pushed = self.writes.push(WriteJob { batch, reply }, bytes);
        pushed.map_err(|refused| match refused {
            Refused::Full => {
                self.counters.busy_write();
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
    ) -> Result<oneshot::Receiver<Answered>, ReadError> {
        let (reply, outcome) = oneshot::channel();
        let job = ReadJob {
            now_ms,
            queries,
            reply,
        };
        self.reads.push(job, 0).map_err(|refused| match refused {
            Refused::Full => {
                self.counters.busy_read();
                ReadError::Busy
            }
            Refused::Closed => ReadError::Closed,
        })?;
        Ok(outcome)
    }

    /// Answers who waits for a read. (Who no longer waits has dropped the other end.)
    pub(crate) fn answer(&self, job: ReadJob, outcome: Answered) {
        self.counters.answered_read();
        let _ = job.reply.send(outcome);
    }

    /// Counts a group, gives back its room in the queue, and tells everybody. (Who no longer waits has dropped the other end;
    /// the write stands.)
    pub(crate) fn settle(&self, jobs: Vec<WriteJob>, bytes: usize, outcomes: Vec<Written>) {
        let batches: Vec<&Batch> = jobs.iter().map(|job| &job.batch).collect();
        self.counters.record(&batches, &outcomes);
        self.writes.done(jobs.len(), bytes);
        for (job, outcome) in jobs.into_iter().zip(outcomes) {
            let _ = job.reply.send(outcome);
        }
    }

    pub(crate) fn health(&self) -> Health {
        self.health.lock().clone()
    }

    /// A store that failed stays so until it is closed.
    pub(crate) fn set_health(&self, health: Health) {
        let mut now = self.health.lock();
        if !matches!(*now, Health::Failed(_)) || health == Health::Closed {
            *now = health;
        }
    }

    /// Remembers an error that changes nothing for others.
    pub(crate) fn note(&self, reason: &Arc<str>) {
        *self.last_error.lock() = Some(reason.clone());
    }

    pub(crate) fn impair(&self, reason: &Arc<str>) {
        if self.health().is_ok() {
            tracing::warn!(place = %self.place, %reason, "the store is impaired");
        }
        self.note(reason);
        self.set_health(Health::Impaired(reason.clone()));
    }

    pub(crate) fn fail(&self, reason: &Arc<str>) {
        tracing::error!(place = %self.place, %reason, "the store writes no more until it is opened again");
        self.note(reason);
        self.set_health(Health::Failed(reason.clone()));
    }

    /// Everything but the sizes of files.
    pub(crate) fn stats(&self) -> Stats {
        let (write_queue, write_queue_bytes) = self.writes.depth();
        let mut stats = self.counters.stats();
        stats.write_queue = write_queue as u64;
        stats.write_queue_bytes = write_queue_bytes as u64;
        stats.read_queue = self.reads.depth().0 as u64;
        stats.last_error = self.last_error.lock().clone();
        stats
    }

    /// Takes in no more; what waits is finished.
    pub(crate) fn shut(&self) {
        self.reads.close();
        self.writes.close();
    }

    /// Shuts, and waits for the backend to say [`Front::closed`].
    pub(crate) fn close(&self) -> impl Future<Output = Result<(), CloseError>> + Send + use<> {
        self.shut();
        let mut closed = self.closed.subscribe();
        async move {
            match closed.wait_for(Option::is_some).await.as_deref() {
                Ok(Some(result)) => result.clone(),
                // The sender lives as long as the writer thread, which sends before it ends.
                _ => Ok(()),
            }
        }
    }

    pub(crate) fn closed(&self, result: Result<(), CloseError>) {
        self.set_health(Health::Closed);
        self.closed.send_replace(Some(result));
    }
}

/// If one of the threads dies of a bug, nobody shall wait for it for ever.
pub(crate) struct FailOnPanic(pub(crate) Arc<Front>);

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
