//! `typing:set`, `presence:list`, and the coming and going of sockets.
//!
//! What ends by itself (typing; the grace of a broken connection) stands in one queue, and one task of the node sleeps
//! until the first of it is due. The task ends when nothing is due.

use lakh_hub::{CloseReason, Failure, Namespace, Payload, Person, Socket};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

use crate::people::People;
use crate::shapes::{InRoom, Members, PresenceUpdate, TypingUpdate, event};
use crate::{Chat, MODULE, messages, names, not_member, person, told};

/// How long to wait before something is told again that the server was too busy to take.
const AGAIN: Duration = Duration::from_millis(100);

#[derive(Deserialize)]
struct SetTyping {
    room: String,
    typing: bool,
}

pub(crate) fn install(namespace: &Namespace, chat: &Chat) {
    let module = chat.clone();
    namespace.on_request("typing:set", async move |socket, request: SetTyping| {
        set_typing(&module, &socket, &request)
    });
    let module = chat.clone();
    namespace.on_request("presence:list", async move |socket, request: InRoom| {
        list(&module, &socket, &request)
    });
    let module = chat.clone();
    namespace.on_connect(async move |socket| {
        if socket.recovered() {
            come_back(&module, &socket).await;
        }
    });
    let module = chat.clone();
    namespace
        .on_disconnecting(async move |socket, reason| break_off(&module, &socket, reason).await);
    let module = chat.clone();
    // The socket is out of its rooms now, and hears nothing of its own going.
    namespace.on_disconnect(async move |socket, _| sweep(&module, &socket.namespace()));
}

fn set_typing(chat: &Chat, socket: &Socket, request: &SetTyping) -> Result<(), Failure> {
    names::check_room(&request.room)?;
    let person = person(socket)?;
    let hub_room = names::hub_room(&request.room);
    if !socket.is_in(&hub_room) {
        return Err(not_member());
    }
    socket.allow(MODULE, "typing", &request.room)?;
    let (room, id) = (request.room.as_str(), person.id.as_str());
    let (now, lasts) = (Instant::now(), chat.typing_lasts());
    let told = socket.to(hub_room).volatile().emit_ordered(|| {
        let mut table = chat.0.table.lock();
        let told = table.with_people(room, id, |people| match request.typing {
            true => people.typing(id, now, lasts),
            false => people.stop_typing(id).is_some(),
        })?;
        let payload = if told {
            typing_update(room, &person, request.typing)
        } else {
            None
        };
        Some((payload?, table))
    });
    watch(chat, &socket.namespace());
    told.map(|_| ())
        .map_err(|error| Failure::new("unavailable", error.to_string()))
}

/// Whoever has said what they were typing is typing no longer.
pub(crate) fn end_typing(chat: &Chat, socket: &Socket, room: &str, person: &Person) {
    let told = socket
        .to(names::hub_room(room))
        .volatile()
        .emit_ordered(|| {
            let mut table = chat.0.table.lock();
            table.with_people(room, &person.id, |people| people.stop_typing(&person.id))??;
            Some((typing_update(room, person, false)?, table))
        });
    if let Err(error) = told {
        tracing::debug!(%error, "an end of typing was not told; clients find it out by themselves");
    }
}

fn list(chat: &Chat, socket: &Socket, request: &InRoom) -> Result<Members, Failure> {
    names::check_room(&request.room)?;
    person(socket)?;
    if !socket.is_in(&names::hub_room(&request.room)) {
        return Err(not_member());
    }
    socket.allow(MODULE, "presence", &request.room)?;
    Ok(chat.0.table.lock().members(&request.room))
}

