//! What is to be done later: a queue by time, and the one task of the node that works it off.
//!
//! The task runs on the first loop, sleeps until the first item is due, and ends when there is none: what rests costs nothing.
//! Nothing is ever cancelled: whoever does an item looks whether it still holds.
//!
//! What must hold: there is one task at most, and one whenever something waits. Where it's cut off, because its loop has
//! ended, the next item starts another. How much waits is bounded by whoever puts it there.

use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::hub::Hub;

/// The clock of the hub may be moved by hand: so long is slept at most.
const MOST_SLEEP: Duration = Duration::from_millis(500);
/// Items that are done before others on the loop have their turn.
const TURN: usize = 32;

/// Items by their time; those of the same time in the order in which they came.
pub(crate) struct Times<T> {
    items: BTreeMap<(u64, u64), T>,
    next: u64,
}

impl<T> Default for Times<T> {
    fn default() -> Self {
        Self {
            items: BTreeMap::new(),
            next: 0,
        }
    }
}

impl<T> Times<T> {
    pub(crate) fn put(&mut self, at: u64, item: T) {
        self.next += 1;
        self.items.insert((at, self.next), item);
    }

    /// The first time.
    pub(crate) fn first(&self) -> Option<u64> {
        self.items.first_key_value().map(|((at, _), _)| *at)
    }

    pub(crate) fn pop_due(&mut self, now: u64) -> Option<T> {
        let first = self.items.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

/// What is to be done later, by one task of the node.
pub struct Later<T>(Arc<Inner<T>>);

struct Inner<T> {
    clock: fn(&Hub) -> u64,
    queue: Mutex<Queue<T>>,
    /// Something is due earlier than was thought.
    earlier: Notify,
}

struct Queue<T> {
    times: Times<T>,
    /// There is a task.
    driven: bool,
}

impl<T> fmt::Debug for Later<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Later")
    }
}

impl<T: Send + 'static> Later<T> {
    /// Nothing yet; times are by this clock of the hub.
    #[must_use]
    pub fn new(clock: fn(&Hub) -> u64) -> Self {
        let queue = Queue {
            times: Times::default(),
            driven: false,
        };
        Self(Arc::new(Inner {
            clock,
            queue: Mutex::new(queue),
            earlier: Notify::new(),
        }))
    }

    /// Has something done at a time. `work` is how each item is done, given the time that it is then; it has to be the same
    /// with every call, since only that is used which comes when no task is there.
    pub fn put(&self, hub: &Hub, at: u64, item: T, work: impl FnMut(T, u64) + Send + 'static) {
        let clock = self.0.clock;
        let Some(worker) = self.add(at, item, clock(hub)) else {
            return;
        };
        let of = hub.clone();
        // However far that loop is behind: nobody else would come for what waits. There is one of these at most.
        hub.run_surely_on(0, move |_| {
            tokio::task::spawn_local(worker.work(move || clock(&of), work));
        });
    }

    /// Gives whoever is to work, where nobody does yet.
    fn add(&self, at: u64, item: T, now: u64) -> Option<Worker<T>> {
        let mut queue = self.0.queue.lock();
        let first = queue.times.first().unwrap_or(u64::MAX);
        // Somebody may sleep for what is due by now, if the clock was moved.
        let wakes = at < first || first <= now;
        queue.times.put(at, item);
        if !mem::replace(&mut queue.driven, true) {
            return Some(Worker {
                of: Arc::clone(&self.0),
                is_over: false,
            });
        }
        drop(queue);
        if wakes {
            self.0.earlier.notify_one();
        }
        None
    }
}

/// Whoever works a queue off. Dropping it before it's over lets the next item start another.
struct Worker<T> {
    of: Arc<Inner<T>>,
    /// It has ended by itself, and the queue knows.
    is_over: bool,
}

impl<T> Drop for Worker<T> {
    fn drop(&mut self) {
        if !self.is_over {
            self.of.queue.lock().driven = false;
        }
    }
}

/// What is done next.
enum Next<T> {
    Do(T),
    Wait(u64),
    End,
}

