//! How many durable appends, chat messages and reads a second a store takes, from 1, 16 and 256 callers that each wait for
//! their own: the SQLite file, and a Redis server if one is given. The backends take turns, so that all meet the same machine.
//!
//! `cargo run --release -p lakh-store --example commits [FOLDER [REDIS_URL…]]`: measure on the disk that you mean to use, and with
//! servers that hold nothing else (their keys begin with `commits:` and stay).

use std::time::{Duration, Instant};

use lakh_store::{Batch, Condition, Entry, Range, RedisOptions, SqliteOptions, Store, Synchronous};

const SECONDS: Duration = Duration::from_secs(2);
const MESSAGE_BYTES: usize = 200;

/// What a chat does for a message: append it once, and update the room's document.
fn message(writer: usize, n: u64) -> Batch {
    let entry = Entry::new(n, vec![b'x'; MESSAGE_BYTES]).dedupe(&format!("{writer}:{n}"));
    Batch::new(n)
        .append(&format!("room{}", writer % 20), vec![entry])
        .put(
            "rooms",
            &format!("room{}", writer % 20),
            n.to_string(),
            Condition::Any,
            None,
        )
        .unless_duplicate()
}

fn append(writer: usize, n: u64) -> Batch {
    let entry = Entry::new(n, vec![b'x'; MESSAGE_BYTES]);
    Batch::new(n).append(&format!("room{}", writer % 20), vec![entry])
}

#[derive(Clone, Copy)]
enum Work {
    Write(fn(usize, u64) -> Batch),
    /// The newest 50 entries of a room.
    Read,
}

async fn once(
    store: &Store,
    work: Work,
    caller: usize,
    n: u64,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    match work {
        Work::Write(batch) => drop(store.write(batch(caller, n)).await?),
        Work::Read => {
            let newest = Range::before(u64::MAX, 50);
            drop(store.range(&format!("room{}", caller % 20), newest).await?);
        }
    }
    Ok(())
}

async fn measure(
    store: &Store,
    callers: usize,
    work: Work,
) -> Result<f64, Box<dyn std::error::Error + Send + Sync>> {
    let start = Instant::now();
    let mut tasks = Vec::new();
    for caller in 0..callers {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            let mut done = 0;
            while start.elapsed() < SECONDS {
                once(&store, work, caller, start.elapsed().as_nanos() as u64).await?;
                done += 1;
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(done)
        }));
    }
    let mut done = 0;
    for task in tasks {
        done += task.await??;
    }
    Ok(f64::from(done) / start.elapsed().as_secs_f64())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or_else(std::env::temp_dir, Into::into);
    let folder = tempfile::tempdir_in(&folder)?;
    let mut stores = Vec::new();
    for synchronous in [Synchronous::Full, Synchronous::Normal] {
        let options = SqliteOptions {
            synchronous,
            ..SqliteOptions::default()
        };
        let name = format!("SQLite {synchronous:?}");
        let store = Store::sqlite(folder.path().join(&name), &options)?;
        stores.push((name, store));
    }
    for url in arguments {
        let options = RedisOptions {
            prefix: "commits:".to_owned(),
            ..RedisOptions::default()
        };
        let store = Store::redis(&url, &options)?;
        stores.push((url, store));
    }
    for (name, work) in [
        ("appends", Work::Write(append)),
        ("chat messages", Work::Write(message)),
        ("reads of 50", Work::Read),
    ] {
        for callers in [1, 16, 256] {
            for (place, store) in &stores {
                let before = store.stats();
                let rate = measure(store, callers, work).await?;
                let after = store.stats();
                let commits = (after.commits - before.commits).max(1);
                let group = (after.batches - before.batches) as f64 / commits as f64;
                println!(
                    "{name:14} {callers:4} callers {place:24} {rate:9.0} a second, {group:6.1} a commit"
                );
            }
        }
    }
    for (_, store) in stores {
        store.close().await?;
    }
    Ok(())
}
