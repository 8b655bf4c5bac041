//! The task that works for one space with its store: reads it, takes in what other nodes have written, and writes what
//! waits as one commit.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use lakh_hub::Namespace;
use lakh_hub::store::{ReadError, Store, WriteError};

use super::{Reader, Space, Work, busy, finish, gone, make, not_read, not_stored};
use crate::state::entry::Commit;
use crate::state::{Kind, States, deliver, kept};

/// Requests that make one commit.
const MAX_TOGETHER: usize = 64;
/// How often a commit is tried again because other nodes were quicker.
const MAX_ATTEMPTS: usize = 50;
/// Wait for loops that are behind.
const BREATH: Duration = Duration::from_millis(10);

/// The task that works for one space with its store. There is one at a time.
pub(super) struct Drive {
    pub states: States,
    pub namespace: Namespace,
    pub store: Store,
    pub space: Arc<Space>,
    /// It has ended by itself, and the space knows.
    pub is_over: bool,
}

impl Drop for Drive {
    fn drop(&mut self) {
        // Cut off: those who waited are told by the end of their channels.
        if !self.is_over {
            self.space.core.lock().driving = false;
        }
    }
}

/// What waits.
struct Waiting {
    jobs: Vec<Box<dyn Work>>,
    readers: Vec<Reader>,
    heard: VecDeque<Arc<Commit>>,
    check: bool,
}

impl Drive {
    pub(super) async fn run(mut self) {
        while let Some(waiting) = self.next() {
            self.step(waiting).await;
        }
    }

    fn next(&mut self) -> Option<Waiting> {
        let mut core = self.space.core.lock();
        if core.waiting() == 0 && core.heard.is_empty() && !core.check {
            // Under the lock: whoever puts something in next starts another task.
            core.driving = false;
            self.is_over = true;
            return None;
        }
        let most = core.jobs.len().min(MAX_TOGETHER);
        Some(Waiting {
            jobs: core.jobs.drain(..most).collect(),
            readers: std::mem::take(&mut core.readers),
            heard: std::mem::take(&mut core.heard),
            check: std::mem::take(&mut core.check),
        })
    }

    async fn step(&self, waiting: Waiting) {
        let Waiting {
            jobs,
            readers,
            heard,
            mut check,
        } = waiting;
        let loaded = self.space.core.lock().replica.is_some();
        for commit in heard.into_iter().filter(|_| loaded) {
            check |= !self.tell(&commit).await;
        }
        if !loaded || check {
            let known = match loaded {
                true => self.catch_up().await,
                false => self.load().await,
            };
            if let Err(error) = known {
                let failure = not_read(&error);
                finish(jobs, &Err(failure.clone()));
                for reader in readers {
                    reader(Err(failure.clone()));
                }
                return self.try_later();
            }
        }
        if !jobs.is_empty() {
            self.commit(jobs).await;
        }
        self.show(readers);
        let mut core = self.space.core.lock();
        core.used_ms = self.namespace.hub().wall_ms();
        self.states.arm(&self.namespace, &self.space, &mut core);
    }

    /// The store is away: what members have here may be old.
    fn try_later(&self) {
        let mut core = self.space.core.lock();
        self.states.retry(&self.namespace, &self.space, &mut core);
    }

    /// Lets those look who wanted to.
    fn show(&self, readers: Vec<Reader>) {
        if readers.is_empty() {
            return;
        }
        let core = self.space.core.lock();
        for reader in readers {
            reader(core.replica.as_ref().ok_or_else(gone));
        }
    }

    /// Takes in a commit and tells it. `false`: something before it is missing.
    async fn tell(&self, commit: &Arc<Commit>) -> bool {
        let mut fits = false;
        loop {
            let told = self.namespace.emit_step(|| {
                let mut core = self.space.core.lock();
                let (states, key) = (&self.states, &self.space.key);
                let replica = core.replica.as_mut();
                let frames = replica
                    .and_then(|replica| states.take_in(&self.namespace, key, replica, commit));
                fits = frames.is_some();
                (frames.unwrap_or_default(), core)
            });
            match told {
                Ok(()) => return fits,
                // Nothing was told, and the replica is as it was.
                Err(_) => tokio::time::sleep(BREATH).await,
            }
        }
    }

