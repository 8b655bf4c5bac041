//! Which parcels a client is to have, and how often: by what it asks for, and by how many are nearer.
//!
//! This is not worked out each tick. It's asked for a little more than the client wants to see, and holds until they
//! have gone that far, some ticks have passed, or a parcel is made where they look.

use smallvec::SmallVec;

use super::entities::Audience;
use super::query::{Cell, From, Part, union};
use super::space::Steps;
use super::view::{Head, View};

/// It's asked for so much more, as a part of what is asked for: how far a client may go before it's asked again.
const SLACK: f64 = 1.0 / 32.0;
/// For who goes faster than that in so many ticks it's asked for around where it will be by then: it holds for as long
/// again.
const AHEAD: f64 = 1.5;
/// But no more than this many times the slack ahead.
const MOST_AHEAD: f64 = 4.0;
/// What a client has is kept up to this much further.
const KEPT: f64 = 5.0 / 96.0;
/// How many ticks it holds at least, and at most: counts and distances change, and with them the tiers.
const HOLDS: (u32, u32) = (6, 14);
/// Parcels that a client may have; of more it has the nearest.
const MAX_PARCELS: usize = 4096;

/// How a client stands to a parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It's to have it.
    New,
    /// It has it, up to `since`.
    Held,
    /// It has it, and is to be told that it's out of sight.
    Dropped,
    /// It has it, and there is no such parcel any more: who was in it is elsewhere, or told to be gone.
    Ended,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) number: u32,
    pub(crate) birth: u32,
    /// The tick up to which the client has it; of one that is new, when it came into sight.
    pub(crate) since: u32,
    /// Ticks between updates, less one.
    pub(crate) mask: u8,
    pub(crate) tier: u8,
    pub(crate) standing: Standing,
    /// It was due and did not fit.
    pub(crate) late: bool,
    /// It's new, and the client still has another of the same number, which is no more.
    pub(crate) stale: bool,
}

impl Entry {
    /// Whether it's time to tell of it. All clients that have it at the same rate are told in the same ticks, so that
    /// they share the bytes; who missed that tick is told in the next one.
    #[inline]
    pub(crate) fn is_due(&self, tick: u32) -> bool {
        let mask = u32::from(self.mask);
        tick.wrapping_add(self.number) & mask == 0 || self.late || tick - self.since > mask
    }

    /// Whether the client is to forget it.
    pub(crate) fn is_dropped(&self) -> bool {
        matches!(self.standing, Standing::Dropped | Standing::Ended)
    }
}

/// A query with its rate.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) part: Part,
    pub(crate) every: u8,
}

/// What a client is to see.
#[derive(Clone, Debug)]
pub(crate) struct Interest {
    pub(crate) asked: Vec<Asked>,
    /// Sorted.
    pub(crate) groups: Vec<u32>,
    /// Where they stand, in steps.
    pub(crate) own: [f64; 3],
    /// By their numbers, ascending.
    pub(crate) entries: Vec<Entry>,
    /// How far they may go, at the least.
    slack: f64,
    /// Where they stood when they were looked at last, and when.
    stood: ([f64; 3], u32),
    /// What `entries` is made of. `None`: it must be made anew.
    made: Option<Made>,
    /// The tick up to which new parcels were looked at.
    seen: u32,
    /// From which distance on another tier began when all were counted.
    edges: [f32; 2],
    /// How many did not fit into `entries`.
    pub(crate) beyond: u32,
}

/// What a client is to have holds while it stands around a place.
#[derive(Clone, Copy, Debug)]
struct Made {
    around: [f64; 3],
    /// How far from there.
    reach: f64,
    /// Until this tick.
    until: u32,
}

/// A parcel that is to be had, as it's found.
struct Found {
    distance: f32,
    number: u32,
    every: u8,
    tier: u8,
    /// Whether it's only there because the client has it already.
    kept: bool,
}

impl Interest {
    pub(crate) fn new(asked: Vec<Asked>) -> Self {
        let mut new = Self {
            asked: Vec::new(),
            groups: Vec::new(),
            own: [0.0; 3],
            entries: Vec::new(),
            slack: 0.0,
            stood: ([0.0; 3], 0),
            made: None,
            seen: 0,
            edges: [f32::INFINITY; 2],
            beyond: 0,
        };
        new.ask(asked);
        new
    }

