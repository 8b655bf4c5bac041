//! What is told to those who watch the server: hooks to backends, sinks of events.
//!
//! Each is put together only if somebody wants to know.

use lakh_hub::{Namespace, Occurrence, Person, Socket, What};
use serde::Serialize;
use serde_json::json;

use crate::MODULE;
use crate::shapes::Message;

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

/// Somebody was stopped by a limit.
pub(crate) fn limited(socket: &Socket, room: &str, limit: &'static str) {
    tell(socket, What::RateLimit, |occurrence| {
        occurrence
            .in_room(room)
            .with_data(&json!({ "limit": limit }))
    });
}

/// Somebody has made a room.
pub(crate) fn made(socket: &Socket, room: &str, data: &impl Serialize) {
    tell(socket, What::Module, |mut occurrence| {
        occurrence.event = Some("room:new".into());
        occurrence.in_room(room).with_data(data)
    });
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

/// A message that is to be told when it's its turn.
pub(crate) fn message(socket: &Socket, message: &Message) -> Option<Box<Occurrence>> {
    let namespace = socket.namespace();
    if !namespace.hub().is_watched(What::Message, namespace.name()) {
        return None;
    }
    let mut occurrence = Occurrence::by(What::Message, socket, MODULE)
        .in_room(&message.room)
        .with_data(message);
    occurrence.event = Some("message:new".into());
    occurrence.user = Some(message.from.clone());
    occurrence.seq = Some(message.seq);
    occurrence.time_ms = message.time;
    Some(Box::new(occurrence))
}
