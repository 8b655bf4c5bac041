//! What clients saw, held against what was acknowledged.
//!
//! A client's life falls into stretches: each begins where it was told `recovered: false` (or first came), and goes on
//! over every connection that was recovered. Within a stretch it must see each message of its rooms
//!
//! * that was acknowledged, or that reached the log, which shows in that a client saw it and lived on;
//! * once, and in the order in which all others see them;
//! * from its first message on, and any that was sent after its join was acknowledged;
//! * up to its last message, and the last stretch up to the end of the run.
//!
//! A message that was not acknowledged and that nobody kept may be missing everywhere.

use std::collections::{HashMap, HashSet};

use crate::order::merge;
use crate::records::{Message, Name, Records};
use crate::stretches::{self, Stretch, View};

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A message is missing.
    Gap,
    /// A message came twice.
    Double,
    /// A message came after a later one.
    Reorder,
    /// All see a writer's messages in another order than they were written.
    WriterOrder,
    /// The server counts a room's messages otherwise than one by one, or not alike for all.
    Count,
    /// A message came that nobody wrote, or not into that room.
    Phantom,
    /// The server says that a client is not in a room which it joined.
    LostRoom,
    /// A recovered socket has another id than before.
    OtherId,
    /// A client was not connected at the end.
    Stuck,
    /// A process of the server ended by itself, or panicked.
    Crash,
}

impl Kind {
    /// Its name in the report.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Double => "double",
            Self::Reorder => "reordering",
            Self::WriterOrder => "writer's order",
            Self::Count => "count",
            Self::Phantom => "phantom",
            Self::LostRoom => "lost room",
            Self::OtherId => "other id",
            Self::Stuck => "stuck",
            Self::Crash => "crash",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What.
    pub kind: Kind,
    /// For whom; nobody in particular if it's wrong for all.
    pub client: Option<usize>,
    /// How many messages it is about (for a gap seen by nobody: messages times receivers).
    pub count: usize,
    /// About when it began and ended.
    pub time: (u64, u64),
    /// In words.
    pub words: String,
}

/// Compares a whole run.
#[must_use]
pub fn compare(records: &Records) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut stretches = Vec::new();
    for (client, life) in records.clients.iter().enumerate() {
        stretches.extend(stretches::of(client, life, &mut found));
    }
    let seen = stretches.iter().flat_map(|stretch| stretch.rooms.keys());
    let written = records.messages.values().map(|message| &message.room);
    let mut rooms: Vec<u32> = seen.chain(written).copied().collect();
    rooms.sort_unstable();
    rooms.dedup();
    for room in rooms {
        Room::new(room, records, &stretches).compare(&mut found);
    }
    found.sort_by_key(|violation| violation.time);
    found
}

/// A room, and all that is needed to judge it.
struct Room<'a> {
    room: u32,
    records: &'a Records,
    views: Vec<(&'a Stretch, &'a View)>,
    order: Vec<Name>,
    place: HashMap<Name, usize>,
    /// Messages that nobody may miss.
    kept: HashSet<Name>,
    /// The lowest count that the server told anybody of a message.
    counts: HashMap<Name, u64>,
}

impl<'a> Room<'a> {
    fn new(room: u32, records: &'a Records, stretches: &'a [Stretch]) -> Self {
        let views: Vec<_> = stretches
            .iter()
            .filter_map(|stretch| Some((stretch, stretch.rooms.get(&room)?)))
            .collect();
        let firsts: Vec<Vec<Name>> = views.iter().map(|(_, view)| firsts(view)).collect();
        let sent = |name| {
            records
                .messages
                .get(&name)
                .map_or(0, |message| message.sent)
        };
        let order = merge(firsts.iter().map(Vec::as_slice), sent);
        let place = order.iter().enumerate().map(|(place, name)| (*name, place));
        let place = place.collect();
        let mut kept: HashSet<Name> = HashSet::new();
        for (stretch, view) in &views {
            let lived_on = |time: u64| {
                stretch.last || stretch.recovered.last().is_some_and(|last| *last > time)
            };
            kept.extend(
                view.seen
                    .iter()
                    .filter(|(time, _)| lived_on(*time))
                    .map(|(_, name)| name),
            );
        }
        let acked = |name: &&Name| {
            let message = records.messages.get(name);
            message.is_some_and(|message| message.acked.is_some())
        };
        kept.extend(order.iter().filter(acked));
        let mut counts = HashMap::new();
        for (name, count) in views.iter().flat_map(|(_, view)| &view.counts) {
            let least = counts.entry(*name).or_insert(*count);
            *least = (*least).min(*count);
        }
        Self {
            room,
            records,
            views,
            order,
            place,
            kept,
            counts,
        }
    }

