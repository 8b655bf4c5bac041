//! What each receiver got: how many, how late, and whether each room's numbers came one after the other.

use crate::dialect::{Refusal, Words};
use crate::histogram::Histogram;
use crate::stamp::Stamp;
use crate::swarm::Sink;

/// The receivers' side of a flood of broadcasts.
#[derive(Debug)]
pub(crate) struct Tally {
    words: Words,
    members: u32,
    /// The number that each connection waits for.
    next: Vec<u32>,
    pub received: u64,
    /// Came after a later one, or twice.
    pub out_of_order: u64,
    /// Came to somebody who isn't in the room, or can't be read.
    pub stray: u64,
    /// Broadcasts that the server refused, and why it refused the first.
    pub refused: u64,
    pub refusal: Option<Refusal>,
    /// Their rooms, since this was last looked at.
    pub refused_rooms: Vec<u32>,
    pub latency_us: Histogram,
    /// Not counted into `latency_us`.
    pub muted: Option<u32>,
    /// Of each broadcast on its way, how many have it.
    arrived: Vec<u32>,
    ring: u32,
    /// Rooms of broadcasts that everybody has, since this was last looked at.
    pub complete: Vec<u32>,
}

impl Tally {
    pub(crate) fn new(words: &Words, connections: usize, members: u32) -> Self {
        Self {
            words: words.clone(),
            members,
            next: vec![0; connections],
            received: 0,
            out_of_order: 0,
            stray: 0,
            refused: 0,
            refusal: None,
            refused_rooms: Vec::new(),
            latency_us: Histogram::default(),
            muted: None,
            arrived: Vec::new(),
            ring: 0,
            complete: Vec::new(),
        }
    }

    /// From now on tells when a broadcast is complete, for at most this many on their way in each room.
    pub(crate) fn watch(&mut self, rooms: u32, outstanding: u32) {
        // A refused broadcast is tried again under the next number, while an older one may still be on its way.
        self.ring = (outstanding * 2).max(64);
        self.arrived = vec![0; rooms as usize * self.ring as usize];
    }

    /// A broadcast sets out.
    pub(crate) fn sent(&mut self, room: u32, number: u32) {
        self.arrived[(room * self.ring + number % self.ring) as usize] = 0;
    }

    /// Forgets counts and latencies, but not which number each connection waits for.
    pub(crate) fn restart(&mut self) {
        self.received = 0;
        self.out_of_order = 0;
        self.stray = 0;
        self.refused = 0;
        self.latency_us.clear();
    }

    /// What isn't a broadcast may be the refusal of one.
    #[cold]
    fn other(&mut self, conn: u32, text: &[u8]) {
        let refusal = self.words.ack(text).and_then(|a| self.words.refusal(a));
        if let Some(refusal) = refusal {
            self.refused += 1;
            self.refused_rooms.push(conn / self.members);
            self.refusal.get_or_insert(refusal);
        }
    }
}

impl Sink for Tally {
    #[inline]
    fn message(&mut self, conn: u32, text: &[u8], now_ns: u64) {
        let Some(payload) = self.words.message(text) else {
            return self.other(conn, text);
        };
        let Some(stamp) = Stamp::read(payload).filter(|s| s.room == conn / self.members) else {
            self.stray += 1;
            return;
        };
        self.received += 1;
        let next = &mut self.next[conn as usize];
        if stamp.number >= *next {
            // A gap is no disorder yet: what is missing either comes late, and counts then, or is lost.
            *next = stamp.number + 1;
        } else {
            self.out_of_order += 1;
        }
        if self.muted != Some(conn) {
            self.latency_us
                .record((now_ns / 1000).saturating_sub(stamp.due_us));
        }
        if self.ring > 0 {
            let slot = (stamp.room * self.ring + stamp.number % self.ring) as usize;
            self.arrived[slot] += 1;
            if self.arrived[slot] == self.members {
                self.complete.push(stamp.room);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Target;

    fn message(room: u32, number: u32, due_us: u64) -> Vec<u8> {
        let mut text = b"42[\"m\",\"".to_vec();
        let stamp = Stamp {
            room,
            number,
            due_us,
        };
        stamp.append(&mut text, 64);
        text.extend_from_slice(b"\",\"offset\"]");
        text
    }

    fn tally(members: u32) -> Tally {
        let words = Words::new(&Target::at("http://127.0.0.1:1/"));
        Tally::new(&words, 2 * members as usize, members)
    }

    #[test]
    fn each_message_is_counted_once_and_disorder_is_seen() {
        let mut tally = tally(1);
        for number in [0, 1, 3, 2, 4] {
            tally.message(1, &message(1, number, 5), 9_000);
        }
        assert_eq!((tally.received, tally.out_of_order, tally.stray), (5, 1, 0));
        assert_eq!(tally.latency_us.max(), 4);
        tally.message(1, &message(0, 5, 5), 9_000);
        assert_eq!((tally.received, tally.stray), (5, 1));
    }

    #[test]
    fn a_broadcast_is_complete_when_the_last_member_has_it() {
        let mut tally = tally(2);
        tally.watch(2, 1);
        tally.sent(1, 0);
        tally.message(2, &message(1, 0, 0), 0);
        assert!(tally.complete.is_empty());
        tally.message(3, &message(1, 0, 0), 0);
        assert_eq!(tally.complete, [1]);
    }
}
