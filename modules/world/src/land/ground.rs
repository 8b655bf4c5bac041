//! The land of one world on this node: what of it is in memory, what is being read from the store, and what is being
//! written there.
//!
//! Any node may change any world's land: the store compares versions, and who was too late reads anew and tries again. What
//! was written is told to the other nodes, which read those chunks again; and now and then each reads all that is in
//! sight again, because a word may be lost. Nobody sees what is not stored yet.

use std::sync::{Arc, Weak};
use std::time::Duration;

use lakh_hub::Namespace;
use lakh_hub::store::{Answer, Query, Store};
use parking_lot::{Mutex, RwLock};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use super::cache::Land;
use super::chunk::{Chunk, Part};
use super::plan::{Coords, LandPlan};
use super::writing::Writing;
use crate::{Worlds, stored};

/// The event by which nodes tell each other what was written.
const EVENT: &str = "world:land";
/// Chunks that are read at once.
const READ_AT_ONCE: usize = 32;
/// Chunks that wait to be read; those of whom nobody knows then are asked for again.
const MAX_WANTED: usize = 8_192;
/// Before the store is asked again that could not be read.
const AGAIN: Duration = Duration::from_millis(500);
/// How often all that is in memory is read again, where there are other nodes.
const RECHECK: Duration = Duration::from_secs(10);

/// The lands of this node, by world: each for as long as somebody has it.
#[derive(Default)]
pub(crate) struct Grounds(Mutex<FxHashMap<Arc<str>, Weak<Ground>>>);

/// What was written.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Word {
    pub world: Arc<str>,
    pub chunks: Vec<Coords>,
}

/// A world's land at work.
pub(crate) struct Ground {
    pub(super) world: Arc<str>,
    pub(super) namespace: Namespace,
    pub(super) store: Store,
    pub(super) plan: Arc<LandPlan>,
    land: RwLock<Land>,
    wanted: Mutex<Wanted>,
    pub(super) writing: Writing,
}

#[derive(Default)]
struct Wanted {
    chunks: FxHashSet<Coords>,
    /// In the order in which they were asked for.
    queue: Vec<Coords>,
    reading: bool,
    /// How often something was called old. What was read before that is read again.
    called_old: u64,
}

/// The collection of a world's land. Keys are the coordinates, and behind them the name of a layer.
pub(super) fn collection(world: &str) -> String {
    format!("world_land:{world}")
}

/// The key of a chunk's cells, or of a layer of it.
pub(super) fn key(plan: &LandPlan, at: Coords, layer: u8) -> String {
    let axes: Vec<String> = at.iter().take(plan.axes()).map(i32::to_string).collect();
    match usize::from(layer)
        .checked_sub(1)
        .and_then(|place| plan.layers.get(place))
    {
        Some(name) => format!("{}/{name}", axes.join(",")),
        None => axes.join(","),
    }
}

/// Hears what other nodes have written.
pub(crate) fn install(worlds: &Worlds) {
    let module = worlds.clone();
    worlds
        .0
        .namespace
        .on_server_event(EVENT, async move |event| {
            if let Ok(Word { world, chunks }) = event.args::<Word>()
                && let Some(ground) = module.0.grounds.get(&world)
            {
                ground.call_old(&chunks);
            }
        });
}

impl Grounds {
    fn get(&self, world: &str) -> Option<Arc<Ground>> {
        self.0.lock().get(world)?.upgrade()
    }

    /// The land of a world that has some.
    pub(crate) fn of(&self, worlds: &Worlds, world: &str, plan: &LandPlan) -> Arc<Ground> {
        let mut grounds = self.0.lock();
        if let Some(ground) = grounds.get(world).and_then(Weak::upgrade)
            && *ground.plan == *plan
        {
            return ground;
        }
        grounds.retain(|_, ground| ground.strong_count() > 0);
        let (world, plan): (Arc<str>, _) = (world.into(), Arc::new(plan.clone()));
        let ground = Arc::new(Ground {
            world: Arc::clone(&world),
            namespace: worlds.0.namespace.clone(),
            store: worlds.0.store.clone(),
            land: RwLock::new(Land::new(
                Arc::clone(&plan),
                worlds.0.config.land_cache_bytes,
            )),
            plan,
            wanted: Mutex::default(),
            writing: Writing::default(),
        });
        grounds.insert(world, Arc::downgrade(&ground));
        ground
    }

    /// A world is no more: one of its name begins with nothing in memory.
    pub(crate) fn forget(&self, world: &str) {
        self.0.lock().remove(world);
    }

