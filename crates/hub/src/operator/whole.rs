//! The same for all sockets of a namespace, without naming rooms.

use std::sync::Arc;
use std::time::Duration;

use lakh_broker::Room;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{EmitError, FetchedSockets, Operator, broadcasting};
use crate::ack::BroadcastAckFuture;
use crate::namespace::Namespace;
use crate::outgoing::Outgoing;
use crate::payload::Payload;
use crate::socket::Socket;

impl Namespace {
    broadcasting!();

    /// Sends several broadcasts as one step of an order of the caller's own. `make` takes a lock of the caller's, and gives
    /// the broadcasts together with it; it is let go when all of them have their place, and before anything is delivered.
    /// So whatever else is sent under that lock, or done in its turn ([`Socket::in_turn`]), comes before all of them or
    /// behind all of them. `make` isn't called if the server is overloaded, and must not use the hub otherwise.
    ///
    /// # Errors
    /// If the server is overloaded. Nothing was sent, if all of them stay on this node.
    pub fn emit_step<G>(
        &self,
        make: impl FnOnce() -> (Vec<(Operator, Payload)>, G),
    ) -> Result<(), EmitError> {
        let outgoing = |(to, payload): (Operator, Payload)| {
            Outgoing::new(to.namespace, payload, to.targets, to.flags)
        };
        Ok(self.hub.publish_step(|| {
            let (all, guard) = make();
            (all.into_iter().map(outgoing).collect(), guard)
        })?)
    }

    /// Starts a broadcast that is dropped for whoever can't take it right now.
    pub fn volatile(&self) -> Operator {
        self.operator().volatile()
    }

    /// Starts a broadcast with or without compression.
    pub fn compress(&self, compress: bool) -> Operator {
        self.operator().compress(compress)
    }

    /// Starts a broadcast that waits this long for acknowledgements.
    pub fn timeout(&self, timeout: Duration) -> Operator {
        self.operator().timeout(timeout)
    }

    /// Sends an event to everyone in this namespace.
    ///
    /// # Errors
    /// As [`Operator::emit`].
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, args: &T) -> Result<(), EmitError> {
        self.operator().emit(event, args)
    }

    /// Sends an event to everyone and collects the answers.
    ///
    /// # Errors
    /// As [`Operator::emit_with_ack`].
    pub fn emit_with_ack<R: DeserializeOwned>(
        &self,
        event: &str,
        args: &(impl Serialize + ?Sized),
    ) -> Result<BroadcastAckFuture<R>, EmitError> {
        self.operator().emit_with_ack(event, args)
    }

    /// Makes all sockets join rooms.
    pub fn sockets_join(&self, rooms: impl IntoIterator<Item = impl Into<Room>>) {
        self.operator().sockets_join(rooms);
    }

    /// Makes all sockets leave rooms.
    pub fn sockets_leave(&self, rooms: impl IntoIterator<Item = impl Into<Room>>) {
        self.operator().sockets_leave(rooms);
    }

    /// Disconnects all sockets, or closes their connections.
    pub fn disconnect_sockets(&self, close: bool) {
        self.operator().disconnect_sockets(close);
    }

    /// All sockets as they are now.
    pub async fn fetch_sockets(&self) -> FetchedSockets {
        self.operator().fetch_sockets().await
    }

    /// Some members of a room on this node, at most `limit`; in no order. Costs as much as it gives, however large
    /// the room is. Sockets' own rooms have no members here.
    pub async fn members(&self, room: impl Into<Room>, limit: usize) -> Vec<Socket> {
        let (send, mut receive) = tokio::sync::mpsc::channel(self.hub.shard_count());
        let (room, namespace) = (room.into(), Arc::clone(&self.inner));
        self.hub.on_each_shard(move |shard| {
            // There is room for one answer a shard, so this can't fail for want of it.
            let _ = send.try_send(shard.members_of(&namespace, &room, limit));
        });
        let mut members = Vec::new();
        while let Some(some) = receive.recv().await {
            members.extend(some);
        }
        members.truncate(limit);
        members
    }
}
