//! Who watches which room and who is there at all, over all nodes: `presence:*`.
//!
//! The nodes' talk is the hub's ([`lakh_hub::presence`]). Each node tells its own watchers what it has come to know
//! ([`news`]), so what they are told and what they ask for go together. Places are: each room, with those who watch it
//! ([`names::hub_room`]); [`ACTIVE`] and [`AWAY`], with everybody who is on the namespace, each device in one of them; and
//! in crowds those who type ([`names::typing_place`]).

mod news;
mod people;
mod seen;

use std::sync::Arc;

use lakh_hub::presence::{PresencePage, Whereabouts, key_of_person};
use lakh_hub::store::Store;
use lakh_hub::{CloseReason, Failure, Namespace, Payload, Person, Room, Socket};
use serde::{Deserialize, Serialize};

use crate::asker::Asker;
use crate::crowd::{self, Crowd, Limits};
use crate::permissions::Right;
use crate::shapes::{InRoom, Member, PresenceUpdate, event};
use crate::{Chat, Config, names, standing, sweep, told};
pub(crate) use news::Teller;
pub(crate) use people::{Seen, hide, seen_by, set_status, unwatch, watch};

/// The event between servers.
const EVENT: &str = "chat:presence";
/// Where those are who use one of their devices.
const ACTIVE: &str = "active";
/// Where those are who have called a device of theirs away.
const AWAY: &str = "away";
/// People in a page.
const PAGE: usize = 1_000;
/// People who are named in a crowd: when somebody comes in, and where only counts are told.
const SOME: usize = 100;

/// What somebody is, over all of their devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// On one of them at least.
    Online,
    /// On none of those that are connected.
    Away,
    /// On none.
    Offline,
}

/// A socket's connection broke, and may be back.
struct BrokeOff(bool);

/// Who is where. To be made before the module is.
pub(crate) fn whereabouts(
    namespace: &Namespace,
    store: &Store,
    config: &Config,
) -> Whereabouts<Teller> {
    let limits = Limits {
        thin_from: config.thin_from,
        crowd_from: config.crowd_from,
    };
    let teller = Teller::new(namespace, store, limits);
    Whereabouts::new(namespace, EVENT, config.presence_silence_ms, teller)
}

pub(crate) fn install(chat: &Chat) {
    let namespace = &chat.0.namespace;
    let module = chat.clone();
    namespace.on_connect(async move |socket| {
        if let Some(person) = socket.get::<Person>() {
            socket.join(Person::room_of(&person.id));
            let whereabouts = &module.0.whereabouts;
            whereabouts.moved(&socket, &ACTIVE.into(), true, 0);
        }
    });
    namespace.on_disconnecting(async |socket, reason: CloseReason| {
        socket.insert(BrokeOff(reason.is_recoverable()));
    });
    let module = chat.clone();
    // By request, by recovery, by the server's will, at its end.
    namespace.on_member(move |socket, hub_room, joined| moved(&module, socket, hub_room, joined));
    let module = chat.clone();
    // The socket is out of its rooms now, and hears nothing of its own going.
    namespace.on_disconnect(async move |socket, _| {
        if socket.get::<Person>().is_some() {
            let grace_ms = module.0.config.presence_grace_ms;
            for place in [ACTIVE, AWAY] {
                let whereabouts = &module.0.whereabouts;
                whereabouts.moved(&socket, &place.into(), false, grace_ms);
            }
        }
        sweep::sweep(&module);
    });
    people::install(chat);
}

/// A socket has joined a room or left it.
fn moved(chat: &Chat, socket: &Socket, hub_room: &Room, joined: bool) {
    let (Some(room), Some(person)) = (names::chat_room(hub_room), socket.get::<Person>()) else {
        return;
    };
    match joined {
        true => {
            told::joined(socket, room);
            chat.0.table.lock().enter(room, &person);
        }
        false => {
            told::left(socket, room);
            leave(chat, socket, room, &person);
        }
    }
    let grace_ms = chat.0.config.presence_grace_ms;
    let whereabouts = &chat.0.whereabouts;
    whereabouts.moved(socket, hub_room, joined, grace_ms);
}

/// Takes the person of a socket that has left a room out of it, on this node, if it was the last socket.
fn leave(chat: &Chat, socket: &Socket, room: &str, person: &Person) {
    let now = chat.clock_ms();
    // Who said goodbye is gone. Who broke off may be back in a moment, by recovery or by loading a page anew.
    let broke = !socket.is_connected() && socket.get::<BrokeOff>().is_some_and(|broke| broke.0);
    let gone_at = if broke {
        now + chat.0.config.presence_grace_ms
    } else {
        now
    };
    chat.0.table.lock().leave(room, &person.id, gone_at);
    match broke {
        true => sweep::watch(chat),
        false => sweep::sweep(chat),
    }
}

/// Shows a socket's person under their present name where the socket is.
pub(crate) fn renamed(chat: &Chat, socket: &Socket, hub_rooms: &[Room], person: &Arc<Person>) {
    for hub_room in hub_rooms {
        let Some(room) = names::chat_room(hub_room) else {
            continue;
        };
        {
            let mut table = chat.0.table.lock();
            table.with_people(room, &person.id, |people| people.rename(person));
        }
        chat.0.whereabouts.moved(socket, hub_room, true, 0);
    }
}

