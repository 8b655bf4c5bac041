//! Who sees what only some may see: each such list of people is a group of the engine.

use rustc_hash::FxHashMap;

use super::Core;
use crate::engine::entities::Audience;
use crate::play::acts::{News, Seen};

/// Lists of people, by number.
#[derive(Debug, Default)]
pub(super) struct Groups {
    by_people: FxHashMap<Vec<String>, u32>,
    /// Each with how many entities are for it.
    all: FxHashMap<u32, (Vec<String>, usize)>,
    of: FxHashMap<String, Vec<u32>>,
    last: u32,
}

impl Groups {
    pub(super) fn of(&self, person: &str) -> Vec<u32> {
        self.of.get(person).cloned().unwrap_or_default()
    }

    /// The group of these people, for one more entity; and whether it's new.
    fn take(&mut self, people: &[String]) -> (u32, bool) {
        let mut people = people.to_vec();
        people.sort_unstable();
        people.dedup();
        if let Some(&group) = self.by_people.get(&people) {
            if let Some((_, uses)) = self.all.get_mut(&group) {
                *uses += 1;
            }
            return (group, false);
        }
        self.last = self.last.wrapping_add(1);
        let group = self.last;
        for person in &people {
            self.of.entry(person.clone()).or_default().push(group);
        }
        self.by_people.insert(people.clone(), group);
        self.all.insert(group, (people, 1));
        (group, true)
    }

    /// An entity less; the people of the group if that was the last.
    fn release(&mut self, group: u32) -> Vec<String> {
        let Some((_, uses)) = self.all.get_mut(&group) else {
            return Vec::new();
        };
        *uses -= 1;
        if *uses > 0 {
            return Vec::new();
        }
        let (people, _) = self.all.remove(&group).unwrap_or_default();
        self.by_people.remove(&people);
        for person in &people {
            if let Some(of) = self.of.get_mut(person) {
                of.retain(|other| *other != group);
                if of.is_empty() {
                    self.of.remove(person);
                }
            }
        }
        people
    }
}

impl Core {
    /// What the engine is told of who may see an entity, and the group that it's for.
    pub(super) fn audience(&mut self, seen: &Seen) -> (Audience, Option<u32>) {
        let people = match seen {
            Seen::All => return (Audience::Everyone, None),
            Seen::None => return (Audience::Nobody, None),
            Seen::People { people } => people,
        };
        let (group, new) = self.groups.take(people);
        if new {
            self.tell_groups(people.clone());
        }
        (Audience::Group(group), Some(group))
    }

    pub(super) fn release(&mut self, group: u32) {
        let people = self.groups.release(group);
        self.tell_groups(people);
    }

    fn tell_groups(&mut self, people: Vec<String>) {
        for person in people {
            let groups = self.groups.of(&person);
            self.news.push(News::Groups { person, groups });
        }
    }
}