    pub(crate) fn ask(&mut self, asked: Vec<Asked>) {
        let least = asked
            .iter()
            .map(|asked| asked.part.least_own())
            .fold(f64::MAX, f64::min);
        self.slack = least * SLACK;
        self.asked = asked;
        self.made = None;
    }

    pub(crate) fn forget(&mut self) {
        self.made = None;
    }

    /// Nothing that the client has is there any more.
    pub(crate) fn end_all(&mut self) {
        self.entries
            .retain(|entry| entry.standing != Standing::New || entry.stale);
        for entry in &mut self.entries {
            entry.standing = Standing::Ended;
        }
        self.made = None;
    }

    fn from(&self, made: &Made, kept: f64, view: &View) -> From {
        From {
            own: made.around,
            // Without a shape around the client there is no slack, and nothing to grow.
            grown: 1.0 + kept + made.reach * SLACK / self.slack.max(f64::MIN_POSITIVE),
            dims: view.layout.dims,
        }
    }

    /// Where it's asked for: for one that goes fast, around where it will be, so that it holds for some ticks.
    fn ahead(&mut self, view: &View) -> Made {
        let (from, at) = std::mem::replace(&mut self.stood, (self.own, view.tick));
        let ticks = f64::from(view.tick.saturating_sub(at).max(1));
        let mut way = [0.0; 3];
        for (way, (own, from)) in way.iter_mut().zip(self.own.iter().zip(from)) {
            *way = (own - from) / ticks * AHEAD;
        }
        let far = way.iter().map(|way| way * way).sum::<f64>().sqrt();
        let until = view.tick + self.holds_for(view);
        let mut made = Made {
            around: self.own,
            reach: self.slack,
            until,
        };
        // Who is slow needs none of it, and who jumped is not going there.
        if far > self.slack && far <= self.slack * MOST_AHEAD {
            made.reach = far * 1.02;
            for (around, way) in made.around.iter_mut().zip(way) {
                *around += way;
            }
        }
        made
    }

    fn may_see(&self, audience: Audience) -> bool {
        match audience {
            Audience::Everyone => true,
            Audience::Group(group) => self.groups.binary_search(&group).is_ok(),
            Audience::Nobody => false,
        }
    }

    /// Brings `entries` to what the client is to have now.
    pub(crate) fn bring_up(&mut self, view: &View) {
        match self.made.filter(|made| self.holds(made, view)) {
            Some(made) => self.take_born(&made, view),
            None => self.refresh(view),
        }
        self.seen = view.tick;
    }

    /// Whether it can't lack more than what was made since.
    fn holds(&self, made: &Made, view: &View) -> bool {
        let around = made.around.iter().zip(self.own);
        let gone: f64 = around.map(|(a, b)| (a - b).powi(2)).sum();
        view.tick < made.until
            && gone <= made.reach * made.reach
            && self.seen >= view.tick.saturating_sub(super::view::BIRTHS_KEPT)
    }

    /// Takes up the parcels that were made since, and lets go of those that were closed. All that happens in a crowd
    /// happens to everyone in it: if each worked out everything anew for it, that tick would take many times as long.
    fn take_born(&mut self, made: &Made, view: &View) {
        let first = view.born.partition_point(|(tick, _)| *tick <= self.seen);
        if first == view.born.len() {
            return;
        }
        let from = self.from(made, 0.0, view);
        let born = view.born[first..].iter();
        let mut found: SmallVec<[Found; 16]> = born
            .filter_map(|&(_, number)| self.look_at(number, &from, view))
            .collect();
        if found.is_empty() {
            return;
        }
        if self.entries.len() + found.len() > MAX_PARCELS {
            return self.refresh(view);
        }
        found.sort_unstable_by_key(|found| found.number);
        found.dedup_by_key(|found| found.number);
        self.merge(view, &found, false);
    }

