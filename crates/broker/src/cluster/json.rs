//! JSON as far as envelopes need it: their own fields are read, the data of events stays text.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Deserializer, Visitor};
use serde_json::value::RawValue;

use super::limits::{DecodeError, Limits};
use super::message::{Data, Flags, Opts, RemoteSocket, RequestId};
use super::msgpack::{number_as_text, whole};
use crate::Room;

/// A room's name: text, or a number as JavaScript writes it.
#[derive(Debug)]
pub(crate) struct RoomName(Room);

impl<'de> Deserialize<'de> for RoomName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = RoomName;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a room's name")
            }
            fn visit_str<E>(self, text: &str) -> Result<RoomName, E> {
                Ok(RoomName(text.into()))
            }
            fn visit_u64<E>(self, number: u64) -> Result<RoomName, E> {
                Ok(RoomName(number.to_string().into()))
            }
            fn visit_i64<E>(self, number: i64) -> Result<RoomName, E> {
                Ok(RoomName(number.to_string().into()))
            }
            fn visit_f64<E>(self, number: f64) -> Result<RoomName, E> {
                Ok(RoomName(number_as_text(number).into()))
            }
        }
        from.deserialize_any(Name)
    }
}

/// Names out of a list that was read.
pub(crate) fn rooms(names: Vec<RoomName>, limits: &Limits) -> Result<Vec<Room>, DecodeError> {
    if names.len() > limits.max_items {
        return Err(DecodeError::TooMany);
    }
    Ok(names.into_iter().map(|name| name.0).collect())
}

/// `{rooms, except, flags}`; what is missing is empty.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct JsonOpts {
    rooms: Vec<RoomName>,
    except: Vec<RoomName>,
    flags: Option<JsonFlags>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct JsonFlags {
    volatile: Option<bool>,
    compress: Option<bool>,
    local: Option<bool>,
    broadcast: Option<bool>,
    binary: Option<bool>,
    expect_single_response: Option<bool>,
    timeout: Option<f64>,
}

impl JsonOpts {
    pub(crate) fn checked(self, limits: &Limits) -> Result<Opts, DecodeError> {
        let flags = self.flags.unwrap_or_default();
        Ok(Opts {
            rooms: rooms(self.rooms, limits)?,
            except: rooms(self.except, limits)?,
            flags: Flags {
                volatile: flags.volatile.unwrap_or_default(),
                compress: flags.compress,
                local: flags.local.unwrap_or_default(),
                broadcast: flags.broadcast.unwrap_or_default(),
                binary: flags.binary,
                expect_single_response: flags.expect_single_response.unwrap_or_default(),
                timeout_ms: flags.timeout.and_then(whole),
            },
        })
    }
}

/// A socket in an answer to `fetchSockets`.
#[derive(Debug, Deserialize)]
pub(crate) struct JsonSocket<'a> {
    id: Cow<'a, str>,
    #[serde(borrow)]
    handshake: Option<&'a RawValue>,
    #[serde(default)]
    rooms: Vec<RoomName>,
    data: Option<&'a RawValue>,
}

/// Sockets out of a list that was read.
pub(crate) fn sockets(
    list: Vec<JsonSocket<'_>>,
    limits: &Limits,
) -> Result<Vec<RemoteSocket>, DecodeError> {
    if list.len() > limits.max_items {
        return Err(DecodeError::TooMany);
    }
    let checked = list.into_iter().map(|socket| {
        Ok(RemoteSocket {
            id: socket.id.into_owned(),
            handshake: socket.handshake.map_or_else(nothing, data),
            rooms: rooms(socket.rooms, limits)?,
            data: socket.data.map_or_else(nothing, data),
        })
    });
    checked.collect()
}

fn nothing() -> Data {
    Data::Json("{}".to_owned())
}

/// The packet of an event.
#[derive(Debug, Deserialize)]
pub(crate) struct JsonPacket<'a> {
    #[serde(rename = "type")]
    kind: u64,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// The array of an event's packet: types 2 and 5 of the Socket.IO protocol, the second with binary.
