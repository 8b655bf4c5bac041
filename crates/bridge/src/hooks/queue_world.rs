//! A store, an endpoint and a queue without any IO, driven by chance: what the tests of the queue are made of.

use std::collections::{BTreeMap, HashMap, HashSet};

use lakh_hub::store::LogInfo;

use super::changes::Changes;
use super::config::Endpoint;
use super::event::Stored;
use super::queue::{Attempt, Now, Outcome, Queue};

pub(super) const LANES: u64 = 6;

/// Numbers by chance, the same for the same seed (xorshift64*).
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// What stands in the store.
#[derive(Default)]
pub(super) struct Disk {
    pub(super) log: BTreeMap<u64, Stored>,
    pub(super) last: u64,
    pub(super) held: BTreeMap<u64, Log>,
    pub(super) dead: Vec<Stored>,
}

#[derive(Default)]
pub(super) struct Log {
    pub(super) entries: BTreeMap<u64, Stored>,
    pub(super) last: u64,
    pub(super) attempts: u32,
}

impl Disk {
    pub(super) fn append(&mut self, lane: u64, wall_ms: u64) -> Box<str> {
        self.last += 1;
        let id: Box<str> = format!("e{}", self.last).into();
        let event = Stored {
            at: self.last,
            id: id.clone(),
            lane,
            seq: None,
            stored_ms: wall_ms,
            json: vec![b'x'; 10].into(),
        };
        self.log.insert(self.last, event);
        id
    }

    /// All of a part, or nothing.
    pub(super) fn write(&mut self, queue: &mut Queue, part: &Changes, done_before: Option<u64>) {
        self.dead
            .extend(part.dead.iter().map(|dead| dead.event.clone()));
        for lane in &part.ended {
            self.held.remove(lane);
        }
        for (lane, before) in &part.trims {
            let log = self.held.entry(*lane).or_default();
            log.entries.retain(|at, _| at >= before);
        }
        let mut moved: BTreeMap<u64, (usize, u64, u64)> = BTreeMap::new();
        for event in &part.moves {
            let log = self.held.entry(event.lane).or_default();
            let known = log.entries.iter().find(|(_, other)| other.id == event.id);
            let at = known.map(|(at, _)| *at).unwrap_or_else(|| {
                log.last += 1;
                let at = log.last;
                log.entries.insert(
                    at,
                    Stored {
                        at,
                        ..event.clone()
                    },
                );
                at
            });
            let own = moved.entry(event.lane).or_insert((0, at, at));
            *own = (own.0 + 1, own.1.min(at), own.2.max(at));
        }
        for lane in &part.held {
            if let Some(held) = queue.held.get(lane) {
                self.held.entry(*lane).or_default().attempts = held.attempts;
            }
        }
        if let Some(before) = done_before {
            self.log.retain(|at, _| *at >= before);
        }
        for (lane, (count, first, last)) in moved {
            queue.moved(lane, count, first, last);
        }
        queue.left(part);
    }
}

/// A server, its store, and whoever it tells.
pub(super) struct World {
    pub(super) chance: Chance,
    pub(super) disk: Disk,
    pub(super) queue: Queue,
    pub(super) endpoint: Endpoint,
    pub(super) now: Now,
    pub(super) flying: Vec<(u64, Vec<Stored>, bool)>,
    /// What was taken, as it came; each event once, as a receiver that looks at ids sees it.
    pub(super) taken: HashMap<u64, Vec<Box<str>>>,
    pub(super) seen: HashSet<Box<str>>,
    pub(super) sent: HashMap<u64, Vec<Box<str>>>,
    /// Lanes that the endpoint refuses now.
    pub(super) bad: HashSet<u64>,
    pub(super) is_away: bool,
}

impl World {
    pub(super) fn new(seed: u64, endpoint: Endpoint) -> Self {
        Self {
            chance: Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            disk: Disk::default(),
            queue: Queue::new(endpoint.clone()),
            endpoint,
            now: Now {
                steady_ms: 1_000,
                wall_ms: 1_000,
            },
            flying: Vec::new(),
            taken: HashMap::new(),
            seen: HashSet::new(),
            sent: HashMap::new(),
            bad: HashSet::new(),
            is_away: false,
        }
    }

    pub(super) fn append(&mut self, lane: u64) {
        let id = self.disk.append(lane, self.now.wall_ms);
        self.sent.entry(lane).or_default().push(id);
    }

    pub(super) fn pass(&mut self, ms: u64) {
        self.now.steady_ms += ms;
        self.now.wall_ms += ms;
    }

    pub(super) fn read(&mut self) {
        while let Some(from) = self.queue.wants() {
            let Some((_, event)) = self.disk.log.range(from..).next() else {
                return;
            };
            self.queue.take_in(event.clone(), self.now.steady_ms);
        }
    }

