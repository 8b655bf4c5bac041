//! How far somebody has read a room, and how far it has reached a device of theirs.

use serde::{Deserialize, Serialize};

/// Numbers of messages. What was read has reached a device: `read <= delivered`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Marks {
    pub read: u64,
    pub delivered: u64,
}

/// What somebody says about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    /// It has reached a device, and so have all before it.
    Delivered(u64),
    /// They have read it, and all before it.
    Read(u64),
    /// They want to read it, and all behind it, again.
    Unread(u64),
}

impl Marks {
    /// The marks after a move, in a room whose last message is `last`. Only an unread goes back.
    pub(crate) fn after(self, how: Move, last: u64) -> Self {
        let (read, delivered) = match how {
            Move::Delivered(seq) => (self.read, seq.min(last)),
            Move::Read(seq) => (self.read.max(seq.min(last)), 0),
            Move::Unread(seq) => (seq.saturating_sub(1).min(last), 0),
        };
        Self {
            read,
            delivered: self.delivered.max(delivered).max(read),
        }
    }

    /// How many messages they have not read, of a room that holds `first..=last`.
    pub(crate) fn unread(self, first: u64, last: u64) -> u64 {
        last.saturating_sub(self.read.max(first.saturating_sub(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SplitMix64.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, most: u64) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.0;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (mixed ^ (mixed >> 31)) % most
        }
    }

    /// The same, as a list of messages of which each is read or not, delivered or not.
    #[derive(Default)]
    struct Model {
        messages: Vec<(bool, bool)>,
    }

    impl Model {
        fn apply(&mut self, how: Move) {
            for (index, (read, delivered)) in self.messages.iter_mut().enumerate() {
                let seq = index as u64 + 1;
                match how {
                    Move::Delivered(to) => *delivered |= seq <= to,
                    Move::Read(to) => *read |= seq <= to,
                    Move::Unread(from) => *read = seq < from,
                }
                *delivered |= *read;
            }
        }
    }

    #[test]
    fn marks_are_what_a_list_of_all_messages_would_say() {
        for seed in 0..200 {
            let mut dice = Dice(seed);
            let (mut marks, mut model) = (Marks::default(), Model::default());
            for _ in 0..100 {
                let last = model.messages.len() as u64;
                let seq = dice.below(last + 4);
                let how = match dice.below(8) {
                    0..=2 => {
                        model.messages.push((false, false));
                        continue;
                    }
                    3 => Move::Unread(seq.max(1)),
                    4 | 5 => Move::Delivered(seq),
                    _ => Move::Read(seq),
                };
                let before = marks;
                marks = marks.after(how, last);
                model.apply(how);
                let count = |of: fn(&(bool, bool)) -> bool| {
                    model.messages.iter().filter(|message| of(message)).count() as u64
                };
                assert_eq!(
                    marks.read,
                    count(|message| message.0),
                    "{how:?} from {before:?}"
                );
                assert_eq!(
                    marks.delivered,
                    count(|message| message.1),
                    "{how:?} from {before:?}"
                );
                assert_eq!(marks.unread(1, last), count(|message| !message.0));
                assert!(marks.delivered >= before.delivered && marks.read <= marks.delivered);
                assert!(matches!(how, Move::Unread(_)) || marks.read >= before.read);
                assert_eq!(
                    marks.after(how, last),
                    marks,
                    "the same again changes nothing"
                );
            }
        }
    }

    #[test]
    fn what_the_room_no_longer_holds_is_not_unread() {
        let marks = Marks {
            read: 3,
            delivered: 3,
        };
        assert_eq!(marks.unread(1, 10), 7);
        assert_eq!(marks.unread(9, 10), 2);
        assert_eq!(marks.unread(11, 10), 0);
        assert_eq!(marks.unread(1, 2), 0);
    }
}
