//! Allocations of a turn in its steady state: none a delivered message, and the rest may only fall.

use lakh_counts::cases::{ALL, Case};
use lakh_counts::counting::{Counting, of_this_thread};
use lakh_counts::ratchet::{Figures, Tolerance, hold};
use lakh_counts::{ROUNDS, counted_rounds, warmed_up};

#[global_allocator]
static COUNTING: Counting = Counting;

/// Allocations of all counted rounds. What they made they must have freed, or kept in a log of a steady size.
fn allocations(case: &Case) -> i64 {
    let mut round = warmed_up(case);
    let before = of_this_thread();
    let results = counted_rounds(&mut round);
    let counts = of_this_thread() - before;
    assert_eq!(results, ROUNDS * case.results, "{}", case.name);
    counts.made
}

fn named(name: &str) -> &'static Case {
    let found = ALL.iter().find(|case| case.name == name);
    found.unwrap_or_else(|| panic!("there is no case {name}"))
}

#[test]
fn allocations_of_an_operation_only_fall() {
    let counted: Figures = ALL
        .iter()
        .map(|case| {
            let operations = (ROUNDS * case.operations) as f64;
            (case.name.to_owned(), allocations(case) as f64 / operations)
        })
        .collect();
    hold("allocations", &counted, Tolerance::NONE, None);
}

#[test]
fn a_delivered_message_allocates_nothing() {
    for (few, many) in [
        ("fanout-10", "fanout-1000"),
        ("fanout-10-recoverable", "fanout-1000-recoverable"),
    ] {
        let (few, many) = (allocations(named(few)), allocations(named(many)));
        assert_eq!(
            few, many,
            "a broadcast to 1,000 allocates more than one to 10"
        );
    }
}

#[test]
fn the_allocator_counts_what_is_made_and_what_is_live() {
    let before = of_this_thread();
    let list: Vec<u64> = Vec::with_capacity(100);
    let counts = of_this_thread() - before;
    assert_eq!((counts.made, counts.live, counts.live_bytes), (1, 1, 800));
    drop(list);
    let counts = of_this_thread() - before;
    assert_eq!((counts.made, counts.live, counts.live_bytes), (1, 0, 0));
}
