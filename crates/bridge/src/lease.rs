//! Work that one node of a cluster does at a time: a lease in the store, which another node takes over when its holder has
//! been silent for [`SILENT_BEATS`] beats.
//!
//! No clocks are compared. A holder changes its word in the store with every [`BEAT`]; whoever waits watches whether it
//! changes. What must hold:
//!
//! * A holder that hears nothing from the store believes in its lease for one beat less than the others wait ([`Held::is_held`]).
//! * What a former holder still writes with [`Held::write`] is refused, however late it comes: each such write is bound to
//!   the version of a document (the fence) that a takeover changes.
//! * [`Held::token`] grows with each takeover, for those who can refuse older ones by themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lakh_hub::Bytes;
use lakh_hub::store::{Answer, Applied, Batch, Condition, Document, Query, ReadError};
use lakh_hub::store::{Store, WriteError};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

/// How often a holder says that it is there, and the others look.
pub const BEAT: Duration = Duration::from_secs(1);
/// After how many beats without a word a holder is taken for gone.
pub const SILENT_BEATS: u32 = 5;

/// How long a holder believes in a lease of which it hears nothing: a beat less than others wait.
const PATIENCE: Duration = Duration::from_secs(BEAT.as_secs() * (SILENT_BEATS as u64 - 1));

/// Where holders say that they are there.
const BEATS: &str = "bridge_leases";
/// What guarded writes are bound to.
const FENCES: &str = "bridge_fences";

/// Why a guarded write was not done.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another node does this work now. Nothing was written.
    #[error("another node has taken this work over")]
    Lost,
    /// The store did not take it.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The store could not be asked how things are.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// What leases of a process have in common. Cheap to clone.
#[derive(Clone)]
pub struct Leases {
    store: Store,
    run: Arc<str>,
    taken: Arc<AtomicU64>,
    shared: bool,
    time: Time,
}

/// Where leases have the time from.
#[derive(Clone, Copy, Debug)]
pub struct Time {
    /// Milliseconds since 1970: for the store.
    pub wall_ms: fn() -> u64,
    /// A clock that never goes back: by it a holder knows how long it has heard nothing.
    pub instant: fn() -> Instant,
}

impl std::fmt::Debug for Leases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Leases({})", self.run)
    }
}

impl Leases {
    /// Leases in a store. `run` tells this process from all others that ever had this store. A store that isn't `shared`
    /// belongs to this process alone: there a lease is had at once, and costs no beats.
    #[must_use]
    pub fn new(store: Store, run: &str, shared: bool, time: Time) -> Self {
        Self {
            store,
            run: run.into(),
            taken: Arc::default(),
            shared,
            time,
        }
    }

    /// What tells this process from all others.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.run
    }

    /// The store that they are in.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Whether other nodes have the store, too.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.shared
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        (self.time.wall_ms)()
    }

    /// By when more must be heard of a lease that is heard of now.
    fn deadline(&self) -> Instant {
        (self.time.instant)() + PATIENCE
    }

    /// Waits until this node holds the lease of that name. May be dropped at any time.
    pub async fn acquire(&self, name: &str) -> Held {
        // Seen when the last look found the same: its version, and how often.
        let mut seen = (0, 0);
        loop {
            if let Some(held) = self.look(name, &mut seen).await {
                return held;
            }
            sleep(BEAT).await;
        }
    }

    async fn look(&self, name: &str, seen: &mut (u64, u32)) -> Option<Held> {
        let found = match self.store.get(self.now_ms(), BEATS, name).await {
            Ok(found) => found,
            Err(error) => {
                tracing::debug!(name, %error, "the lease could not be looked at");
                return None;
            }
        };
        let condition = match &found {
            None => Condition::Absent,
            Some(word) if self.is_free(word, seen) => Condition::Version(word.version),
            Some(_) => return None,
        };
        self.take(name, condition).await
    }

    /// Whether a lease may be taken: it was given back, or its holder is gone, or this process's own.
    fn is_free(&self, word: &Document, seen: &mut (u64, u32)) -> bool {
        if seen.0 == word.version {
            seen.1 += 1;
        } else {
            *seen = (word.version, 0);
        }
        let own = word.value.strip_prefix(self.run.as_bytes());
        let own = own.is_some_and(|rest| rest.starts_with(b"#"));
        !self.shared || word.value.is_empty() || own || seen.1 >= SILENT_BEATS
    }

    async fn take(&self, name: &str, condition: Condition) -> Option<Held> {
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        let mark = Bytes::from(format!("{}#{number}", self.run));
        // Counted from before the word is given, as others count from after it.
        let deadline = self.deadline();
        let batch = Batch::new(self.now_ms())
            .put(BEATS, name, mark.clone(), condition, None)
            .put(FENCES, name, mark.clone(), Condition::Any, None);
        let applied = match self.store.write(batch).await {
            Ok(applied) => applied,
            Err(WriteError::Conflict { .. }) => return None,
            Err(error) => {
                // If it was stored after all, the next look finds this process's own word.
                tracing::debug!(name, %error, "the lease could not be taken");
                return None;
            }
        };
        let [
            Applied::Put { version: beat },
            Applied::Put { version: fence },
        ] = applied[..]
        else {
            return None;
        };
        let word = Word {
            leases: self.clone(),
            name: name.into(),
            mark,
        };
        Some(Held::new(word, beat, fence, deadline))
    }
}

