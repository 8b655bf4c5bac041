//! How often somebody may try. One number a bucket (generic cell rate algorithm), and a bound on the buckets.

use std::collections::HashMap;
use std::hash::Hash;

use parking_lot::Mutex;

/// Buckets of one generation. Past it the older generation is forgotten: whoever has so many addresses gets past the bound
/// of one address, and not past that of a name.
const MAX_BUCKETS: usize = 8_192;

/// A rate for each of many.
#[derive(Debug)]
pub(super) struct Attempts<K> {
    every_ms: u64,
    burst: u64,
    buckets: Mutex<Generations<K>>,
}

#[derive(Debug)]
struct Generations<K> {
    young: HashMap<K, u64>,
    old: HashMap<K, u64>,
    turned_at_ms: u64,
}

impl<K: Hash + Eq> Attempts<K> {
    /// `burst` at once after a pause, and one each `every_ms` then.
    pub(super) fn new(every_ms: u64, burst: u64) -> Self {
        Self {
            every_ms,
            burst,
            buckets: Mutex::new(Generations {
                young: HashMap::new(),
                old: HashMap::new(),
                turned_at_ms: 0,
            }),
        }
    }

    /// Takes one, or says in how many milliseconds there is one.
    pub(super) fn take(&self, key: K, now_ms: u64) -> Result<(), u64> {
        let refill_ms = self.every_ms * self.burst;
        let mut buckets = self.buckets.lock();
        // Whatever wasn't touched for that long is full again, and so the same as one that was never there.
        let since = now_ms.saturating_sub(buckets.turned_at_ms);
        if since >= refill_ms || buckets.young.len() >= MAX_BUCKETS {
            buckets.old = std::mem::take(&mut buckets.young);
            buckets.turned_at_ms = now_ms;
        }
        let known = buckets.young.get(&key).or_else(|| buckets.old.get(&key));
        let next = known.copied().unwrap_or(0).max(now_ms) + self.every_ms;
        let ahead = next - now_ms;
        if ahead > refill_ms {
            return Err(ahead - refill_ms);
        }
        buckets.young.insert(key, next);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_through_and_then_one_at_a_time() {
        let attempts = Attempts::new(1_000, 3);
        let now = 1_000_000;
        for _ in 0..3 {
            assert_eq!(attempts.take("a", now), Ok(()));
        }
        assert_eq!(attempts.take("a", now), Err(1_000));
        assert_eq!(attempts.take("b", now), Ok(()), "others are not bothered");
        assert_eq!(attempts.take("a", now + 999), Err(1));
        assert_eq!(attempts.take("a", now + 1_000), Ok(()));
        assert_eq!(attempts.take("a", now + 1_000), Err(1_000));
        // A refusal costs nothing.
        assert_eq!(attempts.take("a", now + 2_000), Ok(()));
        for _ in 0..3 {
            assert_eq!(attempts.take("a", now + 60_000), Ok(()));
        }
        assert_eq!(attempts.take("a", now + 60_000), Err(1_000));
    }

    #[test]
    fn a_bucket_outlives_a_turn_and_the_number_of_buckets_is_bounded() {
        let attempts = Attempts::new(1_000, 2);
        assert_eq!(attempts.take(0, 2_000), Ok(()));
        assert_eq!(attempts.take(0, 3_900), Ok(()));
        // A turn comes at 4000; what was taken just before still counts.
        assert_eq!(attempts.take(0, 4_000), Ok(()));
        assert_eq!(attempts.take(0, 4_000), Err(900));
        for key in 1..50_000 {
            let _ = attempts.take(key, 4_100);
        }
        let buckets = attempts.buckets.lock();
        assert!(buckets.young.len() + buckets.old.len() <= 2 * MAX_BUCKETS);
    }
}
