//! `typing:set`: who is typing, told to those who watch the room and stored nowhere.

use lakh_hub::{Failure, Payload, Person};
use serde::Deserialize;
use tokio::time::Instant;

use crate::asker::Asker;
use crate::permissions::Right;
use crate::shapes::{Nothing, TypingUpdate, event};
use crate::{Chat, names, standing, sweep};

#[derive(Deserialize)]
pub(crate) struct SetTyping {
    room: String,
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
    if !socket.is_in(&hub_room) {
        return Err(Failure::new("not_member", "join the room first"));
    }
    asker.allow("typing", room)?;
    let standing = standing::of(chat, asker, room).await?;
    standing.need(chat, Right::Typing)?;
    let person = asker.who();
    let (now, lasts) = (Instant::now(), chat.typing_lasts());
    let told = socket.to(hub_room).volatile().emit_ordered(|| {
        let mut table = chat.0.table.lock();
        let told = table.with_people(room, &person.id, |people| match request.typing {
            true => people.typing(&person.id, now, lasts),
            false => people.stop_typing(&person.id).is_some(),
        })?;
        let payload = if told {
            typing_update(room, person, request.typing)
        } else {
            None
        };
        Some((payload?, table))
    });
    sweep::watch(chat);
    told.map(|_| Nothing {})
        .map_err(|error| Failure::new("unavailable", error.to_string()))
}

/// Whoever has said what they were typing is typing no longer.
pub(crate) fn end(chat: &Chat, asker: &Asker, room: &str) {
    let (namespace, person) = (&chat.0.namespace, asker.who());
    let hub_room = names::hub_room(room);
    let to = match asker.socket() {
        Some(socket) => socket.to(hub_room),
        None => namespace.to(hub_room),
    };
    let told = to.volatile().emit_ordered(|| {
        let mut table = chat.0.table.lock();
        table.with_people(room, &person.id, |people| people.stop_typing(&person.id))??;
        Some((typing_update(room, person, false)?, table))
    });
    if let Err(error) = told {
        tracing::debug!(%error, "an end of typing was not told; clients find it out by themselves");
    }
}

pub(crate) fn typing_update(room: &str, user: &Person, typing: bool) -> Option<Payload> {
    event("typing:update", &TypingUpdate { room, user, typing })
}
