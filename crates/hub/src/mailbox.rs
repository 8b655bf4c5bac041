//! How other threads reach a shard: a queue in the order sent, bounded in bytes.
//!
//! Senders don't wait. The loops of the node look at `is_full` before they read on, so a shard that falls behind slows
//! the connections that publish to it, not its own; a sender outside the loops is told [`Full`] at four times the bound.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;

use parking_lot::Mutex;
use thiserror::Error;

use crate::namespace::NamespaceInner;
use crate::outgoing::Outgoing;
use crate::shard::Shard;

/// A message for a shard.
pub(crate) enum Command {
    /// Deliver to the members that live on this shard.
    Deliver(Arc<Outgoing>),
    /// Anything else. The number is what it weighs in bytes.
    Run(Box<dyn FnOnce(&Shard) + Send>, usize),
}

impl Command {
    fn cost(&self) -> usize {
        match self {
            // The bytes are shared among all mailboxes, but each must be able to hold them back.
            Self::Deliver(outgoing) => outgoing.cost(),
            Self::Run(_, cost) => *cost,
        }
    }

    /// The place in the namespace's log of what is to be delivered, if it is of that namespace and has one.
    pub(crate) fn logged_in(&self, namespace: &NamespaceInner) -> Option<u64> {
        match self {
            Self::Deliver(outgoing) if outgoing.namespace.id == namespace.id => {
                outgoing.logged_at()
            }
            _ => None,
        }
    }
}

/// A queue is full: too much waits already.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the server is overloaded: {waiting} bytes wait for {queue}; try again later")]
pub struct Full {
    /// Bytes that wait.
    pub waiting: usize,
    /// For what.
    pub queue: Queue,
}

/// What is waited for in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// An event loop of this node.
    EventLoop,
    /// Redis, on the way to the other nodes.
    Redis,
    /// The store, on the way to the log of this node.
    Store,
}

impl std::fmt::Display for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::EventLoop => "one event loop",
            Self::Redis => "Redis",
            Self::Store => "the store",
        })
    }
}

pub(crate) struct Mailbox {
    queue: Mutex<Commands>,
    bytes: AtomicUsize,
    bound: usize,
}

#[derive(Default)]
struct Commands {
    commands: VecDeque<Command>,
    waker: Option<Waker>,
}

impl Mailbox {
    pub(crate) fn new(bound: usize) -> Self {
        Self {
            queue: Mutex::new(Commands::default()),
            bytes: AtomicUsize::new(0),
            bound,
        }
    }

    pub(crate) fn send(&self, command: Command) -> Result<(), Full> {
        self.check()?;
        self.force(command);
        Ok(())
    }

    /// Whether more would be taken.
    pub(crate) fn check(&self) -> Result<(), Full> {
        let waiting = self.bytes.load(Ordering::Relaxed);
        if waiting > self.bound.saturating_mul(4) {
            Err(Full {
                waiting,
                queue: Queue::EventLoop,
            })
        } else {
            Ok(())
        }
    }

    /// For who has called `check` before.
    pub(crate) fn force(&self, command: Command) {
        let cost = command.cost();
        let waker = {
            let mut queue = self.queue.lock();
            queue.commands.push_back(command);
            self.bytes.fetch_add(cost, Ordering::Relaxed);
            queue.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether publishers should hold back.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > self.bound
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) == 0
    }

    /// The first command in which this is found, among those that wait.
    pub(crate) fn find<T>(&self, find: impl Fn(&Command) -> Option<T>) -> Option<T> {
        self.queue.lock().commands.iter().find_map(find)
    }

    /// Takes what waits, up to the command that fills `most` bytes, and says how many bytes that were.
    pub(crate) fn take(&self, into: &mut VecDeque<Command>, most: usize) -> usize {
        let mut queue = self.queue.lock();
        let waiting = self.bytes.load(Ordering::Relaxed);
        if waiting <= most && into.is_empty() {
            std::mem::swap(&mut queue.commands, into);
            self.bytes.store(0, Ordering::Relaxed);
            return waiting;
        }
        let mut taken = 0;
        while taken < most {
            let Some(command) = queue.commands.pop_front() else {
                break;
            };
            taken += command.cost();
            into.push_back(command);
        }
        self.bytes.fetch_sub(taken, Ordering::Relaxed);
        taken
    }

    /// Wakes this task at the next message, or at once if there is one.
    pub(crate) fn register(&self, waker: &Waker) -> bool {
        let mut queue = self.queue.lock();
        if queue.commands.is_empty() {
            queue.waker = Some(waker.clone());
            return true;
        }
        false
    }
}
