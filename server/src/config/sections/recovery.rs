//! `[recovery]`: what a client that was away gets back.

use crate::config::section::{above_zero, section};
use crate::config::value::words;

words! {
    /// Where a node that is alone keeps what clients may have missed.
    RecoveryLog {
        /// In memory: it ends with the process.
        Memory = "memory",
        /// In the store of the data folder.
        Store = "store",
    }
}

section! {
    /// Connection state recovery: a client that was cut off comes back to its rooms and to what it missed.
    Recovery as "recovery" {
        /// Whether it is on.
        enabled: bool = true;
        /// How long a client may be away.
        window_ms: u64 = 120_000;
        /// Bytes of missed events that each module keeps for all its rooms together; the oldest go first.
        max_bytes: u64 = 64_000_000;
        /// Where a single node keeps missed events and sessions: "memory", or "store" (the file in the data folder), with which
        /// clients come back after a restart or a crash of the server, too. Each event then waits for the disk before it is
        /// delivered. With a Redis the stream is the log, and this stays "memory".
        log: RecoveryLog = RecoveryLog::Memory;
    }
    check |recovery, wrong| {
        above_zero(wrong, &[
            ("window_ms", recovery.window_ms),
            ("max_bytes", recovery.max_bytes),
        ]);
    };
}