    fn compare(&self, found: &mut Vec<Violation>) {
        for (stretch, view) in &self.views {
            self.doubles_and_reorderings(stretch, view, found);
            self.gaps(stretch, view, found);
            self.counts(stretch, view, found);
        }
        self.seen_by_nobody(found);
        self.writers_order(found);
        for name in &self.order {
            let message = self.records.messages.get(name);
            if message.is_none_or(|message| message.room != self.room) {
                let words = format!("r{}: {name} was seen, but not written there", self.room);
                found.push(violation(Kind::Phantom, None, 1, (0, 0), words));
            }
        }
    }

    fn message(&self, name: Name) -> Option<&'a Message> {
        self.records.messages.get(&name)
    }

    fn sent(&self, name: Name) -> u64 {
        self.message(name).map_or(0, |message| message.sent)
    }

    fn doubles_and_reorderings(&self, stretch: &Stretch, view: &View, found: &mut Vec<Violation>) {
        let mut before: HashMap<Name, u64> = HashMap::new();
        let mut highest: Option<(usize, u64, Name)> = None;
        for (time, name) in &view.seen {
            let room = self.room;
            if let Some(first) = before.insert(*name, *time) {
                let words = format!(
                    "r{room}: saw {} twice, at {} and at {}",
                    self.told(*name),
                    at(first),
                    at(*time)
                );
                let client = Some(stretch.client);
                found.push(violation(Kind::Double, client, 1, (first, *time), words));
                continue;
            }
            let place = self.place[name];
            match highest {
                Some((above, then, later)) if place < above => {
                    let words = format!(
                        "r{room}: saw {} at {}, after {later} (at {}), which others see {} later",
                        self.told(*name),
                        at(*time),
                        at(then),
                        messages(above - place)
                    );
                    let client = Some(stretch.client);
                    found.push(violation(Kind::Reorder, client, 1, (then, *time), words));
                }
                _ => highest = Some((place, *time, *name)),
            }
        }
    }

    fn gaps(&self, stretch: &Stretch, view: &View, found: &mut Vec<Violation>) {
        let seen: HashMap<Name, u64> = view
            .seen
            .iter()
            .rev()
            .map(|(t, name)| (*name, *t))
            .collect();
        let places = || seen.keys().map(|name| self.place[name]);
        let first = places().min().unwrap_or(usize::MAX);
        let last = places().max().unwrap_or(0);
        let mut missing: Vec<Name> = Vec::new();
        let mut before = None;
        for (place, name) in self.order.iter().enumerate() {
            if let Some(time) = seen.get(name) {
                let after = Some((*time, *name));
                self.tell_gap(stretch, &mut missing, before, after, found);
                before = after;
                continue;
            }
            let joined = view.joined.is_some_and(|joined| self.sent(*name) >= joined);
            let due = (place > first || joined) && (place < last || stretch.last);
            if due && self.kept.contains(name) {
                missing.push(*name);
            }
        }
        self.tell_gap(stretch, &mut missing, before, None, found);
    }

    /// What are neighbours for all is counted as neighbours to each.
    fn counts(&self, stretch: &Stretch, view: &View, found: &mut Vec<Violation>) {
        for pair in view.seen.windows(2) {
            let [(_, one), (time, two)] = pair else {
                continue;
            };
            let (before, after) = (view.counts[one], view.counts[two]);
            let neighbours = self.place[one] + 1 == self.place[two];
            if neighbours && before > 0 && after != before + 1 {
                let words = format!(
                    "r{}: {} is number {before}, and {} after it number {after}",
                    self.room,
                    self.told(*one),
                    self.told(*two)
                );
                let client = Some(stretch.client);
                found.push(violation(Kind::Count, client, 1, (*time, *time), words));
            }
        }
        for (name, count) in &view.counts {
            // Told to those who saw the higher one.
            if self.counts[name] < *count {
                let words = format!(
                    "r{}: {} is number {count} here, and {} elsewhere",
                    self.room,
                    self.told(*name),
                    self.counts[name]
                );
                let time = self.sent(*name);
                let client = Some(stretch.client);
                found.push(violation(Kind::Count, client, 1, (time, time), words));
            }
        }
    }

    fn tell_gap(
        &self,
        stretch: &Stretch,
        missing: &mut Vec<Name>,
        before: Option<(u64, Name)>,
        after: Option<(u64, Name)>,
        found: &mut Vec<Violation>,
    ) {
        let (Some(first), Some(last)) = (missing.first(), missing.last()) else {
            return;
        };
        let side = |side: Option<(u64, Name)>, nothing: &str| {
            side.map_or(nothing.to_owned(), |(time, name)| {
                format!("{name} at {}", at(time))
            })
        };
        let mut words = format!(
            "r{}: missed {}, {}",
            self.room,
            messages(missing.len()),
            self.told(*first)
        );
        if missing.len() > 1 {
            words += &format!(" to {}", self.told(*last));
        }
        words += &format!(
            "; saw {}, then {}",
            side(before, "nothing"),
            side(after, "nothing more")
        );
        let time = (
            before.map_or(self.sent(*first), |(time, _)| time),
            after.map_or(self.sent(*last), |(time, _)| time),
        );
        let client = Some(stretch.client);
        found.push(violation(Kind::Gap, client, missing.len(), time, words));
        missing.clear();
    }

    /// A message in words: who else saw it is what tells a server that lost it from one that lost a receiver.
    fn told(&self, name: Name) -> String {
        let Some(message) = self.message(name) else {
            return name.to_string();
        };
        let others = self.views.iter();
        let others = others.filter(|(_, view)| view.seen.iter().any(|(_, seen)| *seen == name));
        let acked = message
            .acked
            .map_or("not acknowledged".to_owned(), |acked| {
                format!("acknowledged {}", at(acked))
            });
        let sent = at(message.sent);
        format!("{name} (sent {sent}, {acked}, seen by {})", others.count())
    }

    /// Acknowledged, and nobody got it.
    fn seen_by_nobody(&self, found: &mut Vec<Violation>) {
        let mut unseen: Vec<(&Name, &Message)> = self
            .records
            .messages
            .iter()
            .filter(|(name, message)| message.room == self.room && !self.place.contains_key(name))
            .collect();
        unseen.sort_by_key(|(name, _)| **name);
        for (name, message) in unseen {
            let Some(acked) = message.acked else {
                continue;
            };
            let due = self.views.iter().filter(|(stretch, view)| {
                let later = |(_, seen): &(u64, Name)| self.sent(*seen) > acked;
                view.joined.is_some_and(|joined| joined <= message.sent)
                    && (stretch.last || view.seen.iter().any(later))
            });
            let due = due.count();
            if due > 0 {
                let room = self.room;
                let told = self.told(*name);
                let words = format!("r{room}: {told} is missing for all {due} who were there");
                let time = (message.sent, acked);
                found.push(violation(Kind::Gap, None, due, time, words));
            }
        }
    }

    /// Numbers of a writer rise: on one connection, and where a message was sent after the one before it was
    /// acknowledged. What was under way on a lost connection may come later, or never.
    fn writers_order(&self, found: &mut Vec<Violation>) {
        let mut highest: HashMap<u32, Name> = HashMap::new();
        for name in &self.order {
            let before = highest.entry(name.writer).or_insert(*name);
            if name.number >= before.number {
                *before = *name;
                continue;
            }
            let (Some(early), Some(late)) = (self.message(*name), self.message(*before)) else {
                continue;
            };
            let known = early.acked.is_some_and(|acked| acked < late.sent);
            if known || early.connection == late.connection {
                let words = format!(
                    "r{}: all see {} after {}",
                    self.room,
                    self.told(*name),
                    self.told(*before)
                );
                let time = (early.sent, late.sent);
                found.push(violation(Kind::WriterOrder, None, 1, time, words));
            }
        }
    }
}

fn violation(
    kind: Kind,
    client: Option<usize>,
    count: usize,
    time: (u64, u64),
    words: String,
) -> Violation {
    Violation {
        kind,
        client,
        count,
        time,
        words,
    }
}

/// Each message once, where it was seen first.
fn firsts(view: &View) -> Vec<Name> {
    let mut known = HashSet::new();
    let names = view.seen.iter().map(|(_, name)| *name);
    names.filter(|name| known.insert(*name)).collect()
}

fn messages(count: usize) -> String {
    format!("{count} message{}", if count == 1 { "" } else { "s" })
}

/// A time of the run, in seconds.
#[must_use]
pub fn at(us: u64) -> String {
    format!("{}.{:03} s", us / 1_000_000, us / 1_000 % 1_000)
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
