//! `world`: bots walk in a world at random waypoints, and what some of them see is held against the truth.
//!
//! What a bot shows of another counts as an update if it is within a bound of where the other was no longer than 100 ms
//! ago, whether the server told of it or the bot moved it on by itself, as real clients do. It's looked at once a tick,
//! just after something came. Where somebody is changes with each move, 20 times a second.

mod eyes;
mod schema;
mod seats;
mod walk;

use crate::address::Address;
use crate::error::LoadError;
use crate::histogram::Histogram;
use crate::options::{Scene, Target, World, Worlds};
use crate::probe::{Probe, Spent};
use crate::report::Report;
use crate::swarm::{Pace, Swarm};
use eyes::{Eyes, Kind};
use walk::Crowd;

/// What is older does not count.
const FRESH_NS: u64 = 100_000_000;
/// What was not true for so long counts as this old.
const OLDEST_US: u64 = 2_000_000;
/// People move in so many groups, one after the other.
const GROUPS: usize = 10;
/// After something came it's looked at what came with it.
const SETTLE_NS: u64 = 4_000_000;
/// The edge of the hotspot, in metres.
const HOTSPOT: f64 = 60.0;
/// A slow reader reads so seldom, in ticks.
const SLOW_TICKS: u64 = 8;

/// The server as this scenario meets it.
pub(super) fn target(target: &Target, world: &World) -> Target {
    let mut target = target.clone();
    if target.namespace == "/" && world.server == Worlds::Lakh {
        target.namespace = "/world".to_owned();
    }
    target
}

/// What was found.
#[derive(Default)]
struct Seen {
    /// Pairs of a bot that is looked at and another in its sight, in ticks.
    pairs: f64,
    counted: f64,
    missing: f64,
    age_us: Histogram,
}

struct Run<'a> {
    world: &'a World,
    kind: Kind,
    swarm: Swarm,
    eyes: Eyes,
    crowd: Crowd,
    seq: u32,
    tick_ns: u64,
    /// Who is looked at, when it was last, and when it's to be next.
    looked_at: Vec<(usize, u64, u64)>,
    seen: Seen,
    moves: u64,
    ticks: u64,
}

fn side(world: &World) -> f64 {
    if world.scene == Scene::Hotspot {
        return HOTSPOT;
    }
    let area = world.people as f64 / world.in_sight * std::f64::consts::PI * world.sight.powi(2);
    area.sqrt()
}

impl<'a> Run<'a> {
    fn new(target: &Target, world: &'a World) -> Result<Self, LoadError> {
        let people = world.people.max(2);
        let kind = match world.server {
            Worlds::Lakh => Kind::Lakh,
            Worlds::Rooms => Kind::Rooms,
            Worlds::Colyseus => Kind::Colyseus,
        };
        let side = side(world);
        if kind == Kind::Colyseus && side > schema::SIDE {
            return Err(LoadError::Options(format!(
                "that crowd needs {side:.0} m, and the server's positions reach {:.0}",
                schema::SIDE
            )));
        }
        let swarm = Swarm::new(target, people)?;
        let hz = world.hz.max(1);
        let eyes = Eyes::new(kind, swarm.words.clone(), people, hz);
        Ok(Self {
            world,
            kind,
            eyes,
            swarm,
            crowd: Crowd::new(people, world.scene, side, hz),
            seq: 0,
            tick_ns: 1_000_000_000 / u64::from(hz),
            looked_at: Vec::new(),
            seen: Seen::default(),
            moves: 0,
            ticks: 0,
        })
    }

    /// Opens connections. Colyseus lets people in as they come.
    fn connect(&mut self, target: &Target, range: std::ops::Range<usize>) -> Result<(), LoadError> {
        if self.kind == Kind::Colyseus {
            let url = target.urls().next().unwrap_or_default();
            let address = Address::new(target, url, self.crowd.len())?;
            for who in range.clone() {
                let at = self.crowd.at(who);
                let (path, session) = seats::reserve(&address, url, at)?;
                self.swarm.paths.push(path);
                self.eyes.seat(who, session);
            }
        }
        let (wanted, pace) = (range.len(), Pace::of(target));
        self.swarm.connect(range, pace, &mut self.eyes)?;
        self.swarm.all_connected(wanted)
    }

    fn is_slow(&self, who: usize) -> bool {
        self.world.scene == Scene::Slow && who % 10 == 9
    }

