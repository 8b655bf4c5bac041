//! A process that writes is killed at random moments; nothing that it was told is done may be missing, and nothing may be half
//! there. The same file lives through all rounds.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lakh_store::contract::block_on;
use lakh_store::{Batch, Condition, Entry, Range, SqliteOptions, Store, Trim};

const FILE: &str = "LAKH_STORE_CRASH_FILE";
const ROUNDS: usize = 40;
const WRITERS: usize = 4;
/// Batches that a writer has under way at once.
const AHEAD: u64 = 6;
const RECENT: u64 = 5;

fn log_of(writer: usize) -> String {
    format!("log{}", writer % 2)
}

fn key(writer: usize, n: u64) -> String {
    format!("{writer}-{n}")
}

/// The n-th batch of a writer: an entry in a log that it shares, its counter, its score, and a log that is trimmed at once.
fn batch(writer: usize, n: u64) -> Batch {
    let trim = Trim {
        max_entries: Some(RECENT),
        ..Trim::default()
    };
    let filler = vec![b'.'; (n as usize * 37) % 700];
    Batch::new(n)
        .append(
            &log_of(writer),
            vec![Entry::new(n, filler).dedupe(&key(writer, n))],
        )
        .put(
            "counters",
            &writer.to_string(),
            n.to_string(),
            Condition::Any,
            None,
        )
        .set_score("scores", &writer.to_string(), n as f64)
        .append("recent", vec![Entry::new(n, "recent")])
        .trim("recent", trim)
}

fn counter(store: &Store, writer: usize) -> u64 {
    let document = block_on(store.get(0, "counters", &writer.to_string())).unwrap();
    document.map_or(0, |document| {
        String::from_utf8_lossy(&document.value).parse().unwrap()
    })
}

/// The process that is killed: the test below, started once more with a file's name.
fn victim(path: &str) {
    let store = Store::sqlite(path, &SqliteOptions::default()).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let store = &store;
            scope.spawn(move || write_for_ever(store, writer));
        }
    });
}

fn write_for_ever(store: &Store, writer: usize) {
    let mut n = counter(store, writer);
    loop {
        let ahead: Vec<_> = (n + 1..=n + AHEAD)
            .map(|n| (n, store.write(batch(writer, n))))
            .collect();
        for (n, write) in ahead {
            let results = block_on(write).unwrap();
            let lakh_store::Applied::Appended(appended) = &results[0] else {
                panic!("{results:?}");
            };
            // One write call a line: a kill leaves whole lines, and perhaps a broken last one.
            let line = format!("done {writer} {n} {}\n", appended.first_seq());
            std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
        }
        n += AHEAD;
    }
}

/// SplitMix64: enough to choose moments by, and a seed gives the same ones again.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end
    }
}

/// What writers were told is done: the number in the log of each batch.
type Told = HashMap<(usize, u64), u64>;

/// Starts the process, reads what it was told, kills it after a while, and reads the rest.
fn write_and_kill(path: &Path, random: &mut Random, told: &mut Told) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "what_was_acknowledged_survives_a_kill_at_any_moment",
            "--nocapture",
        ])
        .env(FILE, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let lines_before_the_kill = random.below(150);
    let moment = Duration::from_micros(random.below(4000));
    let mut line = String::new();
    let mut count = 0;
    while lines.read_line(&mut line).unwrap() > 0 {
        if let Some(done) = line.strip_suffix('\n').and_then(parse) {
            told.insert(done.0, done.1);
            count += 1;
            if count == lines_before_the_kill + 1 {
                // Somewhere between two lines, inside a commit or beside it.
                std::thread::sleep(moment);
                child.kill().unwrap();
            }
        }
        line.clear();
    }
    let status = child.wait().unwrap();
    assert!(
        !status.success() && count > lines_before_the_kill,
        "it ended by itself: {status}"
    );
}

fn parse(line: &str) -> Option<((usize, u64), u64)> {
    // The harness prints beside it, so a line may begin with its words.
    let (_, line) = line.split_once("done ")?;
    let mut numbers = line.split(' ').map(|number| number.parse().unwrap());
    let (writer, n, seq): (u64, u64, u64) = (numbers.next()?, numbers.next()?, numbers.next()?);
    Some(((writer as usize, n), seq))
}

