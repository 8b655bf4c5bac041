//! Logs: one line an event on standard error, as text or JSON.

use std::io::IsTerminal as _;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use super::log_writer::{self, Flushed};
use crate::config::{Log, LogFormat};

/// Why nothing can be logged.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The variable is no filter.
    #[error("RUST_LOG: {0}")]
    RustLog(String),
    /// The thread that writes them can't be started.
    #[error("no thread for the logs: {0}")]
    Thread(#[from] std::io::Error),
    /// Somebody was first.
    #[error("logs are set up already: {0}")]
    Twice(#[from] TryInitError),
}

/// Sets the process's logs up. `rust_log` is the variable RUST_LOG, which wins over the settings where it is set. What
/// is given back is kept until the end: it waits for the last lines.
pub fn init(log: &Log, rust_log: Option<&str>) -> Result<Flushed, LogError> {
    let filter = filter(log, rust_log)?;
    // The name of a part of the program says nothing to a person, until they look for something.
    let detailed = filter
        .max_level_hint()
        .is_none_or(|level| level > LevelFilter::INFO);
    let (writer, flushed) = log_writer::start(std::io::stderr())?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // Colours are for people: a file or a log collector would get the escape codes.
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(writer);
    match log.format {
        LogFormat::Text => builder.with_target(detailed).finish().try_init()?,
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .finish()
            .try_init()?,
    }
    std::panic::set_hook(Box::new(|panic| {
        // As one line of the log, which may be JSON, and in its order.
        tracing::error!(
            thread = std::thread::current().name(),
            "a panic, which is a fault in the server: {panic}"
        );
    }));
    Ok(flushed)
}

fn filter(log: &Log, rust_log: Option<&str>) -> Result<EnvFilter, LogError> {
    let text = match rust_log {
        Some(text) if !text.trim().is_empty() => text,
        _ => &log.level,
    };
    EnvFilter::builder()
        .parse(text)
        .map_err(|error| LogError::RustLog(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_wins_where_it_says_something() {
        let log = Log::default();
        let shown = |variable| filter(&log, variable).unwrap().to_string();
        assert_eq!(shown(None), "info");
        assert_eq!(shown(Some("")), "info");
        assert_eq!(shown(Some("lakh=debug")), "lakh=debug");
        assert!(filter(&log, Some("a=b=c")).is_err());
    }
}
