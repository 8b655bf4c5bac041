//! What the transport tells the shard, and how it gets at what is to be written.

use std::ops::ControlFlow;
use std::sync::Arc;

use lakh_wire::engine::payload::PayloadError;
use lakh_wire::engine::{
    self, End, HandshakeError, Message, Packet, PacketError, Side, Transport, Version,
};
use lakh_wire::{CloseReason, Encoded, socketio};
use smallvec::SmallVec;
use thiserror::Error;

use super::{NEVER, SessionEntry, SessionKey, Shard, SocketKey, State, hash};
use crate::caught::caught;
use crate::handshake::Handshake;
use crate::ids::Id;
use crate::outbox::{Item, Outbox};

mod engine_steps;

/// What stands on top of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum App {
    /// Namespaces, rooms, acknowledgements.
    SocketIo,
    /// Nothing: `Hub::set_engine_io`.
    EngineIo,
}

/// A session that has just opened.
#[derive(Clone, Copy, Debug)]
pub struct Opened {
    /// Names it on this shard.
    pub key: SessionKey,
    /// Names it to its client.
    pub id: Id,
}

/// Why the body of a POST was refused. The session is closed.
#[derive(Debug, Error)]
pub enum PayloadRefused {
    /// There is no such session any more.
    #[error("the session is closed")]
    Gone,
    /// The body is no payload.
    #[error(transparent)]
    Payload(#[from] PayloadError),
}

impl Shard {
    /// Opens a session and queues the engine's first packet.
    pub fn open(
        &self,
        app: App,
        version: Version,
        transport: Transport,
        mut handshake: Handshake,
    ) -> Opened {
        let now = self.now();
        let settings = self.hub.settings();
        let address = handshake.address.ip();
        let mut state = self.state.borrow_mut();
        let id = state.ids.make();
        let generation = state.next_generation();
        if *state.query == *handshake.query {
            handshake.query = Arc::clone(&state.query);
        } else {
            state.query = Arc::clone(&handshake.query);
        }
        let connect_by = if app == App::SocketIo {
            now + settings.connect_timeout
        } else {
            NEVER
        };
        let entry = SessionEntry {
            generation,
            id,
            engine: engine::Session::new(version, transport, now, &settings.engine),
            decoder: socketio::Decoder::new(settings.parser),
            outbox: Outbox::default(),
            handshake: Arc::new(handshake),
            app,
            sockets: SmallVec::new(),
            entering: 0,
            connect_by,
            timer_at: NEVER,
            dirty: false,
            paused: false,
            slowed: false,
            over: false,
        };
        let slot = u32::try_from(state.sessions.insert(entry)).unwrap_or(u32::MAX);
        let key = SessionKey { slot, generation };
        self.begin_meter(&mut state, slot, address);
        let State {
            sessions,
            by_session,
            ..
        } = &mut *state;
        by_session.insert_unique(hash(id.bytes()), slot, |slot| {
            hash(sessions[*slot as usize].id.bytes())
        });
        let open = state.open_packet(&id, version, transport, settings);
        state.push(key, Item::Open(open));
        state.schedule(key);
        drop(state);
        self.stats().sessions.add(1);
        if transport == Transport::WebSocket {
            self.stats().websocket.add(1);
        }
        self.opened(key, app, version);
        Opened { key, id }
    }

    fn opened(&self, key: SessionKey, app: App, version: Version) {
        match app {
            // Clients of the old protocol are in the main namespace without asking.
            App::SocketIo if version == Version::V3 => {
                self.start_connect(key, "/".to_owned(), None)
            }
            App::SocketIo => {}
            App::EngineIo => {
                if let Some(handler) = self.hub.0.engine_io.load().open.clone() {
                    let Some(socket) = self.engine_socket_of(key) else {
                        return;
                    };
                    caught("a handler of Engine.IO", || handler(&socket));
                }
            }
        }
    }

    /// The connection below a socket.
    pub(crate) fn conn_of(&self, key: SocketKey) -> Option<crate::engine_io::EngineSocket> {
        self.engine_socket_of(self.session_key_of(key)?)
    }

    fn engine_socket_of(&self, key: SessionKey) -> Option<crate::engine_io::EngineSocket> {
        let mut state = self.state.borrow_mut();
        let entry = state.session(key)?;
        Some(self.engine_socket(key, entry))
    }

    /// The session with this id, if it's open.
    #[must_use]
    pub fn find(&self, id: &Id) -> Option<SessionKey> {
        self.state.borrow().find_session(id)
    }

    /// The id of a session that was not released yet.
    #[must_use]
    pub fn id_of(&self, key: SessionKey) -> Option<Id> {
        self.state.borrow_mut().session(key).map(|entry| entry.id)
    }

    /// The protocol version and the main transport of a session.
    #[must_use]
    pub fn kind(&self, key: SessionKey) -> Option<(Version, Transport, App)> {
        let mut state = self.state.borrow_mut();
        let entry = state.session(key)?;
        Some((entry.engine.version(), entry.engine.transport(), entry.app))
    }

    /// A text frame came over a WebSocket.
    pub fn text(&self, key: SessionKey, side: Side, text: &str) {
        let Some(version) = self.version(key) else {
            return;
        };
        self.packet(key, side, engine::decode_text(version, text));
    }

    /// A binary frame came over a WebSocket.
    pub fn binary(&self, key: SessionKey, side: Side, data: &[u8]) {
        let Some(version) = self.version(key) else {
            return;
        };
        self.packet(key, side, engine::decode_binary(version, data));
    }