pub(crate) fn event(packet: Option<&RawValue>) -> Result<Data, DecodeError> {
    let packet = packet.ok_or(DecodeError::Field("packet"))?;
    let packet: JsonPacket<'_> = parse(packet.get())?;
    if !matches!(packet.kind, 2 | 5) {
        return Err(DecodeError::Type(packet.kind));
    }
    array(packet.data, "data")
}

/// A value that must be an array.
pub(crate) fn array(value: Option<&RawValue>, field: &'static str) -> Result<Data, DecodeError> {
    match value {
        Some(value) if value.get().starts_with('[') => Ok(data(value)),
        _ => Err(DecodeError::Field(field)),
    }
}

pub(crate) fn data(value: &RawValue) -> Data {
    Data::Json(value.get().to_owned())
}

pub(crate) fn request(id: Option<Cow<'_, str>>) -> Result<RequestId, DecodeError> {
    id.map(|id| RequestId::new(&id))
        .ok_or(DecodeError::Field("requestId"))
}

pub(crate) fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, DecodeError> {
    serde_json::from_str(text).map_err(|error| DecodeError::Json(error.to_string()))
}

/// The text of a JSON message, after the checks that need no parsing.
pub(crate) fn text<'a>(body: &'a [u8], limits: &Limits) -> Result<&'a str, DecodeError> {
    limits.size(body.len())?;
    limits.json_depth(body)?;
    std::str::from_utf8(body).map_err(|error| DecodeError::Json(error.to_string()))
}

/// Text of a message under way, with the commas put in.
#[derive(Debug, Default)]
pub(crate) struct JsonWriter(String);

impl JsonWriter {
    /// A key; what is written next is its value.
    pub(crate) fn key(&mut self, key: &str) -> &mut Self {
        self.comma().quoted(key);
        self.0.push(':');
        self
    }

    fn comma(&mut self) -> &mut Self {
        if !self.0.is_empty() && !self.0.ends_with(['{', '[', ':']) {
            self.0.push(',');
        }
        self
    }

    pub(crate) fn open(&mut self, bracket: char) -> &mut Self {
        self.comma().0.push(bracket);
        self
    }

    pub(crate) fn close(&mut self, bracket: char) -> &mut Self {
        self.0.push(bracket);
        self
    }

    fn quoted(&mut self, text: &str) -> &mut Self {
        // Text always has a JSON form.
        self.0
            .push_str(&serde_json::to_string(text).unwrap_or_default());
        self
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.comma().quoted(text)
    }

    /// A value that is JSON already.
    pub(crate) fn raw(&mut self, json: &str) -> &mut Self {
        self.comma().0.push_str(json);
        self
    }

    pub(crate) fn count(&mut self, count: u64) -> &mut Self {
        self.raw(&count.to_string())
    }

    pub(crate) fn bool(&mut self, value: bool) -> &mut Self {
        self.raw(if value { "true" } else { "false" })
    }

    pub(crate) fn texts<'a>(&mut self, list: impl IntoIterator<Item = &'a str>) -> &mut Self {
        self.open('[');
        for text in list {
            self.text(text);
        }
        self.close(']')
    }

    pub(crate) fn rooms(&mut self, rooms: &[Room]) -> &mut Self {
        self.texts(rooms.iter().map(|room| &**room))
    }

    pub(crate) fn opts(&mut self, opts: &Opts) -> &mut Self {
        self.open('{').key("rooms").rooms(&opts.rooms);
        self.key("except").rooms(&opts.except);
        self.key("flags").open('{');
        for (name, value) in opts.flags.switches() {
            self.key(name).bool(value);
        }
        if let Some(timeout_ms) = opts.flags.timeout_ms {
            self.key("timeout").count(timeout_ms);
        }
        self.close('}').close('}')
    }

    pub(crate) fn finish(self) -> String {
        self.0
    }
}
