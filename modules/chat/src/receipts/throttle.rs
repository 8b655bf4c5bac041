//! What is done at most once in a while for each of many: at once if the last time is long ago, and otherwise for the
//! newest when its time has come.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::Hash;
use std::time::Duration;

use lakh_hub::Hub;
use lakh_hub::presence::Ms;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

/// The clock of the hub may be moved by hand: so long is slept at most.
const MOST_SLEEP: Ms = 500;

/// Who waits, and what for. Any thread puts something in; one task works it off.
pub(crate) struct Throttle<K, V> {
    waiting: Mutex<Waiting<K, V>>,
    more: Notify,
}

struct Waiting<K, V> {
    every: Ms,
    most: usize,
    slots: HashMap<K, Slot<V>>,
    queue: BinaryHeap<Reverse<(Ms, K)>>,
}

/// Stands here from the first time until nothing came for as long as one waits.
struct Slot<V> {
    next: Option<V>,
    /// It's being done, or was a moment ago: who began to read the store before then finds it here.
    last: Option<V>,
}

impl<K: Clone + Ord + Hash, V: Clone> Waiting<K, V> {
    /// `false`: too many wait already.
    fn put(&mut self, now: Ms, key: K, value: V, merge: impl FnOnce(&mut V, V)) -> bool {
        let is_full = self.slots.len() >= self.most;
        match self.slots.get_mut(&key) {
            Some(Slot { next, .. }) => match next {
                Some(next) => merge(next, value),
                None => *next = Some(value),
            },
            None if is_full => return false,
            None => {
                let slot = Slot {
                    next: Some(value),
                    last: None,
                };
                self.slots.insert(key.clone(), slot);
                self.queue.push(Reverse((now, key)));
            }
        }
        true
    }

    /// What is to be done now.
    fn pop(&mut self, now: Ms) -> Option<(K, V)> {
        while self.queue.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            let Reverse((_, key)) = self.queue.pop()?;
            let Some(slot) = self.slots.get_mut(&key) else {
                continue;
            };
            if let Some(value) = slot.next.take() {
                slot.last = Some(value.clone());
                self.queue.push(Reverse((now + self.every, key.clone())));
                return Some((key, value));
            }
            self.slots.remove(&key);
        }
        None
    }

    /// The same, for some.
    fn pop_some(&mut self, now: Ms, most: usize) -> Vec<(K, V)> {
        std::iter::from_fn(|| self.pop(now)).take(most).collect()
    }

    fn next(&self) -> Option<Ms> {
        self.queue.peek().map(|Reverse((at, _))| *at)
    }
}

impl<K: Clone + Ord + Hash, V: Clone> Throttle<K, V> {
    /// `most` wait at the same time; what comes on top is passed over.
    pub(crate) fn new(every: Ms, most: usize) -> Self {
        Self {
            waiting: Mutex::new(Waiting {
                every,
                most,
                slots: HashMap::new(),
                queue: BinaryHeap::new(),
            }),
            more: Notify::new(),
        }
    }

    /// Something is to be done. If the same waits already, they become one. `false`: too many wait.
    pub(crate) fn put(&self, now: Ms, key: K, value: V, merge: impl FnOnce(&mut V, V)) -> bool {
        let taken = self.waiting.lock().put(now, key, value, merge);
        self.more.notify_one();
        taken
    }

    /// Looks at what waits, is being done, or was a moment ago.
    pub(crate) fn peek<R>(&self, key: &K, look: impl FnOnce(&V) -> R) -> Option<R> {
        let waiting = self.waiting.lock();
        let slot = waiting.slots.get(key)?;
        slot.next.as_ref().or(slot.last.as_ref()).map(look)
    }

    /// It is not to be done any more.
    pub(crate) fn forget(&self, key: &K) {
        if let Some(slot) = self.waiting.lock().slots.get_mut(key) {
            (slot.next, slot.last) = (None, None);
        }
    }

    /// Works for ever, by the clock of the hub.
    pub(crate) async fn run(&self, hub: &Hub, work: impl AsyncFn(&K, V)) {
        loop {
            // Not in the head of the loop: the lock would be held through its body.
            let now = hub.clock_ms();
            let due = self.waiting.lock().pop(now);
            match due {
                Some((key, value)) => work(&key, value).await,
                None => self.wait(now).await,
            }
        }
    }

