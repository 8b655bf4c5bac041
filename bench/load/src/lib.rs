//! A load generator for any Socket.IO server (Engine.IO 4, WebSocket and for `idle` long polling, JSON parser).
//!
//! One thread and one epoll loop drive all connections. What must hold: the server saturates first, so a received
//! message costs a scan of its frame, a few comparisons and one count, and allocates nothing; latency counts from the
//! moment a message was scheduled, not from when it could be sent, so a server that stalls can't hide it; and each
//! message that should arrive is accounted for, in order. The server's side of the scenarios is written in
//! `bench/README.md`.

mod address;
mod clock;
mod dialect;
mod error;
mod flood;
mod frame;
mod hints;
mod histogram;
mod limits;
mod options;
mod owner;
mod probe;
mod publisher;
mod report;
mod scenario;
mod scout;
mod stamp;
mod swarm;
mod system;
mod tally;

pub use error::LoadError;
pub use options::{
    Burst, Chat, Churn, Command, DEFAULT_URL, Dialect, Echo, Fanout, Idle, Options, Plan, Ramp,
    Reach, Scene, Slow, Storm, Target, Tick, Transport, World, Worlds,
};
pub use report::Report;
pub use scenario::run;
