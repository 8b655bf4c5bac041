//! The one thread that writes. It sends all that waits in one go, as few calls of one script, and then answers
//! everybody.
//!
//! Only one connection writes at a time: each puts a mark of its own, and a script that finds another one does nothing. So what
//! an older connection left behind (a server that was stopped finds it in its socket when it goes on) is never executed after
//! what was written since, and what a script says it didn't execute can be sent again in the old order.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use redis::{RedisResult, ServerError, Value, cmd};

use super::address::Target;
use super::decode::Told;
use super::fault::{Fault, fault, reason};
use super::link::{self, Link};
use super::{Settings, Shared, decode, encode};
use crate::batch::Batch;
use crate::error::WriteError;
use crate::front::{FailOnPanic, Written};
use crate::health::Health;
use crate::queue::{Bounds, Taken};

/// A connection that is not used is tried this often, so that the store knows how it is before somebody needs it.
const IDLE: Duration = Duration::from_secs(1);
/// The first wait after a connection was refused.
pub(crate) const BACKOFF: Duration = Duration::from_millis(50);
const LONGEST_BACKOFF: Duration = Duration::from_secs(2);
/// What one call of the script takes. Redis serves nobody else while it runs; but it reads 16 KiB at a time, and fsyncs after what
/// it has executed of them: with one call for each batch, 256 writers got half as much done.
const CALL: Bounds = Bounds {
    items: 128,
    bytes: 256 << 10,
};
/// How often a batch that was certainly not executed is sent again before its caller is told.
const TRIES: usize = 4;

pub(crate) struct Writer {
    pub(crate) target: Target,
    pub(crate) settings: Arc<Settings>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) group: Bounds,
    pub(crate) readers: Vec<JoinHandle<()>>,
    pub(crate) link: Option<Link>,
    pub(crate) backoff: Duration,
    pub(crate) next_try: Instant,
}

/// What must be done before batches that were not executed are sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    Mark,
    Load,
    Reconnect,
}

