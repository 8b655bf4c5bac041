//! Rooms without code: namespace `/`.
//!
//! For teams that write no Rust: clients join rooms (posts, boards, live threads) and speak their own events in them;
//! the server needs no handler for any of these. What each request takes and gives is written in docs/rooms.md.
//!
//! What always holds: the events of a room carry numbers without holes, every member sees them in that order, and the
//! answer to `room:emit` says that the room's log has the event. The server looks at no event's data: it's relayed as
//! the bytes that came.

mod args;
mod emit;
mod enter;
mod filter;
mod history;
mod join;
mod names;
mod numbers;
mod options;
mod presence;
mod requests;
mod server_side;
mod state;
mod stored;
mod tail;
mod tokens;

use std::sync::Arc;

use lakh_hub::store::Store;
use lakh_hub::{Hub, LogLimits, Namespace, Occurrence, RoomEvent, Socket, What};

use filter::Filters;
use numbers::{Bounds, Numbers};
use options::Kinds;
pub use options::{HistoryOptions, Keep, PresenceOptions, RoomOptions};
use presence::Presence;
pub use server_side::{
    HistoryEntry, HistoryPage, HistoryRange, Occupancy, PresencePage, PresenceRange, Present,
    Publish, Published,
};
use state::States;

/// The parsers of what clients send, for the fuzz targets.
#[doc(hidden)]
pub mod fuzzing {
    use serde_json::Value;

    /// The text of a filter. `None`: it's none, or lets everything through.
    #[must_use]
    pub fn filter_text(value: &Value) -> Option<String> {
        crate::filter::read(value).ok()?
    }

    /// Whether an event passes a filter; both as text.
    #[must_use]
    pub fn fits(filter: &str, event: &str) -> bool {
        let filters = crate::filter::Filters::new(crate::options::Kinds::new(Vec::new()).into());
        filters.get(filter).fits(&crate::filter::tags_of(event))
    }

    /// What the hub calls a client's room.
    #[must_use]
    pub fn hub_room(name: &str) -> Option<String> {
        Some(crate::names::room(name).ok()?.to_string())
    }

    /// What clients call a room of the hub.
    #[must_use]
    pub fn public_name(room: &str) -> Option<&str> {
        crate::names::name(room)
    }
}
pub use state::{KeepState, Nodes, StateOptions, StateSetup};
pub use tokens::{RoomToken, TokenCheck};

/// What rights call this module.
pub const MODULE: &str = "rooms";
/// What rights may speak of in it.
pub const ACTS: &[&str] = &[
    "join",
    "emit",
    "state.read",
    "state.write",
    "lock",
    "cursor",
];

/// Milliseconds for which an empty room's numbers are kept where there is no recovery.
const KEEP_MS: u64 = 120_000;
/// Milliseconds added to the recovery window: a session that comes back in its last moment finds its rooms' numbers.
const SLACK_MS: u64 = 10_000;

/// How the module is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Longest `data` of an event in bytes: its JSON text and its binary values together.
    pub max_data_bytes: usize,
    /// Events a second that one socket may emit. As many may come at once.
    pub events_per_second: u32,
    /// Rooms of this node at most, those counted that have emptied lately. A socket that would make one more is
    /// answered `unavailable`.
    pub max_rooms: usize,
    /// How much is kept for clients that come back; `None` keeps nothing.
    pub recovery: Option<LogLimits>,
    /// What rooms have besides events; the first whose pattern fits counts.
    pub options: Vec<RoomOptions>,
    /// Bytes of history that this node keeps in memory for all rooms together; the oldest go first.
    pub history_memory_bytes: usize,
    /// A node that says nothing for this long counts as gone, and those on it as well.
    pub presence_silence_ms: u64,
    /// State, locks and cursors: what holds for all rooms of this node.
    pub state: StateSetup,
    /// Reads the tokens that let people into private rooms; without it nobody gets into one.
    pub tokens: Option<TokenCheck>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_data_bytes: 65_536,
            events_per_second: 100,
            max_rooms: 250_000,
            recovery: Some(LogLimits::default()),
            options: Vec::new(),
            history_memory_bytes: 256 << 20,
            presence_silence_ms: 6_000,
            state: StateSetup::default(),
            tokens: None,
        }
    }
}