    /// A parcel, if it's to be had.
    fn look_at(&self, number: u32, from: &From, view: &View) -> Option<Found> {
        let head = &view.heads[number as usize];
        let place = view.place(number)?;
        if head.closed || !self.may_see(head.audience) {
            return None;
        }
        let mut found = Found {
            distance: 0.0,
            number,
            every: 1,
            tier: 0,
            kept: false,
        };
        if !place.is_everywhere() {
            let cell = Cell::new(place.bounds(&view.layout), view.layout.dims);
            found.every = self.at_most(&cell, head.kind, from)?;
            found.distance = cell.distance(self.own, view.layout.dims) as f32;
            // As many are nearer as were when all were counted.
            let beyond = self.edges.iter().filter(|edge| found.distance >= **edge);
            found.tier = beyond.count() as u8;
        }
        Some(found)
    }

    /// How often what is in a cell is asked for, if it is.
    fn at_most(&self, cell: &Cell, kind: u8, from: &From) -> Option<u8> {
        let fitting = self
            .asked
            .iter()
            .filter(|asked| asked.part.may(cell, Some(kind), from));
        fitting.map(|asked| asked.every).min()
    }

    /// Works out what the client is to have now, and what of that it has.
    fn refresh(&mut self, view: &View) {
        let made = self.ahead(view);
        let mut found = self.find(view, &made);
        self.rank(view, &mut found);
        self.beyond = found.len().saturating_sub(MAX_PARCELS) as u32;
        found.truncate(MAX_PARCELS);
        found.sort_unstable_by_key(|found| found.number);
        self.merge(view, &found, true);
        self.made = Some(made);
    }