impl Writer {
    /// Works until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        let front = self.shared.front.clone();
        let guard = FailOnPanic(front.clone());
        loop {
            match front.writes.take_for(self.group, self.patience()) {
                Taken::Items(group) => {
                    let batches: Vec<&Batch> = group.items.iter().map(|job| &job.batch).collect();
                    let outcomes = self.write(&batches);
                    self.judge(&outcomes);
                    front.settle(group.items, group.bytes, outcomes);
                }
                Taken::Nothing => self.tend(),
                Taken::Closed => break,
            }
        }
        for reader in self.readers {
            // A reader that panicked has said so itself.
            let _ = reader.join();
        }
        if let Some(mut link) = self.link {
            // Not needed, but tidy: a mark that stays goes by itself after a day.
            let _ = link.ask(cmd("UNLINK").arg(&self.settings.mark_key));
        }
        front.closed(Ok(()));
        drop(guard);
    }

    fn patience(&self) -> Duration {
        match self.link {
            Some(_) => IDLE,
            None => self.next_try.saturating_duration_since(Instant::now()),
        }
    }

    /// Nothing is to be written: looks after the connection.
    fn tend(&mut self) {
        self.heed_suspicion();
        if let Some(link) = &mut self.link {
            if let Err(error) = link.ask(&cmd("PING")) {
                self.fall(reason(&error));
            }
        } else {
            self.connect();
        }
    }

    /// A reader has met a silent server: a new connection shows whether it still is.
    fn heed_suspicion(&mut self) {
        if self.link.is_some() && self.shared.down().is_some() {
            self.link = None;
            self.connect();
        }
    }

    fn connect(&mut self) {
        match link::connect(&self.target, &self.settings) {
            Ok(link) => {
                self.shared.rise(link.server.clone());
                self.link = Some(link);
                self.backoff = BACKOFF;
            }
            Err(refusal) => {
                let reason = match refusal {
                    link::Refusal::Other(reason) => reason,
                    link::Refusal::Format(found) => {
                        format!("its keys have format {found}, of a newer version").into()
                    }
                };
                self.fall(reason);
                self.next_try = Instant::now() + self.settings.jittered(self.backoff);
                self.backoff = (self.backoff * 2).min(LONGEST_BACKOFF);
            }
        }
    }

    /// The connection is gone. The next one is tried at once.
    fn fall(&mut self, reason: Arc<str>) {
        self.link = None;
        self.shared.fall(reason);
        self.next_try = Instant::now();
    }

    /// What the outcomes say about the store's health.
    fn judge(&self, outcomes: &[Written]) {
        let ill = outcomes.iter().find_map(|outcome| match outcome {
            Err(
                error @ (WriteError::DiskFull | WriteError::Failed(_) | WriteError::Unknown(_)),
            ) => Some(error),
            _ => None,
        });
        if let Some(error) = ill {
            self.shared.front.impair(&error.to_string().into());
        } else if self.shared.down().is_none() {
            self.shared.front.set_health(Health::Ok);
        }
    }

    fn write(&mut self, batches: &[&Batch]) -> Vec<Written> {
        self.heed_suspicion();
        let mut outcomes: Vec<Option<Written>> = vec![None; batches.len()];
        for _ in 0..TRIES {
            let left: Vec<usize> = (0..batches.len())
                .filter(|&index| outcomes[index].is_none())
                .collect();
            if left.is_empty() || self.link.is_none() {
                break;
            }
            if let Some(again) = self.exchange(batches, &left, &mut outcomes) {
                self.prepare(again);
            }
        }
        let reason = self
            .shared
            .down()
            .unwrap_or_else(|| "Redis sends us from one server to the next".into());
        let away = |outcome: Option<Written>| {
            outcome.unwrap_or_else(|| Err(WriteError::Unavailable(reason.clone())))
        };
        outcomes.into_iter().map(away).collect()
    }

    fn prepare(&mut self, again: Again) {
        let Some(link) = &mut self.link else { return };
        let prepared = match again {
            Again::Load => link.load(&self.settings.write_script),
            Again::Mark => link
                .make_mark(&self.settings)
                .and_then(|made| Ok(made.map(drop)?)),
            Again::Reconnect => {
                self.link = None;
                return self.connect();
            }
        };
        if let Err(error) = prepared {
            self.fall(reason(&error));
        }
    }

    /// Sends the batches that are left, and takes what is answered. Says what to do first if some were not executed.
    fn exchange(
        &mut self,
        batches: &[&Batch],
        left: &[usize],
        outcomes: &mut [Option<Written>],
    ) -> Option<Again> {
        let link = self.link.as_mut()?;
        let calls = calls(batches, left);
        let mut again = None;
        let mut away = None;
        let mut unanswered = calls.iter();
        let sent = link.send(&self.settings.pack(link, batches, &calls));
        let exchanged = sent.and_then(|()| {
            while let Some(call) = unanswered.as_slice().first() {
                let answer = link.receive()?;
                unanswered.next();
                let understood = understand(call.iter().map(|&index| batches[index]), answer);
                for (&index, understood) in call.iter().zip(understood) {
                    match understood {
                        Understood::Outcome(outcome) => outcomes[index] = Some(outcome),
                        Understood::Again(first) => again = again.or(Some(first)),
                        Understood::Away(reason) => {
                            away = Some(reason.clone());
                            outcomes[index] = Some(Err(WriteError::Unavailable(reason)));
                        }
                    }
                }
            }
            self.settings.reached(link)
        });
        match exchanged {
            Ok(reached) if reached < self.settings.replicas => {
                let wanted = self.settings.replicas;
                doubt(
                    outcomes,
                    left,
                    &format!("{reached} of {wanted} replicas have it").into(),
                );
            }
            Ok(_) => {}
            Err(error) => {
                let reason = reason(&error);
                // It may have been executed, or be executed until the next connection puts its mark.
                for &index in unanswered.copied().flatten() {
                    outcomes[index] = Some(Err(WriteError::Unknown(reason.clone())));
                }
                if self.settings.replicas > 0 {
                    doubt(outcomes, left, &reason);
                }
                away = Some(reason);
            }
        }
        if let Some(reason) = away {
            self.fall(reason);
        }
        again
    }
}