    fn version(&self, key: SessionKey) -> Option<Version> {
        self.state
            .borrow_mut()
            .session(key)
            .map(|entry| entry.engine.version())
    }

    fn packet(&self, key: SessionKey, side: Side, packet: Result<Packet<'_>, PacketError>) {
        let Ok(packet) = packet else {
            return self.parse_error(key, side);
        };
        // Nearly all packets are messages, which are no business of the engine's timers.
        if let Packet::Message(message) = packet {
            return self.message(key, side, message);
        }
        let now = self.now();
        self.with_engine(key, |engine, cfg| engine.packet(side, packet, now, cfg));
    }

    /// What came is no packet of the protocol.
    pub fn parse_error(&self, key: SessionKey, side: Side) {
        self.with_engine(key, |engine, _| engine.parse_error(side));
    }

    /// The body of a POST came.
    ///
    /// # Errors
    /// [`PayloadRefused`]; the session is closed then.
    pub fn payload(
        &self,
        key: SessionKey,
        body: &[u8],
        is_binary: bool,
    ) -> Result<(), PayloadRefused> {
        let version = self.version(key).ok_or(PayloadRefused::Gone)?;
        let limits = self.hub.settings().limits;
        let decoded = engine::payload::decode(version, body, is_binary, &limits, |packet| {
            self.packet(key, Side::Main, Ok(packet));
            let open = self
                .state
                .borrow_mut()
                .session(key)
                .is_some_and(|entry| !entry.over);
            if open {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        });
        if decoded.is_err() {
            self.parse_error(key, Side::Main);
        }
        Ok(decoded?)
    }

    /// A WebSocket came with this session's id.
    ///
    /// # Errors
    /// If the session can't be upgraded.
    pub fn probe(&self, key: SessionKey) -> Result<(), HandshakeError> {
        let now = self.now();
        self.with_engine(key, |engine, cfg| engine.probe_opened(now, cfg))
            .ok_or(HandshakeError::UnknownSid)?
    }

    /// A transport ended.
    pub fn end(&self, key: SessionKey, side: Side, end: End) {
        self.with_engine(key, |engine, _| engine.transport_ended(side, end));
    }

    /// A long poll came. `false`: one is pending already, and the session is closed for it.
    pub fn poll_opened(&self, key: SessionKey) -> bool {
        let mut state = self.state.borrow_mut();
        let Some(entry) = state.session(key) else {
            return false;
        };
        if std::mem::replace(&mut entry.outbox.poll_pending, true) {
            drop(state);
            self.end(key, Side::Main, End::Error);
            return false;
        }
        // While an upgrade is under way the poll is answered at the next check.
        if !entry.outbox.is_empty() || entry.over {
            state.touch(key.slot);
        }
        true
    }

    /// Closes a session: what is queued still goes out.
    pub fn close(&self, key: SessionKey, reason: CloseReason) {
        self.with_engine(key, |engine, _| engine.close(reason));
    }

    /// All sessions, for closing them one by one.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionKey> {
        let state = self.state.borrow();
        let all = state.sessions.iter().filter(|(_, entry)| !entry.over);
        all.map(|(slot, entry)| SessionKey {
            slot: slot as u32,
            generation: entry.generation,
        })
        .collect()
    }

    /// Whether the connection is to be read no further for now; `Signals::resume` tells when it may.
    #[must_use]
    pub fn is_paused(&self, key: SessionKey) -> bool {
        self.state
            .borrow_mut()
            .session(key)
            .is_some_and(|entry| entry.paused || entry.slowed)
    }

    /// Forgets a session that is over. Every session that was opened is released in the end.
    pub fn release(&self, key: SessionKey) {
        let mut state = self.state.borrow_mut();
        if state.session(key).is_some_and(|entry| entry.over) {
            let mut entry = state.sessions.remove(key.slot as usize);
            entry.outbox.clear();
        }
    }

    pub(crate) fn send_message(&self, key: SessionKey, encoded: &Encoded) {
        self.send_packet(key, encoded);
    }

    fn message(&self, key: SessionKey, side: Side, message: Message<'_>) {
        let mut state = self.state.borrow_mut();
        let Some(entry) = state.session(key).filter(|entry| !entry.over) else {
            return;
        };
        if !entry.engine.takes_messages(side) {
            // On a probe it's out of place, and the engine deals with it.
            drop(state);
            let now = self.now();
            let packet = Packet::Message(message);
            self.with_engine(key, |engine, cfg| engine.packet(side, packet, now, cfg));
            return;
        }
        if entry.app == App::EngineIo {
            let socket = self.engine_socket(key, entry);
            drop(state);
            if let Some(handler) = self.hub.0.engine_io.load().message.clone() {
                caught("a handler of Engine.IO", || handler(&socket, message));
            }
            return;
        }
        let limits = &self.hub.settings().limits;
        match message {
            Message::Text(text) => {
                let decoded = entry.decoder.text(text, limits);
                drop(state);
                self.decoded(key, decoded);
            }
            Message::Binary(data) => {
                let decoded = entry.decoder.binary(&data, limits);
                drop(state);
                self.decoded(key, decoded);
            }
        }
    }

    fn decoded(
        &self,
        key: SessionKey,
        decoded: Result<Option<socketio::Packet<'_>>, socketio::DecodeError>,
    ) {
        match decoded {
            Ok(Some(packet)) => {
                self.stats().packets_in.add(1);
                self.dispatch(key, packet);
            }
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(%error, "a client sent what is no Socket.IO packet");
                self.parse_error(key, Side::Main);
            }
        }
    }
}
