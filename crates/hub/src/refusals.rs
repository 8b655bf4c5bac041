//! Counts of what was refused, by two words of the code, and how many of them the log shall hear of.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::pace::Pace;

/// Refusals logged a second at most: who may ask can't fill the disk with it.
const LOGGED_A_SECOND: u32 = 10;

/// Two words of the code, so there is a bound on them.
type Words = (&'static str, &'static str);

/// What was refused, and how often.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    by_words: BTreeMap<Words, u64>,
    logging: Pace,
    unlogged: u64,
}

impl Refusals {
    /// Counts one more. If the log is to hear of it, tells of how many it has not heard since the last.
    pub fn note(&self, words: Words, now_ms: u64) -> Option<u64> {
        let mut counts = self.0.lock();
        *counts.by_words.entry(words).or_default() += 1;
        let taken = counts
            .logging
            .take(now_ms, LOGGED_A_SECOND, LOGGED_A_SECOND);
        if taken.is_err() {
            counts.unlogged += 1;
            return None;
        }
        Some(std::mem::take(&mut counts.unlogged))
    }

    /// All that were counted, by their words.
    #[must_use]
    pub fn counts(&self) -> Vec<(&'static str, &'static str, u64)> {
        let counts = self.0.lock();
        let all = counts.by_words.iter();
        all.map(|((first, second), count)| (*first, *second, *count))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_counted_and_those_that_were_not_logged_are_told_with_the_next_that_is() {
        let refusals = Refusals::default();
        let logged = (0..1_000).filter_map(|_| refusals.note(("connect", "bad_token"), 1_000));
        assert_eq!(logged.collect::<Vec<_>>(), [0; 10]);
        assert_eq!(refusals.note(("http", "bad_key"), 1_000), None);
        assert_eq!(
            refusals.counts(),
            [("connect", "bad_token", 1_000), ("http", "bad_key", 1)]
        );
        assert_eq!(refusals.note(("http", "bad_key"), 3_000), Some(991));
        assert_eq!(refusals.note(("http", "bad_key"), 3_000), Some(0));
    }
}
