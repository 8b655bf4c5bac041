//! What all loops share, and what they send each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use lakh_hub::{Count, Hub, Id};
use lakh_wire::engine::HandshakeError;
use tokio::sync::{mpsc, oneshot};

use crate::accept::Accepted;
use crate::drain::Lifecycle;
use crate::forward::Forwards;
use crate::limits::{ConnectionCap, HandshakeRate};
use crate::options::Options;
use crate::polling::{PollAnswer, PostRefused};
use crate::pressure::Pressure;
use crate::stream::{Detached, Guard, Stream};

/// What all loops share.
pub(crate) struct Shared {
    pub options: Options,
    pub hub: Hub,
    pub cap: Arc<ConnectionCap>,
    pub rate: HandshakeRate,
    pub pressure: Arc<Pressure>,
    pub lifecycle: Lifecycle,
    pub router: Option<axum::Router>,
    pub inboxes: Box<[mpsc::Sender<Message>]>,
    pub counters: Counters,
}

/// What the sockets themselves count.
#[derive(Debug)]
pub(crate) struct Counters {
    pub accepted: AtomicU64,
    pub refused: [AtomicU64; REFUSALS.len()],
    pub forwards: Forwards,
    pub loops: Box<[LoopCounters]>,
}

/// What one loop counts. Alone in its cache lines: all loops count all the time.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct LoopCounters {
    pub bytes_in: Count,
    pub bytes_out: Count,
    /// Whether the loop writes through io_uring.
    pub io_uring: AtomicBool,
}

/// Why connections and handshakes are refused, as metrics call it.
pub const REFUSALS: [&str; 7] = [
    "full",
    "address_full",
    "rate",
    "address_rate",
    "bad_request",
    "forbidden",
    "draining",
];

impl Counters {
    pub(crate) fn new(loops: usize) -> Self {
        Self {
            accepted: AtomicU64::new(0),
            refused: Default::default(),
            forwards: Forwards::default(),
            loops: (0..loops).map(|_| LoopCounters::default()).collect(),
        }
    }

    pub(crate) fn refused(&self, why: &str) {
        if let Some(index) = REFUSALS.iter().position(|known| *known == why) {
            self.refused[index].fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Where a connection came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// Where clients come, and proxies.
    Public,
    /// Where only other nodes come.
    Nodes,
}

/// What other loops hand over.
pub(crate) enum Message {
    Accepted(Accepted, Guard, Door),
    /// A long poll for a session of this loop.
    Poll {
        sid: Id,
        reply: oneshot::Sender<PollAnswer>,
    },
    /// The client of a long poll went away before it was answered.
    PollGone(Id),
    /// The body of a POST.
    Post {
        sid: Id,
        body: Bytes,
        is_binary: bool,
        reply: oneshot::Sender<Result<(), PostRefused>>,
    },
    /// A WebSocket wants to take over a session.
    Probe {
        sid: Id,
        reply: oneshot::Sender<Result<(), HandshakeError>>,
    },
    /// And here it is.
    Attach(Box<Attach>),
}

/// A WebSocket for a session that was opened by long polling.
pub(crate) struct Attach {
    pub sid: Id,
    pub stream: Handed,
    pub early: Vec<u8>,
    pub preamble: Vec<u8>,
    pub deflate: bool,
}

/// A connection on its way to another loop.
pub(crate) enum Handed {
    Here(Stream),
    Detached(Detached),
}
