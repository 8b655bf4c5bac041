//! Holds what was counted against what is recorded: a figure may only fall.
//!
//! The record is `counts.json`, a section for each test. With `UPDATE=1` in the environment a test writes its own
//! section; figures that moved within the tolerance stay as they are, so that noise makes no difference to review.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::PathBuf;

use serde_json::{Value, json};

/// Figures by the name of the case, sorted.
pub type Figures = BTreeMap<String, f64>;

/// What recorded figures hold under.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// Part of a recorded figure by which it may be passed: 0.01 is one in a hundred.
    pub part: f64,
    /// What may be added to that.
    pub plus: f64,
}

impl Tolerance {
    /// None at all.
    pub const NONE: Self = Self {
        part: 0.0,
        plus: 0.0,
    };

    /// Part of a figure.
    #[must_use]
    pub const fn part(part: f64) -> Self {
        Self { part, plus: 0.0 }
    }

    fn of(self, was: f64) -> f64 {
        was * self.part + self.plus
    }
}

/// What a comparison came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Verdict {
    /// Figures that rose, are new, or are gone.
    wrong: Vec<String>,
    /// Figures that fell.
    better: Vec<String>,
}

fn compare(recorded: &Figures, counted: &Figures, tolerance: Tolerance) -> Verdict {
    let mut verdict = Verdict::default();
    for (case, is) in counted {
        match recorded.get(case) {
            None => verdict
                .wrong
                .push(format!("{case}: is {is}, and not recorded")),
            Some(was) if is - was > tolerance.of(*was) => {
                verdict
                    .wrong
                    .push(format!("{case}: was {was}, is {is}{}", percent(*was, *is)));
            }
            Some(was) if was - is > tolerance.of(*was) => {
                verdict
                    .better
                    .push(format!("{case}: was {was}, is {is}{}", percent(*was, *is)));
            }
            Some(_) => {}
        }
    }
    let gone = recorded.keys().filter(|case| !counted.contains_key(*case));
    verdict
        .wrong
        .extend(gone.map(|case| format!("{case}: recorded, and counted no longer")));
    verdict
}

fn percent(was: f64, is: f64) -> String {
    if was == 0.0 {
        return String::new();
    }
    format!(" ({:+.2} %)", (is - was) / was * 100.0)
}

/// The figures to record: those counted, but for what moved too little.
fn record(recorded: &Figures, counted: &Figures, tolerance: Tolerance) -> Figures {
    let chosen = counted.iter().map(|(case, is)| {
        let kept = recorded
            .get(case)
            .filter(|was| (*was - is).abs() <= tolerance.of(**was));
        (case.clone(), *kept.unwrap_or(is))
    });
    chosen.collect()
}

/// What a section was recorded with, if it says so. Counts of instructions change with the compiler.
///
/// # Panics
/// If the record can't be read.
#[must_use]
pub fn recorded_with(section: &str) -> Option<String> {
    let (_, all) = open(false);
    Some(all[with(section)].as_str()?.to_owned())
}

fn with(section: &str) -> String {
    format!("{section}, counted with")
}

/// Holds what was counted against a section of the record, or writes it there. Prints all of it.
///
/// # Panics
/// If a figure is higher than recorded, is not recorded, or is recorded and not counted.
pub fn hold(section: &str, counted: &Figures, tolerance: Tolerance, counted_with: Option<&str>) {
    for (case, is) in counted {
        println!("{section:<13} {case:<55} {is:>12}");
    }
    let update = std::env::var_os("UPDATE").is_some_and(|update| update == "1");
    let (mut file, mut all) = open(update);
    let recorded: Figures = serde_json::from_value(all[section].clone()).unwrap_or_default();
    if update {
        all[section] = json!(record(&recorded, counted, tolerance));
        if let Some(counted_with) = counted_with {
            all[with(section)] = json!(counted_with);
        }
        return write(&mut file, &all);
    }
    let verdict = compare(&recorded, counted, tolerance);
    if !verdict.better.is_empty() {
        // Past the capture of a test's output: nobody looks into that of one that passes.
        let told = writeln!(
            std::io::stderr(),
            "{section}: fewer than recorded; `UPDATE=1 cargo test -p lakh-counts` records it\n  {}",
            verdict.better.join("\n  ")
        );
        drop(told);
    }
    assert!(
        verdict.wrong.is_empty(),
        "{section} of bench/counts/counts.json may only fall:\n  {}\nIf there is a good reason, \
         `UPDATE=1 cargo test -p lakh-counts` records the figures; say it in the commit.",
        verdict.wrong.join("\n  ")
    );
}