    /// How long it holds: not the same for all, or those that came together would be worked out in the same ticks.
    fn holds_for(&self, view: &View) -> u32 {
        let somehow = (self.own[0] + self.own[1]).to_bits() ^ u64::from(view.tick);
        let (least, most) = HOLDS;
        least + (somehow.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32 % (most - least + 1)
    }

    fn find(&self, view: &View, made: &Made) -> Vec<Found> {
        let mut found = Vec::with_capacity(self.entries.len() + 8);
        for &number in &view.everywhere {
            if self.may_see(view.heads[number as usize].audience) {
                found.push(Found {
                    distance: 0.0,
                    number,
                    every: 1,
                    tier: 0,
                    kept: false,
                });
            }
        }
        let (near, far) = (self.from(made, 0.0, view), self.from(made, KEPT, view));
        let area = union(self.asked.iter().map(|asked| asked.part.area(&far)));
        let area = area.map_or(([i32::MIN; 3], [i32::MAX; 3]), |(least, greatest)| {
            // A cast of a float stays within the type.
            let steps = |at: [f64; 3]| -> Steps { at.map(|x| x as i32) };
            (steps(least.map(f64::floor)), steps(greatest.map(f64::ceil)))
        });
        let dims = view.layout.dims;
        let last: std::cell::Cell<Option<Cell>> = std::cell::Cell::new(None);
        view.grid.visit(
            area,
            &view.layout,
            &mut |least, edge| {
                let cell = Cell::new((least, edge), dims);
                last.set(Some(cell));
                self.asked
                    .iter()
                    .any(|asked| asked.part.may(&cell, None, &far))
            },
            &mut |parcels| {
                // Asked of just before.
                let Some(cell) = last.get() else { return };
                let distance = cell.distance(self.own, dims) as f32;
                for &number in parcels {
                    let head = &view.heads[number as usize];
                    if !self.may_see(head.audience) {
                        continue;
                    }
                    let (every, kept) = match self.at_most(&cell, head.kind, &near) {
                        Some(every) => (every, false),
                        None => match self.at_most(&cell, head.kind, &far) {
                            Some(every) if self.has(number, head) => (every, true),
                            _ => continue,
                        },
                    };
                    found.push(Found {
                        distance,
                        number,
                        every,
                        tier: 2,
                        kept,
                    });
                }
            },
        );
        found
    }

    fn has(&self, number: u32, head: &Head) -> bool {
        let entry = self.entry(number);
        entry.is_some_and(|entry| entry.birth == head.birth && entry.standing != Standing::New)
    }

    /// Whether the client has these parcels, up to these ticks at least.
    pub(crate) fn knows(&self, sources: &[(u32, u32)], view: &View) -> bool {
        sources.iter().all(|&(number, since)| {
            // Who was in one that has just ended is between parcels for the client.
            self.entry(number).is_some_and(|entry| {
                matches!(entry.standing, Standing::Held | Standing::Ended)
                    && !entry.stale
                    && entry.birth == view.heads[number as usize].birth
                    && entry.since >= since
            })
        })
    }

    fn entry(&self, number: u32) -> Option<&Entry> {
        let index = self
            .entries
            .binary_search_by_key(&number, |entry| entry.number);
        index.ok().map(|index| &self.entries[index])
    }

    /// Gives each its tier, by how many are nearer. What is in a better tier already stays in it an eighth longer.
    fn rank(&mut self, view: &View, found: &mut [Found]) {
        self.edges = [f32::INFINITY; 2];
        let nearest = view.tiers.nearest;
        let limits = [nearest[0], nearest[0].saturating_add(nearest[1])];
        let all: u32 = found
            .iter()
            .map(|found| u32::from(view.heads[found.number as usize].count))
            .sum();
        if all <= limits[0] && found.len() <= MAX_PARCELS {
            for found in found {
                found.tier = 0;
            }
            return;
        }
        found.sort_unstable_by_key(|found| {
            (u64::from(found.distance.to_bits()) << 1 | u64::from(found.kept)) << 31
                | u64::from(found.number)
        });
        let mut nearer = 0_u32;
        for found in found {
            for (edge, limit) in self.edges.iter_mut().zip(limits) {
                if nearer >= limit {
                    *edge = edge.min(found.distance);
                }
            }
            let has = || self.entry(found.number).map_or(2, |entry| entry.tier);
            found.tier = match nearer {
                _ if nearer < limits[0] => 0,
                _ if nearer < limits[0] + limits[0] / 8 => has().min(1),
                _ if nearer < limits[1] => 1,
                _ if nearer < limits[1] + limits[1] / 8 => has().max(1),
                _ => 2,
            };
            nearer += u32::from(view.heads[found.number as usize].count);
        }
    }

    /// `all`: what is not found is not to be had; else it stays, unless it was closed.
    fn merge(&mut self, view: &View, found: &[Found], all: bool) {
        let old = std::mem::take(&mut self.entries);
        let mut entries = Vec::with_capacity(found.len() + 4);
        let mut old = old.into_iter().peekable();
        let gone = |entry: Entry, entries: &mut Vec<Entry>| {
            if entry.standing == Standing::Ended {
                return entries.push(entry);
            }
            let head = &view.heads[entry.number as usize];
            let closed = head.closed && head.birth == entry.birth;
            if !(all || closed) {
                return entries.push(entry);
            }
            if entry.standing == Standing::New && !entry.stale {
                return;
            }
            let same = head.birth == entry.birth && !entry.stale;
            let standing = match entry.standing {
                // It has yet to tell where some went that were in it; who had all of it before it was closed knows them.
                Standing::Held if same && head.closed && entry.since < head.prev => Standing::Held,
                _ if same && !head.closed => Standing::Dropped,
                _ => Standing::Ended,
            };
            let late = standing == Standing::Held;
            entries.push(Entry {
                standing,
                late,
                ..entry
            });
        };
        for found in found {
            while let Some(entry) = old.next_if(|entry| entry.number < found.number) {
                gone(entry, &mut entries);
            }
            let head = &view.heads[found.number as usize];
            let has = old.next_if(|entry| entry.number == found.number);
            let mut entry = Entry {
                number: found.number,
                birth: head.birth,
                since: view.tick,
                mask: view.period(found.tier).max(found.every) - 1,
                tier: found.tier,
                standing: Standing::New,
                late: false,
                stale: false,
            };
            if let Some(has) = has {
                if has.birth == head.birth && has.standing != Standing::Ended {
                    entry.since = has.since;
                    entry.late = has.late;
                    entry.stale = has.stale;
                    if has.standing != Standing::New {
                        entry.standing = Standing::Held;
                    }
                } else {
                    // Another has followed it under the same number, and takes its place when it's sent.
                    entry.stale = has.standing != Standing::New || has.stale;
                }
            }
            entries.push(entry);
        }
        for entry in old {
            gone(entry, &mut entries);
        }
        self.entries = entries;
    }
}

impl View {
    /// Ticks between updates of a tier.
    fn period(&self, tier: u8) -> u8 {
        let every = self.tiers.every[usize::from(tier)];
        if tier == 0 {
            return every;
        }
        (u32::from(every) << self.pace.ease).min(128) as u8
    }
}
