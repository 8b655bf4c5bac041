//! A run from beginning to end: everything up, load, faults, quiet, compare.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::breaker::{Diary, network, processes, revive};
use crate::compare::{Kind, Violation, compare};
use crate::crew::Crew;
use crate::options::{Balance, Options};
use crate::plan::{ClientPlan, Command, Plan, Standing, clients};
use crate::records::Records;
use crate::report::{Report, told};
use crate::schedule::{Size, lanes};
use crate::site::Site;

/// How many violations of a kind are explained on the screen; the rest stands in the folder.
const SHOWN: usize = 5;

type Failure = Box<dyn std::error::Error>;

/// What a run was.
struct Lived {
    clients: Vec<ClientPlan>,
    diary: Rc<Diary>,
    load: (u64, u64),
    records: Vec<PathBuf>,
    /// What was not as it should be besides the messages.
    wrong: Vec<Violation>,
}

/// Runs, and tells what came out. True if nothing is wrong.
///
/// # Errors
/// What kept it from running.
pub async fn run(options: &Options, program: &Path) -> Result<bool, Failure> {
    let seed = options.seed.unwrap_or_else(some_seed);
    lakh_testkit::raise_descriptor_limit()?;
    let folder = folder(options, seed)?;
    say(&format!(
        "seed {seed}: {} s of faults, {} clients in {} rooms, {} messages a second, {} node(s); records in {}\n",
        options.seconds,
        options.clients,
        options.rooms,
        options.rate,
        options.nodes,
        folder.display()
    ));
    if options.clients < options.rooms || options.rooms == 0 || options.nodes == 0 {
        return Err("each room needs a client, and there must be rooms and nodes".into());
    }
    let lived = match &options.judge {
        Some(earlier) => again(options, earlier)?,
        None => live(options, program, seed, &folder).await?,
    };
    let fine = judge(options, seed, &folder, &lived)?;
    if fine && options.keep.is_none() {
        fs::remove_dir_all(&folder)?;
    }
    if !fine {
        say(&format!(
            "records, logs and schedule are kept in {}\n",
            folder.display()
        ));
    }
    Ok(fine)
}

fn some_seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    // Short, because people type it.
    since.map_or(1, |since| u64::from(since.subsec_nanos()) / 10 + 1)
}

fn folder(options: &Options, seed: u64) -> io::Result<PathBuf> {
    if let Some(folder) = &options.keep {
        fs::create_dir_all(folder)?;
        return fs::canonicalize(folder);
    }
    let new = tempfile::Builder::new()
        .prefix(&format!("lakh-chaos-{seed}-"))
        .tempdir()?;
    Ok(new.keep())
}

async fn live(
    options: &Options,
    program: &Path,
    seed: u64,
    folder: &Path,
) -> Result<Lived, Failure> {
    let silence = Duration::from_millis(options.ping_interval_ms + options.ping_timeout_ms);
    let size = Size {
        clients: options.clients,
        nodes: options.nodes,
        silence,
        total: Duration::from_secs(options.seconds),
    };
    let [near, far] = lanes(seed, &options.kinds()?, &size);
    write_schedule(folder, &near, &far)?;

    let mut site = Site::start(options, folder).await?;
    let clients = clients(options.clients, options.rooms);
    let start = Instant::now();
    let diary = Rc::new(Diary::new(start));
    let writers = clients.iter().map(|one| one.writes.len()).sum::<usize>() as u64;
    let plan = Plan {
        epoch_us: u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros())?,
        records: PathBuf::new(),
        seed,
        ports: site.ports(),
        clients: Vec::new(),
        every_ms: (writers * 1_000 / u64::from(options.rate.max(1))).max(2),
    };
    let parts = parts(options, &clients);
    let mut crew = Crew::start(program, folder, parts, &plan).await?;
    let joins: usize = clients.iter().map(|one| one.rooms.len()).sum();
    let all_in = |all: &Standing| all.connected == clients.len() && all.joined == joins;
    if !crew.until(options.patience(), all_in).await {
        return Err(not_in(&crew, clients.len(), joins).into());
    }

    crew.tell(&Command::Write).await?;
    let from = diary.now();
    let until = Instant::now() + size.total;
    let near = network(near, site.clients.clone(), until, Rc::clone(&diary));
    let (_, far) = tokio::join!(near, processes(far, &mut site, until, &diary));
    far?;
    tokio::time::sleep_until(until.into()).await;
    let enough = |all: &Standing| all.acked >= options.messages;
    if !crew.until(options.patience(), enough).await {
        say(&format!(
            "{} messages were acknowledged\n",
            crew.standing().acked
        ));
    }

    let mut wrong = Vec::new();
    crew.tell(&Command::Hush).await?;
    let load = (from, diary.now());
    if !crew.until(options.patience(), all_in).await {
        say(&format!("{}\n", not_in(&crew, clients.len(), joins)));
    }
    crew.until(options.patience(), |all| all.pending == 0).await;
    // The second round is behind whatever came late with the first.
    for round in [1, 2] {
        crew.mark(options.rooms, round).await?;
        let seen = |all: &Standing| all.marks.get(&u64::from(round)) >= Some(&joins);
        if !crew.until(options.patience(), seen).await {
            let marks = crew.standing().marks;
            say(&format!(
                "marker {round} was seen {} of {joins} times\n",
                marks.get(&u64::from(round)).unwrap_or(&0)
            ));
            break;
        }
    }
    revive(&mut site, &diary).await?;
    let records = crew.end().await?;
    wrong.extend(crashes(&diary, folder)?);
    Ok(Lived {
        clients,
        diary,
        load,
        records,
        wrong,
    })
}

