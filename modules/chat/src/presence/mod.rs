//! `presence:list`, and the coming and going of sockets.

use std::sync::Arc;

use lakh_hub::{CloseReason, Failure, Payload, Person, Room, Socket};
use tokio::time::Instant;

use crate::asker::Asker;
use crate::permissions::Right;
use crate::shapes::{InRoom, Members, PresenceUpdate, event};
use crate::{Chat, names, standing, sweep, told};

/// A socket's connection broke, and may be back.
struct BrokeOff(bool);

pub(crate) fn install(chat: &Chat) {
    let namespace = &chat.0.namespace;
    namespace.on_connect(async |socket| {
        if let Some(person) = socket.get::<Person>() {
            socket.join(Person::room_of(&person.id));
        }
    });
    namespace.on_disconnecting(async |socket, reason: CloseReason| {
        socket.insert(BrokeOff(reason.is_recoverable()));
    });
    let module = chat.clone();
    // By request, by recovery, by the server's will, at its end.
    namespace.on_member(move |socket, hub_room, joined| moved(&module, socket, hub_room, joined));
    let module = chat.clone();
    // The socket is out of its rooms now, and hears nothing of its own going.
    namespace.on_disconnect(async move |_, _| sweep::sweep(&module));
}

pub(crate) async fn list(chat: &Chat, asker: &Asker, request: InRoom) -> Result<Members, Failure> {
    let room = request.room.as_str();
    names::check_room(room)?;
    asker.allow("presence", room)?;
    let standing = standing::of(chat, asker, room).await?;
    standing.need(chat, Right::SeeMembers)?;
    Ok(chat.0.table.lock().members(room))
}

/// A socket has joined a room or left it.
fn moved(chat: &Chat, socket: &Socket, hub_room: &Room, joined: bool) {
    let (Some(room), Some(person)) = (names::chat_room(hub_room), socket.get::<Person>()) else {
        return;
    };
    match joined {
        true => {
            told::joined(socket, room);
            enter(chat, socket, room, &person);
        }
        false => {
            told::left(socket, room);
            leave(chat, socket, room, &person);
        }
    }
}

/// Puts a person into a room whose socket has joined it, and tells the others if that is news.
fn enter(chat: &Chat, socket: &Socket, room: &str, person: &Arc<Person>) {
    let told = socket.to(names::hub_room(room)).emit_ordered(|| {
        let mut table = chat.0.table.lock();
        let payload = if table.enter(room, person) {
            told::presence(&socket.namespace(), room, person, true);
            presence_update(room, person, true)
        } else {
            None
        };
        Some((payload?, table))
    });
    if let Err(error) = told {
        // The list of members has them all the same.
        chat.0.table.lock().enter(room, person);
        tracing::warn!(room, %error, "the server was too busy to tell that somebody came");
    }
}

/// Takes the person of a socket that has left a room out of it, and tells the others if it was the last socket.
fn leave(chat: &Chat, socket: &Socket, room: &str, person: &Person) {
    let now = Instant::now();
    // Who said goodbye is gone. Who broke off may be back in a moment, by recovery or by loading a page anew.
    let broke = !socket.is_connected() && socket.get::<BrokeOff>().is_some_and(|broke| broke.0);
    let gone_at = if broke { now + chat.grace() } else { now };
    chat.0.table.lock().leave(room, &person.id, gone_at);
    match broke {
        true => sweep::watch(chat),
        false => sweep::sweep(chat),
    }
}

pub(crate) fn presence_update(room: &str, user: &Person, online: bool) -> Option<Payload> {
    event("presence:update", &PresenceUpdate { room, user, online })
}
