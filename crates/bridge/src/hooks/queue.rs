//! What is sent next: the newest part of an endpoint's log that was read, lane by lane, and the lanes that are held back.
//!
//! A lane is what must stay in order: a room. What always holds:
//!
//! * Of a lane at most one request is under way, and what it holds comes before all else of that lane.
//! * A request that fails with events of several lanes is split: each lane is then sent alone, so that the one which fails
//!   is found. Its events are *held*: moved to a log of their own, from which they are tried again, with those that
//!   come behind them, while the others go on.
//! * An endpoint that takes nothing at all (no connection, or several lanes in a row that fail) is *down*: one lane
//!   is tried at a time, after longer and longer waits, and nothing is held.
//!
//! Without IO: entries, outcomes and the time come in as arguments; what is to be written comes out as [`Changes`].

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::changes::{Changes, Dead};
use super::config::{Endpoint, Order};
use super::event::Stored;
use super::held::Held;

/// Entries read ahead at most, and their bytes, nearly.
const MOST: usize = 4_096;
const MOST_BYTES: usize = 8 << 20;
/// Lanes that may be held. Past it a lane that fails stays where it is, and those behind it wait in the end.
const MOST_HELD: usize = 1_000;
/// So many different lanes that fail in a row are the endpoint's fault.
const DOWN_AFTER: usize = 4;
/// The longest wait between two attempts while the endpoint is down.
const DOWN_LONGEST_MS: u64 = 5_000;
/// Lanes whose last number is remembered, to tell which events are late.
const MOST_TOLD: usize = 10_000;

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The endpoint has it.
    Taken,
    /// It said no, or nothing in time: the events may be why.
    Failed(String),
    /// It could not be asked at all, or wants to be left alone for so many milliseconds.
    Away(String, Option<u64>),
}

/// A request to be made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Attempt {
    /// With these events.
    Fresh { flight: u64, events: Vec<Stored> },
    /// With the first events of a held lane, to be read from its log.
    Held {
        flight: u64,
        lane: u64,
        from: u64,
        most: usize,
    },
}

/// One moment on two clocks, in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Now {
    /// On a clock that never goes back: for waits.
    pub steady_ms: u64,
    /// Since 1970: for the age of events.
    pub wall_ms: u64,
}

pub(super) enum Flight {
    Fresh(Vec<(u64, Vec<u64>)>),
    Held(u64),
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum State {
    Waiting,
    Flying,
    /// It goes with the next changes that are written.
    Leaving,
}

pub(super) struct Slot {
    pub(super) event: Stored,
    pub(super) read_ms: u64,
    pub(super) state: State,
}

#[derive(Default)]
pub(super) struct Lane {
    pub(super) waiting: VecDeque<u64>,
    pub(super) is_flying: bool,
    /// A request that it was part of has failed: it's sent by itself.
    pub(super) is_alone: bool,
    pub(super) attempts: u32,
    pub(super) not_before_ms: u64,
}

pub(super) struct Down {
    pub(super) tries: u32,
    pub(super) until_ms: u64,
    /// Where the last lane that was tried begins.
    pub(super) after: u64,
}

/// What is sent next.
pub(crate) struct Queue {
    pub(super) endpoint: Endpoint,
    pub(super) wait_ms: u64,
    pub(super) slots: BTreeMap<u64, Slot>,
    pub(super) bytes: usize,
    pub(super) lanes: HashMap<u64, Lane>,
    pub(super) held: BTreeMap<u64, Held>,
    pub(super) flights: HashMap<u64, Flight>,
    pub(super) last_flight: u64,
    pub(super) next_read: u64,
    pub(super) down: Option<Down>,
    pub(super) failing: Vec<u64>,
    pub(super) told: HashMap<u64, u64>,
    pub(super) changes: Changes,
    pub(super) held_next: bool,
    pub(super) retried: u64,
    pub(super) late: u64,
}

impl Queue {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        let wait_ms = u64::try_from(endpoint.batch_wait.as_millis()).unwrap_or(u64::MAX);
        Self {
            endpoint,
            wait_ms,
            slots: BTreeMap::new(),
            bytes: 0,
            lanes: HashMap::new(),
            held: BTreeMap::new(),
            flights: HashMap::new(),
            last_flight: 0,
            next_read: 0,
            down: None,
            failing: Vec::new(),
            told: HashMap::new(),
            changes: Changes::default(),
            held_next: false,
            retried: 0,
            late: 0,
        }
    }

    /// The number from which the log is to be read, if there is room for more.
    pub(crate) fn wants(&self) -> Option<u64> {
        (self.slots.len() < MOST && self.bytes < MOST_BYTES).then_some(self.next_read)
    }

