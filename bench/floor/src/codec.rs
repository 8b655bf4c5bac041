//! Frames: client frames in, unmasked in place; server frames out. Only what the load generator sends is understood.

use std::rc::Rc;

/// A client's frame at the front of what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub opcode: u8,
    pub start: usize,
    pub end: usize,
}

/// The first frame, unmasked, if all of it is there.
pub(crate) fn take(bytes: &mut [u8]) -> Option<Found> {
    let &[first, second, ..] = &*bytes else {
        return None;
    };
    let (header, length): (usize, usize) = match second & 0x7f {
        126 => {
            let length: [u8; 2] = bytes.get(2..4)?.try_into().ok()?;
            (4, u16::from_be_bytes(length).into())
        }
        127 => {
            let length: [u8; 8] = bytes.get(2..10)?.try_into().ok()?;
            (10, u64::from_be_bytes(length).try_into().ok()?)
        }
        short => (2, short.into()),
    };
    let start = header + 4;
    let end = start.checked_add(length)?;
    let mask: [u8; 4] = bytes.get(header..start)?.try_into().ok()?;
    let payload = bytes.get_mut(start..end)?;
    let (chunks, rest) = payload.as_chunks_mut::<8>();
    let wide = u64::from_ne_bytes([
        mask[0], mask[1], mask[2], mask[3], mask[0], mask[1], mask[2], mask[3],
    ]);
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (at, byte) in rest.iter_mut().enumerate() {
        *byte ^= mask[at & 3];
    }
    Some(Found {
        opcode: first & 0x0f,
        start,
        end,
    })
}

/// A text frame of these parts, made once for all who get it.
pub(crate) fn text(parts: &[&[u8]]) -> Rc<[u8]> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(length + 10);
    out.push(0x81);
    match length {
        0..126 => out.push(length as u8),
        126..65_536 => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out.into()
}

/// A request of the load generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request<'a> {
    /// `40`: CONNECT.
    Connect,
    /// `42<ack>["join","room"]`.
    Join { ack: &'a [u8], room: &'a [u8] },
    /// `42["pub","room",payload]`; the payload as it stands in the JSON.
    Publish { room: &'a [u8], payload: &'a [u8] },
    /// `42<ack>["echo",payload]`.
    Echo { ack: &'a [u8], payload: &'a [u8] },
    /// `42<ack>["tick",hz,bytes]`.
    Tick {
        ack: &'a [u8],
        hz: u32,
        bytes: usize,
    },
    /// A pong, or something else that needs no answer.
    Nothing,
}

/// Reads a request.
pub(crate) fn request(text: &[u8]) -> Request<'_> {
    parse(text).unwrap_or(Request::Nothing)
}

fn parse(text: &[u8]) -> Option<Request<'_>> {
    if text.starts_with(b"40") {
        return Some(Request::Connect);
    }
    let rest = text.strip_prefix(b"42")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (ack, rest) = rest.split_at(digits);
    let arguments = rest.strip_prefix(b"[\"")?.strip_suffix(b"]")?;
    if let Some(rest) = arguments.strip_prefix(b"pub\",\"") {
        let (room, payload) = split(rest, b'"')?;
        let payload = payload.strip_prefix(b",")?;
        return Some(Request::Publish { room, payload });
    }
    if let Some(payload) = arguments.strip_prefix(b"echo\",") {
        return Some(Request::Echo { ack, payload });
    }
    if let Some(rest) = arguments.strip_prefix(b"join\",\"") {
        let (room, _) = split(rest, b'"')?;
        return Some(Request::Join { ack, room });
    }
    let (hz, bytes) = split(arguments.strip_prefix(b"tick\",")?, b',')?;
    let number = |digits| std::str::from_utf8(digits).ok()?.parse::<u32>().ok();
    Some(Request::Tick {
        ack,
        hz: number(hz)?,
        bytes: number(bytes)? as usize,
    })
}

fn split(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let found = bytes.iter().position(|byte| *byte == at)?;
    Some((&bytes[..found], &bytes[found + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generators_requests_are_read() {
        assert_eq!(request(b"40"), Request::Connect);
        assert_eq!(
            request(br#"4212["join","r1"]"#),
            Request::Join {
                ack: b"12",
                room: b"r1"
            }
        );
        assert_eq!(
            request(br#"42["pub","r1","abc"]"#),
            Request::Publish {
                room: b"r1",
                payload: br#""abc""#
            }
        );
        assert_eq!(
            request(br#"420["tick",20,300]"#),
            Request::Tick {
                ack: b"0",
                hz: 20,
                bytes: 300
            }
        );
        assert_eq!(request(b"3"), Request::Nothing);
    }

    #[test]
    fn a_frame_is_unmasked_where_it_lies_and_half_a_frame_is_left_alone() {
        let mut bytes = vec![0x81, 0x80 | 11, 1, 2, 3, 4];
        bytes.extend(
            b"hello world"
                .iter()
                .enumerate()
                .map(|(at, b)| b ^ [1, 2, 3, 4][at & 3]),
        );
        let half = bytes.len() - 1;
        assert_eq!(take(&mut bytes[..half]), None);
        let found = take(&mut bytes);
        assert_eq!(
            found,
            Some(Found {
                opcode: 1,
                start: 6,
                end: 17
            })
        );
        assert_eq!(&bytes[6..17], b"hello world");
    }
}