    /// Lets some come in, and waits until they are.
    fn enter(&mut self, range: std::ops::Range<usize>) -> Result<(), LoadError> {
        let until = range.end;
        for who in range {
            let at = self.crowd.at(who);
            let (kind, sight) = (self.kind, self.world.sight);
            self.swarm
                .queue(who as u32, |out| seats::enter(kind, at, sight, out));
        }
        self.swarm.turn_until(
            &mut self.eyes,
            |_, eyes| eyes.entered >= until || eyes.refused.is_some(),
            |_, eyes| eyes.entered as u64,
        )?;
        match &self.eyes.refused {
            Some(refused) => Err(LoadError::Silent(refused.clone())),
            None if self.eyes.entered < until => Err(LoadError::Silent(format!(
                "{} of {until} came in",
                self.eyes.entered
            ))),
            None => Ok(()),
        }
    }

    /// Everybody of the range walks, so many seconds.
    fn walk(&mut self, people: usize, seconds: f64) -> Result<(), LoadError> {
        let start = self.swarm.clock.now_ns();
        let end = start + (seconds * 1e9) as u64;
        let slot_ns = self.tick_ns / GROUPS as u64;
        let mut slot = 0;
        loop {
            let due = start + slot * slot_ns;
            if due >= end {
                return Ok(());
            }
            while self.swarm.clock.now_ns() < due {
                let next = self.next_look().min(due);
                self.swarm.turn(next, &mut self.eyes)?;
                self.look_around(people);
            }
            let group = (slot % GROUPS as u64) as usize;
            if group == 0 {
                self.begin_tick(people);
            }
            self.step(group, people);
            slot += 1;
        }
    }

    fn begin_tick(&mut self, people: usize) {
        self.seq += 1;
        self.ticks += 1;
        for who in (0..people).filter(|who| who % 10 == 9) {
            if !self.is_slow(who) {
                continue;
            }
            if (self.ticks + who as u64 / 10).is_multiple_of(SLOW_TICKS) {
                self.swarm.resume(who as u32, &mut self.eyes);
                self.swarm.pause(who as u32);
            }
        }
    }

    fn step(&mut self, group: usize, people: usize) {
        let now = self.swarm.clock.now_ns();
        for who in (group..people).step_by(GROUPS) {
            self.crowd.step(who, self.eyes.pace, now);
            let (at, velocity) = (self.crowd.at(who), self.crowd.velocity(who));
            let (kind, seq) = (self.kind, self.seq);
            self.swarm
                .queue(who as u32, |out| seats::go(kind, seq, at, velocity, out));
            self.moves += 1;
        }
    }

    fn next_look(&self) -> u64 {
        self.looked_at
            .iter()
            .map(|(_, _, due)| *due)
            .min()
            .unwrap_or(u64::MAX)
    }

    /// Looks through the eyes of those whose time has come.
    fn look_around(&mut self, people: usize) {
        let now = self.swarm.clock.now_ns();
        let mut looked_at = std::mem::take(&mut self.looked_at);
        for (who, last, due) in &mut looked_at {
            if let Some(first) = self.eyes.first_ns[*who].take() {
                // What comes together is one look, and one tick has one.
                let next = (first + SETTLE_NS).max(*last + self.tick_ns * 3 / 4);
                *due = next.min(*due);
            }
            if now >= *due {
                self.look(*who, people, now - *last, now);
                self.eyes.first_ns[*who] = None;
                (*last, *due) = (now, now + self.tick_ns * 5 / 4);
            }
        }
        self.looked_at = looked_at;
    }

    fn look(&mut self, who: usize, people: usize, passed_ns: u64, now: u64) {
        let weight = passed_ns as f64 / self.tick_ns as f64;
        let own = self.crowd.at(who);
        for other in (0..people).filter(|other| *other != who) {
            let at = self.crowd.at(other);
            if (at[0] - own[0]).hypot(at[1] - own[1]) > self.world.sight {
                continue;
            }
            self.seen.pairs += weight;
            let Some(shown) = self.eyes.shown(who, other, now) else {
                self.seen.missing += weight;
                self.seen.age_us.record(OLDEST_US);
                continue;
            };
            let age = self.crowd.age_ns(other, shown, self.world.bound, now);
            let us = age.map_or(OLDEST_US, |age| (age / 1000).min(OLDEST_US));
            self.seen.age_us.record(us);
            if age.is_some_and(|age| age <= FRESH_NS) {
                self.seen.counted += weight;
            }
        }
    }

    fn choose(&mut self, people: usize) {
        let now = self.swarm.clock.now_ns();
        let every = (people / self.world.looked_at.max(1)).max(1);
        let chosen = (1..people).step_by(every).filter(|who| !self.is_slow(*who));
        self.looked_at = chosen.map(|who| (who, now, now + self.tick_ns)).collect();
    }
}

/// What had been counted at a moment.
struct Mark {
    at_ns: u64,
    moves: u64,
    ticks: u64,
    messages: u64,
    payload: u64,
    wire: u64,
}

