//! How often somebody may do something.
//!
//! The generic cell rate algorithm (ITU-T I.371): one number instead of a bucket and a timer. What is kept is the time
//! at which the allowance is full again; each act moves it on by its share of a second.

/// What is left of somebody's allowance. 8 bytes; a fresh one is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    full_at_us: u64,
}

impl Pace {
    /// Takes one act from an allowance of `per_second`, of which `burst` may come at once.
    ///
    /// # Errors
    /// Milliseconds to wait if nothing is left. Nothing is taken then.
    pub fn take(&mut self, now_ms: u64, per_second: u32, burst: u32) -> Result<(), u64> {
        let now = now_ms.saturating_mul(1_000);
        let share = 1_000_000 / u64::from(per_second.max(1));
        let window = share.saturating_mul(u64::from(burst.max(1)));
        // It's never further ahead than that, unless the clock went back.
        if self.full_at_us > now.saturating_add(window) {
            self.full_at_us = now;
        }
        let next = self.full_at_us.max(now).saturating_add(share);
        match next.checked_sub(now.saturating_add(window)) {
            Some(early) if early > 0 => Err(early.div_ceil(1_000)),
            _ => {
                self.full_at_us = next;
                Ok(())
            }
        }
    }

    /// Whether nothing is taken from it now: it may be forgotten.
    #[must_use]
    pub fn is_full(&self, now_ms: u64) -> bool {
        self.full_at_us <= now_ms.saturating_mul(1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let mut pace = Pace::default();
        let passed = (0..100).filter(|_| pace.take(1_000, 10, 5).is_ok()).count();
        assert_eq!(passed, 5);
        assert_eq!(pace.take(1_000, 10, 5), Err(100));
        assert_eq!(pace.take(1_100, 10, 5), Ok(()));
        let passed = (1_101..=3_100)
            .filter(|now| pace.take(*now, 10, 5).is_ok())
            .count();
        assert_eq!(passed, 20);
    }

    #[test]
    fn a_full_allowance_may_be_forgotten() {
        let mut pace = Pace::default();
        assert!(pace.is_full(0));
        assert_eq!(pace.take(1_000, 10, 5), Ok(()));
        assert!(!pace.is_full(1_099));
        assert!(pace.is_full(1_100));
    }

    #[test]
    fn a_clock_that_goes_back_locks_nobody_out() {
        let mut pace = Pace::default();
        while pace.take(1_000_000, 1, 3).is_ok() {}
        assert_eq!(pace.take(5_000, 1, 3), Ok(()));
    }
}
