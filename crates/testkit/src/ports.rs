//! Ports for servers that must be told theirs.

use std::io;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// The system gives those from 32,768 on to whoever connects or listens, and tests do so by the thousand in the seconds
/// that a server takes to bind its own. Nobody is given these, nor those 10,000 above, which clusters of Redis want, too.
const FIRST: u16 = 12_000;
const COUNT: u16 = 10_000;
/// Tests run side by side, each in a process: they begin apart.
const APART: u32 = 61;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A port of 127.0.0.1 that is free, as is the one 10,000 above, and that no other test is given meanwhile.
pub(crate) fn free_port() -> io::Result<u16> {
    let start = std::process::id().wrapping_mul(APART);
    for _ in 0..COUNT {
        let next = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = FIRST + (next % u32::from(COUNT)) as u16;
        if is_free(port) && is_free(port + 10_000) {
            return Ok(port);
        }
    }
    Err(io::Error::other("no free port"))
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}
