//! A packet encoded once for every receiver and every transport.
//!
//! The bytes of the WebSocket come first: a text frame, and a binary frame for each attachment, back to back. Server
//! frames carry no mask, so all receivers share them; a polling answer is made of the same bytes without the frame
//! headers. Other forms (revision 3 with binary, compressed) are made when the first receiver needs them.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use smallvec::SmallVec;

use crate::engine::{Control, Version, payload};
use crate::ws::{Opcode, deflate, header_len, write_header};

/// Messages of fewer bytes are never compressed, as in Node: it costs more than it saves.
const COMPRESS_FROM_BYTES: usize = 1024;

/// In revision 3 the type of a binary packet is a byte, not a digit.
const V3_MESSAGE: &[u8] = &[4];

/// One Socket.IO packet (or any Engine.IO messages that belong together), ready for every transport. Cloning it
/// costs a reference.
#[derive(Clone, Debug)]
pub struct Encoded(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Frames of revision 4.
    frames: Bytes,
    /// Two lie inline: a text and an attachment are what a world sends most.
    parts: SmallVec<[Part; 2]>,
    compress: bool,
    /// In a box, because most packets never need them and every queued packet pays for its size.
    others: OnceLock<Box<Others>>,
}

/// The forms that differ from the first one.
#[derive(Debug, Default)]
struct Others {
    /// Frames of revision 3.
    frames_v3: OnceLock<Bytes>,
    /// Compressed frames, by revision.
    deflated: OnceLock<Bytes>,
    deflated_v3: OnceLock<Bytes>,
}

/// Where the payload of one frame lies. Eight bytes, so that two of them take no more inline than a list's own pointer and
/// length.
#[derive(Clone, Copy, Debug)]
struct Part {
    start: u32,
    /// Its end; the highest bit says that it's binary. Packets are bounded far below 2 GiB.
    end_and_kind: u32,
}

const BINARY: u32 = 1 << 31;

impl Encoded {
    /// One text message; its payload is `parts` put together, and the packet type `4` is put in front.
    #[must_use]
    pub fn text(parts: &[&[u8]], compress: bool) -> Encoded {
        Encoded::message(parts, &[], compress)
    }

    /// One binary message.
    #[must_use]
    pub fn binary(data: &[u8]) -> Encoded {
        Encoded::binary_parts(&[data], true)
    }

    /// One binary message, `parts` put together.
    #[must_use]
    pub fn binary_parts(parts: &[&[u8]], compress: bool) -> Encoded {
        let length = total(parts);
        let mut builder = Builder::new(header_len(length) + length);
        builder.push(Opcode::Binary, parts, length);
        builder.finish(compress)
    }

    /// One text message as [`Encoded::text`], and a binary message for each attachment behind it.
    #[must_use]
    pub fn message(parts: &[&[u8]], attachments: &[Bytes], compress: bool) -> Encoded {
        let length = 1 + total(parts);
        let binary: usize = attachments
            .iter()
            .map(|a| header_len(a.len()) + a.len())
            .sum();
        let mut builder = Builder::new(header_len(length) + length + binary);
        builder.header(Opcode::Text, length);
        builder.out.push(b'4');
        builder.append(parts);
        for attachment in attachments {
            builder.push(Opcode::Binary, &[attachment], attachment.len());
        }
        builder.finish(compress)
    }

    /// This packet's one text message, which says that an attachment follows, and that attachment behind it: what is the
    /// same for many is encoded once.
    #[must_use]
    pub fn with_attachment(&self, data: &[u8]) -> Encoded {
        let head = &self.0.frames;
        let mut builder = Builder::new(head.len() + header_len(data.len()) + data.len());
        builder.out.extend_from_slice(head);
        builder.parts.extend_from_slice(&self.0.parts);
        builder.push(Opcode::Binary, &[data], data.len());
        builder.finish(self.0.compress)
    }

    /// All frames for a WebSocket, back to back.
    #[must_use]
    pub fn ws(&self, version: Version) -> &Bytes {
        if version == Version::V4 || self.0.parts.iter().all(|part| !part.is_binary()) {
            return &self.0.frames;
        }
        self.others().frames_v3.get_or_init(|| self.frames_v3())
    }

    /// All frames for a WebSocket with permessage-deflate. The same as [`Encoded::ws`] unless compression is wanted and
    /// some message is large enough for it; compressed once, by the first who asks.
    #[must_use]
    pub fn ws_deflated(&self, version: Version) -> &Bytes {
        let worth_it = |part: &Part| part.len() >= COMPRESS_FROM_BYTES;
        if !self.0.compress || !self.0.parts.iter().any(worth_it) {
            return self.ws(version);
        }
        let has_binary = self.0.parts.iter().any(|part| part.is_binary());
        let cell = match version {
            Version::V3 if has_binary => &self.others().deflated_v3,
            _ => &self.others().deflated,
        };
        cell.get_or_init(|| self.deflated_frames(version))
    }

