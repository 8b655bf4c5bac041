//! Style that a machine can hold: each file opens with what lives in it, none is too long, none leaves work undone or a
//! test asleep, and the clock, the environment and files are read only where that is allowed.
//!
//! What is past a bound today stands in a list with its figure, and the list may only get shorter: a file that got
//! better must have its figure lowered.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// Longest file, in lines.
const MAX_LINES: usize = 800;

/// Files longer than that, with their present length.
const LONG_FILES: [(&str, usize); 0] = [];

/// Folders of the repository that hold Rust.
const RUST: [&str; 8] = [
    "src", "crates", "modules", "server", "examples", "tests", "fuzz", "bench",
];

/// What no file may hold. Written in two halves, because this file is looked at as well.
const UNDONE: [(&str, &str); 4] = [
    (concat!("to", "do!("), "finish it, or leave it out"),
    (concat!("unimpl", "emented!("), "finish it, or leave it out"),
    (concat!("db", "g!("), "a left-over of debugging"),
    (
        concat!("#[ig", "nore"),
        "a test that does not run shows nothing",
    ),
];

/// A test that is a process of its own, started and killed by the one below it.
const CHILD: &str = "= \"started, and killed, by the test below\"]";

/// What may be read only by the server, by the sockets, and by those whose business files are or a connection to Redis is.
const OUTSIDE: [(&str, &[&str]); 4] = [
    (
        "Instant::now",
        &["server/", "crates/net/", "crates/store/src/redis/"],
    ),
    ("SystemTime::now", &["server/", "crates/net/"]),
    ("std::env::", &["server/"]),
    (
        "std::fs::",
        &["server/", "crates/net/", "crates/store/", "crates/files/"],
    ),
];

/// Files that read one of them all the same, today.
const STILL_OUTSIDE: [(&str, &str); 1] = [("crates/broker/src/redis/directory.rs", "Instant::now")];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 7] = [
    "utils", "util", "common", "helpers", "helper", "manager", "misc",
];

struct Source {
    /// Relative to the repository, with `/`.
    path: String,
    text: String,
}

impl Source {
    /// Whether the whole file is for tests.
    fn is_test(&self) -> bool {
        let stem = Path::new(&self.path)
            .file_stem()
            .and_then(|stem| stem.to_str());
        let stem = stem.unwrap_or_default();
        stem == "tests"
            || stem.ends_with("_tests")
            || self.path.starts_with("tests/")
            || self.path.starts_with("examples/")
            || self.path.starts_with("crates/testkit/")
            || ["/tests/", "/contract/", "/benches/", "/examples/"]
                .iter()
                .any(|part| self.path.contains(part))
    }

    /// The text up to the tests at its end.
    fn program(&self) -> &str {
        let end = self.text.find("#[cfg(test)]");
        &self.text[..end.unwrap_or(self.text.len())]
    }
}

fn repository() -> PathBuf {
    // crates/testkit → the repository
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn sources() -> Result<Vec<Source>, Box<dyn Error>> {
    let root = repository().canonicalize()?;
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = RUST.iter().map(|folder| root.join(folder)).collect();
    while let Some(folder) = folders.pop() {
        if !folder.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if path.is_dir() {
                if !["target", "node_modules", ".venv", "corpus", "artifacts"].contains(&name) {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let relative = path
                    .strip_prefix(&root)?
                    .to_string_lossy()
                    .replace('\\', "/");
                let text = fs::read_to_string(&path)?;
                found.push(Source {
                    path: relative,
                    text,
                });
            }
        }
    }
    assert!(found.len() > 20, "only {} files were found", found.len());
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn expect_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn each_file_opens_with_what_lives_in_it() -> Result<(), Box<dyn Error>> {
    let wrong: Vec<String> = sources()?
        .iter()
        .filter(|source| !source.text.starts_with("//! "))
        .map(|source| format!("{} does not open with `//! ` and a sentence", source.path))
        .collect();
    expect_none(&wrong);
    Ok(())
}

#[test]
fn no_file_is_too_long_and_the_list_only_gets_shorter() -> Result<(), Box<dyn Error>> {
    let mut wrong = Vec::new();
    let sources = sources()?;
    for source in &sources {
        let lines = source.text.lines().count();
        let listed = LONG_FILES.iter().find(|(path, _)| *path == source.path);
        let bound = listed.map_or(MAX_LINES, |(_, length)| *length);
        if lines > bound {
            wrong.push(format!(
                "{}: {lines} lines, bound {bound}: split it",
                source.path
            ));
        }
        if listed.is_some() && lines < bound {
            wrong.push(format!(
                "{}: {lines} lines now: lower its figure",
                source.path
            ));
        }
    }
    for (path, _) in LONG_FILES {
        if !sources.iter().any(|source| source.path == path) {
            wrong.push(format!("{path} is gone: take it off the list"));
        }
    }
    expect_none(&wrong);
    Ok(())
}

#[test]
fn nothing_is_left_undone_and_no_test_sleeps() -> Result<(), Box<dyn Error>> {
    let mut wrong = Vec::new();
    for source in sources()? {
        for (number, line) in source.text.lines().enumerate() {
            for (sign, advice) in UNDONE {
                if line.contains(sign) && !line.ends_with(CHILD) {
                    wrong.push(format!(
                        "{}:{}: `{sign}`: {advice}",
                        source.path,
                        number + 1
                    ));
                }
            }
        }
    }
    expect_none(&wrong);
    Ok(())
}

#[test]
fn clock_environment_and_files_are_read_only_where_that_is_allowed() -> Result<(), Box<dyn Error>> {
    let mut wrong = Vec::new();
    for source in sources()? {
        if source.is_test() || source.path.starts_with("bench/") || source.path.starts_with("fuzz/")
        {
            continue;
        }
        for (sign, allowed) in OUTSIDE {
            let path = &source.path;
            let here = allowed.iter().any(|folder| path.starts_with(folder));
            let listed = STILL_OUTSIDE.contains(&(path.as_str(), sign));
            let read = source.program().contains(sign);
            if read && !here && !listed {
                wrong.push(format!("{path} has `{sign}`: let it be passed in"));
            }
            if listed && !read {
                wrong.push(format!(
                    "{path} has no `{sign}` any more: take it off the list"
                ));
            }
        }
    }
    expect_none(&wrong);
    Ok(())
}

#[test]
fn names_of_files_say_what_is_inside() -> Result<(), Box<dyn Error>> {
    let wrong: Vec<String> = sources()?
        .iter()
        .filter(|source| {
            let parts = source.path.trim_end_matches(".rs").split('/');
            parts.into_iter().any(|part| EMPTY_NAMES.contains(&part))
        })
        .map(|source| format!("{} has a name that says nothing", source.path))
        .collect();
    expect_none(&wrong);
    Ok(())
}
