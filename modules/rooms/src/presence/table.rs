//! Who is in which room, on all nodes: plain data, without clock and sockets.
//!
//! Each node knows its own sockets, and for each person in a room says how many of them it has. A person is there as long as
//! any node says so. A room's news are put together here in the order in which they became true, and thinned by how many
//! people there are.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use lakh_hub::{Person, Room};
use serde_json::Value;

use crate::names;
use crate::options::{Kinds, PresenceOptions};
use crate::server_side::{Occupancy, PresencePage, Present};

/// Milliseconds on the hub's clock.
pub(super) type Ms = u64;
/// News that wait to be told. Past it only numbers of people are.
const MAX_NEWS: usize = 10_000;

/// A person's name among those in a room: the id, and before it whether it's that of a person or of a socket.
pub(super) type Key = Arc<str>;
/// A node, by a number of this table's own. 0 is this one.
pub(super) type NodeNumber = u32;
pub(super) const ME: NodeNumber = 0;

/// What one node says of a person in a room.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Part {
    pub(super) user: Option<Person>,
    /// 0: the last one broke off, and may be back in a moment.
    pub(super) sockets: usize,
    pub(super) data: Option<Value>,
    /// When the data was set, in milliseconds since 1970: the latest counts.
    pub(super) stamp: u64,
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

/// How much of comings and goings is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Crowd {
    /// Each, at once.
    #[default]
    Named,
    /// Those of a tick together.
    Batched,
    /// How many there are.
    Counted,
}

impl Crowd {
    /// A room that shrinks a little doesn't change back at once.
    fn of(people: usize, before: Self, options: &PresenceOptions) -> Self {
        let at = |people: usize| match people {
            few if few <= options.max_named => Self::Named,
            some if some <= options.max_batched => Self::Batched,
            _ => Self::Counted,
        };
        let now = at(people);
        if now >= before {
            return now;
        }
        at(people.saturating_add(people / 8)).min(before)
    }
}

/// Something to be told to those who watch a room.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum News {
    Joined(Present, Occupancy),
    Left(Present, Occupancy),
    Updated(Present),
    Changes {
        joined: Vec<Present>,
        left: Vec<Present>,
        updated: Vec<Present>,
        now: Occupancy,
    },
    /// How many there are, and whether who comes and goes is told by name.
    Occupancy(Occupancy, bool),
}

#[derive(Default)]
struct People {
    here: BTreeMap<Key, Here>,
    sockets: usize,
    crowd: Crowd,
    /// Since the last tick: who has changed, and how they were before.
    changed: BTreeMap<Key, Option<Present>>,
    last_tick: Option<Ms>,
    /// A tick is to come.
    ticking: bool,
    told: Option<(Occupancy, bool)>,
    /// Names were dropped: those who watch must be told that they don't know all.
    torn: bool,
}

impl People {
    fn occupancy(&self) -> Occupancy {
        Occupancy {
            people: self.here.len(),
            sockets: self.sockets,
        }
    }
}

/// What is to be done at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    Tick(Room),
    Grace(Room, Key),
    Tell,
    Beat,
}

pub(super) struct Table {
    kinds: Arc<Kinds>,
    rooms: HashMap<Room, People>,
    pub(super) news: VecDeque<(Room, News)>,
    due: BTreeMap<(Ms, u64), Due>,
    next_due: u64,
}

impl Table {
    pub(super) fn new(kinds: Arc<Kinds>) -> Self {
        Self {
            kinds,
            rooms: HashMap::new(),
            news: VecDeque::new(),
            due: BTreeMap::new(),
            next_due: 0,
        }
    }

    pub(super) fn later(&mut self, at: Ms, due: Due) {
        self.next_due += 1;
        self.due.insert((at, self.next_due), due);
    }

    pub(super) fn next(&self) -> Option<Ms> {
        self.due.keys().next().map(|(at, _)| *at)
    }

