//! How long to wait before the next attempt.

/// Each wait is twice the one before, up to a longest, and a little longer or shorter by chance: so many that failed in
/// one moment don't come back in one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The wait after the first failure, in milliseconds.
    pub first_ms: u64,
    /// The longest wait, in milliseconds.
    pub longest_ms: u64,
}

impl Retry {
    /// The wait after this many failures: three to five quarters of what is planned, as `random` says.
    #[must_use]
    pub fn wait_ms(&self, failures: u32, random: u32) -> u64 {
        let doublings = failures.saturating_sub(1).min(40);
        let planned = self
            .first_ms
            .saturating_mul(1 << doublings)
            .min(self.longest_ms);
        let part = (planned / 2).saturating_mul(u64::from(random >> 16)) >> 16;
        planned - planned / 4 + part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let retry = Retry {
            first_ms: 1_000,
            longest_ms: 10_000,
        };
        let middle = u32::MAX / 2 + 1;
        let waits: Vec<u64> = [1, 2, 3, 4, 5, 60]
            .map(|failures| retry.wait_ms(failures, middle))
            .into();
        assert_eq!(waits, [1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
    }

    #[test]
    fn chance_moves_a_wait_by_a_quarter_at_most() {
        let retry = Retry {
            first_ms: 1_000,
            longest_ms: 10_000,
        };
        assert_eq!(retry.wait_ms(1, 0), 750);
        assert_eq!(retry.wait_ms(1, u32::MAX), 1_249);
        assert_eq!(retry.wait_ms(u32::MAX, u32::MAX), 12_499);
    }
}
