//! `room:emit`: an event of the client's own, relayed to the members of a room.
//!
//! The data is never looked at: the text of the outgoing event is put together around it, and its binary values go
//! along as they came.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use lakh_hub::{
    Ack, ArgsError, Bytes, EmitError, EventRef, Failure, FromEvent, Namespace, Occurrence,
    Operator, Pace, Payload, Person, Room, Socket, What, Wish, answer,
};
use parking_lot::Mutex;
use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize as DeriveDeserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::server_side::{Publish, Published};
use crate::tail::Kept;
use crate::{Inner, MODULE, Rooms, enter, filter, history, names, stored};

/// Bytes for the second argument besides the names in it, so that the text is seldom moved.
const ROOM_FOR_META: usize = 256;

pub(crate) fn install(namespace: &Namespace, rooms: &Rooms) {
    let rooms = rooms.clone();
    namespace.on(
        "room:emit",
        async move |socket: Socket, emit: Emit, ack: Ack| {
            let sent = match emit.0 {
                Ok(event) => relay(&rooms.0, &socket, event).await,
                Err(failure) => Err(failure),
            };
            ack.send_raw(answer(sent));
        },
    );
}

/// Stands for the sender of what the server publishes. No socket has such an id.
const SERVER: &str = "server";

/// What the client asks for.
#[derive(DeriveDeserialize)]
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

/// The argument list: the event's name, the request, and whatever a client puts behind it.
struct Args<'a>(Option<Request<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Args<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Option<Request<'de>>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an argument list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                list.next_element::<IgnoredAny>()?;
                let request = list.next_element()?;
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(request)
            }
        }
        Ok(Self(deserializer.deserialize_seq(List)?))
    }
}

/// An event that may be relayed, once it's known that its sender may.
#[derive(Debug)]
struct Relayed {
    room: Room,
    name: Box<str>,
    event: Box<str>,
    /// The argument list up to the second argument.
    text: String,
    /// Where the data stands in it.
    data: Range<usize>,
    attachments: Vec<Bytes>,
    data_bytes: usize,
    echo: bool,
    /// What filters look at, as JSON.
    tags: Option<Box<RawValue>>,
    /// Who gets nothing.
    except: Vec<Room>,
}

/// A request as it was read from the socket's buffer, with what is wrong with it.
#[derive(Debug)]
struct Emit(Result<Relayed, Failure>);

impl FromEvent for Emit {
    fn from_event(_: &Socket, event: &EventRef<'_>) -> Result<Self, ArgsError> {
        Ok(Self(read(event.text(), event.attachments())))
    }
}

