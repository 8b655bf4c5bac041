//! The bytes of `@socket.io/redis-streams-adapter` 0.3 and of its emitter.
//!
//! What must not be lost is an entry of one stream with the fields `uid`, `nsp`, `type` and `data`: data is JSON, or the
//! base64 of MessagePack if it holds binary. What passes (a broadcast with acknowledgements, requests and their answers)
//! is MessagePack over pub/sub, on `K#<nsp>#` and `K#<nsp>#<uid>#`. The emitter puts its events between servers into
//! the stream as well. A session is the base64 of MessagePack under `sio:session:<pid>`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;

use super::envelope::{
    encode_msgpack, form_of, has_data, json_data, kind, msgpack_data, write_json_data,
    write_msgpack_data,
};
use super::json::{self, JsonWriter};
use super::limits::{DecodeError, EncodeError, Limits};
use super::message::{Envelope, Form, Message, Uid};
use super::msgpack::{Value, Writer};
use crate::Room;

/// JavaScript's decoder doesn't ask for padding either.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Where an entry stands in the stream: milliseconds, and a number within them. As text it is the offset that Node's
/// clients send back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// Milliseconds by the clock of Redis.
    pub ms: u64,
    /// Number within that millisecond.
    pub seq: u64,
}

impl StreamId {
    /// Reads `<ms>-<seq>`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (ms, seq) = text.split_once('-')?;
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(ms) || !digits(seq) {
            return None;
        }
        Some(Self {
            ms: ms.parse().ok()?,
            seq: seq.parse().ok()?,
        })
    }

    /// Both numbers in one, in the same order: 44 bits and 20, for as long as Redis' clock is before the year 2527 and
    /// adds fewer than a million entries a millisecond.
    #[must_use]
    pub fn packed(self) -> Option<u64> {
        (self.ms >> 44 == 0 && self.seq >> 20 == 0).then_some(self.ms << 20 | self.seq)
    }

    /// The opposite of [`StreamId::packed`].
    #[must_use]
    pub fn unpack(packed: u64) -> Self {
        Self {
            ms: packed >> 20,
            seq: packed & 0xf_ffff,
        }
    }
}

impl std::fmt::Display for StreamId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// Whether a message only passes, over pub/sub, and is no entry of the stream.
#[must_use]
pub fn passes(message: &Message) -> bool {
    matches!(
        message,
        Message::Broadcast { ack: Some(_), .. }
            | Message::ServerSideEmit { .. }
            | Message::FetchSockets { .. }
            | Message::Response(_)
    )
}

/// The fields of an entry of the stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// The sender.
    pub uid: String,
    /// The namespace.
    pub nsp: String,
    /// The type, a decimal number.
    pub kind: String,
    /// The rest: JSON, or the base64 of MessagePack. Heartbeats have none.
    pub data: Option<String>,
}

/// The fields of the entry that a message becomes.
///
/// # Errors
/// [`EncodeError`] for a message of classic.
pub fn encode_entry(uid: &Uid, nsp: &str, message: &Message) -> Result<Fields, EncodeError> {
    let data = if !has_data(message) {
        None
    } else if form_of(message) == Form::Msgpack {
        let mut out = Writer::default();
        write_msgpack_data(&mut out, message)?;
        Some(STANDARD.encode(out.finish()))
    } else {
        let mut out = JsonWriter::default();
        write_json_data(&mut out, message)?;
        Some(out.finish())
    };
    Ok(Fields {
        uid: uid.as_str().to_owned(),
        nsp: nsp.to_owned(),
        kind: kind(message)?.to_string(),
        data,
    })
}

/// Reads an entry of the stream.
///
/// # Errors
/// [`DecodeError`] tells what is wrong with it.
pub fn decode_entry(fields: &Fields, limits: &Limits) -> Result<Envelope, DecodeError> {
    let kind: u64 = fields
        .kind
        .parse()
        .map_err(|_| DecodeError::Field("type"))?;
    let message = match fields.data.as_deref() {
        Some(text) if text.starts_with('{') => {
            json_data(kind, Some(json::text(text.as_bytes(), limits)?), limits)?
        }
        Some(text) => {
            let packed = base64(text, limits)?;
            let value = Value::message(&packed, limits)?;
            msgpack_data(kind, Some(value), &packed, limits)?
        }
        None => json_data(kind, None, limits)?,
    };
    Ok(Envelope {
        from: Some(Uid::new(&fields.uid)),
        nsp: Some(fields.nsp.clone()),
        message,
    })
}

/// The bytes of a message that passes.
///
/// # Errors
/// [`EncodeError`] if data in it is not MessagePack, or for a message of classic.
pub fn encode_passing(uid: &Uid, nsp: &str, message: &Message) -> Result<Bytes, EncodeError> {
    encode_msgpack(uid, nsp, message)
}

/// Reads a message that came over pub/sub.
///
/// # Errors
/// [`DecodeError`] tells what is wrong with it.
pub fn decode_passing(body: &Bytes, limits: &Limits) -> Result<Envelope, DecodeError> {
    super::envelope::decode(body, limits)
}

