//! WebSocket frames, as little of RFC 6455 as a client under measurement needs.
//!
//! Server frames come without a mask and, from every server known, unfragmented; a continuation is reported as what it
//! is, so nothing is counted twice. Client frames carry a fixed mask: the server must do the work of taking it off,
//! the unpredictability that browsers owe proxies has no use here.

/// The mask of all frames.
const MASK: [u8; 4] = [0x4c, 0x61, 0x6b, 0x68];

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// A frame at the front of what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub opcode: u8,
    /// Where the payload starts.
    pub start: usize,
    /// Where it ends, which is where the next frame starts.
    pub end: usize,
}

/// The first frame, if all of it is there.
#[inline]
pub(crate) fn scan(bytes: &[u8]) -> Option<Found> {
    let &[first, second, ..] = bytes else {
        return None;
    };
    let (start, length): (usize, usize) = match second & 0x7f {
        126 => (
            4,
            usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?])),
        ),
        127 => {
            let length: [u8; 8] = bytes.get(2..10)?.try_into().ok()?;
            (10, usize::try_from(u64::from_be_bytes(length)).ok()?)
        }
        short => (2, usize::from(short)),
    };
    let end = start.checked_add(length)?;
    (end <= bytes.len()).then_some(Found {
        opcode: first & 0x0f,
        start,
        end,
    })
}

/// Appends a masked frame. `fill` writes the payload; what it writes is masked in place.
pub(crate) fn append(
    out: &mut Vec<u8>,
    opcode: u8,
    length: usize,
    fill: impl FnOnce(&mut Vec<u8>),
) {
    out.push(0x80 | opcode);
    match length {
        0..126 => out.push(0x80 | length as u8),
        126..65_536 => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    let start = out.len();
    fill(out);
    debug_assert_eq!(out.len() - start, length);
    for (at, byte) in out[start..].iter_mut().enumerate() {
        *byte ^= MASK[at & 3];
    }
}

/// Appends a masked frame with this payload.
pub(crate) fn append_payload(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    append(out, opcode, payload.len(), |out| {
        out.extend_from_slice(payload)
    });
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A panic is how a test fails.
mod tests {
    use super::*;

    #[test]
    fn frames_of_all_three_length_forms_are_found_and_halves_are_not() {
        for length in [0usize, 1, 125, 126, 65_535, 65_536] {
            let mut bytes = vec![0x81];
            match length {
                0..126 => bytes.push(length as u8),
                126..65_536 => {
                    bytes.push(126);
                    bytes.extend((length as u16).to_be_bytes());
                }
                _ => {
                    bytes.push(127);
                    bytes.extend((length as u64).to_be_bytes());
                }
            }
            let start = bytes.len();
            bytes.resize(start + length, b'x');
            let end = bytes.len();
            assert_eq!(
                scan(&bytes),
                Some(Found {
                    opcode: TEXT,
                    start,
                    end
                })
            );
            for cut in 0..end.min(20) {
                assert_eq!(scan(&bytes[..cut]), None, "{length} cut at {cut}");
            }
            assert_eq!(scan(&bytes[..end - 1]), None, "{length}");
        }
    }

    #[test]
    fn a_masked_frame_unmasks_to_its_payload() {
        for length in [0usize, 5, 200, 70_000] {
            let payload: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let mut out = Vec::new();
            append_payload(&mut out, TEXT, &payload);
            assert_eq!(out[1] & 0x80, 0x80);
            let start = out.len() - length;
            let plain: Vec<u8> = out[start..]
                .iter()
                .enumerate()
                .map(|(at, byte)| byte ^ out[start - 4 + (at & 3)])
                .collect();
            assert_eq!(plain, payload);
        }
    }
}
