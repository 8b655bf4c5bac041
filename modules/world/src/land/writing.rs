//! Writing land: one commit for all requests that wait, each of which is done whole or not at all. What was committed is
//! shown then, and not before.

use std::sync::Arc;

use lakh_hub::store::{Applied, Batch, Condition, WriteError};
use lakh_hub::{Attempts, Failure};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::oneshot;

use super::chunk::Chunk;
use super::draft::{Changed, Draft, NotSet, SetCell};
use super::ground::{Ground, collection, key};
use super::plan::Coords;
use crate::stored;

/// Requests that may wait.
const MAX_JOBS: usize = 4_096;
/// Chunks that one commit may touch, but for those of its first request.
const MAX_CHUNKS: usize = 256;
/// Bytes of opaque things in one commit, but for those of its first request.
const MAX_BYTES: usize = 4 << 20;

/// What is to be done.
#[derive(Debug)]
pub(super) enum Work {
    Set(Vec<SetCell>),
    Put {
        at: Coords,
        layer: u8,
        kind: String,
        bytes: Vec<u8>,
        expect: Option<u32>,
    },
}

/// What came of it: the version of each cell, or of the layer.
type Outcome = Result<Result<Vec<u32>, NotSet>, Failure>;

struct Job {
    work: Work,
    reply: oneshot::Sender<Outcome>,
}

/// What waits to be written.
#[derive(Default)]
pub(super) struct Writing(Mutex<Jobs>);

#[derive(Default)]
struct Jobs {
    queue: Vec<Job>,
    writing: bool,
}

impl Work {
    /// The chunks that it touches. `None`: there are no such.
    fn chunks(&self, ground: &Ground) -> Option<Vec<Coords>> {
        match self {
            Self::Set(cells) => {
                let chunks = cells.iter().map(|cell| Some(ground.plan.place(cell.at)?.0));
                let mut chunks = chunks.collect::<Option<Vec<_>>>()?;
                chunks.sort_unstable();
                chunks.dedup();
                Some(chunks)
            }
            Self::Put { at, .. } => ground.plan.has(*at).then(|| vec![*at]),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Set(_) => 0,
            Self::Put { bytes, .. } => bytes.len(),
        }
    }

    fn draw(&self, draft: &mut Draft) -> Result<Vec<u32>, NotSet> {
        match self {
            Self::Set(cells) => draft.set(cells),
            Self::Put {
                at,
                layer,
                kind,
                bytes,
                expect,
            } => {
                let version = draft.put(*at, *layer, (kind.clone(), bytes.clone()), *expect)?;
                Ok(vec![version])
            }
        }
    }
}

impl Ground {
    /// Has something written, and waits until it is.
    pub(super) async fn write(self: &Arc<Self>, work: Work) -> Result<Vec<u32>, NotSetOr> {
        if work.chunks(self).is_none() {
            return Err(NotSetOr::NotSet(NotSet::Outside));
        }
        let (reply, outcome) = oneshot::channel();
        let start = {
            let mut jobs = self.writing.0.lock();
            if jobs.queue.len() >= MAX_JOBS {
                return Err(unavailable().into());
            }
            jobs.queue.push(Job { work, reply });
            !std::mem::replace(&mut jobs.writing, true)
        };
        if start {
            tokio::spawn(write(Writer(Arc::clone(self))));
        }
        match outcome.await {
            Ok(Ok(Ok(versions))) => Ok(versions),
            Ok(Ok(Err(not_set))) => Err(NotSetOr::NotSet(not_set)),
            Ok(Err(failure)) => Err(failure.into()),
            Err(_) => Err(unavailable().into()),
        }
    }

    /// Requests for one commit, and what they touch. `None`: there are none, and the writing is over.
    fn take_jobs(&self) -> Option<(Vec<Job>, Vec<Coords>)> {
        let mut jobs = self.writing.0.lock();
        let (mut touched, mut bytes, mut count) = (Vec::new(), 0, 0);
        for job in &jobs.queue {
            // Looked at when it came.
            let chunks = job.work.chunks(self).unwrap_or_default();
            bytes += job.work.bytes();
            if count > 0 && (touched.len() + chunks.len() > MAX_CHUNKS || bytes > MAX_BYTES) {
                break;
            }
            touched.extend(chunks);
            touched.sort_unstable();
            touched.dedup();
            count += 1;
        }
        if count == 0 {
            jobs.writing = false;
            return None;
        }
        Some((jobs.queue.drain(..count).collect(), touched))
    }

