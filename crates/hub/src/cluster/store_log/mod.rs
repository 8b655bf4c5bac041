//! The log of a node that is alone, in its store: so that its end is survived, too.
//!
//! What must hold: an entry is delivered, and its publisher told, only after its commit; so no client has seen anything that
//! the next life doesn't find. All that waits is committed together, in the order in which it was published, and while the
//! store takes nothing, nothing of it is delivered.
//!
//! | in the store | what it is |
//! |---|---|
//! | log `hub_log` | the broadcasts of all recoverable namespaces; see [`entry`] |
//! | collection `hub_counters`, key: namespace, `#`, counter | its last number, as text |
//! | collection `hub_once`, key: namespace, `#`, scope, `#`, id | the number of an entry that is written once, as text |
//! | collection `hub_sessions`, key: the private id | see [`sessions`] |
//! | collection `hub_lives`, key `lives` | see [`lives`] |

mod entry;
mod lives;
mod sessions;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
mod writer;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lakh_broker::Once;
use lakh_broker::cluster::streams::{StreamId, encode_entry};
use lakh_broker::cluster::{Limits, Message, RequestId, Uid};
use lakh_broker::redis::{
    LinkState, LinkStats, LogPage, Logged, PublishError, SessionWrite, TakenOver,
};
use lakh_store::{Answer, Batch, Condition, Query, Range, ReadError, Store, Trim};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::{Notify, OnceCell, watch};

use super::tie::TieError;
use crate::hub::Hub;
use lives::Lives;
pub(super) use writer::Writer;

const LOG: &str = "hub_log";
const COUNTERS: &str = "hub_counters";
const ONCE: &str = "hub_once";
const LIVES: &str = "hub_lives";
const LIVES_KEY: &str = "lives";

/// Bytes that may wait for the disk: as many as may wait for Redis.
const QUEUE_BYTES: usize = 64 << 20;
/// What stands around an entry takes its room as well.
const ENTRY_BYTES: usize = 256;
/// Counters whose last number is known without asking the store.
const MAX_COUNTERS: usize = 10_000;

/// What the hub holds of the log.
pub(super) struct StoreLog {
    store: Store,
    queue: Mutex<Queue>,
    /// Woken when there is something in the queue, or when it is closed.
    filled: Notify,
    state: watch::Sender<LinkState>,
    start: OnceCell<StreamId>,
    lives: Mutex<Lives>,
    /// Last numbers, as the store has them.
    counters: Mutex<FxHashMap<String, u64>>,
    sessions: sessions::Sessions,
    requests: AtomicU64,
    written: AtomicU64,
    /// Nobody writes any more.
    ended: watch::Sender<bool>,
}

#[derive(Default)]
struct Queue {
    items: VecDeque<Queued>,
    bytes: usize,
    /// The newest ticket.
    tickets: u64,
    closed: bool,
}

/// A broadcast on its way.
struct Queued {
    ticket: u64,
    nsp: Arc<str>,
    message: Message,
    /// Whether it becomes an entry. A volatile one only keeps its turn among the others.
    logged: bool,
    /// What is written.
    entry: Option<Vec<u8>>,
    /// Key of its counter, and what the number must exceed.
    counter: Option<(String, u64)>,
    /// What notes that it was written, if it is to be once.
    once: Option<Noted>,
    /// It is to be written once, and was before: nothing becomes of it but its confirmation.
    repeats: bool,
    bytes: usize,
}

/// A counter and the number to exceed; and whether the entry is written once.
type Counted<'a> = ((&'a str, u64), Option<&'a Once>);

/// What notes that an entry was written.
struct Noted {
    /// Its key among [`ONCE`].
    key: String,
    keep_ms: u64,
}

impl StoreLog {
    pub(super) fn new(store: Store, now_ms: u64) -> (Arc<Self>, Writer) {
        let log = Arc::new(Self {
            store,
            queue: Mutex::default(),
            filled: Notify::new(),
            state: watch::Sender::new(LinkState {
                up: false,
                since_ms: now_ms,
                reason: None,
            }),
            start: OnceCell::new(),
            lives: Mutex::default(),
            counters: Mutex::default(),
            sessions: sessions::Sessions::default(),
            requests: AtomicU64::new(0),
            written: AtomicU64::new(0),
            ended: watch::Sender::new(false),
        });
        let writer = Writer::new(Arc::clone(&log));
        (log, writer)
    }

    /// There is nobody else to tell it from.
    pub(super) fn uid(&self) -> Uid {
        Uid::new("")
    }

