//! Counters, one set a shard so that loops don't share cache lines.

use std::sync::atomic::{AtomicU64, Ordering};

use lakh_wire::CloseReason;

/// Every reason, in the order of their counters.
pub const CLOSE_REASONS: [CloseReason; 12] = [
    CloseReason::PingTimeout,
    CloseReason::TransportClose,
    CloseReason::TransportError,
    CloseReason::ParseError,
    CloseReason::ForcedClose,
    CloseReason::ForcedServerClose,
    CloseReason::ServerShuttingDown,
    CloseReason::ClientNamespaceDisconnect,
    CloseReason::ServerNamespaceDisconnect,
    CloseReason::ConnectTimeout,
    CloseReason::SlowReader,
    CloseReason::Replaced,
];

/// A counter with one writer: an increment is a load and a store, without a locked instruction.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Counts up. Only one thread may.
    pub fn add(&self, n: usize) {
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_add(n as u64),
            Ordering::Relaxed,
        );
    }

    /// Counts down. Only the same thread may.
    pub fn sub(&self, n: usize) {
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_sub(n as u64),
            Ordering::Relaxed,
        );
    }

    /// What was counted, for any thread.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One shard's counters; only its loop writes them.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct ShardStats {
    pub sessions: Count,
    pub websocket: Count,
    pub sockets: Count,
    pub packets_in: Count,
    pub packets_out: Count,
    pub events_in: Count,
    pub dropped_volatile: Count,
    pub dropped_slow: Count,
    pub conflated: Count,
    pub refused_events: Count,
    pub recovered: Count,
    pub not_recovered: Count,
    pub closed: [Count; CLOSE_REASONS.len()],
}

impl ShardStats {
    pub(crate) fn session_closed(&self, reason: CloseReason) {
        if let Some(index) = CLOSE_REASONS.iter().position(|known| *known == reason) {
            self.closed[index].add(1);
        }
    }
}

/// Counters over all loops. Gauges first, totals since the start after them.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Connections that have a session now.
    pub sessions: u64,
    /// Those of them that use a WebSocket.
    pub websocket: u64,
    /// Sockets connected to namespaces now.
    pub sockets: u64,
    /// Socket.IO packets received.
    pub packets_in: u64,
    /// Socket.IO packets put on the way to a connection: a broadcast counts once for each receiver.
    pub packets_out: u64,
    /// Events received.
    pub events_in: u64,
    /// Volatile events dropped because their receiver could not take them at once.
    pub dropped_volatile: u64,
    /// Packets dropped because their receiver reads too slowly.
    pub dropped_slow: u64,
    /// Packets that newer news of the same took the place of, because their receiver reads too slowly.
    pub conflated: u64,
    /// Events that a middleware refused, or whose arguments no handler could read.
    pub refused_events: u64,
    /// Sessions taken up again.
    pub recovered: u64,
    /// Sessions that a client asked for and did not get.
    pub not_recovered: u64,
    /// Sessions closed, by reason, in the order of [`CLOSE_REASONS`].
    pub closed: [u64; CLOSE_REASONS.len()],
}

impl Stats {
    pub(crate) fn sum(shards: &[ShardStats]) -> Self {
        let mut all = Self::default();
        for shard in shards {
            all.sessions += shard.sessions.get();
            all.websocket += shard.websocket.get();
            all.sockets += shard.sockets.get();
            all.packets_in += shard.packets_in.get();
            all.packets_out += shard.packets_out.get();
            all.events_in += shard.events_in.get();
            all.dropped_volatile += shard.dropped_volatile.get();
            all.dropped_slow += shard.dropped_slow.get();
            all.conflated += shard.conflated.get();
            all.refused_events += shard.refused_events.get();
            all.recovered += shard.recovered.get();
            all.not_recovered += shard.not_recovered.get();
            for (sum, count) in all.closed.iter_mut().zip(&shard.closed) {
                *sum += count.get();
            }
        }
        all
    }
}
