//! `room:join`, `room:leave` and `room:list`.

use lakh_hub::store::{Answer, Condition, Query, Range, Scan, WriteError};
use lakh_hub::{Failure, Namespace, Passed, Person, Room as HubRoom, Socket, Wish};
use serde::{Deserialize, Serialize};

use crate::shapes::{InRoom, Member, Message, Room};
use crate::stored::{self, ROOMS, StoredRoom};
use crate::{Chat, MODULE, names, person, presence, told};

/// Rooms in a page when the client names no number.
const PAGE: usize = 50;
/// Rooms in a page at most.
const MAX_PAGE: usize = 100;

#[derive(Deserialize)]
struct List {
    cursor: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct Joined {
    room: Room,
    members: Vec<Member>,
    /// How many people are in the room; `members` may be fewer.
    count: usize,
    seq: u64,
}

#[derive(Serialize)]
struct Summary {
    #[serde(flatten)]
    room: Room,
    online: usize,
    last: Option<Message>,
}

#[derive(Serialize)]
struct Listed {
    rooms: Vec<Summary>,
    cursor: Option<String>,
}

pub(crate) fn install(namespace: &Namespace, chat: &Chat) {
    let module = chat.clone();
    namespace.on_request("room:join", async move |socket, request: InRoom| {
        join(&module, &socket, &request.room).await
    });
    let module = chat.clone();
    namespace.on_request("room:leave", async move |socket, request: InRoom| {
        leave(&module, &socket, &request.room)
    });
    let module = chat.clone();
    namespace.on_request("room:list", async move |socket, request: List| {
        list(&module, &socket, request).await
    });
}

async fn join(chat: &Chat, socket: &Socket, room: &str) -> Result<Joined, Failure> {
    names::check_room(room)?;
    let person = person(socket)?;
    socket.allow(MODULE, "join", room)?;
    let hub_room = names::hub_room(room);
    // Kept until the socket is in.
    let _passed = match socket.is_in(&hub_room) {
        true => Passed::default(),
        false => socket.pass(Wish::Subscribe { room }).await?,
    };
    let stored = find_or_make(chat, socket, &person, room).await?;
    if !socket.is_in(&hub_room) {
        if !socket.join(HubRoom::clone(&hub_room)) {
            return Err(Failure::new(
                "too_large",
                "this socket is in as many rooms as it may; leave one first",
            ));
        }
        told::joined(socket, room);
        presence::enter(chat, socket, room, &person);
    }
    // Read after joining: a message with a later number is told to this socket.
    let seq = chat
        .0
        .store
        .last_seq(&names::log(room))
        .await
        .map_err(|error| stored::not_read(&error))?;
    let here = chat.0.table.lock().members(room);
    Ok(Joined {
        room: stored.into_room(room, seq),
        members: here.members,
        count: here.count,
        seq,
    })
}

/// The room as it's stored, made if it isn't there.
async fn find_or_make(
    chat: &Chat,
    socket: &Socket,
    person: &Person,
    room: &str,
) -> Result<StoredRoom, Failure> {
    if let Some(found) = find(chat, socket.now_ms(), room).await? {
        return Ok(found);
    }
    let now_ms = socket.now_ms();
    let paced = {
        let mut table = chat.0.table.lock();
        table.pacing.new_room(&chat.0.config, &person.id, now_ms)
    };
    paced.inspect_err(|_| told::limited(socket, room, "new_rooms_at_once"))?;
    let made = StoredRoom {
        name: room.to_owned(),
        created_at: now_ms,
    };
    let value = made.to_bytes()?.into();
    match chat
        .0
        .store
        .put(now_ms, ROOMS, room, value, Condition::Absent, None)
        .await
    {
        Ok(_) => {
            let news = StoredRoom {
                name: made.name.clone(),
                ..made
            }
            .into_room(room, 0);
            if let Err(error) = socket.namespace().emit("room:new", &news) {
                tracing::warn!(room, %error, "the server was too busy to tell of a new room");
            }
            told::made(socket, room, &news);
            Ok(made)
        }
        // Somebody else was faster.
        Err(WriteError::Conflict { .. }) => {
            let found = find(chat, now_ms, room).await?;
            found.ok_or_else(|| Failure::new("unavailable", "the room is being changed; try again"))
        }
        Err(error) => Err(stored::not_written(&error)),
    }
}

async fn find(chat: &Chat, now_ms: u64, room: &str) -> Result<Option<StoredRoom>, Failure> {
    let found = chat
        .0
        .store
        .get(now_ms, ROOMS, room)
        .await
        .map_err(|error| stored::not_read(&error))?;
    found.as_ref().map(StoredRoom::read).transpose()
}

fn leave(chat: &Chat, socket: &Socket, room: &str) -> Result<(), Failure> {
    names::check_room(room)?;
    let person = person(socket)?;
    let hub_room = names::hub_room(room);
    if socket.is_in(&hub_room) {
        socket.leave(hub_room);
        told::left(socket, room);
        presence::leave(chat, socket, room, &person);
    }
    Ok(())
}

async fn list(chat: &Chat, socket: &Socket, request: List) -> Result<Listed, Failure> {
    person(socket)?;
    if let Some(cursor) = &request.cursor {
        names::check_room(cursor)
            .map_err(|_| Failure::bad_request("this is no cursor of room:list"))?;
    }
    let limit = request.limit.unwrap_or(PAGE);
    if limit == 0 {
        return Err(Failure::bad_request(format!("limit is 1 to {MAX_PAGE}")));
    }
    let scan = Scan::default()
        .limit(limit.min(MAX_PAGE))
        .after(request.cursor);
    let page = chat
        .0
        .store
        .scan(socket.now_ms(), ROOMS, scan)
        .await
        .map_err(|error| stored::not_read(&error))?;
    let newest = page.items.iter().map(|(room, _)| Query::Range {
        log: names::log(room),
        range: Range::before(u64::MAX, 1),
    });
    let read = chat.0.store.read(socket.now_ms(), newest.collect());
    let newest = read.await.map_err(|error| stored::not_read(&error))?;
    let mut rooms = Vec::with_capacity(page.items.len());
    for ((id, document), answer) in page.items.iter().zip(newest) {
        // What somebody may not list isn't there for them; nobody asked for this very room, so it's no refusal.
        if !socket.may(MODULE, "list", id) {
            continue;
        }
        let Answer::Entries(entries) = answer else {
            return Err(stored::unexpected(Some(&answer)));
        };
        let newest = entries.entries.first();
        let newest = newest.filter(|_| socket.may(MODULE, "history", id));
        let last = newest.map(|entry| stored::message(id, entry)).transpose()?;
        let room = StoredRoom::read(document)?.into_room(id, entries.info.last_seq);
        let online = chat.0.table.lock().online(id);
        rooms.push(Summary { room, online, last });
    }
    Ok(Listed {
        rooms,
        cursor: page.next,
    })
}
