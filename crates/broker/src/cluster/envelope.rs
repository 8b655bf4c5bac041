//! The messages of Socket.IO's `ClusterAdapter`, `{type, data, uid, nsp}`, which sharded pub/sub and streams carry.
//!
//! Both forms are read: JSON, and MessagePack for what holds binary. Written by hand, so that bytes and the order of
//! keys are Node's (socket.io-adapter 2.5, `lib/cluster-adapter.ts`).

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::{self, JsonOpts, JsonSocket, JsonWriter, RoomName};
use super::limits::{DecodeError, EncodeError, Limits};
use super::message::{Data, Envelope, Form, Message, Opts, RemoteSocket, RequestId, Response, Uid};
use super::msgpack::{Map, Value, Writer};

/// The number of a message's type.
pub(crate) fn kind(message: &Message) -> Result<u64, EncodeError> {
    Ok(match message {
        Message::Heartbeat { first: true } => 1,
        Message::Heartbeat { first: false } => 2,
        Message::Broadcast { .. } => 3,
        Message::Join { .. } => 4,
        Message::Leave { .. } => 5,
        Message::Disconnect { .. } => 6,
        Message::FetchSockets { .. } => 7,
        Message::Response(Response::Sockets { .. }) => 8,
        Message::ServerSideEmit { .. } => 9,
        Message::Response(Response::ServerSideEmit { .. }) => 10,
        Message::Response(Response::ClientCount { .. }) => 11,
        Message::Response(Response::Ack { .. }) => 12,
        Message::Close => 13,
        Message::SocketIds { .. }
        | Message::AllRooms { .. }
        | Message::Response(Response::SocketIds { .. } | Response::AllRooms { .. }) => {
            return Err(EncodeError::Unsupported);
        }
    })
}

/// The form that the data in a message has; JSON if there is none.
pub(crate) fn form_of(message: &Message) -> Form {
    match message {
        Message::Broadcast { data, .. } | Message::ServerSideEmit { data, .. } => data.form(),
        Message::Response(Response::ServerSideEmit { data, .. } | Response::Ack { data, .. }) => {
            data.as_ref().map_or(Form::Json, Data::form)
        }
        Message::Response(Response::Sockets { sockets, .. }) => sockets
            .first()
            .map_or(Form::Json, |socket| socket.data.form()),
        _ => Form::Json,
    }
}

#[derive(Debug, Deserialize)]
struct Whole<'a> {
    #[serde(rename = "type")]
    kind: u64,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    uid: Option<Cow<'a, str>>,
    nsp: Option<Cow<'a, str>>,
}

/// All fields that the `data` of a message can have.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Body<'a> {
    #[serde(borrow)]
    packet: Option<&'a RawValue>,
    opts: JsonOpts,
    rooms: Vec<RoomName>,
    request_id: Option<Cow<'a, str>>,
    close: bool,
    #[serde(borrow)]
    sockets: Option<Vec<JsonSocket<'a>>>,
    client_count: Option<u64>,
}

/// Reads a message in either form.
pub(crate) fn decode(body: &Bytes, limits: &Limits) -> Result<Envelope, DecodeError> {
    if body.first() == Some(&b'{') {
        return decode_json(json::text(body, limits)?, limits);
    }
    let map = Value::message(body, limits)?.map(limits)?;
    let data = map.get("data");
    Ok(Envelope {
        from: map.get("uid").and_then(Value::text).map(Uid::new),
        nsp: map.get("nsp").and_then(Value::text).map(str::to_owned),
        message: msgpack_data(map.need_count("type")?, data, body, limits)?,
    })
}

fn decode_json(text: &str, limits: &Limits) -> Result<Envelope, DecodeError> {
    let whole: Whole<'_> = json::parse(text)?;
    Ok(Envelope {
        from: whole.uid.as_deref().map(Uid::new),
        nsp: whole.nsp.map(Cow::into_owned),
        message: json_data(whole.kind, whole.data.map(RawValue::get), limits)?,
    })
}

