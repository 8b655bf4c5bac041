//! What to do when accepting fails.
//!
//! Invariants: an error of one connection never ends the listener, and one that lasts never spins.
//!
//! When descriptors run out (EMFILE and its like) the listener rests for [`BACK_OFF_MS`] as nginx does, and the
//! waiting connections stay in the kernel's queue until some are free. The other school (libuv) keeps a descriptor
//! in reserve to accept and close them at once; but clients of this server come back when they are cut, so that
//! would turn a full server into a storm of handshakes. A connection cap below the limit of descriptors, which
//! answers with 503 and `Retry-After`, is the polite way to be full; this here is the last resort.
//!
//! Sources: accept(2); nginx `ngx_event_accept.c`.

use std::io;

/// How long accepting rests when the system has no room.
pub const BACK_OFF_MS: u64 = 100;

/// What to do about an error of accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptAction {
    /// That connection is gone; take the next.
    Next,
    /// The system has no room: rest this many milliseconds, then go on.
    BackOff {
        /// [`BACK_OFF_MS`].
        ms: u64,
        /// Whether to log it, with how many went unlogged since the last time.
        log: Option<u64>,
    },
    /// The listener itself is broken.
    Fatal,
}

/// Decides about errors of accept, and keeps the log to a line a period.
#[derive(Clone, Copy, Debug, Default)]
pub struct AcceptErrors {
    logged_at_ms: Option<u64>,
    unlogged: u64,
}

/// A full server meets the same error ten times a second.
const LOG_PERIOD_MS: u64 = 10_000;

impl AcceptErrors {
    /// Says what to do about `error`.
    pub fn decide(&mut self, error: &io::Error, now_ms: u64) -> AcceptAction {
        match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
                AcceptAction::BackOff {
                    ms: BACK_OFF_MS,
                    log: self.log(now_ms),
                }
            }
            // The listener was closed, never listened, or is no socket.
            Some(libc::EBADF | libc::EINVAL | libc::ENOTSOCK | libc::EFAULT) => AcceptAction::Fatal,
            _ if is_of_one_connection(error) => AcceptAction::Next,
            // Unknown, so it may last.
            _ => AcceptAction::BackOff {
                ms: BACK_OFF_MS,
                log: self.log(now_ms),
            },
        }
    }

    fn log(&mut self, now_ms: u64) -> Option<u64> {
        let quiet = self
            .logged_at_ms
            .is_some_and(|at| now_ms.saturating_sub(at) < LOG_PERIOD_MS);
        if quiet {
            self.unlogged += 1;
            return None;
        }
        self.logged_at_ms = Some(now_ms);
        Some(std::mem::take(&mut self.unlogged))
    }
}

/// Linux reports errors that already wait on the new connection as errors of accept (accept(2), "Error handling").
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted
    ) || matches!(
        error.raw_os_error(),
        Some(
            libc::EPERM
                | libc::EPROTO
                | libc::ENETDOWN
                | libc::ENOPROTOOPT
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::EOPNOTSUPP
                | libc::ENETUNREACH
                | libc::ECONNRESET
                | libc::ETIMEDOUT
        )
    )
}