    pub(super) fn launch(&mut self) {
        while let Some(attempt) = self.queue.next(self.now) {
            let (flight, events, held) = match attempt {
                Attempt::Fresh { flight, events } => (flight, events, false),
                Attempt::Held {
                    flight,
                    lane,
                    from,
                    most,
                } => {
                    let entries = self.disk.held[&lane].entries.range(from..);
                    let events = entries.map(|(_, event)| event.clone()).take(most).collect();
                    (flight, events, true)
                }
            };
            assert!(events.len() <= self.endpoint.batch_events);
            let own: HashSet<u64> = events.iter().map(|event| event.lane).collect();
            for (_, others, _) in &self.flying {
                assert!(others.iter().all(|other| !own.contains(&other.lane)));
            }
            self.flying.push((flight, events, held));
            assert!(self.flying.len() <= self.endpoint.concurrency);
        }
    }

    /// One of the requests under way comes to its end.
    pub(super) fn land(&mut self, is_sick: bool) {
        if self.flying.is_empty() {
            return;
        }
        let index = self.chance.below(self.flying.len() as u64) as usize;
        let (flight, events, held) = self.flying.swap_remove(index);
        let refused = events.iter().any(|event| self.bad.contains(&event.lane));
        let outcome = if self.is_away {
            Outcome::Away("no connection".into(), None)
        } else if refused || (is_sick && self.chance.below(4) == 0) {
            // It may have taken them all the same, and said so too late.
            if !refused && self.chance.below(2) == 0 {
                self.receive(&events);
            }
            Outcome::Failed("the answer was 500".into())
        } else {
            self.receive(&events);
            Outcome::Taken
        };
        let random = self.chance.next() as u32;
        let of_held = if held { events } else { Vec::new() };
        self.queue
            .finish(flight, &outcome, of_held, self.now, random);
    }

    pub(super) fn receive(&mut self, events: &[Stored]) {
        for event in events {
            if self.seen.insert(event.id.clone()) {
                let lane = self.taken.entry(event.lane).or_default();
                lane.push(event.id.clone());
            }
        }
    }

    /// Writes parts, all of them or, if the node dies meanwhile, the first few.
    pub(super) fn save(&mut self, parts: usize) {
        for _ in 0..parts {
            let part = self.queue.changes.take_part(3, 1_000);
            let is_last = self.queue.changes.is_empty();
            let done_before = self.queue.done_before();
            self.disk
                .write(&mut self.queue, &part, is_last.then_some(done_before));
            if is_last {
                return;
            }
        }
    }

    /// The node dies; another one begins with what stands in the store.
    pub(super) fn crash(&mut self) {
        for (_, events, _) in std::mem::take(&mut self.flying) {
            // What was on its way may have arrived.
            if !self.is_away && self.chance.below(2) == 0 {
                let bad = &self.bad;
                if !events.iter().any(|event| bad.contains(&event.lane)) {
                    self.receive(&events);
                }
            }
        }
        self.queue = Queue::new(self.endpoint.clone());
        for (lane, log) in &self.disk.held {
            let first = log.entries.keys().next().copied().unwrap_or(log.last + 1);
            let info = LogInfo {
                first_seq: first,
                last_seq: log.last,
                bytes: log
                    .entries
                    .values()
                    .map(|event| event.json.len() as u64)
                    .sum(),
            };
            self.queue
                .hold(*lane, log.attempts, self.now.steady_ms, &info);
        }
    }

    pub(super) fn step(&mut self) {
        match self.chance.below(20) {
            0..=6 => {
                let lane = self.chance.below(LANES);
                self.append(lane);
            }
            7..=8 => {
                let ms = self.chance.below(400);
                self.pass(ms);
            }
            9 => {
                let lane = self.chance.below(LANES);
                if !self.bad.remove(&lane) {
                    self.bad.insert(lane);
                }
            }
            10 if self.chance.below(8) == 0 => self.is_away = !self.is_away,
            11 if self.chance.below(6) == 0 => {
                let parts = self.chance.below(3) as usize;
                self.save(parts);
                self.crash();
            }
            12..=15 => self.land(true),
            _ => self.save(usize::MAX),
        }
        self.read();
        self.launch();
    }

    /// The endpoint is well again: all that waits must go out, within a bounded number of steps.
    pub(super) fn recover(&mut self) {
        self.bad.clear();
        self.is_away = false;
        for _ in 0..5_000 {
            self.read();
            self.launch();
            self.land(false);
            self.save(usize::MAX);
            self.pass(50);
            if self.disk.log.is_empty() && self.disk.held.is_empty() {
                return;
            }
        }
        panic!(
            "{} events and {} lanes are stuck",
            self.disk.log.len(),
            self.disk.held.len()
        );
    }
}
