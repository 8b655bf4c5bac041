//! How long to wait before connecting again: twice as long each time, and never all nodes at once.

use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Backoff {
    least: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new((least, most): (Duration, Duration)) -> Self {
        Self {
            least,
            most,
            next: least,
        }
    }

    /// It worked: the next failure is a first one.
    pub(crate) fn reset(&mut self) {
        self.next = self.least;
    }

    /// The next wait: between a half and the whole of what is due, by `chance` of 0 to 255.
    pub(crate) fn wait(&mut self, chance: u8) -> Duration {
        let whole = self.next;
        self.next = whole.saturating_mul(2).min(self.most);
        whole / 2 + whole.mul_f64(f64::from(chance) / 510.0)
    }

    /// The next wait, with a chance of the system's.
    pub(crate) fn wait_by_chance(&mut self) -> Duration {
        let mut chance = [128];
        // Without random bytes all wait the same, which is no harm to any one of them.
        let _ = getrandom::fill(&mut chance);
        self.wait(chance[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_bound_and_start_over_after_success() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new((ms(100), ms(350)));
        assert_eq!(backoff.wait(0), ms(50));
        assert_eq!(backoff.wait(255), ms(200));
        assert_eq!(backoff.wait(255), ms(350));
        assert_eq!(backoff.wait(255), ms(350));
        backoff.reset();
        assert_eq!(backoff.wait(255), ms(100));
    }
}