/// Puts a person into a room whose socket has joined it, and tells the others if that is news.
pub(crate) fn enter(chat: &Chat, socket: &Socket, room: &str, person: &Arc<Person>) {
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
pub(crate) fn leave(chat: &Chat, socket: &Socket, room: &str, person: &Person) {
    chat.0.table.lock().leave(room, &person.id, Instant::now());
    sweep(chat, &socket.namespace());
}

/// A recovered socket is in its rooms again; its person has to be, too.
async fn come_back(chat: &Chat, socket: &Socket) {
    let Ok(person) = person(socket) else { return };
    for hub_room in socket.rooms().await {
        if let Some(room) = names::chat_room(&hub_room) {
            told::joined(socket, room);
            enter(chat, socket, room, &person);
        }
    }
}

/// A socket goes. Its rooms are still there.
async fn break_off(chat: &Chat, socket: &Socket, reason: CloseReason) {
    let Ok(person) = person(socket) else { return };
    let now = Instant::now();
    // Who said goodbye is gone. Who broke off may be back in a moment, by recovery or by loading a page anew.
    let gone_at = if reason.is_recoverable() {
        now + chat.grace()
    } else {
        now
    };
    for hub_room in socket.rooms().await {
        if let Some(room) = names::chat_room(&hub_room) {
            told::left(socket, room);
            chat.0.table.lock().leave(room, &person.id, gone_at);
        }
    }
    if gone_at > now {
        watch(chat, &socket.namespace());
    }
}

/// Sees to it that what is due later is looked after.
pub(crate) fn watch(chat: &Chat, namespace: &Namespace) {
    if chat.0.table.lock().start_sweeping() {
        let (sweeping, namespace) = (
            Sweeping {
                chat: chat.clone(),
                is_over: false,
            },
            namespace.clone(),
        );
        tokio::task::spawn_local(keep_sweeping(sweeping, namespace));
    } else {
        chat.0.earlier.notify_one();
    }
}

/// Lets another sweeper be started when this one is cut off: its loop has ended.
struct Sweeping {
    chat: Chat,
    /// It has ended by itself, and the table knows.
    is_over: bool,
}

impl Drop for Sweeping {
    fn drop(&mut self) {
        if !self.is_over {
            self.chat.0.table.lock().stop_sweeping();
        }
    }
}

async fn keep_sweeping(mut sweeping: Sweeping, namespace: Namespace) {
    loop {
        let next = sweeping.chat.0.table.lock().next_due();
        let Some(next) = next else {
            sweeping.is_over = true;
            return;
        };
        tokio::select! {
            () = sleep_until(next) => sweep(&sweeping.chat, &namespace),
            () = sweeping.chat.0.earlier.notified() => {}
        }
    }
}

/// Tells what is due by now.
pub(crate) fn sweep(chat: &Chat, namespace: &Namespace) {
    let now = Instant::now();
    loop {
        // Not in the head of the loop: the lock would be held through its body.
        let due = chat.0.table.lock().pop_due(now);
        let Some(due) = due else { return };
        match &due.person {
            None => messages::tell(chat, namespace, &due.room),
            Some(id) => look_after(chat, namespace, &due.room, id, now),
        }
    }
}

fn look_after(chat: &Chat, namespace: &Namespace, room: &str, id: &str, now: Instant) {
    let gone = |people: &mut People| people.take_gone(id, now);
    let typed = |people: &mut People| people.take_typed(id, now);
    let told = namespace.to(names::hub_room(room)).emit_ordered(|| {
        let mut table = chat.0.table.lock();
        let person = table.with_people(room, id, gone)??;
        told::presence(namespace, room, &person, false);
        Some((presence_update(room, &person, false)?, table))
    });
    let told = told.and_then(|_| {
        namespace
            .to(names::hub_room(room))
            .volatile()
            .emit_ordered(|| {
                let mut table = chat.0.table.lock();
                let person = table.with_people(room, id, typed)??;
                Some((typing_update(room, &person, false)?, table))
            })
    });
    if told.is_err() {
        chat.0.table.lock().later(now + AGAIN, room, Some(id));
        watch(chat, namespace);
    }
}

/// Tells the room's messages a little later: the server is too busy now.
pub(crate) fn tell_later(chat: &Chat, room: &str) {
    chat.0
        .table
        .lock()
        .later(Instant::now() + AGAIN, room, None);
    chat.0.earlier.notify_one();
}

fn presence_update(room: &str, user: &Person, online: bool) -> Option<Payload> {
    event("presence:update", &PresenceUpdate { room, user, online })
}

fn typing_update(room: &str, user: &Person, typing: bool) -> Option<Payload> {
    event("typing:update", &TypingUpdate { room, user, typing })
}
