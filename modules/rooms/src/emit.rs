//! `room:emit`: an event of the client's own, relayed to the members of a room.
//!
//! The data is never looked at: the text of the outgoing event is put together around it, and its binary values go
//! along as they came.

mod publish;
mod request;

use lakh_hub::{Ack, Failure, Namespace, Occurrence, Pace, Person, Socket, What, Wish, answer};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::server_side::{Publish, Published};
use crate::{Inner, MODULE, Rooms, enter, names};
use publish::{Whose, publish};
pub(crate) use publish::{kept, ready};
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
