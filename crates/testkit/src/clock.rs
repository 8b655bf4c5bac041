//! Time that moves only when a test says so.
//!
//! Sans-IO code takes the time as an argument, so a test drives an hour of heartbeats in a microsecond and the same
//! test gives the same result on every machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A monotonic clock in milliseconds. Clones show the same time.
#[derive(Clone, Debug, Default)]
pub struct VirtualClock {
    now_ms: Arc<AtomicU64>,
}

impl VirtualClock {
    /// A clock that shows `now_ms`.
    #[must_use]
    pub fn at(now_ms: u64) -> Self {
        Self {
            now_ms: Arc::new(AtomicU64::new(now_ms)),
        }
    }

    /// What the clock shows, in milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    /// Lets `by_ms` milliseconds pass and returns the new time.
    pub fn advance(&self, by_ms: u64) -> u64 {
        self.now_ms.fetch_add(by_ms, Ordering::SeqCst) + by_ms
    }

    /// Moves to `to_ms`, such as a deadline that a state machine named. A time that has passed already changes nothing:
    /// a monotonic clock never goes back.
    pub fn advance_to(&self, to_ms: u64) -> u64 {
        self.now_ms.fetch_max(to_ms, Ordering::SeqCst).max(to_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::VirtualClock;

    #[test]
    fn clones_show_the_same_time_and_it_never_goes_back() {
        let clock = VirtualClock::at(100);
        let other = clock.clone();
        assert_eq!(clock.advance(5), 105);
        assert_eq!(other.advance_to(300), 300);
        assert_eq!(clock.advance_to(200), 300);
        assert_eq!(other.now_ms(), 300);
    }
}