impl Run<'_> {
    /// Connects all and lets the first of them in, who walk for a while.
    fn begin(&mut self, target: &Target, first: usize) -> Result<(), LoadError> {
        let people = self.crowd.len();
        // Colyseus lets people in as they connect.
        let at_once = if self.kind == Kind::Colyseus {
            first
        } else {
            people
        };
        self.connect(target, 0..at_once)?;
        // The first tells how the world's entities are laid out, so that the others' eyes can be opened.
        self.enter(0..1)?;
        self.choose(people);
        for (who, _, _) in self.looked_at.clone() {
            self.eyes.open(who);
        }
        self.enter(1..first)?;
        for who in 0..people {
            if self.is_slow(who) {
                self.swarm.pause(who as u32);
            }
        }
        self.looked_at.retain(|(who, _, _)| *who < first);
        self.walk(first, self.world.warmup)?;
        if first < people {
            self.connect(target, at_once..people)?;
            self.enter(first..people)?;
        }
        self.choose(people);
        self.seen = Seen::default();
        Ok(())
    }

    fn mark(&self) -> Mark {
        Mark {
            at_ns: self.swarm.clock.now_ns(),
            moves: self.moves,
            ticks: self.ticks,
            messages: self.eyes.messages,
            payload: self.eyes.payload_bytes,
            wire: self.swarm.counts.bytes_read,
        }
    }

    fn report(&self, label: &str, mark: &Mark, spent: Option<Spent>) -> Report {
        let (world, seen, people) = (self.world, &self.seen, self.crowd.len());
        let seconds = (self.swarm.clock.now_ns() - mark.at_ns) as f64 / 1e9;
        // What was found for some stands for all who read.
        let looked_at = self.looked_at.len().max(1) as f64;
        let fast = (0..people).filter(|who| !self.is_slow(*who)).count() as f64;
        let updates = (seen.counted * fast / looked_at).max(1.0);
        let mut report = Report::new("world", label)
            .parameter("people", people)
            .parameter("scene", format!("{:?}", world.scene).to_lowercase())
            .parameter("hz", world.hz)
            .parameter("side_m", side(world).round())
            .parameter("looked_at", self.looked_at.len());
        let ticks = (self.ticks - mark.ticks).max(1) as f64;
        report.figure("in_sight", seen.pairs / ticks / looked_at, "");
        report.figure("updates_per_s", updates / seconds, "1/s");
        let part = |of: f64| of / seen.pairs.max(1.0) * 100.0;
        report.figure("complete_percent", part(seen.counted), "%");
        report.figure("missing_percent", part(seen.missing), "%");
        if let Some(spent) = spent {
            let ns = spent.us * 1e3 / updates;
            report.figure("cores", spent.us / 1e6 / seconds, "");
            report.figure("cpu_ns_per_update", ns, "ns");
            report.figure("user_ns_per_update", ns * spent.user_share, "ns");
            let moves = ((self.moves - mark.moves) as f64).max(1.0);
            report.figure("cpu_us_per_move", spent.us / moves, "us");
        }
        let payload = (self.eyes.payload_bytes - mark.payload) as f64;
        let wire = (self.swarm.counts.bytes_read - mark.wire) as f64;
        let each = seconds * people as f64;
        let messages = (self.eyes.messages - mark.messages) as f64;
        report.figure("payload_bytes_per_update", payload / updates, "B");
        report.figure("wire_bytes_per_update", wire / updates, "B");
        report.figure("bytes_per_s_each", wire / each, "B/s");
        report.figure("messages_per_s_each", messages / each, "1/s");
        for (name, part) in [("stale_p50_ms", 0.5), ("stale_p99_ms", 0.99)] {
            report.figure(name, seen.age_us.quantile(part) as f64 / 1e3, "ms");
        }
        report.figure("closed_by_server", self.swarm.counts.closed as f64, "");
        if let Some(what) = &self.eyes.unreadable {
            report.note(format!("A bot could not read what it got: {what}"));
        }
        report
    }
}

pub(super) fn run(target: &Target, world: &World) -> Result<Report, LoadError> {
    let mut run = Run::new(target, world)?;
    let probe = Probe::new(&target.pid)?;
    let before_kb = probe.as_ref().map(Probe::resident_kb).transpose()?;
    let people = run.crowd.len();
    let first = match world.scene {
        Scene::Flash => people / 2,
        _ => people,
    };
    run.begin(target, first)?;
    let cpu = probe.as_ref().map(Probe::cpu).transpose()?;
    let mark = run.mark();
    run.walk(people, world.seconds)?;
    let spent = match (&probe, &cpu) {
        (Some(probe), Some(cpu)) => Some(probe.cpu()?.since(cpu)),
        _ => None,
    };
    let mut report = run.report(&target.label, &mark, spent);
    if let (Some(probe), Some(before)) = (&probe, before_kb) {
        let each = (probe.resident_kb()? - before) / people as f64;
        report.figure("memory_kb_each", each, "KB");
    }
    Ok(report)
}
