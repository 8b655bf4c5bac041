//! The other doors: hooks to backends, and events from and to message brokers.

pub mod flows;
pub mod hooks;
pub mod lease;
mod told;
