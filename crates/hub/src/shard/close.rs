//! The end of sockets and sessions.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use lakh_wire::CloseReason;
use lakh_wire::engine::{End, Side, Transport};
use lakh_wire::socketio::Kind;
use serde_json::json;

use super::{SessionKey, Shard, SocketEntry, SocketKey, State, hash};
use crate::AckError;
use crate::caught::caught;
use crate::namespace::CloseHook;
use crate::occurrence::What;
use crate::outbox::Item;
use crate::outgoing;
use crate::recovery::Saved;
use crate::socket::Socket;

impl Shard {
    /// Leaves the namespace, or closes the whole connection, by the server's will.
    pub(crate) fn disconnect(&self, key: SocketKey, close: bool) {
        let Some(session) = self.session_key_of(key) else {
            return;
        };
        if !close {
            return self.tell_and_close(session, key);
        }
        let sockets = self.sockets_of(session);
        for socket in sockets {
            self.tell_and_close(session, socket);
        }
        self.close(session, CloseReason::ForcedServerClose);
    }

    fn tell_and_close(&self, session: SessionKey, key: SocketKey) {
        {
            let mut state = self.state.borrow_mut();
            // Who isn't in yet, or is going already, is told nothing.
            let entry = state
                .socket(key)
                .filter(|entry| entry.socket.is_connected());
            let Some(name) = entry.map(|entry| entry.socket.0.namespace.name.clone()) else {
                return;
            };
            let parser = state.parser(session);
            state.push(
                session,
                Item::Packet(outgoing::control(parser, Kind::Disconnect, &name, None)),
            );
        }
        self.close_socket(key, CloseReason::ServerNamespaceDisconnect);
    }

    pub(super) fn session_key_of(&self, key: SocketKey) -> Option<SessionKey> {
        let mut state = self.state.borrow_mut();
        let session = state.socket(key)?.session;
        state.session(session).map(|_| session)
    }

    fn sockets_of(&self, key: SessionKey) -> Vec<SocketKey> {
        let mut state = self.state.borrow_mut();
        let Some(slots) = state.session(key).map(|entry| entry.sockets.clone()) else {
            return Vec::new();
        };
        let keys = slots.into_iter();
        keys.map(|slot| SocketKey {
            slot,
            generation: state.sockets[slot as usize].generation,
        })
        .collect()
    }

    /// Closes the connection that a socket belongs to, without a word to its client: nobody listens there.
    pub(super) fn close_session_of(&self, key: SocketKey) {
        if let Some(session) = self.session_key_of(key) {
            self.end(session, Side::Main, End::Closed);
        }
    }

    /// Closes a session whose queue won't be read: what waits is dropped first.
    pub(super) fn close_now(&self, key: SessionKey, reason: CloseReason) {
        match self.state.borrow_mut().session(key) {
            Some(entry) if !entry.over => entry.outbox.clear(),
            _ => return,
        }
        self.close(key, reason);
    }

    /// The engine has closed a session.
    pub(super) fn session_closed(&self, key: SessionKey, reason: CloseReason) {
        let (engine_io, handshake, transport) = {
            let mut state = self.state.borrow_mut();
            state.forget_session(key);
            let Some(entry) = state.session(key) else {
                return;
            };
            let transport = entry.engine.transport();
            if transport == Transport::WebSocket {
                self.stats().websocket.sub(1);
            }
            let engine_io =
                (entry.app == super::App::EngineIo).then(|| self.engine_socket(key, entry));
            (engine_io, Arc::clone(&entry.handshake), transport)
        };
        self.stats().sessions.sub(1);
        self.stats().session_closed(reason);
        for socket in self.sockets_of(key) {
            self.close_socket(socket, reason);
        }
        self.end_meter(key);
        if let (Some(socket), Some(handler)) =
            (engine_io, self.hub.0.engine_io.load().close.clone())
        {
            caught("a handler of Engine.IO", || handler(&socket, reason));
        }
        // Never with the session's id, which is a secret.
        tracing::info!(
            target: "lakh::session",
            reason = reason.as_str(),
            address = %handshake.address,
            transport = transport.as_str(),
            duration_ms = self.hub.wall_ms().saturating_sub(handshake.time_ms),
            "session ended"
        );
    }

