//! What recoverable namespaces follow and other nodes are reached by: a link over Redis; or, on a node that is alone and is
//! to survive its own end, a log in its store.

use std::sync::Arc;

use lakh_broker::cluster::streams::{self, StreamId};
use lakh_broker::cluster::{DecodeError, Form, Message, Others, RequestId, Response, Uid};
use lakh_broker::redis::{
    Event, Inbound, Link, LinkError, LinkState, LinkStats, LogPage, PublishError, SessionWrite,
    TakenOver,
};
use thiserror::Error;
use tokio::sync::watch;

use super::store_log::{StoreLog, Writer};
use crate::hub::Hub;
use crate::mailbox::Queue;
use lakh_broker::Once;

/// What the hub holds of it.
pub(super) enum Tie {
    Redis(Link),
    Store(Arc<StoreLog>),
}

/// Where it comes in. Ends when the tie is closed.
pub(super) enum TieInbound {
    Redis(Inbound),
    Store(Box<Writer>),
}

/// A question that got no answer.
#[derive(Debug, Error)]
pub(super) enum TieError {
    #[error(transparent)]
    Redis(#[from] LinkError),
    #[error("the store's log: {0}")]
    Read(#[from] lakh_store::ReadError),
    #[error("the store's log: {0}")]
    Write(#[from] lakh_store::WriteError),
    #[error("stored, but not readable: {0}")]
    Decode(#[from] DecodeError),
}

impl TieError {
    /// Whether asking again would give the same.
    pub(super) fn is_lasting(&self) -> bool {
        matches!(self, Self::Decode(_) | Self::Redis(LinkError::Decode(_)))
    }
}

impl TieInbound {
    /// All that is there, up to about `most`, once there is something. Empty when the tie is closed and all is read.
    pub(super) async fn recv_many(&mut self, hub: &Hub, most: usize) -> Vec<Event> {
        match self {
            Self::Redis(inbound) => inbound.recv_many(most).await,
            Self::Store(writer) => writer.recv_many(hub).await,
        }
    }
}

impl Tie {
    /// Whether there can't be other nodes.
    pub(super) fn is_alone(&self) -> bool {
        matches!(self, Self::Store(_))
    }

    /// Whether broadcasts become entries of a log, which those who come back can read.
    pub(super) fn has_log(&self) -> bool {
        match self {
            Self::Redis(link) => link.has_log(),
            Self::Store(_) => true,
        }
    }

    /// What is full when it takes no more.
    pub(super) fn queue(&self) -> Queue {
        match self {
            Self::Redis(_) => Queue::Redis,
            Self::Store(_) => Queue::Store,
        }
    }

    pub(super) fn uid(&self) -> Uid {
        match self {
            Self::Redis(link) => link.uid().clone(),
            Self::Store(log) => log.uid(),
        }
    }

    pub(super) fn request_id(&self) -> Option<RequestId> {
        match self {
            Self::Redis(link) => link.request_id().ok(),
            Self::Store(log) => Some(log.request_id()),
        }
    }

    pub(super) fn form(&self, message: &Message) -> Form {
        match self {
            Self::Redis(link) => link.form(message),
            Self::Store(_) => streams::form(message),
        }
    }

    /// Appends a broadcast to the log, by which it will come back. Gives its ticket.
    pub(super) fn append(&self, nsp: &str, message: Message) -> Result<u64, PublishError> {
        match self {
            Self::Redis(link) => link.publish(nsp, &message).map(Option::unwrap_or_default),
            Self::Store(log) => log.append(nsp, message, None),
        }
    }

    /// The same with the next number of a counter, above the one given with it; and `once`.
    pub(super) fn append_counted(
        &self,
        nsp: &str,
        message: Message,
        counter: (&str, u64),
        once: Option<&Once>,
    ) -> Result<u64, PublishError> {
        match self {
            Self::Redis(link) => link.publish_counted(nsp, &message, counter, once),
            Self::Store(log) => log.append(nsp, message, Some((counter, once))),
        }
    }

    /// Tells the other nodes.
    pub(super) fn tell(&self, nsp: &str, message: &Message) -> Result<(), PublishError> {
        match self {
            Self::Redis(link) => link.publish(nsp, message).map(drop),
            Self::Store(_) => Ok(()),
        }
    }

    pub(super) fn respond(
        &self,
        nsp: &str,
        to: &Uid,
        response: Response,
    ) -> Result<(), PublishError> {
        match self {
            Self::Redis(link) => link.respond(nsp, to, response),
            Self::Store(_) => Ok(()),
        }
    }

    pub(super) fn last_ticket(&self) -> u64 {
        match self {
            Self::Redis(link) => link.last_ticket(),
            Self::Store(log) => log.last_ticket(),
        }
    }

    pub(super) fn subscribe(&self, nsp: &str) {
        if let Self::Redis(link) = self {
            link.subscribe(nsp);
        }
    }

    pub(super) fn unsubscribe(&self, nsp: &str) {
        if let Self::Redis(link) = self {
            link.unsubscribe(nsp);
        }
    }

    pub(super) fn want_room(&self, nsp: &str, room: &str) {
        if let Self::Redis(link) = self {
            link.want_room(nsp, room);
        }
    }

    pub(super) fn unwant_room(&self, nsp: &str, room: &str) {
        if let Self::Redis(link) = self {
            link.unwant_room(nsp, room);
        }
    }

    pub(super) async fn others(&self, nsp: &str) -> Result<Others, LinkError> {
        match self {
            Self::Redis(link) => link.others(nsp).await,
            Self::Store(_) => Ok(Others {
                count: 0,
                names: Vec::new(),
            }),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        match self {
            Self::Redis(link) => link.state().up,
            Self::Store(log) => log.is_up(),
        }
    }

    pub(super) fn state(&self) -> LinkState {
        match self {
            Self::Redis(link) => link.state(),
            Self::Store(log) => log.state(),
        }
    }

    pub(super) fn watch_state(&self) -> watch::Receiver<LinkState> {
        match self {
            Self::Redis(link) => link.watch_state(),
            Self::Store(log) => log.watch_state(),
        }
    }

    pub(super) fn stats(&self) -> LinkStats {
        match self {
            Self::Redis(link) => link.stats(),
            Self::Store(log) => log.stats(),
        }
    }

    /// Bytes that wait to be sent.
    pub(super) fn waiting_bytes(&self) -> usize {
        match self {
            Self::Redis(link) => link.stats().outbound_bytes,
            Self::Store(log) => log.waiting_bytes(),
        }
    }

    /// Waits until all that was subscribed to arrives.
    pub(super) async fn settled(&self) {
        if let Self::Redis(link) = self {
            link.settled().await;
        }
    }

    /// The newest place of the log when this was tied to it: all after it is handed out. `None` if it can't be told yet.
    pub(super) async fn start(&self, hub: &Hub) -> Option<StreamId> {
        match self {
            Self::Redis(link) => link.start(),
            Self::Store(log) => log.start(hub).await,
        }
    }

    /// Sends what is queued, and ends.
    pub(super) async fn close(&self) {
        match self {
            Self::Redis(link) => link.close().await,
            Self::Store(log) => log.close().await,
        }
    }
}

/// The log and the sessions.
impl Tie {
    /// Whether a client can have got this place from the log as it is.
    pub(super) fn holds(&self, place: StreamId) -> bool {
        match self {
            Self::Redis(_) => true,
            Self::Store(log) => log.holds(place),
        }
    }

    /// From where on the log is to be read to know the newest `window_ms` of it. `None`: from its beginning.
    pub(super) async fn before_window(
        &self,
        start: StreamId,
        window_ms: u64,
    ) -> Result<Option<StreamId>, TieError> {
        match self {
            Self::Redis(link) => {
                let oldest = StreamId {
                    ms: start.ms.saturating_sub(window_ms),
                    seq: 0,
                };
                Ok(link.entry_before(oldest).await?)
            }
            // It's trimmed to that by itself.
            Self::Store(log) => Ok(Some(log.before_first().await?)),
        }
    }

    pub(super) async fn read_log(
        &self,
        nsp: &str,
        after: StreamId,
        count: usize,
    ) -> Result<LogPage, TieError> {
        match self {
            Self::Redis(link) => Ok(link.read_log(nsp, after, count).await?),
            Self::Store(log) => log.read(nsp, after, count).await,
        }
    }

    pub(super) async fn count_of(
        &self,
        hub: &Hub,
        nsp: &str,
        counter: &str,
    ) -> Result<u64, TieError> {
        match self {
            Self::Redis(link) => Ok(link.count_of(nsp, counter).await?),
            Self::Store(log) => Ok(log.count_of(hub, nsp, counter).await?),
        }
    }

    pub(super) async fn write_sessions(
        &self,
        hub: &Hub,
        writes: &[SessionWrite],
    ) -> Result<Vec<bool>, TieError> {
        match self {
            Self::Redis(link) => Ok(link.write_sessions(writes).await?),
            Self::Store(log) => log.write_sessions(hub, writes).await,
        }
    }

    /// Keeps a log of this node's own, and what belongs to it, within bounds.
    pub(super) async fn tidy(&self, hub: &Hub, max_age_ms: u64, max_bytes: u64) {
        if let Self::Store(log) = self {
            log.tidy(hub, max_age_ms, max_bytes).await;
        }
    }

    pub(super) async fn take_over(
        &self,
        hub: &Hub,
        pid: &str,
        ttl_ms: u64,
    ) -> Result<Option<TakenOver>, TieError> {
        match self {
            Self::Redis(link) => Ok(link.take_over(pid, ttl_ms).await?),
            Self::Store(log) => log.take_over(hub, pid, ttl_ms).await,
        }
    }
}
