//! A packet as one msgpack map: `type`, `nsp`, and where due `data` and `id`. Other keys (`options`, which the Node
//! client sends along) mean nothing.

use std::borrow::Cow;

use super::DecodeError;
use crate::Limits;
use crate::msgpack::{MsgpackError, Reader, Value};
use crate::socketio::{Data, Kind, Packet, is_reserved_event};

pub(super) fn parse<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Packet<'a>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let Value::Map(pairs) = reader.value()? else {
        return Err(DecodeError::Malformed);
    };
    let (mut kind, mut nsp, mut id, mut data) = (None, None, None, None);
    for _ in 0..pairs {
        match reader.value()? {
            Value::Str("type") => kind = Some(parse_kind(reader.value()?)?),
            Value::Str("nsp") => match reader.value()? {
                Value::Str(name) => nsp = Some(name),
                _ => return Err(DecodeError::BadNamespace),
            },
            Value::Str("id") => id = parse_id(reader.value()?)?,
            Value::Str("data") => {
                let start = reader.offset();
                reader.skip(limits.max_depth)?;
                data = Some(&bytes[start..reader.offset()]);
            }
            Value::Str(_) => reader.skip(limits.max_depth)?,
            _ => return Err(DecodeError::Malformed),
        }
    }
    if !reader.is_done() {
        return Err(DecodeError::Malformed);
    }
    let kind = kind.ok_or(DecodeError::UnknownType)?;
    Ok(Packet {
        event: None,
        kind,
        nsp: Cow::Borrowed(nsp.ok_or(DecodeError::BadNamespace)?),
        id,
        data: check_payload(kind, data)?,
    })
}

fn parse_kind(value: Value<'_>) -> Result<Kind, DecodeError> {
    match value {
        // There are no binary kinds: msgpack holds bytes itself.
        Value::Int(digit @ 0..=4) => Kind::from_u8(digit as u8).ok_or(DecodeError::UnknownType),
        _ => Err(DecodeError::UnknownType),
    }
}

fn parse_id(value: Value<'_>) -> Result<Option<u64>, DecodeError> {
    match value {
        Value::Int(id) => u64::try_from(id).map(Some).map_err(|_| DecodeError::BadId),
        Value::Uint(id) => Ok(Some(id)),
        // Not every client leaves out what it does not have.
        Value::Nil => Ok(None),
        other if other.is_undefined() => Ok(None),
        _ => Err(DecodeError::BadId),
    }
}

fn check_payload(kind: Kind, data: Option<&[u8]>) -> Result<Data<'_>, DecodeError> {
    let mut reader = Reader::new(data.unwrap_or(&[0xc0]));
    let first = reader.value()?;
    let absent = first == Value::Nil || first.is_undefined();
    match (kind, first) {
        (Kind::Connect | Kind::Disconnect, _) if absent => return Ok(Data::None),
        (Kind::Connect, Value::Map(_)) => {}
        (Kind::ConnectError, Value::Map(_) | Value::Str(_)) => {}
        (Kind::Ack, Value::Array(_)) => {}
        (Kind::Event, Value::Array(1..)) => match reader.value()? {
            Value::Str(name) if is_reserved_event(name) => return Err(DecodeError::ReservedEvent),
            Value::Str(_) | Value::Int(_) | Value::Uint(_) | Value::Float(_) => {}
            _ => return Err(DecodeError::BadPayload),
        },
        _ => return Err(DecodeError::BadPayload),
    }
    Ok(Data::Msgpack(Cow::Borrowed(data.unwrap_or_default())))
}

impl From<MsgpackError> for DecodeError {
    fn from(error: MsgpackError) -> Self {
        match error {
            MsgpackError::Syntax => DecodeError::Malformed,
            MsgpackError::TooDeep => DecodeError::TooDeep,
        }
    }
}
