//! The threads that read, each with a connection to the server that the writer found, so that a read sees what was acknowledged.

use std::collections::VecDeque;
use std::sync::Arc;

use redis::{RedisError, ServerError, Value};

use super::fault::{Fault, fault, reason};
use super::link::Link;
use super::{Settings, Shared, decode, encode};
use crate::error::ReadError;
use crate::front::{Answered, FailOnPanic, ReadJob};
use crate::queue::Bounds;

/// What waits is asked in one go: Redis answers one after the other anyway.
const GROUP: Bounds = Bounds {
    items: 64,
    bytes: usize::MAX,
};

/// A connection, and which of the writer's it belongs to.
struct Own {
    generation: u64,
    link: Link,
}

pub(crate) struct Reader {
    pub(crate) settings: Arc<Settings>,
    pub(crate) shared: Arc<Shared>,
}

/// Why the jobs that are left have no answer.
enum Stop {
    /// The connection ended, or doesn't know the script: another one may do.
    Retry(Arc<str>),
    /// The server is silent or can't be reached.
    Silent(Arc<str>),
}

impl Reader {
    /// Works until the queue is closed and empty.
    pub(crate) fn run(self) {
        let front = &self.shared.front;
        let _guard = FailOnPanic(front.clone());
        let mut own = None;
        while let Some(group) = front.reads.take(GROUP) {
            let count = group.items.len();
            // Nobody waits any more: the work is spared.
            let waiting = group.items.into_iter().filter(|job| !job.reply.is_closed());
            self.serve(&mut own, waiting.collect());
            front.reads.done(count, group.bytes);
        }
    }

    /// Answers every job. Reading changes nothing, so a connection that was cut is tried once more before anybody is told.
    fn serve(&self, own: &mut Option<Own>, mut jobs: VecDeque<ReadJob>) {
        let mut cut = None;
        for _ in 0..2 {
            let Some((generation, server)) = self.shared.up() else {
                break;
            };
            if own.as_ref().is_some_and(|own| own.generation != generation) {
                *own = None;
            }
            if own.is_none() {
                match Link::open(&server, &self.settings, &self.settings.read_script) {
                    Ok(link) => *own = Some(Own { generation, link }),
                    Err(error) => {
                        self.shared.suspect(generation, &reason(&error));
                        break;
                    }
                }
            }
            let Some(Own { link, .. }) = own else { break };
            match self.exchange(link, &mut jobs) {
                Ok(()) => return,
                Err(Stop::Retry(why)) => cut = Some(why),
                Err(Stop::Silent(why)) => self.shared.suspect(generation, &why),
            }
            *own = None;
        }
        let reason = self
            .shared
            .down()
            .or(cut)
            .unwrap_or_else(|| "the connection ends again and again".into());
        for job in jobs {
            self.shared
                .front
                .answer(job, Err(ReadError::Unavailable(reason.clone())));
        }
    }

    /// Asks all at once and answers one after the other; those without an answer stay in `jobs`.
    fn exchange(&self, link: &mut Link, jobs: &mut VecDeque<ReadJob>) -> Result<(), Stop> {
        let mut packed = Vec::new();
        for job in jobs.iter() {
            let mut call = encode::call(&link.sha, &self.settings.mark_key);
            call.arg(&self.settings.prefix);
            encode::queries(&mut call, job.now_ms, &job.queries);
            call.write_packed_command(&mut packed);
        }
        if packed.is_empty() {
            return Ok(());
        }
        link.send(&packed).map_err(|error| stop(&error))?;
        while let Some(job) = jobs.front() {
            let answer = link.receive().map_err(|error| stop(&error))?;
            let outcome = understand(job, answer)?;
            if let Some(job) = jobs.pop_front() {
                if let Err(error) = &outcome {
                    self.shared.front.note(&error.to_string().into());
                }
                self.shared.front.answer(job, outcome);
            }
        }
        Ok(())
    }
}

fn understand(job: &ReadJob, answer: Result<Value, ServerError>) -> Result<Answered, Stop> {
    let error = match answer.map(|value| decode::answers(&job.queries, value)) {
        Ok(Ok(answers)) => return Ok(Ok(answers)),
        Ok(Err(odd)) => return Ok(Err(ReadError::Failed(odd.to_string().into()))),
        Err(error) => error,
    };
    let text: Arc<str> = RedisError::from(error.clone()).to_string().into();
    match fault(&error) {
        Fault::Scriptless => Err(Stop::Retry(text)),
        Fault::Elsewhere => Err(Stop::Silent(text)),
        Fault::Away(reason) => Ok(Err(ReadError::Unavailable(reason))),
        _ => Ok(Err(ReadError::Failed(text))),
    }
}

fn stop(error: &RedisError) -> Stop {
    if error.is_timeout() {
        Stop::Silent(reason(error))
    } else {
        Stop::Retry(reason(error))
    }
}