/// The form in which a message's data is taken.
#[must_use]
pub fn form(message: &Message) -> Form {
    if passes(message) {
        Form::Msgpack
    } else {
        Form::JsonUnlessBinary
    }
}

fn base64(text: &str, limits: &Limits) -> Result<Bytes, DecodeError> {
    limits.size(text.len())?;
    let packed = LENIENT.decode(text).map_err(|_| DecodeError::Base64)?;
    Ok(packed.into())
}

/// What is kept of a session for the time that its client is away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// The socket's id.
    pub sid: String,
    /// The private id that the client comes back with.
    pub pid: String,
    /// The rooms it was in.
    pub rooms: Vec<Room>,
    /// What was said in each of them up to here, in their order, is not for it; empty if that is so of none. Node's
    /// servers don't write it.
    pub after: Vec<Option<StreamId>>,
    /// What handlers keep with the socket, as MessagePack.
    pub data: Bytes,
    /// Where the client's part of the stream begins. Node's servers don't write it, and leave it alone.
    pub start: Option<StreamId>,
    /// The node that wrote it. Node's servers don't say.
    pub node: Option<String>,
}

/// The key of a session's record.
#[must_use]
pub fn session_key(prefix: &str, pid: &str) -> String {
    format!("{prefix}{pid}")
}

/// The value that a session's record is.
#[must_use]
pub fn encode_session(record: &SessionRecord) -> String {
    let mut out = Writer::default();
    let ours = [
        record.start.is_some(),
        record.node.is_some(),
        !record.after.is_empty(),
    ];
    let ours = ours.into_iter().filter(|is_there| *is_there).count();
    out.map(4 + ours).text("sid").text(&record.sid);
    out.text("pid").text(&record.pid);
    out.text("rooms").rooms(&record.rooms);
    out.text("data").raw(&record.data);
    if let Some(start) = record.start {
        out.text("start").text(&start.to_string());
    }
    if let Some(node) = &record.node {
        out.text("node").text(node);
    }
    if !record.after.is_empty() {
        let texts = record.after.iter();
        let texts: Vec<Room> = texts
            .map(|at| at.map_or_else(Room::default, |at| at.to_string().into()))
            .collect();
        out.text("after").rooms(&texts);
    }
    STANDARD.encode(out.finish())
}

/// Reads a session's record.
///
/// # Errors
/// [`DecodeError`] tells what is wrong with it.
pub fn decode_session(text: &str, limits: &Limits) -> Result<SessionRecord, DecodeError> {
    let packed = base64(text, limits)?;
    let map = Value::message(&packed, limits)?.map(limits)?;
    let data = map.get("data");
    let text = |key| map.get(key).and_then(Value::text);
    let after = match map.get("after") {
        Some(after) => after.rooms(limits)?,
        None => Vec::new(),
    };
    Ok(SessionRecord {
        sid: map.need_text("sid")?.to_owned(),
        pid: map.need_text("pid")?.to_owned(),
        rooms: map.need("rooms")?.rooms(limits)?,
        after: after.iter().map(|at| StreamId::parse(at)).collect(),
        data: data.map_or(Bytes::from_static(b"\xc0"), |data| data.shared(&packed)),
        start: text("start").and_then(StreamId::parse),
        node: text("node").map(str::to_owned),
    })
}

/// A fuzzer's way in: the first byte chooses what the rest is read as.
///
/// # Errors
/// [`DecodeError`] tells what is wrong with it.
pub fn decode(input: &[u8], limits: &Limits) -> Result<Option<Envelope>, DecodeError> {
    let Some((choice, rest)) = input.split_first() else {
        return Ok(None);
    };
    let text = || String::from_utf8_lossy(rest).into_owned();
    match choice {
        0 => decode_passing(&Bytes::copy_from_slice(rest), limits).map(Some),
        255 => decode_session(&text(), limits).map(|_| None),
        kind => {
            let fields = Fields {
                kind: kind.to_string(),
                data: Some(text()),
                ..Fields::default()
            };
            decode_entry(&fields, limits).map(Some)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_packed_in_their_order_as_far_as_they_fit() {
        let at = |ms, seq| StreamId { ms, seq };
        let most = at((1 << 44) - 1, (1 << 20) - 1);
        let rising = [
            StreamId::default(),
            at(0, 1),
            at(0, (1 << 20) - 1),
            at(1, 0),
            at(1_790_000_000_000, 7),
            at(1_790_000_000_001, 0),
            most,
        ];
        let packed: Vec<Option<u64>> = rising.iter().map(|id| id.packed()).collect();
        assert!(packed.is_sorted() && packed[0] == Some(0), "{packed:?}");
        assert_eq!(most.packed(), Some(u64::MAX));
        for (id, packed) in rising.iter().zip(packed) {
            assert_eq!(packed.map(StreamId::unpack), Some(*id));
        }
        assert_eq!(at(1 << 44, 0).packed(), None);
        assert_eq!(at(0, 1 << 20).packed(), None);
    }
}
