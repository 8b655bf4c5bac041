//! How a link is made, what it tells of itself, and how it fails.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::address::AddressError;
use super::backend::Backend;
use crate::cluster::{EncodeError, Limits};

/// Milliseconds of any one clock. Passed in, because only the server reads one.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// How a link is made.
#[derive(Clone)]
pub struct Config {
    /// Where Redis is; the forms stand with [`AddressError`].
    pub url: String,
    /// One of Node's adapters.
    pub backend: Backend,
    /// What all names begin with: Node's `key` and `channelPrefix`.
    pub key: String,
    /// Answer the asker alone, as Node's `publishOnSpecificResponseChannel`. Classic only; the others always do.
    pub specific_responses: bool,
    /// Streams: hand out one's own entries too, when they are read back in the order that all nodes see.
    pub echo: bool,
    /// Bounds of what others send.
    pub limits: Limits,
    /// Bytes that came in and were not read yet.
    pub max_inbound_bytes: usize,
    /// Bytes that were published and not sent yet.
    pub max_outbound_bytes: usize,
    /// The least and the most wait before connecting again.
    pub backoff: (Duration, Duration),
    /// Wait for a connection.
    pub connect_timeout: Duration,
    /// Wait for Redis to answer; a connection that takes longer is given up.
    pub response_timeout: Duration,
    /// How often a silent connection is asked whether it lives.
    pub ping_interval: Duration,
    /// The time, for [`LinkState`].
    pub clock: Clock,
}

impl Config {
    /// With what Node's adapters use, and bounds of 64 MiB.
    #[must_use]
    pub fn new(url: &str, backend: Backend, clock: Clock) -> Self {
        Self {
            url: url.to_owned(),
            backend,
            key: "socket.io".to_owned(),
            specific_responses: true,
            echo: false,
            limits: Limits::default(),
            max_inbound_bytes: 64 << 20,
            max_outbound_bytes: 64 << 20,
            backoff: (Duration::from_millis(50), Duration::from_secs(1)),
            connect_timeout: Duration::from_secs(3),
            response_timeout: Duration::from_secs(5),
            ping_interval: Duration::from_secs(5),
            clock,
        }
    }
}

impl std::fmt::Debug for Config {
    // The URL may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("backend", &self.backend)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// A link that can't be made.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Of the URL.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The system gave no random bytes.
    #[error("no random bytes for the node's name: {0}")]
    Random(getrandom::Error),
}

/// A message that was not taken.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PublishError {
    /// Redis is away, and this message is of no use later.
    #[error("Redis is away: only this node's sockets are reached")]
    Down,
    /// The queue is full.
    #[error("more is published than Redis takes: try again later")]
    Full,
    /// The link is closed.
    #[error("the link to the other nodes is closed")]
    Closed,
    /// It is to be numbered, and would be no entry of a stream.
    #[error("only what becomes an entry of a stream has a number")]
    Uncounted,
    /// It can't be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// A question to Redis that got no answer.
#[derive(Debug, Error)]
pub enum LinkError {
    /// Redis is away.
    #[error("Redis is away")]
    Down,
    /// The backend has no such thing.
    #[error("only the streams backend has a log and sessions")]
    Unsupported,
    /// What Redis says.
    #[error("Redis: {0}")]
    Redis(#[from] redis::RedisError),
    /// What is stored can't be read.
    #[error("stored in Redis, but not readable: {0}")]
    Decode(#[from] crate::cluster::DecodeError),
}

/// Whether a link reaches the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkState {
    /// It does: connected, and listening to all that is wanted.
    pub up: bool,
    /// Since when, by the clock that was passed in.
    pub since_ms: u64,
    /// Why not, as Redis or the system says.
    pub reason: Option<String>,
}

/// What a link has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Messages handed to Redis.
    pub sent: u64,
    /// Messages lost on the way, because the connection broke or Redis refused them.
    pub lost: u64,
    /// Messages that came in.
    pub received: u64,
    /// Messages dropped because the hub did not read them in time.
    pub dropped: u64,
    /// Messages that were not understood.
    pub undecodable: u64,
    /// Connections made.
    pub connects: u64,
    /// Bytes that wait to be sent.
    pub outbound_bytes: usize,
    /// Bytes that wait to be read.
    pub inbound_bytes: usize,
}
