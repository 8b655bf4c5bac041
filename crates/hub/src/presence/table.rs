//! Who is where, on all nodes: plain data, without clock and sockets.
//!
//! Each node knows its own sockets, and for each person in a place says how many of them it has. A person is there as long
//! as any node says so.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use lakh_broker::Room;
use serde::Serialize;
use serde_json::Value;

use super::{Change, Ms};
use crate::person::Person;

/// A person's name among those in a place: the id, and before it a word for what it is the id of and a colon, as in
/// `u:ada`. See [`key_of`](super::key_of).
pub type Key = Arc<str>;
/// A node, by a number of this table's own.
pub(super) type NodeNumber = u32;
/// This node.
pub(super) const ME: NodeNumber = 0;

/// What one node says of a person in a place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// Who it is, if they are signed in.
    pub user: Option<Person>,
    /// How many sockets they have there. 0: the last one broke off, and may be back in a moment.
    pub sockets: usize,
    /// What they tell about themselves.
    pub data: Option<Value>,
    /// When that was set, in milliseconds since 1970: the latest counts.
    pub stamp: u64,
}

/// Somebody who is in a place, on however many devices.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Present {
    /// The person's id; of somebody who is not signed in, the socket's id.
    pub id: String,
    /// Who it is, if they are signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Person>,
    /// Sockets of this person in the place, on all nodes. 0: the last one broke off a moment ago.
    pub sockets: usize,
    /// What the person tells about themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

/// Some of those who are in a place.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PresencePage {
    /// In the order of their ids.
    pub members: Vec<Present>,
    /// How many there are in all.
    pub people: usize,
    /// Sockets of all of them.
    pub sockets: usize,
    /// Where the next page begins; `None` if this was the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// How many are in a place, on all nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Occupancy {
    /// People, each once over all of their devices.
    pub people: usize,
    /// Sockets.
    pub sockets: usize,
}

#[derive(Default)]
struct Here {
    parts: Vec<(NodeNumber, Part)>,
}

impl Here {
    fn present(&self, key: &str) -> Present {
        let newest = self.parts.iter().filter(|(_, part)| part.data.is_some());
        let newest = newest.max_by_key(|(_, part)| part.stamp);
        Present {
            id: key.split_once(':').map_or(key, |(_, id)| id).to_owned(),
            user: self.parts.iter().find_map(|(_, part)| part.user.clone()),
            sockets: self.parts.iter().map(|(_, part)| part.sockets).sum(),
            data: newest.and_then(|(_, part)| part.data.clone()),
        }
    }
}

#[derive(Default)]
struct People {
    here: BTreeMap<Key, Here>,
    sockets: usize,
}

impl People {
    fn occupancy(&self) -> Occupancy {
        Occupancy {
            people: self.here.len(),
            sockets: self.sockets,
        }
    }
}

/// Who is where, as far as this node knows.
#[derive(Default)]
pub struct Table {
    places: HashMap<Room, People>,
}

impl Table {
    /// A node says this of a person; `None`: it has nothing of them any more. Gives how they were before and are after, if
    /// that has changed.
    pub(super) fn set(
        &mut self,
        node: NodeNumber,
        place: &Room,
        key: &Key,
        part: Option<Part>,
    ) -> Option<(Option<Present>, Option<Present>)> {
        if part.is_none() && !self.places.contains_key(place) {
            return None;
        }
        let people = self.places.entry(Room::clone(place)).or_default();
        let before = people.here.get(key).map(|here| here.present(key));
        let here = people.here.entry(Key::clone(key)).or_default();
        here.parts.retain(|(of, _)| *of != node);
        here.parts.extend(part.map(|part| (node, part)));
        let after = (!here.parts.is_empty()).then(|| here.present(key));
        if after.is_none() {
            people.here.remove(key);
        }
        let sockets = |present: &Option<Present>| present.as_ref().map_or(0, |one| one.sockets);
        people.sockets = people.sockets + sockets(&after) - sockets(&before);
        if people.here.is_empty() {
            self.places.remove(place);
        }
        (before != after).then_some((before, after))
    }

    /// This node says something of a person, as if sockets of theirs came and went. For trying a
    /// [`Teller`](super::Teller) out.
    pub fn put(&mut self, place: &Room, key: &Key, part: Option<Part>, now: Ms) -> Option<Change> {
        let (before, after) = self.set(ME, place, key, part)?;
        Some(Change {
            place: Room::clone(place),
            key: Key::clone(key),
            before,
            after,
            now,
            is_ours: true,
        })
    }

