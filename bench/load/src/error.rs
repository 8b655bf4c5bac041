//! Why a run ended without a report.

use std::io;

use thiserror::Error;

/// Why a run ended without a report.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The URL isn't one that this tool can use.
    #[error("can't use the URL {url}: {reason}; it looks like http://127.0.0.1:3000/socket.io/")]
    Url {
        /// As given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An option doesn't fit another.
    #[error("{0}")]
    Options(String),
    /// The operating system refused something.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// Not every connection came up, so figures would say nothing.
    #[error(
        "{failed} of {wanted} connections failed (the first: {first}); see `plan` for limits of this machine, and the server's log"
    )]
    Connect {
        /// How many failed.
        failed: usize,
        /// How many were wanted.
        wanted: usize,
        /// What the first one met.
        first: String,
    },
    /// Rooms weren't joined.
    #[error(
        "the server did not acknowledge joining rooms: {0}; does it speak the protocol of bench/README.md?"
    )]
    Join(String),
    /// The process can't be measured.
    #[error("can't measure process {pid}: {source}; is --pid the server's, on this machine?")]
    Probe {
        /// As given.
        pid: u32,
        /// Why not.
        source: io::Error,
    },
    /// Nothing came back where something must.
    #[error("no answer from the server: {0}")]
    Silent(String),
}

impl LoadError {
    /// For `map_err` around system calls.
    pub(crate) fn system<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::System {
            what,
            source: source.into(),
        }
    }
}
