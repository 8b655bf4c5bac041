//! Going down gently: the phase of the process's life, and the schedule by which sessions are closed.
//!
//! Invariants: a phase never goes back; by the end of the window no session is left. The schedule is a straight
//! line from all sessions to none, so clients come back elsewhere in a trickle and not as a storm. It is told how
//! many sessions are left instead of counting them itself, so those that leave on their own are not closed twice
//! and the line stays straight for the rest.

use tokio::sync::watch;

/// Where in its life the process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LifePhase {
    /// Takes connections; ready.
    Serving,
    /// Takes no further connections, because another process does on the same port; those it has may still open
    /// sessions. Answers not ready.
    Leaving,
    /// Takes no new sessions, closes the old ones; answers not ready.
    Draining,
    /// All sessions are gone.
    Stopped,
}

/// Shares the phase among threads. Clones mean the same life.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    phase: watch::Sender<LifePhase>,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}

impl Lifecycle {
    /// A life that begins as [`LifePhase::Serving`].
    #[must_use]
    pub fn new() -> Self {
        Self {
            phase: watch::Sender::new(LifePhase::Serving),
        }
    }

    /// The phase now.
    #[must_use]
    pub fn phase(&self) -> LifePhase {
        *self.phase.borrow()
    }

    /// What `/ready` answers.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.phase() == LifePhase::Serving
    }

    /// Goes on to `next`. Says whether this call did it; going back is ignored.
    pub fn advance(&self, next: LifePhase) -> bool {
        self.phase.send_if_modified(|phase| {
            let forward = next > *phase;
            if forward {
                *phase = next;
            }
            forward
        })
    }

    /// Waits until the phase is `phase` or later.
    pub async fn reached(&self, phase: LifePhase) {
        let mut phases = self.phase.subscribe();
        // Fails only without a sender, and `self` is one.
        let _ = phases.wait_for(|now| *now >= phase).await;
    }
}

/// How many sessions of one loop may still be open at which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainSchedule {
    started_ms: u64,
    window_ms: u64,
    total: usize,
}

/// Closing is done in steps no shorter than this: finer ones only wake the loop more often.
const STEP_MS: u64 = 10;

impl DrainSchedule {
    /// A drain of `total` sessions that begins now and has `window_ms` for it.
    #[must_use]
    pub fn new(total: usize, window_ms: u64, now_ms: u64) -> Self {
        Self {
            started_ms: now_ms,
            window_ms,
            total,
        }
    }

    /// When the last session is closed.
    #[must_use]
    pub fn ends_ms(&self) -> u64 {
        self.started_ms.saturating_add(self.window_ms)
    }

    /// How many of the `left` sessions are to be closed now; which ones is the caller's choice.
    #[must_use]
    pub fn due(&self, left: usize, now_ms: u64) -> usize {
        left.saturating_sub(self.allowed(now_ms))
    }

    /// When to ask [`Self::due`] again; `None` when nothing is left. `random` (any 32 random bits) moves the
    /// time by up to one spacing, so that loops and nodes that drain together don't beat together.
    #[must_use]
    pub fn next_ms(&self, left: usize, now_ms: u64, random: u32) -> Option<u64> {
        if left == 0 {
            return None;
        }
        let spacing_ms = self.window_ms / (self.total.max(1) as u64);
        // The line passes below `left` just after this time.
        let next_ms = self
            .ends_ms()
            .saturating_sub(scale(self.window_ms, left as u64, self.total as u64))
            .saturating_add(1);
        let jitter_ms = scale(spacing_ms, u64::from(random), u64::from(u32::MAX));
        let at = next_ms.saturating_add(jitter_ms).min(self.ends_ms());
        Some(at.max(now_ms.saturating_add(STEP_MS)))
    }

    /// The line: `total` at the start, 0 at the end, rounded down.
    fn allowed(&self, now_ms: u64) -> usize {
        if self.window_ms == 0 {
            return 0;
        }
        let left_ms = self.ends_ms().saturating_sub(now_ms).min(self.window_ms);
        let allowed = scale(self.total as u64, left_ms, self.window_ms);
        usize::try_from(allowed).unwrap_or(usize::MAX)
    }
}

