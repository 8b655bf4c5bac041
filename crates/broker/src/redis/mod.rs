//! The cluster over Redis: a [`Link`] a node, with the names and bytes of one of Node's adapters.
//!
//! The client is the crate `redis`. Against `fred`: `redis` had a release a month in 2026 while fred's last was its 10.1;
//! it does sharded pub/sub, clusters and sentinels too; and its RESP3 connection hands messages to a function at once,
//! where fred's go through a broadcast channel that is bounded by their number. Reconnecting is done here all the same, for
//! both libraries would resubscribe without telling what may have been missed. Redis 6.2 is the oldest that will do
//! (RESP3, and ranges that leave out their start); sharded pub/sub needs 7.

mod address;
mod backend;
mod backoff;
mod channels;
mod config;
mod connection;
mod directory;
mod entry;
mod history;
mod inbound;
mod link;
mod queue;
mod reader;
mod script;
mod sessions;
mod worker;

pub use crate::cluster::sharded::Mode;
pub use address::AddressError;
pub use backend::Backend;
pub use config::{Clock, Config, LinkError, LinkState, LinkStats, OpenError, PublishError};
pub use directory::{Announced, Directory, DirectoryConfig, OnConflict};
pub use history::{LogPage, Logged};
pub use inbound::{Event, Gap, Inbound, Received};
pub use link::Link;
pub use sessions::{SessionWrite, TakenOver};
