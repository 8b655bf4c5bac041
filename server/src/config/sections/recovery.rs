//! `[recovery]`: what a client that was away gets back.

use crate::config::section::{above_zero, section};

section! {
    /// Connection state recovery: a client that was cut off comes back to its rooms and to what it missed.
    Recovery as "recovery" {
        /// Whether it is on.
        enabled: bool = true;
        /// How long a client may be away.
        window_ms: u64 = 120_000;
        /// Bytes of missed events that each module keeps for all its rooms together; the oldest go first.
        max_bytes: u64 = 64_000_000;
    }
    check |recovery, wrong| {
        above_zero(wrong, &[
            ("window_ms", recovery.window_ms),
            ("max_bytes", recovery.max_bytes),
        ]);
    };
}
