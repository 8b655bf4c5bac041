//! `typing:set`: who is typing, told to those who watch the room and stored nowhere.
//!
//! In a crowd nobody is told at once: those who type are counted over all nodes, and the room hears of it now and then.

use lakh_hub::presence::{Part, key_of_person};
use lakh_hub::{EmitError, Failure, Operator, Payload, Person};
use serde::Deserialize;

use crate::asker::Asker;
use crate::crowd::{self, Crowd};
use crate::here::{People, Typed};
use crate::permissions::Right;
use crate::shapes::{Nothing, TypingUpdate, event};
use crate::{Chat, names, standing, sweep};

#[derive(Deserialize)]
pub(crate) struct SetTyping {
    room: String,
    thread: Option<u64>,
    typing: bool,
}

pub(crate) async fn set(
    chat: &Chat,
    asker: &Asker,
    request: SetTyping,
) -> Result<Nothing, Failure> {
    let room = request.room.as_str();
    names::check_room(room)?;
    let socket = asker.need_socket()?;
    let hub_room = names::hub_room(room);
    asker.allow("typing", room)?;
    let standing = standing::of(chat, asker, room).await?;
    match request.typing {
        true => standing.need_to_write(chat, Right::Typing)?,
        false => standing.need(chat, Right::Typing)?,
    }
    if !socket.is_in(&hub_room) {
        return Err(Failure::bad_request(
            "this connection doesn't watch the room; ask for room:watch first",
        ));
    }
    let told = match request.typing {
        true => begin(chat, asker, socket.to(hub_room), room, request.thread),
        false => ended(
            chat,
            || socket.to(names::hub_room(room)),
            room,
            asker.id(),
            |people| people.stop_typing(asker.id(), request.thread),
        ),
    };
    sweep::watch(chat);
    told.map(|()| Nothing {})
        .map_err(|error| Failure::new("unavailable", error.to_string()))
}

/// Somebody types, or still does.
fn begin(
    chat: &Chat,
    asker: &Asker,
    to: Operator,
    room: &str,
    thread: Option<u64>,
) -> Result<(), EmitError> {
    let person = asker.who();
    let counted = crowd::of(chat, room) != Crowd::None;
    let (now, lasts) = (chat.clock_ms(), chat.0.config.typing_ms);
    let mut is_kept = false;
    to.volatile().emit_ordered(|| {
        let mut table = chat.0.table.lock();
        let told = table.with_people(room, &person.id, |people| {
            people.typing(&person.id, (thread, counted), now, lasts)
        })??;
        is_kept = true;
        let payload = match told && !counted {
            true => typing_update(room, thread, person, true),
            false => None,
        };
        Some((payload?, table))
    })?;
    if is_kept {
        count(chat, room, thread, person, counted);
    }
    Ok(())
}

/// Counts somebody among those who type in a crowd, or no longer.
fn count(chat: &Chat, room: &str, thread: Option<u64>, person: &Person, counted: bool) {
    let part = counted.then(|| Part {
        user: Some(person.clone()),
        sockets: 1,
        ..Part::default()
    });
    let place = names::typing_place(room, thread);
    let whereabouts = &chat.0.whereabouts;
    whereabouts.say(&place, &key_of_person(&person.id), part);
}

/// Tells where somebody types no longer: `take` gives one place after another.
pub(crate) fn ended(
    chat: &Chat,
    to: impl Fn() -> Operator,
    room: &str,
    id: &str,
    mut take: impl FnMut(&mut People) -> Option<Typed>,
) -> Result<(), EmitError> {
    loop {
        let mut counted = None;
        let told = to().volatile().emit_ordered(|| {
            let mut table = chat.0.table.lock();
            let ended = table.with_people(room, id, &mut take)??;
            if ended.counted {
                counted = Some(ended);
                return None;
            }
            let payload = typing_update(room, ended.thread, &ended.person, false);
            Some((payload?, table))
        })?;
        match counted {
            Some(ended) => count(chat, room, ended.thread, &ended.person, false),
            None if told => {}
            None => return Ok(()),
        }
    }
}

/// Whoever has said what they were typing is typing no longer.
pub(crate) fn end(chat: &Chat, asker: &Asker, room: &str) {
    let id = asker.id();
    let to = || match asker.socket() {
        Some(socket) => socket.to(names::hub_room(room)),
        None => chat.0.namespace.to(names::hub_room(room)),
    };
    let told = ended(chat, to, room, id, |people| people.stop_any_typing(id));
    if let Err(error) = told {
        tracing::debug!(%error, "an end of typing was not told; clients find it out by themselves");
    }
}

fn typing_update(room: &str, thread: Option<u64>, user: &Person, typing: bool) -> Option<Payload> {
    event(
        "typing:update",
        &TypingUpdate {
            room,
            thread,
            user,
            typing,
        },
    )
}