    /// What a node has said of whom.
    pub(super) fn of_node(&self, node: NodeNumber) -> Vec<(Room, Key)> {
        let mut all = Vec::new();
        for (place, people) in &self.places {
            for (key, here) in &people.here {
                if here.parts.iter().any(|(of, _)| *of == node) {
                    all.push((Room::clone(place), Key::clone(key)));
                }
            }
        }
        all
    }

    /// What a node has said of one person.
    pub(super) fn part(&self, node: NodeNumber, place: &Room, key: &str) -> Option<&Part> {
        let here = self.places.get(place)?.here.get(key)?;
        let mut parts = here.parts.iter();
        parts.find(|(of, _)| *of == node).map(|(_, part)| part)
    }

    /// Whether a person is in a place.
    #[must_use]
    pub fn is_in(&self, place: &str, key: &str) -> bool {
        let people = self.places.get(place);
        people.is_some_and(|people| people.here.contains_key(key))
    }

    /// A person in a place.
    #[must_use]
    pub fn present(&self, place: &str, key: &str) -> Option<Present> {
        let here = self.places.get(place)?.here.get(key)?;
        Some(here.present(key))
    }

    /// Sockets of a person in a place, on all nodes.
    #[must_use]
    pub fn sockets(&self, place: &str, key: &str) -> usize {
        let here = self
            .places
            .get(place)
            .and_then(|people| people.here.get(key));
        here.map_or(0, |here| {
            here.parts.iter().map(|(_, part)| part.sockets).sum()
        })
    }

    /// How many are in a place.
    #[must_use]
    pub fn occupancy(&self, place: &str) -> Occupancy {
        let people = self.places.get(place);
        people.map(People::occupancy).unwrap_or_default()
    }

    /// Some of those in a place, behind the one given: the `next` of the page before.
    #[must_use]
    pub fn page(&self, place: &str, after: Option<&str>, limit: usize) -> PresencePage {
        let Some(people) = self.places.get(place) else {
            return PresencePage::default();
        };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut behind = people.here.range::<str, _>((from, Bound::Unbounded));
        let mut page = PresencePage {
            people: people.here.len(),
            sockets: people.sockets,
            ..PresencePage::default()
        };
        let mut last = None;
        for (key, here) in behind.by_ref().take(limit) {
            page.members.push(here.present(key));
            last = Some(key.to_string());
        }
        page.next = last.filter(|_| behind.next().is_some());
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(sockets: usize) -> Option<Part> {
        Some(Part {
            sockets,
            ..Part::default()
        })
    }

    #[test]
    fn a_person_counts_once_over_sockets_and_nodes() {
        let (mut table, place) = (Table::default(), Room::from("r"));
        let ada: Key = "u:ada".into();
        let came = table.set(ME, &place, &ada, part(1)).expect("news");
        assert_eq!((came.0, came.1.map(|ada| ada.sockets)), (None, Some(1)));
        table.set(1, &place, &ada, part(2));
        assert_eq!(
            table.occupancy("r"),
            Occupancy {
                people: 1,
                sockets: 3
            }
        );
        assert!(table.set(1, &place, &ada, part(2)).is_none(), "nothing new");
        table.set(ME, &place, &ada, None);
        assert!(table.is_in("r", "u:ada"));
        let left = table.set(1, &place, &ada, None).expect("news");
        assert_eq!((left.0.map(|ada| ada.sockets), left.1), (Some(2), None));
        assert!(table.places.is_empty());
        assert!(table.set(1, &place, &ada, None).is_none());
    }

    #[test]
    fn the_latest_data_counts_whichever_node_has_it() {
        let (mut table, place) = (Table::default(), Room::from("r"));
        let ada: Key = "u:ada".into();
        let with = |data: &str, stamp| {
            Some(Part {
                data: Some(data.into()),
                stamp,
                sockets: 1,
                user: None,
            })
        };
        table.set(ME, &place, &ada, with("old", 1));
        table.set(1, &place, &ada, with("new", 2));
        let data = |table: &Table| table.present("r", "u:ada").and_then(|ada| ada.data);
        assert_eq!(data(&table), Some("new".into()));
        table.set(1, &place, &ada, None);
        assert_eq!(data(&table), Some("old".into()));
    }

    #[test]
    fn pages_go_on_where_the_last_one_ended() {
        let (mut table, place) = (Table::default(), Room::from("r"));
        for n in 0..7 {
            table.set(ME, &place, &Key::from(format!("u:{n}")), part(1));
        }
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = table.page("r", after.as_deref(), 3);
            assert_eq!(page.people, 7);
            seen.extend(page.members.into_iter().map(|one| one.id));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, ["0", "1", "2", "3", "4", "5", "6"]);
    }
}