    /// Chunks in memory, and what they take.
    pub(crate) fn figures(&self) -> (usize, usize) {
        let grounds: Vec<_> = self.0.lock().values().filter_map(Weak::upgrade).collect();
        let lands = grounds.iter().map(|ground| ground.land.read());
        lands.fold((0, 0), |(chunks, bytes), land| {
            (chunks + land.len(), bytes + land.bytes())
        })
    }
}

impl Ground {
    /// What is in memory. Others wait until it's let go.
    pub(crate) fn land(&self) -> &RwLock<Land> {
        &self.land
    }

    /// Has chunks read that are to be shown.
    pub(crate) fn want(self: &Arc<Self>, chunks: Vec<Coords>) {
        if chunks.is_empty() {
            return;
        }
        let start = {
            let mut wanted = self.wanted.lock();
            for at in chunks {
                if wanted.chunks.len() < MAX_WANTED && wanted.chunks.insert(at) {
                    wanted.queue.push(at);
                }
            }
            !wanted.queue.is_empty() && !std::mem::replace(&mut wanted.reading, true)
        };
        if start {
            tokio::spawn(read(Reading(Arc::clone(self))));
        }
    }

    /// Some of the wanted chunks; `None`: there are none, and the reading is over.
    fn take_wanted(&self) -> Option<(Vec<Coords>, u64)> {
        let mut wanted = self.wanted.lock();
        let len = wanted.queue.len().min(READ_AT_ONCE);
        if len == 0 {
            wanted.reading = false;
            return None;
        }
        Some((wanted.queue.drain(..len).collect(), wanted.called_old))
    }

    /// Chunks as the store has them.
    pub(super) async fn read_chunks(
        &self,
        chunks: &[Coords],
    ) -> Result<Vec<(Coords, Chunk)>, lakh_hub::Failure> {
        let collection = collection(&self.world);
        let layers = 0..=self.plan.layers.len() as u8;
        let queries = chunks.iter().flat_map(|at| {
            let key = |layer| key(&self.plan, *at, layer);
            layers.clone().map(key).map(|key| Query::Get {
                collection: collection.clone(),
                key,
            })
        });
        let now = self.namespace.hub().wall_ms();
        let reading = self.store.read(now, queries.collect());
        let answers = reading.await.map_err(|error| stored::not_read(&error))?;
        let mut answers = answers.into_iter();
        let read = chunks.iter().map(|at| {
            let mut chunk = Chunk::new(&self.plan);
            for layer in layers.clone() {
                let Some(Answer::Document(Some(document))) = answers.next() else {
                    continue;
                };
                let (value, version) = (&document.value, document.version);
                let read = match layer {
                    0 => Chunk::read(&self.plan, value, version).map(|read| chunk = read),
                    _ => Part::read(value, version).map(|part| chunk.put_part(layer, part)),
                };
                if let Err(error) = read {
                    tracing::error!(%error, world = %self.world, ?at, "stored land can't be read");
                    return Err(lakh_hub::Failure::new(
                        "internal",
                        "what is stored of this land can't be read",
                    ));
                }
            }
            Ok((*at, chunk))
        });
        read.collect()
    }

    /// Other nodes have written these.
    fn call_old(&self, chunks: &[Coords]) {
        self.wanted.lock().called_old += 1;
        let mut land = self.land.write();
        for at in chunks {
            land.forget(*at);
        }
    }

    /// Tells other nodes what was written here.
    pub(super) fn announce(&self, chunks: Vec<Coords>) {
        let world = Arc::clone(&self.world);
        if let Err(error) = self
            .namespace
            .server_side_emit(EVENT, &Word { world, chunks })
        {
            tracing::warn!(%error, "what became of land can't be written for other nodes");
        }
    }

    /// Reads all that is in sight again every now and then, where there are other nodes: their words may be lost.
    pub(crate) fn keep_true(self: &Arc<Self>) {
        if self.namespace.hub().cluster_state().is_none() {
            return;
        }
        let ground = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(RECHECK).await;
                let Some(ground) = ground.upgrade() else {
                    return;
                };
                ground.wanted.lock().called_old += 1;
                ground.land.write().forget_all();
            }
        });
    }
}

/// Lets another reader be started when this one is cut off: its loop has ended.
struct Reading(Arc<Ground>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.wanted.lock().reading = false;
    }
}

async fn read(reading: Reading) {
    let ground = &reading.0;
    while let Some((chunks, called_old)) = ground.take_wanted() {
        let read = ground.read_chunks(&chunks).await;
        let is_old = {
            let mut wanted = ground.wanted.lock();
            for at in &chunks {
                wanted.chunks.remove(at);
            }
            wanted.called_old != called_old
        };
        match read {
            // Those who see it ask for it again.
            Ok(_) if is_old => {}
            Ok(read) => {
                let mut land = ground.land.write();
                for (at, chunk) in read {
                    land.put(at, Arc::new(chunk));
                }
            }
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}
