//! How many bytes a client gets: never more in a second than it may, whichever second is looked at.
//!
//! A bucket keeps it even; behind it stands what was really spent in each of the last ticks, so that a burst and what
//! follows it are together within the second's bytes.

/// The least a client may be given: any one parcel must fit into a second, and into the bucket.
pub const LEAST_BYTES_A_SECOND: u32 = 8192;

/// What the largest frame with one parcel takes.
const LARGEST: i64 = 5000;

/// Less than this is of no use to what is appended to a frame.
const LEAST_SHARE: usize = 80;

#[derive(Clone, Debug)]
pub(crate) struct Budget {
    rate: i64,
    hz: u32,
    /// In parts of a byte: `hz` of them are one.
    tokens: i64,
    /// Spent in each of the last `hz` ticks.
    spent: Box<[u32]>,
    sum: i64,
    tick: u32,
}

impl Budget {
    pub(crate) fn new(rate: u32, hz: u32) -> Self {
        let rate = i64::from(rate.max(LEAST_BYTES_A_SECOND));
        let mut budget = Self {
            rate,
            hz,
            tokens: 0,
            spent: vec![0; hz as usize].into_boxed_slice(),
            sum: 0,
            tick: 0,
        };
        budget.tokens = budget.most();
        budget
    }

    pub(crate) fn set_rate(&mut self, rate: u32) {
        self.rate = i64::from(rate.max(LEAST_BYTES_A_SECOND));
        self.tokens = self.tokens.min(self.most());
    }

    /// Goes on at another tick, as if no time had passed.
    pub(crate) fn restart(&mut self, tick: u32) {
        if tick < self.tick {
            self.spent
                .rotate_left(((self.tick - tick) % self.hz) as usize);
            self.tick = tick;
        }
    }

    fn most(&self) -> i64 {
        (self.rate / 4).max(LARGEST) * i64::from(self.hz)
    }

    pub(crate) fn advance(&mut self, tick: u32) {
        let passed = tick - self.tick;
        self.tokens = (self.tokens + self.rate * i64::from(passed)).min(self.most());
        for back in 0..passed.min(self.hz) {
            let spent = &mut self.spent[((tick - back) % self.hz) as usize];
            self.sum -= i64::from(std::mem::take(spent));
        }
        self.tick = tick;
    }

    /// Bytes that a frame may have now.
    pub(crate) fn left(&self) -> usize {
        let left = (self.tokens / i64::from(self.hz)).min(self.rate - self.sum);
        usize::try_from(left).unwrap_or(0)
    }

    /// The part of a tick's bytes that what is appended to a frame may have in any case: a third.
    pub(crate) fn share(&self) -> usize {
        let tick = self.rate / i64::from(self.hz);
        usize::try_from(tick / 3).unwrap_or(0).max(LEAST_SHARE)
    }

    pub(crate) fn spend(&mut self, bytes: usize) {
        self.tokens -= bytes as i64 * i64::from(self.hz);
        self.sum += bytes as i64;
        self.spent[(self.tick % self.hz) as usize] += bytes as u32;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_second_has_more_bytes_than_it_may(
            rate in 0_u32..40_000,
            hz in 1_u32..=60,
            wishes in prop::collection::vec((1_u32..5, 0_usize..20_000), 1..200),
        ) {
            let mut budget = Budget::new(rate, hz);
            let (mut tick, mut spent) = (0, Vec::new());
            for (passed, wish) in wishes {
                tick += passed;
                budget.advance(tick);
                let bytes = wish.min(budget.left());
                budget.spend(bytes);
                spent.push((tick, bytes));
            }
            for (end, _) in &spent {
                let second: usize = spent
                    .iter()
                    .filter(|(tick, _)| tick + hz > *end && tick <= end)
                    .map(|(_, bytes)| bytes)
                    .sum();
                prop_assert!(second <= rate.max(LEAST_BYTES_A_SECOND) as usize);
            }
        }
    }

    #[test]
    fn who_waits_gets_room_for_the_largest_parcel() {
        let mut budget = Budget::new(0, 60);
        for tick in 1..=60 {
            budget.advance(tick);
            let all = budget.left();
            budget.spend(all);
        }
        // A second later at the latest, however it was spent before.
        budget.advance(120);
        assert!(budget.left() >= LARGEST as usize);
    }
}
