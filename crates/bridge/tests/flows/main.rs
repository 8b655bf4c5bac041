//! Sources and sinks against real brokers that the tests start, restart and kill, while nodes die.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod brokers;
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "kafka")]
mod mock;
mod nodes;
mod sinks;
mod sources;
