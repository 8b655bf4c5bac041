//! Timers: one hashed wheel a shard.
//!
//! An entry is a deadline and a small token. Nothing is ever cancelled: whoever is woken looks whether its deadline
//! still holds, and asks again if it moved. So a session has one entry at a time, of 16 bytes, however often it pings.
//! A deadline further away than one turn of the wheel waits in its slot for the turns it needs.

use lakh_wire::Millis;

const SLOTS: usize = 4096;
/// 4096 slots of 8 ms: one turn is 32.8 s, longer than the default ping interval, so most entries fire in one turn.
const TICK_MS: u64 = 8;

#[derive(Debug)]
pub(crate) struct Wheel<T> {
    /// Made with the first entry: they are 100 KB.
    slots: Vec<Vec<(u64, T)>>,
    /// Slots before this tick hold nothing that is due. The slot of the tick itself may hold later milliseconds.
    tick: u64,
    len: usize,
    /// The nearest deadline, if it's known.
    next: Option<u64>,
}

impl<T> Wheel<T> {
    pub(crate) fn new(now: Millis) -> Self {
        Self {
            slots: Vec::new(),
            tick: now.0 / TICK_MS,
            len: 0,
            next: None,
        }
    }

    /// Never fires before `at`.
    pub(crate) fn insert(&mut self, at: Millis, token: T) {
        if self.slots.is_empty() {
            self.slots.resize_with(SLOTS, Vec::new);
        }
        let at = at.0.max(self.tick * TICK_MS);
        self.slots[slot(at / TICK_MS)].push((at, token));
        if self.len == 0 || self.next.is_some_and(|next| at < next) {
            self.next = Some(at);
        }
        self.len += 1;
    }

    /// Moves all that is due into `due`.
    pub(crate) fn advance(&mut self, now: Millis, due: &mut Vec<T>) {
        let target = now.0 / TICK_MS;
        if self.len == 0 || self.next.is_some_and(|next| next > now.0) {
            return;
        }
        // After a long sleep one turn over all slots is enough: entries compare their own time.
        let first = self.tick.max(target.saturating_sub(SLOTS as u64 - 1));
        for tick in first..=target {
            self.advance_slot(slot(tick), now.0, due);
        }
        self.tick = self.tick.max(target);
        self.next = None;
    }

    fn advance_slot(&mut self, slot: usize, now: u64, due: &mut Vec<T>) {
        let entries = &mut self.slots[slot];
        let mut i = 0;
        while i < entries.len() {
            if entries[i].0 <= now {
                due.push(entries.swap_remove(i).1);
                self.len -= 1;
            } else {
                i += 1;
            }
        }
        // A burst of connects leaves a slot's buffer large for ever otherwise.
        if entries.is_empty() && entries.capacity() > 64 {
            *entries = Vec::new();
        }
    }

    /// The nearest deadline. `None` while the wheel is empty. It's looked for once and remembered: the search passes
    /// over empty slots, and entries of later turns.
    pub(crate) fn next_deadline(&mut self) -> Option<Millis> {
        if self.len > 0 && self.next.is_none() {
            let turn = self.tick..self.tick + SLOTS as u64;
            let in_tick = |tick: u64| {
                let entries = self.slots[slot(tick)].iter();
                entries
                    .map(|(at, _)| *at)
                    .filter(|at| at / TICK_MS <= tick)
                    .min()
            };
            // Nothing in this turn: look again after it.
            self.next = turn.clone().find_map(in_tick).or(Some(turn.end * TICK_MS));
        }
        self.next.map(Millis)
    }
}

fn slot(tick: u64) -> usize {
    // The remainder is below SLOTS, so it fits.
    (tick % SLOTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(wheel: &mut Wheel<u32>, at: u64) -> Vec<u32> {
        let mut due = Vec::new();
        wheel.advance(Millis(at), &mut due);
        due.sort_unstable();
        due
    }

    #[test]
    fn an_entry_fires_once_and_never_early() {
        let mut wheel = Wheel::new(Millis(0));
        wheel.insert(Millis(100), 1);
        assert!(due(&mut wheel, 99).is_empty());
        assert_eq!(due(&mut wheel, 100), [1]);
        assert!(due(&mut wheel, 1_000_000).is_empty());
    }

    #[test]
    fn a_deadline_beyond_one_turn_waits_for_its_turn() {
        let mut wheel = Wheel::new(Millis(0));
        let far = SLOTS as u64 * TICK_MS * 3 + 40;
        wheel.insert(Millis(far), 7);
        let mut now = 0;
        while now + 1000 < far {
            now += 1000;
            assert!(wheel.next_deadline() <= Some(Millis(far)));
            assert!(due(&mut wheel, now).is_empty(), "at {now}");
        }
        assert_eq!(due(&mut wheel, far), [7]);
    }

    #[test]
    fn a_long_sleep_misses_nothing() {
        let mut wheel = Wheel::new(Millis(0));
        for i in 0..10_000_u32 {
            wheel.insert(Millis(u64::from(i) * 13), i);
        }
        assert_eq!(due(&mut wheel, 10_000_000).len(), 10_000);
        assert_eq!(wheel.next_deadline(), None);
    }

    #[test]
    fn the_next_deadline_is_that_of_the_nearest_entry() {
        let mut wheel = Wheel::new(Millis(5000));
        wheel.insert(Millis(5300), 1);
        wheel.insert(Millis(5307), 2);
        assert_eq!(wheel.next_deadline(), Some(Millis(5300)));
        assert_eq!(due(&mut wheel, 5300), [1]);
        assert_eq!(wheel.next_deadline(), Some(Millis(5307)));
        assert_eq!(due(&mut wheel, 5306), [0; 0]);
        assert_eq!(due(&mut wheel, 5307), [2]);
    }

    #[test]
    fn a_past_deadline_fires_at_once() {
        let mut wheel = Wheel::new(Millis(5000));
        wheel.insert(Millis(10), 1);
        assert_eq!(due(&mut wheel, 5000), [1]);
    }
}