#[derive(Deserialize)]
pub(crate) struct List {
    room: String,
    cursor: Option<String>,
}

/// People who watch a room.
#[derive(Serialize)]
pub(crate) struct Listed {
    members: Vec<Member>,
    /// How many people there are; `members` may be fewer.
    count: usize,
    /// How many sockets they watch with.
    watching: usize,
    crowd: Crowd,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// How many watch a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    /// Sockets.
    pub watching: usize,
    /// People, each once over all of their devices.
    pub online: usize,
}

#[derive(Serialize)]
pub(crate) struct Counted {
    #[serde(flatten)]
    counts: Counts,
    crowd: Crowd,
}

pub(crate) async fn list(chat: &Chat, asker: &Asker, request: List) -> Result<Listed, Failure> {
    let room = request.room.as_str();
    names::check_room(room)?;
    names::check_person_cursor(request.cursor.as_ref())?;
    asker.allow("presence", room)?;
    let standing = standing::of(chat, asker, room).await?;
    standing.need_sight(chat)?;
    standing.need(chat, Right::SeeMembers)?;
    chat.0.whereabouts.ready().await;
    let place = names::hub_room(room);
    let known = chat.0.whereabouts.lock();
    let crowd = known.teller.crowd(&place);
    let page = match crowd {
        Crowd::Counts => PresencePage {
            next: None,
            ..known.table().page(&place, None, SOME)
        },
        _ => known.table().page(&place, request.cursor.as_deref(), PAGE),
    };
    drop(known);
    Ok(Listed {
        count: page.people,
        watching: page.sockets,
        crowd,
        cursor: page.next.clone(),
        members: members(page),
    })
}

pub(crate) async fn count(chat: &Chat, asker: &Asker, request: InRoom) -> Result<Counted, Failure> {
    let room = request.room.as_str();
    names::check_room(room)?;
    asker.allow("history", room)?;
    let standing = standing::of(chat, asker, room).await?;
    standing.need_sight(chat)?;
    standing.need(chat, Right::Read)?;
    chat.0.whereabouts.ready().await;
    let (crowd, now) = crowd::with_occupancy(chat, room);
    Ok(Counted {
        counts: now.into(),
        crowd,
    })
}

/// By name, as they are shown.
fn members(page: PresencePage) -> Vec<Member> {
    let people = page.members.into_iter().filter_map(|one| one.user);
    let mut members: Vec<Member> = people
        .map(|person| Member {
            person,
            online: true,
        })
        .collect();
    members.sort_by(|a, b| (&a.person.name, &a.person.id).cmp(&(&b.person.name, &b.person.id)));
    members
}

/// Those who watch a room, for whoever comes in, and how many they are: all of them, or some if it's a crowd.
pub(crate) async fn for_newcomer(chat: &Chat, room: &str) -> (Vec<Member>, usize) {
    chat.0.whereabouts.ready().await;
    let place = names::hub_room(room);
    let known = chat.0.whereabouts.lock();
    let most = match known.teller.crowd(&place) {
        Crowd::None => PAGE,
        _ => SOME,
    };
    let page = known.table().page(&place, None, most);
    drop(known);
    let count = page.people;
    (members(page), count)
}

/// Whether a person watches a room, on any node.
pub(crate) fn is_watching(chat: &Chat, room: &str, person: &str) -> bool {
    let known = chat.0.whereabouts.lock();
    let place = names::hub_room(room);
    known.table().is_in(&place, &key_of_person(person))
}

/// Leaves out those of a room's people who watch it with each device that they have here, on all nodes: they hear what the
/// room is told anyway. Somebody with a device that broke off, or that has come only now, may be among them; such a device
/// asks how things are when it's back.
pub(crate) async fn leave_out_watchers<T>(chat: &Chat, room: &str, people: &mut Vec<(String, T)>) {
    chat.0.whereabouts.ready().await;
    let place = names::hub_room(room);
    let known = chat.0.whereabouts.lock();
    people.retain(|(id, _)| {
        let key = key_of_person(id);
        let sockets = |place: &str| known.table().sockets(place, &key);
        let watching = sockets(&place);
        watching == 0 || watching < sockets(ACTIVE) + sockets(AWAY)
    });
}

/// What a person is, over all nodes.
pub(crate) fn status(chat: &Chat, person: &str) -> Status {
    let known = chat.0.whereabouts.lock();
    news::status(known.table(), &key_of_person(person))
}

/// Whether any device of a person is here, on any node. Who broke off a moment ago still is.
pub(crate) async fn is_anywhere(chat: &Chat, person: &str) -> bool {
    chat.0.whereabouts.ready().await;
    status(chat, person) != Status::Offline
}

impl Chat {
    /// Whether a person is on the namespace with any device, on any node. Who broke off a moment ago still is.
    pub async fn is_anywhere(&self, person: &str) -> bool {
        is_anywhere(self, person).await
    }
}

pub(crate) fn presence_update(room: &str, user: &Person, online: bool) -> Option<Payload> {
    event("presence:update", &PresenceUpdate { room, user, online })
}
