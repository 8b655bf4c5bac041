//! The hub's clock in tests: it stands still unless the test moves it, or goes as the runtime does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lakh_hub::{Clock, Millis};
use tokio::time::Instant;

/// 2026-01-01, in milliseconds since 1970.
pub(crate) const START_MS: u64 = 1_767_225_600_000;

#[derive(Clone, Default)]
pub(crate) struct TestClock {
    /// What the test has moved it on by.
    moved_ms: Arc<AtomicU64>,
    /// Since when it goes, if it does.
    going: Option<Instant>,
}

impl TestClock {
    /// A clock that goes as the test's runtime does, also where that is paused.
    pub(crate) fn going() -> Self {
        Self {
            going: Some(Instant::now()),
            ..Self::default()
        }
    }

    pub(crate) fn advance(&self, ms: u64) {
        self.moved_ms.fetch_add(ms, Ordering::Relaxed);
    }

    fn ms(&self) -> u64 {
        let gone = self.going.map_or(0, |since| since.elapsed().as_millis());
        self.moved_ms.load(Ordering::Relaxed) + gone as u64
    }
}

impl Clock for TestClock {
    fn now(&self) -> Millis {
        Millis(self.ms())
    }

    fn wall_ms(&self) -> u64 {
        START_MS + self.ms()
    }
}
