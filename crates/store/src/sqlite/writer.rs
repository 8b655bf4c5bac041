//! The one thread that writes. It takes all that waits, commits it in one transaction, and then answers everybody.
//!
//! The common way runs a group together: a batch that is refused rolls back to its own savepoint (a batch of one operation needs
//! none: it checks before it writes). When SQLite itself fails, the transaction as a whole can't be trusted (a full disk may
//! have rolled it back already), so it is rolled back and each batch is tried alone: those that fail, fail alone.

use std::fs::File;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use super::apply;
use super::documents::Versions;
use super::fault::{Fault, Meaning, meaning};
use super::texts::{self, Unindexed};
use crate::batch::Batch;
use crate::error::{CloseError, WriteError};
use crate::front::{FailOnPanic, Front, Written};
use crate::health::Health;
use crate::queue::{Bounds, Taken};

/// After so long without a write there is time to index words.
const IDLE: Duration = Duration::from_millis(250);

pub(crate) struct Writer {
    pub(crate) conn: Connection,
    pub(crate) versions: Versions,
    pub(crate) unindexed: Unindexed,
    pub(crate) front: Arc<Front>,
    pub(crate) group: Bounds,
    pub(crate) readers: Vec<JoinHandle<()>>,
    pub(crate) lock: File,
}

impl Writer {
    /// Works until the queue is closed and empty, then closes the file.
    pub(crate) fn run(mut self) {
        let guard = FailOnPanic(self.front.clone());
        loop {
            let patience = match self.unindexed.is_empty() {
                true => Duration::MAX,
                false => IDLE,
            };
            match self.front.writes.take_for(self.group, patience) {
                Taken::Items(group) => {
                    let batches: Vec<&Batch> = group.items.iter().map(|job| &job.batch).collect();
                    let outcomes = self.write(&batches);
                    self.front.settle(group.items, group.bytes, outcomes);
                    // Everybody has their answer before that.
                    if self.unindexed.is_due() {
                        self.index();
                    }
                }
                Taken::Nothing => self.index(),
                Taken::Closed => break,
            }
        }
        self.index();
        let front = self.front.clone();
        front.closed(self.close());
        drop(guard);
    }

    fn write(&mut self, batches: &[&Batch]) -> Vec<Written> {
        if let Health::Failed(reason) = self.front.health() {
            return vec![Err(WriteError::Failed(reason)); batches.len()];
        }
        match self.commit(|writer| writer.execute(batches)) {
            Ok(outcomes) => {
                batches.iter().for_each(|batch| self.unindexed.count(batch));
                self.front.set_health(Health::Ok);
                outcomes
            }
            Err(Broken::Commit(reason)) => {
                self.front.fail(&reason);
                vec![Err(WriteError::Unknown(reason)); batches.len()]
            }
            Err(Broken::Statement(Meaning::Full | Meaning::Other(_))) if batches.len() > 1 => {
                batches
                    .iter()
                    .flat_map(|batch| self.write(&[*batch]))
                    .collect()
            }
            Err(Broken::Statement(meaning)) => vec![Err(self.blame(meaning)); batches.len()],
        }
    }

    /// Puts the words that wait into the index. Where that can't be, they wait on, and are found all the same.
    fn index(&mut self) {
        if self.unindexed.is_empty() || matches!(self.front.health(), Health::Failed(_)) {
            return;
        }
        match self.commit(|writer| texts::index(&writer.conn)) {
            Ok(()) => self.unindexed = Unindexed::default(),
            Err(Broken::Commit(reason)) => self.front.fail(&reason),
            Err(Broken::Statement(meaning)) => {
                self.blame(meaning);
            }
        }
    }

    /// What the callers are told, and what the store's health becomes.
    fn blame(&self, meaning: Meaning) -> WriteError {
        let (error, health) = match meaning {
            Meaning::Full => (WriteError::DiskFull, None),
            Meaning::Locked => (WriteError::Locked, None),
            Meaning::Other(reason) => (WriteError::Failed(reason), None),
            Meaning::Fatal(reason) => (WriteError::Failed(reason.clone()), Some(reason)),
        };
        match health {
            Some(reason) => self.front.fail(&reason),
            None => self.front.impair(&error.to_string().into()),
        }
        error
    }

    /// Does something in a transaction.
    fn commit<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> rusqlite::Result<T>,
    ) -> Result<T, Broken> {
        let done = self.run_sql("BEGIN IMMEDIATE").and_then(|()| work(self));
        let done = match done {
            Ok(done) => done,
            Err(error) => {
                self.roll_back();
                return Err(Broken::Statement(meaning(&error)));
            }
        };
        match self.run_sql("COMMIT") {
            Ok(()) => Ok(done),
            Err(error) => {
                self.roll_back();
                // Out of space or not given the lock: the commit mark was not written. After anything else (a failed
                // fsync above all) it may be in the file, and only the next open can tell.
                Err(match meaning(&error) {
                    passing @ (Meaning::Full | Meaning::Locked) => Broken::Statement(passing),
                    Meaning::Fatal(reason) | Meaning::Other(reason) => Broken::Commit(reason),
                })
            }
        }
    }

    /// Runs a group. An error leaves the transaction in any state.
    fn execute(&mut self, batches: &[&Batch]) -> rusqlite::Result<Vec<Written>> {
        batches
            .iter()
            .map(|batch| self.execute_one(batch))
            .collect()
    }

    fn execute_one(&mut self, batch: &Batch) -> rusqlite::Result<Written> {
        let guarded = batch.ops().len() > 1;
        if guarded {
            self.run_sql("SAVEPOINT batch")?;
        }
        let outcome = match apply::batch(&self.conn, &mut self.versions, batch) {
            Ok(results) => Ok(results),
            Err((_, Fault::Sql(error))) => return Err(error),
            Err((op, Fault::Conflict(current))) => Err(WriteError::Conflict { op, current }),
            Err((op, Fault::Invalid(reason))) => Err(WriteError::Invalid { op, reason }),
        };
        if guarded {
            if outcome.is_err() {
                self.run_sql("ROLLBACK TO batch")?;
                self.versions.rolled_back(&self.conn)?;
            }
            self.run_sql("RELEASE batch")?;
        }
        Ok(outcome)
    }

    fn run_sql(&self, sql: &str) -> rusqlite::Result<()> {
        self.conn.prepare_cached(sql)?.execute([]).map(drop)
    }

    fn roll_back(&mut self) {
        let undone = if self.conn.is_autocommit() {
            Ok(())
        } else {
            self.run_sql("ROLLBACK")
        };
        if let Err(error) = undone.and_then(|()| self.versions.rolled_back(&self.conn)) {
            self.front
                .fail(&format!("a transaction could not be rolled back: {error}").into());
        }
    }

    /// Moves the write-ahead log into the file and lets go of both.
    fn close(self) -> Result<(), CloseError> {
        for reader in self.readers {
            // A reader that panicked has nothing that needs closing.
            let _ = reader.join();
        }
        let checkpoint = self
            .conn
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
                row.get::<_, i64>(0)
            })
            .map_err(|error| error.to_string())
            .and_then(|busy| {
                if busy == 0 {
                    Ok(())
                } else {
                    Err("another program reads the file".to_owned())
                }
            });
        let closed = self.conn.close().map_err(|(_, error)| error.to_string());
        drop(self.lock);
        checkpoint
            .and(closed)
            .map_err(|reason| CloseError::Checkpoint(reason.into()))
    }
}

/// Why a group was not committed.
enum Broken {
    /// A statement failed; nothing is stored.
    Statement(Meaning),
    /// The commit itself failed.
    Commit(Arc<str>),
}
