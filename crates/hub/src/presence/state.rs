//! What is known, on one node, of who is where, and how it changes.

use std::collections::HashMap;

use lakh_broker::Room;

use super::agenda::{Agenda, Due, Ms};
use super::gossip::{Gossip, Saying, Word};
use super::table::{Key, ME, NodeNumber, Part, Table};
use super::{Change, Teller};
use crate::person::Person;

/// A person's sockets in a place, on this node.
#[derive(Default)]
struct Mine {
    sockets: Vec<Box<str>>,
    /// When the last one broke off: until then they may come back.
    until: Option<Ms>,
}

/// What is known, under its lock.
pub struct State<T> {
    /// Whoever makes news of changes.
    pub teller: T,
    /// What is to be done when.
    pub agenda: Agenda,
    pub(super) table: Table,
    mine: HashMap<(Room, Key), Mine>,
    pub(super) gossip: Gossip,
    /// A task looks after what is due.
    pub(super) driven: bool,
}

impl<T> State<T> {
    pub(super) fn new(teller: T, gossip: Gossip) -> Self {
        Self {
            teller,
            agenda: Agenda::default(),
            table: Table::default(),
            mine: HashMap::new(),
            gossip,
            driven: false,
        }
    }

    /// Who is where.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.table
    }
}

impl<T: Teller> State<T> {
    /// Whoever makes news, with what that needs besides.
    pub fn teller_with(&mut self) -> (&mut T, &Table, &mut Agenda) {
        (&mut self.teller, &self.table, &mut self.agenda)
    }

    pub(super) fn came(
        &mut self,
        place: &Room,
        key: &Key,
        user: Option<Person>,
        id: &str,
        now: Ms,
    ) {
        if !self.teller.minds(place) {
            return;
        }
        let of = (Room::clone(place), Key::clone(key));
        let mine = self.mine.entry(of).or_default();
        mine.until = None;
        if !mine.sockets.iter().any(|known| **known == *id) {
            mine.sockets.push(id.into());
        }
        let sockets = mine.sockets.len();
        let before = self.table.part(ME, place, key).cloned().unwrap_or_default();
        let part = Part {
            user,
            sockets,
            ..before
        };
        self.say(place, key, Some(part), now);
    }

    pub(super) fn went(&mut self, place: &Room, key: &Key, id: &str, now: Ms, grace: Ms) {
        let of = (Room::clone(place), Key::clone(key));
        let Some(mine) = self.mine.get_mut(&of) else {
            return;
        };
        let Some(at) = mine.sockets.iter().position(|known| **known == *id) else {
            return;
        };
        mine.sockets.swap_remove(at);
        let sockets = mine.sockets.len();
        if sockets == 0 && grace == 0 {
            self.mine.remove(&of);
            return self.say(place, key, None, now);
        }
        if sockets == 0 {
            let until = now + grace;
            mine.until = Some(until);
            self.agenda.plan(until, Due::Grace(of.0, of.1));
        }
        let part = self.table.part(ME, place, key).cloned();
        let part = part.map(|part| Part { sockets, ..part });
        self.say(place, key, part, now);
    }

    /// This node says something of a person, here and to the others.
    pub(super) fn say(&mut self, place: &Room, key: &Key, part: Option<Part>, now: Ms) {
        if self.table.part(ME, place, key) == part.as_ref() {
            return;
        }
        self.put(ME, place, key, part, now);
        self.gossip.changed(&mut self.agenda, place, key, now);
    }

    pub(super) fn take(&mut self, sayings: Vec<Saying>, now: Ms) {
        for saying in sayings {
            let (place, key) = (&saying.place, &saying.key);
            self.put(saying.node, place, key, saying.part, now);
        }
    }

    fn put(&mut self, node: NodeNumber, place: &Room, key: &Key, part: Option<Part>, now: Ms) {
        if !self.teller.minds(place) {
            return;
        }
        let Some((before, after)) = self.table.set(node, place, key, part) else {
            return;
        };
        let change = Change {
            place: Room::clone(place),
            key: Key::clone(key),
            before,
            after,
            now,
            is_ours: self.gossip.is_ours(key),
        };
        self.teller.changed(&self.table, &mut self.agenda, change);
    }

    fn grace_ends(&mut self, place: Room, key: Key, now: Ms) {
        let of = (place, key);
        let is_over = |mine: &Mine| mine.until.is_some_and(|until| until <= now);
        if self.mine.get(&of).is_some_and(is_over) {
            self.mine.remove(&of);
            self.say(&of.0, &of.1, None, now);
        }
    }

    /// Does what is due, and gives what is to be said to the other nodes.
    pub(super) fn step(&mut self, now: Ms, is_up: impl Fn() -> bool) -> Vec<Word> {
        let mut words = Vec::new();
        while let Some(due) = self.agenda.pop_due(now) {
            match due {
                Due::Teller(place) => {
                    self.teller.due(&self.table, &mut self.agenda, place, now);
                }
                Due::Grace(place, key) => self.grace_ends(place, key, now),
                Due::Tell => words.extend(self.gossip.words(&self.table)),
                Due::Beat => {
                    let State {
                        gossip,
                        table,
                        agenda,
                        ..
                    } = self;
                    let (word, over) = gossip.beat(table, agenda, now, is_up());
                    words.push(word);
                    self.take(over, now);
                }
            }
        }
        words
    }
}
