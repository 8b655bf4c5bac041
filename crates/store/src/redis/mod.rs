//! The backend in Redis: one thread that writes and a few that read, as with the file, and scripts that do in one moment what a
//! transaction does there. Several nodes may use one Redis.
//!
//! docs/storage.md describes the keys and what an acknowledged write survives.

mod address;
mod decode;
mod encode;
mod fault;
mod keys;
mod link;
mod reader;
mod scripts;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redis::ConnectionInfo;
use tokio::sync::oneshot;

use self::address::Target;
use self::link::{Link, Refusal};
use self::reader::Reader;
use self::writer::Writer;
use crate::batch::Batch;
use crate::error::{OpenError, ReadError, WriteError};
use crate::front::{Answered, Front, Written};
use crate::health::Health;
use crate::limits::MAX_NAME_BYTES;
use crate::query::Query;
use crate::queue::Bounds;

/// Settings of the Redis backend.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// What the names of all keys begin with. Without a hash tag of its own (`{…}`) it gets `{store}:` behind it: all keys of a
    /// store lie in one slot of a Redis Cluster, because a batch may touch any of them.
    pub prefix: String,
    /// Connections that read; at least 1.
    pub readers: usize,
    /// Most batches that may wait; more are turned away as [`WriteError::Busy`].
    pub write_queue: usize,
    /// Most bytes in the batches that wait.
    pub write_queue_bytes: usize,
    /// Most reads that may wait; more are turned away as [`ReadError::Busy`].
    pub read_queue: usize,
    /// Most batches that are sent in one go.
    pub group: usize,
    /// Most bytes in one go (one larger batch is still taken).
    pub group_bytes: usize,
    /// How long making a connection may take.
    pub connect_timeout_ms: u64,
    /// How long Redis may be silent before its answer is given up: writes are then [`WriteError::Unknown`].
    pub answer_timeout_ms: u64,
    /// How many replicas must have a write before it is acknowledged (Redis's `WAIT`); 0 leaves it to the server alone.
    pub replicas: usize,
    /// Opening fails when Redis can't be reached. Otherwise the store opens, is unavailable, and goes on trying.
    pub must_connect: bool,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            prefix: "lakh:".to_owned(),
            readers: 2,
            write_queue: 32_768,
            write_queue_bytes: 64 << 20,
            read_queue: 8192,
            group: 1024,
            group_bytes: 8 << 20,
            connect_timeout_ms: 2000,
            answer_timeout_ms: 3000,
            replicas: 0,
            must_connect: true,
        }
    }
}

impl RedisOptions {
    /// Says what is wrong with a URL or with these options, without connecting.
    ///
    /// # Errors
    /// [`OpenError::Address`], without the password.
    pub fn check(&self, url: &str) -> Result<(), OpenError> {
        Target::parse(url).map_err(|detail| OpenError::Address { detail })?;
        Settings::new(self).map(drop)
    }
}

/// What all connections of a store have in common.
pub(crate) struct Settings {
    prefix: String,
    mark_key: String,
    write_script: String,
    read_script: String,
    connect_timeout: Duration,
    answer_timeout: Duration,
    replicas: usize,
}

impl Settings {
    fn new(options: &RedisOptions) -> Result<Self, OpenError> {
        if options.prefix.len() > MAX_NAME_BYTES {
            let detail = format!("its prefix has more than {MAX_NAME_BYTES} bytes");
            return Err(OpenError::Address { detail });
        }
        let prefix = keys::tagged(&options.prefix);
        // Sockets take a time-out of 0 for none at all.
        let timeout = |ms: u64| Duration::from_millis(ms.max(1));
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|error| OpenError::Address {
            detail: format!("the system gives no random bytes ({error})"),
        })?;
        Ok(Self {
            mark_key: format!("{prefix}writer:{:032x}", u128::from_ne_bytes(id)),
            prefix,
            write_script: scripts::write(),
            read_script: scripts::read(),
            connect_timeout: timeout(options.connect_timeout_ms),
            answer_timeout: timeout(options.answer_timeout_ms),
            replicas: options.replicas,
        })
    }
}

/// Whether there is a server to talk to. The writer decides; readers follow, and tell it what they meet.
enum State {
    Up {
        /// Counts the writer's connections.
        generation: u64,
        server: Box<ConnectionInfo>,
    },
    Down {
        generation: u64,
        reason: Arc<str>,
    },
}

pub(crate) struct Shared {
    front: Arc<Front>,
    state: Mutex<State>,
}

impl Shared {
    fn up(&self) -> Option<(u64, ConnectionInfo)> {
        match &*self.state.lock() {
            State::Up { generation, server } => Some((*generation, (**server).clone())),
            State::Down { .. } => None,
        }
    }

    fn down(&self) -> Option<Arc<str>> {
        match &*self.state.lock() {
            State::Up { .. } => None,
            State::Down { reason, .. } => Some(reason.clone()),
        }
    }

