//! What sources and sinks count, and how they are.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// How a source or sink is, on this node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Another node does the work, or none yet.
    #[default]
    Standby,
    /// It is at work here.
    Up,
    /// Something is wrong, and it is tried again.
    Down(String),
}

impl State {
    /// The word for it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Standby => "standby",
            Self::Up => "up",
            Self::Down(_) => "down",
        }
    }
}

/// What one source or sink counts on this node since its start.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) received: AtomicU64,
    pub(super) published: AtomicU64,
    pub(super) duplicates: AtomicU64,
    pub(super) dead: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) lag: AtomicU64,
    pub(super) lag_bytes: AtomicU64,
    state: Mutex<State>,
}

impl Counts {
    pub(super) fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Says how it is, and writes it to the log where it changes.
    pub(super) fn tell(&self, kind: &'static str, name: &str, state: State) {
        let mut known = self.state.lock();
        if *known == state {
            return;
        }
        match (&*known, &state) {
            (_, State::Down(reason)) => {
                tracing::warn!(name, reason, "a {kind} is down; it is tried again");
            }
            (State::Down(_), State::Up) => tracing::info!(name, "a {kind} is up again"),
            (_, State::Up) => tracing::info!(name, "a {kind} is at work on this node"),
            (_, State::Standby) => tracing::debug!(name, "a {kind} waits for its turn"),
        }
        *known = state;
    }

    pub(super) fn read(&self, name: &str) -> Figures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Figures {
            name: name.to_owned(),
            state: self.state.lock().clone(),
            received: read(&self.received),
            published: read(&self.published),
            duplicates: read(&self.duplicates),
            dead: read(&self.dead),
            dropped: read(&self.dropped),
            lag: read(&self.lag),
            lag_bytes: read(&self.lag_bytes),
        }
    }
}

/// Figures of one source or sink on this node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Its name.
    pub name: String,
    /// How it is.
    pub state: State,
    /// Entries that came; of a sink, occurrences that it wanted.
    pub received: u64,
    /// Entries that were published; of a sink, messages that the broker has confirmed.
    pub published: u64,
    /// Entries that had been published before.
    pub duplicates: u64,
    /// Entries that can't be published, messages that no broker takes.
    pub dead: u64,
    /// Occurrences that were dropped because too many waited.
    pub dropped: u64,
    /// How many wait: at the broker for a source, in the store for a sink. Known to the node that does the work.
    pub lag: u64,
    /// Bytes of them, for a sink.
    pub lag_bytes: u64,
}
