//! Engine.IO, revisions 3 and 4: packets, polling bodies, the handshake, and the session under virtual time.
//!
//! Source: the Engine.IO protocol pages (`v3`, `v4`) and the behaviour of Node's engine.io 6.

pub mod handshake;
pub mod jsonp;
mod packet;
pub mod payload;
mod session;

pub use handshake::HandshakeError;
pub use packet::{Message, Packet, PacketError, decode_binary, decode_text};
pub use session::{Action, Control, End, Session, SessionConfig, Side};

/// The revision of the protocol that a client speaks, from the `EIO` parameter of its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// Engine.IO 3, spoken by Socket.IO 1 and 2: the client pings.
    V3,
    /// Engine.IO 4, spoken by Socket.IO 3 and above: the server pings.
    V4,
}

/// How packets travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// HTTP long polling.
    Polling,
    /// One WebSocket.
    WebSocket,
}

impl Transport {
    /// The word of the `transport` parameter.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Transport::Polling => "polling",
            Transport::WebSocket => "websocket",
        }
    }
}

#[cfg(test)]
mod tests;
