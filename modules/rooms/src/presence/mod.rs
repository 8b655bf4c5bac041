//! Who is in rooms, on all nodes, told to those who want to know: `presence:*` and `room:occupancy`.
//!
//! Each node tells its own watchers what it has come to know, so what a watcher is told and what it asks for go together.
//! What is told takes no place in the room's log: who was away asks anew. The nodes' talk is in `gossip`.

mod gossip;
mod requests;
mod table;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use lakh_hub::{Failure, Hub, Namespace, Payload, Person, Room, Socket};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::options::{Kinds, RoomOptions};
use crate::server_side::{Occupancy, PresencePage, PresenceRange, Present};
use crate::{Inner, Rooms, names};
use gossip::Gossip;
use table::{Due, Key, ME, Ms, News, Part, Table};

/// People in a page, where no number is told.
const PAGE: usize = 100;
/// People in a page at most.
const MAX_PAGE: usize = 1_000;
/// Wait for other nodes to say who is there, when presence is first asked for.
const PATIENCE: Duration = Duration::from_secs(1);
/// Wait before something is told again that the server was too busy to take.
const AGAIN: Ms = 100;
/// The clock of the hub may be moved by hand: so long is slept at most.
const MOST_SLEEP: Duration = Duration::from_millis(500);

/// A person's sockets in a room, on this node.
#[derive(Default)]
struct Mine {
    sockets: Vec<Box<str>>,
    /// When the last one broke off: until then they may come back.
    until: Option<Ms>,
}

/// What is known of all rooms.
pub(crate) struct Presence {
    state: Mutex<State>,
    /// Something is due earlier than was thought.
    earlier: Notify,
    /// Another node has said all that it knows.
    heard: Notify,
}

struct State {
    table: Table,
    mine: HashMap<(Room, Key), Mine>,
    gossip: Gossip,
    /// A task looks after what is due.
    driven: bool,
}

/// A socket's connection broke, and may be back.
struct BrokeOff(bool);

impl Presence {
    pub(crate) fn new(hub: &Hub, kinds: Arc<Kinds>, silence_ms: u64) -> Self {
        let me = format!(
            "{}-{:08x}{:08x}",
            hub.settings().node,
            hub.random(),
            hub.random()
        );
        Self {
            state: Mutex::new(State {
                table: Table::new(kinds),
                mine: HashMap::new(),
                gossip: Gossip::new(me, silence_ms),
                driven: false,
            }),
            earlier: Notify::new(),
            heard: Notify::new(),
        }
    }
}

/// Whether there may be other nodes.
fn is_fleet(rooms: &Inner) -> bool {
    rooms.hub.cluster_state().is_some()
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

fn key_of(socket: &Socket) -> (Key, Option<Person>) {
    let person = socket.get::<Person>().map(|person| Person::clone(&person));
    let key = match &person {
        Some(person) => format!("u:{}", person.id),
        None => format!("s:{}", socket.id()),
    };
    (key.into(), person)
}

/// A socket has joined or left a room.
pub(crate) fn moved(rooms: &Rooms, socket: &Socket, room: &Room, name: &str, joined: bool) {
    let options = &rooms.0.kinds.of(name).presence;
    if !options.enabled {
        return;
    }
    let broke = !socket.is_connected() && socket.get::<BrokeOff>().is_some_and(|broke| broke.0);
    let grace = if broke { options.grace_ms } else { 0 };
    let (key, user) = key_of(socket);
    let now = rooms.0.hub.clock_ms();
    {
        let mut state = rooms.0.presence.state.lock();
        match joined {
            true => state.came(room, &key, user, socket.id(), now),
            false => state.went(room, &key, socket.id(), now, grace),
        }
        if is_fleet(&rooms.0) {
            let State { gossip, table, .. } = &mut *state;
            gossip.begin(table, now);
        }
    }
    wake(rooms);
    flush(&rooms.0);
}

impl State {
    fn came(&mut self, room: &Room, key: &Key, user: Option<Person>, id: &str, now: Ms) {
        let of = (Room::clone(room), Key::clone(key));
        let mine = self.mine.entry(of).or_default();
        mine.until = None;
        if !mine.sockets.iter().any(|known| **known == *id) {
            mine.sockets.push(id.into());
        }
        let sockets = mine.sockets.len();
        let before = self.table.part(ME, room, key).cloned().unwrap_or_default();
        let part = Part {
            user,
            sockets,
            ..before
        };
        self.say(room, key, Some(part), now);
    }

    fn went(&mut self, room: &Room, key: &Key, id: &str, now: Ms, grace: Ms) {
        let of = (Room::clone(room), Key::clone(key));
        let Some(mine) = self.mine.get_mut(&of) else {
            return;
        };
        mine.sockets.retain(|known| **known != *id);
        let sockets = mine.sockets.len();
        if sockets == 0 && grace == 0 {
            self.mine.remove(&of);
            return self.say(room, key, None, now);
        }
        if sockets == 0 {
            let until = now + grace;
            mine.until = Some(until);
            self.table.later(until, Due::Grace(of.0, of.1));
        }
        let part = self.table.part(ME, room, key).cloned();
        let part = part.map(|part| Part { sockets, ..part });
        self.say(room, key, part, now);
    }

    /// This node says something of a person, here and to the others.
    fn say(&mut self, room: &Room, key: &Key, part: Option<Part>, now: Ms) {
        self.table.set(ME, room, key, part, now);
        self.gossip.changed(&mut self.table, room, key, now);
    }

    fn grace_ends(&mut self, room: Room, key: Key, now: Ms) {
        let of = (room, key);
        let is_over = |mine: &Mine| mine.until.is_some_and(|until| until <= now);
        if self.mine.get(&of).is_some_and(is_over) {
            self.mine.remove(&of);
            self.say(&of.0, &of.1, None, now);
        }
    }
}

/// Sees to it that what is due is looked after, on the first loop.
fn wake(rooms: &Rooms) {
    let start = {
        let mut state = rooms.0.presence.state.lock();
        let start = !state.driven && state.table.next().is_some();
        state.driven |= start;
        start
    };
    if !start {
        return rooms.0.presence.earlier.notify_one();
    }
    let driving = Driving {
        rooms: rooms.clone(),
        is_over: false,
    };
    // If that loop is behind, dropping this lets the next one try.
    let sent = rooms.0.hub.run_on(0, move |_| {
        tokio::task::spawn_local(drive(driving));
    });
    if let Err(error) = sent {
        tracing::debug!(%error, "presence waits for a loop that is behind");
    }
}

/// Lets another task be started when this one is cut off.
struct Driving {
    rooms: Rooms,
    /// It has ended by itself, and the state knows.
    is_over: bool,
}

impl Drop for Driving {
    fn drop(&mut self) {
        if !self.is_over {
            self.rooms.0.presence.state.lock().driven = false;
        }
    }
}

async fn drive(mut driving: Driving) {
    let module = driving.rooms.clone();
    let rooms = &module.0;
    loop {
        let now = rooms.hub.clock_ms();
        let is_up = || rooms.hub.cluster_state().is_some_and(|state| state.link.up);
        let (words, next) = {
            let mut state = rooms.presence.state.lock();
            let words = step(&mut state, now, is_up);
            (words, state.table.next())
        };
        // Only this task sends, so words go out in the order of their numbers.
        gossip::send(rooms, words);
        flush(rooms);
        let Some(next) = next else {
            let mut state = rooms.presence.state.lock();
            if state.table.next().is_some() {
                continue;
            }
            state.driven = false;
            driving.is_over = true;
            return;
        };
        let wait = Duration::from_millis(next.saturating_sub(now)).min(MOST_SLEEP);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = rooms.presence.earlier.notified() => {}
        }
    }
}

