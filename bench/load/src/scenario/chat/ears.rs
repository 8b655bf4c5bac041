//! What comes to those in chat rooms: messages, and the answers to those that they have sent.
//!
//! A message is looked through for two fields instead of being parsed: where they were in the last one they mostly are in
//! the next.

use crate::dialect::{Refusal, Words};
use crate::histogram::Histogram;
use crate::stamp::Stamp;
use crate::swarm::Sink;

/// Messages of a room on their way whose receivers are counted; more than any server can be behind with and go on.
const RING: u32 = 1 << 16;

/// What was answered and heard.
#[derive(Debug)]
pub(super) struct Ears {
    words: Words,
    /// What a message begins with.
    new: Vec<u8>,
    /// Connections of each room.
    receivers: u32,
    seq: Field,
    text: Field,
    /// The number that each connection waits for; 0 takes any.
    next: Vec<u64>,
    /// Of each room's messages on their way, how many have them.
    arrived: Vec<u32>,
    rooms: Vec<Numbers>,
    pub acknowledged: u64,
    /// Said to have been sent before.
    pub duplicates: u64,
    pub refused: u64,
    pub refusal: Option<Refusal>,
    pub received: u64,
    /// Came after a later one, or twice.
    pub out_of_order: u64,
    /// Of another room, or nothing that was sent.
    pub stray: u64,
    /// From the moment a message was due to its acknowledgement, to each receiver, and to the last of them.
    pub ack_us: Histogram,
    pub latency_us: Histogram,
    pub last_us: Histogram,
    /// Rooms with an answer, since this was last looked at; and those with a refusal.
    pub answered: Vec<u32>,
    pub turned_away: Vec<u32>,
}

/// The numbers that a room's acknowledged messages have.
#[derive(Clone, Copy, Debug, Default)]
struct Numbers {
    least: u64,
    most: u64,
    count: u64,
}

impl Numbers {
    fn add(&mut self, seq: u64) {
        self.least = match self.count {
            0 => seq,
            _ => self.least.min(seq),
        };
        self.most = self.most.max(seq);
        self.count += 1;
    }

    fn holes(&self) -> u64 {
        match self.count {
            0 => 0,
            _ => (self.most - self.least + 1).abs_diff(self.count),
        }
    }
}

/// A field of a message: what stands before its value, and where that was last.
#[derive(Debug)]
struct Field {
    before: &'static [u8],
    at: usize,
}

impl Field {
    /// What follows it.
    #[inline]
    fn find<'a>(&mut self, text: &'a [u8]) -> Option<&'a [u8]> {
        let length = self.before.len();
        if text.get(self.at..self.at + length) != Some(self.before) {
            self.at = text.windows(length).position(|part| part == self.before)?;
        }
        text.get(self.at + length..)
    }
}

fn number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&text[..digits]).ok()?.parse().ok()
}

impl Ears {
    pub(super) fn new(words: &Words, rooms: u32, receivers: u32) -> Self {
        Self {
            words: words.clone(),
            new: words.event("message:new"),
            receivers,
            seq: Field {
                before: b"\"seq\":",
                at: 0,
            },
            text: Field {
                before: b"\"text\":\"",
                at: 0,
            },
            next: vec![0; (rooms * receivers) as usize],
            arrived: vec![0; rooms as usize * RING as usize],
            rooms: vec![Numbers::default(); rooms as usize],
            acknowledged: 0,
            duplicates: 0,
            refused: 0,
            refusal: None,
            received: 0,
            out_of_order: 0,
            stray: 0,
            ack_us: Histogram::default(),
            latency_us: Histogram::default(),
            last_us: Histogram::default(),
            answered: Vec::new(),
            turned_away: Vec::new(),
        }
    }

    /// A message sets out.
    pub(super) fn sent(&mut self, room: u32, number: u32) {
        self.arrived[slot(room, number)] = 0;
    }

    /// Messages that were answered, one way or the other.
    pub(super) fn answers(&self) -> u64 {
        self.acknowledged + self.refused
    }

    /// Receivers that acknowledged messages should have had so far.
    pub(super) fn expected(&self) -> u64 {
        self.acknowledged * u64::from(self.receivers)
    }

    /// Numbers that no acknowledged message has, between those that have one.
    pub(super) fn holes(&self) -> u64 {
        self.rooms.iter().map(Numbers::holes).sum()
    }

    /// Forgets what was counted, but not which number each connection waits for.
    pub(super) fn restart(&mut self) {
        self.rooms.fill(Numbers::default());
        (self.acknowledged, self.duplicates, self.refused) = (0, 0, 0);
        (self.received, self.out_of_order, self.stray) = (0, 0, 0);
        self.refusal = None;
        for histogram in [&mut self.ack_us, &mut self.latency_us, &mut self.last_us] {
            histogram.clear();
        }
    }

    /// Number and stamp of a message, in an event or an answer.
    #[inline]
    fn read(&mut self, text: &[u8]) -> Option<(u64, Stamp)> {
        let seq = number(self.seq.find(text)?)?;
        Some((seq, Stamp::read(self.text.find(text)?)?))
    }