/// A holder's word, as it stands in the store.
#[derive(Clone)]
struct Word {
    leases: Leases,
    name: Arc<str>,
    mark: Bytes,
}

impl Word {
    /// The version of a document of this lease, if it is still this holder's.
    async fn version_in(&self, collection: &str) -> Result<u64, LeaseError> {
        let query = Query::Get {
            collection: collection.to_owned(),
            key: self.name.to_string(),
        };
        let mut answers = self
            .leases
            .store
            .read(self.leases.now_ms(), vec![query])
            .await?;
        match answers.pop() {
            Some(Answer::Document(Some(found))) if found.value == self.mark => Ok(found.version),
            _ => Err(LeaseError::Lost),
        }
    }

    async fn beat(&self, version: u64) -> Result<u64, LeaseError> {
        let (store, now_ms) = (&self.leases.store, self.leases.now_ms());
        let condition = Condition::Version(version);
        let put = store.put(
            now_ms,
            BEATS,
            &self.name,
            self.mark.clone(),
            condition,
            None,
        );
        match put.await {
            Ok(version) => Ok(version),
            // Another's, or a beat of our own whose answer was lost.
            Err(WriteError::Conflict { .. }) => self.version_in(BEATS).await,
            Err(error) => Err(error.into()),
        }
    }

    /// Beats until the lease is lost: another has it, or nothing was heard of it until the deadline.
    async fn keep(self, mut version: u64, mut deadline: Instant, lost: watch::Sender<bool>) {
        loop {
            sleep_until(deadline - PATIENCE + BEAT).await;
            loop {
                let next = self.leases.deadline();
                match timeout_at(deadline, self.beat(version)).await {
                    Ok(Ok(beaten)) => {
                        (version, deadline) = (beaten, next);
                        break;
                    }
                    Ok(Err(error)) if !matches!(error, LeaseError::Lost) => {
                        tracing::debug!(name = &*self.name, %error, "a lease could not be renewed");
                        if timeout_at(deadline, sleep(BEAT / 4)).await.is_ok() {
                            continue;
                        }
                    }
                    Ok(Err(_)) | Err(_) => {}
                }
                tracing::warn!(name = &*self.name, "this node no longer holds its lease");
                // Nobody may be listening any more.
                let _ = lost.send(true);
                return;
            }
        }
    }
}

/// A lease that this node holds. Dropped, it falls to another node after its time; [`Held::release`] gives it back at once.
pub struct Held {
    word: Word,
    token: u64,
    /// The fence's version, unless the outcome of the last write is unknown.
    fence: Option<u64>,
    lost: watch::Receiver<bool>,
    keeping: Option<AbortHandle>,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Held({}, {})", self.word.name, self.token)
    }
}

impl Held {
    fn new(word: Word, beat: u64, fence: u64, deadline: Instant) -> Self {
        let (send, lost) = watch::channel(false);
        let keeping = word.leases.shared.then(|| {
            let keep = word.clone().keep(beat, deadline, send);
            tokio::spawn(keep).abort_handle()
        });
        Self {
            word,
            token: fence,
            fence: Some(fence),
            lost,
            keeping,
        }
    }

    /// Grows with each takeover.
    #[must_use]
    pub fn token(&self) -> u64 {
        self.token
    }

    /// Whether nobody else can hold it yet. To be asked before anything that the store can't refuse.
    #[must_use]
    pub fn is_held(&self) -> bool {
        !*self.lost.borrow()
    }

