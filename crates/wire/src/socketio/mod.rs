//! Socket.IO packets, in JSON (the default parser, protocol revision 5) and in msgpack.
//!
//! Arguments are not parsed into values: they travel as the raw text of the JSON array (with its attachments beside
//! it), checked once, or as the raw msgpack value. Source: "Packet encoding" of the Socket.IO protocol page,
//! socket.io-parser 4.2, socket.io-msgpack-parser 3.

use std::borrow::Cow;

use bytes::Bytes;

mod args;
mod decode;
mod encode;
pub mod transcode;

pub use args::{event_name, split_args};
pub use decode::{DecodeError, Decoder};
pub use encode::{Outgoing, encode, head_of_binary_event};

/// How packets are written. A server tells from a client's first packet which one it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Parser {
    /// Text with JSON, and attachments as binary messages.
    Json,
    /// One binary message, a msgpack map (`socket.io-msgpack-parser`).
    Msgpack,
}

/// What a packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Joining a namespace, and the answer.
    Connect,
    /// Leaving a namespace.
    Disconnect,
    /// An event.
    Event,
    /// The acknowledgement of an event.
    Ack,
    /// The refusal of a [`Kind::Connect`].
    ConnectError,
    /// An event with attachments; only on the wire: decoders give [`Kind::Event`], encoders take either.
    BinaryEvent,
    /// An acknowledgement with attachments; only on the wire, as above.
    BinaryAck,
}

impl Kind {
    /// The type digit.
    #[must_use]
    pub const fn as_u8(self) -> u8 {
        match self {
            Kind::Connect => 0,
            Kind::Disconnect => 1,
            Kind::Event => 2,
            Kind::Ack => 3,
            Kind::ConnectError => 4,
            Kind::BinaryEvent => 5,
            Kind::BinaryAck => 6,
        }
    }

    pub(crate) const fn from_u8(digit: u8) -> Option<Kind> {
        Some(match digit {
            0 => Kind::Connect,
            1 => Kind::Disconnect,
            2 => Kind::Event,
            3 => Kind::Ack,
            4 => Kind::ConnectError,
            5 => Kind::BinaryEvent,
            6 => Kind::BinaryAck,
            _ => return None,
        })
    }
}

/// One packet, whole: with its attachments.
#[derive(Clone, Debug, PartialEq)]
pub struct Packet<'a> {
    /// Never a binary kind.
    pub kind: Kind,
    /// The namespace, with its leading slash.
    pub nsp: Cow<'a, str>,
    /// The id of an event that wants an acknowledgement, or of the acknowledgement.
    pub id: Option<u64>,
    /// The name of an event, where checking the payload came by it; else [`event_name`] finds it.
    pub event: Option<Cow<'a, str>>,
    /// The payload.
    pub data: Data<'a>,
}

/// The payload of a packet. Checked: valid, nested within the limit, of the shape that the packet's kind asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Data<'a> {
    /// None.
    None,
    /// From a client with the JSON parser.
    Json {
        /// The whole payload: of events and acknowledgements the array (`["event",1,{}]`), with a placeholder
        /// (`{"_placeholder":true,"num":0}`) where an attachment belongs.
        text: Cow<'a, str>,
        /// The attachments, by the placeholders' numbers.
        attachments: Vec<Bytes>,
    },
    /// From a client with the msgpack parser: the raw value of the packet's `data`.
    Msgpack(Cow<'a, [u8]>),
}

/// Names that no event may have: both sides emit them themselves.
pub const RESERVED_EVENTS: [&str; 6] = [
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
];

/// Whether an event may not have this name.
#[must_use]
pub fn is_reserved_event(name: &str) -> bool {
    RESERVED_EVENTS.contains(&name)
}

#[cfg(test)]
mod tests;
