//! What comes in from the other nodes, in the order it came.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use redis::{PushInfo, PushKind, Value};
use tokio::sync::Notify;

use super::backend::{Backend, Channel};
use super::link::{Counters, Shared};
use super::queue::Refused;
use crate::cluster::streams::StreamId;
use crate::cluster::{Envelope, Message, Response, Uid};

/// Something that the hub is to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Another node says something to all.
    Message(Received),
    /// An answer to a request of this node. On classic's shared channel also to those of others: unknown ids are left
    /// alone.
    Response {
        /// The namespace.
        nsp: Arc<str>,
        /// Who answers. Node's classic adapter doesn't say.
        from: Option<Uid>,
        /// The answer.
        response: Response,
    },
    /// An entry of this node now stands in the stream.
    Appended {
        /// What [`super::Link::publish`] gave.
        ticket: u64,
        /// Its place.
        offset: StreamId,
        /// Its number, if [`super::Link::publish_counted`] sent it.
        number: Option<u64>,
    },
    /// Something may have been missed at this point of the sequence.
    Gap(Gap),
}

/// A message of another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The namespace.
    pub nsp: Arc<str>,
    /// Who sent it: whom to answer. An emitter is none to answer.
    pub from: Option<Uid>,
    /// This node sent it, and asked to get it back: see [`super::Config::echo`].
    pub own: bool,
    /// Its place in the stream, if it stands there.
    pub offset: Option<StreamId>,
    /// What [`super::Link::publish_counted`] gave it, if it was sent by that.
    pub number: Option<u64>,
    /// What it says.
    pub message: Message,
}

/// Why something may have been missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// The connection was lost and pub/sub keeps nothing.
    Reconnected,
    /// The hub did not read in time.
    Overflow,
    /// The stream no longer reaches back to what was read last: it was trimmed, or Redis lost it.
    Trimmed,
}

/// The reading end of a link. Ends when the link is closed.
pub struct Inbound {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Inbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbound").finish_non_exhaustive()
    }
}

impl Inbound {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The next event. `None` when the link is closed and all is read. Nothing is lost when the wait is given up.
    pub async fn recv(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.take(1).pop() {
                return Some(event);
            }
            if !self.shared.inbox.wait().await {
                return None;
            }
        }
    }

    /// All that is there, up to `most`, once there is something. Empty when the link is closed and all is read.
    pub async fn recv_many(&mut self, most: usize) -> Vec<Event> {
        loop {
            let events = self.take(most);
            if !events.is_empty() || most == 0 || !self.shared.inbox.wait().await {
                return events;
            }
        }
    }

    fn take(&mut self, most: usize) -> Vec<Event> {
        let events = self.shared.inbox.take(most, usize::MAX);
        if events.contains(&Event::Gap(Gap::Overflow)) {
            self.shared.gap_told.store(false, Ordering::Release);
        }
        events
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        // Nobody reads any more: nothing may pile up.
        self.shared.inbox.close();
    }
}

/// What the tasks of one connection tell each other.
#[derive(Debug, Default)]
pub(crate) struct Life {
    over: AtomicBool,
    ended: Notify,
    /// Channels are being left, so that Redis saying so is no surprise.
    pub(crate) leaving: AtomicBool,
}

impl Life {
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.ended.notify_one();
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    pub(crate) async fn over(&self) {
        while !self.is_over() {
            self.ended.notified().await;
        }
    }
}

impl Shared {
    /// Takes what Redis pushes. Runs in the task of the connection and doesn't wait.
    pub(crate) fn on_push(&self, life: &Life, push: PushInfo) {
        let mut data = push.data.into_iter();
        let mut next = || data.next().and_then(text);
        let listened = match push.kind {
            PushKind::Disconnection => return life.end(),
            // A cluster moves the channel to another server: only a new connection finds out where.
            PushKind::SUnsubscribe if !life.leaving.load(Ordering::Acquire) => return life.end(),
            PushKind::Message => next().map(Channel::Exact),
            PushKind::SMessage => next().map(Channel::Shard),
            PushKind::PMessage => next().map(Channel::Pattern),
            _ => return,
        };
        let channel = match &listened {
            Some(Channel::Pattern(_)) => next(),
            _ => None,
        };
        let (Some(listened), Some(body)) = (listened, data.next()) else {
            return;
        };
        if let Value::BulkString(body) = body {
            self.on_publish(&listened, channel.as_deref(), &body.into());
        }
    }

    fn on_publish(&self, listened: &Channel, channel: Option<&str>, body: &Bytes) {
        let route = {
            let channels = self.channels.lock();
            let Some(route) = channels.route(listened) else {
                return;
            };
            let room = channel.and_then(|name| self.dialect.room_in(&route.nsp, name));
            // Not decoded if nobody here is in that room.
            if room.is_some_and(|room| !channels.has_room(&route.nsp, room)) {
                return;
            }
            route
        };
        Counters::add(&self.counters.received, 1);
        let bytes = body.len();
        let envelope = match self.dialect.decode(route.place, body) {
            Ok(envelope) => envelope,
            Err(_) => return Counters::add(&self.counters.undecodable, 1),
        };
        let foreign = envelope
            .nsp
            .as_deref()
            .is_some_and(|nsp| *nsp != *route.nsp);
        if foreign || envelope.from.as_ref() == Some(&self.dialect.uid) {
            return;
        }
        self.deliver(event(route.nsp, envelope), bytes);
    }

    /// Puts something in for the hub, or counts it as dropped and says so once.
    fn deliver(&self, event: Event, bytes: usize) {
        // What stands around the data takes its room as well.
        if self.inbox.push(event, bytes + 128) == Err(Refused::Full) {
            Counters::add(&self.counters.dropped, 1);
            if !self.gap_told.swap(true, Ordering::AcqRel) {
                self.inbox.push_always(Event::Gap(Gap::Overflow));
            }
        }
    }

    pub(crate) fn keeps_nothing(&self) -> bool {
        !matches!(self.dialect.backend, Backend::Streams { .. })
    }
}

fn event(nsp: Arc<str>, envelope: Envelope) -> Event {
    match envelope.message {
        Message::Response(response) => Event::Response {
            nsp,
            from: envelope.from,
            response,
        },
        message => Event::Message(Received {
            nsp,
            from: envelope.from,
            own: false,
            offset: None,
            number: None,
            message,
        }),
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}
