//! An event's way to the members: it's given its number and its place among all others, and kept where rooms have a
//! history.

use std::sync::Arc;

use lakh_hub::{Bytes, EmitError, Failure, Once, Operator, Payload, Person, Room, Socket};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::request::{Relayed, json};
use crate::tail::Kept;
use crate::{Inner, history, names, stored};

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

/// Whose event it is.
pub(super) struct Whose<'a> {
    pub(super) from: &'a str,
    pub(super) user: Option<&'a Person>,
    pub(super) id: Option<&'a str>,
    /// By which it is published once.
    pub(super) once: Option<Once>,
    /// The socket that sent it, if it came by one.
    pub(super) socket: Option<&'a Socket>,
}

/// Gives an event its number and sends it to the members of its room. Where the room's history is in the store, it's there
/// when this is done.
pub(super) async fn publish(
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
    // The stream notes by itself what it has, and looks.
    let note = whose
        .once
        .as_ref()
        .filter(|_| kept && kind.is_stored() && !rooms.counted);
    let (seq, sent) = match rooms.counted {
        true => {
            sending
                .by_the_stream(rooms, kept, whose.once.as_ref())
                .await?
        }
        false => sending.by_this_node(rooms, kept)?,
    };
    // Of what the stream has had before, too: it may not have come to this.
    if let Some((room, sent)) = sent.filter(|_| kind.is_stored()) {
        stored::write(rooms, &room, &kind.history, &sent, note).await?;
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
    async fn by_the_stream(
        self,
        rooms: &Inner,
        kept: bool,
        once: Option<&Once>,
    ) -> Result<Numbered, Failure> {
        let known = rooms.numbers.of(&self.room).0;
        let mut text = self.text;
        let begin = kept.then(|| (text.clone(), self.attachments.clone()));
        text.push_str("0}]");
        let payload = Payload::from_raw(text, self.attachments);
        let sent = self
            .to
            .emit_counted(&self.name, known, payload, once)
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
    #[derive(Deserialize)]
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

/// Sees to it that an event of this room takes its place as soon as it is published, and tells whether it was before: see
/// [`Rooms::ready`](crate::Rooms::ready).
pub(crate) async fn ready(rooms: &Inner, name: &str, once: &Once) -> Result<bool, Failure> {
    let (room, kind) = (names::room(name)?, rooms.kinds.of(name));
    if !kind.keeps() || !kind.is_stored() || rooms.without_order {
        return Ok(false);
    }
    history::learn(rooms, &room, kind).await?;
    if rooms.counted {
        return Ok(false);
    }
    Ok(stored::before(rooms, once).await?.is_some())
}
