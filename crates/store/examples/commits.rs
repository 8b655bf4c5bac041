//! How many durable appends a second the SQLite file takes, from 1, 16 and 256 writers that each wait for their own commit.
//!
//! `cargo run --release -p lakh-store --example commits [FOLDER]`: measure on the disk that you mean to use.

use std::time::{Duration, Instant};

use lakh_store::{Batch, Condition, Entry, SqliteOptions, Store, Synchronous};

const SECONDS: Duration = Duration::from_secs(3);
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

async fn measure(
    store: &Store,
    writers: usize,
    batch: fn(usize, u64) -> Batch,
) -> Result<f64, lakh_store::WriteError> {
    let start = Instant::now();
    let mut tasks = Vec::new();
    for writer in 0..writers {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            let mut done = 0;
            while start.elapsed() < SECONDS {
                store
                    .write(batch(writer, start.elapsed().as_nanos() as u64))
                    .await?;
                done += 1;
            }
            Ok(done)
        }));
    }
    let mut done = 0;
    for task in tasks {
        done += task.await.unwrap_or(Ok(0))?;
    }
    Ok(f64::from(done) / start.elapsed().as_secs_f64())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args()
        .nth(1)
        .map_or_else(std::env::temp_dir, Into::into);
    for (name, batch) in [
        ("appends", append as fn(usize, u64) -> Batch),
        ("chat messages", message),
    ] {
        for synchronous in [Synchronous::Full, Synchronous::Normal] {
            for writers in [1, 16, 256] {
                let folder = tempfile::tempdir_in(&folder)?;
                let options = SqliteOptions {
                    synchronous,
                    ..SqliteOptions::default()
                };
                let store = Store::sqlite(folder.path().join("lakh.db"), &options)?;
                let rate = measure(&store, writers, batch).await?;
                let stats = store.stats();
                let group = stats.batches as f64 / stats.commits as f64;
                println!(
                    "{name:14} {synchronous:?} {writers:4} writers {rate:9.0} a second, {group:6.1} a commit"
                );
                store.close().await?;
            }
        }
    }
    Ok(())
}
