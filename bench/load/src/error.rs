//! Why a run ended without a report.

use std::io;

use thiserror::Error;

use crate::hints;

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
    /// Nobody listens there.
    #[error(
        "nothing answers at {url}: {source}\nStart a server there, for example with `lakh serve`, or name another with --url"
    )]
    Absent {
        /// As given, or the default.
        url: String,
        /// Why not.
        source: io::Error,
    },
    /// Something else listens there.
    #[error("no Socket.IO server at {url}: {reason}")]
    Stranger {
        /// As given, or the default.
        url: String,
        /// What it did instead.
        reason: String,
    },
    /// The server has no place for even one more.
    #[error("{url} answered {answer}\n{hint}")]
    TurnedAway {
        /// As given, or the default.
        url: String,
        /// Its status line.
        answer: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// The namespace isn't there, or doesn't let us in.
    #[error("the namespace {namespace} refuses: {message}\n{hint}")]
    Refused {
        /// As given.
        namespace: String,
        /// What it said.
        message: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// The server has no protocol for rooms that we speak.
    #[error(
        "the server answers neither `room:join` (Lakh's rooms, on the namespace /) nor `join` (ten lines of handlers, see \
         bench/README.md) in the namespace {0}\nWithout either, `idle --rooms 0` and `storm --rooms 0` still measure it"
    )]
    NoRooms(String),
    /// Not every connection came up, so figures would say nothing.
    #[error(
        "{failed} of {wanted} connections failed; the first: {first}\n{}",
        hints::connecting(first)
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
    #[error("the server doesn't let clients join rooms: {0}")]
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
    /// Whether it was asked wrongly, rather than that something failed.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Url { .. } | Self::Options(_))
    }

    /// For `map_err` around system calls.
    pub(crate) fn system<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::System {
            what,
            source: source.into(),
        }
    }
}
