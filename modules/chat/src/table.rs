//! What the module keeps in memory of this node: rooms with people in them or messages on their way, and what is due when.
//!
//! A room stands here as long as somebody is in it. Everything else is in the store.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use lakh_hub::Person;
use lakh_hub::presence::Ms;

use crate::here::People;
use crate::live::Floating;
use crate::ordered::Told;
use crate::pacing::Pacing;
use crate::sequencer::Sequencer;
use crate::standing::Known;

#[derive(Default)]
pub(crate) struct Table {
    // Names come from clients: the map's hash is keyed, so that they can't be chosen to collide.
    rooms: HashMap<Box<str>, Live>,
    pub(crate) pacing: Pacing,
    pub(crate) floating: Floating,
    due: BinaryHeap<Reverse<Due>>,
    sweeping: bool,
}

#[derive(Default)]
struct Live {
    people: People,
    sending: Sequencer,
    known: Known,
}

/// What is to be looked after, and when.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Due {
    pub at: Ms,
    pub room: Box<str>,
    /// `None`: the room's messages.
    pub person: Option<Box<str>>,
}

impl Table {
    pub(crate) fn rooms(&self) -> usize {
        self.rooms.len()
    }

    /// A socket of this person is in the room. Whether it's the first on this node.
    pub(crate) fn enter(&mut self, room: &str, person: &Arc<Person>) -> bool {
        self.live(room).people.enter(person)
    }

    /// A socket of this person is out of the room. If it was the last, they are gone at the time given.
    pub(crate) fn leave(&mut self, room: &str, id: &str, gone_at: Ms) {
        self.with_people(room, id, |people| people.leave(id, gone_at));
    }

    /// Changes something of a person in a room, and plans when to look after them.
    pub(crate) fn with_people<R>(
        &mut self,
        room: &str,
        id: &str,
        change: impl FnOnce(&mut People) -> R,
    ) -> Option<R> {
        let live = self.rooms.get_mut(room)?;
        let result = change(&mut live.people);
        if !live.people.is_here(id) {
            live.known.forget(id);
        }
        if let Some(at) = live.people.plan(id) {
            self.later(at, room, Some(id));
        }
        self.tidy(room);
        Some(result)
    }

    /// What is known of a room that is watched here.
    pub(crate) fn known(&mut self, room: &str) -> Option<&mut Known> {
        let live = self.rooms.get_mut(room)?;
        Some(&mut live.known)
    }

    /// Whether a person watches a room here.
    pub(crate) fn is_here(&self, room: &str, person: &str) -> bool {
        let live = self.rooms.get(room);
        live.is_some_and(|live| live.people.is_here(person))
    }

    /// Takes a ticket for a message.
    pub(crate) fn ticket(&mut self, room: &str) -> Option<u64> {
        self.live(room).sending.take()
    }

    pub(crate) fn settle(&mut self, room: &str, ticket: u64, told: Vec<Told>) {
        if let Some(live) = self.rooms.get_mut(room) {
            live.sending.settle(ticket, told);
        }
    }

    /// What the room is told next.
    pub(crate) fn next_told(&mut self, room: &str) -> Option<Told> {
        let next = self.rooms.get_mut(room)?.sending.next();
        if next.is_none() {
            self.tidy(room);
        }
        next
    }

    /// Looks after something at a time.
    pub(crate) fn later(&mut self, at: Ms, room: &str, person: Option<&str>) {
        self.due.push(Reverse(Due {
            at,
            room: room.into(),
            person: person.map(Into::into),
        }));
    }

    /// What is due by now, the earliest first.
    pub(crate) fn pop_due(&mut self, now: Ms) -> Option<Due> {
        if self.due.peek()?.0.at > now {
            return None;
        }
        let Reverse(due) = self.due.pop()?;
        if let (Some(person), Some(live)) = (&due.person, self.rooms.get_mut(&due.room)) {
            live.people.looked(person, due.at);
        }
        Some(due)
    }

    /// When the next thing is due. Without one the sweeper's work is over.
    pub(crate) fn next_due(&mut self) -> Option<Ms> {
        let next = self.due.peek().map(|due| due.0.at);
        self.sweeping = next.is_some();
        next
    }

    /// Whether a sweeper is to be started: something is due, and there is none.
    pub(crate) fn start_sweeping(&mut self) -> bool {
        !self.due.is_empty() && !std::mem::replace(&mut self.sweeping, true)
    }

    pub(crate) fn stop_sweeping(&mut self) {
        self.sweeping = false;
    }

    fn live(&mut self, room: &str) -> &mut Live {
        self.rooms.entry(room.into()).or_default()
    }

    fn tidy(&mut self, room: &str) {
        if self
            .rooms
            .get(room)
            .is_some_and(|live| live.people.count() == 0 && live.sending.is_empty())
        {
            self.rooms.remove(room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ada() -> Arc<Person> {
        Arc::new(Person {
            id: "ada".into(),
            name: "Ada".into(),
        })
    }

    #[test]
    fn a_room_is_forgotten_when_nobody_is_in_it_and_nothing_on_its_way() {
        let (mut table, now) = (Table::default(), 1_000);
        assert!(table.enter("r", &ada()));
        assert_eq!(table.ticket("r"), Some(0));
        table.leave("r", "ada", now);
        let due = table.pop_due(now);
        assert_eq!(
            due,
            Some(Due {
                at: now,
                room: "r".into(),
                person: Some("ada".into())
            })
        );
        assert_eq!(
            table.with_people("r", "ada", |people| people.take_gone("ada", now)),
            Some(Some(ada()))
        );
        assert_eq!(table.rooms(), 1, "a message is on its way");
        table.settle("r", 0, Vec::new());
        assert!(table.next_told("r").is_none());
        assert_eq!(table.rooms(), 0);
    }

    #[test]
    fn one_sweeper_works_as_long_as_something_is_due() {
        let (mut table, now) = (Table::default(), 1_000);
        assert!(!table.start_sweeping());
        table.later(now, "r", None);
        assert!(table.start_sweeping());
        assert!(!table.start_sweeping());
        assert_eq!(table.next_due(), Some(now));
        assert!(table.pop_due(now).is_some());
        assert_eq!((table.pop_due(now), table.next_due()), (None, None));
        table.later(now, "r", None);
        assert!(table.start_sweeping());
    }
}
