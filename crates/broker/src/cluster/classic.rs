//! The bytes of `createAdapter` (@socket.io/redis-adapter 8.3) and of @socket.io/redis-emitter 5.1.
//!
//! Broadcasts are MessagePack on `K#<nsp>#`, or on `K#<nsp>#<room>#` for exactly one room. Requests are JSON on
//! `K-request#<nsp>#`, but for the one with acknowledgements. Answers go over `K-response#<nsp>#` or, to one asker,
//! `K-response#<nsp>#<uid>#`; each asker listens on both. Node's answers don't say who answers; ours do, in a field more,
//! which Node doesn't look at: so a node that is silent can be named.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::envelope::{event, write_json_sockets};
use super::json::{self, JsonOpts, JsonSocket, JsonWriter, RoomName};
use super::limits::{DecodeError, EncodeError, Limits};
use super::message::{Data, Envelope, Form, Message, Opts, RequestId, Response, Uid};
use super::msgpack::{Value, Writer};

/// What kind of channel a message goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Events for sockets.
    Broadcast,
    /// Requests.
    Request,
    /// Answers.
    Response,
}

/// The channel of a namespace's broadcasts; those to exactly one room have one below it.
#[must_use]
pub fn broadcast_channel(key: &str, nsp: &str, room: Option<&str>) -> String {
    match room {
        Some(room) => format!("{key}#{nsp}#{room}#"),
        None => format!("{key}#{nsp}#"),
    }
}

