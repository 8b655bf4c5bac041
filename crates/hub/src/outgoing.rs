//! One broadcast on its way: encoded once for each parser in use, shared by all who receive it.

use std::num::NonZeroU64;
use std::sync::{Arc, OnceLock};

use lakh_broker::{Position, PositionText, Room};
use lakh_wire::Encoded;
use lakh_wire::socketio::{self, Kind, Parser};
use smallvec::SmallVec;

use crate::ids::Id;
use crate::namespace::NamespaceInner;
use crate::payload::Payload;
use crate::shard::SocketKey;
use crate::sieve::Traits;

/// How a packet is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flags {
    /// Dropped for whoever can't take it right now.
    pub volatile: bool,
    /// May be compressed where that was negotiated.
    pub compress: bool,
    /// Stays on this node.
    pub local: bool,
    /// Goes past the recovery log, and carries no offset.
    pub unlogged: bool,
    /// Takes the place of what waits under the same key.
    pub conflate: Option<NonZeroU64>,
}

impl Flags {
    /// Whether it's for those alone who are there now.
    pub(crate) fn is_passing(self) -> bool {
        self.volatile || self.unlogged
    }
}

impl Default for Flags {
    fn default() -> Self {
        Self {
            volatile: false,
            compress: true,
            local: false,
            unlogged: false,
            conflate: None,
        }
    }
}

/// Who gets a broadcast: everyone in the namespace when `rooms` is empty.
#[derive(Clone, Debug, Default)]
pub(crate) struct Targets {
    pub rooms: SmallVec<[Room; 1]>,
    pub except: SmallVec<[Room; 1]>,
}

/// One broadcast.
pub(crate) struct Outgoing {
    pub namespace: Arc<NamespaceInner>,
    pub payload: Payload,
    /// Asks for an acknowledgement under this number.
    pub ack: Option<u64>,
    /// Appended as the last argument in recoverable namespaces.
    pub offset: Option<Position>,
    pub flags: Flags,
    pub targets: Targets,
    /// For one socket alone: its shard and its place there. The room in `targets` is its own; the log goes by that.
    pub only: Option<(usize, SocketKey)>,
    json: OnceLock<Encoded>,
    msgpack: OnceLock<Encoded>,
    traits: OnceLock<Traits>,
}

impl Outgoing {
    pub(crate) fn new(
        namespace: Arc<NamespaceInner>,
        payload: Payload,
        targets: Targets,
        flags: Flags,
    ) -> Self {
        Self {
            namespace,
            payload,
            ack: None,
            offset: None,
            flags,
            targets,
            only: None,
            json: OnceLock::new(),
            msgpack: OnceLock::new(),
            traits: OnceLock::new(),
        }
    }

    /// With its place in the channel. To be called before it's encoded.
    pub(crate) fn at(mut self, offset: Position) -> Self {
        self.offset = Some(offset);
        self
    }

    /// Its own place in the log. What passes carries that of an earlier one, and is never replayed.
    pub(crate) fn logged_at(&self) -> Option<u64> {
        let at = self.offset.filter(|_| !self.flags.is_passing());
        at.map(|at| at.seq)
    }

    /// The bytes for a connection that uses this parser; made at the first call.
    pub(crate) fn encoded(&self, parser: Parser) -> &Encoded {
        let cell = match parser {
            Parser::Json => &self.json,
            Parser::Msgpack => &self.msgpack,
        };
        cell.get_or_init(|| {
            event(
                parser,
                &self.namespace.name,
                &self.payload,
                self.ack,
                self.offset,
                self.flags.compress,
            )
        })
    }

    /// Whether this is for a socket in these rooms. For replays, where no member lists stand.
    pub(crate) fn reaches<'a>(
        &self,
        own: &Id,
        rooms: &(impl Iterator<Item = &'a Room> + Clone),
    ) -> bool {
        let targets = &self.targets.rooms;
        let for_it = |target: &Room| {
            **target == *own.as_str()
                || rooms
                    .clone()
                    .any(|room| match self.namespace.filtered(room) {
                        Some((base, filter)) => *base == **target && self.passes(filter),
                        None => room == target,
                    })
        };
        targets.is_empty() || targets.iter().any(for_it)
    }

    /// Whether a filter of members lets this through.
    pub(crate) fn passes(&self, filter: &str) -> bool {
        self.namespace.sieve.get().is_none_or(|sieve| {
            let traits = self.traits.get_or_init(|| sieve.read(&self.payload));
            sieve.passes(filter, traits)
        })
    }

    /// Whether a socket in these rooms is left out.
    pub(crate) fn excludes<'a>(
        &self,
        own: &Id,
        rooms: &(impl Iterator<Item = &'a Room> + Clone),
    ) -> bool {
        self.targets.except.iter().any(|out| {
            let is_in = |room: &Room| *self.namespace.base_of(room) == **out;
            **out == *own.as_str() || rooms.clone().any(is_in)
        })
    }

    /// Bytes that this weighs in queues and logs.
    pub(crate) fn cost(&self) -> usize {
        /// The struct itself, two encodings' headers and the names of rooms.
        const OVERHEAD: usize = 320;
        self.payload.len() * 2 + OVERHEAD
    }
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing")
            .field("namespace", &self.namespace.name)
            .field("targets", &self.targets)
            .finish()
    }
}

/// Encodes an event.
pub(crate) fn event(
    parser: Parser,
    namespace: &str,
    payload: &Payload,
    ack: Option<u64>,
    offset: Option<Position>,
    compress: bool,
) -> Encoded {
    let offset = offset.map(Position::text);
    socketio::encode(
        parser,
        &socketio::Outgoing {
            kind: Kind::Event,
            nsp: namespace,
            id: ack,
            args: Some(&payload.text),
            attachments: &payload.attachments,
            offset: offset.as_ref().map(PositionText::as_str),
            compress,
        },
    )
}

/// Encodes the answer to an event.
pub(crate) fn ack(parser: Parser, namespace: &str, payload: &Payload, id: u64) -> Encoded {
    socketio::encode(
        parser,
        &socketio::Outgoing {
            kind: Kind::Ack,
            nsp: namespace,
            id: Some(id),
            args: Some(&payload.text),
            attachments: &payload.attachments,
            offset: None,
            compress: true,
        },
    )
}

/// Encodes CONNECT, CONNECT_ERROR or DISCONNECT; `data` is raw JSON.
pub(crate) fn control(parser: Parser, kind: Kind, namespace: &str, data: Option<&str>) -> Encoded {
    socketio::encode(
        parser,
        &socketio::Outgoing {
            kind,
            nsp: namespace,
            id: None,
            args: data,
            attachments: &[],
            offset: None,
            compress: false,
        },
    )
}
