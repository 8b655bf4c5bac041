//! Who is in rooms, on all nodes, told to those who want to know: `presence:*` and `room:occupancy`.
//!
//! Each node tells its own watchers what it has come to know, so what a watcher is told and what it asks for go together.
//! What is told takes no place in the room's log: who was away asks anew. The nodes' talk is the hub's: see
//! [`lakh_hub::presence`].

mod requests;
mod thinning;

use std::sync::Arc;

use lakh_hub::presence::{Ms, Occupancy, PresencePage, Present, Whereabouts};
use lakh_hub::{Failure, Namespace, Payload, Room, Socket};
use serde_json::{Value, json};

use crate::options::{Kinds, RoomOptions};
use crate::server_side::PresenceRange;
use crate::{Inner, Rooms, names};
use thinning::{News, Thinning};

/// People in a page, where no number is told.
const PAGE: usize = 100;
/// People in a page at most.
const MAX_PAGE: usize = 1_000;
/// Wait before something is told again that the server was too busy to take.
const AGAIN: Ms = 100;
/// The event between servers.
const EVENT: &str = "rooms:presence";

/// What is known of all rooms.
pub(crate) struct Presence(Whereabouts<Thinning>);

impl Presence {
    pub(crate) fn new(namespace: &Namespace, kinds: Arc<Kinds>, silence_ms: u64) -> Self {
        let thinning = Thinning::new(kinds);
        Self(Whereabouts::new(namespace, EVENT, silence_ms, thinning))
    }
}

/// Rooms of this kind must have presence.
pub(crate) fn supported(kind: &RoomOptions) -> Result<(), Failure> {
    let enabled = kind.presence.enabled.then_some(());
    enabled.ok_or_else(|| {
        Failure::new(
            "unsupported",
            "rooms of this kind have no presence; set `presence` in [[rooms.options]]",
        )
    })
}

/// A socket has joined or left a room.
pub(crate) fn moved(rooms: &Rooms, socket: &Socket, room: &Room, name: &str, joined: bool) {
    let options = &rooms.0.kinds.of(name).presence;
    if !options.enabled {
        return;
    }
    let presence = &rooms.0.presence.0;
    presence.moved(socket, room, joined, options.grace_ms);
}

/// Tells the news to this node's watchers, in their order.
fn flush(presence: &Whereabouts<Thinning>) {
    let namespace = presence.namespace();
    loop {
        let next = {
            let known = presence.lock();
            let next = known.teller.news.front();
            next.map(|(room, news)| (Room::clone(room), matches!(news, News::Occupancy(..))))
        };
        let Some((room, counts)) = next else { return };
        let mut to = namespace.to(names::watchers(&room, false));
        if counts {
            to = to.to(names::watchers(&room, true));
        }
        let told = to.unlogged().emit_ordered(|| {
            let mut known = presence.lock();
            // Another loop may have told it meanwhile.
            let first = known.teller.news.front();
            let is_it = |(of, news): &(Room, News)| {
                *of == room && matches!(news, News::Occupancy(..)) == counts
            };
            first.filter(|first| is_it(first))?;
            let (_, news) = known.teller.news.pop_front()?;
            Some((payload(&room, &news), known))
        });
        if let Err(error) = told {
            tracing::debug!(%error, "presence is told a little later");
            let at = namespace.hub().clock_ms() + AGAIN;
            return presence.lock().agenda.later(at, room);
        }
    }
}

fn payload(room: &Room, news: &News) -> Payload {
    let room = names::name(room).unwrap_or(room);
    let with = |one: &Present, now: Option<&Occupancy>| {
        let mut value = json!(one);
        value["room"] = room.into();
        if let Some(now) = now {
            value["people"] = now.people.into();
            value["count"] = now.sockets.into();
        }
        value
    };
    let (name, value): (&str, Value) = match news {
        News::Joined(one, now) => ("presence:join", with(one, Some(now))),
        News::Left(one, now) => ("presence:leave", with(one, Some(now))),
        News::Updated(one) => ("presence:update", with(one, None)),
        News::Changes {
            joined,
            left,
            updated,
            now,
        } => (
            "presence:changes",
            json!({
                "room": room, "joined": joined, "left": left, "updated": updated,
                "people": now.people, "count": now.sockets,
            }),
        ),
        News::Occupancy(now, named) => (
            "room:occupancy",
            json!({"room": room, "people": now.people, "sockets": now.sockets, "named": named}),
        ),
    };
    Payload::from_raw(json!([name, value]).to_string(), Vec::new())
}

/// Asks the other nodes who is there, when this is the first time that it matters, and waits for them a little.
pub(crate) async fn ready(rooms: &Rooms) {
    rooms.0.presence.0.ready().await;
}

/// Some of those who are in a room.
pub(crate) async fn page(
    rooms: &Rooms,
    name: &str,
    range: PresenceRange,
) -> Result<PresencePage, Failure> {
    let room = names::room(name)?;
    supported(rooms.0.kinds.of(name))?;
    let limit = if range.limit == 0 { PAGE } else { range.limit };
    if limit > MAX_PAGE {
        return Err(Failure::bad_request(format!("limit is 1 to {MAX_PAGE}")));
    }
    ready(rooms).await;
    let known = rooms.0.presence.0.lock();
    Ok(known.table().page(&room, range.after.as_deref(), limit))
}

/// Where those hear of a room who watch it.
pub(crate) fn told_in(rooms: &Inner, name: &str) -> Result<Room, Failure> {
    let room = names::room(name)?;
    supported(rooms.kinds.of(name))?;
    Ok(names::watchers(&room, false))
}

/// How many are in a room.
pub(crate) async fn occupancy(rooms: &Rooms, name: &str) -> Result<Occupancy, Failure> {
    let room = names::room(name)?;
    supported(rooms.0.kinds.of(name))?;
    ready(rooms).await;
    Ok(rooms.0.presence.0.lock().table().occupancy(&room))
}

/// Sockets in a room on all nodes; `None` where that isn't known.
pub(crate) fn sockets(rooms: &Inner, room: &Room) -> Option<usize> {
    let kind = rooms.kinds.of(names::name(room)?);
    let enabled = kind.presence.enabled;
    enabled.then(|| rooms.presence.0.lock().table().occupancy(room).sockets)
}

/// Makes a socket watch who is in a room, and gives the first of them. On the socket's loop. `None`: it's in as many rooms as
/// it may.
pub(crate) fn subscribe(
    rooms: &Inner,
    socket: &Socket,
    room: &Room,
    counts_only: bool,
) -> Option<PresencePage> {
    // First this: what changes while the page is read comes as news besides, and says the same.
    if !socket.join(names::watchers(room, counts_only)) {
        return None;
    }
    let limit = if counts_only { 0 } else { PAGE };
    let mut page = rooms.presence.0.lock().table().page(room, None, limit);
    if counts_only {
        page.next = None;
    }
    Some(page)
}

pub(crate) fn install(namespace: &Namespace, rooms: &Rooms) {
    requests::install(namespace, rooms);
}
