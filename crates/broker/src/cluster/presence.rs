//! Which nodes are there, where they send heartbeats. Sans-IO.
//!
//! Adapters that don't send any are counted by their subscriptions instead; what they do send shows that they are there
//! all the same.

use rustc_hash::FxHashMap;

use super::message::{EMITTER, Uid};

/// How often nodes say that they are there, and when they are taken for gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    /// Milliseconds from one heartbeat to the next.
    pub interval_ms: u64,
    /// Milliseconds of silence after which a node is taken for gone.
    pub timeout_ms: u64,
}

impl Default for Rhythm {
    /// Node's: every five seconds, gone after ten.
    fn default() -> Self {
        Self {
            interval_ms: 5000,
            timeout_ms: 10_000,
        }
    }
}

/// The other nodes that were heard.
#[derive(Debug)]
pub struct Presence {
    own: Uid,
    rhythm: Rhythm,
    heard: FxHashMap<Uid, u64>,
    sent_ms: Option<u64>,
}

impl Presence {
    /// Nobody yet.
    #[must_use]
    pub fn new(own: Uid, rhythm: Rhythm) -> Self {
        Self {
            own,
            rhythm,
            heard: FxHashMap::default(),
            sent_ms: None,
        }
    }

    /// Something of that node came. Whether it is new.
    pub fn hear(&mut self, uid: &Uid, now_ms: u64) -> bool {
        if *uid == self.own || uid.as_str() == EMITTER {
            return false;
        }
        self.heard.insert(uid.clone(), now_ms).is_none()
    }

    /// A node says that it leaves. Whether it was there.
    pub fn leave(&mut self, uid: &Uid) -> bool {
        self.heard.remove(uid).is_some()
    }

    /// Those that have been silent for too long. They are forgotten.
    pub fn expire(&mut self, now_ms: u64) -> Vec<Uid> {
        let oldest = now_ms.saturating_sub(self.rhythm.timeout_ms);
        let gone = self.heard.extract_if(|_, heard_ms| *heard_ms < oldest);
        gone.map(|(uid, _)| uid).collect()
    }

    /// Whether to say that we are there. If so it counts as said.
    pub fn beat(&mut self, now_ms: u64) -> bool {
        let due = self
            .sent_ms
            .is_none_or(|sent_ms| now_ms >= sent_ms + self.rhythm.interval_ms);
        if due {
            self.sent_ms = Some(now_ms);
        }
        due
    }

    /// Anything that was sent shows that we are there.
    pub fn said(&mut self, now_ms: u64) {
        self.sent_ms = Some(now_ms);
    }

    /// The nodes that are there.
    pub fn nodes(&self) -> impl Iterator<Item = &Uid> {
        self.heard.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_silent_for_too_long_is_gone() {
        let (us, a, b) = (Uid::new("us"), Uid::new("a"), Uid::new("b"));
        let mut presence = Presence::new(us.clone(), Rhythm::default());
        assert!(presence.hear(&a, 0));
        assert!(presence.hear(&b, 0));
        assert!(!presence.hear(&b, 9000));
        assert!(!presence.hear(&us, 0));
        assert!(!presence.hear(&Uid::new(EMITTER), 0));
        assert_eq!(presence.expire(10_000), []);
        assert_eq!(presence.expire(10_001), [a]);
        assert_eq!(presence.nodes().collect::<Vec<_>>(), [&b]);
        assert!(presence.leave(&b));
        assert!(!presence.leave(&b));
    }

    #[test]
    fn a_heartbeat_is_due_only_after_silence() {
        let mut presence = Presence::new(Uid::new("us"), Rhythm::default());
        assert!(presence.beat(0));
        assert!(!presence.beat(4999));
        presence.said(4999);
        assert!(!presence.beat(5000));
        assert!(presence.beat(9999));
    }
}
