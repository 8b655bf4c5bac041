//! Who gets into a room, sees it and speaks in it: rules, hooks in the way, and signed tokens for private rooms.
//!
//! A token's word stands in for the rules: who signs it has the server's key. Membership by token ends when the token does, or
//! is taken back; with it end the room's state, cursors and presence for that socket.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use lakh_hub::auth::{Grant, Principal};
use lakh_hub::{Failure, Namespace, Person, Room, Socket, Wish};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::Notify;

use crate::options::Kinds;
use crate::{Inner, MODULE, Rooms, names};

/// What a token lets a socket do in a room.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pass {
    of: Arc<Principal>,
    expires_ms: Option<u64>,
}

/// The rooms that a socket is in by token. There are no more of them than rooms that it's in.
#[derive(Default)]
pub(crate) struct Passes {
    rooms: Mutex<HashMap<Room, Pass>>,
    /// Wakes those who wait for an end.
    changed: Notify,
}

#[derive(Serialize)]
struct Over<'a> {
    room: &'a str,
}

pub(crate) fn too_many_rooms() -> Failure {
    Failure::new(
        "unavailable",
        "this server has as many rooms as it may; try again later",
    )
}

fn not_member() -> Failure {
    Failure::new("not_member", "join the room first")
}

fn revoked() -> Failure {
    Failure::new("token_revoked", "this token was taken back; get a new one")
}

fn forbidden(message: &str) -> Failure {
    Failure::new("forbidden", message)
}

fn covers(grants: &[Grant], socket: &Socket, act: &str, name: &str) -> bool {
    let person = socket.get::<Person>();
    let user = person.as_ref().map(|person| &*person.id);
    grants
        .iter()
        .any(|grant| grant.covers(MODULE, act, name, user))
}

fn pass_of(socket: &Socket, room: &Room) -> Option<Pass> {
    let passes = socket.get::<Passes>()?;
    let rooms = passes.rooms.lock();
    rooms.get(room).cloned()
}

/// Whether a member may do something in a room.
pub(crate) fn may(
    kinds: &Kinds,
    socket: &Socket,
    name: &str,
    room: &Room,
    act: &'static str,
) -> Result<(), Failure> {
    may_with(pass_of(socket, room).as_ref(), kinds, socket, name, act)
}

/// The same for somebody who shows this pass, and is perhaps not in yet.
pub(crate) fn may_with(
    pass: Option<&Pass>,
    kinds: &Kinds,
    socket: &Socket,
    name: &str,
    act: &'static str,
) -> Result<(), Failure> {
    let Some(pass) = pass else {
        if kinds.of(name).private {
            return Err(forbidden("this room is private: join it with a token"));
        }
        return socket.allow(MODULE, act, name);
    };
    let is_over = pass.expires_ms.is_some_and(|end| end <= socket.now_ms());
    if is_over || !covers(&pass.of.grants, socket, act, name) {
        return Err(forbidden(
            "your token for this room doesn't let you do that",
        ));
    }
    Ok(())
}

/// Whether somebody may know what is said in a room and who is there: its members, and who could join it.
pub(crate) async fn may_see(
    rooms: &Inner,
    socket: &Socket,
    name: &str,
    room: &Room,
) -> Result<(), Failure> {
    if socket.is_in(room) {
        return Ok(());
    }
    if rooms.kinds.of(name).private {
        return Err(not_member());
    }
    socket.allow(MODULE, "join", name)?;
    socket.pass(Wish::Subscribe { room: name }).await.map(drop)
}

/// Reads the token for a room. `None`: there is none, and none is needed.
pub(crate) fn show(
    rooms: &Inner,
    socket: &Socket,
    name: &str,
    room: &Room,
    token: Option<&str>,
) -> Result<Option<Pass>, Failure> {
    let Some(token) = token else {
        if !rooms.kinds.of(name).private {
            return Ok(None);
        }
        // Who is in already may ask again.
        let pass = pass_of(socket, room).filter(|_| socket.is_in(room));
        return pass.map(Some).ok_or_else(|| {
            Failure::new(
                "token_required",
                "this room is private: give the `token` that your server made for it",
            )
        });
    };
    let check =
        rooms.config.tokens.as_ref().ok_or_else(|| {
            forbidden("this server reads no tokens for rooms; set a key in [auth]")
        })?;
    let now_ms = socket.now_ms();
    let token = check.check(token, now_ms)?;
    let person = socket.get::<Person>();
    let user = person.as_ref().map(|person| &*person.id);
    if !token.for_anyone && Some(&*token.principal.id) != user {
        return Err(forbidden("this token is for somebody else"));
    }
    if token.expires_ms.is_some_and(|end| end <= now_ms) {
        return Err(Failure::new(
            "token_expired",
            "this token is over; get a new one",
        ));
    }
    if check.is_revoked(&token.principal) {
        return Err(revoked());
    }
    if !covers(&token.principal.grants, socket, "join", name) {
        return Err(forbidden("this token doesn't let you join this room"));
    }
    Ok(Some(Pass {
        of: Arc::new(token.principal),
        expires_ms: token.expires_ms,
    }))
}

/// Whether what let somebody in was taken back.
fn is_revoked(rooms: &Inner, pass: &Pass) -> bool {
    let check = rooms.config.tokens.as_ref();
    check.is_some_and(|check| check.is_revoked(&pass.of))
}