    /// One commit. What comes back goes to the requests, in their order.
    async fn commit(
        &self,
        jobs: &[Job],
        touched: &[Coords],
    ) -> Result<Vec<Result<Vec<u32>, NotSet>>, Failure> {
        let mut fresh = false;
        let mut attempts = Attempts::default();
        while attempts.another().await {
            let base = self.base(touched, fresh).await?;
            let mut draft = Draft::new(Arc::clone(&self.plan), base);
            let outcomes = jobs.iter().map(|job| job.work.draw(&mut draft)).collect();
            let mut changed = draft.finish();
            if changed.is_empty() || self.store_changed(&mut changed).await? {
                return Ok(outcomes);
            }
            // Another node was quicker.
            fresh = true;
        }
        Err(unavailable())
    }

    /// Chunks as they are: from memory, or, if they may be old, from the store.
    async fn base(
        &self,
        touched: &[Coords],
        fresh: bool,
    ) -> Result<FxHashMap<Coords, Arc<Chunk>>, Failure> {
        let mut base: FxHashMap<Coords, Arc<Chunk>> = FxHashMap::default();
        if !fresh {
            let land = self.land().read();
            base.extend(
                touched
                    .iter()
                    .filter_map(|at| Some((*at, Arc::clone(land.get(*at)?)))),
            );
        }
        let missing: Vec<_> = touched
            .iter()
            .filter(|at| !base.contains_key(*at))
            .copied()
            .collect();
        for some in missing.chunks(32) {
            let read = self.read_chunks(some).await?;
            base.extend(read.into_iter().map(|(at, chunk)| (at, Arc::new(chunk))));
        }
        Ok(base)
    }

    /// Stores and then shows what has changed. `false`: the store has something newer.
    async fn store_changed(
        &self,
        changed: &mut FxHashMap<Coords, Changed>,
    ) -> Result<bool, Failure> {
        let collection = collection(&self.world);
        let mut batch = Batch::new(self.namespace.hub().wall_ms());
        let mut order = Vec::new();
        for (at, changed) in changed.iter() {
            for layer in &changed.layers {
                let (record, stored) = match changed.chunk.part(*layer) {
                    Some(part) => (part.record(), part.stored),
                    None => (changed.chunk.record(), changed.chunk.stored()),
                };
                let condition = stored.map_or(Condition::Absent, Condition::Version);
                batch = batch.put(
                    &collection,
                    &key(&self.plan, *at, *layer),
                    record,
                    condition,
                    None,
                );
                order.push((*at, *layer));
            }
        }
        let applied = match self.store.write(batch).await {
            Ok(applied) => applied,
            Err(WriteError::Conflict { .. }) => return Ok(false),
            Err(error) => {
                // It may be there or not: whoever sees it reads it again.
                let mut land = self.land().write();
                changed.keys().for_each(|at| land.forget(*at));
                return Err(stored::not_written(&error));
            }
        };
        for ((at, layer), applied) in order.iter().zip(applied) {
            if let (Applied::Put { version }, Some(changed)) = (applied, changed.get_mut(at)) {
                changed.chunk.set_stored(*layer, version);
            }
        }
        self.announce(changed.keys().copied().collect());
        let mut land = self.land().write();
        for (at, changed) in changed.drain() {
            land.put(at, Arc::new(changed.chunk));
        }
        Ok(true)
    }
}

/// Why something was not written.
#[derive(Debug)]
pub(super) enum NotSetOr {
    NotSet(NotSet),
    Failure(Failure),
}

impl From<Failure> for NotSetOr {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

fn unavailable() -> Failure {
    Failure::new(
        "unavailable",
        "too many change this land at once; try again",
    )
}

/// Lets another writer be started when this one is cut off: its loop has ended.
struct Writer(Arc<Ground>);

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.writing.0.lock().writing = false;
    }
}

async fn write(writer: Writer) {
    let ground = &writer.0;
    while let Some((jobs, touched)) = ground.take_jobs() {
        let replies = |outcome: Result<Vec<_>, Failure>| match outcome {
            Ok(outcomes) => outcomes.into_iter().map(Ok).collect::<Vec<Outcome>>(),
            Err(failure) => jobs.iter().map(|_| Err(failure.clone())).collect(),
        };
        let outcomes = replies(ground.commit(&jobs, &touched).await);
        for (job, outcome) in jobs.into_iter().zip(outcomes) {
            // Whoever asked may be gone.
            let _ = job.reply.send(outcome);
        }
    }
}