    pub(super) fn request_id(&self) -> RequestId {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        RequestId::new(&number.to_string())
    }

    pub(super) fn append(
        &self,
        nsp: &str,
        message: Message,
        counter: Option<Counted<'_>>,
    ) -> Result<u64, PublishError> {
        let volatile = matches!(&message, Message::Broadcast { opts, .. } if opts.flags.volatile);
        let fields = encode_entry(&self.uid(), nsp, &message)?;
        let once = counter.and_then(|(_, once)| once).map(|once| Noted {
            key: format!("{nsp}#{}#{}", once.scope, once.id),
            keep_ms: once.keep_ms,
        });
        let counter = counter.map(|((name, floor), _)| (format!("{nsp}#{name}"), floor));
        let entry =
            entry::encode(&fields).filter(|entry| entry.len() <= lakh_store::MAX_VALUE_BYTES);
        let keys = counter.iter().map(|(key, _)| key);
        let mut keys = keys.chain(once.iter().map(|once| &once.key));
        let named = keys.all(|key| key.len() <= lakh_store::MAX_NAME_BYTES);
        let (Some(entry), true) = (entry, named) else {
            tracing::warn!(
                nsp,
                "a broadcast is larger than the store's log takes, or its counter's name is"
            );
            return Err(PublishError::Uncounted);
        };
        let logged = !volatile || counter.is_some();
        // The message is kept beside its bytes, for its delivery.
        let bytes = 2 * entry.len() + ENTRY_BYTES;
        let mut queue = self.queue.lock();
        if queue.closed {
            return Err(PublishError::Closed);
        }
        if queue.bytes > 0 && queue.bytes + bytes > QUEUE_BYTES {
            return Err(PublishError::Full);
        }
        queue.tickets += 1;
        queue.bytes += bytes;
        let ticket = queue.tickets;
        queue.items.push_back(Queued {
            ticket,
            nsp: nsp.into(),
            message,
            logged,
            entry: logged.then_some(entry),
            counter,
            once,
            repeats: false,
            bytes,
        });
        drop(queue);
        self.filled.notify_one();
        Ok(ticket)
    }

    pub(super) fn last_ticket(&self) -> u64 {
        self.queue.lock().tickets
    }

    pub(super) fn waiting_bytes(&self) -> usize {
        self.queue.lock().bytes
    }

    pub(super) fn is_up(&self) -> bool {
        self.state.borrow().up
    }

    pub(super) fn state(&self) -> LinkState {
        self.state.borrow().clone()
    }

    pub(super) fn watch_state(&self) -> watch::Receiver<LinkState> {
        self.state.subscribe()
    }

    pub(super) fn stats(&self) -> LinkStats {
        LinkStats {
            sent: self.written.load(Ordering::Relaxed),
            outbound_bytes: self.waiting_bytes(),
            ..LinkStats::default()
        }
    }

    /// Says how it is. `None`: well.
    fn tell(&self, now_ms: u64, wrong: Option<String>) {
        self.state.send_if_modified(|state| {
            let changed = state.up != wrong.is_none();
            if changed {
                state.since_ms = now_ms;
                match &wrong {
                    Some(reason) => tracing::warn!(
                        reason,
                        "the log is not written: broadcasts and answers wait for the store"
                    ),
                    None => tracing::debug!("the log is written"),
                }
            }
            state.up = wrong.is_none();
            state.reason = wrong;
            changed
        });
    }

    /// Writes what is queued, and ends.
    pub(super) async fn close(&self) {
        self.queue.lock().closed = true;
        self.filled.notify_one();
        let mut ended = self.ended.subscribe();
        // The sender lives as long as this.
        let _ = ended.wait_for(|ended| *ended).await;
    }

    /// Begins a new life behind what the store has, the first time; and says where.
    pub(super) async fn start(&self, hub: &Hub) -> Option<StreamId> {
        match self.start.get_or_try_init(|| self.open(hub)).await {
            Ok(start) => Some(*start),
            Err(error) => {
                self.tell(hub.clock_ms(), Some(error.to_string()));
                None
            }
        }
    }

