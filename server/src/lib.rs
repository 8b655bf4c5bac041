//! The server: configuration, command line, telemetry, life cycle and HTTP API. It puts everything together.
//!
//! The binary `lakh` is a call of this library, so that each part is tested without a process.

// The build without tests is linted too, so this hides nothing of the server itself.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

pub mod cli;
pub mod commands;
pub mod config;
pub mod console;
pub mod files;
pub mod graphql;
pub mod http;
pub mod life_cycle;
pub mod mode;
pub mod node;
pub mod service;
pub mod service_manager;
pub mod sign_in;
pub mod telemetry;
