//! What a hub is built with.

use lakh_wire::engine::SessionConfig;
use lakh_wire::socketio::Parser;
use lakh_wire::{Limits, Millis};

/// The clocks of a hub. The hub reads no clock of its own, so a test can drive hours in microseconds.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds on a clock that never goes back; its zero is arbitrary.
    fn now(&self) -> Millis;
    /// The same clock as [`Clock::now`] in microseconds, for how long something takes. By default no finer than that.
    fn now_us(&self) -> u64 {
        self.now().0.saturating_mul(1_000)
    }
    /// Milliseconds since 1970, for people and logs.
    fn wall_ms(&self) -> u64;
}

/// Bounds on what one connection may hold. Past a bound there is an error for the client and a reason in the log.
#[derive(Clone, Copy, Debug)]
pub struct HubLimits {
    /// Namespaces that one connection may be in.
    pub max_namespaces: usize,
    /// Rooms that one socket may be in, its own not counted.
    pub max_rooms: usize,
    /// Acknowledgements that may be outstanding towards one socket.
    pub max_pending_acks: usize,
    /// Handlers of one socket that may be waiting at the same time. Past it the connection is read no further.
    pub max_running_handlers: usize,
    /// Bytes that may wait for one connection, [`SlowReader`] says what happens past it.
    pub outbox_bytes: usize,
    /// Bytes that may wait in one shard's mailbox. Publishers on other loops read no further until it's below half.
    pub mailbox_bytes: usize,
}

impl Default for HubLimits {
    fn default() -> Self {
        Self {
            max_namespaces: 64,
            max_rooms: 10_000,
            max_pending_acks: 10_000,
            max_running_handlers: 256,
            outbox_bytes: 8 << 20,
            mailbox_bytes: 16 << 20,
        }
    }
}

/// What becomes of a connection whose outbox is full. Volatile events are dropped long before, as in Node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SlowReader {
    /// The connection is closed with the reason `slow reader`; a recoverable client comes back and gets what it missed.
    #[default]
    Disconnect,
    /// What doesn't fit is dropped and counted. Not so the logged events of a recoverable namespace, where a gap would
    /// go unnoticed: there the connection is closed all the same, and its client catches up.
    Drop,
}

/// What a hub is built with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This node's name; its first three characters stand in every session id.
    pub node: String,
    /// Event loops, 1 to 64.
    pub shards: usize,
    /// Bounds of the protocol.
    pub limits: Limits,
    /// Bounds of the hub.
    pub hub_limits: HubLimits,
    /// Heartbeats and upgrades.
    pub engine: SessionConfig,
    /// A connection that joined no namespace within this time is closed.
    pub connect_timeout: Millis,
    /// Slow readers.
    pub slow_reader: SlowReader,
    /// Which parser clients use; `None` finds out from a connection's first packet.
    pub parser: Option<Parser>,
    /// Request headers kept for `Handshake::header`, in lower case. All others are forgotten after the handshake.
    pub keep_headers: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            node: "n1".to_owned(),
            shards: 1,
            limits: Limits::default(),
            hub_limits: HubLimits::default(),
            engine: SessionConfig::default(),
            connect_timeout: Millis(45_000),
            slow_reader: SlowReader::default(),
            parser: None,
            keep_headers: Vec::new(),
        }
    }
}
