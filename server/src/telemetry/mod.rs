//! What the server says about itself: logs and numbers.

mod access_metrics;
mod chat_metrics;
mod flow_metrics;
mod hook_metrics;
pub mod log_writer;
pub mod logs;
pub mod metrics;
pub mod process;
pub mod snapshot;
mod text;
mod world_metrics;
