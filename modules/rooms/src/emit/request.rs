//! What `room:emit` takes, read from the socket's buffer: the text of the outgoing event is put together around the data,
//! which is never looked at.

use std::borrow::Cow;
use std::ops::Range;

use lakh_hub::{ArgsError, Bytes, EventRef, Failure, FromEvent, Room, Socket};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::args::Args;
use crate::{filter, names};

/// Bytes for the second argument besides the names in it, so that the text is seldom moved.
const ROOM_FOR_META: usize = 256;

/// What the client asks for.
#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    room: Cow<'a, str>,
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(default)]
    echo: Option<bool>,
    #[serde(default)]
    tags: Option<Map<String, Value>>,
}

/// An event that may be relayed, once it's known that its sender may.
#[derive(Debug)]
pub(super) struct Relayed {
    pub(super) room: Room,
    pub(super) name: Box<str>,
    pub(super) event: Box<str>,
    /// The argument list up to the second argument.
    pub(super) text: String,
    /// Where the data stands in it.
    pub(super) data: Range<usize>,
    pub(super) attachments: Vec<Bytes>,
    pub(super) data_bytes: usize,
    pub(super) echo: bool,
    /// What filters look at, as JSON.
    pub(super) tags: Option<Box<RawValue>>,
    /// Who gets nothing.
    pub(super) except: Vec<Room>,
}

/// A request as it was read from the socket's buffer, with what is wrong with it.
#[derive(Debug)]
pub(super) struct Emit(pub(super) Result<Relayed, Failure>);

impl FromEvent for Emit {
    fn from_event(_: &Socket, event: &EventRef<'_>) -> Result<Self, ArgsError> {
        Ok(Self(read(event.text(), event.attachments())))
    }
}

fn read(text: &str, attachments: &[Bytes]) -> Result<Relayed, Failure> {
    let args: Args<Request<'_>> =
        serde_json::from_str(text).map_err(|error| Failure::misread(&error))?;
    let Some(request) = args.0 else {
        return Err(Failure::bad_request("room:emit takes {room, event, data}"));
    };
    let room = names::room(&request.room)?;
    names::event(&request.event)?;
    let data = request.data.map_or("null", RawValue::get);
    let mut event = put_together(room, &request.room, &request.event, data, attachments)?;
    event.echo = request.echo.unwrap_or(true);
    if let Some(tags) = &request.tags {
        event.tags = tags_of(tags)?;
    }
    Ok(event)
}

pub(super) fn tags_of(tags: &Map<String, Value>) -> Result<Option<Box<RawValue>>, Failure> {
    let text = filter::tags(tags)?;
    // It was written as JSON a moment ago.
    Ok(text.and_then(|text| RawValue::from_string(text).ok()))
}

/// The event up to its second argument.
pub(super) fn put_together(
    room: Room,
    name: &str,
    event: &str,
    data: &str,
    attachments: &[Bytes],
) -> Result<Relayed, Failure> {
    let word = json(event)?;
    let mut text = String::with_capacity(word.len() + data.len() + name.len() + ROOM_FOR_META);
    for part in ["[", &word, ",", data, ","] {
        text.push_str(part);
    }
    let begin = word.len() + 2;
    Ok(Relayed {
        room,
        name: name.into(),
        event: event.into(),
        text,
        data: begin..begin + data.len(),
        data_bytes: data.len() + attachments.iter().map(Bytes::len).sum::<usize>(),
        attachments: attachments.to_vec(),
        echo: true,
        tags: None,
        except: Vec::new(),
    })
}

pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> Result<String, Failure> {
    // Strings and numbers only: this can't fail.
    serde_json::to_string(value).map_err(|error| Failure::new("internal", error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(request: &str) -> String {
        read(&format!(r#"["room:emit",{request}]"#), &[])
            .map_or_else(|failure| failure.message, |event| event.text)
    }

    #[test]
    fn data_is_relayed_as_the_text_that_came() {
        let data = r#"{"b":1, "a" : [1.0,1e2,"\u00e9🦀"],"b":2}"#;
        assert_eq!(
            text_of(&format!(r#"{{"data":{data},"room":"r","event":"e\"1"}}"#)),
            format!(r#"["e\"1",{data},"#)
        );
        assert_eq!(text_of(r#"{"room":"r","event":"e"}"#), r#"["e",null,"#);
        assert_eq!(
            text_of(r#"{"room":"r","event":"e","data":null,"other":[1]}"#),
            r#"["e",null,"#
        );
    }

    #[test]
    fn what_is_no_request_is_a_bad_request() {
        for list in [
            r#"["room:emit"]"#,
            r#"["room:emit",null]"#,
            r#"["room:emit","r"]"#,
            r#"["room:emit",{}]"#,
            r#"["room:emit",{"room":"r","data":1}]"#,
            r#"["room:emit",{"room":7,"event":"e"}]"#,
            r#"["room:emit",{"room":"","event":"e"}]"#,
            r#"["room:emit",{"room":"r","event":"disconnect"}]"#,
            r#"["room:emit",{"room":"r","event":"e","echo":1}]"#,
            r#"["room:emit",{"room":"r","room":"s","event":"e"}]"#,
        ] {
            assert_eq!(
                read(list, &[]).map(|_| ()).map_err(|failure| failure.code),
                Err("bad_request"),
                "{list}"
            );
        }
        assert!(read(r#"["room:emit",{"room":"r","event":"e"},"surplus"]"#, &[]).is_ok());
    }

    #[test]
    fn binary_values_count_as_data() {
        let list = r#"["room:emit",{"room":"r","event":"e","data":{"_placeholder":true,"num":0}}]"#;
        let bytes = read(list, &[Bytes::from_static(&[0; 100])]).map(|event| event.data_bytes);
        assert_eq!(bytes, Ok(r#"{"_placeholder":true,"num":0}"#.len() + 100));
    }
}