impl<T> Worker<T> {
    async fn work(mut self, now: impl Fn() -> u64, mut work: impl FnMut(T, u64)) {
        let mut done = 0;
        loop {
            let now_ms = now();
            match self.next(now_ms) {
                Next::Do(item) => {
                    work(item, now_ms);
                    done += 1;
                    if done % TURN == 0 {
                        tokio::task::yield_now().await;
                    }
                }
                Next::Wait(ms) => {
                    let sleep = tokio::time::sleep(MOST_SLEEP.min(Duration::from_millis(ms)));
                    tokio::select! {
                        () = sleep => {}
                        () = self.of.earlier.notified() => {}
                    }
                }
                Next::End => return,
            }
        }
    }

    fn next(&mut self, now_ms: u64) -> Next<T> {
        let mut queue = self.of.queue.lock();
        if let Some(item) = queue.times.pop_due(now_ms) {
            return Next::Do(item);
        }
        match queue.times.first() {
            Some(first) => Next::Wait(first - now_ms),
            None => {
                queue.driven = false;
                self.is_over = true;
                Next::End
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use tokio::task::JoinHandle;

    use super::*;

    /// Works all off, by a clock that goes with tokio's, which goes by itself while all sleep; gives what was done when.
    fn work_off(worker: Worker<&'static str>) -> JoinHandle<Vec<(u64, &'static str)>> {
        tokio::spawn(async move {
            let (mut done, start) = (Vec::new(), tokio::time::Instant::now());
            let now = move || u64::try_from(start.elapsed().as_millis()).unwrap();
            worker
                .work(now, |item, now_ms| done.push((now_ms, item)))
                .await;
            done
        })
    }

    #[tokio::test(start_paused = true)]
    async fn items_are_done_at_their_time_in_their_order_and_then_it_ends() {
        let later = Later::new(Hub::clock_ms);
        let worker = later.add(70, "c", 0).unwrap();
        assert!(later.add(10, "a", 0).is_none(), "one works already");
        assert!(later.add(10, "b", 0).is_none());
        let done = work_off(worker).await.unwrap();
        assert_eq!(done, [(10, "a"), (10, "b"), (70, "c")]);
        assert!(later.add(80, "d", 0).is_some(), "it has ended");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_due_earlier_than_all_else_wakes_the_sleeper() {
        let later = Later::new(Hub::clock_ms);
        let working = work_off(later.add(400, "last", 0).unwrap());
        tokio::task::yield_now().await;
        assert!(later.add(20, "first", 0).is_none());
        let done = working.await.unwrap();
        assert_eq!(done, [(20, "first"), (400, "last")]);
    }

    /// Whether the sleeper is woken by an item that is put there.
    async fn wakes(later: &Later<char>, at: u64, now: u64) -> bool {
        assert!(later.add(at, 'x', now).is_none());
        let woken = tokio::time::timeout(Duration::ZERO, later.0.earlier.notified());
        woken.await.is_ok()
    }

    #[tokio::test]
    async fn what_is_put_there_wakes_the_sleeper_where_something_is_due_that_was_not() {
        let later = Later::new(Hub::clock_ms);
        let _worker = later.add(100, 'a', 0).unwrap();
        assert!(!wakes(&later, 200, 0).await);
        assert!(wakes(&later, 90, 0).await);
        assert!(!wakes(&later, 90, 0).await);
        assert!(
            wakes(&later, 300, 95).await,
            "the clock was moved meanwhile"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_moved_is_seen_though_nobody_says_so() {
        let later = Later::new(Hub::clock_ms);
        let (worker, clock) = (later.add(1_000_000, 'a', 0).unwrap(), AtomicU64::new(0));
        let now = || clock.fetch_add(500_000, Ordering::Relaxed);
        let mut done = Vec::new();
        worker.work(now, |item, _| done.push(item)).await;
        assert_eq!(done, ['a']);
    }

    #[test]
    fn a_worker_that_is_cut_off_is_replaced() {
        let later = Later::new(Hub::clock_ms);
        let worker = later.add(1, 'a', 0).unwrap();
        drop(worker);
        let mut worker = later.add(2, 'b', 0).unwrap();
        assert!(matches!(worker.next(2), Next::Do('a')));
        assert!(matches!(worker.next(2), Next::Do('b')));
        assert!(matches!(worker.next(2), Next::End));
        let next = later.add(3, 'c', 0).unwrap();
        drop(worker);
        assert!(
            later.add(4, 'd', 0).is_none(),
            "the one that has ended takes nothing from the next"
        );
        drop(next);
    }
}
