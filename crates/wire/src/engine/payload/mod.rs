//! Polling bodies: several packets in one HTTP request or answer.
//!
//! Revision 4 separates packets with `\x1e` and writes binary as base64. Revision 3 counts: in its text form UTF-16
//! units (what JavaScript calls a string's length), in its binary form bytes. A decoder hands out packets up to
//! the first error, as Node does. Source: "Packet encoding" of the v4 page, "Payload" of the v3 page.

use std::ops::ControlFlow;

use super::packet::{PacketError, decode_binary, decode_text};
use super::{Packet, Version};
use crate::Limits;

mod v3;
mod writer;

pub use writer::{ContentType, Writer};

/// Between the packets of a revision 4 body.
const SEPARATOR: u8 = 0x1e;

/// Why a body is refused. Packets before the fault were delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// The body has more bytes than [`Limits::max_payload_bytes`]. HTTP status 413.
    #[error("the body is larger than the server takes: send fewer or smaller packets at once")]
    TooLarge,
    /// The body has more packets than [`Limits::max_packets_per_payload`].
    #[error("the body has more packets than the server takes: send fewer at once")]
    TooManyPackets,
    /// A binary body in revision 4. Node ends the session with a transport error.
    #[error("revision 4 has no binary bodies: send binary packets as base64")]
    UnexpectedBinary,
    /// A text body is not UTF-8.
    #[error("the body is not valid UTF-8")]
    NotUtf8,
    /// A length is missing, malformed, or does not fit what follows.
    #[error("a packet's length is malformed or does not fit the body")]
    BadLength,
    /// A packet is malformed.
    #[error(transparent)]
    Packet(#[from] PacketError),
}

/// Decodes a body and calls `f` for each packet in order, until `f` breaks. `is_binary_content` says that the
/// request's content type is `application/octet-stream`.
///
/// # Errors
/// The first fault of the body, after the packets before it were handed to `f`.
pub fn decode(
    version: Version,
    body: &[u8],
    is_binary_content: bool,
    limits: &Limits,
    f: impl FnMut(Packet<'_>) -> ControlFlow<()>,
) -> Result<(), PayloadError> {
    if body.len() > limits.max_payload_bytes {
        return Err(PayloadError::TooLarge);
    }
    match (version, is_binary_content) {
        (Version::V4, true) => Err(PayloadError::UnexpectedBinary),
        (Version::V4, false) => decode_v4(text(body)?, limits, f),
        (Version::V3, true) => v3::decode_binary_form(body, limits, f),
        (Version::V3, false) => v3::decode_text_form(text(body)?, limits, f),
    }
}

fn text(body: &[u8]) -> Result<&str, PayloadError> {
    simdutf8::basic::from_utf8(body).map_err(|_| PayloadError::NotUtf8)
}

fn decode_v4(
    body: &str,
    limits: &Limits,
    mut f: impl FnMut(Packet<'_>) -> ControlFlow<()>,
) -> Result<(), PayloadError> {
    for (i, packet) in body.split(char::from(SEPARATOR)).enumerate() {
        if i >= limits.max_packets_per_payload {
            return Err(PayloadError::TooManyPackets);
        }
        if f(decode_text(Version::V4, packet)?).is_break() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
