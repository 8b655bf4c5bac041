//! Which request is made next.

use std::collections::HashSet;

use super::held::Held;
use super::queue::{Attempt, Flight, Now, Queue, Slot, State};

impl Queue {
    /// The next request, if one is to be made now.
    pub(crate) fn next(&mut self, now: Now) -> Option<Attempt> {
        let now_ms = now.steady_ms;
        if self.flights.len() >= self.endpoint.concurrency {
            return None;
        }
        self.expire(now.wall_ms);
        if let Some(down) = &self.down {
            if now_ms < down.until_ms || !self.flights.is_empty() {
                return None;
            }
            return self.probe(now_ms);
        }
        self.held_next = !self.held_next;
        match self.held_next {
            true => self
                .held_attempt(now_ms)
                .or_else(|| self.fresh_attempt(now_ms)),
            false => self
                .fresh_attempt(now_ms)
                .or_else(|| self.held_attempt(now_ms)),
        }
    }

    fn held_attempt(&mut self, now_ms: u64) -> Option<Attempt> {
        // Lanes that fail may be lanes that hang: they never take all the places.
        let flying = self.held.values().filter(|held| held.is_flying).count();
        if flying > 0 && flying >= self.endpoint.concurrency / 2 {
            return None;
        }
        let due = self.held.iter_mut().filter(|(_, held)| held.is_due(now_ms));
        let (lane, held) = due.min_by_key(|(_, held)| held.not_before_ms)?;
        held.is_flying = true;
        let (lane, from, most) = (*lane, held.first, held.most(self.endpoint.batch_events));
        self.retried += u64::from(held.attempts > 0);
        let flight = self.fly(Flight::Held(lane));
        Some(Attempt::Held {
            flight,
            lane,
            from,
            most,
        })
    }

    fn fly(&mut self, flight: Flight) -> u64 {
        self.last_flight += 1;
        self.flights.insert(self.last_flight, flight);
        self.last_flight
    }

    fn fresh_attempt(&mut self, now_ms: u64) -> Option<Attempt> {
        let mut picked = Picked::default();
        let mut seen = HashSet::new();
        for slot in self.slots.values() {
            if slot.state != State::Waiting || !seen.insert(slot.event.lane) {
                continue;
            }
            let lane = &self.lanes[&slot.event.lane];
            if lane.is_flying || now_ms < lane.not_before_ms {
                continue;
            }
            let alone = lane.is_alone || lane.attempts > 0;
            if alone && picked.count > 0 {
                continue;
            }
            self.pick(slot.event.lane, now_ms, &mut picked);
            if picked.is_full || (alone && picked.count > 0) {
                break;
            }
        }
        self.launch(picked)
    }

    /// Takes as much of a lane as fits.
    fn pick(&self, lane: u64, now_ms: u64, picked: &mut Picked) {
        let mut own = Vec::new();
        for at in &self.lanes[&lane].waiting {
            let slot = &self.slots[at];
            if now_ms < slot.read_ms.saturating_add(self.wait_ms) {
                break;
            }
            let bytes = slot.event.json.len();
            let is_heavy = picked.count > 0 && picked.bytes + bytes > self.endpoint.batch_bytes;
            if picked.count >= self.endpoint.batch_events || is_heavy {
                picked.is_full = true;
                break;
            }
            picked.count += 1;
            picked.bytes += bytes;
            own.push(*at);
        }
        if !own.is_empty() {
            picked.lanes.push((lane, own));
        }
    }

    fn launch(&mut self, picked: Picked) -> Option<Attempt> {
        if picked.lanes.is_empty() {
            return None;
        }
        let mut events = Vec::new();
        let mut again = false;
        for (key, own) in &picked.lanes {
            let Some(lane) = self.lanes.get_mut(key) else {
                continue;
            };
            lane.is_flying = true;
            again |= lane.is_alone || lane.attempts > 0;
            lane.waiting.drain(..own.len());
            for at in own {
                if let Some(slot) = self.slots.get_mut(at) {
                    slot.state = State::Flying;
                    events.push(slot.event.clone());
                }
            }
        }
        self.retried += u64::from(again || self.down.is_some());
        let flight = self.fly(Flight::Fresh(picked.lanes));
        Some(Attempt::Fresh { flight, events })
    }

    /// One lane, and another one each time: there may be one that the endpoint takes.
    fn probe(&mut self, now_ms: u64) -> Option<Attempt> {
        let after = self.down.as_ref().map_or(0, |down| down.after);
        let ready = |slot: &&Slot| {
            let lane = self.lanes.get(&slot.event.lane);
            slot.state == State::Waiting
                && lane.is_some_and(|lane| {
                    lane.waiting.front() == Some(&slot.event.at) && now_ms >= lane.not_before_ms
                })
                && now_ms >= slot.read_ms.saturating_add(self.wait_ms)
        };
        let behind = self.slots.range(after + 1..).map(|(_, slot)| slot);
        let mut all = behind.chain(self.slots.values());
        let Some((at, lane)) = all.find(ready).map(|slot| (slot.event.at, slot.event.lane)) else {
            return self.held_attempt(now_ms);
        };
        let mut picked = Picked::default();
        self.pick(lane, now_ms, &mut picked);
        if let Some(down) = &mut self.down {
            down.after = at;
        }
        self.launch(picked)
    }

    /// What has waited for too long becomes a dead letter.
    fn expire(&mut self, wall_ms: u64) {
        let max_age_ms = self.endpoint.max_age_ms;
        let old = self
            .slots
            .values()
            .take_while(|slot| wall_ms >= slot.event.stored_ms.saturating_add(max_age_ms));
        let old = old.filter(|slot| slot.state == State::Waiting);
        let old: Vec<_> = old.map(|slot| (slot.event.at, slot.event.lane)).collect();
        for (at, key) in old {
            let mut attempts = 0;
            if let Some(lane) = self.lanes.get_mut(&key) {
                lane.waiting.retain(|other| *other != at);
                attempts = lane.attempts;
            }
            self.bury(at, attempts, "it waited for longer than it may");
            self.forget_lane_if_empty(key);
        }
    }

    /// When there may be something to do by itself.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        let is_full = self.flights.len() >= self.endpoint.concurrency;
        if is_full || (self.down.is_some() && !self.flights.is_empty()) {
            return None;
        }
        let lanes = self.lanes.values().filter(|lane| !lane.is_flying);
        let fresh = lanes.filter_map(|lane| {
            let head = &self.slots[lane.waiting.front()?];
            Some((head.read_ms.saturating_add(self.wait_ms)).max(lane.not_before_ms))
        });
        let held = self.held.values().filter_map(Held::due_ms);
        let next = fresh.chain(held).min()?;
        let down = self.down.as_ref().map_or(0, |down| down.until_ms);
        Some(next.max(down))
    }
}

#[derive(Default)]
struct Picked {
    lanes: Vec<(u64, Vec<u64>)>,
    count: usize,
    bytes: usize,
    is_full: bool,
}
