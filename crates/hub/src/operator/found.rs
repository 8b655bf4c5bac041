//! What `fetch_sockets` finds: pictures of sockets, here and on other nodes, and the means to reach them.

use std::sync::Arc;

use lakh_broker::Room;
use serde::Serialize;
use serde_json::Value;

use super::{EmitError, Operator};
use crate::cluster::Missing;
use crate::handshake::Handshake;
use crate::namespace::Namespace;

/// What [`Operator::fetch_sockets`] gives: sockets, and who did not say which they have.
#[derive(Clone, Debug, Default)]
pub struct FetchedSockets {
    pub(super) sockets: Vec<RemoteSocket>,
    /// Nodes that did not answer.
    pub missing: Missing,
}

impl std::ops::Deref for FetchedSockets {
    type Target = [RemoteSocket];

    fn deref(&self) -> &[RemoteSocket] {
        &self.sockets
    }
}

impl IntoIterator for FetchedSockets {
    type Item = RemoteSocket;
    type IntoIter = std::vec::IntoIter<RemoteSocket>;

    fn into_iter(self) -> Self::IntoIter {
        self.sockets.into_iter()
    }
}

/// A socket as [`Operator::fetch_sockets`] gives it: a picture of one moment, and the means to reach it.
#[derive(Clone)]
pub struct RemoteSocket {
    pub(crate) namespace: Namespace,
    /// The socket's id.
    pub id: String,
    /// The rooms it is in, its own among them.
    pub rooms: Vec<Room>,
    /// What was set with [`crate::Socket::set_data`].
    pub data: Value,
    /// What its client gave as `auth`, as JSON.
    pub(crate) auth: Option<Box<str>>,
    /// Its connection's first request.
    pub handshake: Arc<Handshake>,
}

impl std::fmt::Debug for RemoteSocket {
    // Not what the client gave as `auth`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteSocket")
            .field("id", &self.id)
            .field("rooms", &self.rooms)
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}

impl RemoteSocket {
    /// The `auth` that its client gave, as JSON text.
    #[must_use]
    pub fn auth_text(&self) -> Option<&str> {
        self.auth.as_deref()
    }

    fn operator(&self) -> Operator {
        self.namespace.operator().to(&*self.id)
    }

    /// Sends an event to this socket.
    ///
    /// # Errors
    /// As [`Operator::emit`].
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, args: &T) -> Result<(), EmitError> {
        self.operator().emit(event, args)
    }

    /// Makes it join a room.
    pub fn join(&self, room: impl Into<Room>) {
        self.operator().sockets_join([room.into()]);
    }

    /// Makes it leave a room.
    pub fn leave(&self, room: impl Into<Room>) {
        self.operator().sockets_leave([room.into()]);
    }

    /// Disconnects it, or closes its connection.
    pub fn disconnect(&self, close: bool) {
        self.operator().disconnect_sockets(close);
    }
}
