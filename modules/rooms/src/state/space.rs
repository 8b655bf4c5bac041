//! Spaces: a room's state or its locks, and the one order in which they change.
//!
//! A space is behind one lock. Whoever holds it changes the replica, and puts what it tells into the loops' mailboxes under
//! it: so members hear changes in the order of their versions, and who joins in its turn hears all behind the snapshot.
//!
//! In memory a change is made at once. With a store, one task a space writes what waits as one commit, on the condition
//! that no other node has written since; where one has, it takes in what is new and makes the changes anew.

mod drive;

use std::collections::VecDeque;
use std::sync::Arc;

use lakh_hub::store::{ReadError, Store, WriteError};
use lakh_hub::{EmitError, Failure, Namespace, Operator, Payload};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

use drive::Drive;

use super::entry::{Change, Commit};
use super::replica::{Draft, Replica};
use super::{Kind, Refusal, SpaceKey, States, deliver, locks};

/// Requests that wait for one room's store at most.
const MAX_WAITING: usize = 1_024;
/// Commits of other nodes that wait at most; past it they are read from the store.
const MAX_HEARD: usize = 256;

/// One of those who want to change a space.
pub(super) trait Work: Send {
    /// Makes its changes, or none. Called again if another node was quicker.
    fn run(&mut self, draft: &mut Draft<'_>);
    /// Whether somebody relies on what it found, also where it changed nothing.
    fn is_asked(&self) -> bool {
        true
    }
    /// They stand, or can't.
    fn done(self: Box<Self>, stands: Result<(), Failure>);
}

/// One who wants to see it as it is.
type Reader = Box<dyn FnOnce(Result<&Replica, Failure>) + Send>;

pub(super) struct Space {
    pub key: SpaceKey,
    pub core: Mutex<Core>,
}

#[derive(Default)]
pub(super) struct Core {
    pub replica: Option<Replica>,
    jobs: Vec<Box<dyn Work>>,
    readers: Vec<Reader>,
    heard: VecDeque<Arc<Commit>>,
    /// The store may be ahead.
    check: bool,
    driving: bool,
    /// When it was last wanted.
    pub used_ms: u64,
    /// For when it stands in the queue of what is due.
    pub armed_ms: Option<u64>,
}

impl Core {
    /// Whether anybody is at work on it.
    pub(super) fn is_busy(&self) -> bool {
        self.driving || !self.jobs.is_empty() || !self.readers.is_empty()
    }

