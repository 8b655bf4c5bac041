//! One Engine.IO packet: a type digit and data.
//!
//! Decoding borrows; only base64 allocates. Source: "Packet encoding" of the v4 page, "Packet" of the v3 page.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::Version;

/// The data of a message packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Text.
    Text(&'a str),
    /// Bytes; owned only when they came as base64.
    Binary(Cow<'a, [u8]>),
}

/// One Engine.IO packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// `0`: the handshake, JSON. Only servers send it.
    Open(&'a str),
    /// `1`: the peer wants this transport closed.
    Close,
    /// `2`: data is empty, or `probe` during an upgrade.
    Ping(&'a str),
    /// `3`: data is empty, or `probe` during an upgrade.
    Pong(&'a str),
    /// `4`: what the layer above sends.
    Message(Message<'a>),
    /// `5`: the probed transport becomes the main one.
    Upgrade,
    /// `6`: nothing; ends a pending poll.
    Noop,
}

/// Why bytes are no Engine.IO packet. The session ends with a parse error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// There is no type digit.
    #[error("an Engine.IO packet is empty: send a type digit from 0 to 6 first")]
    Empty,
    /// The type is unknown.
    #[error("an Engine.IO packet has an unknown type: send a type digit from 0 to 6 first")]
    UnknownType,
    /// The data after `b` is not base64.
    #[error("a binary Engine.IO packet is not valid base64")]
    BadBase64,
}

/// Lenient where Node's decoder is and it costs nothing: padding may be absent, spare bits may be set.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Decodes the packet in a WebSocket text frame, or one packet of a polling body.
///
/// # Errors
/// [`PacketError`] if `text` is no packet of this revision.
pub fn decode_text(version: Version, text: &str) -> Result<Packet<'_>, PacketError> {
    match text.as_bytes().first() {
        None => Err(PacketError::Empty),
        // A message as base64; v3 names the type after the `b`, v4 does not.
        Some(b'b') => match version {
            Version::V4 => base64_message(&text[1..]),
            Version::V3 => decode_base64_v3(&text[1..]),
        },
        Some(digit @ b'0'..=b'6') => Ok(typed(digit - b'0', &text[1..])),
        Some(_) => Err(PacketError::UnknownType),
    }
}

/// Decodes the packet in a WebSocket binary frame, or one binary packet of a v3 polling body. In v4 all of it is
/// a message's data; in v3 the type stands in the first byte.
///
/// # Errors
/// [`PacketError`] if `data` is no packet of this revision.
pub fn decode_binary(version: Version, data: &[u8]) -> Result<Packet<'_>, PacketError> {
    match version {
        Version::V4 => Ok(Packet::Message(Message::Binary(Cow::Borrowed(data)))),
        Version::V3 => match data.split_first() {
            None => Err(PacketError::Empty),
            Some((4, rest)) => Ok(Packet::Message(Message::Binary(Cow::Borrowed(rest)))),
            // Binary data of other types has no meaning: a probe is text.
            Some((kind @ 0..=6, _)) => Ok(typed(*kind, "")),
            Some(_) => Err(PacketError::UnknownType),
        },
    }
}

fn typed(kind: u8, data: &str) -> Packet<'_> {
    match kind {
        0 => Packet::Open(data),
        1 => Packet::Close,
        2 => Packet::Ping(data),
        3 => Packet::Pong(data),
        4 => Packet::Message(Message::Text(data)),
        5 => Packet::Upgrade,
        _ => Packet::Noop,
    }
}

fn base64_message(text: &str) -> Result<Packet<'static>, PacketError> {
    let data = BASE64.decode(text).map_err(|_| PacketError::BadBase64)?;
    Ok(Packet::Message(Message::Binary(Cow::Owned(data))))
}

fn decode_base64_v3(text: &str) -> Result<Packet<'_>, PacketError> {
    match text.as_bytes().first() {
        None => Err(PacketError::Empty),
        Some(b'4') => base64_message(&text[1..]),
        Some(digit @ b'0'..=b'6') => Ok(typed(digit - b'0', "")),
        Some(_) => Err(PacketError::UnknownType),
    }
}

/// Appends `data` as base64, with padding, as both revisions want it.
pub(super) fn append_base64(out: &mut Vec<u8>, data: &[u8]) {
    let start = out.len();
    out.resize(start + data.len().div_ceil(3) * 4, 0);
    let written = BASE64.encode_slice(data, &mut out[start..]);
    // The slice has room for every byte and its padding, so encoding can't fail.
    out.truncate(start + written.unwrap_or(0));
}
