//! Hooks against a backend that is slow, fails, hangs, answers late, doubles, and cuts the connection.
#![allow(
    clippy::needless_pass_by_value,
    reason = "tests write `json!({…})` where it is needed"
)]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod asked;
#[path = "../../../../modules/rooms/tests/driver/mod.rs"]
mod driver;
mod node;
mod receiver;
mod sent;
mod taken_over;
