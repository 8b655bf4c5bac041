//! The numbers of a node at one moment. Whoever runs the sockets fills it; metrics and the API only read it.
//!
//! Counters are totals since the start and never go down. Maps are keyed by words from a fixed set or by configured
//! namespaces, never by anything that a client chose.

use std::collections::BTreeMap;

use lakh_bridge::flows::Figures;
use lakh_bridge::hooks::{EndpointStatus, GateStatus};

use crate::files::FileFigures;

/// Numbers by word.
pub type ByWord = BTreeMap<&'static str, u64>;

/// The numbers of a node at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// Name of the node.
    pub node: String,
    /// When it started, in milliseconds since 1970.
    pub started_at_ms: u64,
    /// How long it has run.
    pub uptime_ms: u64,
    /// Event loops.
    pub loops: u64,
    /// Those of them that write through io_uring.
    pub io_uring_loops: u64,
    /// How long the slowest event loop took to get to something new, just now.
    pub loop_lag_ms: u64,
    /// Open network connections, those of HTTP requests among them.
    pub open_streams: u64,
    /// Sessions on WebSocket.
    pub connections_websocket: u64,
    /// Sessions on long polling.
    pub connections_polling: u64,
    /// Sockets: a connection has one in each of its namespaces.
    pub sockets: u64,
    /// Rooms, without those that are a socket's own.
    pub rooms: u64,
    /// By namespace. Many namespaces of a pattern are one entry, under the pattern's name.
    pub namespaces: Vec<NamespaceCount>,
    /// Messages from clients.
    pub messages_in: u64,
    /// Messages to clients, one for each receiver.
    pub messages_out: u64,
    /// Events that were refused: by a rule, or because no handler could read them.
    pub messages_refused: u64,
    /// Bytes of messages from clients.
    pub bytes_in: u64,
    /// Bytes of messages to clients.
    pub bytes_out: u64,
    /// Sessions made.
    pub sessions_opened: u64,
    /// Sessions closed, by reason ("ping timeout", "transport close", …).
    pub sessions_closed: ByWord,
    /// Handshakes refused, by reason ("rate", "full", "origin", …).
    pub handshakes_refused: ByWord,
    /// Requests passed on to other nodes: their kind, what came of it, how many.
    pub forwarded: Vec<(&'static str, &'static str, u64)>,
    /// Those that are open now, by kind.
    pub forwarding: ByWord,
    /// Limits that were run into: whose, which, how often. Empty where none are set.
    pub limits_hit: Vec<(&'static str, &'static str, u64)>,
    /// Acts that somebody had no right to: module, act, how often.
    pub acts_refused: Vec<(&'static str, &'static str, u64)>,
    /// Sign-ins that were refused: where, why, how often.
    pub sign_ins_refused: Vec<(&'static str, &'static str, u64)>,
    /// Tokens, sign-ins and persons that are taken back now.
    pub revocations: u64,
    /// Sockets that were thrown out by them.
    pub sockets_revoked: u64,
    /// Packets dropped for slow readers, by policy ("volatile", "slow_reader", "conflated").
    pub packets_dropped: ByWord,
    /// Sessions that came back with what they missed, and those that could not.
    pub recoveries: ByWord,
    /// What is kept for clients that come back, by namespace.
    pub recovery_logs: Vec<LogCount>,
    /// The store.
    pub store: StoreCount,
    /// The link to the other nodes, in a fleet.
    pub broker: Option<BrokerCount>,
    /// Endpoints that are told what happened.
    pub hooks: Vec<EndpointStatus>,
    /// Hooks that are asked first.
    pub gates: Vec<GateStatus>,
    /// Sources of events.
    pub sources: Vec<Figures>,
    /// Sinks of events.
    pub sinks: Vec<Figures>,
    /// The chat, where it's served.
    pub chat: Option<ChatCount>,
    /// The worlds, where they are served.
    pub world: Option<lakh_world::Figures>,
}

/// What the chat and its files have done.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChatCount {
    /// Requests and messages.
    pub chat: lakh_chat::Figures,
    /// Files that came and went.
    pub files: FileFigures,
}

/// What the recovery log of one namespace holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogCount {
    /// The namespace.
    pub namespace: String,
    /// Events kept.
    pub entries: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// How far they reach back.
    pub reach_ms: u64,
}

/// How the store is doing. Totals since the start, but for what waits and the sizes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreCount {
    /// Whether writes are expected to work.
    pub ok: bool,
    /// Transactions.
    pub commits: u64,
    /// Batches of changes written; one transaction takes many.
    pub writes: u64,
    /// Batches refused or failed.
    pub writes_failed: u64,
    /// Reads answered.
    pub reads: u64,
    /// Reads and writes turned away because too many waited.
    pub refused: u64,
    /// Reads and writes that wait now.
    pub waiting: u64,
    /// Size of the file.
    pub file_bytes: u64,
    /// Size of the write-ahead log beside it.
    pub wal_bytes: u64,
}

/// How the link to the other nodes is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BrokerCount {
    /// Whether they are reached.
    pub up: bool,
    /// How long it has been so.
    pub state_ms: u64,
    /// Messages to other nodes that Redis took.
    pub sent: u64,
    /// Messages that came from Redis.
    pub received: u64,
    /// Messages lost, by reason ("connection", "overflow", "undecodable").
    pub lost: ByWord,
    /// How often entries of the stream were gone before they were read here.
    pub gaps: u64,
    /// Connections made.
    pub connects: u64,
    /// Bytes that wait to be sent.
    pub outbound_bytes: u64,
    /// Bytes that came and wait to be delivered.
    pub inbound_bytes: u64,
    /// Other nodes; `None` while Redis can't tell.
    pub other_nodes: Option<u64>,
}

/// What one namespace holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamespaceCount {
    /// Its name, such as "/chat".
    pub name: String,
    /// Sockets in it.
    pub sockets: u64,
    /// Rooms in it, without those that are a socket's own.
    pub rooms: u64,
}
