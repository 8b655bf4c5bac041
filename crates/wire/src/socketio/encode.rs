//! Packets out: encoded once, for all receivers.
//!
//! Source: "Format" of the Socket.IO protocol page; the map of socket.io-msgpack-parser.

use bytes::Bytes;

use super::{Kind, Parser, transcode};
use crate::encoded::Encoded;
use crate::json;
use crate::msgpack::{write_map_header, write_str, write_u64};

/// A packet to send.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// What it is for. Events and acknowledgements become binary by having attachments.
    pub kind: Kind,
    /// The namespace.
    pub nsp: &'a str,
    /// The id of an event that wants an acknowledgement, or of the acknowledgement.
    pub id: Option<u64>,
    /// The payload, raw JSON: an array for events and acknowledgements, an object for connects and their errors. It has
    /// to be valid.
    pub args: Option<&'a str>,
    /// What the placeholders in `args` stand for.
    pub attachments: &'a [Bytes],
    /// Appended to the array as one more string: the offset of connection state recovery.
    pub offset: Option<&'a str>,
    /// Whether the packet may be compressed.
    pub compress: bool,
}

impl<'a> Outgoing<'a> {
    /// An event without acknowledgement, attachments or offset.
    #[must_use]
    pub fn event(nsp: &'a str, args: &'a str) -> Outgoing<'a> {
        Outgoing {
            kind: Kind::Event,
            nsp,
            id: None,
            args: Some(args),
            attachments: &[],
            offset: None,
            compress: true,
        }
    }
}

/// Encodes a packet for the clients of one parser.
#[must_use]
pub fn encode(parser: Parser, out: &Outgoing<'_>) -> Encoded {
    match parser {
        Parser::Json => encode_json(out),
        Parser::Msgpack => encode_msgpack(out),
    }
}

/// The text of an event with one attachment, to which the attachment is added with [`Encoded::with_attachment`]; `args` is
/// the list with a placeholder for it. Only for clients that speak JSON.
#[must_use]
pub fn head_of_binary_event(nsp: &str, args: &str) -> Encoded {
    let (nsp, comma): (&str, &[u8]) = match nsp {
        "/" | "" => ("", b""),
        nsp => (nsp, b","),
    };
    Encoded::text(&[b"51-", nsp.as_bytes(), comma, args.as_bytes()], true)
}

fn encode_json(out: &Outgoing<'_>) -> Encoded {
    let mut head = [0; 24];
    let mut id = [0; 20];
    let (head, attachments): (&[u8], &[Bytes]) = match (out.kind, out.attachments) {
        (kind, attachments) if carries_attachments(kind) && !attachments.is_empty() => {
            let digits = decimal(&mut id, attachments.len() as u64);
            head[0] = match kind {
                Kind::Event | Kind::BinaryEvent => b'5',
                _ => b'6',
            };
            head[1..=digits.len()].copy_from_slice(digits);
            head[1 + digits.len()] = b'-';
            (&head[..digits.len() + 2], attachments)
        }
        (kind, _) => {
            head[0] = b'0' + plain(kind).as_u8();
            (&head[..1], &[])
        }
    };
    let (nsp, comma): (&str, &[u8]) = match out.nsp {
        "/" | "" => ("", b""),
        nsp => (nsp, b","),
    };
    let id = out.id.map_or(&[][..], |number| decimal(&mut id, number));
    let args = out.args.unwrap_or_default();
    let Some(offset) = out.offset else {
        let parts = [head, nsp.as_bytes(), comma, id, args.as_bytes()];
        return Encoded::message(&parts, attachments, out.compress);
    };
    let (open, separator) = open_array(args);
    let offset = json::escaped(offset);
    let parts = [
        head,
        nsp.as_bytes(),
        comma,
        id,
        open.as_bytes(),
        separator.as_bytes(),
        b"\"",
        offset.as_bytes(),
        b"\"]",
    ];
    Encoded::message(&parts, attachments, out.compress)
}

/// The map as the Node encoder writes it: `type`, `data`, `nsp`, `id`.
fn encode_msgpack(out: &Outgoing<'_>) -> Encoded {
    let with_offset = out.offset.map(|offset| {
        let (open, separator) = open_array(out.args.unwrap_or_default());
        [open, separator, "\"", &json::escaped(offset), "\"]"].concat()
    });
    let args = with_offset.as_deref().or(out.args);
    let mut bytes = Vec::with_capacity(args.map_or(0, str::len) + out.nsp.len() + 32);
    write_map_header(
        &mut bytes,
        2 + u32::from(args.is_some()) + u32::from(out.id.is_some()),
    );
    write_str(&mut bytes, "type");
    bytes.push(plain(out.kind).as_u8());
    if let Some(args) = args {
        write_str(&mut bytes, "data");
        transcode::append_json_as_msgpack(&mut bytes, args, out.attachments);
    }
    write_str(&mut bytes, "nsp");
    write_str(&mut bytes, if out.nsp.is_empty() { "/" } else { out.nsp });
    if let Some(id) = out.id {
        write_str(&mut bytes, "id");
        write_u64(&mut bytes, id);
    }
    Encoded::binary_parts(&[&bytes], out.compress)
}

fn carries_attachments(kind: Kind) -> bool {
    matches!(plain(kind), Kind::Event | Kind::Ack)
}

fn plain(kind: Kind) -> Kind {
    match kind {
        Kind::BinaryEvent => Kind::Event,
        Kind::BinaryAck => Kind::Ack,
        other => other,
    }
}

/// An array without its closing bracket, and what separates it from a further element.
fn open_array(args: &str) -> (&str, &'static str) {
    let open = args.trim_end();
    let open = open.strip_suffix(']').unwrap_or(open).trim_end();
    match open.len() {
        0 => ("[", ""),
        _ if open.ends_with('[') => (open, ""),
        _ => (open, ","),
    }
}

fn decimal(buffer: &mut [u8; 20], number: u64) -> &[u8] {
    let mut at = buffer.len();
    let mut left = number;
    loop {
        at -= 1;
        buffer[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            return &buffer[at..];
        }
    }
}