fn read(text: &str, attachments: &[Bytes]) -> Result<Relayed, Failure> {
    let args: Args<'_> =
        serde_json::from_str(text).map_err(|error| Failure::bad_request(error.to_string()))?;
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

fn tags_of(tags: &Map<String, Value>) -> Result<Option<Box<RawValue>>, Failure> {
    let text = filter::tags(tags)?;
    // It was written as JSON a moment ago.
    Ok(text.and_then(|text| RawValue::from_string(text).ok()))
}

/// The event up to its second argument.
fn put_together(
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

fn json<T: Serialize + ?Sized>(value: &T) -> Result<String, Failure> {
    // Strings and numbers only: this can't fail.
    serde_json::to_string(value).map_err(|error| Failure::new("internal", error.to_string()))
}

/// The second argument, without its number.
#[derive(Serialize)]
struct Meta<'a> {
    room: &'a str,
    from: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a Person>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    time: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'a RawValue>,
}

/// What the sender is told.
#[derive(Debug, Serialize)]
struct Sent {
    seq: u64,
    time: u64,
}

/// Relays an event. Nothing is waited for before it has its place in the order, so the events of one socket keep theirs.
async fn relay(rooms: &Inner, socket: &Socket, mut event: Relayed) -> Result<Sent, Failure> {
    let time = socket.now_ms();
    pace(rooms, socket, time)?;
    if !socket.is_in(&event.room) {
        return Err(Failure::new(
            "not_member",
            "join the room before you emit in it",
        ));
    }
    enter::may(&rooms.kinds, socket, &event.name, &event.room, "emit")?;
    check_size(rooms, &event)?;
    let passed = socket
        .pass(Wish::Publish {
            room: &event.name,
            event: &event.event,
            data: &event.text[event.data.clone()],
        })
        .await?;
    if let Some(changed) = &passed.changed {
        let begin = event.data.start;
        event.text.replace_range(event.data.clone(), changed.get());
        event.data = begin..begin + changed.get().len();
    }
    let told = occurrence(socket, &event);
    let person = socket.get::<Person>();
    let whose = Whose {
        from: socket.id(),
        user: person.as_deref(),
        id: None,
        socket: Some(socket),
    };
    let seq = publish(rooms, whose, event, time).await?;
    drop(passed);
    if let Some(mut told) = told {
        told.seq = Some(seq);
        told.time_ms = time;
        let hub = socket.namespace().hub().clone();
        hub.tell(What::Message, "/", || told);
    }
    Ok(Sent { seq, time })
}

/// The event for those who watch this node, if there are any.
fn occurrence(socket: &Socket, event: &Relayed) -> Option<Occurrence> {
    let watched = socket.namespace().hub().is_watched(What::Message, "/");
    watched.then(|| {
        let told = Occurrence::by(What::Message, socket, MODULE).in_room(&event.name);
        filled(told, event)
    })
}

fn filled(mut told: Occurrence, event: &Relayed) -> Occurrence {
    told.event = Some(event.event.clone());
    told.data = RawValue::from_string(event.text[event.data.clone()].to_owned()).ok();
    told.attachments.clone_from(&event.attachments);
    told
}

fn check_size(rooms: &Inner, event: &Relayed) -> Result<(), Failure> {
    let (most, got) = (rooms.config.max_data_bytes, event.data_bytes);
    if got > most {
        return Err(Failure::new(
            "too_large",
            format!("the data has {got} bytes; {most} are allowed"),
        ));
    }
    Ok(())
}

/// Whose event it is.
struct Whose<'a> {
    from: &'a str,
    user: Option<&'a Person>,
    id: Option<&'a str>,
    /// The socket that sent it, if it came by one.
    socket: Option<&'a Socket>,
}

/// Gives an event its number and sends it to the members of its room. Where the room's history is in the store, it's there
/// when this is done.
async fn publish(
    rooms: &Inner,
    whose: Whose<'_>,
    event: Relayed,
    time: u64,
) -> Result<u64, Failure> {
    let kind = rooms.kinds.of(&event.name);
    let kept = kind.keeps() && !rooms.without_order;
    if kept && kind.is_stored() {
        // Numbers go on behind those that are stored.
        history::learn(rooms, &event.room, kind).await?;
    }
    let meta = json(&Meta {
        room: &event.name,
        from: whose.from,
        user: whose.user,
        id: whose.id,
        time,
        tags: event.tags.as_deref(),
    })?;
    let mut text = event.text;
    // The object stays open for the number.
    text.push_str(meta.strip_suffix('}').unwrap_or(&meta));
    text.push_str(",\"seq\":");
    let to = match whose.socket.filter(|_| !event.echo) {
        Some(socket) => socket.to(Room::clone(&event.room)),
        None => rooms.hub.of("/").to(Room::clone(&event.room)),
    };
    let sending = Sending {
        to: event.except.into_iter().fold(to, Operator::except),
        room: event.room,
        name: event.name,
        text,
        attachments: event.attachments,
        time,
    };
    let (seq, sent) = match rooms.counted {
        true => sending.by_the_stream(rooms, kept).await?,
        false => sending.by_this_node(rooms, kept)?,
    };
    if let Some((room, sent)) = sent.filter(|_| kind.is_stored()) {
        stored::write(rooms, &room, &kind.history, &sent).await?;
    }
    Ok(seq)
}

/// An event that waits for its number.
struct Sending {
    to: Operator,
    room: Room,
    name: Box<str>,
    text: String,
    attachments: Vec<Bytes>,
    time: u64,
}

/// A number, and what is to be kept with it.
type Numbered = (u64, Option<(Room, Arc<Kept>)>);

impl Sending {
    /// The number is that of the stream which all nodes follow.
    async fn by_the_stream(self, rooms: &Inner, kept: bool) -> Result<Numbered, Failure> {
        let known = rooms.numbers.of(&self.room).0;
        let mut text = self.text;
        let begin = kept.then(|| (text.clone(), self.attachments.clone()));
        text.push_str("0}]");
        let payload = Payload::from_raw(text, self.attachments);
        let sent = self
            .to
            .emit_counted(&self.name, known, payload)
            .map_err(|error| unavailable(&error))?;
        let seq = match sent {
            Some(sent) => sent.await,
            None => None,
        };
        let seq = seq.ok_or_else(|| {
            Failure::new(
                "unavailable",
                "the server is about to stop; send this again",
            )
        })?;
        rooms.numbers.heard(&self.room, seq);
        let kept = begin.map(|(text, attachments)| {
            let kept = numbered(text, attachments, seq, self.time);
            (self.room, Arc::new(kept))
        });
        Ok((seq, kept))
    }