/// The module at work. Cheap to clone.
#[derive(Clone)]
pub struct Rooms(Arc<Inner>);

struct Inner {
    hub: Hub,
    store: Store,
    config: Config,
    kinds: Arc<Kinds>,
    filters: Filters,
    numbers: Numbers,
    presence: Presence,
    /// Events get their numbers from the stream that all nodes follow.
    counted: bool,
    /// There are other nodes, and no stream: each node has numbers of its own.
    without_order: bool,
    states: States,
}

impl Rooms {
    /// Rooms whose numbers are kept: those with members, and those that have emptied lately.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.0.numbers.kept()
    }

    /// Puts a socket out of the rooms that it's in by tokens which were taken back, and tells it. To be called on the socket's
    /// loop, for each socket, when something was taken back.
    pub fn end_revoked(&self, socket: &Socket) {
        enter::end_revoked(&self.0, socket);
    }
}

impl std::fmt::Debug for Rooms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rooms").field("kept", &self.kept()).finish()
    }
}

/// Puts the module on namespace `/`. To be called before the loops start.
pub fn install(hub: &Hub, store: Store, config: Config) -> Rooms {
    let namespace = hub.of("/");
    let keep_ms = match config.recovery {
        Some(limits) => {
            namespace.recoverable(limits);
            limits.max_age_ms.saturating_add(SLACK_MS)
        }
        None => KEEP_MS,
    };
    let (kinds, counted) = (
        Arc::new(Kinds::new(config.options.clone())),
        namespace.is_counted(),
    );
    let numbers = Numbers::new(Bounds {
        max_rooms: config.max_rooms,
        keep_ms,
        max_bytes: config.history_memory_bytes,
        kinds: Arc::clone(&kinds),
        shared: counted,
    });
    let filters = Filters::new(Arc::clone(&kinds));
    namespace.set_sieve(filters.clone());
    let states = state::install(&namespace, store.clone(), Arc::clone(&kinds), &config);
    let rooms = Rooms(Arc::new(Inner {
        presence: Presence::new(&namespace, Arc::clone(&kinds), config.presence_silence_ms),
        hub: hub.clone(),
        store,
        kinds,
        filters,
        config,
        numbers,
        counted,
        without_order: hub.cluster_state().is_some() && !counted,
        states,
    }));
    follow(&namespace, &rooms);
    requests::install(&namespace, &rooms);
    join::install(&namespace, &rooms);
    history::install(&namespace, &rooms);
    enter::install(&namespace, &rooms);
    presence::install(&namespace, &rooms);
    emit::install(&namespace, &rooms);
    rooms
}

/// Keeps count of who is where and of what was said.
fn follow(namespace: &Namespace, rooms: &Rooms) {
    let module = rooms.clone();
    namespace.on_room_event(move |event| match event {
        // A socket's own room is nobody's to count, and rooms of the module's own are not.
        RoomEvent::Joined(room, id) if **room != **id && names::name(room).is_some() => {
            module.0.numbers.joined(room);
        }
        RoomEvent::Left(room, id) if **room != **id && names::name(room).is_some() => {
            module.0.numbers.left(room);
        }
        _ => {}
    });
    let module = rooms.clone();
    namespace.on_counted(move |room, seq, payload, go| {
        let numbers = &module.0.numbers;
        let now_ms = module.0.hub.wall_ms();
        numbers.counted(room, seq, now_ms, || emit::kept(seq, payload), go);
    });
    let module = rooms.clone();
    namespace.on_member(move |socket, room, joined| {
        let Some(name) = names::name(room) else {
            return;
        };
        let what = if joined { What::Join } else { What::Leave };
        if !joined {
            enter::left(socket, room);
        }
        presence::moved(&module, socket, room, name, joined);
        let hub = &module.0.hub;
        hub.tell(what, "/", || {
            Occurrence::by(what, socket, MODULE).in_room(name)
        });
    });
}