    pub(super) fn pop_due(&mut self, now: Ms) -> Option<Due> {
        let first = self.due.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    fn options(&self, room: &Room) -> Option<&PresenceOptions> {
        let options = &self.kinds.of(names::name(room)?).presence;
        options.enabled.then_some(options)
    }

    /// A node says this of a person; `None`: it has nothing of them any more.
    pub(super) fn set(
        &mut self,
        node: NodeNumber,
        room: &Room,
        key: &Key,
        part: Option<Part>,
        now: Ms,
    ) {
        if self.options(room).is_none() || part.is_none() && !self.rooms.contains_key(room) {
            return;
        }
        let people = self.rooms.entry(Room::clone(room)).or_default();
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
        if before != after {
            self.changed(room, key, before, after, now);
        }
    }

    fn changed(
        &mut self,
        room: &Room,
        key: &Key,
        before: Option<Present>,
        after: Option<Present>,
        now: Ms,
    ) {
        let kinds = Arc::clone(&self.kinds);
        let Some(name) = names::name(room) else {
            return;
        };
        let options = &kinds.of(name).presence;
        let Some(people) = self.rooms.get_mut(room) else {
            return;
        };
        let crowd = Crowd::of(people.here.len(), people.crowd, options);
        people.crowd = crowd;
        let occupancy = people.occupancy();
        // What waits for the tick is told first.
        let crowd = match crowd {
            Crowd::Named if !people.changed.is_empty() => Crowd::Batched,
            crowd => crowd,
        };
        match crowd {
            Crowd::Named => {
                let news = match (before, after) {
                    (None, Some(after)) => Some(News::Joined(after, occupancy)),
                    (Some(before), None) => Some(News::Left(before, occupancy)),
                    (Some(before), Some(after)) if before.data != after.data => {
                        Some(News::Updated(after))
                    }
                    _ => None,
                };
                if self.news.len() < MAX_NEWS {
                    self.news.extend(news.map(|news| (Room::clone(room), news)));
                } else {
                    people.torn = true;
                }
            }
            Crowd::Batched => {
                people.changed.entry(Key::clone(key)).or_insert(before);
            }
            Crowd::Counted => people.changed.clear(),
        }
        if !std::mem::replace(&mut people.ticking, true) {
            let last = people.last_tick.map(|last| last + options.tick_ms);
            let at = last.map_or(now, |next| next.max(now));
            self.later(at, Due::Tick(Room::clone(room)));
        }
    }

    /// A room's tick: those who came and went since the last one, and how many there are.
    pub(super) fn tick(&mut self, room: &Room, now: Ms) {
        let Some(people) = self.rooms.get_mut(room) else {
            return;
        };
        people.ticking = false;
        people.last_tick = Some(now);
        let occupancy = people.occupancy();
        let (mut joined, mut left, mut updated) = (Vec::new(), Vec::new(), Vec::new());
        for (key, before) in std::mem::take(&mut people.changed) {
            let after = people.here.get(&key).map(|here| here.present(&key));
            match (before, after) {
                (None, Some(after)) => joined.push(after),
                (Some(before), None) => left.push(before),
                (Some(before), Some(after)) if before.data != after.data => updated.push(after),
                _ => {}
            }
        }
        let named = people.crowd != Crowd::Counted && !std::mem::take(&mut people.torn);
        let news_of_tick = Some((occupancy, named)).filter(|told| people.told != Some(*told));
        people.told = Some((occupancy, named));
        if people.here.is_empty() {
            self.rooms.remove(room);
        }
        if !(joined.is_empty() && left.is_empty() && updated.is_empty()) {
            let changes = News::Changes {
                joined,
                left,
                updated,
                now: occupancy,
            };
            self.news.push_back((Room::clone(room), changes));
        }
        if let Some((occupancy, named)) = news_of_tick {
            let news = News::Occupancy(occupancy, named);
            self.news.push_back((Room::clone(room), news));
        }
    }

    /// A node is gone, and all that it said.
    pub(super) fn drop_node(&mut self, node: NodeNumber, now: Ms) {
        for (room, key) in self.of_node(node) {
            self.set(node, &room, &key, None, now);
        }
    }

    /// What a node has said of whom.
    pub(super) fn of_node(&self, node: NodeNumber) -> Vec<(Room, Key)> {
        let mut all = Vec::new();
        for (room, people) in &self.rooms {
            for (key, here) in &people.here {
                if here.parts.iter().any(|(of, _)| *of == node) {
                    all.push((Room::clone(room), Key::clone(key)));
                }
            }
        }
        all
    }

    /// What a node has said of one person.
    pub(super) fn part(&self, node: NodeNumber, room: &Room, key: &str) -> Option<&Part> {
        let here = self.rooms.get(room)?.here.get(key)?;
        let mut parts = here.parts.iter();
        parts.find(|(of, _)| *of == node).map(|(_, part)| part)
    }

    pub(super) fn occupancy(&self, room: &Room) -> Occupancy {
        let people = self.rooms.get(room);
        people.map(People::occupancy).unwrap_or_default()
    }

    pub(super) fn page(&self, room: &Room, after: Option<&str>, limit: usize) -> PresencePage {
        let Some(people) = self.rooms.get(room) else {
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
    use crate::options::RoomOptions;

    fn table(max_named: usize, max_batched: usize) -> Table {
        let presence = PresenceOptions {
            enabled: true,
            max_named,
            max_batched,
            ..PresenceOptions::default()
        };
        Table::new(Arc::new(Kinds::new(vec![RoomOptions {
            presence,
            ..RoomOptions::of("*")
        }])))
    }

    fn part(sockets: usize) -> Option<Part> {
        Some(Part {
            sockets,
            ..Part::default()
        })
    }

    fn names(list: &[Present]) -> Vec<&str> {
        list.iter().map(|one| one.id.as_str()).collect()
    }

    /// What watchers would know who apply what they are told.
    fn told(table: &mut Table) -> Vec<String> {
        let news = std::mem::take(&mut table.news);
        news.into_iter()
            .map(|(_, news)| match news {
                News::Joined(one, now) => format!("+{} {}", one.id, now.people),
                News::Left(one, now) => format!("-{} {}", one.id, now.people),
                News::Updated(one) => format!("={}", one.id),
                News::Changes { joined, left, .. } => {
                    format!("+{:?} -{:?}", names(&joined), names(&left))
                }
                News::Occupancy(now, named) => format!("{}/{} {named}", now.people, now.sockets),
            })
            .collect()
    }

    #[test]
    fn a_person_counts_once_over_sockets_and_nodes() {
        let (mut table, room, now) = (table(10, 20), Room::from("r"), 1_000);
        let ada: Key = "u:ada".into();
        table.set(ME, &room, &ada, part(1), now);
        table.set(1, &room, &ada, part(2), now);
        assert_eq!(
            table.occupancy(&room),
            Occupancy {
                people: 1,
                sockets: 3
            }
        );
        table.set(ME, &room, &ada, None, now);
        assert_eq!(told(&mut table), ["+ada 1"]);
        table.drop_node(1, now);
        assert_eq!(told(&mut table), ["-ada 0"]);
        table.tick(&room, now);
        assert_eq!(told(&mut table), ["0/0 true"]);
        assert!(table.rooms.is_empty());
    }

    #[test]
    fn crowds_are_told_of_together_and_then_counted() {
        let (mut table, room, now) = (table(2, 4), Room::from("r"), 1_000);
        let key = |n: usize| Key::from(format!("u:{n}"));
        for n in 0..4 {
            table.set(ME, &room, &key(n), part(1), now);
        }
        table.set(ME, &room, &key(0), None, now);
        table.set(ME, &room, &key(3), None, now);
        assert_eq!(told(&mut table), ["+0 1", "+1 2"]);
        table.tick(&room, now);
        // Who came and went within a tick is no news.
        assert_eq!(told(&mut table), [r#"+["2"] -["0"]"#, "2/2 true"]);
        for n in 10..20 {
            table.set(ME, &room, &key(n), part(1), now);
        }
        table.tick(&room, now);
        assert_eq!(told(&mut table), ["12/12 false"]);
        table.tick(&room, now);
        assert!(told(&mut table).is_empty(), "nothing is new");
        for n in 10..20 {
            table.set(ME, &room, &key(n), None, now);
        }
        table.tick(&room, now);
        let last = told(&mut table);
        assert_eq!(last.last().map(String::as_str), Some("2/2 true"));
    }

    #[test]
    fn pages_go_on_where_the_last_one_ended() {
        let (mut table, room, now) = (table(100, 100), Room::from("r"), 1_000);
        for n in 0..7 {
            table.set(ME, &room, &Key::from(format!("u:{n}")), part(1), now);
        }
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = table.page(&room, after.as_deref(), 3);
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