/// Tells on the screen. Who stops reading does not stop the run.
fn say(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

/// A run that lies in a folder. What was broken in it stands there for people alone.
fn again(options: &Options, folder: &Path) -> io::Result<Lived> {
    let mut records = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("records-") && name.ends_with(".txt") {
            records.push(path);
        }
    }
    Ok(Lived {
        clients: clients(options.clients, options.rooms),
        diary: Rc::new(Diary::new(Instant::now())),
        load: (0, u64::MAX),
        records,
        wrong: Vec::new(),
    })
}

fn not_in(crew: &Crew, clients: usize, joins: usize) -> String {
    let Standing {
        connected, joined, ..
    } = crew.standing();
    format!(
        "{connected} of {clients} clients are connected, {joined} of {joins} joins were granted"
    )
}

fn write_schedule(
    folder: &Path,
    near: &[crate::schedule::Step],
    far: &[crate::schedule::Step],
) -> io::Result<()> {
    let mut text = String::new();
    for (lane, steps) in [("network", near), ("processes", far)] {
        for (pause, fault) in steps {
            text += &format!("{lane}: after {} ms: {fault}\n", pause.as_millis());
        }
    }
    fs::write(folder.join("schedule.txt"), text)
}

/// Some clients for the worker in Rust, which speaks WebSocket alone; the others for those in JavaScript in turn.
fn parts(options: &Options, clients: &[ClientPlan]) -> Vec<Vec<ClientPlan>> {
    let workers = options.workers.max(1);
    let mut parts = vec![Vec::new(); workers + 1];
    let mut rust = options.clients * options.rust_share / 100;
    for client in clients {
        let part = if rust > 0 && client.transport() == "websocket" {
            rust -= 1;
            0
        } else {
            1 + client.client % workers
        };
        parts[part].push(client.clone());
    }
    parts
}

/// Processes that ended by themselves, and panics in the logs.
fn crashes(diary: &Diary, folder: &Path) -> io::Result<Vec<Violation>> {
    let crash = |time, words| Violation {
        kind: Kind::Crash,
        client: None,
        count: 1,
        time: (time, time),
        words,
    };
    let (_, crashed) = diary.read();
    let ended = crashed.into_iter();
    let mut wrong: Vec<_> = ended
        .map(|(time, name)| crash(time, format!("{name} ended by itself")))
        .collect();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            let text = fs::read(&path)?;
            let text = String::from_utf8_lossy(&text);
            let lines = text.lines().filter(|line| line.contains("panicked at"));
            wrong.extend(lines.map(|line| crash(0, format!("{}: {line}", path.display()))));
        }
    }
    Ok(wrong)
}

fn judge(options: &Options, seed: u64, folder: &Path, lived: &Lived) -> Result<bool, Failure> {
    let mut records = Records::default();
    for path in &lived.records {
        let read = records.read(&fs::read_to_string(path)?);
        read.map_err(|error| format!("{}: {error}", path.display()))?;
    }
    records.clients.resize_with(lived.clients.len(), Vec::new);
    let mut violations = lived.wrong.clone();
    violations.extend(compare(&records));
    let (broke, _) = lived.diary.read();
    let faults: String = broke.iter().map(|one| told(one) + "\n").collect();
    fs::write(folder.join("faults.txt"), faults)?;
    let report = Report {
        records: &records,
        broke: &broke,
        clients: &lived.clients,
        violations: &violations,
        sticky: options.balance == Balance::Session,
        load: lived.load,
        silence: (options.ping_interval_ms + options.ping_timeout_ms + 1_000) * 1_000,
    };
    let mut text = report.figures();
    text += &format!("faults       {}\n", broke.len());
    text += &report.verdict();
    let explained = violations.iter().map(|violation| report.explain(violation));
    let explained: Vec<String> = explained.collect();
    fs::write(folder.join("violations.txt"), explained.concat())?;
    fs::write(folder.join("returns.txt"), report.table_of_returns())?;
    fs::write(folder.join("report.txt"), format!("seed {seed}\n{text}"))?;
    say(&text);
    let mut shown: HashMap<Kind, usize> = HashMap::new();
    for (violation, words) in violations.iter().zip(&explained) {
        let shown = shown.entry(violation.kind).or_default();
        *shown += 1;
        if *shown <= SHOWN {
            say(words);
        }
    }
    if records
        .messages
        .values()
        .all(|message| message.acked.is_none())
    {
        return Err("no message was acknowledged: nothing was tried".into());
    }
    Ok(violations.is_empty())
}
