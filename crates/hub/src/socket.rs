//! A socket: one client in one namespace.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lakh_broker::Room;
use parking_lot::Mutex;
use serde::de::DeserializeOwned;

use crate::engine_io::EngineSocket;
use crate::handshake::Handshake;
use crate::hub::Hub;
use crate::ids::Id;
use crate::kept::{Kept, Said};
use crate::mailbox::{Command, Full};
use crate::namespace::{Joining, Namespace, NamespaceInner};
use crate::operator::{Operator, broadcasting};
use crate::payload::Payload;
use crate::shard::{Shard, SocketKey};

mod emit;
mod own;

pub use emit::{FlaggedSocket, TimedSocket};

pub(crate) struct SocketInner {
    pub hub: Hub,
    pub namespace: Arc<NamespaceInner>,
    pub handshake: Arc<Handshake>,
    pub said: Option<Box<Said>>,
    pub kept: Mutex<Option<Box<Kept>>>,
    pub key: SocketKey,
    pub shard: u32,
    pub id: Id,
    pub recovered: bool,
    pub connected: AtomicBool,
    /// It has left, or did not get in.
    pub gone: AtomicBool,
}

impl SocketInner {
    pub(crate) fn shard(&self) -> usize {
        self.shard as usize
    }
}

/// There is one for each client: a field more is a field times all of them. With the counts of its `Arc` it fits into the
/// gaps that glibc leaves between the aligned allocations of the runtime.
const _: () = assert!(size_of::<SocketInner>() + 16 <= 104);

/// One client in one namespace. Cheap to clone; handlers run on its own event loop, where its methods act at once; from
/// other threads they are sent to that loop, in order.
#[derive(Clone)]
pub struct Socket(pub(crate) Arc<SocketInner>);

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Socket({} in {})", self.id(), self.0.namespace.name)
    }
}

impl PartialEq for Socket {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Socket {}

impl Socket {
    /// The id that clients and rooms know this socket by. It's not the session's id, which is a secret.
    #[must_use]
    pub fn id(&self) -> &str {
        let alias = self.0.said.as_ref().and_then(|said| said.alias.as_deref());
        alias.unwrap_or_else(|| self.0.id.as_str())
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> Namespace {
        Namespace {
            hub: self.0.hub.clone(),
            inner: Arc::clone(&self.0.namespace),
        }
    }

    /// The number of the event loop that it lives on.
    #[must_use]
    pub fn loop_index(&self) -> usize {
        self.0.shard()
    }

    /// The connection's first request.
    #[must_use]
    pub fn handshake(&self) -> &Handshake {
        &self.0.handshake
    }

    /// The connection below this socket: its transport, the session's id, and a way to cut it off as if the network
    /// had (the client comes back). For its handlers: `None` on any other thread than its loop, and when it's over.
    #[must_use]
    pub fn conn(&self) -> Option<EngineSocket> {
        self.0
            .hub
            .current_shard(self.0.shard())?
            .conn_of(self.0.key)
    }

    /// The `auth` that the client gave at CONNECT.
    ///
    /// # Errors
    /// If it isn't of this type; no auth reads as null.
    pub fn auth<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.auth_text().unwrap_or("null"))
    }

    /// The `auth` as the JSON text that came.
    #[must_use]
    pub fn auth_text(&self) -> Option<&str> {
        self.0.said.as_ref()?.auth.as_deref()
    }

    /// Whether this socket took up the session of an earlier connection, rooms and data included.
    #[must_use]
    pub fn recovered(&self) -> bool {
        self.0.recovered
    }

