//! What a turn of the server costs, in counts that are the same on every run: instructions, allocations, bytes.
//!
//! `cases` are the work that is counted, `house` drives a shard as an event loop does, without sockets. The binary
//! runs one case under callgrind; the tests in `tests/` count and hold what they find against `counts.json`, through
//! `ratchet`: a figure may only fall.

pub mod cases;
mod chat;
pub mod counting;
pub mod house;
pub mod ratchet;
mod world;

/// Rounds before anything is counted: by then tables, queues and pools have their size.
const WARM_UP: usize = 20;
/// Rounds that are counted.
pub const ROUNDS: usize = 10;

/// Starts a case and brings it to its steady state.
///
/// # Panics
/// If a round writes other frames than it should: what is counted would not be the work that the case names.
#[must_use]
pub fn warmed_up(case: &cases::Case) -> cases::Round {
    let mut round = (case.start)();
    for _ in 0..WARM_UP {
        assert_eq!(round(), case.results, "{}", case.name);
    }
    round
}

/// The rounds that are counted; callgrind collects between this function's entry and its return, so it must stay one
/// function with this name. Gives the results of all rounds.
#[inline(never)]
pub fn counted_rounds(round: &mut dyn FnMut() -> usize) -> usize {
    let mut results = 0;
    for _ in 0..ROUNDS {
        results += round();
    }
    results
}
