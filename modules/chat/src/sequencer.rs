//! The order in which a room's messages are told: that of their numbers.
//!
//! Several messages of a room are on their way to the disk at the same time, and their commits are heard of in any
//! order, on several loops. Each takes a ticket in the moment it's handed to the store, which executes writes in that
//! order: so tickets stand in the order of numbers. A message is told when all tickets before its own are done with,
//! by success or failure.

use std::collections::VecDeque;

use crate::ordered::Told;

/// Messages of one room on their way at most; past it, senders are told to wait.
const MOST: usize = 10_000;

enum Slot {
    Waiting,
    /// To be told as soon as it's first. Empty if nothing came of it, or it was told long ago.
    Done(VecDeque<Told>),
}

#[derive(Default)]
pub(crate) struct Sequencer {
    /// Ticket of the first slot.
    first: u64,
    slots: VecDeque<Slot>,
}

impl Sequencer {
    /// Takes the next ticket; `None` if too many are out.
    pub(crate) fn take(&mut self) -> Option<u64> {
        if self.slots.len() >= MOST {
            return None;
        }
        self.slots.push_back(Slot::Waiting);
        Some(self.first + self.slots.len() as u64 - 1)
    }

    /// Says what came of a ticket. Only the first word on it counts.
    pub(crate) fn settle(&mut self, ticket: u64, told: Vec<Told>) {
        let index = ticket
            .checked_sub(self.first)
            .and_then(|index| usize::try_from(index).ok());
        if let Some(slot @ Slot::Waiting) = index.and_then(|index| self.slots.get_mut(index)) {
            *slot = Slot::Done(told.into());
        }
    }

    /// What is to be told next, if it's its turn.
    pub(crate) fn next(&mut self) -> Option<Told> {
        while let Some(Slot::Done(told)) = self.slots.front_mut() {
            let next = told.pop_front();
            if told.is_empty() {
                self.first += 1;
                self.slots.pop_front();
            }
            if next.is_some() {
                return next;
            }
        }
        None
    }

    /// Whether no ticket is out.
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use lakh_hub::Payload;

    use super::*;

    fn payload(text: &str) -> Vec<Told> {
        vec![Told {
            payload: Some(Payload::from_raw(text, Vec::new())),
            occurrence: None,
        }]
    }

    fn told(sequencer: &mut Sequencer) -> Vec<String> {
        std::iter::from_fn(|| sequencer.next())
            .map(|told| told.payload.expect("one").text().to_owned())
            .collect()
    }

    #[test]
    fn messages_wait_for_those_before_them() {
        let mut sequencer = Sequencer::default();
        let tickets: Vec<u64> = (0..4).filter_map(|_| sequencer.take()).collect();
        assert_eq!(tickets, [0, 1, 2, 3]);
        sequencer.settle(2, payload("c"));
        sequencer.settle(1, payload("b"));
        assert!(told(&mut sequencer).is_empty());
        sequencer.settle(0, payload("a"));
        assert_eq!(told(&mut sequencer), ["a", "b", "c"]);
        sequencer.settle(3, Vec::new());
        assert!(told(&mut sequencer).is_empty());
        assert!(sequencer.is_empty());
    }

    #[test]
    fn a_failed_message_holds_nobody_up() {
        let mut sequencer = Sequencer::default();
        for _ in 0..3 {
            assert!(sequencer.take().is_some());
        }
        sequencer.settle(0, Vec::new());
        sequencer.settle(2, payload("c"));
        sequencer.settle(1, Vec::new());
        sequencer.settle(1, payload("too late"));
        assert_eq!(told(&mut sequencer), ["c"]);
        sequencer.settle(1, payload("much too late"));
        assert_eq!(sequencer.take(), Some(3));
        assert!(told(&mut sequencer).is_empty());
    }

    #[test]
    fn tickets_are_bounded() {
        let mut sequencer = Sequencer::default();
        assert_eq!(
            (0..MOST + 5).filter(|_| sequencer.take().is_some()).count(),
            MOST
        );
        sequencer.settle(0, Vec::new());
        assert!(sequencer.next().is_none());
        assert!(sequencer.take().is_some());
    }
}
