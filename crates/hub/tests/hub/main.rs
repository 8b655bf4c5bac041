//! The hub from outside: packets in, packets out, under virtual time.

#![allow(clippy::unwrap_used)] // A panic is how a test fails.

mod support;

mod access;
mod acks;
mod binary;
mod broadcast;
mod close;
mod connect;
mod events;
mod fleet;
mod gate;
mod kept_log;
mod limited;
mod listen;
mod model;
mod namespaces;
mod occurrence;
mod panics;
mod protocols;
mod recovery;
mod recovery_more;
mod recovery_shards;
mod rooms;
mod shards;
mod sign_in;
mod slow;
mod trouble;
