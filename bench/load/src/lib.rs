//! A load generator for any Socket.IO server (Engine.IO 4 over WebSocket, JSON parser).
//!
//! One thread and one epoll loop drive all connections. What must hold: the server saturates first, so a received
//! message costs a scan of its frame, a few comparisons and one count, and allocates nothing; latency counts from the
//! moment a message was scheduled, not from when it could be sent, so a server that stalls can't hide it; and each
//! message that should arrive is accounted for, in order. The server's side of the scenarios is written in
//! `bench/README.md`.

mod clock;
mod dialect;
mod error;
mod flood;
mod frame;
mod histogram;
mod limits;
mod options;
mod probe;
mod publisher;
mod report;
mod scenario;
mod stamp;
mod swarm;
mod tally;

pub use error::LoadError;
pub use options::{
    Burst, Command, Dialect, Echo, Fanout, Idle, Options, Plan, Ramp, Slow, Storm, Target, Tick,
};
pub use report::Report;
pub use scenario::run;
