//! The other doors: hooks to backends, and events from and to message brokers.

pub mod hooks;
pub mod flows;
pub mod lease;
