//! The client's side: masked frames out, unmasked frames in. For test clients and load generators.

use super::decode::{Decoder as Frames, Event, WsError};
use super::frame::{Opcode, apply_mask, header_len, write_header_with};
use super::{close_payload, deflate};

/// One masked final frame. The mask should be random; RFC 6455 asks it of clients, and the server does not care.
#[must_use]
pub fn encode(opcode: Opcode, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_into(&mut out, opcode, payload, mask);
    out
}

/// Appends one masked final frame.
pub fn encode_into(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], mask: [u8; 4]) {
    write(out, opcode, payload, mask, true, false);
}

/// One masked frame of a fragmented message: the first has the message's opcode, the others
/// [`Opcode::Continuation`], the last one `fin`.
#[must_use]
pub fn encode_fragment(opcode: Opcode, payload: &[u8], mask: [u8; 4], fin: bool) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out, opcode, payload, mask, fin, false);
    out
}

/// One masked final frame with its payload compressed; plain if that would not make it shorter.
#[must_use]
pub fn encode_compressed(opcode: Opcode, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut out = Vec::new();
    match deflate(&[payload]) {
        Some(compressed) => write(&mut out, opcode, &compressed, mask, true, true),
        None => write(&mut out, opcode, payload, mask, true, false),
    }
    out
}

/// A masked close frame; empty without a code.
#[must_use]
pub fn close_frame(code: Option<u16>, reason: &str, mask: [u8; 4]) -> Vec<u8> {
    encode(Opcode::Close, &close_payload(code, reason), mask)
}

fn write(
    out: &mut Vec<u8>,
    opcode: Opcode,
    payload: &[u8],
    mask: [u8; 4],
    fin: bool,
    compressed: bool,
) {
    out.reserve(header_len(payload.len()) + 4 + payload.len());
    write_header_with(out, opcode, payload.len(), compressed, fin, 0x80);
    out.extend_from_slice(&mask);
    let start = out.len();
    out.extend_from_slice(payload);
    apply_mask(&mut out[start..], mask, 0);
}

/// Decodes what a server sends: the same as [`ws::Decoder`](super::Decoder), but frames must not be masked.
#[derive(Debug)]
pub struct Decoder(Frames);

impl Decoder {
    /// `deflate` says that permessage-deflate is in use.
    #[must_use]
    pub fn new(max_message_bytes: usize, deflate: bool) -> Decoder {
        Decoder(Frames::with_role(max_message_bytes, deflate, false))
    }

    /// As [`ws::Decoder::decode`](super::Decoder::decode).
    ///
    /// # Errors
    /// [`WsError`]: close the connection.
    pub fn decode<'a>(
        &'a mut self,
        buf: &'a mut [u8],
    ) -> Result<(usize, Option<Event<'a>>), WsError> {
        self.0.decode(buf)
    }

    /// Bytes held on the heap now.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.0.buffered_bytes()
    }
}
