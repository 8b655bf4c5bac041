//! A circuit breaker: who does not answer is left alone for a while.

use serde::Serialize;

/// Whether somebody is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Yes.
    #[default]
    Closed,
    /// No: it failed too often in a row.
    Open,
    /// Once, to find out.
    HalfOpen,
}

impl BreakerState {
    /// The word for it in metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

#[derive(Debug)]
pub(crate) struct Breaker {
    most_failures: u32,
    open_ms: u64,
    state: BreakerState,
    failures: u32,
    open_until_ms: u64,
    /// How often it has opened.
    pub opened: u64,
}

impl Breaker {
    pub(crate) fn new(most_failures: u32, open_ms: u64) -> Self {
        Self {
            most_failures,
            open_ms,
            state: BreakerState::Closed,
            failures: 0,
            open_until_ms: 0,
            opened: 0,
        }
    }

    /// Whether to ask now. Who asks says then what came of it.
    pub(crate) fn may_ask(&mut self, now_ms: u64) -> bool {
        match self.state {
            BreakerState::Closed => true,
            // Somebody finds out already.
            BreakerState::HalfOpen => false,
            BreakerState::Open if now_ms < self.open_until_ms => false,
            BreakerState::Open => {
                self.state = BreakerState::HalfOpen;
                true
            }
        }
    }

    /// What came of it.
    pub(crate) fn told(&mut self, has_answered: bool, now_ms: u64) {
        if has_answered {
            // An answer from before it opened is one, too.
            self.state = BreakerState::Closed;
            self.failures = 0;
            return;
        }
        self.failures = self.failures.saturating_add(1);
        let opens = match self.state {
            BreakerState::Closed => self.failures >= self.most_failures,
            BreakerState::HalfOpen => true,
            // Asked before it opened.
            BreakerState::Open => false,
        };
        if opens {
            self.state = BreakerState::Open;
            self.open_until_ms = now_ms.saturating_add(self.open_ms);
            self.opened += 1;
        }
    }

    pub(crate) fn state(&self) -> BreakerState {
        self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_asks_once_and_closes_when_answered() {
        let mut breaker = Breaker::new(3, 1_000);
        for has_answered in [false, false, true, false, false] {
            assert!(breaker.may_ask(0));
            breaker.told(has_answered, 0);
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
        breaker.told(false, 500);
        assert_eq!(breaker.state(), BreakerState::Open);
        assert!(!breaker.may_ask(1_499));
        assert!(breaker.may_ask(1_500));
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        assert!(!breaker.may_ask(1_500), "one finds out");
        breaker.told(false, 1_600);
        assert!(!breaker.may_ask(2_599));
        assert!(breaker.may_ask(2_600));
        breaker.told(true, 2_700);
        assert_eq!(breaker.state(), BreakerState::Closed);
        assert!(breaker.may_ask(2_700));
        assert_eq!(breaker.opened, 2);
    }

    #[test]
    fn failures_that_come_late_do_not_keep_it_open() {
        let mut breaker = Breaker::new(1, 1_000);
        breaker.told(false, 0);
        breaker.told(false, 900);
        assert!(breaker.may_ask(1_000));
    }
}
