//! Last words: what the server had to say to long-polling sessions that it closed while no poll was pending.
//!
//! Between two polls there is nobody to tell. Without this a client that is thrown out just then would learn of it by an
//! unknown session id, take it for a broken transport, and come back. Node keeps such a transport for 30 s; here only its
//! bytes are kept, bounded in number and size, and the oldest go first.

use std::collections::{HashMap, VecDeque};

use lakh_hub::Id;
use lakh_wire::engine::payload::ContentType;

const KEPT_MS: u64 = 30_000;
const MOST: usize = 10_000;
const MOST_BYTES: usize = 4 << 20;

#[derive(Default)]
pub(crate) struct Farewells {
    /// A payload for each of the polls to come.
    by_sid: HashMap<Id, VecDeque<(Vec<u8>, ContentType)>>,
    /// When each is forgotten, soonest first. One that was heard is passed over.
    until: VecDeque<(u64, Id)>,
    bytes: usize,
}

impl Farewells {
    /// Keeps a payload for the next poll of a session that is over, or for the one after what is kept already.
    pub(crate) fn keep(&mut self, sid: Id, body: Vec<u8>, content_type: ContentType, now_ms: u64) {
        self.bytes += body.len();
        let payloads = self.by_sid.entry(sid).or_default();
        if payloads.is_empty() {
            self.until.push_back((now_ms + KEPT_MS, sid));
        }
        payloads.push_back((body, content_type));
        self.forget(now_ms);
    }

    /// The payload for this poll, if one waits. It's said once.
    pub(crate) fn hear(&mut self, sid: &Id, now_ms: u64) -> Option<(Vec<u8>, ContentType)> {
        self.forget(now_ms);
        let payloads = self.by_sid.get_mut(sid)?;
        let heard = payloads.pop_front();
        if payloads.is_empty() {
            self.by_sid.remove(sid);
        }
        self.bytes -= heard.as_ref().map_or(0, |(body, _)| body.len());
        heard
    }

    /// Whether something waits for this session.
    pub(crate) fn waits(&self, sid: &Id) -> bool {
        self.by_sid.contains_key(sid)
    }

    /// Drops what was kept long enough, or is too much.
    pub(crate) fn forget(&mut self, now_ms: u64) {
        while let Some((until, sid)) = self.until.front().copied() {
            if until > now_ms && self.until.len() <= MOST && self.bytes <= MOST_BYTES {
                return;
            }
            self.until.pop_front();
            for (body, _) in self.by_sid.remove(&sid).unwrap_or_default() {
                self.bytes -= body.len();
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A panic is how a test fails.
mod tests {
    use super::*;

    fn sid(n: usize) -> Id {
        Id::parse(&format!("{n:020}")).unwrap()
    }

    #[test]
    fn last_words_are_heard_once_and_not_for_ever() {
        let mut farewells = Farewells::default();
        farewells.keep(sid(1), b"41".to_vec(), ContentType::TextPlain, 0);
        farewells.keep(sid(1), b"1".to_vec(), ContentType::TextPlain, 0);
        farewells.keep(sid(2), b"1".to_vec(), ContentType::TextPlain, 10_000);
        assert_eq!(farewells.hear(&sid(1), 1).unwrap().0, b"41");
        assert!(farewells.waits(&sid(1)));
        assert_eq!(farewells.hear(&sid(1), 1).unwrap().0, b"1");
        assert!(!farewells.waits(&sid(1)));
        assert!(farewells.hear(&sid(1), 1).is_none());
        assert!(farewells.hear(&sid(2), 40_000).is_none());
        assert_eq!((farewells.bytes, farewells.until.len()), (0, 0));
    }

    #[test]
    fn what_is_kept_is_bounded_in_number_and_in_size() {
        let mut farewells = Farewells::default();
        for n in 0..MOST + 5 {
            farewells.keep(sid(n), vec![b'1'], ContentType::TextPlain, 0);
        }
        assert_eq!(farewells.by_sid.len(), MOST);
        assert!(farewells.hear(&sid(4), 0).is_none());
        farewells.keep(sid(0), vec![b'x'; MOST_BYTES], ContentType::TextPlain, 0);
        assert_eq!((farewells.by_sid.len(), farewells.bytes), (1, MOST_BYTES));
    }
}