    /// Reads the space for the first time, or anew; who follows it is given all of it.
    async fn load(&self) -> Result<(), ReadError> {
        let now_ms = self.namespace.hub().wall_ms();
        let replica = kept::load(&self.store, now_ms, &self.space.key).await?;
        let mut replica = Some(replica);
        loop {
            let told = self.namespace.emit_step(|| {
                let mut core = self.space.core.lock();
                let frames = replica.take().map(|replica| {
                    let key = &self.space.key;
                    let frames = match key.kind {
                        Kind::State => {
                            deliver::anew(&self.states, &self.namespace, &key.room, &replica)
                        }
                        Kind::Locks => {
                            self.states.locks().look(&key.room, &replica);
                            Vec::new()
                        }
                    };
                    core.replica = Some(replica);
                    frames
                });
                (frames.unwrap_or_default(), core)
            });
            match told {
                // Pages behind the first may be newer than the head: nothing is missing behind them then.
                Ok(()) => break,
                Err(_) => tokio::time::sleep(BREATH).await,
            }
        }
        Box::pin(self.catch_up()).await
    }

    /// Takes in what the store has besides.
    async fn catch_up(&self) -> Result<(), ReadError> {
        let (version, head) = {
            let core = self.space.core.lock();
            let replica = core.replica.as_ref();
            replica.map_or((0, 0), |replica| (replica.version(), replica.head))
        };
        let now_ms = self.namespace.hub().wall_ms();
        let newer = kept::newer(&self.store, now_ms, &self.space.key, version).await?;
        let Some(found) = newer.found else {
            return match head {
                0 => Ok(()),
                // It was forgotten, or the store has lost it.
                _ => Box::pin(self.load()).await,
            };
        };
        if found.head == head {
            return Ok(());
        }
        for commit in &newer.commits {
            if !self.tell(commit).await {
                break;
            }
        }
        {
            let mut core = self.space.core.lock();
            if let Some(replica) = &mut core.replica
                && replica.version() == found.version
            {
                replica.head = found.head;
                return Ok(());
            }
        }
        Box::pin(self.load()).await
    }

    fn head(&self) -> Option<u64> {
        let core = self.space.core.lock();
        core.replica.as_ref().map(|replica| replica.head)
    }

    /// Makes changes and writes them, until no other node was quicker.
    async fn commit(&self, mut jobs: Vec<Box<dyn Work>>) {
        let mut stands = Err(busy());
        for _ in 0..MAX_ATTEMPTS {
            let now_ms = self.namespace.hub().wall_ms();
            let (changes, empty, head) = {
                let core = self.space.core.lock();
                let Some(replica) = &core.replica else { break };
                let (changes, empty) = make(self.space.key.kind, replica, &mut jobs, now_ms);
                (changes, empty, replica.head)
            };
            let Some(mut commit) = self.states.commit(changes) else {
                // What was refused, or found done, may only have been so here: no write says that it's still true.
                stands = Ok(());
                if !jobs.iter().any(|job| job.is_asked()) {
                    break;
                }
                if let Err(error) = self.catch_up().await {
                    stands = Err(not_read(&error));
                    break;
                }
                if self.head() == Some(head) {
                    break;
                }
                stands = Err(busy());
                continue;
            };
            let writing = kept::Writing {
                key: &self.space.key,
                commit: &commit,
                head,
                empty,
                kept_ms: self.states.options(&self.space.key.room).kept_changes_ms,
                now_ms,
            };
            match writing.write(&self.store).await {
                Ok(head) => {
                    commit.head = head;
                    let commit = Arc::new(commit);
                    self.tell(&commit).await;
                    self.states
                        .tell_nodes(&self.namespace, &self.space.key, &commit);
                    stands = Ok(());
                    break;
                }
                Err(error) => {
                    let quicker = matches!(error, WriteError::Conflict { .. });
                    let unknown = matches!(error, WriteError::Unknown(_));
                    stands = Err(not_stored(&error));
                    if !quicker && !unknown {
                        break;
                    }
                    if let Err(error) = self.catch_up().await {
                        stands = Err(not_read(&error));
                        break;
                    }
                    if unknown {
                        let core = self.space.core.lock();
                        let replica = core.replica.as_ref();
                        if replica.is_some_and(|replica| replica.knows(&commit.id)) {
                            stands = Ok(());
                        }
                        break;
                    }
                }
            }
        }
        finish(jobs, &stands);
    }
}
