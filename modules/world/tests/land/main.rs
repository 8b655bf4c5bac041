//! The land of a world, over its public API alone: what a client has is what there is.
#![allow(clippy::unwrap_used)] // A panic is how a test fails.

mod golden;
mod hostile;
mod scene;
mod walks;
