//! The header of one frame (RFC 6455, 5.2), read and written, and the mask.

use super::WsError;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// More of the message that an earlier frame began.
    Continuation = 0,
    /// A text message, or its first part.
    Text = 1,
    /// A binary message, or its first part.
    Binary = 2,
    /// The end of the connection.
    Close = 8,
    /// A ping.
    Ping = 9,
    /// A pong.
    Pong = 10,
}

impl Opcode {
    pub(super) fn is_control(self) -> bool {
        self as u8 >= 8
    }
}

/// Bytes of an unmasked header for so many bytes of payload.
#[must_use]
pub(crate) const fn header_len(payload_len: usize) -> usize {
    match payload_len {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => 10,
    }
}

/// Appends the header of an unmasked final frame. `compressed` sets RSV1 (RFC 7692).
pub fn write_header(out: &mut Vec<u8>, opcode: Opcode, payload_len: usize, compressed: bool) {
    write_header_with(out, opcode, payload_len, compressed, true, 0);
}

pub(super) fn write_header_with(
    out: &mut Vec<u8>,
    opcode: Opcode,
    payload_len: usize,
    compressed: bool,
    fin: bool,
    mask_bit: u8,
) {
    out.push(u8::from(fin) << 7 | u8::from(compressed) << 6 | opcode as u8);
    match payload_len {
        0..=125 => out.push(mask_bit | payload_len as u8),
        126..=0xffff => {
            out.push(mask_bit | 126);
            out.extend_from_slice(&(payload_len as u16).to_be_bytes());
        }
        _ => {
            out.push(mask_bit | 127);
            out.extend_from_slice(&(payload_len as u64).to_be_bytes());
        }
    }
}

/// A header as read. `mask` is zero on unmasked frames, which changes nothing when applied.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) opcode: Opcode,
    pub(super) fin: bool,
    pub(super) compressed: bool,
    pub(super) mask: [u8; 4],
    pub(super) payload_len: u64,
    /// Bytes of the header itself.
    pub(super) len: usize,
}

/// The longest header: 2 bytes, 8 of length, 4 of mask.
pub(super) const MAX_HEADER: usize = 14;

impl Header {
    /// Reads the header at the start of `buf`; `None` if more bytes are needed.
    ///
    /// The two first bytes are checked as soon as they are there, so that a wrong peer is told at once.
    pub(super) fn parse(
        buf: &[u8],
        masked: bool,
        deflate: bool,
    ) -> Result<Option<Header>, WsError> {
        let &[first, second, ref rest @ ..] = buf else {
            return Ok(None);
        };
        let opcode = match first & 0x0f {
            0 => Opcode::Continuation,
            1 => Opcode::Text,
            2 => Opcode::Binary,
            8 => Opcode::Close,
            9 => Opcode::Ping,
            10 => Opcode::Pong,
            _ => return Err(WsError::ReservedOpcode),
        };
        let fin = first & 0x80 != 0;
        let compressed = first & 0x40 != 0;
        let may_compress = deflate && matches!(opcode, Opcode::Text | Opcode::Binary);
        if first & 0x30 != 0 || compressed && !may_compress {
            return Err(WsError::ReservedBits);
        }
        if (second & 0x80 != 0) != masked {
            return Err(WsError::WrongMask);
        }
        let short = second & 0x7f;
        if opcode.is_control() && (short > 125 || !fin) {
            return Err(WsError::BadControlFrame);
        }
        let Some((payload_len, length_bytes)) = parse_length(short, rest)? else {
            return Ok(None);
        };
        let mask = if masked {
            let Some(mask) = rest.get(length_bytes..length_bytes + 4) else {
                return Ok(None);
            };
            [mask[0], mask[1], mask[2], mask[3]]
        } else {
            [0; 4]
        };
        Ok(Some(Header {
            opcode,
            fin,
            compressed,
            mask,
            payload_len,
            len: 2 + length_bytes + if masked { 4 } else { 0 },
        }))
    }
}

/// The payload's length and how many bytes after the second spell it. It has to be spelt in the fewest (5.2).
fn parse_length(short: u8, rest: &[u8]) -> Result<Option<(u64, usize)>, WsError> {
    match short {
        126 => match rest.first_chunk::<2>() {
            None => Ok(None),
            Some(bytes) => match u64::from(u16::from_be_bytes(*bytes)) {
                0..=125 => Err(WsError::LongLength),
                length => Ok(Some((length, 2))),
            },
        },
        127 => match rest.first_chunk::<8>() {
            None => Ok(None),
            Some(bytes) => match u64::from_be_bytes(*bytes) {
                0..=0xffff | 0x8000_0000_0000_0000.. => Err(WsError::LongLength),
                length => Ok(Some((length, 8))),
            },
        },
        _ => Ok(Some((u64::from(short), 0))),
    }
}

/// Masks or unmasks in place. `offset` is how many bytes of the payload came before.
pub(super) fn apply_mask(data: &mut [u8], mask: [u8; 4], offset: u64) {
    if mask == [0; 4] {
        return;
    }
    let mut turned = mask;
    turned.rotate_left((offset % 4) as usize);
    let word = u32::from_ne_bytes(turned);
    let wide = u64::from(word) << 32 | u64::from(word);
    // Eight bytes at a time, which the compiler turns into vector instructions.
    let mut chunks = data.chunks_exact_mut(8);
    for chunk in &mut chunks {
        if let Some(chunk) = chunk.first_chunk_mut::<8>() {
            *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
        }
    }
    for (byte, key) in chunks
        .into_remainder()
        .iter_mut()
        .zip(turned.iter().cycle())
    {
        *byte ^= key;
    }
}
