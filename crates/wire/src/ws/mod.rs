//! WebSocket frames: decoding what clients send, writing what the server sends.
//!
//! Source: RFC 6455 (framing, close codes) and RFC 7692 (permessage-deflate, without context takeover). Every fault
//! maps to the close code that the RFC asks for. The opening handshake's HTTP is the caller's.

use base64::Engine as _;
use sha1::{Digest as _, Sha1};

pub mod client;
mod decode;
mod deflate;
pub mod extensions;
mod frame;

pub use decode::{Decoder, Event, WsError};
pub(crate) use deflate::deflate;
pub(crate) use frame::header_len;
pub use frame::{Opcode, write_header};

/// The value of `Sec-WebSocket-Accept` for the client's `Sec-WebSocket-Key` (RFC 6455, 4.2.2).
#[must_use]
pub fn accept_key(key: &str) -> String {
    let digest = Sha1::new()
        .chain_update(key.as_bytes())
        .chain_update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
        .finalize();
    base64::engine::general_purpose::STANDARD.encode(digest)
}

/// One unmasked text frame, for the packets that are no message, such as the open packet.
#[must_use]
pub fn text_frame(text: &str) -> Vec<u8> {
    frame(Opcode::Text, text.as_bytes())
}

/// One unmasked close frame. Without a code (`None`) it is empty, as Node's `ws` sends it on a plain close. A reason is
/// cut at 123 bytes, between characters: a control frame holds no more.
#[must_use]
pub fn close_frame(code: impl Into<Option<u16>>, reason: &str) -> Vec<u8> {
    frame(Opcode::Close, &close_payload(code.into(), reason))
}

/// One unmasked pong frame that answers a ping with this payload. A control frame holds 125 bytes; the rest is cut.
#[must_use]
pub fn pong_frame(payload: &[u8]) -> Vec<u8> {
    frame(Opcode::Pong, &payload[..payload.len().min(125)])
}

fn close_payload(code: Option<u16>, reason: &str) -> Vec<u8> {
    let Some(code) = code else {
        return Vec::new();
    };
    let mut end = reason.len().min(123);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    [&code.to_be_bytes(), &reason.as_bytes()[..end]].concat()
}

fn frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(header_len(payload.len()) + payload.len());
    write_header(&mut out, opcode, payload.len(), false);
    out.extend_from_slice(payload);
    out
}

#[cfg(test)]
mod tests;
