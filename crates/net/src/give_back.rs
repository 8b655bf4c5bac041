//! Memory that the C library keeps after a storm, given back to the system.
//!
//! glibc frees the end of its heap and keeps the holes. When thousands of sessions go, the holes are most of it: after
//! 10,000 had come, gone, come back and gone again, 23 MB stayed resident, and 17 after `malloc_trim`. It takes about a
//! millisecond, during which the loops wait if they allocate; so it's done after many sessions have gone, some more times
//! while what is kept for their return runs out, and never otherwise.
#![allow(unsafe_code)] // One call into the C library, which takes no pointer.

/// Fewer sessions than this leave nothing worth the trouble.
const MANY: u64 = 1000;
/// How often memory is given back while records of sessions that are gone run out, and for how long.
const EVERY_MS: u64 = 30_000;
const AS_LONG_AS_MS: u64 = 180_000;

/// Decides when it's time.
#[derive(Debug, Default)]
pub(crate) struct GiveBack {
    /// The most sessions since the last time.
    most: u64,
    next_ms: u64,
    until_ms: u64,
}

impl GiveBack {
    /// To be asked every few seconds.
    pub(crate) fn is_due(&mut self, sessions: u64, now_ms: u64) -> bool {
        self.most = self.most.max(sessions);
        let gone = self.most - sessions;
        if gone >= MANY && gone >= self.most / 4 {
            self.most = sessions;
            self.next_ms = now_ms + EVERY_MS;
            self.until_ms = now_ms + AS_LONG_AS_MS;
            return true;
        }
        if now_ms >= self.next_ms && now_ms < self.until_ms {
            self.next_ms = now_ms + EVERY_MS;
            return true;
        }
        false
    }
}

/// Gives back what it can. Not on a loop's thread, which has better things to do.
pub(crate) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let trim = || {
            // SAFETY: it takes a number and locks what it touches; any thread may call it at any time.
            unsafe { libc::malloc_trim(0) };
        };
        // Without a thread it's done another time.
        let thread = std::thread::Builder::new().name("give-back".to_owned());
        if let Err(error) = thread.spawn(trim) {
            tracing::debug!(%error, "no thread to give memory back with");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back_after_many_have_gone_and_for_a_while() {
        let mut give_back = GiveBack::default();
        let mut due = |sessions: u64, now_s: u64| give_back.is_due(sessions, now_s * 1000);
        assert!(!due(10_000, 200));
        assert!(!due(8_000, 205), "a fifth of them is nothing");
        assert!(due(7_000, 210));
        assert!(!due(7_000, 215));
        assert!(due(7_000, 240), "their records run out");
        assert!(due(9_000, 270));
        assert!(due(0, 271), "all gone");
        assert!(!due(0, 290));
        let later = (301..600).filter(|now| due(0, *now)).count();
        assert_eq!(later, 5, "every 30 s until 3 minutes have passed");
    }

    #[test]
    fn a_few_that_come_and_go_change_nothing() {
        let mut give_back = GiveBack::default();
        assert!((0..1000).all(|now| !give_back.is_due(now % 2 * 999, now * 5000)));
    }
}
