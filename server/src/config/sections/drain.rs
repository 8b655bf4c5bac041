//! `[drain]`: how the server ends.

use crate::config::section::section;

section! {
    /// How the server ends on SIGTERM or Ctrl-C. A second signal ends it at once.
    Drain as "drain" {
        /// Time over which connections are closed, so that clients come back elsewhere in a trickle. 0: all at once.
        window_ms: u64 = 5_000;
    }
    check |drain, wrong| {
        if drain.window_ms > 3_600_000 {
            wrong.push(("window_ms", "must be at most 3600000 (an hour)".into()));
        }
    };
}
