//! What goes wrong with a broker, and how long to wait then.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

/// The first wait.
const FIRST: Duration = Duration::from_millis(100);
/// The longest.
const LONGEST: Duration = Duration::from_secs(15);

/// Something is wrong with a broker. It is tried again, whatever it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    /// It can't be reached, or was cut off.
    #[error("the broker can't be reached: {0}")]
    Away(String),
    /// It says no.
    #[error("the broker refuses: {0}")]
    Refused(String),
    /// This build doesn't speak to it.
    #[error("this build has no client for it: build with the feature `{0}`")]
    #[cfg(not(feature = "kafka"))]
    NotBuilt(&'static str),
}

impl Trouble {
    pub(super) fn away(error: impl std::fmt::Display) -> Self {
        Self::Away(error.to_string())
    }

    pub(super) fn refused(error: impl std::fmt::Display) -> Self {
        Self::Refused(error.to_string())
    }
}

/// Waits that double, each up to a quarter shorter, so that nodes don't come back all at once.
#[derive(Debug, Default)]
pub(super) struct Backoff(u32);

impl Backoff {
    pub(super) fn next(&mut self) -> Duration {
        let wait = FIRST.saturating_mul(1 << self.0.min(10)).min(LONGEST);
        self.0 += 1;
        // A hasher with keys from the system: random enough for this.
        let random = RandomState::new().build_hasher().finish() % 256;
        wait - wait / 4 * u32::try_from(random).unwrap_or(0) / 256
    }

    pub(super) fn reset(&mut self) {
        self.0 = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_begin_anew() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..40).map(|_| backoff.next()).collect();
        assert!(waits[0] <= FIRST && waits[0] >= FIRST * 3 / 4);
        assert!(waits.iter().all(|wait| *wait <= LONGEST));
        assert!(waits[39] >= LONGEST * 3 / 4);
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }
}
