//! Runs one case, for callgrind: `valgrind --tool=callgrind --toggle-collect='*counted_rounds*' lakh-counts CASE`.

use std::process::ExitCode;

use lakh_counts::{ROUNDS, cases, counted_rounds, warmed_up};

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    let all = || cases::ALL.iter().chain(cases::STORING);
    let Some(case) = all().find(|case| case.name == name) else {
        let names: Vec<&str> = all().map(|case| case.name).collect();
        eprintln!("usage: lakh-counts CASE, one of {}", names.join(", "));
        return ExitCode::from(2);
    };
    let mut round = warmed_up(case);
    let results = counted_rounds(&mut round);
    if results == ROUNDS * case.results {
        ExitCode::SUCCESS
    } else {
        eprintln!("{name}: {results} results");
        ExitCode::FAILURE
    }
}
