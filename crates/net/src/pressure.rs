//! How far each event loop is behind, as newcomers find it, and whether it takes more of them.
//!
//! A newcomer asks its loop for a sign of life, unless one is awaited already; how long that takes is what the newcomer
//! itself would have waited behind everything else the loop has to do. Whatever is dear in a storm of
//! returning clients (TLS, handlers, a store), this measures it, where a fixed number of handshakes a second would have
//! to guess. Nobody asks while nobody comes, so an idle loop isn't woken.
//!
//! Invariant: an answer that never comes counts as lag that grows, one that is old counts for nothing.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits::Refusal;

/// How long an answer counts: as long as newcomers come, the next is there sooner.
const COUNTS_MS: u64 = 200;
/// What who is refused shall wait, before jitter.
const WAIT_MS: u64 = 2_000;
/// Nothing was asked.
const NEVER: u64 = u64::MAX;

/// The lags of all loops.
#[derive(Debug)]
pub(crate) struct Pressure {
    most_ms: u64,
    loops: Box<[Lag]>,
}

/// Numbers that several threads read at any time; each is right by itself, which is enough here.
#[derive(Debug)]
struct Lag {
    asked_ms: AtomicU64,
    answered_ms: AtomicU64,
    lag_ms: AtomicU64,
}

impl Pressure {
    /// For this many loops. A loop that is behind by more than `most_ms` takes nobody.
    pub(crate) fn new(most_ms: Option<u64>, loops: usize) -> Self {
        let lag = |_| Lag {
            asked_ms: AtomicU64::new(NEVER),
            answered_ms: AtomicU64::new(0),
            lag_ms: AtomicU64::new(0),
        };
        Self {
            most_ms: most_ms.unwrap_or(NEVER),
            loops: (0..loops).map(lag).collect(),
        }
    }

    /// Whether this loop is to be asked now. Who hears `true` asks, and reports by [`Self::answer`] or [`Self::unasked`].
    pub(crate) fn ask(&self, index: usize, now_ms: u64) -> bool {
        self.most_ms != NEVER
            && self.loops.get(index).is_some_and(|lag| {
                lag.asked_ms
                    .compare_exchange(NEVER, now_ms, Ordering::Relaxed, Ordering::Relaxed)
                    .is_ok()
            })
    }

    /// The loop answers.
    pub(crate) fn answer(&self, index: usize, now_ms: u64) {
        if let Some(lag) = self.loops.get(index) {
            let asked_ms = lag.asked_ms.load(Ordering::Relaxed);
            lag.lag_ms
                .store(now_ms.saturating_sub(asked_ms), Ordering::Relaxed);
            lag.answered_ms.store(now_ms, Ordering::Relaxed);
            lag.asked_ms.store(NEVER, Ordering::Relaxed);
        }
    }

    /// The question didn't go out.
    pub(crate) fn unasked(&self, index: usize) {
        if let Some(lag) = self.loops.get(index) {
            lag.asked_ms.store(NEVER, Ordering::Relaxed);
        }
    }

    /// Whether the loop takes a newcomer.
    ///
    /// # Errors
    /// [`Refusal::ProcessRate`].
    pub(crate) fn admit(&self, index: usize, now_ms: u64) -> Result<(), Refusal> {
        let Some(lag) = self.loops.get(index) else {
            return Ok(());
        };
        let answered_ms = lag.answered_ms.load(Ordering::Relaxed);
        let told_ms = match now_ms.saturating_sub(answered_ms) <= COUNTS_MS {
            true => lag.lag_ms.load(Ordering::Relaxed),
            false => 0,
        };
        // The question is out for so long already; 0 if none is.
        let open_ms = now_ms.saturating_sub(lag.asked_ms.load(Ordering::Relaxed));
        match told_ms.max(open_ms) > self.most_ms {
            true => Err(Refusal::ProcessRate { wait_ms: WAIT_MS }),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(pressure: &Pressure, index: usize, now_ms: u64) -> bool {
        pressure.admit(index, now_ms).is_ok()
    }

    #[test]
    fn a_loop_that_answers_late_takes_nobody_until_it_answers_in_time() {
        let pressure = Pressure::new(Some(500), 2);
        assert!(pressure.ask(0, 1_000));
        pressure.answer(0, 1_600);
        assert!(!takes(&pressure, 0, 1_600));
        assert!(takes(&pressure, 1, 1_600), "the other loop is well");
        assert!(pressure.ask(0, 1_601));
        assert!(!takes(&pressure, 0, 1_601), "it hasn't answered yet");
        pressure.answer(0, 1_700);
        assert!(takes(&pressure, 0, 1_700));
    }

    #[test]
    fn a_question_without_an_answer_counts_for_as_long_as_it_is_open() {
        let pressure = Pressure::new(Some(500), 1);
        assert!(pressure.ask(0, 1_000));
        assert!(!pressure.ask(0, 1_400), "one at a time");
        assert!(takes(&pressure, 0, 1_500));
        assert!(!takes(&pressure, 0, 1_501));
        pressure.unasked(0);
        assert!(takes(&pressure, 0, 1_502));
        assert!(pressure.ask(0, 1_502));
    }

    #[test]
    fn an_old_answer_counts_for_nothing() {
        let pressure = Pressure::new(Some(500), 1);
        assert!(pressure.ask(0, 1_000));
        pressure.answer(0, 3_000);
        assert!(!takes(&pressure, 0, 3_200));
        assert!(takes(&pressure, 0, 3_201));
    }

    #[test]
    fn without_a_bound_nobody_is_asked_or_refused() {
        let pressure = Pressure::new(None, 1);
        assert!(!pressure.ask(0, 1_000));
        assert!(takes(&pressure, 0, u64::MAX - 1));
    }
}
