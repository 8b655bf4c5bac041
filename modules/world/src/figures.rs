//! What is counted for whoever runs the server: totals of this node since its start, and what is now.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lakh_hub::Failure;

use crate::{REQUESTS, Worlds};

/// How requests end: as they wished; with a no; or with a fault of the server or its store.
const OUTCOMES: [&str; 3] = ["granted", "refused", "failed"];
/// Upper bounds of the buckets for ticks, in seconds; those beyond are in one more.
pub const BUCKETS_S: [f64; 10] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0,
];

/// What composing came to, of one loop in one tick.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
    /// Frames that were not made, because the client had not taken the last one.
    pub(crate) merged: u64,
    /// Parcels that were later than they should be.
    pub(crate) late: u64,
}

/// The counters.
#[derive(Debug)]
pub(crate) struct Counters {
    /// In the order of [`REQUESTS`].
    requests: Box<[[AtomicU64; 3]]>,
    frames: AtomicU64,
    bytes: AtomicU64,
    merged: AtomicU64,
    late: AtomicU64,
    inputs: AtomicU64,
    inputs_refused: AtomicU64,
    ticks: [AtomicU64; BUCKETS_S.len() + 1],
    tick_us: AtomicU64,
}

fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            requests: REQUESTS.iter().map(|_| Default::default()).collect(),
            frames: AtomicU64::default(),
            bytes: AtomicU64::default(),
            merged: AtomicU64::default(),
            late: AtomicU64::default(),
            inputs: AtomicU64::default(),
            inputs_refused: AtomicU64::default(),
            ticks: Default::default(),
            tick_us: AtomicU64::default(),
        }
    }

    /// A request has been answered; it's named by its place in [`REQUESTS`].
    pub(crate) fn answered<T>(&self, request: usize, answer: &Result<T, Failure>) {
        let outcome = match answer {
            Ok(_) => 0,
            Err(failure) if matches!(failure.code, "unavailable" | "internal") => 2,
            Err(_) => 1,
        };
        if let Some(of) = self.requests.get(request) {
            add(&of[outcome], 1);
        }
    }

    pub(crate) fn composed(&self, tally: &Tally) {
        add(&self.frames, tally.frames);
        add(&self.bytes, tally.bytes);
        add(&self.merged, tally.merged);
        add(&self.late, tally.late);
    }

    pub(crate) fn ticked(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = BUCKETS_S.iter().position(|most| seconds <= *most);
        add(&self.ticks[bucket.unwrap_or(BUCKETS_S.len())], 1);
        add(&self.tick_us, micros(took));
    }

    pub(crate) fn input(&self, taken: bool) {
        add(
            if taken {
                &self.inputs
            } else {
                &self.inputs_refused
            },
            1,
        );
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// What this node's worlds have done since its start, and what they are now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Requests that could be read: name, how they ended, how many.
    pub requests: Vec<(&'static str, &'static str, u64)>,
    /// Worlds at work.
    pub worlds: u64,
    /// Entities in them.
    pub entities: u64,
    /// Clients of this node that look on.
    pub viewers: u64,
    /// Frames sent.
    pub frames: u64,
    /// Bytes of them, as the format has it.
    pub frame_bytes: u64,
    /// Frames that were left out because a client had not taken the last one; the next one tells it all.
    pub merged: u64,
    /// Parcels that were later than they should be for want of budget, counted in each frame.
    pub late: u64,
    /// Inputs taken.
    pub inputs: u64,
    /// Inputs refused.
    pub inputs_refused: u64,
    /// Chunks of land in memory.
    pub land_chunks: u64,
    /// Bytes that they take.
    pub land_bytes: u64,
    /// Members of spaces that came in over this node.
    pub space_members: u64,
    /// Locks of components in spaces that this node knows of.
    pub space_locks: u64,
    /// Ticks by how long they took: one for each of [`BUCKETS_S`], and those beyond.
    pub ticks: [u64; BUCKETS_S.len() + 1],
    /// Seconds that all ticks took together.
    pub tick_seconds: f64,
    /// The slowest time of any world; 1 is real time.
    pub slowest: f64,
    /// Worlds that tell less often than they should, to save time.
    pub eased: u64,
}

impl Worlds {
    /// The counters.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let counters = &self.0.counters;
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let requests = REQUESTS.iter().zip(&counters.requests);
        let requests = requests.flat_map(|(name, of)| {
            let outcomes = OUTCOMES.iter().zip(of);
            outcomes.map(move |(outcome, count)| (*name, *outcome, load(count)))
        });
        let mut figures = Figures {
            requests: requests.collect(),
            frames: load(&counters.frames),
            frame_bytes: load(&counters.bytes),
            merged: load(&counters.merged),
            late: load(&counters.late),
            inputs: load(&counters.inputs),
            inputs_refused: load(&counters.inputs_refused),
            ticks: std::array::from_fn(|bucket| load(&counters.ticks[bucket])),
            tick_seconds: load(&counters.tick_us) as f64 / 1e6,
            slowest: 1.0,
            ..Figures::default()
        };
        let wide = |count: usize| count as u64;
        let (chunks, bytes) = self.0.grounds.figures();
        (figures.land_chunks, figures.land_bytes) = (wide(chunks), wide(bytes));
        let (members, locks) = self.0.spaces.figures();
        (figures.space_members, figures.space_locks) = (wide(members), wide(locks));
        for live in self.0.registry.all() {
            let now = live.now();
            figures.worlds += 1;
            figures.entities += now.entities as u64;
            figures.viewers += live.people() as u64;
            figures.slowest = figures.slowest.min(f64::from(now.pace.dilation) / 128.0);
            figures.eased += u64::from(now.pace.ease > 0);
        }
        figures
    }
}
