//! The bytes of `createShardedAdapter` (@socket.io/redis-adapter 8.3), over sharded pub/sub of Redis 7.
//!
//! Channels are `K#<nsp>#` for all nodes, `K#<nsp>#<uid>#` for answers to one, and, in the dynamic modes,
//! `K#<nsp>#<room>#` for broadcasts to exactly one room. A message is JSON unless it holds binary.

use bytes::Bytes;

use super::envelope::{encode_json, encode_msgpack, form_of};
use super::limits::{DecodeError, EncodeError, Limits};
use super::message::{Envelope, Form, Message, Uid};
use crate::Room;

/// For which rooms there is a channel of their own. All nodes of a cluster must agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// For none: two subscriptions a namespace.
    Static,
    /// For those that aren't a socket's own (Node's default). A name of 20 characters counts as a socket's.
    #[default]
    Dynamic,
    /// For each.
    DynamicPrivate,
}

/// Characters of a socket's id, and so of its own room's name.
const SOCKET_ID: usize = 20;

impl Mode {
    /// Whether broadcasts to this room alone go over its own channel.
    #[must_use]
    pub fn separates(self, room: &str) -> bool {
        match self {
            Self::Static => false,
            // JavaScript counts UTF-16 units.
            Self::Dynamic => room.encode_utf16().count() != SOCKET_ID,
            Self::DynamicPrivate => true,
        }
    }
}

/// The channel of a namespace.
#[must_use]
pub fn channel(key: &str, nsp: &str) -> String {
    format!("{key}#{nsp}#")
}

/// The channel of a room, or of the answers to one node.
#[must_use]
pub fn sub_channel(key: &str, nsp: &str, name: &str) -> String {
    format!("{key}#{nsp}#{name}#")
}

/// The room whose own channel a message goes over.
#[must_use]
pub fn room_of(mode: Mode, message: &Message) -> Option<&Room> {
    match message {
        Message::Broadcast {
            opts, ack: None, ..
        } => match opts.rooms.as_slice() {
            [room] if mode.separates(room) => Some(room),
            _ => None,
        },
        _ => None,
    }
}

/// The bytes of a message. `data` may have either form, but all of a message the same.
///
/// # Errors
/// [`EncodeError`] if the forms differ, or for a message of classic.
pub fn encode(uid: &Uid, nsp: &str, message: &Message) -> Result<Bytes, EncodeError> {
    match form_of(message) {
        Form::Msgpack => encode_msgpack(uid, nsp, message),
        _ => encode_json(uid, nsp, message),
    }
}

/// Reads a message, whatever channel it came over.
///
/// # Errors
/// [`DecodeError`] tells what is wrong with it.
pub fn decode(body: &Bytes, limits: &Limits) -> Result<Envelope, DecodeError> {
    super::envelope::decode(body, limits)
}
