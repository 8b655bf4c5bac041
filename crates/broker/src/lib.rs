//! How nodes talk to each other: the cluster contract and its backends.
//!
//! A [`Channel`] is one namespace's stream of broadcasts. Publishing gives a broadcast its [`Position`], writes it into
//! the room log if the namespace is recoverable, and hands it on, all under one lock: so every receiver in the node
//! sees the broadcasts of a channel in the order of their positions, and a client that was away can be given exactly
//! what lies after the last position it saw.
//!
//! That is a single node, whose log is in memory. For a fleet, [`cluster`] has what nodes say to each other, and
//! [`redis`](mod@redis) carries it.

mod channel;
pub mod cluster;
mod log;
pub mod redis;

pub use channel::{Channel, Position, PositionText};
pub use log::{Entry, LogLimits, LogStats, ReadError};

/// What makes an entry stand in a log once, however often it is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// Who publishes it. Ids are told apart within this.
    pub scope: Box<str>,
    /// What the entry is told apart by: the same when it is published again.
    pub id: Box<str>,
    /// How long that is remembered, in milliseconds.
    pub keep_ms: u64,
}

/// A room's name, shared by all who hold it.
pub type Room = std::sync::Arc<str>;

/// Hashes names that strangers choose. Seeded at random: nobody can foresee which names fall into one place of a table,
/// and make it slow with them.
pub type NameHasher = foldhash::fast::RandomState;
