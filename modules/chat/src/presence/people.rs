//! `me:status`, `presence:watch`, `presence:unwatch`: people, wherever they are, and whoever wants to know of them.
//!
//! Who watches a person is in a room of the hub for it. Whoever is blocked by somebody, or blocks them, sees them as offline.

use std::collections::{BTreeSet, HashSet};

use lakh_hub::store::{Answer, Query};
use lakh_hub::{Failure, Person, ServerEvent};
use serde::{Deserialize, Serialize};

use super::news::Shown;
use super::{ACTIVE, AWAY, Status, seen, status};
use crate::asker::Asker;
use crate::shapes::{Nothing, event};
use crate::{Chat, names, stored};

/// People in one request.
const MAX_PEOPLE: usize = 200;
/// People whom one socket watches.
const MAX_WATCHED: usize = 1_000;
/// The event between servers by which two people stop seeing each other.
const HIDDEN: &str = "chat:hidden";
/// Sockets of one person on a node that are looked through.
const MAX_SOCKETS: usize = 10_000;

/// What somebody is to somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Seen {
    pub status: Status,
    /// Milliseconds since 1970, if they are offline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<u64>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Set {
    Online,
    Away,
}

#[derive(Deserialize)]
pub(crate) struct SetStatus {
    status: Set,
}

#[derive(Serialize)]
pub(crate) struct Own {
    /// Over all devices.
    status: Status,
}

/// This device is used, or isn't.
pub(crate) async fn set_status(
    chat: &Chat,
    asker: &Asker,
    request: SetStatus,
) -> Result<Own, Failure> {
    let socket = asker.need_socket()?;
    asker.allow("presence", asker.id())?;
    let (to, from) = match request.status {
        Set::Online => (ACTIVE, AWAY),
        Set::Away => (AWAY, ACTIVE),
    };
    // In this order: nobody is in neither meanwhile.
    chat.0.whereabouts.moved(socket, &to.into(), true, 0);
    chat.0.whereabouts.moved(socket, &from.into(), false, 0);
    Ok(Own {
        status: status(chat, asker.id()),
    })
}

#[derive(Deserialize)]
pub(crate) struct People {
    people: Vec<String>,
}

impl People {
    fn check(&self) -> Result<(), Failure> {
        if self.people.is_empty() || self.people.len() > MAX_PEOPLE {
            return Err(Failure::bad_request(format!(
                "people is a list of 1 to {MAX_PEOPLE} ids"
            )));
        }
        self.people
            .iter()
            .try_for_each(|id| names::check_people("people", [id]))
    }
}

#[derive(Serialize)]
struct Of {
    id: String,
    #[serde(flatten)]
    seen: Seen,
}

#[derive(Serialize)]
pub(crate) struct Watched {
    people: Vec<Of>,
}

pub(crate) async fn watch(chat: &Chat, asker: &Asker, request: People) -> Result<Watched, Failure> {
    let socket = asker.need_socket()?;
    request.check()?;
    let ids: BTreeSet<String> = request.people.into_iter().collect();
    // Who may not be seen isn't there.
    let ids: Vec<String> = ids
        .into_iter()
        .filter(|id| asker.may("presence", id))
        .collect();
    let hidden = hidden_from(chat, asker, &ids).await?;
    let wanted = || ids.iter().filter(|id| !hidden.contains(*id));
    let rooms = socket.rooms().await;
    let watched = rooms
        .iter()
        .filter(|room| names::is_seen_room(room))
        .count();
    let new = wanted().filter(|id| !socket.is_in(&names::seen_room(id)));
    let too_many = Failure::new(
        "too_large",
        format!("a socket watches {MAX_WATCHED} people at most; use presence:unwatch first"),
    );
    if watched + new.count() > MAX_WATCHED {
        return Err(too_many);
    }
    // Before it's looked up: what changes later is told to this socket.
    for id in wanted() {
        if !socket.join(names::seen_room(id)) {
            return Err(too_many);
        }
    }
    let seen = see(chat, &ids, &hidden).await?;
    let people = ids.into_iter().zip(seen);
    Ok(Watched {
        people: people.map(|(id, seen)| Of { id, seen }).collect(),
    })
}

