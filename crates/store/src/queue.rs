//! A queue between many callers and a few threads, bounded in count and bytes.
//!
//! What is taken out counts until [`Queue::done`] is called for it, so the bound holds for all that is in memory.
//! There is no second stage in which callers wait for a place: a submitted operation holds its bytes either way, and whoever
//! awaits its result is held back by that.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Why an item was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Full,
    Closed,
}

/// How much may be in the queue, or be taken out at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) items: usize,
    pub(crate) bytes: usize,
}

struct State<T> {
    waiting: VecDeque<(T, usize)>,
    items: usize,
    bytes: usize,
    closed: bool,
}

pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    bounds: Bounds,
}

/// What came of waiting for items.
pub(crate) enum Taken<T> {
    Items(Group<T>),
    /// None came in time.
    Nothing,
    /// The queue is closed and empty.
    Closed,
}

/// Items taken together, and what they count.
pub(crate) struct Group<T> {
    pub(crate) items: Vec<T>,
    pub(crate) bytes: usize,
}

impl<T> Queue<T> {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let state = State {
            waiting: VecDeque::new(),
            items: 0,
            bytes: 0,
            closed: false,
        };
        Self {
            state: Mutex::new(state),
            filled: Condvar::new(),
            bounds,
        }
    }

    /// Takes an item in, or says why not. An empty queue takes an item of any size: it must be possible to write it some time.
    pub(crate) fn push(&self, item: T, bytes: usize) -> Result<(), Refused> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        let heavy = state.items > 0 && state.bytes + bytes > self.bounds.bytes;
        if heavy || state.items >= self.bounds.items {
            return Err(Refused::Full);
        }
        state.items += 1;
        state.bytes += bytes;
        state.waiting.push_back((item, bytes));
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Waits for items and takes what is there, in order, up to `most`. `None` when the queue is closed and empty.
    pub(crate) fn take(&self, most: Bounds) -> Option<Group<T>> {
        loop {
            match self.take_for(most, Duration::MAX) {
                Taken::Items(group) => return Some(group),
                Taken::Closed => return None,
                Taken::Nothing => {}
            }
        }
    }

    /// The same, but waits once, no longer than `patience`.
    pub(crate) fn take_for(&self, most: Bounds, patience: Duration) -> Taken<T> {
        let mut state = self.state.lock();
        if state.waiting.is_empty() && !state.closed {
            self.filled.wait_for(&mut state, patience);
        }
        if !state.waiting.is_empty() {
            return Taken::Items(Self::group(&mut state, most));
        }
        if state.closed {
            Taken::Closed
        } else {
            Taken::Nothing
        }
    }

    fn group(state: &mut State<T>, most: Bounds) -> Group<T> {
        let mut group = Group {
            items: Vec::new(),
            bytes: 0,
        };
        while let Some((_, bytes)) = state.waiting.front() {
            let full = group.items.len() >= most.items || group.bytes + bytes > most.bytes;
            if full && !group.items.is_empty() {
                break;
            }
            if let Some((item, bytes)) = state.waiting.pop_front() {
                group.bytes += bytes;
                group.items.push(item);
            }
        }
        group
    }

    /// Gives back the room of items that were taken.
    pub(crate) fn done(&self, items: usize, bytes: usize) {
        let mut state = self.state.lock();
        state.items -= items;
        state.bytes -= bytes;
    }

    /// Refuses new items from now on; what is in the queue can still be taken.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.filled.notify_all();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// Closes the queue and drops what waits in it.
    pub(crate) fn abandon(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let dropped = std::mem::take(&mut state.waiting);
        drop(state);
        drop(dropped);
        self.filled.notify_all();
    }

    /// Items and bytes that wait or are being worked on.
    pub(crate) fn depth(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.items, state.bytes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    const ROOMY: Bounds = Bounds {
        items: 10,
        bytes: 100,
    };

    #[test]
    fn what_was_taken_counts_until_it_is_done() {
        let queue = Queue::new(Bounds {
            items: 2,
            bytes: 100,
        });
        queue.push('a', 1).unwrap();
        queue.push('b', 1).unwrap();
        let group = queue.take(ROOMY).unwrap();
        assert_eq!(group.items, ['a', 'b']);
        assert_eq!(queue.push('c', 1), Err(Refused::Full));
        queue.done(group.items.len(), group.bytes);
        assert_eq!(queue.push('c', 1), Ok(()));
        assert_eq!(queue.depth(), (1, 1));
    }

    #[test]
    fn bytes_are_bounded_but_one_large_item_finds_its_way() {
        let queue = Queue::new(Bounds {
            items: 10,
            bytes: 100,
        });
        assert_eq!(queue.push('a', 1000), Ok(()));
        assert_eq!(queue.push('b', 1), Err(Refused::Full));
        assert_eq!(queue.take(ROOMY).unwrap().items, ['a']);
    }

    #[test]
    fn a_group_ends_before_the_item_that_is_too_much() {
        let queue = Queue::new(Bounds {
            items: 10,
            bytes: 1000,
        });
        for item in ['a', 'b', 'c'] {
            queue.push(item, 60).unwrap();
        }
        assert_eq!(queue.take(ROOMY).unwrap().items, ['a']);
        assert_eq!(
            queue
                .take(Bounds {
                    items: 2,
                    bytes: 1000
                })
                .unwrap()
                .items,
            ['b', 'c']
        );
    }

    #[test]
    fn waiting_ends_without_items_too() {
        let queue = Queue::new(ROOMY);
        assert!(matches!(
            queue.take_for(ROOMY, Duration::ZERO),
            Taken::Nothing
        ));
        queue.push('a', 1).unwrap();
        queue.close();
        assert!(matches!(
            queue.take_for(ROOMY, Duration::MAX),
            Taken::Items(_)
        ));
        assert!(matches!(
            queue.take_for(ROOMY, Duration::MAX),
            Taken::Closed
        ));
    }

    #[test]
    fn a_closed_queue_gives_what_it_has_and_then_nothing() {
        let queue = Queue::new(ROOMY);
        queue.push('a', 1).unwrap();
        queue.close();
        assert_eq!(queue.push('b', 1), Err(Refused::Closed));
        assert_eq!(queue.take(ROOMY).unwrap().items, ['a']);
        assert!(queue.take(ROOMY).is_none());
    }
}