/// Reads the `data` of a message whose type is known, from JSON.
pub(crate) fn json_data(
    kind: u64,
    text: Option<&str>,
    limits: &Limits,
) -> Result<Message, DecodeError> {
    let body: Body<'_> = match text {
        Some(text) => json::parse(text)?,
        None => Body::default(),
    };
    let data = body.packet.map(json::data);
    let opts = body.opts.checked(limits)?;
    Ok(match kind {
        1 | 2 => Message::Heartbeat { first: kind == 1 },
        3 => Message::Broadcast {
            data: json::event(body.packet)?,
            opts,
            ack: body.request_id.map(|id| RequestId::new(&id)),
        },
        4 | 5 => rooms_change(kind, opts, json::rooms(body.rooms, limits)?),
        6 => Message::Disconnect {
            opts,
            close: body.close,
        },
        7 => Message::FetchSockets {
            request: json::request(body.request_id)?,
            opts,
        },
        8 => Message::Response(Response::Sockets {
            request: json::request(body.request_id)?,
            sockets: json::sockets(body.sockets.ok_or(DecodeError::Field("sockets"))?, limits)?,
        }),
        9 => Message::ServerSideEmit {
            data: json::array(body.packet, "packet")?,
            request: body.request_id.map(|id| RequestId::new(&id)),
        },
        10..=12 => {
            let count = body.client_count;
            Message::Response(answer(kind, json::request(body.request_id)?, data, count)?)
        }
        13 => Message::Close,
        other => return Err(DecodeError::Type(other)),
    })
}

fn rooms_change(kind: u64, opts: Opts, rooms: Vec<crate::Room>) -> Message {
    if kind == 4 {
        Message::Join { opts, rooms }
    } else {
        Message::Leave { opts, rooms }
    }
}

fn answer(
    kind: u64,
    request: RequestId,
    data: Option<Data>,
    count: Option<u64>,
) -> Result<Response, DecodeError> {
    Ok(match kind {
        10 => Response::ServerSideEmit { request, data },
        11 => Response::ClientCount {
            request,
            count: count.ok_or(DecodeError::Field("clientCount"))?,
        },
        _ => Response::Ack { request, data },
    })
}

/// Reads the `data` of a message whose type is known, from MessagePack inside of `message`.
pub(crate) fn msgpack_data(
    kind: u64,
    data: Option<Value<'_>>,
    message: &Bytes,
    limits: &Limits,
) -> Result<Message, DecodeError> {
    match kind {
        1 | 2 => return Ok(Message::Heartbeat { first: kind == 1 }),
        13 => return Ok(Message::Close),
        3..=12 => {}
        other => return Err(DecodeError::Type(other)),
    }
    let body = data.ok_or(DecodeError::Field("data"))?.map(limits)?;
    let opts = || body.need("opts")?.opts(limits);
    let shared = |value: Value<'_>| Data::Msgpack(value.shared(message));
    let packet = body.get("packet");
    let asked = body.get("requestId").and_then(Value::text);
    let request = || Ok(RequestId::new(body.need_text("requestId")?));
    Ok(match kind {
        3 => Message::Broadcast {
            data: event(packet, message, limits)?,
            opts: opts()?,
            ack: asked.map(RequestId::new),
        },
        4 | 5 => rooms_change(kind, opts()?, body.need("rooms")?.rooms(limits)?),
        6 => Message::Disconnect {
            opts: opts()?,
            close: body.get("close").and_then(Value::bool).unwrap_or_default(),
        },
        7 => Message::FetchSockets {
            request: request()?,
            opts: opts()?,
        },
        8 => Message::Response(Response::Sockets {
            request: request()?,
            sockets: sockets(&body, message, limits)?,
        }),
        9 => {
            let packet = packet.ok_or(DecodeError::Field("packet"))?;
            packet.array(limits)?;
            Message::ServerSideEmit {
                request: asked.map(RequestId::new),
                data: shared(packet),
            }
        }
        _ => {
            let count = body.get("clientCount").and_then(Value::count);
            Message::Response(answer(kind, request()?, packet.map(shared), count)?)
        }
    })
}

