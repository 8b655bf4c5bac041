//! `room:leave` and `room:members`.

use std::time::Duration;

use lakh_hub::{Failure, Namespace, Person, Room, Socket};
use serde::{Deserialize, Serialize};

use crate::{Inner, Rooms, enter, names};

/// Members told at once when the client names no number.
const MEMBERS: usize = 100;
/// Wait for other nodes to say who is in a room with them.
const PATIENCE: Duration = Duration::from_secs(2);
/// Members told at once at most.
const MAX_MEMBERS: usize = 1_000;

#[derive(Deserialize)]
struct InRoom {
    room: String,
}

#[derive(Deserialize)]
struct AskMembers {
    room: String,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct Member {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Person>,
}

#[derive(Serialize)]
struct Members {
    members: Vec<Member>,
    count: usize,
}

pub(crate) fn install(namespace: &Namespace, rooms: &Rooms) {
    let module = rooms.clone();
    namespace.on_request(
        "room:leave",
        async move |socket: Socket, request: InRoom| {
            enter::leave(&module.0, &socket, &request.room)
        },
    );
    let module = rooms.clone();
    namespace.on_request("room:members", async move |socket, request: AskMembers| {
        members(&module.0, &socket, &request).await
    });
}

async fn members(rooms: &Inner, socket: &Socket, request: &AskMembers) -> Result<Members, Failure> {
    let room = names::room(&request.room)?;
    let limit = request.limit.unwrap_or(MEMBERS);
    if limit == 0 || limit > MAX_MEMBERS {
        return Err(Failure::bad_request(format!("limit is 1 to {MAX_MEMBERS}")));
    }
    if !socket.is_in(&room) {
        return Err(Failure::new(
            "not_member",
            "join the room before you ask who is in it",
        ));
    }
    let namespace = socket.namespace();
    if namespace.hub().cluster_state().is_some() {
        return Ok(members_of_fleet(&namespace, room, limit).await);
    }
    let found = namespace.members(Room::clone(&room), limit).await;
    let members = found.iter().map(|member| Member {
        id: member.id().to_owned(),
        user: member.get::<Person>().map(|person| Person::clone(&person)),
    });
    Ok(Members {
        members: members.collect(),
        count: rooms.numbers.of(&room).1,
    })
}

/// What other servers keep with a socket.
#[derive(Deserialize, Default)]
struct Kept {
    user: Option<Person>,
}

/// The members on all nodes; a node that is silent for longer than this is left out.
async fn members_of_fleet(namespace: &Namespace, room: Room, limit: usize) -> Members {
    let asked = namespace.to(room).timeout(PATIENCE);
    let found = asked.fetch_sockets().await;
    let count = found.len();
    let members = found.into_iter().take(limit).map(|member| {
        let kept: Kept = serde_json::from_value(member.data).unwrap_or_default();
        Member {
            id: member.id,
            user: kept.user,
        }
    });
    Members {
        members: members.collect(),
        count,
    }
}