/// The record, locked: tests run at the same time, in processes of their own.
fn open(update: bool) -> (File, Value) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("counts.json");
    let read = || -> std::io::Result<(File, Value)> {
        let mut file = File::options()
            .read(true)
            .write(update)
            .create(update)
            .open(&path)?;
        file.lock()?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let empty = text.trim().is_empty();
        let all = if empty { "{}" } else { &text };
        Ok((file, serde_json::from_str(all)?))
    };
    read().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn write(file: &mut File, all: &Value) {
    // Sorted, whichever map the JSON library was built with.
    let sorted: BTreeMap<String, &Value> = all
        .as_object()
        .into_iter()
        .flatten()
        .map(|(section, figures)| (section.clone(), figures))
        .collect();
    let mut written = || -> std::io::Result<()> {
        let text = serde_json::to_string_pretty(&sorted)? + "\n";
        file.rewind()?;
        file.set_len(0)?;
        file.write_all(text.as_bytes())
    };
    written().unwrap_or_else(|error| panic!("counts.json can't be written: {error}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(list: &[(&str, f64)]) -> Figures {
        list.iter()
            .map(|(case, figure)| ((*case).to_owned(), *figure))
            .collect()
    }

    #[test]
    fn a_figure_that_rises_past_the_tolerance_is_wrong_and_named() {
        let recorded = figures(&[("a", 1000.0), ("b", 1000.0)]);
        let counted = figures(&[("a", 1010.0), ("b", 1011.0)]);
        let verdict = compare(&recorded, &counted, Tolerance::part(0.01));
        assert_eq!(verdict.wrong, ["b: was 1000, is 1011 (+1.10 %)"]);
        assert!(verdict.better.is_empty());
    }

    #[test]
    fn zero_stays_zero() {
        let (recorded, counted) = (figures(&[("a", 0.0)]), figures(&[("a", 0.01)]));
        let verdict = compare(&recorded, &counted, Tolerance::part(0.5));
        assert_eq!(verdict.wrong, ["a: was 0, is 0.01"]);
        let same = compare(&recorded, &recorded, Tolerance::NONE);
        assert_eq!(same, Verdict::default());
    }

    #[test]
    fn a_figure_that_falls_is_told_and_passes() {
        let (recorded, counted) = (figures(&[("a", 1000.0)]), figures(&[("a", 900.0)]));
        let verdict = compare(&recorded, &counted, Tolerance::part(0.01));
        assert!(verdict.wrong.is_empty());
        assert_eq!(verdict.better, ["a: was 1000, is 900 (-10.00 %)"]);
    }

    #[test]
    fn new_cases_and_cases_that_are_gone_are_wrong() {
        let (recorded, counted) = (figures(&[("old", 1.0)]), figures(&[("new", 1.0)]));
        let verdict = compare(&recorded, &counted, Tolerance::NONE);
        assert_eq!(
            verdict.wrong,
            [
                "new: is 1, and not recorded",
                "old: recorded, and counted no longer"
            ]
        );
    }

    #[test]
    fn a_record_keeps_what_moved_too_little_and_drops_what_is_gone() {
        let recorded = figures(&[("a", 1000.0), ("b", 1000.0), ("gone", 1.0)]);
        let counted = figures(&[("a", 995.0), ("b", 900.0), ("new", 7.0)]);
        let next = record(&recorded, &counted, Tolerance::part(0.01));
        assert_eq!(next, figures(&[("a", 1000.0), ("b", 900.0), ("new", 7.0)]));
    }
}