/// The array of an event's packet: types 2 and 5 of the Socket.IO protocol, the second with binary.
pub(crate) fn event(
    packet: Option<Value<'_>>,
    message: &Bytes,
    limits: &Limits,
) -> Result<Data, DecodeError> {
    let packet = packet.ok_or(DecodeError::Field("packet"))?.map(limits)?;
    let kind = packet.need_count("type")?;
    if !matches!(kind, 2 | 5) {
        return Err(DecodeError::Type(kind));
    }
    let data = packet.need("data")?;
    data.array(limits)?;
    Ok(Data::Msgpack(data.shared(message)))
}

fn sockets(
    body: &Map<'_>,
    message: &Bytes,
    limits: &Limits,
) -> Result<Vec<RemoteSocket>, DecodeError> {
    let list = body.need("sockets")?.array(limits)?.into_iter();
    let shared = |value: Option<Value<'_>>| match value {
        Some(value) => Data::Msgpack(value.shared(message)),
        None => Data::Msgpack(Bytes::from_static(b"\x80")),
    };
    list.map(|socket| {
        let socket = socket.map(limits)?;
        Ok(RemoteSocket {
            id: socket.need_text("id")?.to_owned(),
            handshake: shared(socket.get("handshake")),
            rooms: socket.need("rooms")?.rooms(limits)?,
            data: shared(socket.get("data")),
        })
    })
    .collect()
}

/// The whole message as JSON.
pub(crate) fn encode_json(uid: &Uid, nsp: &str, message: &Message) -> Result<Bytes, EncodeError> {
    let mut out = JsonWriter::default();
    out.open('{').key("type").count(kind(message)?);
    if has_data(message) {
        out.key("data");
        write_json_data(&mut out, message)?;
    }
    out.key("uid").text(uid.as_str()).key("nsp").text(nsp);
    out.close('}');
    Ok(out.finish().into())
}

/// The whole message as MessagePack.
pub(crate) fn encode_msgpack(
    uid: &Uid,
    nsp: &str,
    message: &Message,
) -> Result<Bytes, EncodeError> {
    let mut out = Writer::default();
    out.map(3 + usize::from(has_data(message)));
    out.text("type").count(kind(message)?);
    if has_data(message) {
        out.text("data");
        write_msgpack_data(&mut out, message)?;
    }
    out.text("uid").text(uid.as_str()).text("nsp").text(nsp);
    Ok(out.finish())
}

/// Whether a message has more to say than its type.
pub(crate) fn has_data(message: &Message) -> bool {
    !matches!(message, Message::Heartbeat { .. } | Message::Close)
}

fn json_of(data: &Data) -> Result<&str, EncodeError> {
    match data {
        Data::Json(text) => Ok(text),
        Data::Msgpack(_) => Err(EncodeError::Form { wanted: Form::Json }),
    }
}

fn msgpack_of(data: &Data) -> Result<&[u8], EncodeError> {
    match data {
        Data::Msgpack(bytes) => Ok(bytes),
        Data::Json(_) => Err(EncodeError::Form {
            wanted: Form::Msgpack,
        }),
    }
}

pub(crate) fn write_json_data(out: &mut JsonWriter, message: &Message) -> Result<(), EncodeError> {
    out.open('{');
    match message {
        Message::Broadcast { data, opts, ack } => {
            out.key("packet").open('{').key("type").count(2);
            out.key("data").raw(json_of(data)?).close('}');
            if let Some(request) = ack {
                out.key("requestId").text(request.as_str());
            }
            out.key("opts").opts(opts);
        }
        Message::Join { opts, rooms } | Message::Leave { opts, rooms } => {
            out.key("opts").opts(opts).key("rooms").rooms(rooms);
        }
        Message::Disconnect { opts, close } => {
            out.key("opts").opts(opts).key("close").bool(*close);
        }
        Message::FetchSockets { request, opts } => {
            out.key("opts").opts(opts);
            out.key("requestId").text(request.as_str());
        }
        Message::ServerSideEmit { request, data } => {
            if let Some(request) = request {
                out.key("requestId").text(request.as_str());
            }
            out.key("packet").raw(json_of(data)?);
        }
        Message::Response(response) => {
            out.key("requestId").text(response.request().as_str());
            write_json_answer(out, response)?;
        }
        _ => return Err(EncodeError::Unsupported),
    }
    out.close('}');
    Ok(())
}

