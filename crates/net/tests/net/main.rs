//! A whole server on loopback sockets, and raw clients.

#![allow(clippy::unwrap_used)] // A panic is how a test fails.

mod support;

mod doors;
mod forward;
mod forward_failures;
mod http_side;
mod loops;
mod polling;
mod pressure;
mod websocket;
mod writing;