    fn rise(&self, server: ConnectionInfo) {
        tracing::info!(place = %self.front.place, server = %server.addr(), "the store is connected");
        let mut state = self.state.lock();
        let (State::Up { generation, .. } | State::Down { generation, .. }) = &*state;
        let generation = generation + 1;
        let server = Box::new(server);
        *state = State::Up { generation, server };
        drop(state);
        self.front.set_health(Health::Ok);
    }

    fn fall(&self, reason: Arc<str>) {
        self.front.impair(&reason);
        let mut state = self.state.lock();
        let (State::Up { generation, .. } | State::Down { generation, .. }) = *state;
        *state = State::Down { generation, reason };
    }

    /// A reader's `fall`; it counts only for the connection that the reader followed.
    fn suspect(&self, seen: u64, reason: &Arc<str>) {
        if matches!(&*self.state.lock(), State::Up { generation, .. } if *generation == seen) {
            self.fall(reason.clone());
        }
    }
}

/// A store in Redis. Dropping it closes it in the background.
pub(crate) struct Redis {
    shared: Arc<Shared>,
}

impl Redis {
    pub(crate) fn open(url: &str, options: &RedisOptions) -> Result<Self, OpenError> {
        let target = Target::parse(url).map_err(|detail| OpenError::Address { detail })?;
        let settings = Arc::new(Settings::new(options)?);
        if url.starts_with("rediss") {
            // The process may have chosen one already; then that is taken.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let place = format!("redis {target} {}", settings.prefix);
        let link = first_link(&target, &settings, options.must_connect, &place)?;
        let writes = Bounds {
            items: options.write_queue,
            bytes: options.write_queue_bytes,
        };
        let front = Arc::new(Front::new(place, writes, options.read_queue));
        let shared = Arc::new(Shared {
            front,
            state: Mutex::new(State::Down {
                generation: 0,
                reason: "not connected yet".into(),
            }),
        });
        let store = Self {
            shared: shared.clone(),
        };
        let link = match link {
            Ok(link) => {
                shared.rise(link.server.clone());
                Some(link)
            }
            Err(reason) => {
                shared.fall(reason);
                None
            }
        };
        store.start(target, &settings, options, link)?;
        Ok(store)
    }

    fn start(
        &self,
        target: Target,
        settings: &Arc<Settings>,
        options: &RedisOptions,
        link: Option<Link>,
    ) -> Result<(), OpenError> {
        let server = target.to_string();
        let io = |error: std::io::Error| OpenError::Unreachable {
            server: server.clone(),
            detail: error.to_string(),
        };
        let mut readers = Vec::new();
        for _ in 0..options.readers.max(1) {
            let reader = Reader {
                settings: settings.clone(),
                shared: self.shared.clone(),
            };
            let thread = thread::Builder::new().name("lakh-store-read".to_owned());
            readers.push(thread.spawn(move || reader.run()).map_err(io)?);
        }
        let writer = Writer {
            target,
            settings: settings.clone(),
            shared: self.shared.clone(),
            group: Bounds {
                items: options.group,
                bytes: options.group_bytes,
            },
            readers,
            link,
            backoff: writer::BACKOFF,
            next_try: Instant::now(),
        };
        let thread = thread::Builder::new().name("lakh-store-write".to_owned());
        thread.spawn(move || writer.run()).map_err(io)?;
        Ok(())
    }

    pub(crate) fn front(&self) -> &Front {
        &self.shared.front
    }

    /// What waits for Redis while it is away would only wait: it is told at once.
    fn away(&self) -> Option<Arc<str>> {
        self.shared
            .down()
            .filter(|_| !self.shared.front.writes.is_closed())
    }

    pub(crate) fn write(&self, batch: Batch) -> Result<oneshot::Receiver<Written>, WriteError> {
        if let Some(reason) = self.away() {
            self.shared.front.counters.refused_write();
            return Err(WriteError::Unavailable(reason));
        }
        self.shared.front.write(batch)
    }

    pub(crate) fn read(
        &self,
        now_ms: u64,
        queries: Vec<Query>,
    ) -> Result<oneshot::Receiver<Answered>, ReadError> {
        match self.away() {
            Some(reason) => Err(ReadError::Unavailable(reason)),
            None => self.shared.front.read(now_ms, queries),
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.shared.front.shut();
    }
}

/// The first connection, or why there is none if that is no reason not to open.
fn first_link(
    target: &Target,
    settings: &Settings,
    must_connect: bool,
    place: &str,
) -> Result<Result<Link, Arc<str>>, OpenError> {
    match link::connect(target, settings) {
        Ok(link) => Ok(Ok(link)),
        Err(Refusal::Format(found)) => Err(OpenError::NewerFormat {
            path: PathBuf::from(place),
            found: i64::try_from(found).unwrap_or(i64::MAX),
            supported: scripts::FORMAT as i64,
        }),
        Err(Refusal::Other(reason)) if must_connect => Err(OpenError::Unreachable {
            server: target.to_string(),
            detail: reason.to_string(),
        }),
        Err(Refusal::Other(reason)) => Ok(Err(reason)),
    }
}
