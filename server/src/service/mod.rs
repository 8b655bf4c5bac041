//! What backends can have the server do and tell, without a word of HTTP: the HTTP API and GraphQL both stand on this.
//!
//! What must hold: whatever is done or told here was allowed to its caller by the hub's one policy, holds on all nodes
//! of a fleet, and says who was not reached. No request can make the server hold more than a page of anything.

pub mod ask;
pub mod batch;
pub mod caller;
pub mod change;
pub mod chat;
pub mod emit;
pub mod hear;
pub mod history;
pub mod hooks;
pub mod module;
mod names;
pub mod nodes;
pub mod once;
mod others;
pub mod presence;
pub mod problem;
pub mod revocations;
pub mod rooms;
pub mod sockets;
pub mod tokens;
mod values;
pub mod world;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lakh_hub::Hub;
use lakh_rooms::Rooms;
use lakh_store::Store;

use crate::http::Later;
use crate::sign_in::SignIn;

pub use caller::Caller;
pub use others::MissingNodes;
pub use problem::{Kind, Problem, ProblemText};

/// What the service is set up with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whether sockets are in rooms of their people, by which people can be addressed.
    pub people: bool,
    /// Operations in one batch at most.
    pub max_batch: usize,
    /// How long answers of clients may be waited for at most.
    pub max_ack_timeout: Duration,
    /// How long other nodes are waited for.
    pub patience: Duration,
    /// How long the answer to a request with an idempotency key is kept.
    pub idempotency_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            people: true,
            max_batch: 100,
            max_ack_timeout: Duration::from_secs(30),
            patience: Duration::from_secs(2),
            idempotency_ms: 24 * 60 * 60 * 1_000,
        }
    }
}

/// The node that the service runs on.
pub trait Host: Send + Sync + 'static {
    /// Its name.
    fn name(&self) -> &str;

    /// How it is.
    fn report(&self) -> Later<'_, nodes::NodeReport>;

    /// Names of nodes that have said lately that they run, this one perhaps among them. For telling who is missing.
    fn known_names(&self) -> Later<'_, Vec<String>>;

    /// Has it end as by SIGTERM. Says whether it had not begun to already.
    fn drain(&self) -> bool;
}

/// What the service stands on.
pub struct Parts {
    /// Who is connected.
    pub hub: Hub,
    /// What outlives the node, and is shared in a fleet.
    pub store: Store,
    /// Whether other nodes have the same store.
    pub store_is_shared: bool,
    /// The module rooms, where it's served.
    pub rooms: Option<Rooms>,
    /// The chat, where it's served.
    pub chat: Option<lakh_chat::Chat>,
    /// The worlds, where they are served.
    pub worlds: Option<lakh_world::Worlds>,
    /// What tells and asks backends, where some are set up.
    pub hooks: Option<lakh_bridge::hooks::Hooks>,
    /// The node.
    pub host: Arc<dyn Host>,
    /// Keeps what was taken back, where somebody does.
    pub revoker: Option<Arc<dyn revocations::Revoker>>,
    /// Makes tokens, where it has a key that signs.
    pub sign_in: SignIn,
    /// A namespace that every node of the fleet has: where they speak to each other.
    pub common: String,
    /// Milliseconds since 1970.
    pub now_ms: fn() -> u64,
    /// How it is set up.
    pub config: Config,
    /// Who watches rooms that nobody keeps count of.
    pub looks: presence::Looks,
}

/// What backends can have the server do. Cheap to clone.
#[derive(Clone)]
pub struct Service(Arc<Parts>);

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Service({})", self.0.host.name())
    }
}

impl Service {
    /// Puts it together, and answers what other nodes ask from now on.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let service = Self(Arc::new(parts));
        service.listen();
        service
    }

    /// Who is connected to this node.
    #[must_use]
    pub fn hub(&self) -> &Hub {
        &self.0.hub
    }

    /// How it is set up.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        (self.0.now_ms)()
    }

    /// Seconds since 1970.
    #[must_use]
    pub fn now_s(&self) -> u64 {
        self.now_ms() / 1_000
    }

    fn rooms(&self) -> Option<&Rooms> {
        self.0.rooms.as_ref()
    }

    fn host(&self) -> &dyn Host {
        &*self.0.host
    }
}