    /// The log begins anew at this number: the store has lost its end.
    pub(crate) fn rewind_to(&mut self, at: u64) {
        self.next_read = at;
    }

    /// Nothing before this number is of interest.
    pub(crate) fn skip_to(&mut self, at: u64) {
        self.next_read = self.next_read.max(at);
    }

    /// An entry of the log, the next one.
    pub(crate) fn take_in(&mut self, event: Stored, now_ms: u64) {
        let (at, lane) = (event.at, event.lane);
        self.skip_to(at + 1);
        self.bytes += event.json.len();
        let mut state = State::Waiting;
        let is_full = self.held.contains_key(&lane) && self.held_is_full();
        if let Some(held) = self.held.get_mut(&lane) {
            state = State::Leaving;
            if is_full {
                let reason = "too many events of rooms that fail wait already";
                let dead = Dead::new(event.clone(), held.attempts, reason);
                self.changes.dead.push(dead);
            } else {
                held.moving += 1;
                held.bytes += event.json.len() as u64;
                self.changes.moves.push(event.clone());
            }
        } else {
            self.line_up(&event);
        }
        let slot = Slot {
            event,
            read_ms: now_ms,
            state,
        };
        self.slots.insert(at, slot);
    }

    fn held_is_full(&self) -> bool {
        let bytes: u64 = self.held.values().map(|held| held.bytes).sum();
        bytes >= self.endpoint.max_bytes
    }

    /// Two nodes may store what they publish in one room the other way round: who is not on the way yet is put in order.
    fn line_up(&mut self, event: &Stored) {
        let lane = self.lanes.entry(event.lane).or_default();
        let place = event.seq.and_then(|seq| {
            let later = |at: &u64| self.slots[at].event.seq.is_some_and(|other| other > seq);
            lane.waiting.iter().position(later)
        });
        lane.waiting
            .insert(place.unwrap_or(lane.waiting.len()), event.at);
    }

    /// What came of a request. `events`: what was sent of a held lane; `random`: for the next wait.
    pub(crate) fn finish(
        &mut self,
        flight: u64,
        outcome: &Outcome,
        events: Vec<Stored>,
        now: Now,
        random: u32,
    ) {
        let now_ms = now.steady_ms;
        let Some(flight) = self.flights.remove(&flight) else {
            return;
        };
        let first = match &flight {
            Flight::Fresh(lanes) => lanes.first().map_or(0, |(lane, _)| *lane),
            Flight::Held(lane) => *lane,
        };
        self.note_health(outcome, first, now_ms, random);
        match flight {
            Flight::Fresh(lanes) => match outcome {
                Outcome::Taken => lanes
                    .into_iter()
                    .for_each(|(lane, own)| self.taken(lane, &own)),
                Outcome::Failed(reason) => self.failed(lanes, reason, now_ms, random),
                Outcome::Away(..) => lanes
                    .into_iter()
                    .for_each(|(lane, own)| self.put_back(lane, own)),
            },
            Flight::Held(lane) => self.held_finished(lane, outcome, events, now, random),
        }
    }

    fn note_health(&mut self, outcome: &Outcome, lane: u64, now_ms: u64, random: u32) {
        let asked = match outcome {
            Outcome::Taken => {
                self.down = None;
                self.failing.clear();
                return;
            }
            Outcome::Failed(_) => {
                if !self.failing.contains(&lane) && self.failing.len() < DOWN_AFTER {
                    self.failing.push(lane);
                }
                if self.failing.len() < DOWN_AFTER {
                    // It answers, at least.
                    self.down = None;
                    return;
                }
                0
            }
            Outcome::Away(_, asked) => asked.unwrap_or_default(),
        };
        let down = self.down.get_or_insert(Down {
            tries: 0,
            until_ms: 0,
            after: 0,
        });
        // Several that were under way together fail together, which is one failure.
        if now_ms >= down.until_ms {
            down.tries = down.tries.saturating_add(1);
            let wait = self.endpoint.retry.wait_ms(down.tries, random);
            down.until_ms = now_ms + wait.min(DOWN_LONGEST_MS).max(asked);
        }
    }

    fn taken(&mut self, key: u64, own: &[u64]) {
        for at in own {
            let Some(slot) = self.slots.remove(at) else {
                continue;
            };
            self.bytes -= slot.event.json.len();
            if let Some(seq) = slot.event.seq {
                self.tell_late(key, seq);
            }
        }
        self.changes.is_due = true;
        let Some(lane) = self.lanes.get_mut(&key) else {
            return;
        };
        (lane.is_flying, lane.is_alone, lane.attempts) = (false, false, 0);
        if lane.waiting.is_empty() {
            self.lanes.remove(&key);
        }
    }

