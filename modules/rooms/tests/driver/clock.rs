//! The hub's clock in tests. What is waited for goes as the runtime does; the time of day stands still unless the test
//! moves it, or goes along.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lakh_hub::{Clock, Millis};
use tokio::time::Instant;

/// 2026-01-01, in milliseconds since 1970.
pub(crate) const START_MS: u64 = 1_767_225_600_000;

#[derive(Clone)]
pub(crate) struct TestClock {
    /// What the test has moved it on by.
    moved_ms: Arc<AtomicU64>,
    since: Instant,
    /// Whether the time of day goes, too.
    is_going: bool,
}

impl Default for TestClock {
    fn default() -> Self {
        Self {
            moved_ms: Arc::default(),
            since: Instant::now(),
            is_going: false,
        }
    }
}

impl TestClock {
    /// A clock that goes as the test's runtime does, also where that is paused.
    pub(crate) fn going() -> Self {
        Self {
            is_going: true,
            ..Self::default()
        }
    }

    pub(crate) fn advance(&self, ms: u64) {
        self.moved_ms.fetch_add(ms, Ordering::Relaxed);
    }

    fn ms(&self, goes: bool) -> u64 {
        let gone = if goes {
            self.since.elapsed().as_millis() as u64
        } else {
            0
        };
        self.moved_ms.load(Ordering::Relaxed) + gone
    }
}

impl Clock for TestClock {
    fn now(&self) -> Millis {
        Millis(self.ms(true))
    }

    fn wall_ms(&self) -> u64 {
        START_MS + self.ms(self.is_going)
    }
}
