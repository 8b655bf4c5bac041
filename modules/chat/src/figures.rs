//! What is counted for whoever runs the server: totals of this node since its start.

use std::sync::atomic::{AtomicU64, Ordering};

use lakh_hub::Failure;

use crate::{Chat, REQUESTS};

/// How requests end: as they wished; with a no; or with a fault of the server or its store.
const OUTCOMES: [&str; 3] = ["granted", "refused", "failed"];

/// The counters.
#[derive(Debug)]
pub(crate) struct Counters {
    /// In the order of [`REQUESTS`].
    requests: Box<[[AtomicU64; 3]]>,
    messages: AtomicU64,
    replies: AtomicU64,
    reminders: AtomicU64,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            requests: REQUESTS.iter().map(|_| Default::default()).collect(),
            messages: AtomicU64::default(),
            replies: AtomicU64::default(),
            reminders: AtomicU64::default(),
        }
    }
}

impl Counters {
    /// A request has been answered; it's named by its place in [`REQUESTS`].
    pub(crate) fn answered<T>(&self, request: usize, answer: &Result<T, Failure>) {
        let outcome = match answer {
            Ok(_) => 0,
            Err(failure) if matches!(failure.code, "unavailable" | "internal" | "not_stored") => 2,
            Err(_) => 1,
        };
        if let Some(of) = self.requests.get(request) {
            of[outcome].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A message was stored that wasn't there before.
    pub(crate) fn stored(&self, is_reply: bool) {
        let of = if is_reply {
            &self.replies
        } else {
            &self.messages
        };
        of.fetch_add(1, Ordering::Relaxed);
    }

    /// Backends were told that somebody who is away has not read something.
    pub(crate) fn reminded(&self) {
        self.reminders.fetch_add(1, Ordering::Relaxed);
    }
}

/// What this node has done since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Requests that could be read: their name, how they ended, how many. Those that never came are left out.
    pub requests: Vec<(&'static str, &'static str, u64)>,
    /// Messages that were stored in rooms.
    pub messages: u64,
    /// Messages that were stored in threads.
    pub replies: u64,
    /// How often backends were told of somebody who is away and has not read something.
    pub reminders: u64,
}

impl Chat {
    /// What this node has done since its start.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let counters = &self.0.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let requests = REQUESTS.iter().zip(&counters.requests);
        let requests = requests.flat_map(|(name, counts)| {
            let counts = OUTCOMES.iter().zip(counts);
            counts.map(move |(outcome, count)| (*name, *outcome, read(count)))
        });
        Figures {
            requests: requests.filter(|(_, _, count)| *count > 0).collect(),
            messages: read(&counters.messages),
            replies: read(&counters.replies),
            reminders: read(&counters.reminders),
        }
    }
}
