//! `room:join`, `room:watch`, `room:unwatch`: coming in, and looking on.
//!
//! A member is one until they leave, whatever becomes of their sockets. Watching is a socket's affair: it gets what the
//! room is told.

use lakh_hub::store::ScoreRange;
use lakh_hub::{Attempts, Failure, Passed, Person, Room as HubRoom, Socket, Wish};
use serde::Serialize;

use super::make::{self, find_or_make};
use crate::asker::Asker;
use crate::permissions::Right;
use crate::rooms::{busy, with_mine};
use crate::shapes::{InRoom, Member, Nothing, Room};
use crate::standing::{self, Standing};
use crate::{Chat, members, names, presence, stored};

#[derive(Serialize)]
pub(crate) struct Entered {
    room: Room,
    members: Vec<Member>,
    /// How many people are in the room now; `members` may be fewer.
    count: usize,
    seq: u64,
    rev: u64,
}

pub(crate) async fn join(chat: &Chat, asker: &Asker, request: InRoom) -> Result<Entered, Failure> {
    let room = request.room.as_str();
    names::check_room(room)?;
    asker.allow("join", room)?;
    // Asked before anything is written: a no leaves no trace.
    let passed = gate(asker, room).await?;
    let mut standing = find_or_make(chat, asker, room).await?;
    if !standing.is_member() && !asker.is_system() {
        standing = become_member(chat, asker, room, standing).await?;
    }
    enter(chat, asker, room, &standing, passed).await
}

pub(crate) async fn watch(chat: &Chat, asker: &Asker, request: InRoom) -> Result<Entered, Failure> {
    let room = request.room.as_str();
    names::check_room(room)?;
    asker.need_socket()?;
    asker.allow("history", room)?;
    let passed = gate(asker, room).await?;
    let standing = match standing::find(chat, asker, room).await? {
        Some(standing) => standing,
        // A thing is there as soon as somebody looks at it; other rooms are made by who joins them.
        None if make::is_thing(chat, room) => find_or_make(chat, asker, room).await?,
        None => return Err(standing::no_room()),
    };
    standing
        .need(chat, Right::Read)
        .map_err(|failure| match failure.code {
            "banned" => failure,
            _ => standing::no_room(),
        })?;
    enter(chat, asker, room, &standing, passed).await
}

/// Asks whoever checks what people do. What comes back is to be kept until the socket is in.
pub(super) async fn gate(asker: &Asker, room: &str) -> Result<Passed, Failure> {
    match asker.socket() {
        Some(socket) if !socket.is_in(&names::hub_room(room)) => {
            socket.pass(Wish::Subscribe { room }).await
        }
        _ => Ok(Passed::default()),
    }
}

/// The socket watches from now on, if a socket asks.
pub(super) async fn enter(
    chat: &Chat,
    asker: &Asker,
    room: &str,
    standing: &Standing,
    passed: Passed,
) -> Result<Entered, Failure> {
    if let Some(socket) = asker.socket() {
        start_watching(socket, room)?;
    }
    drop(passed);
    // Read after joining: a message with a later number is told to this socket.
    let shape = with_mine(chat, asker, room, standing).await?;
    let (members, count) = presence::for_newcomer(chat, room).await;
    let (seq, rev) = (shape.seq, shape.rev);
    Ok(Entered {
        room: shape,
        members,
        count,
        seq,
        rev,
    })
}

/// The socket gets what the room is told.
pub(super) fn start_watching(socket: &Socket, room: &str) -> Result<(), Failure> {
    let hub_room = names::hub_room(room);
    match socket.is_in(&hub_room) || socket.join(HubRoom::clone(&hub_room)) {
        true => Ok(()),
        false => Err(Failure::new(
            "too_large",
            "this socket is in as many rooms as it may; leave one first",
        )),
    }
}

async fn become_member(
    chat: &Chat,
    asker: &Asker,
    room: &str,
    mut standing: Standing,
) -> Result<Standing, Failure> {
    let members = names::members(room);
    let counting = chat.0.store.count(&members, ScoreRange::ALL);
    let count = counting.await.map_err(|error| stored::not_read(&error))?;
    let mut attempts = Attempts::default();
    while attempts.another().await {
        let role = make::role_of_newcomer(chat, asker, &standing, count)?;
        let joined = members::join(chat, room, asker.who(), role, &standing, None).await?;
        standing = standing::of(chat, asker, room).await?;
        if joined || standing.is_member() {
            return Ok(standing);
        }
    }
    Err(busy())
}

pub(crate) async fn unwatch(
    _chat: &Chat,
    asker: &Asker,
    request: InRoom,
) -> Result<Nothing, Failure> {
    names::check_room(&request.room)?;
    stop_watching(Some(asker.need_socket()?), &request.room);
    Ok(Nothing {})
}

pub(super) fn stop_watching(socket: Option<&Socket>, room: &str) {
    if let Some(socket) = socket {
        socket.leave(names::hub_room(room));
    }
}

/// No socket of this person watches the room any more, on any node.
pub(crate) fn put_out(chat: &Chat, person: &str, room: &str) {
    let sockets = chat.0.namespace.in_(Person::room_of(person));
    sockets.sockets_leave([names::hub_room(room)]);
}