fn write_json_answer(out: &mut JsonWriter, response: &Response) -> Result<(), EncodeError> {
    match response {
        Response::Sockets { sockets, .. } => {
            out.key("sockets");
            write_json_sockets(out, sockets)?;
        }
        Response::ServerSideEmit { data, .. } | Response::Ack { data, .. } => {
            if let Some(data) = data {
                out.key("packet").raw(json_of(data)?);
            }
        }
        Response::ClientCount { count, .. } => {
            out.key("clientCount").count(*count);
        }
        _ => return Err(EncodeError::Unsupported),
    }
    Ok(())
}

pub(crate) fn write_json_sockets(
    out: &mut JsonWriter,
    sockets: &[RemoteSocket],
) -> Result<(), EncodeError> {
    out.open('[');
    for socket in sockets {
        out.open('{').key("id").text(&socket.id);
        out.key("handshake").raw(json_of(&socket.handshake)?);
        out.key("rooms").rooms(&socket.rooms);
        out.key("data").raw(json_of(&socket.data)?).close('}');
    }
    out.close(']');
    Ok(())
}

pub(crate) fn write_msgpack_data(out: &mut Writer, message: &Message) -> Result<(), EncodeError> {
    match message {
        Message::Broadcast { data, opts, ack } => {
            out.map(2 + usize::from(ack.is_some()));
            out.text("packet").map(2).text("type").count(2);
            out.text("data").raw(msgpack_of(data)?);
            if let Some(request) = ack {
                out.text("requestId").text(request.as_str());
            }
            out.text("opts").opts(opts);
        }
        Message::Join { opts, rooms } | Message::Leave { opts, rooms } => {
            out.map(2).text("opts").opts(opts);
            out.text("rooms").rooms(rooms);
        }
        Message::Disconnect { opts, close } => {
            out.map(2).text("opts").opts(opts);
            out.text("close").bool(*close);
        }
        Message::FetchSockets { request, opts } => {
            out.map(2).text("opts").opts(opts);
            out.text("requestId").text(request.as_str());
        }
        Message::ServerSideEmit { request, data } => {
            out.map(1 + usize::from(request.is_some()));
            if let Some(request) = request {
                out.text("requestId").text(request.as_str());
            }
            out.text("packet").raw(msgpack_of(data)?);
        }
        Message::Response(response) => {
            out.map(2).text("requestId");
            out.text(response.request().as_str());
            write_msgpack_answer(out, response)?;
        }
        _ => return Err(EncodeError::Unsupported),
    }
    Ok(())
}

fn write_msgpack_answer(out: &mut Writer, response: &Response) -> Result<(), EncodeError> {
    match response {
        Response::Sockets { sockets, .. } => {
            out.text("sockets").array(sockets.len());
            for socket in sockets {
                out.map(4).text("id").text(&socket.id);
                out.text("handshake").raw(msgpack_of(&socket.handshake)?);
                out.text("rooms").rooms(&socket.rooms);
                out.text("data").raw(msgpack_of(&socket.data)?);
            }
        }
        Response::ServerSideEmit { data, .. } | Response::Ack { data, .. } => {
            out.text("packet");
            match data {
                Some(data) => out.raw(msgpack_of(data)?),
                None => out.nil(),
            };
        }
        Response::ClientCount { count, .. } => {
            out.text("clientCount").count(*count);
        }
        _ => return Err(EncodeError::Unsupported),
    }
    Ok(())
}
