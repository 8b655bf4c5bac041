//! The queue against a plain model: events, outcomes, pauses and crashes in any order that chance gives.
#![allow(clippy::unwrap_used)] // A panic is how a test fails.

use std::collections::{BTreeMap, HashMap, HashSet};

use lakh_hub::store::LogInfo;

use super::changes::Changes;
use super::config::{Endpoint, Order};
use super::event::Stored;
use super::queue::{Attempt, Now, Outcome, Queue};
use super::retry::Retry;

const LANES: u64 = 6;

/// Numbers by chance, the same for the same seed (xorshift64*).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// What stands in the store.
#[derive(Default)]
struct Disk {
    log: BTreeMap<u64, Stored>,
    last: u64,
    held: BTreeMap<u64, Log>,
    dead: Vec<Stored>,
}

#[derive(Default)]
struct Log {
    entries: BTreeMap<u64, Stored>,
    last: u64,
    attempts: u32,
}

impl Disk {
    fn append(&mut self, lane: u64, wall_ms: u64) -> Box<str> {
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
    fn write(&mut self, queue: &mut Queue, part: &Changes, done_before: Option<u64>) {
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
struct World {
    chance: Chance,
    disk: Disk,
    queue: Queue,
    endpoint: Endpoint,
    now: Now,
    flying: Vec<(u64, Vec<Stored>, bool)>,
    /// What was taken, as it came; each event once, as a receiver that looks at ids sees it.
    taken: HashMap<u64, Vec<Box<str>>>,
    seen: HashSet<Box<str>>,
    sent: HashMap<u64, Vec<Box<str>>>,
    /// Lanes that the endpoint refuses now.
    bad: HashSet<u64>,
    is_away: bool,
}

impl World {
    fn new(seed: u64, endpoint: Endpoint) -> Self {
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

    fn append(&mut self, lane: u64) {
        let id = self.disk.append(lane, self.now.wall_ms);
        self.sent.entry(lane).or_default().push(id);
    }

    fn pass(&mut self, ms: u64) {
        self.now.steady_ms += ms;
        self.now.wall_ms += ms;
    }

    fn read(&mut self) {
        while let Some(from) = self.queue.wants() {
            let Some((_, event)) = self.disk.log.range(from..).next() else {
                return;
            };
            self.queue.take_in(event.clone(), self.now.steady_ms);
        }
    }

    fn launch(&mut self) {
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
    fn land(&mut self, is_sick: bool) {
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

    fn receive(&mut self, events: &[Stored]) {
        for event in events {
            if self.seen.insert(event.id.clone()) {
                let lane = self.taken.entry(event.lane).or_default();
                lane.push(event.id.clone());
            }
        }
    }

    /// Writes parts, all of them or, if the node dies meanwhile, the first few.
    fn save(&mut self, parts: usize) {
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
    fn crash(&mut self) {
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

    fn step(&mut self) {
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
    fn recover(&mut self) {
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

fn endpoint(order: Order) -> Endpoint {
    Endpoint {
        batch_events: 4,
        concurrency: 3,
        batch_wait: std::time::Duration::from_millis(20),
        retry: Retry {
            first_ms: 100,
            longest_ms: 1_000,
        },
        max_attempts: u32::MAX,
        order,
        ..Endpoint::new("a", "https://a.example", Vec::new())
    }
}

#[test]
fn nothing_is_lost_and_each_lane_keeps_its_order_whatever_fails_and_dies() {
    for seed in 1..400 {
        let order = [Order::Room, Order::All][(seed % 4 == 0) as usize];
        let mut world = World::new(seed, endpoint(order));
        for _ in 0..300 {
            world.step();
        }
        world.recover();
        assert!(world.disk.dead.is_empty());
        for (lane, sent) in &world.sent {
            assert_eq!(
                world.taken.get(lane),
                Some(sent),
                "seed {seed}, lane {lane}"
            );
        }
    }
}

#[test]
fn what_fails_for_good_becomes_a_dead_letter_and_the_rest_arrives_in_order() {
    for seed in 1..200 {
        let mut world = World::new(
            seed,
            Endpoint {
                max_attempts: 3,
                ..endpoint(Order::Room)
            },
        );
        for _ in 0..300 {
            world.step();
        }
        world.recover();
        let dead: HashSet<_> = world
            .disk
            .dead
            .iter()
            .map(|event| event.id.clone())
            .collect();
        for (lane, sent) in &world.sent {
            let taken = world.taken.get(lane).cloned().unwrap_or_default();
            let all: HashSet<_> = taken.iter().cloned().chain(dead.iter().cloned()).collect();
            assert!(sent.iter().all(|id| all.contains(id)), "seed {seed}");
            // What was given up may have been taken nevertheless, now or after the node has died; the others are in order.
            let taken: Vec<_> = taken.iter().filter(|id| !dead.contains(*id)).collect();
            let alive: Vec<_> = sent.iter().filter(|id| !dead.contains(*id)).collect();
            assert_eq!(taken, alive, "seed {seed}");
        }
    }
}

#[test]
fn a_lane_that_always_fails_holds_back_itself_alone() {
    let mut world = World::new(7, endpoint(Order::Room));
    world.bad.insert(0);
    for _ in 0..50 {
        (0..LANES).for_each(|lane| world.append(lane));
    }
    for _ in 0..400 {
        world.read();
        world.launch();
        world.land(false);
        world.save(usize::MAX);
        world.pass(20);
    }
    for lane in 1..LANES {
        assert_eq!(world.taken.get(&lane), world.sent.get(&lane), "{lane}");
    }
    assert_eq!(world.taken.get(&0), None);
    // The log itself is empty: the lane has one of its own, whole and in order.
    assert!(world.disk.log.is_empty());
    let held = world.disk.held[&0].entries.values();
    let held: Vec<_> = held.map(|event| event.id.clone()).collect();
    assert_eq!(Some(&held), world.sent.get(&0));
    world.recover();
    assert_eq!(world.taken.get(&0), world.sent.get(&0));
}

#[test]
fn an_endpoint_that_is_away_is_asked_ever_more_seldom_and_then_gets_everything() {
    let mut world = World::new(7, endpoint(Order::Room));
    world.is_away = true;
    for _ in 0..50 {
        (0..LANES).for_each(|lane| world.append(lane));
    }
    let mut attempts = 0;
    for _ in 0..3_000 {
        world.read();
        world.launch();
        attempts += world.flying.len();
        while !world.flying.is_empty() {
            world.land(false);
        }
        world.save(usize::MAX);
        world.pass(20);
    }
    // A minute, with a second between.
    assert!((40..=120).contains(&attempts), "{attempts}");
    assert!(world.queue.is_down());
    assert!(world.disk.held.is_empty(), "nobody is to blame");
    world.recover();
    assert_eq!(world.taken, world.sent);
}

#[test]
fn two_that_store_the_other_way_round_are_put_in_order() {
    let mut queue = Queue::new(endpoint(Order::Room));
    let event = |at, seq| Stored {
        at,
        id: format!("e{at}").into(),
        lane: 1,
        seq,
        stored_ms: 0,
        json: b"{}".as_slice().into(),
    };
    let all = [(1, Some(5)), (2, None), (3, Some(7)), (4, Some(6))];
    for (at, seq) in all {
        queue.take_in(event(at, seq), 0);
    }
    let at = |ms| Now {
        steady_ms: ms,
        wall_ms: ms,
    };
    assert_eq!(queue.next(at(19)), None, "they wait for others");
    assert_eq!(queue.due_ms(), Some(20));
    let Some(Attempt::Fresh { flight, events }) = queue.next(at(20)) else {
        panic!("nothing to send");
    };
    let order: Vec<_> = events.iter().map(|event| event.at).collect();
    assert_eq!(order, [1, 2, 4, 3]);
    queue.finish(flight, &Outcome::Taken, Vec::new(), at(30), 0);
    assert_eq!(queue.late, 0);
    // Whoever comes later than that is sent, and counted.
    queue.take_in(event(5, Some(4)), 30);
    let Some(Attempt::Fresh { flight, .. }) = queue.next(at(60)) else {
        panic!("nothing to send");
    };
    queue.finish(flight, &Outcome::Taken, Vec::new(), at(60), 0);
    assert_eq!(queue.late, 1);
}

#[test]
fn what_waits_for_too_long_becomes_a_dead_letter() {
    let mut world = World::new(
        3,
        Endpoint {
            max_age_ms: 10_000,
            ..endpoint(Order::Room)
        },
    );
    world.is_away = true;
    world.append(1);
    world.read();
    world.pass(9_000);
    world.append(2);
    world.read();
    world.pass(2_000);
    world.launch();
    world.save(usize::MAX);
    assert_eq!(world.disk.dead.len(), 1);
    assert_eq!(world.disk.dead[0].lane, 1);
    world.recover();
    assert_eq!(world.taken.get(&2), world.sent.get(&2));
}

#[test]
fn what_rooms_that_fail_may_hold_is_bounded_and_the_rest_becomes_dead_letters() {
    let mut world = World::new(
        5,
        Endpoint {
            max_bytes: 200,
            ..endpoint(Order::Room)
        },
    );
    world.bad.insert(0);
    world.append(0);
    for _ in 0..100 {
        world.read();
        world.launch();
        world.land(false);
        world.save(usize::MAX);
        world.pass(20);
        world.append(0);
    }
    world.read();
    world.save(usize::MAX);
    let held: usize = world.disk.held[&0]
        .entries
        .values()
        .map(|event| event.json.len())
        .sum();
    assert!((200..=300).contains(&held), "{held}");
    assert!(world.disk.dead.len() > 50, "{}", world.disk.dead.len());
    assert!(world.disk.log.is_empty());
    world.recover();
    let dead: HashSet<_> = world
        .disk
        .dead
        .iter()
        .map(|event| event.id.clone())
        .collect();
    let rest: Vec<_> = world.sent[&0]
        .iter()
        .filter(|id| !dead.contains(*id))
        .cloned()
        .collect();
    assert_eq!(world.taken[&0], rest, "in order");
}
