//! The engine of worlds, against what is true.

#![allow(clippy::unwrap_used)] // A panic is how a test fails.

mod budgets;
mod golden;
mod hostile;
mod joining;
mod reckoning;
mod relay;
mod sight;
mod support;
mod threads;
