//! Engine.IO, Socket.IO and WebSocket, without IO: bytes in, bytes and events out.
//!
//! Nothing here names a runtime, a clock, a socket or a source of random bytes: time comes in as
//! [`Millis`], ids come in as text. So a test drives an hour of heartbeats in a microsecond, and a fuzzer
//! reaches every state. What an idle connection keeps is a [`ws::Decoder`], an [`engine::Session`] and a
//! [`socketio::Decoder`]: none of them holds a buffer while nothing is under way.
//!
//! Sources: RFC 6455 (WebSocket), RFC 7692 (permessage-deflate), the Engine.IO protocol pages (revisions 3
//! and 4), the Socket.IO protocol page (revision 5), and the behaviour of the Node server where the pages
//! leave a choice.

mod close;
mod encoded;
pub mod engine;
mod json;
mod limits;
mod msgpack;
pub mod socketio;
#[cfg(test)]
mod test_bytes;
mod time;
pub mod ws;

pub use bytes::Bytes;
pub use close::CloseReason;
pub use encoded::{Encoded, control_frame};
pub use limits::Limits;
pub use time::Millis;