    /// Works for ever, on so many together as are due, and rests after that: what comes meanwhile is done together, too.
    pub(crate) async fn run_together(
        &self,
        hub: &Hub,
        most: usize,
        rest: Duration,
        work: impl AsyncFn(Vec<(K, V)>),
    ) {
        loop {
            let now = hub.clock_ms();
            let due = self.waiting.lock().pop_some(now, most);
            match due.len() {
                0 => self.wait(now).await,
                count => {
                    work(due).await;
                    if count < most {
                        sleep(rest).await;
                    }
                }
            }
        }
    }

    /// Until something is due, or may be.
    async fn wait(&self, now: Ms) {
        let next = self.waiting.lock().next();
        match next {
            Some(at) => {
                let wait = Duration::from_millis(at.saturating_sub(now).min(MOST_SLEEP));
                drop(timeout(wait, self.more.notified()).await);
            }
            None => self.more.notified().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Ms = 1_000;

    fn throttle() -> Throttle<&'static str, u32> {
        Throttle::new(EVERY, 2)
    }

    fn put(throttle: &Throttle<&'static str, u32>, now: Ms, key: &'static str, value: u32) -> bool {
        let mut waiting = throttle.waiting.lock();
        waiting.put(now, key, value, |old, new| *old = new)
    }

    fn pop(throttle: &Throttle<&'static str, u32>, now: Ms) -> Option<(&'static str, u32)> {
        throttle.waiting.lock().pop(now)
    }

    #[test]
    fn the_first_is_done_at_once_and_then_the_newest_of_each_while() {
        let (throttle, now) = (throttle(), 1_000);
        assert!(put(&throttle, now, "a", 1));
        assert_eq!(pop(&throttle, now), Some(("a", 1)));
        assert!(put(&throttle, now, "a", 2) && put(&throttle, now, "a", 3));
        assert_eq!(pop(&throttle, now), None);
        assert_eq!(pop(&throttle, now + EVERY), Some(("a", 3)));
        assert_eq!(pop(&throttle, now + EVERY), None);
        assert!(put(&throttle, now + EVERY, "a", 4));
        assert_eq!(pop(&throttle, now + EVERY * 2), Some(("a", 4)));
    }

    #[test]
    fn what_is_due_is_taken_together() {
        let (throttle, now) = (Throttle::new(EVERY, 3), 1_000);
        for (key, value) in [("a", 1), ("b", 2), ("c", 3)] {
            assert!(put(&throttle, now, key, value));
        }
        let mut waiting = throttle.waiting.lock();
        assert_eq!(waiting.pop_some(now, 2), [("a", 1), ("b", 2)]);
        assert_eq!(waiting.pop_some(now, 2), [("c", 3)]);
        assert_eq!(waiting.pop_some(now, 2), []);
    }

    #[test]
    fn what_rests_is_forgotten_and_makes_room() {
        let (throttle, now) = (throttle(), 1_000);
        assert!(put(&throttle, now, "a", 1) && put(&throttle, now, "b", 1));
        assert!(!put(&throttle, now, "c", 1), "two wait");
        assert!(pop(&throttle, now).is_some() && pop(&throttle, now).is_some());
        assert!(!put(&throttle, now, "c", 1), "they may not come again yet");
        assert_eq!(pop(&throttle, now + EVERY), None);
        assert!(put(&throttle, now + EVERY, "c", 1));
        assert_eq!(pop(&throttle, now + EVERY), Some(("c", 1)));
    }

    #[test]
    fn what_is_being_done_can_be_seen_for_a_while_after() {
        let (throttle, now) = (throttle(), 1_000);
        put(&throttle, now, "a", 1);
        assert_eq!(throttle.peek(&"a", |value| *value), Some(1));
        throttle.waiting.lock().pop(now);
        assert_eq!(throttle.peek(&"a", |value| *value), Some(1));
        put(&throttle, now, "a", 2);
        assert_eq!(throttle.peek(&"a", |value| *value), Some(2));
        throttle.forget(&"a");
        assert_eq!(throttle.peek(&"a", |value| *value), None);
        put(&throttle, now, "a", 3);
        assert_eq!(pop(&throttle, now + EVERY), Some(("a", 3)));
        assert_eq!(throttle.peek(&"a", |value| *value), Some(3));
        assert_eq!(pop(&throttle, now + EVERY * 2), None);
        assert_eq!(throttle.peek(&"a", |value| *value), None);
    }
}
