//! Counts of latencies in microseconds, in buckets of at most 1/64 of their value.

const SUB_BITS: u32 = 6;
const SUB: u64 = 1 << SUB_BITS;

/// A histogram of microseconds. Recording is an index and an addition.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    counts: Box<[u64]>,
    total: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; ((64 - SUB_BITS) as usize + 1) * SUB as usize].into(),
            total: 0,
            max: 0,
        }
    }
}

/// Values below 64 have a bucket each; above, each power of two has 64.
fn bucket(value: u64) -> usize {
    let shift = (64 - value.leading_zeros()).saturating_sub(SUB_BITS + 1);
    ((u64::from(shift) << SUB_BITS) + (value >> shift)) as usize
}

/// The largest value of a bucket.
fn upper(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket >> SUB_BITS).saturating_sub(1);
    let low = bucket - (shift << SUB_BITS);
    ((low + 1) << shift) - 1
}

impl Histogram {
    #[inline]
    pub(crate) fn record(&mut self, value: u64) {
        self.counts[bucket(value)] += 1;
        self.total += 1;
        self.max = self.max.max(value);
    }

    pub(crate) fn clear(&mut self) {
        self.counts.fill(0);
        self.total = 0;
        self.max = 0;
    }

    pub(crate) fn max(&self) -> u64 {
        self.max
    }

    /// The value that this share (0 to 1) of all recorded ones don't exceed; 0 when there are none.
    pub(crate) fn quantile(&self, share: f64) -> u64 {
        let wanted = (share * self.total as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (at, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return upper(at).min(self.max);
            }
        }
        self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_lies_in_its_bucket_and_close_to_its_end() {
        for value in (0..2000).chain((0..40).map(|bit| (1 << bit) + 12_345)) {
            let end = upper(bucket(value));
            assert!(end >= value, "{value}");
            assert!(end - value <= value / 64, "{value} {end}");
            assert_ne!(bucket(end), bucket(end + 1), "{value}");
        }
    }

    #[test]
    fn quantiles_of_one_to_a_thousand_are_themselves_nearly() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.99), 0);
        (1..=1000).for_each(|value| histogram.record(value));
        let median = histogram.quantile(0.5);
        assert!((500..=508).contains(&median), "{median}");
        let late = histogram.quantile(0.99);
        assert!((990..=1000).contains(&late), "{late}");
        assert_eq!((histogram.quantile(1.0), histogram.max()), (1000, 1000));
    }
}
