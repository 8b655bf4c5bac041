//! permessage-deflate (RFC 7692, 7.2): each message by itself, because no context is ever kept between messages.
//!
//! Invariant: inflating stops as soon as the message passes its bound, so a small frame can't fill memory.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::WsError;

/// What a sender leaves out at the end of each message.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// How much room to make at a time when inflating.
const STEP: usize = 4096;

/// Inflates one message.
pub(super) fn inflate(compressed: &[u8], max_bytes: usize) -> Result<Vec<u8>, WsError> {
    let mut inflater = Decompress::new(false);
    // One byte beyond the bound, to tell a message that fills it from one that passes it.
    let most = max_bytes.saturating_add(1);
    let mut out = Vec::with_capacity((compressed.len() * 4).clamp(64, STEP).min(most));
    for part in [compressed, &TAIL] {
        let mut rest = part;
        loop {
            let read_before = inflater.total_in();
            let wrote_before = inflater.total_out();
            let status = inflater
                .decompress_vec(rest, &mut out, FlushDecompress::Sync)
                .map_err(|_| WsError::BadDeflate)?;
            let read = (inflater.total_in() - read_before) as usize;
            let wrote = inflater.total_out() - wrote_before;
            rest = &rest[read.min(rest.len())..];
            if out.len() > max_bytes {
                return Err(WsError::TooLarge);
            }
            if status == Status::StreamEnd {
                // A sender may end its stream (7.2.3.4); what follows is an empty block.
                return Ok(out);
            }
            if out.len() == out.capacity() {
                let room = (most - out.len()).min(out.len().max(STEP));
                out.reserve_exact(room);
            } else if rest.is_empty() || (read == 0 && wrote == 0) {
                break;
            }
        }
        if !rest.is_empty() {
            return Err(WsError::BadDeflate);
        }
    }
    Ok(out)
}

/// Deflates one message and takes the tail off. `None` if that would not make it shorter.
pub(crate) fn deflate(parts: &[&[u8]]) -> Option<Vec<u8>> {
    let plain: usize = parts.iter().map(|part| part.len()).sum();
    let mut deflater = Compress::new(Compression::fast(), false);
    // No message may grow: when the output is full, the plain form is the better one.
    let mut out = Vec::with_capacity(plain);
    for (i, part) in parts.iter().enumerate() {
        let last = i + 1 == parts.len();
        let flush = if last {
            FlushCompress::Sync
        } else {
            FlushCompress::None
        };
        let mut rest = *part;
        loop {
            let read_before = deflater.total_in();
            deflater.compress_vec(rest, &mut out, flush).ok()?;
            rest = &rest[(deflater.total_in() - read_before) as usize..];
            if out.len() == out.capacity() {
                return None;
            }
            if rest.is_empty() {
                break;
            }
        }
    }
    out.ends_with(&TAIL).then(|| {
        out.truncate(out.len() - TAIL.len());
        out
    })
}
