//! Broadcasts: choose who, then emit. Reads like Socket.IO's `io.to("room").except("other").emit(…)`.

use std::marker::PhantomData;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use lakh_broker::cluster::{Message, Opts};
use lakh_broker::{Once, Room};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::ack::{BroadcastAckFuture, Collector};
use crate::args::{self, ArgsError};
use crate::cluster::Missing;
use crate::hub::Hub;
use crate::mailbox::Full;
use crate::namespace::{Joining, Namespace, NamespaceInner};
use crate::outgoing::{Flags, Outgoing, Targets};
use crate::payload::Payload;
use crate::shard::Shard;

mod found;
mod whole;

pub use found::{FetchedSockets, RemoteSocket};

/// How long `emit_with_ack` to a room waits when no time was given.
const DEFAULT_ACK_TIMEOUT: Duration = Duration::from_secs(5);

/// Why an event was not sent.
#[derive(Debug, Error)]
pub enum EmitError {
    /// The arguments can't be written as JSON.
    #[error(transparent)]
    Args(#[from] ArgsError),
    /// An event loop is too far behind. Nothing was sent to anyone.
    #[error(transparent)]
    Overloaded(#[from] Full),
}

/// A broadcast in the making.
#[derive(Clone)]
#[must_use = "nothing is sent until `emit`"]
pub struct Operator {
    hub: Hub,
    namespace: Arc<NamespaceInner>,
    targets: Targets,
    flags: Flags,
    timeout: Option<Duration>,
}

impl Operator {
    pub(crate) fn new(hub: Hub, namespace: Arc<NamespaceInner>) -> Self {
        Self {
            hub,
            namespace,
            targets: Targets::default(),
            flags: Flags::default(),
            timeout: None,
        }
    }

    /// Adds a room. Who is in several of the rooms gets the event once.
    pub fn to(mut self, room: impl Into<Room>) -> Self {
        self.targets.rooms.push(room.into());
        self
    }

    /// The same as [`Operator::to`]; `in` is a keyword in Rust.
    pub fn in_(self, room: impl Into<Room>) -> Self {
        self.to(room)
    }

    /// Leaves out the members of a room, or one socket by its id.
    pub fn except(mut self, room: impl Into<Room>) -> Self {
        self.targets.except.push(room.into());
        self
    }

    /// Only the sockets of this node.
    pub fn local(mut self) -> Self {
        self.flags.local = true;
        self
    }

    /// Only the sockets of this node, and past the recovery log: who comes back does not get it again. For what they are
    /// told anew then. Its place among other broadcasts is kept.
    pub fn unlogged(mut self) -> Self {
        self.flags.local = true;
        self.flags.unlogged = true;
        self
    }

    /// Takes the place of an earlier event with this key that still waits for whoever reads slowly: they get the newest
    /// of each key, in the order of sending. Goes past the recovery log, as [`Operator::unlogged`].
    pub fn conflate(mut self, key: NonZeroU64) -> Self {
        self.flags.conflate = Some(key);
        self.unlogged()
    }

    /// Dropped for whoever can't take it right now; never replayed.
    pub fn volatile(mut self) -> Self {
        self.flags.volatile = true;
        self
    }

    /// Whether this may be compressed where compression was negotiated; it may by default.
    pub fn compress(mut self, compress: bool) -> Self {
        self.flags.compress = compress;
        self
    }

    /// How long [`Operator::emit_with_ack`] waits; 5 s by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sends an event. A tuple is a list of arguments, `()` is none, anything else is one.
    ///
    /// # Errors
    /// If the arguments can't be written, or the server is overloaded.
    pub fn emit<T: Serialize + ?Sized>(self, event: &str, args: &T) -> Result<(), EmitError> {
        let payload = args::encode(Some(event), args)?;
        self.emit_raw(payload)
    }

    /// Sends an event whose arguments are raw JSON, the event's name first.
    ///
    /// # Errors
    /// If the server is overloaded.
    pub fn emit_raw(self, payload: Payload) -> Result<(), EmitError> {
        let outgoing = Outgoing::new(self.namespace, payload, self.targets, self.flags);
        Ok(self.hub.publish(outgoing)?)
    }

    /// Sends an event whose payload is made in the order of sending: for events that carry a number of their own.
    ///
    /// `make` takes a lock of the caller's, numbers the event under it, and gives the payload together with the
    /// lock. The lock is let go when the broadcast has its place behind all earlier ones, and before anything is
    /// delivered: so whoever numbers under the same lock is delivered in the order of the numbers, on all loops.
    /// `make` isn't called if the server is overloaded, must not use the hub, and may give up (`None`).
    ///
    /// `Ok(false)`: it gave up.
    ///
    /// # Errors
    /// If the server is overloaded. Nothing was sent, and no number taken.
    pub fn emit_ordered<G>(
        self,
        make: impl FnOnce() -> Option<(Payload, G)>,
    ) -> Result<bool, EmitError> {
        let Self {
            hub,
            namespace,
            targets,
            flags,
            ..
        } = self;
        Ok(hub.publish_ordered(|| {
            let (payload, guard) = make()?;
            Some((Outgoing::new(namespace, payload, targets, flags), guard))
        })?)
    }

    /// Sends an event that carries a number, in a fleet whose nodes follow one stream: the number is the count of events
    /// that were sent with this `counter`, over all nodes, and stands in the order of delivery. The payload's last
    /// argument is an object whose last value is 0: it becomes the number. `floor` is a number below which the count
    /// must not fall.
    ///
    /// What comes back gives the number when the event stands in the stream and is on its way to the sockets of this
    /// node. `None`: this node follows no stream, and nothing was sent; see [`Operator::emit_ordered`].
    ///
    /// What was sent with this `once` before is not sent again: then the number is the one that it got. The note stands
    /// where the event does, and comes there in the same step, so no end of any process lies between.
    ///
    /// # Errors
    /// If the server is overloaded.
    pub fn emit_counted(
        &self,
        counter: &str,
        floor: u64,
        payload: Payload,
        once: Option<&Once>,
    ) -> Result<Option<impl Future<Output = Option<u64>> + use<>>, EmitError> {
        let inner = Arc::clone(&self.namespace);
        let outgoing = Outgoing::new(inner, payload, self.targets.clone(), self.flags);
        let confirmed = self
            .hub
            .publish_counted(&outgoing, (counter, floor), once)
            .transpose()?;
        Ok(confirmed.map(|confirmed| async move { confirmed.await.ok()?.number }))
    }

    /// Sends an event and collects the answers: what came within the time given, and how many are missing.
    ///
    /// # Errors
    /// If the arguments can't be written, or the server is overloaded.
    pub fn emit_with_ack<R: DeserializeOwned>(
        self,
        event: &str,
        args: &(impl Serialize + ?Sized),
    ) -> Result<BroadcastAckFuture<R>, EmitError> {
        let payload = args::encode(Some(event), args)?;
        Ok(self.emit_raw_with_ack(payload)?)
    }

    /// The same with arguments that are raw JSON, the event's name first.
    ///
    /// # Errors
    /// If the server is overloaded.
    pub fn emit_raw_with_ack<R: DeserializeOwned>(
        self,
        payload: Payload,
    ) -> Result<BroadcastAckFuture<R>, Full> {
        let mut outgoing = Outgoing::new(
            Arc::clone(&self.namespace),
            payload,
            self.targets,
            self.flags,
        );
        outgoing.ack = Some(self.namespace.next_ack());
        let outgoing = Arc::new(outgoing);
        let cluster = self.hub.cluster().filter(|_| !self.flags.local);
        // The other nodes count as one loop more.
        let parts = self.hub.shard_count() + usize::from(cluster.is_some());
        let collector = Arc::new(Collector::new(parts));
        let timeout = self.timeout.unwrap_or(DEFAULT_ACK_TIMEOUT);
        self.hub.publish_with_ack(&outgoing, &collector, timeout)?;
        if let Some(cluster) = cluster {
            cluster.ask_clients(&outgoing, &collector, &self.hub, timeout);
        }
        Ok(BroadcastAckFuture {
            collector,
            kind: PhantomData,
        })
    }

    /// Makes the chosen sockets join rooms.
    pub fn sockets_join(self, rooms: impl IntoIterator<Item = impl Into<Room>>) {
        let rooms: Vec<Room> = rooms.into_iter().map(Into::into).collect();
        self.tell_others(|opts| Message::Join {
            opts,
            rooms: rooms.clone(),
        });
        let joining = Arc::new(Joining::new(&self.namespace));
        self.on_each_shard(move |shard, namespace, targets| {
            let _until_done = &joining;
            shard.targets_join(namespace, targets, &rooms);
        });
    }

    /// Makes the chosen sockets leave rooms.
    pub fn sockets_leave(self, rooms: impl IntoIterator<Item = impl Into<Room>>) {
        let rooms: Vec<Room> = rooms.into_iter().map(Into::into).collect();
        self.tell_others(|opts| Message::Leave {
            opts,
            rooms: rooms.clone(),
        });
        self.on_each_shard(move |shard, namespace, targets| {
            shard.targets_leave(namespace, targets, &rooms)
        });
    }

    /// Disconnects the chosen sockets from the namespace, or closes their connections.
    pub fn disconnect_sockets(self, close: bool) {
        self.tell_others(|opts| Message::Disconnect { opts, close });
        self.on_each_shard(move |shard, namespace, targets| {
            shard.targets_disconnect(namespace, targets, close)
        });
    }

    fn tell_others(&self, message: impl FnOnce(Opts) -> Message) {
        if !self.flags.local {
            self.hub
                .tell_others(&self.namespace.name, &self.targets, message);
        }
    }

    /// The chosen sockets as they are now, on all nodes. A node that does not answer in time ([`Operator::timeout`]) is
    /// named as missing, and what the others said is given.
    pub async fn fetch_sockets(self) -> FetchedSockets {
        let cluster = self.hub.cluster().filter(|_| !self.flags.local);
        let others = cluster.map(|cluster| {
            let (send, receive) = tokio::sync::oneshot::channel();
            let namespace = Namespace {
                hub: self.hub.clone(),
                inner: Arc::clone(&self.namespace),
            };
            let timeout = self.timeout.unwrap_or(DEFAULT_ACK_TIMEOUT);
            // Who asked may be gone.
            let done = move |sockets, missing| drop(send.send((sockets, missing)));
            cluster.fetch(&namespace, &self.targets, timeout, done);
            receive
        });
        let mut sockets = self.fetch_here().await;
        let mut missing = Missing::default();
        if let Some(Ok((more, silent))) = match others {
            Some(others) => Some(others.await),
            None => None,
        } {
            sockets.extend(more);
            missing = silent;
        }
        FetchedSockets { sockets, missing }
    }

    async fn fetch_here(self) -> Vec<RemoteSocket> {
        let (send, mut receive) = tokio::sync::mpsc::channel(self.hub.shard_count());
        self.on_each_shard(move |shard, namespace, targets| {
            // There is room for one answer a shard, so this can't fail for want of it.
            let _ = send.try_send(shard.targets_fetch(namespace, targets));
        });
        let mut sockets = Vec::new();
        while let Some(some) = receive.recv().await {
            sockets.extend(some);
        }
        sockets
    }

    fn on_each_shard(
        self,
        work: impl Fn(&Shard, &Arc<NamespaceInner>, &Targets) + Clone + Send + 'static,
    ) {
        let (namespace, targets) = (self.namespace, self.targets);
        self.hub
            .on_each_shard(move |shard| work(shard, &namespace, &targets));
    }
}

macro_rules! broadcasting {
    () => {
        /// Starts a broadcast to a room; see [`Operator::to`].
        pub fn to(&self, room: impl Into<Room>) -> Operator {
            self.operator().to(room)
        }

        /// The same as `to`; `in` is a keyword in Rust.
        pub fn in_(&self, room: impl Into<Room>) -> Operator {
            self.operator().to(room)
        }

        /// Starts a broadcast that leaves out a room, or one socket by its id.
        pub fn except(&self, room: impl Into<Room>) -> Operator {
            self.operator().except(room)
        }

        /// Starts a broadcast on this node only.
        pub fn local(&self) -> Operator {
            self.operator().local()
        }
    };
}
pub(crate) use broadcasting;
