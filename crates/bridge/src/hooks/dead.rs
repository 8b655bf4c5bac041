//! Dead letters: events that nobody tries to send any more, until a person looks at them.

use lakh_hub::Hub;
use lakh_hub::store::{Batch, Condition, Entry, Op, ReadError, Scan, Store, WriteError};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use super::changes::Dead;
use super::write::Line;

/// Letters read, sent anew or thrown away at once.
const AT_ONCE: usize = 200;
/// How often they are counted, at most, where there seem to be too many: a person may have thrown some away.
const COUNT_EVERY_MS: u64 = 60_000;

/// An event that was given up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Names the letter.
    #[serde(default)]
    pub key: String,
    /// When it was given up, in milliseconds since 1970.
    pub time: u64,
    /// Requests with it that failed.
    pub attempts: u32,
    /// What was wrong with the last one.
    pub reason: String,
    /// The event as it was sent.
    pub event: Box<RawValue>,
}

/// A page of dead letters, oldest first.
#[derive(Clone, Debug, Serialize)]
pub struct DeadLetters {
    /// The letters.
    pub letters: Vec<DeadLetter>,
    /// The key to go on after; none if this was the last page.
    pub next: Option<String>,
}

/// Which letters.
#[derive(Clone, Debug)]
pub enum Which {
    /// All that are there.
    All,
    /// Those with these keys.
    Keys(Vec<String>),
}

/// Why dead letters can't be handled.
#[derive(Debug, Error)]
pub enum DeadError {
    /// There is no such endpoint.
    #[error("no hook endpoint has the name `{0}`")]
    NoEndpoint(String),
    /// The store can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store can't be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

fn collection(endpoint: &str) -> String {
    format!("hooks_dead:{endpoint}")
}

/// The letters of events that were given up. Their keys stand in the order of time.
pub(super) fn puts(endpoint: &str, dead: &[Dead], now_ms: u64) -> Vec<Op> {
    let all = dead.iter().filter_map(|dead| {
        let letter = DeadLetter {
            key: String::new(),
            time: now_ms,
            attempts: dead.attempts,
            reason: dead.reason.clone(),
            event: serde_json::from_slice(&dead.event.json).ok()?,
        };
        Some(Op::Put {
            collection: collection(endpoint),
            // An event has one place in its log, so a write that is done twice makes one letter.
            key: format!(
                "{:013}-{:012}-{}",
                dead.event.stored_ms, dead.event.at, dead.event.id
            ),
            value: serde_json::to_vec(&letter).ok()?.into(),
            condition: Condition::Any,
            expires_at_ms: None,
        })
    });
    all.collect()
}

/// How many there are, as far as the one knows who writes them.
#[derive(Debug, Default)]
pub(super) struct DeadCount {
    known: Option<usize>,
    counted_ms: u64,
}

impl DeadCount {
    /// What is to be deleted now that there are so many more.
    pub(super) async fn surplus(
        &mut self,
        hub: &Hub,
        store: &Store,
        line: &Line,
        new: usize,
        most: usize,
    ) -> Vec<Op> {
        let endpoint = &line.endpoint.name;
        let now = hub.clock_ms();
        let known = self.known.map_or(usize::MAX, |known| known + new);
        let mut count = known;
        if known > most && (self.known.is_none() || now >= self.counted_ms + COUNT_EVERY_MS) {
            match count_all(hub, store, endpoint, most + AT_ONCE).await {
                Ok(counted) => count = counted,
                // It's tried again with the next letter.
                Err(_) => return Vec::new(),
            }
            self.counted_ms = now;
        }
        let over = count.saturating_sub(most);
        self.known = Some(count - over);
        if over == 0 {
            return Vec::new();
        }
        let scan = Scan::default().limit(over.min(AT_ONCE));
        let page = store.scan(hub.wall_ms(), &collection(endpoint), scan).await;
        let oldest = page.map(|page| page.items).unwrap_or_default();
        self.known = Some(count - oldest.len());
        oldest
            .into_iter()
            .map(|(key, _)| delete(endpoint, key))
            .collect()
    }
}

fn delete(endpoint: &str, key: String) -> Op {
    Op::Delete {
        collection: collection(endpoint),
        key,
        condition: Condition::Any,
    }
}

/// Counts them, up to a bound.
pub(super) async fn count_all(
    hub: &Hub,
    store: &Store,
    endpoint: &str,
    most: usize,
) -> Result<usize, ReadError> {
    let mut scan = Scan::default().limit(1_000);
    let mut count = 0;
    loop {
        let page = store.scan(hub.wall_ms(), &collection(endpoint), scan.clone());
        let page = page.await?;
        count += page.items.len();
        if page.next.is_none() || count >= most {
            return Ok(count);
        }
        scan = scan.after(page.next);
    }
}

/// A page of them.
pub(super) async fn list(
    hub: &Hub,
    store: &Store,
    endpoint: &str,
    after: Option<String>,
    limit: usize,
) -> Result<DeadLetters, DeadError> {
    let scan = Scan::default().limit(limit.clamp(1, AT_ONCE)).after(after);
    let page = store
        .scan(hub.wall_ms(), &collection(endpoint), scan)
        .await?;
    let letters = page.items.into_iter().filter_map(|(key, document)| {
        let letter: DeadLetter = serde_json::from_slice(&document.value).ok()?;
        Some(DeadLetter { key, ..letter })
    });
    Ok(DeadLetters {
        letters: letters.collect(),
        next: page.next,
    })
}

/// Takes letters away, and sends their events anew if they are to be: each letter in one step. Tells how many.
pub(super) async fn take(
    hub: &Hub,
    store: &Store,
    line: &Line,
    which: Which,
    send: bool,
) -> Result<u64, DeadError> {
    let mut taken = 0;
    match which {
        Which::Keys(keys) => {
            for key in keys {
                taken += take_one(hub, store, line, &key, send).await?;
            }
        }
        Which::All => {
            let mut after = None;
            loop {
                let page = list(hub, store, &line.endpoint.name, after, AT_ONCE).await?;
                for letter in page.letters {
                    taken += take_one(hub, store, line, &letter.key, send).await?;
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
    }
    line.arrived.notify_one();
    Ok(taken)
}

async fn take_one(
    hub: &Hub,
    store: &Store,
    line: &Line,
    key: &str,
    send: bool,
) -> Result<u64, DeadError> {
    let (now, collection) = (hub.wall_ms(), collection(&line.endpoint.name));
    let Some(found) = store.get(now, &collection, key).await? else {
        return Ok(0);
    };
    // Of two people who do this at the same time one does it.
    let mut batch = Batch::new(now).delete(&collection, key, Condition::Version(found.version));
    if send && let Ok(letter) = serde_json::from_slice::<DeadLetter>(&found.value) {
        // Without a dedupe key: its first entry may still be in the log.
        let event = Entry::new(now, letter.event.get().to_owned());
        batch = batch.append(&line.log(), vec![event]);
    }
    match store.write(batch).await {
        Ok(_) => Ok(1),
        Err(WriteError::Conflict { .. }) => Ok(0),
        Err(error) => Err(error.into()),
    }
}
