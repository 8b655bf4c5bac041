//! Payloads from one parser to the other: for a client with the JSON parser to hear one with msgpack.
//!
//! Nothing recurses; depth and size are bounded by what the decoder took. Source: notepack 3 (what it reads and
//! writes), `JSON.stringify` (what becomes of values that JSON does not have).

mod date;
mod to_json;
mod to_msgpack;

pub use to_json::msgpack_to_json;
pub(crate) use to_msgpack::append_json_as_msgpack;

use bytes::Bytes;

/// JSON as msgpack, byte for byte as notepack 3 writes it; placeholders become the attachments they stand for. Text
/// that is not valid JSON becomes nil: payloads from clients were checked, and the server's own come from a serializer.
#[must_use]
pub fn json_to_msgpack(text: &str, attachments: &[Bytes]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    append_json_as_msgpack(&mut out, text, attachments);
    out
}

#[cfg(test)]
mod tests;