    /// Waits until this node must no longer do the work.
    pub fn lost(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut lost = self.lost.clone();
        async move {
            if lost.wait_for(|lost| *lost).await.is_err() {
                // Nobody beats for a lease that only this process can have.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Writes a batch, unless another node has taken over. One at a time; what is unknown is told as
    /// [`WriteError::Unknown`], and the next write finds out first whether the lease is still held.
    ///
    /// # Errors
    /// [`LeaseError::Lost`] if another node does the work; else what the store says, conditions of the batch included.
    pub async fn write(&mut self, batch: Batch) -> Result<Vec<Applied>, LeaseError> {
        let fence = match self.fence {
            Some(fence) => fence,
            None => self.word.version_in(FENCES).await?,
        };
        let guard = batch.ops().len();
        let condition = Condition::Version(fence);
        let (name, mark) = (&self.word.name, self.word.mark.clone());
        // Dropped while it waits, it leaves the outcome unknown.
        self.fence = None;
        let written = self
            .word
            .leases
            .store
            .write(batch.put(FENCES, name, mark, condition, None));
        match written.await {
            Ok(mut applied) => {
                self.fence = match applied.pop() {
                    Some(Applied::Put { version }) => Some(version),
                    // The batch gave way to a duplicate.
                    _ => Some(fence),
                };
                Ok(applied)
            }
            Err(WriteError::Conflict { op, .. }) if op == guard => Err(LeaseError::Lost),
            Err(error) => {
                if !matches!(error, WriteError::Unknown(_)) {
                    self.fence = Some(fence);
                }
                Err(error.into())
            }
        }
    }

    /// Gives it back: another node may have it at once.
    pub async fn release(mut self) {
        if let Some(keeping) = self.keeping.take() {
            keeping.abort();
        }
        let Ok(version) = self.word.version_in(BEATS).await else {
            return;
        };
        let (leases, condition) = (&self.word.leases, Condition::Version(version));
        let freed = leases.store.put(
            leases.now_ms(),
            BEATS,
            &self.word.name,
            Bytes::new(),
            condition,
            None,
        );
        if let Err(error) = freed.await {
            tracing::debug!(name = &*self.word.name, %error, "a lease was not given back");
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(keeping) = &self.keeping {
            keeping.abort();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    const TIME: Time = Time {
        wall_ms: || 1_000,
        instant: Instant::now,
    };

    fn leases(store: &Store, run: &str) -> Leases {
        Leases::new(store.clone(), run, true, TIME)
    }

    fn note(text: &str) -> Batch {
        Batch::new(1_000).put(
            "notes",
            "n",
            Bytes::from(text.to_owned()),
            Condition::Any,
            None,
        )
    }

    async fn noted(store: &Store) -> Option<Bytes> {
        let found = store.get(1_000, "notes", "n").await.unwrap();
        found.map(|found| found.value)
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_node_waits_while_the_first_beats() {
        let store = Store::memory();
        let first = leases(&store, "a").acquire("work").await;
        let second = leases(&store, "b");
        let waiting = tokio::time::timeout(BEAT * 60, second.acquire("work"));
        assert!(waiting.await.is_err());
        assert!(first.is_held());
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_holder_is_followed_and_its_late_writes_are_refused() {
        let store = Store::memory();
        let mut first = leases(&store, "a").acquire("work").await;
        first.write(note("one")).await.unwrap();
        // Killed: nothing beats any more, and the store still takes what it sent.
        first.keeping.take().unwrap().abort();
        let mut second = leases(&store, "b").acquire("work").await;
        assert!(second.token() > first.token());
        let late = first.write(note("late")).await;
        assert!(matches!(late, Err(LeaseError::Lost)), "{late:?}");
        assert_eq!(noted(&store).await.unwrap(), "one");
        second.write(note("two")).await.unwrap();
        second.write(note("three")).await.unwrap();
        assert_eq!(noted(&store).await.unwrap(), "three");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_given_back_is_had_at_once() {
        let store = Store::memory();
        let first = leases(&store, "a").acquire("work").await;
        let started = Instant::now();
        first.release().await;
        let _second = leases(&store, "b").acquire("work").await;
        assert_eq!(started.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_holder_without_a_store_gives_up_before_others_may_begin() {
        let store = Store::memory();
        let held = leases(&store, "a").acquire("work").await;
        let started = Instant::now();
        store.close().await.unwrap();
        held.lost().await;
        assert!(!held.is_held());
        assert!(started.elapsed() <= BEAT * (SILENT_BEATS - 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_of_ones_own_gives_the_lease_of_a_killed_process_at_once() {
        let store = Store::memory();
        let mut first = Leases::new(store.clone(), "a", false, TIME)
            .acquire("work")
            .await;
        let started = Instant::now();
        let _second = Leases::new(store.clone(), "b", false, TIME)
            .acquire("work")
            .await;
        assert_eq!(started.elapsed(), Duration::ZERO);
        let late = first.write(note("late")).await;
        assert!(matches!(late, Err(LeaseError::Lost)), "{late:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_condition_leaves_the_lease() {
        let store = Store::memory();
        let mut held = leases(&store, "a").acquire("work").await;
        held.write(note("one")).await.unwrap();
        let again = Batch::new(1_000).put("notes", "n", Bytes::new(), Condition::Absent, None);
        let refused = held.write(again).await;
        assert!(
            matches!(
                refused,
                Err(LeaseError::Write(WriteError::Conflict { op: 0, .. }))
            ),
            "{refused:?}"
        );
        held.write(note("two")).await.unwrap();
    }
}
