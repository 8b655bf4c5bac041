//! Lanes that are held back: their events stand in logs of their own until the endpoint takes them.

use lakh_hub::store::LogInfo;

use super::changes::Dead;
use super::event::Stored;
use super::queue::{Now, Outcome, Queue};

/// A lane that has failed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Held {
    /// Failures of its first events.
    pub attempts: u32,
    /// When it's tried again.
    pub not_before_ms: u64,
    /// Number of its first entry, and of its last.
    pub first: u64,
    pub last: u64,
    /// Bytes of its events, nearly.
    pub bytes: u64,
    /// Events on their way into its log.
    pub moving: usize,
    pub is_flying: bool,
    /// Events that failed together, which are tried together.
    most: usize,
}

impl Held {
    /// A lane of which nothing stands in its log yet.
    pub(super) fn new(attempts: u32, not_before_ms: u64, most: usize, moving: usize) -> Self {
        Self {
            attempts,
            not_before_ms,
            first: 1,
            last: 0,
            bytes: 0,
            moving,
            is_flying: false,
            most,
        }
    }

    /// A lane as it was found in the store.
    pub(super) fn found(attempts: u32, not_before_ms: u64, log: &LogInfo) -> Self {
        Self {
            first: log.first_seq,
            last: log.last_seq,
            bytes: log.bytes,
            ..Self::new(attempts, not_before_ms, 0, 0)
        }
    }

    fn is_ready(&self) -> bool {
        !self.is_flying && self.first <= self.last
    }

    pub(super) fn is_due(&self, now_ms: u64) -> bool {
        self.is_ready() && now_ms >= self.not_before_ms
    }

    pub(super) fn due_ms(&self) -> Option<u64> {
        self.is_ready().then_some(self.not_before_ms)
    }

    /// How many events are to be sent together.
    pub(super) fn most(&self, batch: usize) -> usize {
        match self.attempts > 0 && self.most > 0 {
            true => self.most.min(batch),
            false => batch,
        }
    }

    fn done(&mut self, before: u64, bytes: usize) {
        self.first = before;
        self.bytes = self.bytes.saturating_sub(bytes as u64);
    }

    fn is_over(&self) -> bool {
        !self.is_flying && self.moving == 0 && self.first > self.last
    }
}

impl Queue {
    /// A held lane, as it was found in the store.
    pub(crate) fn hold(&mut self, lane: u64, attempts: u32, not_before_ms: u64, log: &LogInfo) {
        let held = Held::found(attempts, not_before_ms, log);
        self.held.insert(lane, held);
        self.end_if_over(lane);
    }

    pub(super) fn held_finished(
        &mut self,
        key: u64,
        outcome: &Outcome,
        events: Vec<Stored>,
        now: Now,
        random: u32,
    ) {
        let now_ms = now.steady_ms;
        let endpoint = self.endpoint();
        let (retry, max_attempts) = (endpoint.retry, endpoint.max_attempts);
        let max_age_ms = endpoint.max_age_ms;
        let Some(held) = self.held.get_mut(&key) else {
            return;
        };
        held.is_flying = false;
        let oldest = events.iter().map(|event| event.stored_ms).min();
        let bytes: usize = events.iter().map(|event| event.json.len()).sum();
        let after = events.last().map_or(held.last + 1, |event| event.at + 1);
        match outcome {
            Outcome::Away(..) => {
                // The events were not even looked at, or could not be read.
                held.not_before_ms = now_ms + retry.wait_ms(1, random);
            }
            Outcome::Taken => {
                held.attempts = 0;
                held.done(after, bytes);
                held.not_before_ms = now_ms;
                self.changes.trims.insert(key, after);
                self.changes.is_due = true;
            }
            Outcome::Failed(reason) => {
                held.attempts += 1;
                held.most = events.len();
                held.not_before_ms = now_ms + retry.wait_ms(held.attempts, random);
                let is_old =
                    oldest.is_some_and(|stored| now.wall_ms >= stored.saturating_add(max_age_ms));
                if held.attempts >= max_attempts || is_old {
                    let attempts = held.attempts;
                    held.attempts = 0;
                    held.done(after, bytes);
                    held.not_before_ms = now_ms;
                    self.changes.trims.insert(key, after);
                    let dead = events.into_iter().map(|event| Dead {
                        was_held: true,
                        ..Dead::new(event, attempts, reason)
                    });
                    self.changes.dead.extend(dead);
                }
                self.changes.held_changed(key);
            }
        }
        self.end_if_over(key);
    }

    /// Entries of a lane stand in its log now, up to this number.
    pub(crate) fn moved(&mut self, key: u64, count: usize, first: u64, last: u64) {
        if let Some(held) = self.held.get_mut(&key) {
            if held.last == 0 {
                held.first = first;
            }
            held.moving = held.moving.saturating_sub(count);
            held.last = held.last.max(last);
        }
        self.end_if_over(key);
    }

    fn end_if_over(&mut self, key: u64) {
        if self.held.get(&key).is_some_and(Held::is_over) {
            self.held.remove(&key);
            self.changes.held.remove(&key);
            self.changes.trims.remove(&key);
            self.changes.ended.insert(key);
        }
    }
}
