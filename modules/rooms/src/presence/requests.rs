//! `presence:get`, `presence:subscribe`, `presence:unsubscribe` and `presence:update`.

use lakh_hub::presence::key_of;
use lakh_hub::{Failure, Namespace, Socket};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{page, ready, subscribe, supported};
use crate::server_side::{PresencePage, PresenceRange};
use crate::{Rooms, emit, enter, names};

/// Longest data of a person.
const MAX_DATA_BYTES: usize = 1_024;

#[derive(Deserialize)]
struct Get {
    room: String,
    after: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
struct Subscribe {
    room: String,
    /// Only how many there are.
    #[serde(default)]
    counts: bool,
}

#[derive(Deserialize)]
struct Unsubscribe {
    room: String,
}

#[derive(Deserialize)]
struct Update {
    room: String,
    data: Value,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Subscribed {
    People(PresencePage),
    Counts { people: usize, sockets: usize },
}

pub(super) fn install(namespace: &Namespace, rooms: &Rooms) {
    let module = rooms.clone();
    namespace.on_request("presence:get", async move |socket, request: Get| {
        get(&module, &socket, request).await
    });
    let module = rooms.clone();
    namespace.on_request(
        "presence:subscribe",
        async move |socket, request: Subscribe| watch(&module, &socket, &request).await,
    );
    namespace.on_request(
        "presence:unsubscribe",
        async |socket: Socket, request: Unsubscribe| {
            let room = names::room(&request.room)?;
            socket.leave(names::watchers(&room, false));
            socket.leave(names::watchers(&room, true));
            Ok(())
        },
    );
    let module = rooms.clone();
    namespace.on_request("presence:update", async move |socket, request: Update| {
        update(&module, &socket, request)
    });
}

async fn get(rooms: &Rooms, socket: &Socket, request: Get) -> Result<PresencePage, Failure> {
    let room = names::room(&request.room)?;
    if request.limit == Some(0) {
        return Err(Failure::bad_request("limit is 1 to 1000"));
    }
    enter::may_see(&rooms.0, socket, &request.room, &room).await?;
    let range = PresenceRange {
        after: request.after,
        limit: request.limit.unwrap_or(0),
    };
    page(rooms, &request.room, range).await
}

async fn watch(rooms: &Rooms, socket: &Socket, request: &Subscribe) -> Result<Subscribed, Failure> {
    let room = names::room(&request.room)?;
    enter::may_see(&rooms.0, socket, &request.room, &room).await?;
    supported(rooms.0.kinds.of(&request.room))?;
    ready(rooms).await;
    let found = subscribe(&rooms.0, socket, &room, request.counts).ok_or_else(|| {
        Failure::new(
            "too_large",
            "this socket is in as many rooms as it may; leave one first",
        )
    })?;
    Ok(match request.counts {
        true => Subscribed::Counts {
            people: found.people,
            sockets: found.sockets,
        },
        false => Subscribed::People(found),
    })
}

fn update(rooms: &Rooms, socket: &Socket, request: Update) -> Result<(), Failure> {
    let room = names::room(&request.room)?;
    supported(rooms.0.kinds.of(&request.room))?;
    emit::pace(&rooms.0, socket, socket.now_ms())?;
    if !socket.is_in(&room) {
        return Err(Failure::new("not_member", "join the room first"));
    }
    let bytes = request.data.to_string().len();
    if bytes > MAX_DATA_BYTES {
        return Err(Failure::new(
            "too_large",
            format!("the data has {bytes} bytes; {MAX_DATA_BYTES} are allowed"),
        ));
    }
    let (key, _) = key_of(socket);
    let data = Some(request.data).filter(|data| !data.is_null());
    let presence = &rooms.0.presence.0;
    presence.set_data(&room, &key, data, socket.now_ms());
    Ok(())
}