    /// Appends the packet to a polling answer.
    pub fn write_polling(&self, w: &mut payload::Writer) {
        for part in &self.0.parts {
            let data = self.payload(part);
            if part.is_binary() {
                w.push_binary(data);
            } else {
                w.push_text(data);
            }
        }
    }

    /// Bytes on a WebSocket without compression (revision 4).
    #[must_use]
    #[expect(
        clippy::len_without_is_empty,
        reason = "a frame has a header, so it is never empty"
    )]
    pub fn len(&self) -> usize {
        self.0.frames.len()
    }

    /// How many Engine.IO messages these are: one, and one for each attachment.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.0.parts.len()
    }

    fn others(&self) -> &Others {
        self.0.others.get_or_init(Box::default)
    }

    fn payload(&self, part: &Part) -> &[u8] {
        &self.0.frames[part.start as usize..part.end()]
    }

    fn frames_v3(&self) -> Bytes {
        let mut out = Vec::with_capacity(self.len() + 3 * self.0.parts.len());
        for part in &self.0.parts {
            let data = self.payload(part);
            let (opcode, kind) = part.form(Version::V3);
            write_header(&mut out, opcode, kind.len() + data.len(), false);
            out.extend_from_slice(kind);
            out.extend_from_slice(data);
        }
        out.into()
    }

    fn deflated_frames(&self, version: Version) -> Bytes {
        let mut out = Vec::with_capacity(self.len() / 2);
        for part in &self.0.parts {
            let data = self.payload(part);
            let (opcode, kind) = part.form(version);
            let small = (data.len() >= COMPRESS_FROM_BYTES)
                .then(|| deflate(&[kind, data]))
                .flatten();
            match small {
                Some(small) => {
                    write_header(&mut out, opcode, small.len(), true);
                    out.extend_from_slice(&small);
                }
                None => {
                    write_header(&mut out, opcode, kind.len() + data.len(), false);
                    out.extend_from_slice(kind);
                    out.extend_from_slice(data);
                }
            }
        }
        out.into()
    }
}

impl Part {
    fn end(self) -> usize {
        (self.end_and_kind & !BINARY) as usize
    }

    fn len(self) -> usize {
        self.end() - self.start as usize
    }

    fn is_binary(self) -> bool {
        self.end_and_kind & BINARY != 0
    }

    /// The opcode, and what stands before the payload in this revision.
    fn form(&self, version: Version) -> (Opcode, &'static [u8]) {
        match (self.is_binary(), version) {
            (false, _) => (Opcode::Text, &[]),
            (true, Version::V4) => (Opcode::Binary, &[]),
            (true, Version::V3) => (Opcode::Binary, V3_MESSAGE),
        }
    }
}

/// Puts frames together in one allocation of the right size.
struct Builder {
    out: Vec<u8>,
    parts: SmallVec<[Part; 2]>,
}

impl Builder {
    fn new(bytes: usize) -> Builder {
        Builder {
            out: Vec::with_capacity(bytes),
            parts: SmallVec::new(),
        }
    }

    fn header(&mut self, opcode: Opcode, length: usize) {
        write_header(&mut self.out, opcode, length, false);
        let start = self.out.len();
        self.parts.push(Part {
            start: start as u32,
            end_and_kind: (start + length) as u32
                | if opcode == Opcode::Binary { BINARY } else { 0 },
        });
    }

    fn append(&mut self, parts: &[&[u8]]) {
        for part in parts {
            self.out.extend_from_slice(part);
        }
    }

    fn push(&mut self, opcode: Opcode, parts: &[&[u8]], length: usize) {
        self.header(opcode, length);
        self.append(parts);
    }

    fn finish(self, compress: bool) -> Encoded {
        Encoded(Arc::new(Inner {
            frames: self.out.into(),
            parts: self.parts,
            compress,
            others: OnceLock::new(),
        }))
    }
}

fn total(parts: &[&[u8]]) -> usize {
    parts.iter().map(|part| part.len()).sum()
}

/// The ready WebSocket frame of a packet that the session itself sends; the same in both revisions.
#[must_use]
pub fn control_frame(control: Control, version: Version) -> &'static [u8] {
    let (Version::V3 | Version::V4) = version;
    match control {
        Control::Ping => &[0x81, 1, b'2'],
        Control::Pong => &[0x81, 1, b'3'],
        Control::PongProbe => &[0x81, 6, b'3', b'p', b'r', b'o', b'b', b'e'],
        Control::Noop => &[0x81, 1, b'6'],
        Control::Close => &[0x81, 1, b'1'],
    }
}

#[cfg(test)]
mod tests;