/// All entries of a log by dedupe key; panics at a hole.
fn read_log(store: &Store, log: &str) -> BTreeMap<u64, String> {
    let mut entries = BTreeMap::new();
    loop {
        let page = block_on(store.range(log, Range::from(entries.len() as u64 + 1, 1000))).unwrap();
        for entry in page.entries {
            assert_eq!(entry.seq, entries.len() as u64 + 1, "a hole in {log}");
            entries.insert(entry.seq, entry.dedupe.unwrap());
        }
        if !page.more {
            return entries;
        }
    }
}

fn check(store: &Store, told: &Told, random: &mut Random) {
    let logs: Vec<_> = (0..2).map(|log| read_log(store, &log_of(log))).collect();
    for ((writer, n), seq) in told {
        assert_eq!(
            logs[writer % 2].get(seq),
            Some(&key(*writer, *n)),
            "an acknowledged entry is gone"
        );
    }
    let mut batches = 0;
    for writer in 0..WRITERS {
        let last = counter(store, writer);
        let own = format!("{writer}-");
        let own: Vec<&String> = logs[writer % 2]
            .values()
            .filter(|key| key.starts_with(&own))
            .collect();
        let expected: Vec<String> = (1..=last).map(|n| key(writer, n)).collect();
        assert!(
            own.iter().copied().eq(&expected),
            "writer {writer} counted {last}: {own:?}"
        );
        let score = block_on(store.score("scores", &writer.to_string())).unwrap();
        assert_eq!(score.unwrap_or(0.0), last as f64);
        batches += last;
    }
    let recent = block_on(store.log_info("recent")).unwrap();
    assert_eq!(
        (recent.last_seq, recent.entries()),
        (batches, batches.min(RECENT))
    );
    // A retry of what was done is known.
    let done: Vec<_> = told.iter().collect();
    if let Some(((writer, n), seq)) = done.get(random.below(done.len() as u64 + 1) as usize) {
        let again = vec![Entry::new(0, "again").dedupe(&key(*writer, *n))];
        let appended = block_on(store.append(&log_of(*writer), again)).unwrap();
        assert_eq!(
            (appended.first_seq(), appended.any_duplicate()),
            (**seq, true)
        );
    }
}

#[test]
fn what_was_acknowledged_survives_a_kill_at_any_moment() {
    if let Ok(path) = std::env::var(FILE) {
        return victim(&path);
    }
    let seed = std::env::var("LAKH_SEED").map_or_else(
        |_| {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .as_nanos() as u64
        },
        |seed| seed.parse().unwrap(),
    );
    println!("LAKH_SEED={seed}");
    let mut random = Random(seed);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lakh.db");
    let mut told = Told::new();
    let options = SqliteOptions {
        verify_on_open: true,
        ..SqliteOptions::default()
    };
    for round in 0..ROUNDS {
        write_and_kill(&path, &mut random, &mut told);
        let store = Store::sqlite(&path, &options).unwrap();
        check(&store, &told, &mut random);
        println!(
            "round {round}: {} acknowledged in all, none lost",
            told.len()
        );
        block_on(store.close()).unwrap();
    }
}

/// After a loss of power the write-ahead log may end anywhere. Whatever is left of it, the store holds a beginning of what was
/// written, in whole batches.
#[test]
fn a_write_ahead_log_that_was_cut_off_anywhere_gives_whole_batches() {
    const BATCHES: u64 = 60;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lakh.db");
    let store = Store::sqlite(&path, &SqliteOptions::default()).unwrap();
    for n in 1..=BATCHES {
        block_on(store.write(batch(0, n))).unwrap();
    }
    let file = std::fs::read(&path).unwrap();
    let wal = std::fs::read(folder.path().join("lakh.db-wal")).unwrap();
    block_on(store.close()).unwrap();
    let mut random = Random(7);
    let mut found = Vec::new();
    let mut cuts: Vec<u64> = (0..25).map(|_| random.below(wal.len() as u64)).collect();
    cuts.push(wal.len() as u64);
    for cut in cuts {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lakh.db");
        std::fs::write(&path, &file).unwrap();
        std::fs::write(folder.path().join("lakh.db-wal"), &wal[..cut as usize]).unwrap();
        let store = Store::sqlite(&path, &SqliteOptions::default()).unwrap();
        check(&store, &Told::new(), &mut random);
        found.push((cut, counter(&store, 0)));
        block_on(store.close()).unwrap();
    }
    found.sort_unstable();
    assert!(found.is_sorted_by_key(|(_, batches)| *batches), "{found:?}");
    assert_eq!(found.last().map(|(_, batches)| *batches), Some(BATCHES));
    assert!(
        found.iter().any(|(_, batches)| *batches < BATCHES),
        "no cut took anything: {found:?}"
    );
}
