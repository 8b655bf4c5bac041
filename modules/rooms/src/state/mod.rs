//! Synced state of a room, and what stands on it: locks and live cursors.
//!
//! A room's state is a map with one counter: each change gets the next number. Members are given a snapshot and then each
//! change behind it, in order, without a hole and without doubles. What each request takes and gives is written in
//! docs/rooms.md.
//!
//! State does not go through the recovery log: each node tells its own members, under the lock that orders the changes, and
//! who comes back with a recovered session is given a new snapshot. So it is the same on one node and in a fleet, whatever
//! the nodes are linked by.

mod cursors;
mod deliver;
mod due;
mod entry;
mod kept;
mod locks;
mod merge;
mod names;
mod options;
mod owners;
mod replica;
mod requests;
mod space;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lakh_hub::store::Store;
use lakh_hub::{CloseReason, Failure, Hub, Later, Namespace, Room, RoomEvent, ServerEvent, Socket};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::Config;
use crate::enter;
use crate::options::Kinds;
use cursors::Cursors;
use entry::{Commit, Why};
pub(crate) use names::Follow;
use owners::Owners;
use replica::{Draft, Put};
use space::Space;

pub use options::{KeepState, Nodes, StateOptions, StateSetup};
pub(crate) use requests::{How, StateWish};

/// The event by which nodes tell each other of changes.
const CHANGED: &str = "rooms:changed";

/// What is kept for a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    State,
    Locks,
}

/// One order of changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SpaceKey {
    kind: Kind,
    room: Arc<str>,
}

impl SpaceKey {
    fn state(room: &str) -> Self {
        Self {
            kind: Kind::State,
            room: room.into(),
        }
    }

    fn locks(room: &str) -> Self {
        Self {
            kind: Kind::Locks,
            room: room.into(),
        }
    }

    fn letter(&self) -> &'static str {
        match self.kind {
            Kind::State => "s",
            Kind::Locks => "l",
        }
    }
}

/// Why something was refused, and what is there instead.
#[derive(Debug)]
pub(crate) struct Refusal {
    failure: Failure,
    current: Option<Box<RawValue>>,
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            current: None,
        }
    }
}

impl Refusal {
    /// Something else is there than was expected.
    fn conflict(message: impl Into<String>, current: &impl Serialize) -> Self {
        Self {
            failure: Failure::new("conflict", message),
            current: serde_json::value::to_raw_value(current).ok(),
        }
    }
}

/// All of it on this node. Cheap to clone.
#[derive(Clone)]
pub(crate) struct States(Arc<Inner>);

struct Inner {
    kinds: Arc<Kinds>,
    setup: StateSetup,
    store: Store,
    /// This life of this node.
    node: Arc<str>,
    spaces: Mutex<HashMap<SpaceKey, Arc<Space>>>,
    /// Sockets of this node in the rooms of this part.
    interest: Mutex<HashMap<Room, usize>>,
    owners: Owners,
    locks: locks::Queue,
    due: Later<due::Item>,
    commits: AtomicU64,
    cursors: Cursors,
    /// Makes keys of conflation that clients can't foresee.
    hasher: std::hash::RandomState,
}

/// A socket that is about to join.
struct Expected(States, Room);

impl Drop for Expected {
    fn drop(&mut self) {
        self.0.no_longer(&self.1);
    }
}

/// Puts it on the namespace.
pub(crate) fn install(
    namespace: &Namespace,
    store: Store,
    kinds: Arc<Kinds>,
    config: &Config,
) -> States {
    let hub = namespace.hub();
    let node = format!(
        "{}-{:08x}{:08x}",
        hub.settings().node,
        hub.random(),
        hub.random()
    );
    let states = States(Arc::new(Inner {
        kinds,
        setup: config.state.clone(),
        store,
        node: node.into(),
        spaces: Mutex::default(),
        interest: Mutex::default(),
        owners: Owners::default(),
        locks: locks::Queue::default(),
        due: Later::new(Hub::wall_ms),
        commits: AtomicU64::new(0),
        cursors: Cursors::default(),
        hasher: std::hash::RandomState::new(),
    }));
    let (module, of) = (states.clone(), namespace.clone());
    namespace.on_room_event(move |event| match event {
        RoomEvent::Joined(room, _) => module.joined(room),
        RoomEvent::Left(room, id) => module.left(&of, room, id),
        _ => {}
    });
    let module = states.clone();
    namespace.on_connect(async move |socket| {
        if socket.recovered() {
            module.came_back(&socket).await;
        }
    });
    let module = states.clone();
    namespace.on_disconnecting(async move |socket, reason: CloseReason| {
        module.owner_goes(&socket, reason.is_recoverable());
    });
    let module = states.clone();
    namespace.on_server_event(CHANGED, async move |event| heard(&module, &event));
    requests::install(namespace, &states);
    locks::install(namespace, &states);
    owners::install(namespace, &states);
    cursors::install(namespace, &states);
    states
}

fn heard(states: &States, event: &ServerEvent) {
    let Ok((kind, room, commit)) = event.args::<(String, String, String)>() else {
        return tracing::warn!("a change of another node was not understood");
    };
    let key = match &*kind {
        "s" => SpaceKey::state(&room),
        _ => SpaceKey::locks(&room),
    };
    match serde_json::from_str::<Commit>(&commit) {
        Ok(commit) => states.heard(event.namespace(), &key, Arc::new(commit)),
        Err(error) => tracing::warn!(%error, "a change of another node was not understood"),
    }
}