/// What is stored, but not as safely as was asked for, is not acknowledged.
fn doubt(outcomes: &mut [Option<Written>], left: &[usize], reason: &Arc<str>) {
    for &index in left {
        if matches!(outcomes[index], Some(Ok(_))) {
            outcomes[index] = Some(Err(WriteError::Unknown(reason.clone())));
        }
    }
}

/// Which batches go into one call of the script.
fn calls<'a>(batches: &[&Batch], left: &'a [usize]) -> Vec<&'a [usize]> {
    let mut calls = Vec::new();
    let mut rest = left;
    while !rest.is_empty() {
        let mut bytes = 0;
        let full = |&index: &usize| {
            bytes += batches[index].bytes();
            bytes > CALL.bytes
        };
        let fit = rest.iter().position(full).unwrap_or(rest.len());
        let (call, later) = rest.split_at(fit.clamp(1, CALL.items.min(rest.len())));
        calls.push(call);
        rest = later;
    }
    calls
}

enum Understood {
    Outcome(Written),
    /// It was not executed, and can be once something is done.
    Again(Again),
    /// It was not executed, and this server can't.
    Away(Arc<str>),
}

impl Settings {
    fn pack(&self, link: &Link, batches: &[&Batch], calls: &[&[usize]]) -> Vec<u8> {
        let mut packed = Vec::new();
        for indices in calls {
            let mut call = encode::call(&link.sha, &self.mark_key);
            call.arg(&link.mark).arg(&self.prefix);
            for &index in *indices {
                encode::batch(&mut call, batches[index]);
            }
            call.write_packed_command(&mut packed);
        }
        if self.replicas > 0 {
            let wait_ms = self.answer_timeout.as_millis() as u64 / 2;
            cmd("WAIT")
                .arg(self.replicas)
                .arg(wait_ms)
                .write_packed_command(&mut packed);
        }
        packed
    }

    /// Takes the answer of WAIT: how many replicas have what was written, if that was asked.
    fn reached(&self, link: &mut Link) -> RedisResult<usize> {
        if self.replicas == 0 {
            return Ok(0);
        }
        Ok(redis::from_redis_value(link.receive()??)?)
    }
}

/// One for each batch of the call.
fn understand<'a>(
    batches: impl ExactSizeIterator<Item = &'a Batch>,
    answer: Result<Value, ServerError>,
) -> Vec<Understood> {
    let count = batches.len();
    match answer.map(|value| decode::written(batches, value)) {
        Ok(Ok(Some(told))) => told
            .into_iter()
            .map(|told| match told {
                Told::Written(outcome) => Understood::Outcome(outcome),
                Told::Error(fault) => follow(fault),
            })
            .collect(),
        Ok(Ok(None)) => (0..count).map(|_| Understood::Again(Again::Mark)).collect(),
        Ok(Err(odd)) => {
            let broken = Fault::Broken(odd.to_string().into());
            (0..count).map(|_| follow(broken.clone())).collect()
        }
        Err(error) => (0..count).map(|_| follow(fault(&error))).collect(),
    }
}

fn follow(fault: Fault) -> Understood {
    match fault {
        Fault::Scriptless => Understood::Again(Again::Load),
        Fault::Elsewhere => Understood::Again(Again::Reconnect),
        Fault::Away(reason) => Understood::Away(reason),
        Fault::Full => Understood::Outcome(Err(WriteError::DiskFull)),
        Fault::Refused(reason) => Understood::Outcome(Err(WriteError::Failed(reason))),
        Fault::Broken(reason) => Understood::Outcome(Err(WriteError::Unknown(reason))),
    }
}