    /// The answer to a message; what isn't one, such as an event about who is there, is passed over.
    #[cold]
    fn other(&mut self, conn: u32, text: &[u8], now_ns: u64) {
        let words = self.words.clone();
        let Some(arguments) = words.ack(text) else {
            return;
        };
        let room = conn / self.receivers;
        if let Some(refusal) = words.refusal(arguments) {
            self.refused += 1;
            self.turned_away.push(room);
            self.refusal.get_or_insert(refusal);
            return;
        }
        // An answer's fields lie elsewhere than an event's.
        let places = (self.seq.at, self.text.at);
        let found = self.read(arguments);
        (self.seq.at, self.text.at) = places;
        let Some((seq, stamp)) = found.filter(|(_, stamp)| stamp.room == room) else {
            self.stray += 1;
            return;
        };
        self.acknowledged += 1;
        self.duplicates += u64::from(arguments.ends_with(b"\"duplicate\":true}]"));
        self.rooms[room as usize].add(seq);
        self.ack_us.record(since(&stamp, now_ns));
        self.answered.push(room);
    }
}

fn slot(room: u32, number: u32) -> usize {
    (room * RING + number % RING) as usize
}

fn since(stamp: &Stamp, now_ns: u64) -> u64 {
    (now_ns / 1_000).saturating_sub(stamp.due_us)
}

impl Sink for Ears {
    #[inline]
    fn message(&mut self, conn: u32, text: &[u8], now_ns: u64) {
        if !text.starts_with(&self.new) {
            return self.other(conn, text, now_ns);
        }
        let room = conn / self.receivers;
        let found = self.read(text).filter(|(_, stamp)| stamp.room == room);
        let Some((seq, stamp)) = found else {
            self.stray += 1;
            return;
        };
        self.received += 1;
        let next = &mut self.next[conn as usize];
        if seq >= *next {
            // A gap is no disorder yet: what is missing either comes late, and counts then, or is lost.
            *next = seq + 1;
        } else {
            self.out_of_order += 1;
        }
        let us = since(&stamp, now_ns);
        self.latency_us.record(us);
        let arrived = &mut self.arrived[slot(room, stamp.number)];
        *arrived += 1;
        if *arrived == self.receivers {
            self.last_us.record(us);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A panic is how a test fails.
mod tests {
    use super::*;
    use crate::options::{Dialect, Target};

    fn ears() -> Ears {
        let mut target = Target::at("http://127.0.0.1:1/");
        target.namespace = "/chat".to_owned();
        target.dialect = Dialect::Rooms;
        Ears::new(&Words::new(&target), 2, 2)
    }

    fn stamp(room: u32, number: u32) -> String {
        let mut text = Vec::new();
        let due_us = 10;
        let stamp = Stamp {
            room,
            number,
            due_us,
        };
        stamp.append(&mut text, 64);
        String::from_utf8(text).unwrap()
    }

    fn message(seq: u64, room: u32, number: u32) -> String {
        let text = stamp(room, number);
        format!(
            r#"{{"room":"r","seq":{seq},"key":"k","from":{{"id":"a"}},"text":"{text}","time":1}}"#
        )
    }

    fn event(seq: u64, room: u32, number: u32) -> Vec<u8> {
        let message = message(seq, room, number);
        format!(r#"42/chat,["message:new",{message},"offset"]"#).into()
    }

    #[test]
    fn a_message_counts_for_each_receiver_and_its_last_one() {
        let mut ears = ears();
        ears.sent(1, 0);
        ears.message(2, &event(9, 1, 0), 30_000);
        assert_eq!((ears.received, ears.last_us.max()), (1, 0));
        ears.message(3, &event(9, 1, 0), 50_000);
        assert_eq!((ears.latency_us.max(), ears.last_us.max()), (40, 40));
        ears.message(3, &event(9, 1, 0), 50_000);
        ears.message(3, &event(10, 0, 1), 50_000);
        ears.message(3, br#"42/chat,["presence:update",{}]"#, 50_000);
        assert_eq!((ears.received, ears.out_of_order, ears.stray), (3, 1, 1));
    }

    #[test]
    fn answers_are_told_apart_and_numbers_between_them_are_missed() {
        let mut ears = ears();
        for seq in [8, 7, 10] {
            let message = message(seq, 0, 0);
            let answer =
                format!(r#"43/chat,5[{{"ok":true,"message":{message},"duplicate":false}}]"#);
            ears.message(1, answer.as_bytes(), 20_000);
        }
        let refused =
            br#"43/chat,6[{"ok":false,"error":{"code":"rate_limited","message":"slow"}}]"#;
        ears.message(2, refused, 20_000);
        assert_eq!((ears.acknowledged, ears.refused, ears.holes()), (3, 1, 1));
        assert_eq!((ears.expected(), ears.duplicates), (6, 0));
        assert_eq!((ears.answered, ears.turned_away), (vec![0; 3], vec![1]));
        assert_eq!(ears.ack_us.max(), 10);
    }
}
