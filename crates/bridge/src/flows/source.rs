//! A source at work: entries out of a broker, into rooms.
//!
//! One node of a cluster reads a source at a time. What always holds: entries are published in the order in which the broker
//! gave them, each at least once; and what ends the work where, and what that means:
//!
//! | the node dies | then |
//! |---|---|
//! | before an entry is published | the broker gives it again; it is published |
//! | after that, before the store has noted it | the broker gives it again; the publisher knows it, if it keeps events at all |
//! | after that, before the broker has the acknowledgement | the broker gives it again; the note says that it is done |
//!
//! An entry that can't be published (no JSON, a room that doesn't exist) goes where the dead lie, or is counted, and then
//! counts as done: nothing waits behind it.

use std::collections::HashSet;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use lakh_hub::Bytes;
use lakh_hub::store::{Answer, Batch, Condition, Query};
use sha2::{Digest as _, Sha256};
use tokio::time::{interval, sleep};

use super::drivers::{Positions, Pulled, Reader};
use super::publish::{Event, Publish, PublishError};
use super::settings::SourceSettings;
use super::stats::{Counts, State};
use super::trouble::Backoff;
use super::work::{Ended, Job};
use crate::lease::{Held, LeaseError, Leases};

/// Where it stands how far sources were read.
pub(super) const POSITIONS: &str = "bridge_positions";
/// What an entry is taken to weigh before any was seen.
const FIRST_GUESS_BYTES: usize = 16 << 10;
/// How often the broker is asked how many wait.
const LAG_EVERY: Duration = Duration::from_secs(5);

/// What becomes of an entry.
enum Fate {
    /// It is done already.
    Duplicate,
    /// It can't be published, and why.
    Dead(String),
    /// It is to be published.
    Ready(Event),
    /// It was published.
    Published,
}

/// A source.
pub(super) struct Source {
    pub(super) settings: SourceSettings,
    pub(super) leases: Leases,
    pub(super) node: Arc<str>,
    pub(super) publish: Arc<dyn Publish>,
    pub(super) counts: Arc<Counts>,
}

impl Job for Source {
    const KIND: &'static str = "source";
    type Open = Reader;

    fn name(&self) -> &str {
        &self.settings.name
    }

    fn leases(&self) -> &Leases {
        &self.leases
    }

    fn counts(&self) -> &Counts {
        &self.counts
    }

    async fn session(
        &self,
        held: &mut Held,
        open: &mut Option<Reader>,
        backoff: &mut Backoff,
    ) -> Result<Infallible, Ended> {
        let mut positions = self.positions().await?;
        let reader = open.insert(Reader::open(&self.settings, &self.node, &positions).await?);
        self.tell(State::Up);
        let mut mean = FIRST_GUESS_BYTES;
        let mut ask_lag = interval(LAG_EVERY);
        loop {
            let most = self.settings.window_entries.max(1);
            let count = (self.settings.window_bytes / mean.max(1)).clamp(1, most);
            let pulled = reader.pull(count).await?;
            if !pulled.is_empty() {
                let bytes: usize = pulled.iter().map(|one| one.entry.bytes()).sum();
                mean = (3 * mean + bytes / pulled.len()) / 4;
                self.handle(held, reader, &mut positions, &pulled).await?;
            }
            backoff.reset();
            if ask_lag.tick().now_or_never().is_some()
                && let Some(lag) = reader.lag().await
            {
                self.counts.lag.store(lag, Ordering::Relaxed);
            }
        }
    }

    async fn close(reader: Reader) {
        reader.close().await;
    }
}

impl Source {
    fn tell(&self, state: State) {
        self.counts.tell("source", &self.settings.name, state);
    }

    async fn positions(&self) -> Result<Positions, Ended> {
        let (store, now_ms) = (self.leases.store(), self.leases.now_ms());
        let found = store.get(now_ms, POSITIONS, &self.settings.name).await?;
        let positions = found.map(|found| serde_json::from_slice(&found.value));
        let positions = positions.transpose();
        // Nothing but this writes there.
        Ok(positions.ok().flatten().unwrap_or_default())
    }

    /// Publishes what came, notes that, and tells the broker, in this order.
    async fn handle(
        &self,
        held: &mut Held,
        reader: &mut Reader,
        positions: &mut Positions,
        pulled: &[Pulled],
    ) -> Result<(), Ended> {
        Counts::add(&self.counts.received, pulled.len());
        let keys: Vec<_> = pulled.iter().map(|one| self.key(one)).collect();
        let mut fates = self.fates(pulled, &keys, positions).await?;
        self.publish_all(held, &mut fates).await?;
        for (one, fate) in pulled.iter().zip(&fates) {
            match fate {
                Fate::Dead(why) => self.bury(reader, one, why).await?,
                Fate::Duplicate => Counts::add(&self.counts.duplicates, 1),
                Fate::Published | Fate::Ready(_) => {}
            }
        }
        let mut batch = Batch::new(self.leases.now_ms());
        let until = self
            .leases
            .now_ms()
            .saturating_add(millis(self.settings.dedupe));
        for (key, fate) in keys.iter().zip(&fates) {
            if let (Some(key), Fate::Published | Fate::Dead(_)) = (key, fate) {
                batch = batch.put(&self.seen(), key, Bytes::new(), Condition::Any, Some(until));
            }
        }
        let mut moved = false;
        for (partition, number) in pulled.iter().filter_map(|one| one.place) {
            let done = positions.entry(partition).or_insert(number);
            moved |= *done <= number;
            *done = number.max(*done);
        }
        if moved {
            let json = serde_json::to_vec(positions).unwrap_or_default();
            batch = batch.put(POSITIONS, &self.settings.name, json, Condition::Any, None);
        }
        if !batch.ops().is_empty() {
            held.write(batch).await?;
        }
        Ok(reader.acknowledge(pulled).await?)
    }

