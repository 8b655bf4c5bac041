//! `room:emit`: an event of the client's own, relayed to the members of a room.
//!
//! The data is never looked at: the text of the outgoing event is put together around it, and its binary values go
//! along as they came.

mod publish;
mod request;

use lakh_hub::{Ack, Failure, Namespace, Occurrence, Pace, Person, Socket, What, Wish, answer, ArgsError, Bytes, EmitError, EventRef, FromEvent, Once, Operator, Payload, Room};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::server_side::{Publish, Published};
use crate::{Inner, MODULE, Rooms, enter, names};
pub(crate) use publish::kept;
use publish::{Whose, publish};
use request::{Emit, Relayed, put_together, tags_of};

pub(crate) fn install(namespace: &Namespace, rooms: &Rooms) {
    let rooms = rooms.clone();
    namespace.on(
        "room:emit",
        async move |socket: Socket, emit: Emit, ack: Ack| {
            let sent = match emit.0 {
                Ok(event) => relay(&rooms.0, &socket, event, ack.is_wanted()).await,
                Err(failure) => Err(failure),
            };
            ack.send_raw(answer(sent));
        },
    );
}

/// Stands for the sender of what the server publishes. No socket has such an id.
const SERVER: &str = "server";

/// What the sender is told.
#[derive(Debug, Serialize)]
struct Sent {
    seq: u64,
    time: u64,
}

/// Relays an event. Nothing is waited for before it has its place in the order, so the events of one socket keep theirs.
async fn relay(
    rooms: &Inner,
    socket: &Socket,
    mut event: Relayed,
    is_answered: bool,
) -> Result<Sent, Failure> {
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
        once: None,
        socket: Some(socket),
    };
    let seq = publish(rooms, whose, event, time).await?;
    drop(passed);
    if let Some(mut told) = told {
        told.seq = Some(seq);
        told.time_ms = time;
        let hub = socket.namespace().hub().clone();
        hub.tell(What::Message, "/", || told);
        if is_answered {
            hub.told(What::Message, "/").await?;
        }
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
    /// By which it is published once.
    once: Option<Once>,
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
            .emit_counted_once(&self.name, known, payload, once)
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

/// Sees to it that an event of this room takes its place as soon as it is published, and tells whether it was before: see
/// [`Rooms::ready`].
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
        once: event.once,
        socket: None,
    };
    let seq = publish(rooms, whose, made, time).await?;
    if let Some(mut told) = told {
        told.seq = Some(seq);
        hub.tell(What::Message, "/", || told);
        hub.told(What::Message, "/").await?;
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
