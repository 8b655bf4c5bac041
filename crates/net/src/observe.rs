//! What can be seen of a running server's sockets.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::forward::ForwardCount;
use crate::shared::{REFUSALS, Shared};

/// What the sockets count, from the start on.
#[derive(Clone, Debug, Default)]
pub struct NetStats {
    /// Connections open now.
    pub connections: usize,
    /// Connections accepted.
    pub accepted: u64,
    /// Bytes of messages and payloads received.
    pub bytes_in: u64,
    /// Bytes of messages and payloads sent.
    pub bytes_out: u64,
    /// Loops that write through io_uring.
    pub io_uring_loops: usize,
    /// Connections and handshakes refused, by reason.
    pub refused: Vec<(&'static str, u64)>,
    /// Requests forwarded to other nodes.
    pub forwarded: Vec<ForwardCount>,
    /// Forwarded requests and WebSockets that are open now, by kind.
    pub forwarding: Vec<(&'static str, usize)>,
}

/// A view on a running server's sockets, for metrics.
#[derive(Clone, Debug)]
pub struct Observer(Arc<Shared>);

impl Observer {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self(Arc::clone(shared))
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> NetStats {
        let counters = &self.0.counters;
        let refused = REFUSALS
            .iter()
            .zip(&counters.refused)
            .map(|(why, count)| (*why, count.load(Ordering::Relaxed)));
        NetStats {
            connections: self.0.cap.open(),
            accepted: counters.accepted.load(Ordering::Relaxed),
            bytes_in: counters.loops.iter().map(|own| own.bytes_in.get()).sum(),
            bytes_out: counters.loops.iter().map(|own| own.bytes_out.get()).sum(),
            io_uring_loops: counters
                .loops
                .iter()
                .filter(|own| own.io_uring.load(Ordering::Relaxed))
                .count(),
            refused: refused.collect(),
            forwarded: counters.forwards.counts(),
            forwarding: counters.forwards.open().into(),
        }
    }

    /// Whether new sessions are taken.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.lifecycle.is_ready()
    }
}
