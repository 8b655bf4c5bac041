//! Which node has a world: a word in the store, which its owner says anew twice a second.
//!
//! Collection `world_owners`: the owner's name, a separator and a number of its own, under the world's name. No clocks are
//! compared: whoever waits watches whether the word changes. What must hold:
//!
//! * An owner that could not say its word believes in it for less long than the others wait.
//! * What a former owner still writes is refused: each write is bound to the version of the word.
//! * The version at which it was taken grows with each owner: it's the world's epoch.

use std::sync::Arc;
use std::time::Duration;

use lakh_hub::store::{Applied, Batch, Condition, Document, WriteError};
use lakh_hub::{Bytes, Failure};
use parking_lot::Mutex;

use crate::{Worlds, stored};

const OWNERS: &str = "world_owners";
/// How often an owner says that it's there.
pub(crate) const BEAT: Duration = Duration::from_millis(450);
/// How often the others look, and after how many looks without a change an owner is taken for gone: 1.8 seconds.
pub(crate) const LOOK: Duration = Duration::from_millis(300);
pub(crate) const SILENT_LOOKS: u32 = 6;
/// How long an owner believes in a word that it could not renew.
const PATIENCE: Duration = Duration::from_millis(1_400);
const MARK: char = '\u{1f}';

/// A world that this node has.
#[derive(Debug)]
pub(crate) struct Lease {
    world: Box<str>,
    pub(crate) word: Bytes,
    pub(crate) epoch: u64,
    /// Of the word in the store. One write at a time: each is bound to the one before.
    version: tokio::sync::Mutex<u64>,
    /// Until when it's believed in, by the hub's clock; `None`: it's lost.
    until: Mutex<Option<Duration>>,
}

/// Who has a world, as far as the store says.
#[derive(Debug)]
pub(crate) enum Owner {
    /// This node, from now on.
    Here(Arc<Lease>),
    /// Another one.
    There {
        /// Its name.
        node: String,
        /// The version of its word.
        version: u64,
    },
}

fn name_in(word: &Document) -> String {
    let text = String::from_utf8_lossy(&word.value).into_owned();
    let end = text.find(MARK).unwrap_or(text.len());
    text[..end].to_owned()
}

/// Looks who has a world, and takes it if nobody has. `silent` is the version of a word whose owner is gone, `own` a word
/// of this node's that it could not say for a while.
///
/// # Errors
/// `unavailable`.
pub(crate) async fn look(
    worlds: &Worlds,
    world: &str,
    silent: Option<u64>,
    own: Option<&Bytes>,
) -> Result<Owner, Failure> {
    loop {
        let found = stored::get(worlds, OWNERS, world).await?;
        let condition = match &found {
            None => Condition::Absent,
            Some(word) if Some(word.version) == silent || Some(&word.value) == own => {
                Condition::Version(word.version)
            }
            Some(word) => {
                return Ok(Owner::There {
                    node: name_in(word),
                    version: word.version,
                });
            }
        };
        if let Some(lease) = take(worlds, world, condition).await? {
            return Ok(Owner::Here(Arc::new(lease)));
        }
    }
}

async fn take(
    worlds: &Worlds,
    world: &str,
    condition: Condition,
) -> Result<Option<Lease>, Failure> {
    let node = &worlds.hub().settings().node;
    let word = Bytes::from(format!("{node}{MARK}{:08x}", worlds.hub().random()));
    // Counted from before the word is given, as others count from after it.
    let until = worlds.clock() + PATIENCE;
    let batch = Batch::new(worlds.now_ms()).put(OWNERS, world, word.clone(), condition, None);
    match worlds.0.store.write(batch).await {
        Ok(applied) => Ok(version_of(&applied).map(|version| Lease {
            world: world.into(),
            word,
            epoch: version,
            version: tokio::sync::Mutex::new(version),
            until: Mutex::new(Some(until)),
        })),
        Err(WriteError::Conflict { .. }) => Ok(None),
        Err(error) => Err(stored::not_written(&error)),
    }
}

fn version_of(applied: &[Applied]) -> Option<u64> {
    match applied.last() {
        Some(Applied::Put { version }) => Some(*version),
        _ => None,
    }
}

impl Lease {
    /// Whether this node still has the world.
    pub(crate) fn is_held(&self, now: Duration) -> bool {
        self.until.lock().is_some_and(|until| now < until)
    }

    /// Writes something, and says the word anew; `false` if it was not written. Nothing is if another node has the world.
    pub(crate) async fn write(&self, worlds: &Worlds, batch: Batch) -> bool {
        let mut version = self.version.lock().await;
        let until = worlds.clock() + PATIENCE;
        let condition = Condition::Version(*version);
        let batch = batch.put(OWNERS, &self.world, self.word.clone(), condition, None);
        match worlds.0.store.write(batch).await {
            Ok(applied) => {
                *version = version_of(&applied).unwrap_or(*version);
                let mut kept = self.until.lock();
                *kept = kept.map(|_| until);
                true
            }
            Err(WriteError::Conflict { .. }) => {
                // It may be that an earlier write of this node was stored and its answer lost.
                match stored::get(worlds, OWNERS, &self.world).await {
                    Ok(Some(found)) if found.value == self.word => *version = found.version,
                    Ok(_) => *self.until.lock() = None,
                    Err(_) => {}
                }
                false
            }
            Err(error) => {
                tracing::warn!(%error, world = &*self.world, "the word of a world's owner was not stored");
                false
            }
        }
    }

    /// Gives the world back: another node may have it at once.
    pub(crate) async fn release(&self, worlds: &Worlds) {
        let version = *self.version.lock().await;
        *self.until.lock() = None;
        let batch = Batch::new(worlds.now_ms());
        let batch = batch.delete(OWNERS, &self.world, Condition::Version(version));
        // If it isn't stored the others wait for as long as if this node had been killed.
        let _ = worlds.0.store.write(batch).await;
    }
}
