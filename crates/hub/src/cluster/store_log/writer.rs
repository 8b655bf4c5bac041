//! The one task that writes the log: all that waits in one commit, and then back to the hub.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lakh_broker::cluster::streams::StreamId;
use lakh_broker::redis::{Event, Received};
use lakh_store::{Answer, Applied, Batch, Condition, Entry, Query, ReadError, WriteError, Writing};
use rustc_hash::FxHashMap;

use super::{COUNTERS, LOG, MAX_COUNTERS, Noted, ONCE, Queued, StoreLog, entry};
use crate::hub::Hub;

/// Entries of one commit.
const BATCH: usize = 1024;
/// Bytes of them, about.
const BATCH_BYTES: usize = 8 << 20;
/// Wait between attempts while the store takes nothing.
const AGAIN: Duration = Duration::from_millis(100);
/// How long a counter is kept after its last entry, as in Redis.
const COUNTER_MS: u64 = 24 * 60 * 60 * 1_000;

pub(in crate::cluster) struct Writer {
    log: Arc<StoreLog>,
    /// What is being committed.
    under_way: Option<Group>,
}

/// Broadcasts that are committed together.
struct Group {
    items: Vec<(Queued, Option<u64>)>,
    /// Counters and their numbers after this.
    counted: Vec<(String, u64)>,
    /// `None`: there is nothing to write.
    write: Option<(Batch, Writing)>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.log.queue.lock().closed = true;
        self.log.ended.send_replace(true);
    }
}

impl Writer {
    pub(super) fn new(log: Arc<StoreLog>) -> Self {
        let under_way = None;
        Self { log, under_way }
    }

    /// What was committed since. Empty when the log is closed and all is written.
    pub(in crate::cluster) async fn recv_many(&mut self, hub: &Hub) -> Vec<Event> {
        loop {
            if let Some(group) = self.under_way.take() {
                let Some(events) = self.finish(hub, group).await else {
                    return Vec::new();
                };
                // The next ones are committed while these are delivered.
                self.under_way = self.begin(hub).await;
                return events;
            }
            if !self.wait().await {
                return Vec::new();
            }
            self.under_way = self.begin(hub).await;
        }
    }

    /// Waits until there is something to write. False when the log is closed.
    async fn wait(&self) -> bool {
        loop {
            {
                let queue = self.log.queue.lock();
                if !queue.items.is_empty() {
                    return true;
                }
                if queue.closed {
                    return false;
                }
            }
            self.log.filled.notified().await;
        }
    }

    fn take(&self) -> Vec<Queued> {
        let mut taken = Vec::new();
        let mut bytes = 0;
        let mut queue = self.log.queue.lock();
        while taken.len() < BATCH && bytes < BATCH_BYTES {
            let Some(item) = queue.items.pop_front() else {
                break;
            };
            bytes += item.bytes;
            taken.push(item);
        }
        queue.bytes -= bytes;
        taken
    }

    /// Submits what waits.
    async fn begin(&self, hub: &Hub) -> Option<Group> {
        let items = self.take();
        let first = items.first()?.ticket;
        let now_ms = hub.wall_ms();
        let mut counted: Vec<(String, u64)> = Vec::new();
        let mut entries: Vec<Entry> = Vec::new();
        let mut numbered = Vec::with_capacity(items.len());
        let mut known = self.known(hub, &items).await;
        let mut notes = Vec::new();
        for mut item in items {
            let before = item.once.as_ref().and_then(|once| known.get(&once.key));
            if let Some(number) = before.copied() {
                item.repeats = true;
                numbered.push((item, Some(number)));
                continue;
            }
            let number = match item.counter.take() {
                Some((key, floor)) => Some(self.number(hub, &mut counted, key, floor).await),
                None => None,
            };
            if let (Some(once), Some(number)) = (item.once.take(), number) {
                known.insert(once.key.clone(), number);
                notes.push((once, number));
            }
            if let Some(mut bytes) = item.entry.take() {
                entry::set_number(&mut bytes, number.unwrap_or_default());
                entries.push(Entry::new(now_ms, bytes));
            }
            numbered.push((item, number));
        }
        // By this, a commit that broke off in the middle is found out when it is tried again.
        let name = format!("{:x}.{first:x}", self.log.lives.lock().origin());
        if let Some(entry) = entries.first_mut() {
            entry.dedupe = Some(name);
        }
        let write = (!entries.is_empty()).then(|| {
            let mut batch = Batch::new(now_ms).append(LOG, entries).unless_duplicate();
            for (key, number) in &counted {
                let until = Some(now_ms.saturating_add(COUNTER_MS));
                batch = batch.put(COUNTERS, key, number.to_string(), Condition::Any, until);
            }
            for (Noted { key, keep_ms }, number) in notes {
                let until = Some(now_ms.saturating_add(keep_ms));
                batch = batch.put(ONCE, &key, number.to_string(), Condition::Any, until);
            }
            let writing = self.log.store.write(batch.clone());
            (batch, writing)
        });
        Some(Group {
            items: numbered,
            counted,
            write,
        })
    }