    async fn open(&self, hub: &Hub) -> Result<StreamId, TieError> {
        let now_ms = hub.wall_ms();
        let log = Query::Log { log: LOG.into() };
        let lives = Query::Get {
            collection: LIVES.into(),
            key: LIVES_KEY.into(),
        };
        let answers = self.store.read(now_ms, vec![log, lives]).await?;
        let [Answer::Log(info), Answer::Document(lives)] = answers.as_slice() else {
            return Err(ReadError::Failed("an answer to another question".into()).into());
        };
        let lives = lives.as_ref().map(|lives| Lives::decode(&lives.value));
        let mut lives = lives.unwrap_or_default();
        lives.begin(info.last_seq, now_ms);
        // Before anybody is given a place of this life.
        let batch = Batch::new(now_ms);
        let batch = batch.put(LIVES, LIVES_KEY, lives.encode(), Condition::Any, None);
        self.store.write(batch).await?;
        let start = StreamId::unpack(lives.origin());
        *self.lives.lock() = lives;
        self.tell(hub.clock_ms(), None);
        Ok(start)
    }

    /// Whether a client can have got this place.
    pub(super) fn holds(&self, place: StreamId) -> bool {
        self.lives.lock().number_at(place).is_some()
    }

    /// The place before the oldest entry.
    pub(super) async fn before_first(&self) -> Result<StreamId, ReadError> {
        let info = self.store.log_info(LOG).await?;
        Ok(self.lives.lock().place_of(info.first_seq.saturating_sub(1)))
    }

    /// Reads broadcasts of a namespace after `after`, out of the next `count` entries. An entry that this version can't read
    /// is as good as trimmed, and so is all before it.
    pub(super) async fn read(
        &self,
        nsp: &str,
        after: StreamId,
        count: usize,
    ) -> Result<LogPage, TieError> {
        let Some(number) = self.lives.lock().number_at(after) else {
            return Ok(LogPage {
                entries: Vec::new(),
                last: after,
                end: true,
                whole: false,
            });
        };
        let page = self
            .store
            .range(LOG, Range::from(number + 1, count))
            .await?;
        let mut whole = page.info.first_seq <= number + 1;
        let mut entries = Vec::new();
        let lives = self.lives.lock();
        let limits = Limits::default();
        for found in &page.entries {
            match entry::decode(&found.value, nsp, &limits) {
                Ok(None) => {}
                Ok(Some(read)) => entries.push(Logged {
                    offset: lives.place_of(found.seq),
                    from: None,
                    number: read.number,
                    message: read.message,
                }),
                Err(error) => {
                    tracing::warn!(number = found.seq, %error, "an entry of the log can't be read");
                    entries.clear();
                    whole = false;
                }
            }
        }
        let last = page.entries.last();
        Ok(LogPage {
            entries,
            last: last.map_or(after, |last| lives.place_of(last.seq)),
            end: !page.more,
            whole,
        })
    }

    /// The number that a counter gave last, 0 if there is none.
    pub(super) async fn count_of(
        &self,
        hub: &Hub,
        nsp: &str,
        counter: &str,
    ) -> Result<u64, ReadError> {
        self.last_number(hub.wall_ms(), &format!("{nsp}#{counter}"))
            .await
    }

    async fn last_number(&self, now_ms: u64, key: &str) -> Result<u64, ReadError> {
        if let Some(known) = self.counters.lock().get(key) {
            return Ok(*known);
        }
        let found = self.store.get(now_ms, COUNTERS, key).await?;
        let number = found.and_then(|found| found.number());
        Ok(number.unwrap_or_default())
    }

    pub(super) async fn write_sessions(
        &self,
        hub: &Hub,
        writes: &[SessionWrite],
    ) -> Result<Vec<bool>, TieError> {
        self.sessions
            .write(&self.store, hub.wall_ms(), writes)
            .await
    }

    pub(super) async fn take_over(
        &self,
        hub: &Hub,
        pid: &str,
        ttl_ms: u64,
    ) -> Result<Option<TakenOver>, TieError> {
        let now_ms = hub.wall_ms();
        self.sessions
            .take_over(&self.store, now_ms, pid, ttl_ms)
            .await
    }

    /// Removes what is older than `max_age_ms` and what is more than `max_bytes`, in bounded steps.
    pub(super) async fn tidy(&self, hub: &Hub, max_age_ms: u64, max_bytes: u64) {
        let now_ms = hub.wall_ms();
        self.sessions.tidy(now_ms);
        let trim = Trim {
            max_bytes: Some(max_bytes),
            before_time_ms: Some(now_ms.saturating_sub(max_age_ms)),
            ..Trim::default()
        };
        loop {
            match self.store.trim(LOG, trim).await {
                Ok(trimmed) if trimmed.more => tokio::task::yield_now().await,
                Ok(_) => return,
                Err(error) => return tracing::debug!(%error, "the log is trimmed later"),
            }
        }
    }
}