/// The pattern that catches all broadcasts of a namespace.
#[must_use]
pub fn broadcast_pattern(key: &str, nsp: &str) -> String {
    let mut pattern = String::new();
    for c in key.chars().chain("#".chars()).chain(nsp.chars()) {
        // What Redis takes for a wildcard must be meant as it stands.
        if matches!(c, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern + "#*"
}

/// The channel of a namespace's requests. Who listens to it is a node.
#[must_use]
pub fn request_channel(key: &str, nsp: &str) -> String {
    format!("{key}-request#{nsp}#")
}

/// The channel of a namespace's answers, to all or to one asker.
#[must_use]
pub fn response_channel(key: &str, nsp: &str, to: Option<&Uid>) -> String {
    match to {
        Some(uid) => format!("{key}-response#{nsp}#{uid}#"),
        None => format!("{key}-response#{nsp}#"),
    }
}

/// Where a message goes.
#[must_use]
pub fn place(message: &Message) -> Place {
    match message {
        Message::Broadcast { ack: None, .. } => Place::Broadcast,
        Message::Response(_) => Place::Response,
        _ => Place::Request,
    }
}

/// The form in which a message's data is taken.
#[must_use]
pub fn form(message: &Message) -> Form {
    match message {
        Message::Broadcast { .. } | Message::Response(Response::Ack { .. }) => Form::Msgpack,
        _ => Form::Json,
    }
}

/// A request or an answer in JSON, with all the fields that one can have.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'a> {
    #[serde(rename = "type")]
    kind: Option<u64>,
    uid: Option<Cow<'a, str>>,
    request_id: Option<Cow<'a, str>>,
    #[serde(default)]
    opts: JsonOpts,
    #[serde(default)]
    rooms: Option<Vec<RoomName>>,
    #[serde(default)]
    close: bool,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    sockets: Option<&'a RawValue>,
    client_count: Option<u64>,
}

/// Reads a message that came over a channel of that kind. The namespace stands in the channel's name only.
///
/// # Errors
/// [`DecodeError`] tells what is wrong with it.
pub fn decode(place: Place, body: &Bytes, limits: &Limits) -> Result<Envelope, DecodeError> {
    match place {
        Place::Broadcast => decode_broadcast(body, limits),
        _ if body.first() != Some(&b'{') => decode_packed(place, body, limits),
        Place::Request => decode_request(json::text(body, limits)?, limits),
        Place::Response => decode_response(json::text(body, limits)?, limits),
    }
}

fn decode_broadcast(body: &Bytes, limits: &Limits) -> Result<Envelope, DecodeError> {
    let parts = Value::message(body, limits)?.array(limits)?;
    let [uid, packet, opts] = parts[..] else {
        return Err(DecodeError::Msgpack("no array of three"));
    };
    let nsp = packet.map(limits)?.get("nsp").and_then(Value::text);
    Ok(Envelope {
        from: uid.text().map(Uid::new),
        // Emitters of old say nothing for the main namespace.
        nsp: Some(nsp.unwrap_or("/").to_owned()),
        message: Message::Broadcast {
            data: event(Some(packet), body, limits)?,
            opts: opts.opts(limits)?,
            ack: None,
        },
    })
}

/// What is MessagePack of the requests and of the answers: both are about acknowledgements.
fn decode_packed(place: Place, body: &Bytes, limits: &Limits) -> Result<Envelope, DecodeError> {
    let map = Value::message(body, limits)?.map(limits)?;
    let request = RequestId::new(map.need_text("requestId")?);
    let kind = map.need_count("type")?;
    let message = match (place, kind) {
        (Place::Request, 7) => Message::Broadcast {
            data: event(map.get("packet"), body, limits)?,
            opts: map.need("opts")?.opts(limits)?,
            ack: Some(request),
        },
        (Place::Response, 8) => Message::Response(Response::ClientCount {
            request,
            count: map.need_count("clientCount")?,
        }),
        (Place::Response, 9) => Message::Response(Response::Ack {
            request,
            data: map
                .get("packet")
                .map(|value| Data::Msgpack(value.shared(body))),
        }),
        _ => return Err(DecodeError::Type(kind)),
    };
    Ok(Envelope {
        from: map.get("uid").and_then(Value::text).map(Uid::new),
        nsp: None,
        message,
    })
}

fn decode_request(text: &str, limits: &Limits) -> Result<Envelope, DecodeError> {
    let fields: Fields<'_> = json::parse(text)?;
    let kind = fields.kind.ok_or(DecodeError::Field("type"))?;
    let opts = fields.opts.checked(limits)?;
    let rooms = fields.rooms.map(|names| json::rooms(names, limits));
    let needed = || DecodeError::Field("rooms");
    let message = match kind {
        0 => Message::SocketIds {
            request: json::request(fields.request_id)?,
            rooms: rooms.transpose()?.unwrap_or_default(),
        },
        1 => Message::AllRooms {
            request: json::request(fields.request_id)?,
        },
        2 => Message::Join {
            opts,
            rooms: rooms.ok_or_else(needed)??,
        },
        3 => Message::Leave {
            opts,
            rooms: rooms.ok_or_else(needed)??,
        },
        4 => Message::Disconnect {
            opts,
            close: fields.close,
        },
        5 => Message::FetchSockets {
            request: json::request(fields.request_id)?,
            opts,
        },
        6 => Message::ServerSideEmit {
            request: fields.request_id.map(|id| RequestId::new(&id)),
            data: json::array(fields.data, "data")?,
        },
        other => return Err(DecodeError::Type(other)),
    };
    Ok(Envelope {
        from: fields.uid.as_deref().map(Uid::new),
        nsp: None,
        message,
    })
}

/// Answers to 0, 1 and 5 don't say their type: it's told by what they hold.
fn decode_response(text: &str, limits: &Limits) -> Result<Envelope, DecodeError> {
    let fields: Fields<'_> = json::parse(text)?;
    let request = json::request(fields.request_id)?;
    let response = match (fields.kind, fields.sockets, fields.rooms) {
        (Some(6), _, _) => Response::ServerSideEmit {
            request,
            data: fields.data.map(json::data),
        },
        (Some(8), _, _) => Response::ClientCount {
            request,
            count: fields
                .client_count
                .ok_or(DecodeError::Field("clientCount"))?,
        },
        (None, Some(sockets), _) => sockets_of(request, sockets, limits)?,
        (None, None, Some(names)) => Response::AllRooms {
            request,
            rooms: json::rooms(names, limits)?,
        },
        (kind, _, _) => return Err(DecodeError::Type(kind.unwrap_or(u64::MAX))),
    };
    Ok(Envelope {
        from: fields.uid.as_deref().map(Uid::new),
        nsp: None,
        message: Message::Response(response),
    })
}

/// Sockets with all that is to say of them, or their ids alone.
fn sockets_of(
    request: RequestId,
    list: &RawValue,
    limits: &Limits,
) -> Result<Response, DecodeError> {
    let inner = list.get().trim_start_matches('[').trim_start();
    if inner.starts_with('"') {
        let ids: Vec<String> = json::parse(list.get())?;
        if ids.len() > limits.max_items {
            return Err(DecodeError::TooMany);
        }
        return Ok(Response::SocketIds { request, ids });
    }
    let sockets: Vec<JsonSocket<'_>> = json::parse(list.get())?;
    Ok(Response::Sockets {
        request,
        // An empty list may answer either request: who asked knows.
        sockets: json::sockets(sockets, limits)?,
    })
}

/// The bytes of a message. `uid` is the sender's.
///
/// # Errors
/// [`EncodeError`] if data in it is not in the form that [`form`] says, or for a heartbeat, which classic hasn't.
pub fn encode(uid: &Uid, nsp: &str, message: &Message) -> Result<Bytes, EncodeError> {
    match message {
        Message::Broadcast { data, opts, ack } => {
            let Data::Msgpack(data) = data else {
                return Err(EncodeError::Form {
                    wanted: Form::Msgpack,
                });
            };
            Ok(encode_broadcast(uid, nsp, data, opts, ack.as_ref()))
        }
        Message::Response(Response::Ack { request, data }) => {
            encode_ack(uid, request, data.as_ref())
        }
        Message::Response(response) => encode_response(uid, response),
        _ => encode_request(uid, message),
    }
}

fn encode_broadcast(
    uid: &Uid,
    nsp: &str,
    data: &Bytes,
    opts: &Opts,
    ack: Option<&RequestId>,
) -> Bytes {
    let mut out = Writer::default();
    match ack {
        Some(request) => {
            out.map(5).text("uid").text(uid.as_str());
            out.text("requestId").text(request.as_str());
            out.text("type").count(7).text("packet");
        }
        None => {
            out.array(3).text(uid.as_str());
        }
    }
    out.map(3).text("type").count(2).text("data").raw(data);
    out.text("nsp").text(nsp);
    if ack.is_some() {
        out.text("opts");
    }
    out.opts(opts);
    out.finish()
}

fn encode_ack(uid: &Uid, request: &RequestId, data: Option<&Data>) -> Result<Bytes, EncodeError> {
    let mut out = Writer::default();
    out.map(3 + usize::from(data.is_some()));
    out.text("type").count(9);
    out.text("requestId").text(request.as_str());
    match data {
        Some(Data::Msgpack(bytes)) => {
            out.text("packet").raw(bytes);
        }
        Some(Data::Json(_)) => {
            return Err(EncodeError::Form {
                wanted: Form::Msgpack,
            });
        }
        None => {}
    }
    out.text("uid").text(uid.as_str());
    Ok(out.finish())
}

fn json_of(data: &Data) -> Result<&str, EncodeError> {
    match data {
        Data::Json(text) => Ok(text),
        Data::Msgpack(_) => Err(EncodeError::Form { wanted: Form::Json }),
    }
}

/// Classic's requests carry no flags.
fn write_opts(out: &mut JsonWriter, opts: &Opts) {
    out.key("opts").open('{').key("rooms").rooms(&opts.rooms);
    out.key("except").rooms(&opts.except).close('}');
}

fn encode_request(uid: &Uid, message: &Message) -> Result<Bytes, EncodeError> {
    let mut out = JsonWriter::default();
    out.open('{').key("uid").text(uid.as_str());
    match message {
        Message::SocketIds { request, rooms } => {
            out.key("requestId").text(request.as_str());
            out.key("type").count(0).key("rooms").rooms(rooms);
        }
        Message::AllRooms { request } => {
            out.key("requestId").text(request.as_str());
            out.key("type").count(1);
        }
        Message::Join { opts, rooms } => {
            out.key("type").count(2);
            write_opts(&mut out, opts);
            out.key("rooms").rooms(rooms);
        }
        Message::Leave { opts, rooms } => {
            out.key("type").count(3);
            write_opts(&mut out, opts);
            out.key("rooms").rooms(rooms);
        }
        Message::Disconnect { opts, close } => {
            out.key("type").count(4);
            write_opts(&mut out, opts);
            out.key("close").bool(*close);
        }
        Message::FetchSockets { request, opts } => {
            out.key("requestId").text(request.as_str());
            out.key("type").count(5);
            write_opts(&mut out, opts);
        }
        Message::ServerSideEmit { request, data } => {
            if let Some(request) = request {
                out.key("requestId").text(request.as_str());
            }
            out.key("type").count(6).key("data").raw(json_of(data)?);
        }
        _ => return Err(EncodeError::Unsupported),
    }
    out.close('}');
    Ok(out.finish().into())
}

fn encode_response(uid: &Uid, response: &Response) -> Result<Bytes, EncodeError> {
    let mut out = JsonWriter::default();
    out.open('{');
    match response {
        Response::ServerSideEmit { .. } => {
            out.key("type").count(6);
        }
        Response::ClientCount { .. } => {
            out.key("type").count(8);
        }
        _ => {}
    }
    out.key("requestId").text(response.request().as_str());
    match response {
        Response::Sockets { sockets, .. } => {
            out.key("sockets");
            write_json_sockets(&mut out, sockets)?;
        }
        Response::ServerSideEmit { data, .. } => {
            if let Some(data) = data {
                out.key("data").raw(json_of(data)?);
            }
        }
        Response::ClientCount { count, .. } => {
            out.key("clientCount").count(*count);
        }
        Response::SocketIds { ids, .. } => {
            out.key("sockets").texts(ids.iter().map(String::as_str));
        }
        Response::AllRooms { rooms, .. } => {
            out.key("rooms").rooms(rooms);
        }
        Response::Ack { .. } => return Err(EncodeError::Unsupported),
    }
    out.key("uid").text(uid.as_str()).close('}');
    Ok(out.finish().into())
}
