//! A queue with a bound in bytes, between threads that may not wait and a task that may.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Why something was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Full,
    Closed,
}

#[derive(Debug)]
struct Inner<T> {
    items: VecDeque<(T, usize)>,
    bytes: usize,
    closed: bool,
}

#[derive(Debug)]
pub(crate) struct ByteQueue<T> {
    max_bytes: usize,
    inner: Mutex<Inner<T>>,
    /// Woken when there is something, or when it is closed.
    filled: Notify,
    /// Woken when there is room again.
    room: Notify,
}

impl<T> ByteQueue<T> {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            inner: Mutex::new(Inner {
                items: VecDeque::new(),
                bytes: 0,
                closed: false,
            }),
            filled: Notify::new(),
            room: Notify::new(),
        }
    }

    /// Takes something in. What is larger than the queue is taken when it's empty, or it would never be.
    pub(crate) fn push(&self, item: T, bytes: usize) -> Result<(), Refused> {
        self.push_numbered(item, bytes, |_| ())
    }

    /// The same, and lets `number` see what it took, in the order of the queue: two that push at once can't get into
    /// each other's way between that and the queue.
    pub(crate) fn push_numbered<R>(
        &self,
        mut item: T,
        bytes: usize,
        number: impl FnOnce(&mut T) -> R,
    ) -> Result<R, Refused> {
        let mut inner = self.inner.lock();
        if inner.closed {
            return Err(Refused::Closed);
        }
        if inner.bytes.saturating_add(bytes) > self.max_bytes && inner.bytes > 0 {
            return Err(Refused::Full);
        }
        let numbered = number(&mut item);
        inner.bytes += bytes;
        inner.items.push_back((item, bytes));
        drop(inner);
        self.filled.notify_one();
        Ok(numbered)
    }

    /// Takes something in whatever the bound, for the few that must not be lost.
    pub(crate) fn push_always(&self, item: T) {
        self.inner.lock().items.push_back((item, 0));
        self.filled.notify_one();
    }

    /// What is in it, in order, up to so many items and bytes; at least one if there is one.
    pub(crate) fn take(&self, max_items: usize, max_bytes: usize) -> Vec<T> {
        let mut taken = Vec::new();
        let mut bytes = 0;
        let mut inner = self.inner.lock();
        while taken.len() < max_items && (taken.is_empty() || bytes < max_bytes) {
            let Some((item, size)) = inner.items.pop_front() else {
                break;
            };
            inner.bytes -= size;
            bytes += size;
            taken.push(item);
        }
        drop(inner);
        // Each who waits looks for itself whether it fits now.
        self.room.notify_waiters();
        self.room.notify_one();
        taken
    }

    /// Waits until there is something. False when it's closed and empty.
    pub(crate) async fn wait(&self) -> bool {
        loop {
            {
                let inner = self.inner.lock();
                if !inner.items.is_empty() {
                    return true;
                }
                if inner.closed {
                    return false;
                }
            }
            self.filled.notified().await;
        }
    }

    /// Takes something in once there is room for it. One that waits at a time.
    pub(crate) async fn push_in_turn(&self, item: T, bytes: usize) {
        loop {
            {
                let inner = self.inner.lock();
                let fits = inner.bytes.saturating_add(bytes) <= self.max_bytes;
                if inner.closed || fits || inner.bytes == 0 {
                    break;
                }
            }
            self.room.notified().await;
        }
        // Only what may not wait could have come in between: then this one is a little over the bound. Closed, it's of
        // no use to anybody.
        let mut inner = self.inner.lock();
        if !inner.closed {
            inner.bytes += bytes;
            inner.items.push_back((item, bytes));
            drop(inner);
            self.filled.notify_one();
        }
    }

    /// Bytes in it.
    pub(crate) fn bytes(&self) -> usize {
        self.inner.lock().bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.inner.lock().items.is_empty()
    }

    /// Takes nothing in any more.
    pub(crate) fn close(&self) {
        self.inner.lock().closed = true;
        self.filled.notify_one();
        self.room.notify_waiters();
        self.room.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_bounded_in_bytes_and_keeps_order() {
        let queue = ByteQueue::new(10);
        assert_eq!(queue.push(1, 6), Ok(()));
        assert_eq!(queue.push(2, 6), Err(Refused::Full));
        assert_eq!(queue.push(3, 4), Ok(()));
        assert!(queue.wait().await);
        assert_eq!(queue.take(1, 100), [1]);
        queue.push_in_turn(4, 6).await;
        assert_eq!(queue.bytes(), 10);
        assert_eq!(queue.take(10, 100), [3, 4]);
        assert_eq!(queue.bytes(), 0);
        // Larger than the queue itself.
        assert_eq!(queue.push(5, 100), Ok(()));
        queue.close();
        assert_eq!(queue.push(6, 0), Err(Refused::Closed));
        assert!(queue.wait().await);
        assert_eq!(queue.take(10, 1), [5]);
        assert!(!queue.wait().await);
    }
}
