//! A fence around users' code: a panic in it costs what it was about, and never the loop with all its connections.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use crate::handler::LocalFuture;

/// Runs a user's code. `None`: it panicked, and the log says so.
pub(crate) fn caught<R>(what: &'static str, work: impl FnOnce() -> R) -> Option<R> {
    // What the code was changing is its own affair; the hub's state is never borrowed while it runs.
    let done = catch_unwind(AssertUnwindSafe(work));
    if done.is_err() {
        tracing::error!("{what} panicked");
    }
    done.ok()
}

/// The same for code that may wait.
pub(crate) async fn caught_while<R>(what: &'static str, mut work: LocalFuture<R>) -> Option<R> {
    poll_fn(|cx| match caught(what, || work.as_mut().poll(cx)) {
        Some(Poll::Pending) => Poll::Pending,
        Some(Poll::Ready(done)) => Poll::Ready(Some(done)),
        None => Poll::Ready(None),
    })
    .await
}
