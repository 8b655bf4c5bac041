//! `room:join`, `room:leave`, `room:watch`, `room:unwatch`.
//!
//! A member is one until they leave, whatever becomes of their sockets. Watching is a socket's affair: it gets what the
//! room is told.

use lakh_hub::store::{Batch, Condition};
use lakh_hub::{Failure, Passed, Person, Room as HubRoom, Socket, Wish};
use serde::Serialize;
use serde_json::{Map, json};

use super::make;
use crate::asker::Asker;
use crate::changes::{self, Change};
use crate::permissions::{Right, Role};
use crate::rooms::with_mine;
use crate::shapes::{InRoom, Member, Nothing, Room};
use crate::standing::{self, Standing};
use crate::{Chat, names};

/// How often what meets another's change is tried.
const TRIES: usize = 20;

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
    let mut standing = find_or_make(chat, asker, room).await?;
    if !standing.is_member() && !asker.is_system() {
        become_member(chat, asker, room, &standing).await?;
        standing = standing::of(chat, asker, room).await?;
    }
    enter(chat, asker, room, &standing).await
}

pub(crate) async fn watch(chat: &Chat, asker: &Asker, request: InRoom) -> Result<Entered, Failure> {
    let room = request.room.as_str();
    names::check_room(room)?;
    asker.need_socket()?;
    asker.allow("history", room)?;
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
    enter(chat, asker, room, &standing).await
}

/// The socket watches from now on, if a socket asks.
async fn enter(
    chat: &Chat,
    asker: &Asker,
    room: &str,
    standing: &Standing,
) -> Result<Entered, Failure> {
    if let Some(socket) = asker.socket() {
        let hub_room = names::hub_room(room);
        // Kept until the socket is in.
        let _passed = match socket.is_in(&hub_room) {
            true => Passed::default(),
            false => socket.pass(Wish::Subscribe { room }).await?,
        };
        if !socket.is_in(&hub_room) && !socket.join(HubRoom::clone(&hub_room)) {
            return Err(Failure::new(
                "too_large",
                "this socket is in as many rooms as it may; leave one first",
            ));
        }
    }
    // Read after joining: a message with a later number is told to this socket.
    let shape = with_mine(chat, asker, room, standing).await?;
    let here = chat.0.table.lock().members(room);
    let (seq, rev) = (shape.seq, shape.rev);
    Ok(Entered {
        room: shape,
        members: here.members,
        count: here.count,
        seq,
        rev,
    })
}

async fn find_or_make(chat: &Chat, asker: &Asker, room: &str) -> Result<Standing, Failure> {
    if let Some(standing) = standing::find(chat, asker, room).await? {
        return Ok(standing);
    }
    let record = make::on_first_use(chat, asker, room)?;
    // If somebody else was faster, theirs is as good.
    make::make(chat, asker, room, &record).await?;
    standing::of(chat, asker, room).await
}

async fn become_member(
    chat: &Chat,
    asker: &Asker,
    room: &str,
    standing: &Standing,
) -> Result<(), Failure> {
    let mut standing = standing.clone();
    for _ in 0..TRIES {
        if let (Some(ban), false) = (&standing.ban, standing.role == Role::Owner) {
            return Err(standing::banned(ban));
        }
        if !standing.is_invited() && !standing.may(chat, Right::Join) {
            return Err(standing::no_room());
        }
        let condition = match &standing.kept {
            Some((_, version)) => Condition::Version(*version),
            None => Condition::Absent,
        };
        let batch = Batch::new(chat.now_ms());
        let batch = make::put_member(batch, room, asker, Role::Member, condition)?;
        let mut set = Map::new();
        set.insert("joined".to_owned(), json!(true));
        set.insert("role".to_owned(), json!(Role::Member));
        let change = Change::of_member(asker.who(), set, None);
        if changes::write(chat, room, batch, &change).await?.is_some() {
            standing::changed(chat, room, Some(asker.id()));
            return Ok(());
        }
        standing::changed(chat, room, Some(asker.id()));
        standing = standing::of(chat, asker, room).await?;
        if standing.is_member() {
            return Ok(());
        }
    }
    Err(busy())
}

fn busy() -> Failure {
    Failure::new("unavailable", "this is being changed; try again")
}

pub(crate) async fn leave(chat: &Chat, asker: &Asker, request: InRoom) -> Result<Nothing, Failure> {
    let room = request.room.as_str();
    names::check_room(room)?;
    for _ in 0..TRIES {
        let Some(standing) = standing::find(chat, asker, room).await? else {
            return Ok(Nothing {});
        };
        let Some((_, version)) = standing.kept.as_ref().filter(|_| standing.is_member()) else {
            stop_watching(asker.socket(), room);
            return Ok(Nothing {});
        };
        let members = names::members(room);
        let batch = Batch::new(chat.now_ms())
            .delete(&members, asker.id(), Condition::Version(*version))
            .delete(&names::memberships(asker.id()), room, Condition::Any)
            .remove_member(&members, asker.id());
        let mut set = Map::new();
        set.insert("left".to_owned(), json!(true));
        let change = Change::of_member(asker.who(), set, None);
        let written = changes::write(chat, room, batch, &change).await?;
        standing::changed(chat, room, Some(asker.id()));
        if written.is_some() {
            stop_watching(asker.socket(), room);
            put_out(chat, asker.id(), room);
            return Ok(Nothing {});
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

fn stop_watching(socket: Option<&Socket>, room: &str) {
    if let Some(socket) = socket {
        socket.leave(names::hub_room(room));
    }
}

/// No socket of this person watches the room any more, on any node.
pub(crate) fn put_out(chat: &Chat, person: &str, room: &str) {
    let sockets = chat.0.namespace.in_(Person::room_of(person));
    sockets.sockets_leave([names::hub_room(room)]);
}