    /// The number is this node's own.
    fn by_this_node(self, rooms: &Inner, kept: bool) -> Result<Numbered, Failure> {
        let (mut seq, mut sent) = (0, None);
        let Self {
            to,
            room,
            mut text,
            attachments,
            time,
            ..
        } = self;
        to.emit_ordered(|| {
            let (number, mut turn) = rooms.numbers.next(&room, time);
            seq = number;
            if kept {
                let kept = numbered(text.clone(), attachments.clone(), seq, time);
                let kept = Arc::new(kept);
                turn.keep(&room, Arc::clone(&kept));
                sent = Some((Room::clone(&room), kept));
            }
            text.push_str(&number.to_string());
            text.push_str("}]");
            Some((Payload::from_raw(text, attachments), turn))
        })
        .map_err(|error| unavailable(&error))?;
        Ok((seq, sent))
    }
}

fn numbered(mut text: String, attachments: Vec<Bytes>, seq: u64, time_ms: u64) -> Kept {
    text.push_str(&seq.to_string());
    text.push_str("}]");
    Kept {
        seq,
        time_ms,
        text: text.into(),
        attachments,
    }
}

fn unavailable(error: &EmitError) -> Failure {
    Failure::new("unavailable", error.to_string())
}

/// An event as it came out of the stream, to be kept.
pub(crate) fn kept(seq: u64, payload: &Payload) -> Option<Kept> {
    #[derive(DeriveDeserialize)]
    struct Origin {
        time: u64,
    }
    type Event<'a> = (&'a RawValue, &'a RawValue, Origin);
    let event: Event<'_> = serde_json::from_str(payload.text()).ok()?;
    Some(Kept {
        seq,
        time_ms: event.2.time,
        text: payload.text().into(),
        attachments: payload.attachments().to_vec(),
    })
}

/// Publishes an event that no socket sent.
pub(crate) async fn from_outside(rooms: &Inner, event: Publish) -> Result<Published, Failure> {
    let time = rooms.hub.wall_ms();
    let room = names::room(&event.room)?;
    names::event(&event.event)?;
    let data = event.data.as_ref().map_or("null", |data| data.get());
    let mut made = put_together(room, &event.room, &event.event, data, &event.attachments)?;
    made.tags = tags_of(&event.tags.into_iter().collect())?;
    check_size(rooms, &made)?;
    if !rooms.numbers.admit(&made.room, time) {
        return Err(enter::too_many_rooms());
    }
    let hub = &rooms.hub;
    let watched = !event.quietly && hub.is_watched(What::Message, "/");
    let told = watched.then(|| {
        let mut told = Occurrence::new(What::Message, "/", MODULE, time).in_room(&made.name);
        told.user.clone_from(&event.user);
        filled(told, &made)
    });
    made.except = event.except;
    let whose = Whose {
        from: event.from.as_deref().unwrap_or(SERVER),
        user: event.user.as_ref(),
        id: event.id.as_deref(),
        socket: None,
    };
    let seq = publish(rooms, whose, made, time).await?;
    if let Some(mut told) = told {
        told.seq = Some(seq);
        hub.tell(What::Message, "/", || told);
    }
    Ok(Published { seq, time_ms: time })
}

/// What a socket may still emit.
#[derive(Default)]
struct Allowance(Mutex<Pace>);

pub(crate) fn pace(rooms: &Inner, socket: &Socket, now_ms: u64) -> Result<(), Failure> {
    let allowance = socket.get::<Allowance>().unwrap_or_else(|| {
        socket.insert(Allowance::default());
        socket.get().unwrap_or_default()
    });
    let most = rooms.config.events_per_second;
    let taken = allowance.0.lock().take(now_ms, most, most);
    taken.map_err(|wait_ms| {
        Failure::new(
            "rate_limited",
            format!("{most} events a second are allowed; wait {wait_ms} ms"),
        )
    })
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