/// What has expired is removed, in the order of its time.
fn expire(draft: &mut Draft<'_>) {
    for key in draft.due() {
        draft.put(Put { key, entry: None }, None, Some(Why::Expired));
    }
}

impl States {
    fn options(&self, room: &str) -> &StateOptions {
        &self.0.kinds.of(room).state
    }

    /// Whether a socket may do this in a room, by its rights or by the token that let it in.
    fn may(&self, socket: &Socket, room: &str, act: &'static str) -> Result<(), Failure> {
        let hub_room = crate::names::room(room)?;
        enter::may(&self.0.kinds, socket, room, &hub_room, act)
    }

    fn setup(&self) -> &StateSetup {
        &self.0.setup
    }

    fn node(&self) -> &Arc<str> {
        &self.0.node
    }

    fn locks(&self) -> &locks::Queue {
        &self.0.locks
    }

    /// The store that a room's state is kept in; `None` where it's kept in memory.
    fn store(&self, room: &str) -> Result<Option<&Store>, Failure> {
        let refused = |message| Err(Failure::new("unavailable", message));
        match (self.options(room).keep, self.0.setup.nodes) {
            (_, Nodes::OwnStores) => {
                refused("state and locks need a store that all nodes of the fleet share")
            }
            (KeepState::Memory, Nodes::SharedStore) => refused(
                "this room's state is kept in memory, which the nodes of a fleet don't share",
            ),
            (KeepState::Auto | KeepState::Memory, Nodes::One) => Ok(None),
            (KeepState::Auto, Nodes::SharedStore) | (KeepState::Store, _) => {
                Ok(Some(&self.0.store))
            }
        }
    }

    fn next_commit(&self) -> Arc<str> {
        let number = self.0.commits.fetch_add(1, Ordering::Relaxed);
        format!("{}:{number}", self.0.node).into()
    }

    /// The space of this name, made if it isn't there.
    fn space(&self, namespace: &Namespace, key: &SpaceKey) -> Result<Arc<Space>, Failure> {
        let mut spaces = self.0.spaces.lock();
        if let Some(space) = spaces.get(key) {
            return Ok(Arc::clone(space));
        }
        if spaces.len() >= self.0.setup.max_rooms {
            return Err(Failure::new(
                "unavailable",
                "this server keeps the state of as many rooms as it may; try again later",
            ));
        }
        let space = Arc::new(Space {
            key: key.clone(),
            core: Mutex::default(),
        });
        spaces.insert(key.clone(), Arc::clone(&space));
        drop(spaces);
        // Also if nothing comes of it: then it's forgotten again.
        let mut core = space.core.lock();
        core.used_ms = namespace.hub().wall_ms();
        self.arm(namespace, &space, &mut core);
        drop(core);
        Ok(space)
    }

    /// The space of this name, if this node has it.
    fn existing(&self, key: &SpaceKey) -> Option<Arc<Space>> {
        self.0.spaces.lock().get(key).cloned()
    }

    /// Tells the other nodes of a change that the store has.
    fn tell_nodes(&self, namespace: &Namespace, key: &SpaceKey, commit: &Commit) {
        if namespace.hub().cluster_state().is_none() {
            return;
        }
        let told = match serde_json::to_string(commit) {
            Ok(text) => namespace.server_side_emit(CHANGED, &(key.letter(), &*key.room, text)),
            Err(_) => Ok(()),
        };
        if let Err(error) = told {
            tracing::warn!(%error, "other nodes were not told of a change; they find it in the store");
        }
    }

    /// Sockets of this node in a room of this part.
    fn members(&self, room: &str) -> usize {
        self.0.interest.lock().get(room).copied().unwrap_or(0)
    }

    /// A socket is about to join a room of this part: what happens meanwhile is told as if it were in.
    fn expect(&self, room: &Room) -> Expected {
        *self.0.interest.lock().entry(Room::clone(room)).or_default() += 1;
        Expected(self.clone(), Room::clone(room))
    }

    fn no_longer(&self, room: &Room) {
        let mut interest = self.0.interest.lock();
        if let Some(count) = interest.get_mut(room) {
            *count -= 1;
            if *count == 0 {
                interest.remove(room);
            }
        }
    }

    /// Whether any socket of this node follows a space.
    fn is_followed(&self, key: &SpaceKey) -> bool {
        let interest = self.0.interest.lock();
        let follows = |follow: &Follow| interest.contains_key(&follow.hub_room(&key.room));
        match key.kind {
            Kind::State => Follow::STATE.iter().any(follows),
            Kind::Locks => follows(&Follow::Locks),
        }
    }

    fn joined(&self, room: &Room) {
        if Follow::parse(room).is_some() {
            *self.0.interest.lock().entry(Room::clone(room)).or_default() += 1;
        }
    }

    fn left(&self, namespace: &Namespace, room: &Room, id: &str) {
        let Some((follow, name)) = Follow::parse(room) else {
            return;
        };
        self.no_longer(room);
        match follow {
            Follow::Bound => self.owner_left(namespace, name, id),
            Follow::Cursors => self.0.cursors.gone(name, id),
            _ => {}
        }
    }

    /// A socket leaves a room: its state, locks and cursors, too.
    pub(crate) fn leave(&self, socket: &Socket, room: &str) {
        for follow in Follow::ALL {
            socket.leave(follow.hub_room(room));
        }
        // Now, and not a moment later: it may join again in this very moment, and own something anew.
        self.clean_up(&socket.namespace());
    }
}