    fn tell_late(&mut self, lane: u64, seq: u64) {
        if self.told.len() >= MOST_TOLD {
            self.told.clear();
        }
        let last = self.told.entry(lane).or_default();
        self.late += u64::from(seq < *last);
        *last = seq;
    }

    fn put_back(&mut self, key: u64, own: Vec<u64>) {
        let Some(lane) = self.lanes.get_mut(&key) else {
            return;
        };
        lane.is_flying = false;
        for at in own.into_iter().rev() {
            if let Some(slot) = self.slots.get_mut(&at) {
                slot.state = State::Waiting;
                lane.waiting.push_front(at);
            }
        }
    }

    fn failed(&mut self, lanes: Vec<(u64, Vec<u64>)>, reason: &str, now_ms: u64, random: u32) {
        let several = lanes.len() > 1;
        for (key, own) in lanes {
            if several {
                if let Some(lane) = self.lanes.get_mut(&key) {
                    lane.is_alone = true;
                }
                self.put_back(key, own);
            } else if self.down.is_some() && self.endpoint.order != Order::All {
                self.put_back(key, own);
            } else {
                self.lane_failed(key, own, reason, now_ms, random);
            }
        }
    }

    /// A lane that was sent alone has failed.
    fn lane_failed(&mut self, key: u64, own: Vec<u64>, reason: &str, now_ms: u64, random: u32) {
        let Some(lane) = self.lanes.get_mut(&key) else {
            return;
        };
        lane.attempts += 1;
        let attempts = lane.attempts;
        let not_before_ms = now_ms + self.endpoint.retry.wait_ms(attempts, random);
        if attempts >= self.endpoint.max_attempts {
            lane.attempts = 0;
            lane.is_flying = false;
            for at in own {
                self.bury(at, attempts, reason);
            }
            return self.forget_lane_if_empty(key);
        }
        let stays = self.endpoint.order == Order::All || self.held.len() >= MOST_HELD;
        if stays {
            lane.not_before_ms = not_before_ms;
            return self.put_back(key, own);
        }
        let most = own.len();
        self.put_back(key, own);
        let Some(lane) = self.lanes.remove(&key) else {
            return;
        };
        let mut held = Held::new(attempts, not_before_ms, most, lane.waiting.len());
        let slots = lane.waiting.iter().filter_map(|at| self.slots.get(at));
        held.bytes = slots.map(|slot| slot.event.json.len() as u64).sum();
        self.held.insert(key, held);
        self.changes.held_changed(key);
        for at in lane.waiting {
            if let Some(slot) = self.slots.get_mut(&at) {
                slot.state = State::Leaving;
                self.changes.moves.push(slot.event.clone());
            }
        }
    }

    pub(super) fn forget_lane_if_empty(&mut self, key: u64) {
        let lane = self.lanes.get(&key);
        if lane.is_some_and(|lane| lane.waiting.is_empty() && !lane.is_flying) {
            self.lanes.remove(&key);
        }
    }

    /// Makes a dead letter of an event.
    pub(super) fn bury(&mut self, at: u64, attempts: u32, reason: &str) {
        if let Some(slot) = self.slots.get_mut(&at) {
            slot.state = State::Leaving;
            let event = slot.event.clone();
            self.changes.dead.push(Dead::new(event, attempts, reason));
        }
    }

    /// All before this number in the log is done with, once the changes are written.
    pub(crate) fn done_before(&self) -> u64 {
        let rest = self
            .slots
            .iter()
            .find(|(_, slot)| slot.state != State::Leaving);
        rest.map_or(self.next_read, |(at, _)| *at)
    }

    /// The changes are written.
    pub(super) fn left(&mut self, written: &Changes) {
        let moved = written.moves.iter().map(|event| event.at);
        let dead = written.dead.iter().filter(|dead| !dead.was_held);
        for at in moved.chain(dead.map(|dead| dead.event.at)) {
            if let Some(slot) = self.slots.remove(&at) {
                self.bytes -= slot.event.json.len();
            }
        }
    }

    /// Whether the endpoint seems to be away as a whole.
    pub(crate) fn is_down(&self) -> bool {
        self.down.is_some()
    }

    /// How many events a request has, if they are not of a held lane.
    pub(crate) fn size_of(&self, flight: u64) -> Option<usize> {
        match self.flights.get(&flight)? {
            Flight::Fresh(lanes) => Some(lanes.iter().map(|(_, own)| own.len()).sum()),
            Flight::Held(_) => None,
        }
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}
