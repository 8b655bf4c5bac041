//! Acknowledgements, both ways.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::args::{self, ArgsError};
use crate::mailbox::Full;
use crate::payload::Payload;
use crate::socket::Socket;

/// Why no acknowledgement came.
#[derive(Debug, Error)]
pub enum AckError {
    /// The time that was given ran out.
    #[error("no acknowledgement within the time given")]
    Timeout,
    /// The socket was, or is now, disconnected.
    #[error("the socket was disconnected before it acknowledged")]
    Disconnected,
    /// `Limits::max_pending_acks` are outstanding already.
    #[error("too many acknowledgements are outstanding; wait for some of them")]
    TooMany,
    /// The answer isn't of the type asked for, or the event's arguments can't be written.
    #[error(transparent)]
    Args(#[from] ArgsError),
    /// The event loop takes no more for now.
    #[error(transparent)]
    Overloaded(#[from] Full),
}

/// The way to answer an event. Taken as a handler's last argument; if the client asked for no answer, sending does
/// nothing. An answer can be sent once.
#[derive(Debug)]
pub struct Ack {
    pub(crate) socket: Socket,
    pub(crate) id: Option<u64>,
}

impl Ack {
    /// Whether the client waits for an answer.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.id.is_some()
    }

    /// Answers with these arguments: a tuple is a list of arguments, anything else is one.
    ///
    /// # Errors
    /// If a value can't be written as JSON.
    pub fn send<T: Serialize + ?Sized>(self, args: &T) -> Result<(), ArgsError> {
        if self.id.is_some() {
            let payload = args::encode(None, args)?;
            self.send_raw(payload);
        }
        Ok(())
    }

    /// Answers with raw arguments.
    pub fn send_raw(self, payload: Payload) {
        if let Some(id) = self.id {
            self.socket.send_ack(id, payload);
        }
    }
}

/// Where the answer to an event arrives. One lock for answer and waker: both are touched once or twice in its life.
#[derive(Default)]
pub(crate) struct Slot(Mutex<SlotState>);

#[derive(Default)]
struct SlotState {
    answer: Option<Result<Payload, AckError>>,
    waker: Option<Waker>,
}

impl Slot {
    pub(crate) fn resolve(&self, answer: Result<Payload, AckError>) {
        let waker = {
            let mut state = self.0.lock();
            if state.answer.is_none() {
                state.answer = Some(answer);
            }
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Waits for one socket's answer. The event is sent when this is made, not when it's first awaited.
#[must_use = "the event is on its way; await this for the answer"]
pub struct AckFuture<T> {
    pub(crate) slot: Arc<Slot>,
    pub(crate) kind: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Future for AckFuture<T> {
    type Output = Result<T, AckError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.slot.0.lock();
        match state.answer.take() {
            Some(answer) => {
                let payload = answer?;
                Poll::Ready(Ok(args::decode(&payload.text, 0, &payload.attachments)?))
            }
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// The answers of a room.
#[derive(Debug)]
pub struct BroadcastAcks<T> {
    /// What came, in the order it came.
    pub answers: Vec<T>,
    /// Sockets that were asked and did not answer in time, went away, or answered with something else. A node that did
    /// not say how many it asked counts as one.
    pub missing: usize,
}

impl<T> BroadcastAcks<T> {
    /// Whether everybody answered.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing == 0
    }
}

/// What a collector tells as it comes, for another node.
pub(crate) enum Told<'a> {
    /// How many sockets were asked, over all shards.
    Asked(usize),
    /// What one of them has answered.
    Answered(&'a Payload),
}

type Tell = Box<dyn Fn(Told<'_>) + Send + Sync>;

/// Collects the answers to one broadcast over all shards.
#[derive(Default)]
pub(crate) struct Collector {
    state: Mutex<CollectorState>,
    /// Answers are told as they come, and not kept.
    tell: Option<Tell>,
}

#[derive(Default)]
struct CollectorState {
    /// Shards that have not said yet how many sockets they asked.
    shards: usize,
    asked: usize,
    failed: usize,
    answers: Vec<Payload>,
    over: bool,
    /// The time is up for those who have not said how many sockets they asked, too.
    over_for_all: bool,
    waker: Option<Waker>,
}

impl CollectorState {
    fn is_complete(&self) -> bool {
        let all = self.shards == 0;
        let answered = self.answers.len() + self.failed >= self.asked;
        all && (answered || self.over) || self.over_for_all
    }
}

impl Collector {
    pub(crate) fn new(shards: usize) -> Self {
        Self {
            state: Mutex::new(CollectorState {
                shards,
                ..CollectorState::default()
            }),
            tell: None,
        }
    }

    /// One that keeps nothing, and tells what comes.
    pub(crate) fn telling(shards: usize, tell: impl Fn(Told<'_>) + Send + Sync + 'static) -> Self {
        Self {
            tell: Some(Box::new(tell)),
            ..Self::new(shards)
        }
    }

    pub(crate) fn asked(&self, sockets: usize) {
        let mut all = None;
        self.change(|state| {
            state.shards = state.shards.saturating_sub(1);
            state.asked += sockets;
            all = (state.shards == 0).then_some(state.asked);
        });
        if let (Some(asked), Some(tell)) = (all, &self.tell) {
            tell(Told::Asked(asked));
        }
    }

    pub(crate) fn answered(&self, answer: Result<Payload, AckError>) {
        if let Some(tell) = &self.tell {
            if let Ok(payload) = &answer {
                tell(Told::Answered(payload));
            }
            return;
        }
        self.change(|state| match answer {
            Ok(payload) => state.answers.push(payload),
            Err(_) => state.failed += 1,
        });
    }

    /// What others know already is still waited for: another node's answers come in one piece, a moment after the time
    /// that it was given. The second time nothing is.
    pub(crate) fn time_is_up(&self) {
        self.change(|state| {
            state.over_for_all = state.over;
            state.over = true;
        });
    }

    fn change(&self, change: impl FnOnce(&mut CollectorState)) {
        let waker = {
            let mut state = self.state.lock();
            change(&mut state);
            if state.is_complete() {
                state.waker.take()
            } else {
                None
            }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Waits for the answers of a room, up to the time given: what came by then is the result.
#[must_use = "the event is on its way; await this for the answers"]
pub struct BroadcastAckFuture<T> {
    pub(crate) collector: Arc<Collector>,
    pub(crate) kind: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Future for BroadcastAckFuture<T> {
    type Output = BroadcastAcks<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.collector.state.lock();
        if !state.is_complete() {
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let payloads = std::mem::take(&mut state.answers);
        let answers: Vec<T> = payloads
            .iter()
            .filter_map(|p| args::decode(&p.text, 0, &p.attachments).ok())
            .collect();
        let missing = state.asked - answers.len().min(state.asked);
        Poll::Ready(BroadcastAcks { answers, missing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acks(collector: &Arc<Collector>) -> Option<BroadcastAcks<u8>> {
        let mut future = BroadcastAckFuture::<u8> {
            collector: Arc::clone(collector),
            kind: PhantomData,
        };
        match Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(acks) => Some(acks),
            Poll::Pending => None,
        }
    }

    fn answer(text: &str) -> Result<Payload, AckError> {
        Ok(Payload::from_raw(format!("[{text}]"), Vec::new()))
    }

    #[test]
    fn what_another_node_tells_just_after_the_time_counts() {
        let collector = Arc::new(Collector::new(2));
        collector.asked(1);
        collector.time_is_up();
        assert!(acks(&collector).is_none());
        collector.answered(answer("7"));
        collector.asked(2);
        let acks = acks(&collector).expect("all have spoken, and the time is up");
        assert_eq!((acks.answers, acks.missing), (vec![7], 2));
    }

    #[test]
    fn who_never_says_how_many_were_asked_is_waited_for_no_longer_than_twice() {
        let collector = Arc::new(Collector::new(2));
        collector.asked(1);
        collector.answered(answer("7"));
        collector.time_is_up();
        assert!(acks(&collector).is_none());
        collector.time_is_up();
        let acks = acks(&collector).expect("the time is up for all");
        assert_eq!((acks.answers, acks.missing), (vec![7], 0));
    }
}
