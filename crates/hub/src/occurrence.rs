//! What happens on this node, told to whoever wants to know: hooks to backends, sinks of events, a page that watches.
//!
//! Modules tell with [`Hub::tell`]. A watcher is called on the loop where it happened, and only takes note.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use lakh_wire::Bytes;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::Failure;
use crate::hub::Hub;
use crate::person::Person;
use crate::socket::Socket;

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// A socket came into a namespace.
    Connect,
    /// A socket left its namespace. `data` is `{"reason"}`.
    Disconnect,
    /// A socket joined a room that people know by name.
    Join,
    /// A socket left such a room.
    Leave,
    /// An event was published in a room.
    Message,
    /// Somebody ran into a limit. `data` is `{"limit"}`.
    RateLimit,
    /// Something that a module has a name for: `event`.
    Module,
}

impl What {
    /// The word for it in configuration and in hooks.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Disconnect => "disconnect",
            Self::Join => "join",
            Self::Leave => "leave",
            Self::Message => "message",
            Self::RateLimit => "rate_limit",
            Self::Module => "module",
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Occurrence {
    /// Its kind.
    pub what: What,
    /// The namespace.
    pub namespace: Box<str>,
    /// The module that tells; empty for connections.
    pub module: &'static str,
    /// The room's name as clients know it.
    pub room: Option<Box<str>>,
    /// The socket by which it happened.
    pub socket: Option<Box<str>>,
    /// Who is behind it.
    pub user: Option<Person>,
    /// Name of the event that was published, or that the module has for this.
    pub event: Option<Box<str>>,
    /// What else there is to say; of a published event, its data. Binary values are placeholders.
    pub data: Option<Box<RawValue>>,
    /// The binary values.
    pub attachments: Vec<Bytes>,
    /// The event's number in its room.
    pub seq: Option<u64>,
    /// Milliseconds since 1970.
    pub time_ms: u64,
}

impl Occurrence {
    /// Something that happened in a module, without any particulars yet.
    #[must_use]
    pub fn new(what: What, namespace: &str, module: &'static str, time_ms: u64) -> Self {
        Self {
            what,
            namespace: namespace.into(),
            module,
            room: None,
            socket: None,
            user: None,
            event: None,
            data: None,
            attachments: Vec::new(),
            seq: None,
            time_ms,
        }
    }

    /// Something that happened by a socket.
    #[must_use]
    pub fn by(what: What, socket: &Socket, module: &'static str) -> Self {
        let mut occurrence = Self::new(what, &socket.0.namespace.name, module, socket.now_ms());
        occurrence.socket = Some(socket.id().into());
        occurrence.user = socket.get::<Person>().map(|person| Person::clone(&person));
        occurrence
    }

    /// In a room.
    #[must_use]
    pub fn in_room(mut self, room: &str) -> Self {
        self.room = Some(room.into());
        self
    }

    /// With more to say.
    #[must_use]
    pub fn with_data<T: Serialize + ?Sized>(mut self, data: &T) -> Self {
        self.data = to_raw_value(data).ok();
        self
    }
}

/// Whoever wants to know.
pub trait Watcher: Send + Sync + 'static {
    /// Whether it wants to know of such things at all. Asked before an [`Occurrence`] is put together.
    fn wants(&self, what: What, namespace: &str) -> bool;

    /// It happened. Called on the loop: only takes note.
    fn saw(&self, occurrence: &Arc<Occurrence>);

    /// Is done when what it saw so far stands where it outlives this process. `None`: nobody is to wait for that.
    fn kept(&self) -> Option<Keeping> {
        None
    }
}

/// Until watchers have kept what they saw.
pub type Keeping = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How long an answer waits for watchers.
const PATIENCE: Duration = Duration::from_secs(5);

impl Hub {
    /// Tells one more watcher from now on.
    pub fn watch(&self, watcher: impl Watcher) {
        let watcher: Arc<dyn Watcher> = Arc::new(watcher);
        self.0.watchers.rcu(|watchers| {
            let mut watchers = Vec::clone(watchers);
            watchers.push(Arc::clone(&watcher));
            watchers
        });
    }

    /// Whether anybody wants to know of such things.
    #[must_use]
    pub fn is_watched(&self, what: What, namespace: &str) -> bool {
        let watchers = self.0.watchers.load();
        watchers
            .iter()
            .any(|watcher| watcher.wants(what, namespace))
    }

    /// Waits until the watchers that want to know of such things, and keep them, have kept what they were told so far: then an
    /// answer may promise it. They keep it in the store, and wait for nobody outside.
    ///
    /// # Errors
    /// `not_stored` if the store takes nothing for a while.
    pub async fn told(&self, what: What, namespace: &str) -> Result<(), Failure> {
        let keeping: Vec<_> = {
            let watchers = self.0.watchers.load();
            let wanting = watchers
                .iter()
                .filter(|watcher| watcher.wants(what, namespace));
            wanting.filter_map(|watcher| watcher.kept()).collect()
        };
        if keeping.is_empty() {
            return Ok(());
        }
        let all = async {
            for one in keeping {
                one.await;
            }
        };
        tokio::time::timeout(PATIENCE, all).await.map_err(|_| {
            Failure::new(
                "not_stored",
                "the event was delivered, but the store does not take it for hooks and sinks now; \
                 they hear of it unless this server is killed",
            )
        })
    }

    /// Tells what happened, if anybody wants to know.
    pub fn tell(&self, what: What, namespace: &str, make: impl FnOnce() -> Occurrence) {
        let watchers = self.0.watchers.load();
        let mut wanting = watchers
            .iter()
            .filter(|watcher| watcher.wants(what, namespace))
            .peekable();
        if wanting.peek().is_none() {
            return;
        }
        let occurrence = Arc::new(make());
        for watcher in wanting {
            watcher.saw(&occurrence);
        }
    }
}