pub(crate) async fn unwatch(_: &Chat, asker: &Asker, request: People) -> Result<Nothing, Failure> {
    let socket = asker.need_socket()?;
    request.check()?;
    for id in &request.people {
        socket.leave(names::seen_room(id));
    }
    Ok(Nothing {})
}

/// What people are to whoever asks, in the order of their ids.
///
/// # Errors
/// `unavailable`.
pub(crate) async fn seen_by(
    chat: &Chat,
    asker: &Asker,
    ids: &[String],
) -> Result<Vec<Seen>, Failure> {
    let hidden = hidden_from(chat, asker, ids).await?;
    see(chat, ids, &hidden).await
}

async fn see(chat: &Chat, ids: &[String], hidden: &HashSet<String>) -> Result<Vec<Seen>, Failure> {
    chat.0.whereabouts.ready().await;
    let now: Vec<Status> = ids
        .iter()
        .map(|id| match hidden.contains(id) {
            true => Status::Offline,
            false => status(chat, id),
        })
        .collect();
    let is_asked =
        |(id, status): &(&String, &Status)| **status == Status::Offline && !hidden.contains(*id);
    let gone = ids.iter().zip(&now).filter(is_asked);
    let gone: Vec<&str> = gone.map(|(id, _)| id.as_str()).collect();
    let mut last = seen::read(chat, &gone).await?.into_iter();
    let seen = ids.iter().zip(now).map(|(id, status)| {
        let is_gone = status == Status::Offline && !hidden.contains(id);
        let last_seen = is_gone.then(|| last.next().flatten()).flatten();
        Seen { status, last_seen }
    });
    Ok(seen.collect())
}

/// Whom of these whoever asks may not see: who has blocked them, or whom they have blocked.
async fn hidden_from(
    chat: &Chat,
    asker: &Asker,
    ids: &[String],
) -> Result<HashSet<String>, Failure> {
    let others = || ids.iter().filter(|id| **id != *asker.id());
    if asker.is_system() || others().next().is_none() {
        return Ok(HashSet::new());
    }
    let queries = others().flat_map(|other| {
        [(other.as_str(), asker.id()), (asker.id(), other.as_str())]
            .map(|(by, whom)| Query::get(names::blocks(by), whom))
    });
    let answers = stored::read(chat, queries.collect()).await?;
    let is_there = |answer: &Answer| matches!(answer, Answer::Document(Some(_)));
    let pairs = others().zip(answers.chunks(2));
    let hidden = pairs.filter(|(_, both)| both.iter().any(is_there));
    Ok(hidden.map(|(id, _)| id.clone()).collect())
}

/// One of two people has blocked the other: whoever of them watches the other sees them go, and hears of them no more.
pub(crate) async fn hide(chat: &Chat, one: &str, other: &str) {
    let namespace = &chat.0.namespace;
    if let Err(error) = namespace.server_side_emit(HIDDEN, &(one, other)) {
        tracing::warn!(%error, "other nodes were not told who has blocked whom");
    }
    hide_here(chat, one, other).await;
}

async fn hide_here(chat: &Chat, one: &str, other: &str) {
    for (who, whom) in [(one, other), (other, one)] {
        let room = names::seen_room(whom);
        let gone = Shown {
            id: whom,
            status: Status::Offline,
            last_seen: None,
        };
        let sockets = chat.0.namespace.members(Person::room_of(who), MAX_SOCKETS);
        for socket in sockets.await {
            if !socket.rooms().await.contains(&room) {
                continue;
            }
            socket.leave(room.clone());
            let told = event("presence:change", &gone).map(|payload| socket.emit_raw(payload));
            if let Some(Err(error)) = told {
                tracing::debug!(%error, "somebody finds out later who is hidden from them");
            }
        }
        // Those that are away for a moment, too; they are told when they ask anew.
        let away = chat.0.namespace.local().in_(Person::room_of(who));
        away.sockets_leave([room]);
    }
}

pub(super) fn install(chat: &Chat) {
    let module = chat.clone();
    let namespace = &chat.0.namespace;
    namespace.on_server_event(HIDDEN, async move |event: ServerEvent| {
        match event.args::<(String, String)>() {
            Ok((one, other)) => hide_here(&module, &one, &other).await,
            Err(error) => tracing::warn!(%error, "who has blocked whom was not understood"),
        }
    });
}