    fn waiting(&self) -> usize {
        self.jobs.len() + self.readers.len()
    }
}

/// A change as it was asked for, with the way back to who asked.
struct Job<R, F> {
    run: F,
    result: Option<Result<R, Refusal>>,
    reply: oneshot::Sender<Result<R, Refusal>>,
}

impl<R, F> Work for Job<R, F>
where
    R: Send,
    F: FnMut(&mut Draft<'_>) -> Result<R, Refusal> + Send,
{
    fn run(&mut self, draft: &mut Draft<'_>) {
        self.result = Some((self.run)(draft));
    }

    fn done(self: Box<Self>, stands: Result<(), Failure>) {
        let result = match (stands, self.result) {
            (Ok(()), Some(result)) => result,
            (Err(failure), _) => Err(failure.into()),
            (Ok(()), None) => Err(gone().into()),
        };
        // Who asked may be gone.
        let _ = self.reply.send(result);
    }
}

fn gone() -> Failure {
    Failure::new(
        "unavailable",
        "the server is about to stop; send this again",
    )
}

fn overloaded(error: &EmitError) -> Failure {
    Failure::new("unavailable", error.to_string())
}

fn not_stored(error: &WriteError) -> Failure {
    Failure::new("unavailable", format!("the store did not take it: {error}"))
}

fn not_read(error: &ReadError) -> Failure {
    Failure::new(
        "unavailable",
        format!("the room's state can't be read: {error}"),
    )
}

impl States {
    /// Changes a space. `run` looks first and changes then, or refuses and changes nothing; it may be called several times.
    pub(super) async fn write<R: Send + 'static>(
        &self,
        namespace: &Namespace,
        key: &SpaceKey,
        run: impl FnMut(&mut Draft<'_>) -> Result<R, Refusal> + Send + 'static,
    ) -> Result<R, Refusal> {
        let answer = self.begin(namespace, key, run)?;
        answer.await.unwrap_or_else(|_| Err(gone().into()))
    }

    /// The same up to its place among all changes of the space, which it has when this returns.
    pub(super) fn begin<R: Send + 'static>(
        &self,
        namespace: &Namespace,
        key: &SpaceKey,
        run: impl FnMut(&mut Draft<'_>) -> Result<R, Refusal> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<R, Refusal>>, Failure> {
        let (reply, answer) = oneshot::channel();
        let job = Job {
            run,
            result: None,
            reply,
        };
        self.submit(namespace, key, Box::new(job))?;
        Ok(answer)
    }

    /// The same where nobody waits for the outcome.
    pub(super) fn submit(
        &self,
        namespace: &Namespace,
        key: &SpaceKey,
        job: Box<dyn Work>,
    ) -> Result<(), Failure> {
        let space = self.space(namespace, key)?;
        let Some(store) = self.store(&key.room)? else {
            self.change_now(namespace, &space, vec![job]);
            return Ok(());
        };
        let mut core = space.core.lock();
        if core.waiting() >= MAX_WAITING {
            return Err(busy());
        }
        core.jobs.push(job);
        self.wake(namespace, store, &space, core);
        Ok(())
    }

    /// Looks at a space, as new as it is at this moment. `look` is called under the space's lock.
    pub(super) async fn read<R: Send + 'static>(
        &self,
        namespace: &Namespace,
        key: &SpaceKey,
        look: impl FnOnce(&Replica) -> R + Send + 'static,
    ) -> Result<R, Failure> {
        let space = self.space(namespace, key)?;
        let Some(store) = self.store(&key.room)? else {
            // What has expired goes first.
            self.change_now(namespace, &space, Vec::new());
            let mut core = space.core.lock();
            return Ok(look(core.replica(namespace.hub().wall_ms())));
        };
        let (reply, answer) = oneshot::channel();
        let reader: Reader = Box::new(move |replica| {
            // Who asked may be gone.
            let _ = reply.send(replica.map(look));
        });
        {
            let mut core = space.core.lock();
            if core.waiting() >= MAX_WAITING {
                return Err(busy());
            }
            core.readers.push(reader);
            core.check = true;
            self.wake(namespace, store, &space, core);
        }
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Has what is due done, and what the store has besides taken in.
    pub(super) fn look_after(&self, namespace: &Namespace, space: &Arc<Space>, check: bool) {
        match self.store(&space.key.room) {
            Ok(Some(store)) => {
                let mut core = space.core.lock();
                core.check |= check;
                core.jobs.push(Box::new(Nothing));
                self.wake(namespace, store, space, core);
            }
            Ok(None) => self.change_now(namespace, space, Vec::new()),
            Err(_) => {}
        }
    }

    /// Another node has made these changes.
    pub(super) fn heard(&self, namespace: &Namespace, key: &SpaceKey, commit: Arc<Commit>) {
        let Some(space) = self.existing(key) else {
            return;
        };
        let Ok(Some(store)) = self.store(&key.room) else {
            return;
        };
        let mut core = space.core.lock();
        if core.replica.is_none() {
            return;
        }
        if core.heard.len() < MAX_HEARD {
            core.heard.push_back(commit);
        } else {
            core.check = true;
        }
        self.wake(namespace, store, &space, core);
    }

    fn wake(
        &self,
        namespace: &Namespace,
        store: &Store,
        space: &Arc<Space>,
        mut core: MutexGuard<'_, Core>,
    ) {
        if std::mem::replace(&mut core.driving, true) {
            return;
        }
        drop(core);
        let drive = Drive {
            states: self.clone(),
            namespace: namespace.clone(),
            store: store.clone(),
            space: Arc::clone(space),
            is_over: false,
        };
        tokio::spawn(drive.run());
    }

    /// Changes a space that is in memory alone.
    fn change_now(&self, namespace: &Namespace, space: &Space, jobs: Vec<Box<dyn Work>>) {
        let now_ms = namespace.hub().wall_ms();
        let mut jobs = jobs;
        let told = namespace.emit_step(|| {
            let mut core = space.core.lock();
            let replica = core.replica(now_ms);
            let (changes, _) = make(space.key.kind, replica, &mut jobs, now_ms);
            let frames = match self.commit(changes) {
                Some(commit) => self.take_in(namespace, &space.key, replica, &Arc::new(commit)),
                None => Some(Vec::new()),
            };
            self.arm(namespace, space, &mut core);
            (frames.unwrap_or_default(), core)
        });
        let stands = told.map_err(|error| overloaded(&error));
        finish(jobs, &stands);
    }

    /// A commit of this node's own, if there are changes.
    fn commit(&self, changes: Vec<Change>) -> Option<Commit> {
        (!changes.is_empty()).then(|| Commit {
            id: self.next_commit(),
            changes,
            head: 0,
        })
    }

    /// Takes changes into a replica, and gives what is told of them. `None`: something before them is missing.
    fn take_in(
        &self,
        namespace: &Namespace,
        key: &SpaceKey,
        replica: &mut Replica,
        commit: &Arc<Commit>,
    ) -> Option<Vec<(Operator, Payload)>> {
        let before = replica.apply(commit)?;
        if before.is_empty() {
            return Some(Vec::new());
        }
        Some(match key.kind {
            Kind::State => deliver::changed(self, namespace, &key.room, commit, &before),
            Kind::Locks => {
                self.locks().heard(&key.room, commit);
                locks::changed(self, namespace, &key.room, commit)
            }
        })
    }
}

/// Has what is due done.
struct Nothing;

impl Work for Nothing {
    fn run(&mut self, _: &mut Draft<'_>) {}

    fn is_asked(&self) -> bool {
        false
    }

    fn done(self: Box<Self>, _: Result<(), Failure>) {}
}

fn busy() -> Failure {
    Failure::new(
        "unavailable",
        "too many requests wait for this room; try again later",
    )
}

fn make(
    kind: Kind,
    replica: &Replica,
    jobs: &mut [Box<dyn Work>],
    now_ms: u64,
) -> (Vec<Change>, bool) {
    let mut draft = Draft::new(replica, now_ms);
    match kind {
        Kind::State => super::expire(&mut draft),
        Kind::Locks => locks::expire(&mut draft),
    }
    for job in jobs {
        job.run(&mut draft);
    }
    draft.into_changes()
}

fn finish(jobs: Vec<Box<dyn Work>>, stands: &Result<(), Failure>) {
    for job in jobs {
        job.done(stands.clone());
    }
}

impl Core {
    /// The replica of a space that is in memory alone.
    fn replica(&mut self, now_ms: u64) -> &mut Replica {
        self.used_ms = now_ms;
        self.replica.get_or_insert_with(|| Replica::new(now_ms))
    }
}
