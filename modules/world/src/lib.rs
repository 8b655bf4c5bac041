//! World: namespace `/world`. Thousands move in one space, and each sees what matters, within a budget of bytes.
//!
//! What each request takes and gives is written in docs/world.md, and so is how frames are laid out, exactly enough to
//! write a decoder from.
//!
//! `engine` is all of it that needs no socket, no clock and no store: time is the number of a tick, what goes out is bytes in
//! a buffer. A [`World`] is changed by one thread: entities come, move and go, and [`World::step`] makes a tick of it. A
//! step gives a [`View`], which many threads may read at once: each composes the frames of its own clients from it, one
//! [`Viewer`] a client. [`Replica`] is the other end.
//!
//! `play` is the module on the hub: worlds by name, who is in them, what clients ask for, and the ticks. What always holds:
//!
//! * A client's own loop looks at its inputs and composes its frames; the world gets what was found to be in order.
//! * Nothing is made for a client whose connection has not taken the last frame: the next one tells what it missed.
//! * What lasts is in the store within a second of its change.
//!
//! `land` is what one walks on, `spaces` are for working together on something flat.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

mod asker;
mod engine;
mod figures;
mod fleet;
mod land;
mod play;
mod requests;
mod spaces;
mod stored;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use lakh_hub::auth::Pattern;
use lakh_hub::store::Store;
use lakh_hub::{BinaryEvent, Hub, Namespace};
use parking_lot::Mutex;

pub use asker::Asker;
pub use engine::bits::TooShort;
pub use engine::budget::LEAST_BYTES_A_SECOND;
pub use engine::entities::{Audience, EntityId, Spawn};
pub use engine::frame::{FrameError, Own};
pub use engine::quantise::Value;
pub use engine::query::{Ask, Centre, MAX_QUERY_PARTS, Query, QueryError, Shape};
pub use engine::relay::{Mirror, RelayError, Source};
pub use engine::replica::{Applied, Replica, Seen};
pub use engine::schema::{Field, FieldType, Kind, Layout, Rotation, Schema, SchemaError, Velocity};
pub use engine::view::View;
pub use engine::viewer::{Composed, MAX_GROUPS, Sight, Viewer};
pub use engine::world::{Pace, Refused, Setup, Tiers, World};
pub use figures::{BUCKETS_S, Figures};
pub use land::SECTION as LAND_SECTION;
pub use land::cache::Land;
pub use land::chunk::{Chunk, MAX_TYPE_BYTES, Part};
pub use land::draft::{Changed, Draft, Expect, NotSet, SetCell, There};
pub use land::plan::{Coords, LandError, LandPlan, MAX_LAYERS};
pub use land::replica::{LandApplied, LandReplica, SectionError, SeenPart};
pub use land::viewer::{LandComposed, LandViewer};
pub use play::Moved;
pub use requests::REQUESTS;
pub use spaces::SpacesConfig;

/// What rights call this module.
pub const MODULE: &str = "world";
/// What rights may speak of in it.
pub const ACTS: &[&str] = &[
    "list", "enter", "create", "build", "paint", "space", "lock", "moderate", "admin",
];