    /// The numbers of entries that are to be written once and were written before, by the keys of their notes.
    async fn known(&self, hub: &Hub, items: &[Queued]) -> FxHashMap<String, u64> {
        let notes = items.iter().filter_map(|item| item.once.as_ref());
        let keys: Vec<_> = notes.map(|once| once.key.clone()).collect();
        if keys.is_empty() {
            return FxHashMap::default();
        }
        let queries = keys.iter().map(|key| Query::Get {
            collection: ONCE.to_owned(),
            key: key.clone(),
        });
        let queries: Vec<_> = queries.collect();
        let answers = loop {
            match self.log.store.read(hub.wall_ms(), queries.clone()).await {
                Ok(answers) => break answers,
                // The write that follows finds it closed, too, and ends all of this.
                Err(ReadError::Closed) => break Vec::new(),
                Err(error) => {
                    self.log.tell(hub.clock_ms(), Some(error.to_string()));
                    tokio::time::sleep(AGAIN).await;
                }
            }
        };
        let found = keys.into_iter().zip(answers);
        let known = found.filter_map(|(key, answer)| match answer {
            Answer::Document(found) => Some((key, found?.number()?)),
            _ => None,
        });
        known.collect()
    }

    /// The next number of a counter.
    async fn number(
        &self,
        hub: &Hub,
        counted: &mut Vec<(String, u64)>,
        key: String,
        floor: u64,
    ) -> u64 {
        if let Some((_, last)) = counted.iter_mut().find(|(known, _)| *known == key) {
            *last = (*last).max(floor) + 1;
            return *last;
        }
        let last = loop {
            match self.log.last_number(hub.wall_ms(), &key).await {
                Ok(last) => break last,
                // The write that follows finds it closed, too, and ends all of this.
                Err(ReadError::Closed) => break 0,
                Err(error) => {
                    self.log.tell(hub.clock_ms(), Some(error.to_string()));
                    tokio::time::sleep(AGAIN).await;
                }
            }
        };
        let number = last.max(floor) + 1;
        counted.push((key, number));
        number
    }

    /// Waits for the commit, and says what it makes of those who wait. `None`: the store is closed.
    async fn finish(&self, hub: &Hub, group: Group) -> Option<Vec<Event>> {
        let before = match group.write {
            Some((batch, writing)) => {
                let first = self.committed(hub, &batch, writing).await?;
                self.remember(group.counted);
                first - 1
            }
            None => 0,
        };
        let mut lives = self.log.lives.lock();
        let mut written = 0;
        let mut events = Vec::with_capacity(2 * group.items.len());
        for (item, number) in group.items {
            if item.logged && !item.repeats {
                written += 1;
                lives.reach(before + written);
            }
            let offset = lives.newest();
            if !item.repeats {
                events.push(received(item.nsp, item.message, offset, number));
            }
            events.push(Event::Appended {
                ticket: item.ticket,
                offset,
                number,
            });
        }
        self.log.written.fetch_add(written, Ordering::Relaxed);
        Some(events)
    }

    /// Waits until a group is in the store, however long that takes, and gives the number of its first entry.
    async fn committed(&self, hub: &Hub, batch: &Batch, mut writing: Writing) -> Option<u64> {
        loop {
            match writing.await.as_deref() {
                Ok([Applied::Appended(appended), ..]) => {
                    self.log.tell(hub.clock_ms(), None);
                    return Some(appended.first_seq());
                }
                Err(WriteError::Closed) => {
                    tracing::warn!(
                        "the store was closed before the log: its last entries are lost"
                    );
                    return None;
                }
                Ok(_) => return None,
                Err(error) => self.log.tell(hub.clock_ms(), Some(error.to_string())),
            }
            tokio::time::sleep(AGAIN).await;
            writing = self.log.store.write(batch.clone());
        }
    }

    fn remember(&self, counted: Vec<(String, u64)>) {
        let mut counters = self.log.counters.lock();
        if counters.len() + counted.len() > MAX_COUNTERS {
            // The store knows them.
            counters.clear();
        }
        counters.extend(counted);
    }
}

fn received(
    nsp: Arc<str>,
    message: lakh_broker::cluster::Message,
    offset: StreamId,
    number: Option<u64>,
) -> Event {
    Event::Message(Received {
        nsp,
        from: None,
        own: true,
        offset: Some(offset),
        number,
        message,
    })
}