    /// A socket leaves its namespace: hooks, rooms, session record, acknowledgements, in this order.
    pub(super) fn close_socket(&self, key: SocketKey, reason: CloseReason) {
        let Some(socket) = self
            .state
            .borrow_mut()
            .socket(key)
            .map(|entry| entry.socket.clone())
        else {
            return;
        };
        if !socket.0.connected.swap(false, Ordering::AcqRel) {
            return;
        }
        let namespace = socket.0.namespace.handlers.load_full();
        let own = socket.take_own().unwrap_or_default();
        self.run_close_hooks(
            &socket,
            reason,
            namespace.disconnecting.iter().chain(&own.disconnecting),
        );
        // The shard's own and the one here: others may keep values with the socket even now.
        let shared = Arc::strong_count(&socket.0) > 2
            || !(namespace.disconnect.is_empty() && own.disconnect.is_empty());
        self.remember(&socket, reason, shared);
        self.leave_all(&socket);
        let removed = self.state.borrow_mut().expel(key);
        self.stats().sockets.sub(1);
        for (_, waiting) in removed
            .and_then(|entry| entry.acks)
            .into_iter()
            .flat_map(|acks| *acks)
        {
            waiting.resolve(Err(AckError::Disconnected));
        }
        self.run_close_hooks(
            &socket,
            reason,
            namespace.disconnect.iter().chain(&own.disconnect),
        );
        self.tell_connection(
            What::Disconnect,
            &socket,
            || json!({"reason": reason.as_str()}),
        );
        self.hub.left(&socket.0.namespace);
    }

    fn run_close_hooks<'a>(
        &self,
        socket: &Socket,
        reason: CloseReason,
        hooks: impl Iterator<Item = &'a CloseHook>,
    ) {
        for hook in hooks {
            self.run(socket.0.key, hook(socket.clone(), reason));
        }
    }

    /// Keeps what a recoverable client may come back for.
    fn remember(&self, socket: &Socket, reason: CloseReason, shared: bool) {
        let Some(recovery) = socket.0.namespace.recovery.get() else {
            return;
        };
        let mut state = self.state.borrow_mut();
        let entry = state.socket(socket.0.key);
        let Some((pid, start)) = entry.and_then(|entry| Some((entry.pid?, entry.start))) else {
            return;
        };
        let rooms = state.memberships_of(socket.0.key);
        // Saving drops what is too old, and users' values may do anything then.
        drop(state);
        let epoch = self.end_record(socket, reason.is_recoverable());
        if !reason.is_recoverable() {
            return recovery.sessions.forget(pid, self.index, socket.0.key);
        }
        let saved = Saved {
            id: socket.0.id,
            rooms,
            kept: socket.kept_for_record(shared),
            start: recovery.channel.at(start),
            epoch,
        };
        let of = (self.index, socket.0.key);
        recovery
            .sessions
            .save(pid, of, saved, self.now().0, recovery.window_ms);
    }
}

impl State {
    fn forget_session(&mut self, key: SessionKey) {
        let Some(id) = self.session(key).map(|entry| entry.id) else {
            return;
        };
        if let Ok(found) = self
            .by_session
            .find_entry(hash(id.bytes()), |slot| *slot == key.slot)
        {
            found.remove();
        }
    }

    /// Takes a socket out of its connection and its namespace. Its rooms are left already.
    fn expel(&mut self, key: SocketKey) -> Option<SocketEntry> {
        let (id, namespace, place, session) = {
            let entry = self.socket(key)?;
            (
                entry.socket.0.id,
                entry.socket.0.namespace.id,
                entry.place,
                entry.session,
            )
        };
        if let Ok(found) = self
            .by_socket
            .find_entry(hash(id.bytes()), |slot| *slot == key.slot)
        {
            found.remove();
        }
        self.meters.leave(session.slot, key.slot);
        if let Some(entry) = self.session(session) {
            entry.sockets.retain(|slot| *slot != key.slot);
            // It may be this socket that the connection waited for. If another one is behind, it's paused again.
            if std::mem::take(&mut entry.paused) {
                entry.outbox.signals.resume = true;
                self.touch(session.slot);
            }
        }
        if let Some(space) = self.spaces.get_mut(&namespace) {
            space.members.swap_remove(place as usize);
            if let Some(moved) = space.members.get(place as usize) {
                self.sockets[*moved as usize].place = place;
            }
            self.forget_space(namespace);
        }
        Some(self.sockets.remove(key.slot as usize))
    }
}
