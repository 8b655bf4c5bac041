//! Instructions of an operation, counted by callgrind. They may only fall.
//!
//! Runs on one machine give the same counts to a few in a million; another compiler, C library or processor gives others
//! (the C library copies and searches with what the processor has), so the record names those that it was made with, and
//! holds less strictly under others. Other processors than x86-64 have other instructions, and callgrind is on Linux
//! only: nothing is recorded for those.
//!
//! What callgrind wrote stays beside the tests' binaries, for `callgrind_annotate`.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(clippy::unwrap_used)] // A panic is how a test fails.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lakh_counts::ROUNDS;
use lakh_counts::cases::{ALL, Case, STORING};
use lakh_counts::ratchet::{Figures, Tolerance, hold, recorded_with};
use serde_json::Value;

/// Between runs with the same tools.
const SAME_TOOLS: Tolerance = Tolerance::part(0.005);
/// With another compiler, C library or processor. A nightly compiler of 2026 wrote 11 % more for one case, and 2 % less for
/// another; a processor that copies bytes another way adds to that.
const OTHER_TOOLS: Tolerance = Tolerance::part(0.3);

fn output_of(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{command:?}: {error}; `tools/install.sh test` installs it")
    });
    assert!(
        output.status.success(),
        "{command:?}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Builds what is counted, with settings that nothing else uses, and gives its path.
fn build() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "build",
        "--profile=counts",
        "--package=lakh-counts",
        "--bin=lakh-counts",
        "--message-format=json-render-diagnostics",
    ]);
    // What cargo tells a test about its package would be news for the build script of `ring`: it and all above it would be
    // built once more, which takes minutes.
    let of_this_test = std::env::vars_os().filter(|(name, _)| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
    });
    for (name, _) in of_this_test {
        cargo.env_remove(name);
    }
    let messages = output_of(&mut cargo);
    let mut paths = messages.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    });
    paths.next_back().expect("cargo names the executable")
}

/// Its name and how many features it has: virtual machines hide some of them.
fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap();
    let field = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_once(':'));
        value.map_or_else(String::new, |(_, value)| value.trim().to_owned())
    };
    let features = field("flags").split_whitespace().count();
    format!("{} with {features} features", field("model name"))
}

fn instructions(program: &Path, case: &Case) -> f64 {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("callgrind.{}", case.name));
    output_of(
        Command::new("valgrind")
            .arg("--tool=callgrind")
            .arg("--toggle-collect=*counted_rounds*")
            .arg(format!("--callgrind-out-file={}", file.display()))
            .args([program.as_os_str(), case.name.as_ref()]),
    );
    let text = fs::read_to_string(&file).unwrap();
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    let total: f64 = total.expect("callgrind writes totals").parse().unwrap();
    assert!(total > 0.0, "{}: nothing was counted", case.name);
    (total / (ROUNDS * case.operations) as f64).round()
}

#[test]
fn instructions_of_an_operation_only_fall() {
    let tools = format!(
        "{}, {}, {}, {}",
        output_of(Command::new("rustc").arg("--version")),
        output_of(Command::new("getconf").arg("GNU_LIBC_VERSION")),
        output_of(Command::new("valgrind").arg("--version")),
        processor(),
    );
    let same = recorded_with("instructions").is_none_or(|with| with == tools);
    let program = build();
    let counted: Figures = ALL
        .iter()
        .chain(STORING)
        .map(|case| (case.name.to_owned(), instructions(&program, case)))
        .collect();
    let tolerance = if same { SAME_TOOLS } else { OTHER_TOOLS };
    hold("instructions", &counted, tolerance, Some(&tools));
}
