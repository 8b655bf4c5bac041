//! Who is here: sessions, namespaces, rooms, fan-out, acknowledgements, recovery; the API that users program against.
//!
//! [`Hub`] is everything that is connected to a node; [`Namespace`] what is registered and who is broadcast to;
//! [`Socket`] one client in one namespace. Each event loop owns a [`Shard`]: its connections, and the members of rooms
//! among them. What crosses loops goes through their mailboxes, in order.
//!
//! The hub knows nothing of TCP or HTTP. Who moves the bytes (`lakh-net`, or a test) drives the shard: tells it what
//! arrived, and writes out the outboxes of the sessions that it calls dirty.

mod access;
mod ack;
mod args;
mod attempts;
mod binary;
mod caught;
mod cluster;
mod engine_io;
mod event;
mod fields;
mod gate;
mod handler;
mod handshake;
mod hub;
mod ids;
mod kept;
mod later;
mod listen;
mod look;
mod mailbox;
mod namespace;
mod occurrence;
mod operator;
mod outbox;
mod outgoing;
mod pace;
mod payload;
mod person;
pub mod presence;
mod publish;
mod recovery;
mod refusals;
mod request;
mod settings;
pub mod shard;
mod sieve;
mod sign_in;
mod socket;
mod stats;
mod table;
mod wheel;

pub use ack::{Ack, AckError, AckFuture, BroadcastAckFuture, BroadcastAcks};
pub use args::{ArgsError, Binary};
pub use attempts::Attempts;
pub use binary::BinaryEvent;
pub use cluster::{ClusterState, JoinError, Missing, ServerEvent, ServerSideAcks};
pub use engine_io::{EngineHandlers, EngineSocket};
pub use event::{Event, EventRef, FromEvent};
pub use fields::{Beside, Fields, or_default, read_object};
pub use gate::{Asking, Gate, Passed, Verdict, Wish};
pub use handler::{Handler, IntoHandler};
pub use handshake::Handshake;
pub use hub::Hub;
pub use ids::{Id, MAX_SHARDS, NodeTag};
pub use lakh_auth as auth;
pub use lakh_broker::{LogLimits, LogStats, Once, Room, redis};
pub use lakh_store as store;
pub use lakh_wire::engine::{Message, SessionConfig, Transport};
pub use lakh_wire::socketio::Parser;
pub use lakh_wire::{Bytes, CloseReason, Limits, Millis};
pub use later::Later;
pub use listen::{Heard, Listener};
pub use look::Look;
pub use mailbox::{Full, Queue};
pub use namespace::{ConnectError, Namespace, ParentNamespace, RoomEvent};
pub use occurrence::{Keeping, Occurrence, Watcher, What};
pub use operator::{EmitError, FetchedSockets, Operator, RemoteSocket};
pub use outbox::{Item, Outbox, Signals};
pub use pace::Pace;
pub use payload::Payload;
pub use person::Person;
pub use refusals::Refusals;
pub use request::{Failure, answer};
pub use settings::{Clock, HubLimits, Settings, SlowReader};
pub use shard::Shard;
pub use sieve::{FILTER_MARK, Sieve, Traits};
pub use socket::{FlaggedSocket, Socket, TimedSocket};
pub use stats::{CLOSE_REASONS, Count, Stats};
pub use table::write_object;
