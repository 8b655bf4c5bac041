//! The threads that read, each with a connection of its own. A read sees the newest commit at the moment it begins.

use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::fault::{Meaning, meaning};
use super::{FailOnPanic, Shared, apply};
use crate::error::ReadError;
use crate::query::{Answer, Query};
use crate::queue::Bounds;

pub(crate) type Outcome = Result<Vec<Answer>, ReadError>;

/// Queries to answer from one snapshot, and who waits for it.
pub(crate) struct Job {
    pub(crate) now_ms: u64,
    pub(crate) queries: Vec<Query>,
    pub(crate) reply: oneshot::Sender<Outcome>,
}

/// One at a time: a long scan shall not hold up a short read that another thread could answer.
const EACH: Bounds = Bounds {
    items: 1,
    bytes: usize::MAX,
};

/// Works until the queue is closed and empty.
pub(crate) fn run(conn: &Connection, shared: &Arc<Shared>) {
    let _guard = FailOnPanic(shared.clone());
    while let Some(group) = shared.reads.take(EACH) {
        let count = group.items.len();
        for job in group.items {
            // Nobody waits any more: the work is spared.
            if !job.reply.is_closed() {
                let outcome = answer(conn, &job).map_err(|error| explain(&error, shared));
                shared
                    .counters
                    .reads
                    .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let _ = job.reply.send(outcome);
            }
        }
        shared.reads.done(count, group.bytes);
    }
}

/// The transaction makes a snapshot: even one query is several statements, and a commit may come between them.
fn answer(conn: &Connection, job: &Job) -> rusqlite::Result<Vec<Answer>> {
    conn.prepare_cached("BEGIN")?.execute([])?;
    let answers = apply::queries(conn, &job.queries, job.now_ms);
    let ended = conn.prepare_cached("COMMIT")?.execute([]);
    if ended.is_err() && !conn.is_autocommit() {
        conn.prepare_cached("ROLLBACK")?.execute([])?;
    }
    answers
}

fn explain(error: &rusqlite::Error, shared: &Shared) -> ReadError {
    let reason: Arc<str> = error.to_string().into();
    if let Meaning::Fatal(reason) = meaning(error) {
        shared.fail(&reason);
    } else {
        shared.note(&reason);
    }
    ReadError::Failed(reason)
}
