//! What is stored of a world at work: entities that last, within a second of their change, and where people are.
//!
//! Collection `world_entities`: a [`Record`] as JSON under the world, a separator and the entity's number in ten digits.
//! Collection `world_people`: `[x,y]` or `[x,y,z]` under the world, a separator and the person's id.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lakh_hub::Failure;
use lakh_hub::store::{Batch, Condition, Scan};

use super::core::{Core, Record};
use super::live::Live;
use super::shapes::shown;
use crate::engine::entities::EntityId;
use crate::fleet::lease::Lease;
use crate::{Worlds, stored};

pub(super) const ENTITIES: &str = "world_entities";
pub(super) const PEOPLE: &str = "world_people";
/// Stands between a world's name and what is of it.
const MARK: char = '\u{1f}';
/// Entities of one commit, which others wait for.
const AT_ONCE: usize = 500;
const EVERY: Duration = Duration::from_millis(500);
/// How often it's noted where everybody is.
const PLACES_EVERY: Duration = Duration::from_secs(20);
const PAGE: usize = 500;

/// What all keys of a world begin with.
pub(super) fn keys_of(world: &str) -> String {
    format!("{world}{MARK}")
}

fn key_of(world: &str, entity: u32) -> String {
    format!("{world}{MARK}{entity:010}")
}

fn place_key(world: &str, person: &str) -> String {
    format!("{world}{MARK}{person}")
}

/// Where a person was in a world.
///
/// # Errors
/// `unavailable`.
pub(super) async fn place_of(
    worlds: &Worlds,
    world: &str,
    person: &str,
) -> Result<Option<[f64; 3]>, Failure> {
    let found = stored::get(worlds, PEOPLE, &place_key(world, person)).await?;
    let Some(document) = found else {
        return Ok(None);
    };
    let list: Vec<f64> = stored::read_record(&document.value)?;
    let mut place = [0.0; 3];
    let axes = list.len().min(3);
    place[..axes].copy_from_slice(&list[..axes]);
    Ok(Some(place))
}

/// Brings back what was stored.
///
/// # Errors
/// `unavailable`.
pub(super) async fn restore(worlds: &Worlds, world: &str, core: &mut Core) -> Result<(), Failure> {
    let (mut after, mut all) = (None, Vec::new());
    loop {
        let scan = Scan::prefix(&keys_of(world)).limit(PAGE).after(after);
        let page = stored::scan(worlds, ENTITIES, scan).await?;
        for (key, document) in page.items {
            let number = key.rsplit(MARK).next().and_then(|text| text.parse().ok());
            let Some(number) = number else { continue };
            all.push((number, stored::read_record::<Record>(&document.value)?));
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    all.sort_by_key(|(number, _)| EntityId(*number).place());
    for (number, record) in all {
        core.restore(number, record);
    }
    Ok(())
}

/// Writes now and then, one commit at a time.
pub(super) struct Saving {
    lease: Option<Arc<Lease>>,
    writing: Arc<AtomicBool>,
    next: Duration,
    places_next: Duration,
}

impl Saving {
    /// With the word that the world is this node's, where there are others.
    pub(super) fn new(lease: Option<Arc<Lease>>, now: Duration) -> Self {
        Self {
            lease,
            writing: Arc::default(),
            next: now + EVERY,
            places_next: now + PLACES_EVERY,
        }
    }

    /// To be called in each tick.
    pub(super) fn tick(&mut self, live: &Arc<Live>) {
        let now = live.worlds.clock();
        if now < self.next || self.writing.load(Ordering::Acquire) {
            return;
        }
        self.next = now + EVERY;
        if now >= self.places_next {
            self.places_next = now + PLACES_EVERY;
            live.with_core(super::core::Core::note_places);
        }
        self.write(live);
    }

    fn write(&self, live: &Arc<Live>) {
        let Some(batch) = gather(live) else {
            return;
        };
        self.writing.store(true, Ordering::Release);
        let (writing, live) = (Arc::clone(&self.writing), Arc::clone(live));
        let lease = self.lease.clone();
        tokio::task::spawn_local(async move {
            write(&live, lease.as_deref(), batch).await;
            writing.store(false, Ordering::Release);
        });
    }

    /// Whether nothing is on its way to the store: what is left can be written at the end.
    pub(super) fn is_at_rest(&self) -> bool {
        !self.writing.load(Ordering::Acquire)
    }

    /// Writes what is left when a world goes to rest; `false` if it can't. Of one that was deleted nothing is written.
    pub(super) async fn finish(&self, live: &Arc<Live>) -> bool {
        let still_there = super::make::exists(&live.worlds, &live.name).await;
        while let Some(batch) = gather(live) {
            if !still_there {
                return true;
            }
            if !write(live, self.lease.as_deref(), batch).await {
                return false;
            }
        }
        true
    }
}

/// The next commit, if there is something to store.
fn gather(live: &Live) -> Option<Batch> {
    let (entities, places) = {
        let taken = live.with_core(|core| (core.take_unsaved(AT_ONCE), core.take_places()));
        taken?
    };
    if entities.is_empty() && places.is_empty() {
        return None;
    }
    let mut batch = Batch::new(live.worlds.now_ms());
    for (entity, record) in entities {
        let key = key_of(&live.name, entity);
        batch = match record.map(|record| stored::write_record(&record)) {
            None => batch.delete(ENTITIES, &key, Condition::Any),
            Some(Ok(record)) => batch.put(ENTITIES, &key, record, Condition::Any, None),
            Some(Err(_)) => batch,
        };
    }
    let dims = live.plan.dims();
    for (person, at) in places {
        // Numbers can always be written.
        let place = serde_json::to_vec(&shown(at, dims)).unwrap_or_default();
        let key = place_key(&live.name, &person);
        batch = batch.put(PEOPLE, &key, place, Condition::Any, None);
    }
    Some(batch)
}

async fn write(live: &Live, lease: Option<&Lease>, batch: Batch) -> bool {
    let written = match lease {
        Some(lease) => lease.write(&live.worlds, batch).await,
        None => {
            let written = live.worlds.0.store.write(batch).await;
            if let Err(error) = &written {
                let world = &*live.name;
                tracing::warn!(%error, world, "a world is not stored yet; it is tried again");
            }
            written.is_ok()
        }
    };
    live.with_core(|core| core.saved(written));
    written
}
