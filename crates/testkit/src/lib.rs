//! For tests only: a virtual clock, raw clients, and real servers as child processes.
//!
//! The clients here are written against the specifications and share no code with the server, so that a mistake in
//! `wire` is not made twice. They are blocking and small: a test says which bytes go out, and in which order.
//! Every wait has a bound ([`BOUND`]), so that a hang becomes an error that names what was awaited.

mod clock;
mod hex;
mod http;
mod lines;
pub mod nats;
mod net;
mod noise;
mod polling;
mod ports;
mod process;
pub mod rabbit;
pub mod redis;
mod socketio;
mod ws;

use std::time::Duration;

pub use clock::VirtualClock;
pub use hex::{from_hex, to_hex};
pub use http::{Response, exchange, get, read_response};
pub use net::{connect, connect_from, raise_descriptor_limit, source_address};
pub use noise::Noise;
pub use polling::PollingClient;
pub use process::{Program, Server};
pub use socketio::{Event, SocketClient};
pub use ws::{Frame, Opcode, WsClient};

/// The longest that anything here waits for the other side. Generous: it only tells a hang from slowness.
pub const BOUND: Duration = Duration::from_secs(60);
