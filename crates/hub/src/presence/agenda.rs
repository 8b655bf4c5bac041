//! What is to be done at which time.

use lakh_broker::Room;

use super::table::Key;
use crate::later::Times;

/// Milliseconds on the hub's clock.
pub type Ms = u64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// A time that the teller has asked for.
    Teller(Room),
    /// Whoever broke off isn't back.
    Grace(Room, Key),
    /// Other nodes are to be told.
    Tell,
    /// Other nodes are to be told that this one is there.
    Beat,
}

/// What is to be done at which time.
#[derive(Default)]
pub struct Agenda(Times<Due>);

impl Agenda {
    /// Lets the teller look after a place at a time: see [`Teller::due`](super::Teller::due).
    pub fn later(&mut self, at: Ms, place: Room) {
        self.plan(at, Due::Teller(place));
    }

    pub(super) fn plan(&mut self, at: Ms, due: Due) {
        self.0.put(at, due);
    }

    pub(super) fn next(&self) -> Option<Ms> {
        self.0.first()
    }

    pub(super) fn pop_due(&mut self, now: Ms) -> Option<Due> {
        self.0.pop_due(now)
    }
}