/// `value * part / whole`, without overflow; all of it when `whole` is 0.
fn scale(value: u64, part: u64, whole: u64) -> u64 {
    if whole == 0 {
        return value;
    }
    let scaled = u128::from(value) * u128::from(part) / u128::from(whole);
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A panic is how a test fails.
mod tests {
    use super::*;

    /// Drives a schedule to its end; gives the time and size of each step. `random` is the jitter of each.
    fn run(total: usize, window_ms: u64, random: u32) -> Vec<(u64, usize)> {
        let schedule = DrainSchedule::new(total, window_ms, 1_000);
        let (mut left, mut now, mut steps) = (total, 1_000, Vec::new());
        while let Some(next) = schedule.next_ms(left, now, random) {
            assert!(next > now, "the schedule must go on");
            now = next;
            let due = schedule.due(left, now);
            left -= due;
            if due > 0 {
                steps.push((now - 1_000, due));
            }
        }
        steps
    }

    #[test]
    fn sessions_are_closed_evenly_over_the_window() {
        for random in [0, u32::MAX / 3, u32::MAX] {
            let steps = run(10_000, 30_000, random);
            assert_eq!(steps.iter().map(|(_, n)| n).sum::<usize>(), 10_000);
            // 10,000 in 30 s are a third of a session a millisecond: a handful each step, never a storm.
            assert!(steps.iter().all(|(_, n)| *n <= 5), "{steps:?}");
            let halfway: usize = steps
                .iter()
                .take_while(|(at, _)| *at <= 15_000)
                .map(|(_, n)| n)
                .sum();
            assert!((4_990..=5_010).contains(&halfway), "{halfway}");
            assert!(steps.last().unwrap().0 <= 30_000 + STEP_MS);
        }
    }

    #[test]
    fn few_sessions_are_spread_too() {
        let steps = run(3, 30_000, 0);
        assert_eq!(steps, [(10, 1), (10_001, 1), (20_001, 1)]);
        let late = run(3, 30_000, u32::MAX);
        assert!(late.iter().zip(&steps).all(|(a, b)| a.0 > b.0));
        assert!(late.last().unwrap().0 <= 30_000);
    }

    #[test]
    fn sessions_that_leave_on_their_own_are_not_counted_again() {
        let schedule = DrainSchedule::new(100, 10_000, 0);
        // Half went by itself in the first second: nobody is to be closed until the line is there.
        assert_eq!(schedule.due(50, 1_000), 0);
        assert_eq!(schedule.next_ms(50, 1_000, 0), Some(5_001));
        assert_eq!(schedule.due(50, 5_001), 1);
    }

    #[test]
    fn no_window_closes_all_at_once() {
        let schedule = DrainSchedule::new(7, 0, 5);
        assert_eq!(schedule.due(7, 5), 7);
        assert_eq!(schedule.next_ms(0, 5, 9), None);
    }

    #[test]
    fn all_are_due_when_the_window_is_over() {
        let schedule = DrainSchedule::new(1_000, 10_000, 0);
        assert_eq!(schedule.due(1_000, 10_000), 1_000);
        // More than were counted at the start, as when one was still shaking hands.
        assert_eq!(schedule.due(1_003, 10_001), 1_003);
    }

    #[test]
    fn a_phase_never_goes_back() {
        let life = Lifecycle::new();
        assert!(life.is_ready());
        assert!(life.advance(LifePhase::Draining));
        assert!(!life.advance(LifePhase::Draining));
        assert!(!life.advance(LifePhase::Serving));
        assert!(!life.is_ready());
        assert!(life.advance(LifePhase::Stopped));
        assert_eq!(life.phase(), LifePhase::Stopped);
    }

    #[tokio::test]
    async fn those_who_wait_for_a_phase_are_woken_by_a_later_one() {
        let life = Lifecycle::new();
        let waiter = tokio::spawn({
            let life = life.clone();
            async move { life.reached(LifePhase::Draining).await }
        });
        life.advance(LifePhase::Stopped);
        waiter.await.unwrap();
        life.reached(LifePhase::Serving).await;
    }
}
