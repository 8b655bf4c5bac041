//! What of comings and goings is told: all of it at once, that of a tick together, or how many there are. It hangs on how many
//! people are in a room.
//!
//! A room's news are put together here in the order in which they became true.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use lakh_hub::Room;
use lakh_hub::presence::{Agenda, Change, Key, Ms, Occupancy, Present, Table, Teller, Whereabouts};

use super::flush;
use crate::names;
use crate::options::{Kinds, PresenceOptions};

/// News that wait to be told. Past it only numbers of people are.
const MAX_NEWS: usize = 10_000;

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

/// What of a room was told.
#[derive(Default)]
struct Told {
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

pub(super) struct Thinning {
    kinds: Arc<Kinds>,
    rooms: HashMap<Room, Told>,
    pub(super) news: VecDeque<(Room, News)>,
}

impl Thinning {
    pub(super) fn new(kinds: Arc<Kinds>) -> Self {
        Self {
            kinds,
            rooms: HashMap::new(),
            news: VecDeque::new(),
        }
    }
}

impl Teller for Thinning {
    fn minds(&self, place: &Room) -> bool {
        names::name(place).is_some_and(|name| self.kinds.of(name).presence.enabled)
    }

    fn changed(&mut self, table: &Table, agenda: &mut Agenda, change: Change) {
        let Change {
            place: room,
            key,
            before,
            after,
            now,
            ..
        } = change;
        let kinds = Arc::clone(&self.kinds);
        let Some(name) = names::name(&room) else {
            return;
        };
        let options = &kinds.of(name).presence;
        let people = self.rooms.entry(Room::clone(&room)).or_default();
        let occupancy = table.occupancy(&room);
        let crowd = Crowd::of(occupancy.people, people.crowd, options);
        people.crowd = crowd;
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
                    self.news
                        .extend(news.map(|news| (Room::clone(&room), news)));
                } else {
                    people.torn = true;
                }
            }
            Crowd::Batched => {
                people.changed.entry(key).or_insert(before);
            }
            Crowd::Counted => people.changed.clear(),
        }
        if !std::mem::replace(&mut people.ticking, true) {
            let last = people.last_tick.map(|last| last + options.tick_ms);
            let at = last.map_or(now, |next| next.max(now));
            agenda.later(at, room);
        }
    }

    /// A room's tick: those who came and went since the last one, and how many there are.
    fn due(&mut self, table: &Table, _: &mut Agenda, room: Room, now: Ms) {
        let Some(people) = self.rooms.get_mut(&room) else {
            return;
        };
        people.ticking = false;
        people.last_tick = Some(now);
        let occupancy = table.occupancy(&room);
        let (mut joined, mut left, mut updated) = (Vec::new(), Vec::new(), Vec::new());
        for (key, before) in std::mem::take(&mut people.changed) {
            let after = table.present(&room, &key);
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
        if occupancy.people == 0 {
            self.rooms.remove(&room);
        }
        if !(joined.is_empty() && left.is_empty() && updated.is_empty()) {
            let changes = News::Changes {
                joined,
                left,
                updated,
                now: occupancy,
            };
            self.news.push_back((Room::clone(&room), changes));
        }
        if let Some((occupancy, named)) = news_of_tick {
            self.news
                .push_back((room, News::Occupancy(occupancy, named)));
        }
    }

    fn tell(whereabouts: &Whereabouts<Self>) {
        flush(whereabouts);
    }
}

#[cfg(test)]
mod tests {
    use lakh_hub::presence::Part;

    use super::*;
    use crate::options::RoomOptions;

    /// A table and its teller, as they stand together.
    struct Side {
        table: Table,
        agenda: Agenda,
        teller: Thinning,
    }

    impl Side {
        fn new(max_named: usize, max_batched: usize) -> Self {
            let presence = PresenceOptions {
                enabled: true,
                max_named,
                max_batched,
                ..PresenceOptions::default()
            };
            let kinds = Kinds::new(vec![RoomOptions {
                presence,
                ..RoomOptions::of("*")
            }]);
            Self {
                table: Table::default(),
                agenda: Agenda::default(),
                teller: Thinning::new(Arc::new(kinds)),
            }
        }

        fn set(&mut self, room: &Room, key: &Key, part: Option<Part>, now: Ms) {
            if let Some(change) = self.table.put(room, key, part, now) {
                self.teller.changed(&self.table, &mut self.agenda, change);
            }
        }

        fn tick(&mut self, room: &Room, now: Ms) {
            let room = Room::clone(room);
            self.teller.due(&self.table, &mut self.agenda, room, now);
        }
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
    fn told(side: &mut Side) -> Vec<String> {
        let news = std::mem::take(&mut side.teller.news);
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
    fn crowds_are_told_of_together_and_then_counted() {
        let (mut table, room, now) = (Side::new(2, 4), Room::from("r"), 1_000);
        let key = |n: usize| Key::from(format!("u:{n}"));
        for n in 0..4 {
            table.set(&room, &key(n), part(1), now);
        }
        table.set(&room, &key(0), None, now);
        table.set(&room, &key(3), None, now);
        assert_eq!(told(&mut table), ["+0 1", "+1 2"]);
        table.tick(&room, now);
        // Who came and went within a tick is no news.
        assert_eq!(told(&mut table), [r#"+["2"] -["0"]"#, "2/2 true"]);
        for n in 10..20 {
            table.set(&room, &key(n), part(1), now);
        }
        table.tick(&room, now);
        assert_eq!(told(&mut table), ["12/12 false"]);
        table.tick(&room, now);
        assert!(told(&mut table).is_empty(), "nothing is new");
        for n in 10..20 {
            table.set(&room, &key(n), None, now);
        }
        table.tick(&room, now);
        let last = told(&mut table);
        assert_eq!(last.last().map(String::as_str), Some("2/2 true"));
    }

    #[test]
    fn a_room_that_nobody_is_in_is_forgotten() {
        let (mut table, room, now) = (Side::new(10, 20), Room::from("r"), 1_000);
        let ada: Key = "u:ada".into();
        table.set(&room, &ada, part(1), now);
        assert_eq!(told(&mut table), ["+ada 1"]);
        table.set(&room, &ada, None, now);
        assert_eq!(told(&mut table), ["-ada 0"]);
        table.tick(&room, now);
        assert_eq!(told(&mut table), ["0/0 true"]);
        assert!(table.teller.rooms.is_empty());
    }
}