    /// Whether it is connected.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.0.connected.load(Ordering::Acquire)
    }

    /// Milliseconds since 1970, by the server's clock.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.0.hub.wall_ms()
    }

    /// Joins a room. From a handler this is done at once, and tells whether the socket is in the room now: it isn't if
    /// it's in as many rooms as it may. From another thread the answer is always yes, and a refusal is logged.
    pub fn join(&self, room: impl Into<Room>) -> bool {
        let room = room.into();
        if let Some(shard) = self.0.hub.current_shard(self.0.shard()) {
            return shard.join(self.0.key, &room);
        }
        let joining = Joining::new(&self.0.namespace);
        self.act(move |shard, socket| {
            shard.join(socket.0.key, &room);
            drop(joining);
        });
        true
    }

    /// Joins a room as another part of it than before: what was said since it joined first stays for it. For its handlers,
    /// as [`Socket::is_in`].
    pub fn join_instead(&self, before: &Room, room: &Room) -> bool {
        let shard = self.0.hub.current_shard(self.0.shard());
        shard.is_some_and(|shard| shard.join_instead(self.0.key, before, room))
    }

    /// Leaves a room.
    pub fn leave(&self, room: impl Into<Room>) {
        let room = room.into();
        self.act(move |shard, socket| shard.leave(socket.0.key, &room));
    }

    /// Whether it is in a room (its own is not counted). For its handlers: on any other thread than its loop the
    /// answer is no; `rooms` works everywhere.
    #[must_use]
    pub fn is_in(&self, room: &str) -> bool {
        self.0
            .hub
            .current_shard(self.0.shard())
            .is_some_and(|shard| shard.is_member(self.0.key, room))
    }

    /// The name by which it is in a room: with its filter, if it has one ([`crate::Sieve`]). For its handlers, as
    /// [`Socket::is_in`].
    #[must_use]
    pub fn membership(&self, room: &str) -> Option<Room> {
        let shard = self.0.hub.current_shard(self.0.shard())?;
        shard.membership(self.0.key, room)
    }

    /// The rooms it is in, its own among them.
    pub async fn rooms(&self) -> Vec<Room> {
        let (send, receive) = tokio::sync::oneshot::channel();
        // A receiver that went away no longer wants the answer.
        self.act(move |shard, socket| drop(send.send(shard.rooms_of(socket.0.key))));
        receive.await.unwrap_or_default()
    }

    /// Leaves the namespace (`false`), or closes the whole connection (`true`).
    pub fn disconnect(&self, close: bool) {
        self.act(move |shard, socket| shard.disconnect(socket.0.key, close));
    }

    pub(crate) fn send_ack(&self, id: u64, payload: Payload) {
        self.act(move |shard, socket| shard.send_ack(socket, id, &payload));
    }

    /// Does something on the socket's own loop, behind everything that was on its way to that loop when this was called, and
    /// before all that is sent to it later: what was broadcast before has reached the members of before, and who joins a
    /// room here gets what is broadcast to it from this call on. It's done even if the loop is behind.
    pub fn in_turn(&self, work: impl FnOnce(&Self) + Send + 'static) {
        let socket = self.clone();
        let shard = self.0.shard();
        let joining = Joining::new(&self.0.namespace);
        self.0.hub.run_surely_on(shard, move |_| {
            work(&socket);
            drop(joining);
        });
    }

    /// Does something on the socket's own loop: at once if this is it.
    pub(crate) fn act(&self, work: impl FnOnce(&Shard, &Self) + Send + 'static) {
        if let Err(full) = self.try_act(0, work) {
            tracing::warn!(socket = self.id(), %full, "an operation on a socket was dropped");
        }
    }

    pub(crate) fn try_act(
        &self,
        bytes: usize,
        work: impl FnOnce(&Shard, &Self) + Send + 'static,
    ) -> Result<(), Full> {
        /// What a boxed closure weighs besides its payload.
        const OVERHEAD: usize = 128;
        match self.0.hub.current_shard(self.0.shard()) {
            Some(shard) => work(&shard, self),
            None => {
                let socket = self.clone();
                let command = Command::Run(
                    Box::new(move |shard| work(shard, &socket)),
                    bytes + OVERHEAD,
                );
                self.0.hub.send(self.0.shard(), command)?;
            }
        }
        Ok(())
    }

    /// A broadcast from this socket reaches everyone but itself.
    fn operator(&self) -> Operator {
        Operator::new(self.0.hub.clone(), Arc::clone(&self.0.namespace)).except(self.id())
    }

    broadcasting!();

    /// Starts a broadcast to everyone else in the namespace.
    pub fn broadcast(&self) -> Operator {
        self.operator()
    }
}
