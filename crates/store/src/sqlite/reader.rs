//! The threads that read, each with a connection of its own. A read sees the newest commit at the moment it begins.

use std::sync::Arc;

use rusqlite::Connection;

use super::apply;
use super::fault::{Meaning, meaning};
use crate::error::ReadError;
use crate::front::{FailOnPanic, Front, ReadJob};
use crate::query::Answer;
use crate::queue::Bounds;

/// One at a time: a long scan shall not hold up a short read that another thread could answer.
const EACH: Bounds = Bounds {
    items: 1,
    bytes: usize::MAX,
};

/// Works until the queue is closed and empty.
pub(crate) fn run(conn: &Connection, front: &Arc<Front>) {
    let _guard = FailOnPanic(front.clone());
    while let Some(group) = front.reads.take(EACH) {
        let count = group.items.len();
        for job in group.items {
            // Nobody waits any more: the work is spared.
            if !job.reply.is_closed() {
                let outcome = answer(conn, &job).map_err(|error| explain(&error, front));
                front.answer(job, outcome);
            }
        }
        front.reads.done(count, group.bytes);
    }
}

/// The transaction makes a snapshot: even one query is several statements, and a commit may come between them.
fn answer(conn: &Connection, job: &ReadJob) -> rusqlite::Result<Vec<Answer>> {
    conn.prepare_cached("BEGIN")?.execute([])?;
    let answers = apply::queries(conn, &job.queries, job.now_ms);
    let ended = conn.prepare_cached("COMMIT")?.execute([]);
    if ended.is_err() && !conn.is_autocommit() {
        conn.prepare_cached("ROLLBACK")?.execute([])?;
    }
    answers
}

fn explain(error: &rusqlite::Error, front: &Front) -> ReadError {
    let reason: Arc<str> = error.to_string().into();
    if let Meaning::Fatal(reason) = meaning(error) {
        front.fail(&reason);
    } else {
        front.note(&reason);
    }
    ReadError::Failed(reason)
}
