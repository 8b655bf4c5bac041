//! What somebody has used: a number for each rate, and two counts. The algorithm stands here.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::{Limit, RATES, Scope};

/// Who was let do more than they may, because they are read slower, waits at most this long for it.
const LONGEST_DEBT_NS: u64 = 60_000_000_000;
/// The same for what all share: one must not stop the others for long.
const LONGEST_DEBT_OF_NODE_NS: u64 = 1_000_000_000;

/// What somebody has used. 32 bytes.
#[derive(Debug, Default)]
pub struct Account {
    full_at_ns: [AtomicU64; RATES],
    pub(super) connections: AtomicU32,
    pub(super) rooms: AtomicU32,
}

impl Account {
    /// Takes what an act costs, if it fits. `whatever`: also if it doesn't. `Err` is how long there is no room.
    pub(super) fn take(&self, rate: &Rate, limit: Limit, whatever: bool) -> Result<(), u64> {
        let mut late = 0;
        let taken = self.full_at_ns[limit as usize].fetch_update(
            // The numbers guard no other memory.
            Ordering::Relaxed,
            Ordering::Relaxed,
            |full_at| {
                let next = full_at.max(rate.now_ns).saturating_add(rate.cost_ns);
                late = next
                    .saturating_sub(rate.now_ns)
                    .saturating_sub(rate.window_ns);
                match (late, whatever) {
                    (0, _) => Some(next),
                    (_, true) => {
                        let most = rate.now_ns + rate.window_ns + rate.longest_debt_ns;
                        Some(next.min(most))
                    }
                    (_, false) => None,
                }
            },
        );
        match (taken, late) {
            (Ok(_), 0) => Ok(()),
            _ => Err(late.min(rate.longest_debt_ns.max(rate.cost_ns))),
        }
    }

    pub(super) fn give_back(&self, rate: &Rate, limit: Limit) {
        let less = |full_at: u64| Some(full_at.saturating_sub(rate.cost_ns));
        // The closure never declines.
        let _ = self.full_at_ns[limit as usize].fetch_update(
            Ordering::Relaxed,
            Ordering::Relaxed,
            less,
        );
    }

    pub(super) fn is_full(&self, now_ns: u64) -> bool {
        let mut rates = self.full_at_ns.iter();
        rates.all(|full_at| full_at.load(Ordering::Relaxed) <= now_ns)
    }

    pub(super) fn enter(&self, most: Option<u32>) -> bool {
        let most = most.unwrap_or(u32::MAX);
        let one_more = |open: u32| (open < most).then_some(open + 1);
        self.connections
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .is_ok()
    }
}

pub(super) fn one_less(count: &AtomicU32) {
    let less = |open: u32| Some(open.saturating_sub(1));
    // The closure never declines.
    let _ = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
}

/// What some acts cost now.
pub(super) struct Rate {
    pub(super) now_ns: u64,
    cost_ns: u64,
    window_ns: u64,
    longest_debt_ns: u64,
}

impl Rate {
    pub(super) fn new(per_second: u32, count: u64, now_ms: u64, scope: Scope) -> Self {
        const SECOND_NS: u64 = 1_000_000_000;
        let per_second = u64::from(per_second.max(1));
        Self {
            // From one second on: a fresh account is full then, whatever the clock begins with.
            now_ns: now_ms.saturating_mul(1_000_000).saturating_add(SECOND_NS),
            cost_ns: count.saturating_mul(SECOND_NS) / per_second,
            window_ns: SECOND_NS,
            longest_debt_ns: match scope {
                Scope::Person | Scope::Address => LONGEST_DEBT_NS,
                Scope::Node => LONGEST_DEBT_OF_NODE_NS,
            },
        }
    }
}
