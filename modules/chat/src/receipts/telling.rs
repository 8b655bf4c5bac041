//! `receipt:update`.

use lakh_hub::{Payload, Person};
use serde::Serialize;

use super::marks::Marks;
use super::tally::Tally;
use crate::asker::Asker;
use crate::crowd::{self, Crowd};
use crate::shapes::event;
use crate::{Chat, names};

/// A room and a person.
pub(super) type Key = (String, String);

/// What others are told of somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Update {
    user: Person,
    read: Option<u64>,
    delivered: Option<u64>,
}

/// The argument of `receipt:update`.
#[derive(Serialize)]
struct Told<'a> {
    room: &'a str,
    user: &'a Person,
    #[serde(skip_serializing_if = "Option::is_none")]
    read: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unread: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mentions: Option<u64>,
}

/// Somebody's marks have moved: tells their other devices now, and others who watch the room in time.
pub(super) fn moved(
    chat: &Chat,
    asker: &Asker,
    room: &str,
    (before, after): (Marks, Marks),
    tally: Tally,
    is_crowd: bool,
) {
    own(chat, Some(asker), room, asker.who(), tally);
    // What one person has read is nobody's news in a crowd.
    if is_crowd || crowd::of(chat, room) != Crowd::None {
        return;
    }
    let update = Update {
        user: Person::clone(asker.who()),
        read: (before.read != after.read).then_some(after.read),
        delivered: (before.delivered != after.delivered).then_some(after.delivered),
    };
    let key = (room.to_owned(), asker.id().to_owned());
    let now = chat.clock_ms();
    chat.0.receipts.updates.put(now, key, update, |old, new| {
        *old = Update {
            read: new.read.or(old.read),
            delivered: new.delivered.or(old.delivered),
            user: new.user,
        };
    });
}

/// Tells the devices of a person but the one that said so.
pub(super) fn own(chat: &Chat, asker: Option<&Asker>, room: &str, user: &Person, tally: Tally) {
    let told = Told {
        room,
        user,
        read: Some(tally.read),
        delivered: Some(tally.delivered),
        unread: Some(tally.unread),
        mentions: Some(tally.mentions),
    };
    let mut to = chat.0.namespace.to(Person::room_of(&user.id));
    if let Some(socket) = asker.and_then(Asker::socket) {
        to = to.except(socket.id());
    }
    send(room, event("receipt:update", &told), |payload| {
        to.emit_raw(payload)
    });
}

/// Tells all who watch a room but the person themselves.
pub(super) fn tell_others(chat: &Chat, (room, person): &Key, update: &Update) {
    let told = Told {
        room,
        user: &update.user,
        read: update.read,
        delivered: update.delivered,
        unread: None,
        mentions: None,
    };
    let to = chat.0.namespace.to(names::hub_room(room));
    let to = to.except(Person::room_of(person));
    send(room, event("receipt:update", &told), |payload| {
        to.emit_raw(payload)
    });
}

fn send(
    room: &str,
    payload: Option<Payload>,
    emit: impl FnOnce(Payload) -> Result<(), lakh_hub::EmitError>,
) {
    if let Some(payload) = payload
        && let Err(error) = emit(payload)
    {
        tracing::warn!(room, %error, "the server was too busy to tell how far somebody has read");
    }
}