/// Does what is due, and gives what is to be said to the other nodes.
fn step(state: &mut State, now: Ms, is_up: impl Fn() -> bool) -> Vec<gossip::Word> {
    let mut words = Vec::new();
    while let Some(due) = state.table.pop_due(now) {
        match due {
            Due::Tick(room) => state.table.tick(&room, now),
            Due::Grace(room, key) => state.grace_ends(room, key, now),
            Due::Tell => words.extend(state.gossip.words(&state.table)),
            Due::Beat => {
                let State { gossip, table, .. } = state;
                words.push(gossip.beat(table, now, is_up()));
            }
        }
    }
    words
}

/// Tells the news to this node's watchers, in their order.
fn flush(rooms: &Inner) {
    let namespace = rooms.hub.of("/");
    loop {
        let next = {
            let state = rooms.presence.state.lock();
            let next = state.table.news.front();
            next.map(|(room, news)| (Room::clone(room), matches!(news, News::Occupancy(..))))
        };
        let Some((room, counts)) = next else { return };
        let mut to = namespace.to(names::watchers(&room, false));
        if counts {
            to = to.to(names::watchers(&room, true));
        }
        let told = to.unlogged().emit_ordered(|| {
            let mut state = rooms.presence.state.lock();
            // Another loop may have told it meanwhile.
            let first = state.table.news.front();
            let is_it = |(of, news): &(Room, News)| {
                *of == room && matches!(news, News::Occupancy(..)) == counts
            };
            first.filter(|first| is_it(first))?;
            let (_, news) = state.table.news.pop_front()?;
            Some((payload(&room, &news), state))
        });
        if let Err(error) = told {
            tracing::debug!(%error, "presence is told a little later");
            let mut state = rooms.presence.state.lock();
            let at = rooms.hub.clock_ms() + AGAIN;
            return state.table.later(at, Due::Tick(room));
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
    let inner = &rooms.0;
    if !is_fleet(inner) {
        return;
    }
    let is_ready = {
        let mut state = inner.presence.state.lock();
        let State { gossip, table, .. } = &mut *state;
        gossip.begin(table, inner.hub.clock_ms());
        gossip.is_ready()
    };
    wake(rooms);
    if is_ready {
        return;
    }
    let others = inner.hub.other_nodes().await.unwrap_or(usize::MAX);
    let all_heard = async {
        loop {
            let heard = inner.presence.heard.notified();
            if inner.presence.state.lock().gossip.whole_nodes() >= others {
                return;
            }
            heard.await;
        }
    };
    // Servers of other makes never say anything.
    let _ = timeout(PATIENCE, all_heard).await;
    inner.presence.state.lock().gossip.set_ready();
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
    let state = rooms.0.presence.state.lock();
    Ok(state.table.page(&room, range.after.as_deref(), limit))
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
    Ok(rooms.0.presence.state.lock().table.occupancy(&room))
}

/// Sockets in a room on all nodes; `None` where that isn't known.
pub(crate) fn sockets(rooms: &Inner, room: &Room) -> Option<usize> {
    let kind = rooms.kinds.of(names::name(room)?);
    let enabled = kind.presence.enabled;
    enabled.then(|| rooms.presence.state.lock().table.occupancy(room).sockets)
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
    let mut page = rooms.presence.state.lock().table.page(room, None, limit);
    if counts_only {
        page.next = None;
    }
    Some(page)
}

pub(crate) fn install(namespace: &Namespace, rooms: &Rooms) {
    namespace.on_disconnecting(async |socket, reason| {
        socket.insert(BrokeOff(reason.is_recoverable()));
    });
    gossip::install(namespace, rooms);
    requests::install(namespace, rooms);
}
