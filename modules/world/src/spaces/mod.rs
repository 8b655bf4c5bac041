//! Spaces: what tools for working together want of a world that is flat. Members, where in a document each of them is,
//! live cursors, and locks of components. They need no world, and have no ticks.
//!
//! - A **member** is one session of a client: it begins with `space:enter` and ends with `space:leave`, or a while after its
//!   connection broke off. Who comes back within that while, on any node, takes it up again. Nodes tell each other of
//!   members by [`lakh_hub::presence`]: `members`, `news`.
//! - **Cursors** are told in batches, the newest place of whoever moved: `cursors`.
//! - **Locks** stand in the store, where nodes compare and set them: `locks`. Whoever leaves for good leaves them.
//! - What is to be done at a time (`due`) is one task of the node, which ends when there is nothing to do.

mod cursors;
mod due;
mod locks;
mod members;
mod news;
mod requests;

use std::collections::HashMap;
use std::sync::Arc;

use lakh_hub::presence::{Key, Ms, Whereabouts};
use lakh_hub::store::Store;
use lakh_hub::{CloseReason, Failure, Hub, Later, Namespace, Room, Socket};
use parking_lot::Mutex;

pub(crate) use requests::{cursor, enter, get, leave, location, lock, locks, profile, unlock};

/// Stands before a space's name in the hub's rooms.
const HUB_PREFIX: &str = "space:";
/// Longest name of a space or a component, in characters.
const MAX_NAME_CHARS: usize = 128;
/// And in bytes.
const MAX_NAME_BYTES: usize = 400;
/// The event by which nodes tell each other of members.
const MEMBERS_EVENT: &str = "world:spaces";
/// Spaces that one socket is in at most.
const MAX_SPACES: usize = 32;

/// How spaces are set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpacesConfig {
    /// Members of one space at most.
    pub max_members: usize,
    /// Milliseconds that somebody whose connection broke off is still a member.
    pub grace_ms: u64,
    /// Milliseconds between batches of cursors.
    pub cursor_ms: u64,
    /// Moves of cursors that one socket may send a second. As many may come at once.
    pub cursor_moves_per_second: u32,
    /// Places of cursors that a member of a space is told a second, from one node; in crowds batches come less often.
    pub cursor_places_per_second: u32,
    /// Locks of one space at most.
    pub max_locks: usize,
    /// Seconds that a lock holds where nothing is said.
    pub lock_s: u64,
    /// Bytes of JSON that a profile, a location, or what goes with a lock or cursor may have.
    pub max_data_bytes: usize,
    /// A node that says nothing for this long counts as gone, and those on it as well.
    pub silence_ms: u64,
}

impl Default for SpacesConfig {
    fn default() -> Self {
        Self {
            max_members: 500,
            grace_ms: 15_000,
            cursor_ms: 25,
            cursor_moves_per_second: 60,
            cursor_places_per_second: 4_000,
            max_locks: 500,
            lock_s: 60,
            max_data_bytes: 4_096,
            silence_ms: 6_000,
        }
    }
}

/// Spaces at work. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Spaces(Arc<Inner>);

struct Inner {
    config: SpacesConfig,
    namespace: Namespace,
    store: Store,
    whereabouts: Whereabouts<news::Teller>,
    /// Short steps only; never held while waiting, nor while members are looked up.
    table: Mutex<members::Table>,
    cursors: Mutex<cursors::Boards>,
    locks: Mutex<locks::Known>,
    due: Later<due::Item>,
}

/// How a socket's connection ended: it may be back.
struct BrokeOff(bool);

impl Spaces {
    /// Puts spaces on a namespace. To be called before the loops start.
    pub(crate) fn install(namespace: &Namespace, store: &Store, config: SpacesConfig) -> Self {
        let whereabouts = Whereabouts::new(
            namespace,
            MEMBERS_EVENT,
            config.silence_ms,
            news::Teller::default(),
        );
        let spaces = Self(Arc::new(Inner {
            config,
            namespace: namespace.clone(),
            store: store.clone(),
            whereabouts,
            table: Mutex::default(),
            cursors: Mutex::default(),
            locks: Mutex::default(),
            due: Later::new(Hub::clock_ms),
        }));
        let weak = Arc::downgrade(&spaces.0);
        spaces.0.whereabouts.lock().teller.spaces = weak;
        namespace.on_disconnecting(async |socket, reason: CloseReason| {
            socket.insert(BrokeOff(reason.is_recoverable()));
        });
        let module = spaces.clone();
        namespace.on_member(move |socket, room, joined| {
            let Some(space) = room.strip_prefix(HUB_PREFIX) else {
                return;
            };
            match joined {
                true => module.back(socket, space),
                false => module.gone(socket, space),
            }
        });
        locks::install(&spaces);
        spaces
    }

    /// How many members there are on this node, and locks that it knows of.
    pub(crate) fn figures(&self) -> (usize, usize) {
        (self.0.table.lock().members(), self.0.locks.lock().len())
    }

    fn wall_ms(&self) -> u64 {
        self.0.namespace.hub().wall_ms()
    }

    fn clock_ms(&self) -> Ms {
        self.0.namespace.hub().clock_ms()
    }
}

/// What the hub calls a space.
fn hub_room(space: &str) -> Room {
    format!("{HUB_PREFIX}{space}").into()
}

/// What a member is called among those who are in places.
fn key(session: &str) -> Key {
    format!("m:{session}").into()
}

/// Checks a name of a space or a component.
fn check_name(what: &str, name: &str) -> Result<(), Failure> {
    let fits = !name.is_empty()
        && name.len() <= MAX_NAME_BYTES
        && name.chars().nth(MAX_NAME_CHARS).is_none()
        && !name.chars().any(char::is_control);
    fits.then_some(()).ok_or_else(|| {
        Failure::bad_request(format!(
            "{what} is 1 to {MAX_NAME_CHARS} characters ({MAX_NAME_BYTES} bytes) without control characters"
        ))
    })
}

/// Whether the connection broke off, in contrast to a goodbye.
fn broke_off(socket: &Socket) -> bool {
    !socket.is_connected() && socket.get::<BrokeOff>().is_some_and(|broke| broke.0)
}

/// Spaces of one socket, with what it is called in each.
type Sessions = HashMap<Arc<str>, Arc<str>>;
