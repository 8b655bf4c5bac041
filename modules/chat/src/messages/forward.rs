//! `message:forward`.

use lakh_hub::{Failure, Person};
use serde::{Deserialize, Serialize};

use super::post::{self, Ahead, Post};
use super::{At, change, gate, gone, pace};
use crate::asker::Asker;
use crate::permissions::Right;
use crate::shapes::{Message, Origin, Said};
use crate::standing::{self, Standing};
use crate::{Chat, attachments, moderation, names, rooms, sweep};

/// Rooms to which a message is forwarded at once.
const MOST_ROOMS: usize = 10;

#[derive(Deserialize)]
pub(crate) struct AskForward {
    room: String,
    seq: u64,
    thread: Option<u64>,
    to: Vec<String>,
    key: String,
}

#[derive(Serialize)]
pub(crate) struct Forwarded {
    /// In the order of the rooms.
    messages: Vec<Message>,
}

/// All rooms are asked before anything is sent. What goes wrong behind that is answered, and the request sent again with its
/// key does the rest.
pub(crate) async fn forward(
    chat: &Chat,
    asker: &Asker,
    request: AskForward,
) -> Result<Forwarded, Failure> {
    names::check_key(&request.key)?;
    let to = rooms(chat, asker, &request).await?;
    let at = At {
        room: &request.room,
        thread: request.thread,
        seq: request.seq,
    };
    let original = change::read(chat, at, &[]).await?;
    if original.is_deleted() {
        return Err(gone(at.seq));
    }
    let from = Origin {
        room: request.room.clone(),
        thread: request.thread,
        seq: request.seq,
        from: original.said.from,
        time: original.time,
    };
    let said = Said {
        text: original.said.text,
        data: original.said.data,
        attachments: original.said.attachments,
        // Whoever wrote it first is named, however often it was forwarded.
        forwarded: Some(original.said.forwarded.unwrap_or(from)),
        ..Said::nothing(request.key, Person::clone(asker.who()))
    };
    let mut messages = Vec::with_capacity(to.len());
    for (room, standing) in to {
        pace(chat, asker, &room)?;
        messages.push(send(chat, asker, room, &standing, said.clone()).await?);
    }
    sweep::watch(chat);
    Ok(Forwarded { messages })
}

/// Where it's to go, if it may leave its room and come into all of these.
async fn rooms(
    chat: &Chat,
    asker: &Asker,
    request: &AskForward,
) -> Result<Vec<(String, Standing)>, Failure> {
    names::check_room(&request.room)?;
    if !(1..=MOST_ROOMS).contains(&request.to.len()) {
        return Err(Failure::bad_request(format!(
            "to is 1 to {MOST_ROOMS} rooms"
        )));
    }
    asker.allow("history", &request.room)?;
    let standing = standing::of(chat, asker, &request.room).await?;
    standing.need(chat, Right::Read)?;
    standing.need(chat, Right::Forward)?;
    let mut rooms: Vec<(String, Standing)> = Vec::with_capacity(request.to.len());
    for room in &request.to {
        names::check_room(room)?;
        if rooms.iter().any(|(other, _)| other == room) {
            return Err(Failure::bad_request("to names a room twice"));
        }
        asker.allow("send", room)?;
        let standing = standing::of(chat, asker, room).await?;
        standing.need_to_write(chat, Right::Send)?;
        rooms.push((room.clone(), standing));
    }
    Ok(rooms)
}

async fn send(
    chat: &Chat,
    asker: &Asker,
    room: String,
    standing: &Standing,
    mut said: Said,
) -> Result<Message, Failure> {
    if !said.attachments.is_empty() {
        standing.need(chat, Right::Attach)?;
        said.attachments = attachments::copy(chat, asker, &room, &said.attachments).await?;
    }
    let held = moderation::check(chat, asker, standing, &room, &mut said).await?;
    let name = room.clone();
    let posting = async {
        let passed = gate::pass(chat, asker, &room, "message:send", &mut said).await?;
        rooms::reach(chat, asker, &room, standing).await?;
        let post = Post {
            room,
            thread: None,
            kind: standing.room.kind,
            said,
            also: Vec::new(),
        };
        let ahead = Ahead { passed, turn: None };
        post::post(chat, asker, post, ahead).await
    };
    let posted = posting.await;
    if !posted.as_ref().is_ok_and(|posted| !posted.duplicate) {
        moderation::let_go(chat, asker, &name, held).await;
    }
    Ok(posted?.message)
}