/// Keeps what a token says for as long as the socket is in the room, and ends that in time. A socket whose token was taken
/// back in this moment is out again.
pub(crate) fn admit(
    rooms: &Rooms,
    socket: &Socket,
    room: &Room,
    pass: Option<Pass>,
) -> Result<(), Failure> {
    let Some(pass) = pass else {
        if let Some(passes) = socket.get::<Passes>() {
            passes.rooms.lock().remove(room);
            socket.leave(names::by_token(room));
        }
        return Ok(());
    };
    // Of a private room it's known anyway that its members have one.
    let private = names::name(room).is_some_and(|name| rooms.0.kinds.of(name).private);
    if !private && !socket.join(names::by_token(room)) {
        put_out(&rooms.0, socket, room);
        return Err(Failure::new(
            "too_large",
            "this socket is in as many rooms as it may; leave one first",
        ));
    }
    let passes = socket.get::<Passes>().unwrap_or_else(|| {
        socket.insert(Passes::default());
        socket.get().unwrap_or_default()
    });
    let expires_ms = pass.expires_ms;
    let before = passes.rooms.lock().insert(Room::clone(room), pass.clone());
    // Asked once it's kept: what is taken back later finds it there.
    if is_revoked(&rooms.0, &pass) {
        put_out(&rooms.0, socket, room);
        return Err(revoked());
    }
    if let Some(end) = expires_ms.filter(|_| before != Some(pass)) {
        let (rooms, socket, room) = (rooms.clone(), socket.clone(), Room::clone(room));
        tokio::task::spawn_local(end_in_time(rooms, socket, room, end));
    }
    Ok(())
}

/// Waits until a token is over, unless its socket is out of the room or has another one before.
async fn end_in_time(rooms: Rooms, socket: Socket, room: Room, end_ms: u64) {
    loop {
        let Some(passes) = socket.get::<Passes>() else {
            return;
        };
        let changed = passes.changed.notified();
        let is_it = pass_of(&socket, &room).is_some_and(|pass| pass.expires_ms == Some(end_ms));
        if !is_it || !socket.is_connected() {
            return;
        }
        let left = end_ms.saturating_sub(socket.now_ms());
        if left == 0 {
            return end(&rooms.0, &socket, &room, "room:expired");
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(left)) => {}
            () = changed => {}
        }
    }
}

/// A socket is out of a room, and of all that it followed there.
fn put_out(rooms: &Inner, socket: &Socket, room: &Room) {
    socket.leave(Room::clone(room));
    if let Some(name) = names::name(room) {
        rooms.states.leave(socket, name);
    }
    for counts_only in [false, true] {
        socket.leave(names::watchers(room, counts_only));
    }
    socket.leave(names::by_token(room));
}

/// A membership is over.
fn end(rooms: &Inner, socket: &Socket, room: &Room, event: &str) {
    put_out(rooms, socket, room);
    let Some(name) = names::name(room) else {
        return;
    };
    if let Err(error) = socket.emit(event, &Over { room: name }) {
        tracing::debug!(%error, "the end of a membership was not told");
    }
}

/// A socket leaves by its own will. Who is in a private room is for its members to know.
pub(crate) fn leave(rooms: &Inner, socket: &Socket, name: &str) -> Result<(), Failure> {
    let room = names::room(name)?;
    if rooms.kinds.of(name).private {
        put_out(rooms, socket, &room);
    } else {
        socket.leave(names::by_token(&room));
        socket.leave(room);
        rooms.states.leave(socket, name);
    }
    Ok(())
}

/// Ends the memberships of a socket whose tokens were taken back.
pub(crate) fn end_revoked(rooms: &Inner, socket: &Socket) {
    let Some(passes) = socket.get::<Passes>().filter(|_| socket.is_connected()) else {
        return;
    };
    let over: Vec<Room> = {
        let rooms_by_token = passes.rooms.lock();
        let of_revoked = rooms_by_token
            .iter()
            .filter(|(_, pass)| is_revoked(rooms, pass));
        of_revoked.map(|(room, _)| Room::clone(room)).collect()
    };
    for room in over {
        end(rooms, socket, &room, "room:revoked");
    }
}

/// A socket is out of a room.
pub(crate) fn left(socket: &Socket, room: &Room) {
    // A socket that ends may come back, and its session keeps this.
    if let Some(passes) = socket.get::<Passes>() {
        if socket.is_connected() {
            passes.rooms.lock().remove(room);
        }
        passes.changed.notify_waiters();
    }
}

pub(crate) fn install(namespace: &Namespace, rooms: &Rooms) {
    let rooms = rooms.clone();
    namespace.on_connect(async move |socket| {
        if socket.recovered() {
            come_back(&rooms, &socket).await;
        }
    });
}

/// A socket is in its rooms again. What it was let in by did not come along if it was on another node.
async fn come_back(rooms: &Rooms, socket: &Socket) {
    let all = socket.rooms().await;
    let by_token = |room: &Room| all.contains(&names::by_token(room));
    for full in &all {
        let room: Room = match full.split_once(lakh_hub::FILTER_MARK) {
            Some((room, _)) => room.into(),
            None => Room::clone(full),
        };
        let Some(name) = names::name(&room) else {
            continue;
        };
        if &*room == socket.id() {
            continue;
        }
        match pass_of(socket, &room) {
            None if rooms.0.kinds.of(name).private || by_token(&room) => {
                end(&rooms.0, socket, &room, "room:expired")
            }
            None => {}
            Some(pass) => {
                if let Some(passes) = socket.get::<Passes>() {
                    passes.rooms.lock().remove(&room);
                }
                if admit(rooms, socket, &room, Some(pass)).is_err() {
                    end(&rooms.0, socket, &room, "room:revoked");
                }
            }
        }
    }
}
