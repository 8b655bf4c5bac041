//! Allocations of an operation that stores something, and the bytes that it leaves behind. They may only fall.

use std::collections::BTreeMap;

use lakh_counts::cases::{Case, STORING};
use lakh_counts::counting::{Counting, of_this_thread};
use lakh_counts::ratchet::{Figures, Tolerance, hold};
use lakh_counts::{ROUNDS, counted_rounds, warmed_up};

#[global_allocator]
static COUNTING: Counting = Counting;

/// Trees and tables grow by steps, and what is hashed with a seed of the day grows at another moment.
const STEPS: Tolerance = Tolerance::part(0.02);

fn figures_of(case: &Case) -> [(String, f64); 2] {
    let mut round = warmed_up(case);
    let before = of_this_thread();
    let results = counted_rounds(&mut round);
    let counts = of_this_thread() - before;
    assert_eq!(results, ROUNDS * case.results, "{}", case.name);
    let each =
        |count: i64| (count as f64 / (ROUNDS * case.operations) as f64 * 100.0).round() / 100.0;
    [
        (format!("{}, allocations", case.name), each(counts.made)),
        (
            format!("{}, bytes kept", case.name),
            each(counts.live_bytes),
        ),
    ]
}

#[test]
fn allocations_and_bytes_of_what_is_stored_only_fall() {
    let counted: Figures = STORING
        .iter()
        .flat_map(figures_of)
        .collect::<BTreeMap<_, _>>();
    hold("storing", &counted, STEPS, None);
}
