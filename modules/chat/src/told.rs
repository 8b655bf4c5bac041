//! What is told to those who watch the server: hooks to backends, sinks of events.
//!
//! Each is put together only if somebody wants to know.

use lakh_hub::{Namespace, Occurrence, Person, Socket, What};
use serde::Serialize;
use serde_json::{Value, json};

use crate::asker::Asker;
use crate::offline::Unread;
use crate::shapes::Message;
use crate::{Chat, MODULE};

fn tell(socket: &Socket, what: What, make: impl FnOnce(Occurrence) -> Occurrence) {
    let namespace = socket.namespace();
    namespace.hub().tell(what, namespace.name(), || {
        make(Occurrence::by(what, socket, MODULE))
    });
}

/// A socket has joined a room.
pub(crate) fn joined(socket: &Socket, room: &str) {
    tell(socket, What::Join, |occurrence| occurrence.in_room(room));
}

/// A socket has left a room, or its namespace.
pub(crate) fn left(socket: &Socket, room: &str) {
    tell(socket, What::Leave, |occurrence| occurrence.in_room(room));
}

/// Somebody was stopped by a limit. Backends that speak for a person are told so in the answer.
pub(crate) fn limited(asker: &Asker, room: &str, limit: &'static str) {
    if let Some(socket) = asker.socket() {
        tell(socket, What::RateLimit, |occurrence| {
            occurrence
                .in_room(room)
                .with_data(&json!({ "limit": limit }))
        });
    }
}

/// Somebody has made a room.
pub(crate) fn made(chat: &Chat, asker: &Asker, room: &str, data: &impl Serialize) {
    let namespace = &chat.0.namespace;
    namespace.hub().tell(What::Module, namespace.name(), || {
        let mut occurrence = by(chat, asker, What::Module).in_room(room).with_data(data);
        occurrence.event = Some("room:new".into());
        occurrence
    });
}

/// A room is gone for everybody.
pub(crate) fn deleted(chat: &Chat, asker: &Asker, room: &str) {
    let namespace = &chat.0.namespace;
    namespace.hub().tell(What::Module, namespace.name(), || {
        let data = json!({ "room": room });
        let mut occurrence = by(chat, asker, What::Module).in_room(room).with_data(&data);
        occurrence.event = Some("room:deleted".into());
        occurrence
    });
}

/// Whether anybody wants to know what the module has names for.
pub(crate) fn is_watched(chat: &Chat) -> bool {
    let namespace = &chat.0.namespace;
    namespace.hub().is_watched(What::Module, namespace.name())
}

/// A change in a room that is to be told when it's its turn, with what the room hears of it.
pub(crate) fn change(
    chat: &Chat,
    room: &str,
    event: &str,
    who: Option<&Person>,
    heard: &Value,
) -> (What, Box<Occurrence>) {
    let name = chat.0.namespace.name();
    let mut occurrence = Occurrence::new(What::Module, name, MODULE, chat.now_ms());
    occurrence.event = Some(event.into());
    occurrence.user = who.cloned();
    let occurrence = occurrence.in_room(room).with_data(heard);
    (What::Module, Box::new(occurrence))
}

/// Something that whoever asks has done.
fn by(chat: &Chat, asker: &Asker, what: What) -> Occurrence {
    match asker.socket() {
        Some(socket) => Occurrence::by(what, socket, MODULE),
        None => {
            let name = chat.0.namespace.name();
            let mut occurrence = Occurrence::new(what, name, MODULE, chat.now_ms());
            occurrence.user = Some(Person::clone(asker.who()));
            occurrence
        }
    }
}

/// A person has come into a room with their first socket, or gone from it with their last.
pub(crate) fn presence(namespace: &Namespace, room: &str, person: &Person, online: bool) {
    let hub = namespace.hub();
    hub.tell(What::Module, namespace.name(), || {
        let now_ms = hub.wall_ms();
        let mut occurrence = Occurrence::new(What::Module, namespace.name(), MODULE, now_ms);
        occurrence.event = Some("presence:update".into());
        occurrence.user = Some(person.clone());
        occurrence
            .in_room(room)
            .with_data(&json!({ "online": online }))
    });
}

/// Somebody who is away has not read a message.
pub(crate) fn unread(chat: &Chat, room: &str, unread: &Unread) {
    chat.0.counters.reminded();
    let namespace = &chat.0.namespace;
    namespace.hub().tell(What::Module, namespace.name(), || {
        let name = namespace.name();
        let mut occurrence = Occurrence::new(What::Module, name, MODULE, chat.now_ms());
        occurrence.event = Some("message:unread".into());
        occurrence.user = Some(unread.person.clone());
        occurrence.seq = Some(unread.message.seq);
        occurrence.in_room(room).with_data(unread)
    });
}

/// A message that is to be told when it's its turn.
pub(crate) fn message(chat: &Chat, asker: &Asker, message: &Message) -> Option<Box<Occurrence>> {
    let namespace = &chat.0.namespace;
    if !namespace.hub().is_watched(What::Message, namespace.name()) {
        return None;
    }
    let mut occurrence = by(chat, asker, What::Message)
        .in_room(&message.room)
        .with_data(message);
    occurrence.event = Some("message:new".into());
    occurrence.user = Some(message.said.from.clone());
    occurrence.seq = Some(message.seq);
    occurrence.time_ms = message.time;
    Some(Box::new(occurrence))
}
