//! What is to be written about an endpoint's queue, all of it or nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::event::Stored;

/// An event that nobody tries to send any more.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dead {
    pub event: Stored,
    pub attempts: u32,
    pub reason: String,
    /// It stood in the log of a held lane.
    pub was_held: bool,
}

impl Dead {
    pub(crate) fn new(event: Stored, attempts: u32, reason: &str) -> Self {
        Self {
            event,
            attempts,
            reason: reason.to_owned(),
            was_held: false,
        }
    }
}

/// What is to be written.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Changes {
    /// Events that go to the logs of their lanes, in order.
    pub moves: Vec<Stored>,
    /// Events that become dead letters.
    pub dead: Vec<Dead>,
    /// Held lanes of which all before a number is done with.
    pub trims: BTreeMap<u64, u64>,
    /// Lanes that are held no longer; they may be held anew by the same changes.
    pub ended: BTreeSet<u64>,
    /// Held lanes whose attempts have changed.
    pub held: BTreeSet<u64>,
    /// Something was taken by the endpoint.
    pub is_due: bool,
}

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn held_changed(&mut self, lane: u64) {
        self.held.insert(lane);
    }

    /// A part that fits into one batch of the store; what is left stays here. What it makes room for is in it or was in a
    /// part before: letters before their log goes, and the end of an earlier log of a lane before a new one begins.
    pub(crate) fn take_part(&mut self, most: usize, most_bytes: usize) -> Self {
        let (mut count, mut bytes) = (0, 0);
        let mut fits = |event: &Stored| {
            count += 1;
            bytes += event.json.len();
            count <= most && (bytes <= most_bytes || count == 1)
        };
        let dead = self
            .dead
            .iter()
            .take_while(|dead| fits(&dead.event))
            .count();
        let mut part = Self {
            dead: self.dead.drain(..dead).collect(),
            ..Self::default()
        };
        if !self.dead.is_empty() {
            return part;
        }
        part.ended = std::mem::take(&mut self.ended);
        let moves = self.moves.iter().take_while(|event| fits(event)).count();
        part.moves = self.moves.drain(..moves).collect();
        if self.moves.is_empty() {
            part.trims = std::mem::take(&mut self.trims);
            part.held = std::mem::take(&mut self.held);
            part.is_due = std::mem::take(&mut self.is_due);
        }
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at: u64) -> Stored {
        Stored {
            at,
            id: "e".into(),
            lane: at % 3,
            seq: None,
            stored_ms: 0,
            json: vec![0; 10].into(),
        }
    }

    #[test]
    fn parts_hold_all_of_it_and_what_makes_room_comes_last() {
        let mut changes = Changes {
            moves: (0..7).map(event).collect(),
            dead: (7..12).map(|at| Dead::new(event(at), 1, "x")).collect(),
            trims: [(1, 5)].into(),
            ended: [2].into(),
            held: [0].into(),
            is_due: true,
        };
        let mut parts = Vec::new();
        while !changes.is_empty() {
            parts.push(changes.take_part(3, 1_000));
        }
        let sizes: Vec<_> = parts
            .iter()
            .map(|part| {
                (
                    part.dead.len(),
                    part.moves.len(),
                    part.ended.len(),
                    part.trims.len(),
                )
            })
            .collect();
        assert_eq!(
            sizes,
            [(3, 0, 0, 0), (2, 1, 1, 0), (0, 3, 0, 0), (0, 3, 0, 1)]
        );
        let moved: Vec<u64> = parts
            .iter()
            .flat_map(|part| &part.moves)
            .map(|event| event.at)
            .collect();
        assert_eq!(moved, (0..7).collect::<Vec<_>>());
    }

    #[test]
    fn one_event_always_fits() {
        let mut changes = Changes {
            moves: vec![event(1)],
            ..Changes::default()
        };
        assert_eq!(changes.take_part(10, 1).moves.len(), 1);
        assert!(changes.is_empty());
    }
}