/// How the module is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// A world of such a name is made when it's first entered.
    pub open_worlds: Option<Pattern>,
    /// Worlds that are at work on this node at the same time.
    pub max_worlds: usize,
    /// Ticks a second of worlds that don't say.
    pub hz: u8,
    /// How far worlds that don't say reach from 0 along each axis.
    pub bounds: f64,
    /// Units a second that clients may move, in worlds that don't say.
    pub max_speed: f64,
    /// How many milliseconds' worth of way a client may be ahead of that.
    pub slack_ms: u64,
    /// Inputs a second of one client.
    pub inputs_per_second: u32,
    /// How far clients see that don't say.
    pub view: f64,
    /// How far clients see at most around themselves.
    pub max_view: f64,
    /// Whether they may ask for what isn't around themselves.
    pub far_sight: bool,
    /// Bytes a second of frames for clients that don't say.
    pub budget: u32,
    /// Bytes a second of frames for one client at most.
    pub max_budget: u32,
    /// Whether a client chooses where it comes in, if it was there before.
    pub choose_place: bool,
    /// Milliseconds for which the entity of a client whose connection broke off waits for it.
    pub grace_ms: u64,
    /// Milliseconds after which a world without anybody in it goes to rest.
    pub rest_ms: u64,
    /// Entities in a world.
    pub max_entities: usize,
    /// Entities that one person may have in a world, beside their own.
    pub entities_each: u32,
    /// Bots in a world at most.
    pub max_bots: u32,
    /// Entities that one person may make, change and remove a second.
    pub builds_per_second: u32,
    /// People in a world on this node.
    pub max_people: usize,
    /// Nearest others that are of the first and second tier.
    pub nearest: [u32; 2],
    /// Each tier is told every so many ticks.
    pub every: [u8; 3],
    /// Worlds that are made by being entered have land of tiles.
    pub open_land: bool,
    /// Bytes of a world's land that are kept in memory.
    pub land_cache_bytes: usize,
    /// Requests a second by which one connection changes land. A second's worth may come at once.
    pub paints_per_second: u32,
    /// Bytes of something opaque in a chunk of land at most.
    pub max_part_bytes: usize,
    /// How spaces are set up.
    pub spaces: SpacesConfig,
    /// Bytes that the kernel may keep back for a client, beyond what is on its way.
    pub unsent_bytes: u32,
    /// Other nodes have the same store, and are reached: a world lives on one of them.
    pub fleet: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            open_worlds: Some("*".into()),
            max_worlds: 1_000,
            hz: 20,
            bounds: 10_000.0,
            max_speed: 64.0,
            slack_ms: 250,
            inputs_per_second: 60,
            view: 60.0,
            max_view: 1_000.0,
            far_sight: true,
            budget: 64 << 10,
            max_budget: 1 << 20,
            choose_place: true,
            grace_ms: 15_000,
            rest_ms: 30_000,
            max_entities: 100_000,
            entities_each: 1_000,
            max_bots: 500,
            builds_per_second: 50,
            max_people: 20_000,
            nearest: [100, 900],
            every: [1, 4, 16],
            open_land: true,
            land_cache_bytes: 8 << 20,
            paints_per_second: 30,
            max_part_bytes: 256 << 10,
            spaces: SpacesConfig::default(),
            unsent_bytes: 16 << 10,
            fleet: false,
        }
    }
}

/// The module at work. Cheap to clone.
#[derive(Clone)]
pub struct Worlds(Arc<Inner>);

struct Inner {
    config: Arc<Config>,
    namespace: Namespace,
    store: Store,
    counters: figures::Counters,
    /// The event of frames.
    frames: BinaryEvent,
    /// Worlds at work on this node.
    registry: play::Registry,
    /// How much people build. Short steps only.
    pacing: Mutex<play::Pacing>,
    on_input: OnceLock<Box<play::OnInput>>,
    spaces: spaces::Spaces,
    /// Lands of worlds on this node.
    grounds: land::ground::Grounds,
    /// The other nodes, if there may be some.
    fleet: Option<fleet::Fleet>,
}

impl Worlds {
    fn now_ms(&self) -> u64 {
        self.0.namespace.hub().wall_ms()
    }

    /// On the clock of ticks, which never goes back.
    fn clock(&self) -> Duration {
        self.hub().clock()
    }

    fn hub(&self) -> &Hub {
        self.0.namespace.hub()
    }

    /// Has each move looked at that was found to be in order, on the loop of its client: `false` refuses it. One hook; a
    /// second one is not taken.
    pub fn on_input(&self, hook: impl Fn(&Moved<'_>) -> bool + Send + Sync + 'static) {
        // Set once, by whoever starts the node.
        let _ = self.0.on_input.set(Box::new(hook));
    }
}

impl std::fmt::Debug for Worlds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worlds")
            .field("at_work", &self.0.registry.at_work())
            .finish()
    }
}

/// Puts the module on namespace `/world`. To be called before the loops start.
///
/// Whoever checks sign-ins puts a [`lakh_hub::Person`] on each socket of somebody at CONNECT.
pub fn install(hub: &Hub, store: Store, config: Config) -> Worlds {
    let namespace = hub.of("/world");
    let fleet = config.fleet.then(|| fleet::Fleet::new(&namespace));
    let worlds = Worlds(Arc::new(Inner {
        frames: namespace.binary_event("world:frame"),
        counters: figures::Counters::new(),
        spaces: spaces::Spaces::install(&namespace, &store, config.spaces.clone()),
        grounds: land::ground::Grounds::default(),
        config: Arc::new(config),
        namespace,
        store,
        registry: play::Registry::default(),
        pacing: Mutex::default(),
        on_input: OnceLock::new(),
        fleet,
    }));
    play::install(&worlds);
    land::ground::install(&worlds);
    fleet::install(&worlds);
    requests::install(&worlds);
    worlds
}