    fn seen(&self) -> String {
        format!("bridge_seen:{}", self.settings.name)
    }

    /// Under what an entry is noted. `None`: nothing tells it from others.
    fn key(&self, pulled: &Pulled) -> Option<String> {
        let id = self.settings.mapping.id(&pulled.entry);
        if id.is_empty() {
            return None;
        }
        let mut key = String::with_capacity(32);
        for byte in &Sha256::digest(id.as_bytes())[..16] {
            // Writing to a text can't fail.
            let _ = write!(key, "{byte:02x}");
        }
        Some(key)
    }

    async fn fates(
        &self,
        pulled: &[Pulled],
        keys: &[Option<String>],
        positions: &Positions,
    ) -> Result<Vec<Fate>, Ended> {
        let collection = self.seen();
        let asked: Vec<_> = keys.iter().flatten().collect();
        let queries = asked.iter().map(|key| Query::Get {
            collection: collection.clone(),
            key: (*key).clone(),
        });
        let queries: Vec<_> = queries.collect();
        let answers = match queries.is_empty() {
            true => Vec::new(),
            false => {
                self.leases
                    .store()
                    .read(self.leases.now_ms(), queries)
                    .await?
            }
        };
        let known = asked.iter().zip(answers);
        let mut seen: HashSet<&str> = known
            .filter(|(_, answer)| matches!(answer, Answer::Document(Some(_))))
            .map(|(key, _)| key.as_str())
            .collect();
        let mut fates = Vec::with_capacity(pulled.len());
        for (one, key) in pulled.iter().zip(keys) {
            let passed = one.place.is_some_and(|(partition, number)| {
                positions
                    .get(&partition)
                    .is_some_and(|done| number <= *done)
            });
            let again = key.as_ref().is_some_and(|key| !seen.insert(key));
            fates.push(match passed || again {
                true => Fate::Duplicate,
                false => self.fate(one, key.as_deref()),
            });
        }
        Ok(fates)
    }

    fn fate(&self, pulled: &Pulled, key: Option<&str>) -> Fate {
        match self.settings.mapping.event(&pulled.entry) {
            Ok(mut event) => {
                event.source = self.settings.name.as_str().into();
                event.dedupe = self.settings.dedupe;
                if let Some(key) = key {
                    event.id = format!("{}:{key}", self.settings.name);
                }
                Fate::Ready(event)
            }
            Err(unfit) => Fate::Dead(unfit.to_string()),
        }
    }

    /// Publishes in order. Where it can't go on, it waits and goes on there: nothing overtakes.
    async fn publish_all(&self, held: &Held, fates: &mut [Fate]) -> Result<(), Ended> {
        let mut backoff = Backoff::default();
        loop {
            let Some(why) = self.publish_some(held, fates).await? else {
                self.tell(State::Up);
                return Ok(());
            };
            self.tell(State::Down(format!("events can't be published now: {why}")));
            sleep(backoff.next()).await;
        }
    }

    /// Publishes until one can't be; then says why.
    async fn publish_some(&self, held: &Held, fates: &mut [Fate]) -> Result<Option<String>, Ended> {
        if let Some(why) = self.look_back(fates).await {
            return Ok(Some(why));
        }
        let mut under_way = Vec::new();
        let mut stopped = None;
        for (index, fate) in fates.iter_mut().enumerate() {
            let Fate::Ready(event) = fate else { continue };
            if !held.is_held() {
                return Err(LeaseError::Lost.into());
            }
            match self.publish.publish(event.clone()) {
                Ok(publishing) => under_way.push((index, publishing)),
                Err(PublishError::Refused(why)) => *fate = Fate::Dead(why),
                Err(PublishError::Unavailable(why)) => {
                    stopped = Some(why);
                    break;
                }
            }
        }
        for (index, publishing) in under_way {
            let done = publishing.await;
            if stopped.is_some() && matches!(done, Err(PublishError::Unavailable(_))) {
                continue;
            }
            match done {
                Ok(_) => {
                    Counts::add(&self.counts.published, 1);
                    fates[index] = Fate::Published;
                }
                Err(PublishError::Refused(why)) => fates[index] = Fate::Dead(why),
                Err(PublishError::Unavailable(why)) => stopped = Some(why),
            }
        }
        Ok(stopped)
    }

    /// Finds what an earlier process published and did not note any more. Says why, if that can't be found out.
    async fn look_back(&self, fates: &mut [Fate]) -> Option<String> {
        let events = fates
            .iter()
            .enumerate()
            .filter_map(|(index, fate)| match fate {
                Fate::Ready(event) => Some((index, self.publish.known(event))),
                _ => None,
            });
        let (indexes, asked): (Vec<_>, Vec<_>) = events.unzip();
        let answers = join_all(asked).await;
        for (index, known) in indexes.into_iter().zip(answers) {
            match known {
                Ok(false) => {}
                Ok(true) => {
                    Counts::add(&self.counts.duplicates, 1);
                    fates[index] = Fate::Published;
                }
                Err(PublishError::Refused(why)) => fates[index] = Fate::Dead(why),
                Err(PublishError::Unavailable(why)) => return Some(why),
            }
        }
        None
    }

    async fn bury(&self, reader: &mut Reader, pulled: &Pulled, why: &str) -> Result<(), Ended> {
        let (name, id) = (&self.settings.name, &pulled.entry.id);
        match &self.settings.dead_letter {
            Some(to) => reader.bury(to, &pulled.entry, why).await?,
            None => tracing::warn!(name, id, why, "an entry of a source was skipped"),
        }
        Counts::add(&self.counts.dead, 1);
        Ok(())
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
