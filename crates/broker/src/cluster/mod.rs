//! The cluster contract: what nodes say to each other, its bytes, and who waits for which answer. Sans-IO.
//!
//! A [`Message`] goes to all nodes of a namespace, a [`Response`] back to the one that asked. Three codecs give them the
//! bytes of Node's adapters, so that Node servers and ours stand in one cluster: [`classic`], [`sharded`], [`streams`].
//! [`Requests`] holds what is asked and not yet answered, [`Presence`] who is there.

pub mod classic;
mod envelope;
mod json;
mod limits;
mod message;
mod msgpack;
mod presence;
mod requests;
pub mod sharded;
pub mod streams;

pub use limits::{DecodeError, EncodeError, Limits};
pub use message::{
    Data, EMITTER, Envelope, Flags, Form, Message, Opts, RemoteSocket, RequestId, Response, Uid,
};
pub use presence::{Presence, Rhythm};
pub use requests::{
    Answers, Ask, AskError, Bounds, DEFAULT_TIMEOUT_MS, End, Finished, Others, Requests,
};
