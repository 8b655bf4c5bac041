//! No two nodes of a fleet bear names with the same beginning: it stands in every session id, and requests are routed by it.
//!
//! A node says in the shared store that a beginning is its own, and says so again every second. One that finds another's
//! word there watches whether it is renewed: no clocks are compared. So a node that was killed is followed by its successor
//! after a few seconds; one that ended gave its name back.

use std::convert::Infallible;
use std::time::Duration;

use lakh_hub::NodeTag;
use lakh_store::{Condition, Document, ReadError, Scan, Store, WriteError};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};

use crate::http::health::Check;

/// How often a node says that it is there.
const BEAT: Duration = Duration::from_secs(1);
/// After how many beats without a word a node is taken for gone.
const SILENT_BEATS: u32 = 4;
/// How long giving the name back may take.
const FAREWELL: Duration = Duration::from_secs(2);
/// Where the names stand in the store.
const COLLECTION: &str = "nodes";
/// When the word of a node that was killed is removed, far beyond what clocks may differ by.
const KEEP_MS: u64 = 24 * 60 * 60 * 1_000;

/// What stands in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Bearer {
    name: String,
    /// Tells two processes of one name apart.
    run: String,
}

/// Why a name can't be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClaimError {
    /// Another node has one that begins like it.
    #[error(
        "the node `{other}` runs, and its name begins with `{tag}` as this one's does: the first three characters of a \
         name stand in every session id, so give each node others (--node)"
    )]
    Taken {
        /// The other node's name.
        other: String,
        /// The beginning.
        tag: String,
    },
    /// The store doesn't take it.
    #[error("the node's name could not be claimed: {0}")]
    Write(#[from] WriteError),
    /// The system has no random bytes.
    #[error(transparent)]
    Random(#[from] NoRandom),
}

/// No name can be made.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random numbers: {0}")]
pub struct NoRandom(pub(super) getrandom::Error);

/// A name whose beginning is this node's alone.
pub(super) struct NodeName {
    store: Store,
    tag: String,
    bearer: Bearer,
    now_ms: fn() -> u64,
    held: Mutex<Held>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Held {
    /// Ours, in this version.
    Own(u64),
    /// Another node's, whose name is this.
    Others(String),
}

/// Another's word, and for how many beats it hasn't been renewed.
#[derive(Debug, Default)]
struct Watched(Option<(u64, u32)>);

impl Watched {
    /// Whether its bearer has spoken between two looks, and whether it has been silent for long enough.
    fn look(&mut self, version: u64) -> (bool, bool) {
        let (spoke, silent) = match self.0 {
            Some((seen, silent)) if seen == version => (false, silent + 1),
            before => (before.is_some(), 0),
        };
        self.0 = Some((version, silent));
        (spoke, silent >= SILENT_BEATS)
    }
}

/// What one look gave.
enum Look {
    Own(u64),
    Others { name: String, spoke: bool },
    Away(String),
}

impl std::fmt::Debug for NodeName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NodeName({})", self.bearer.name)
    }
}

impl NodeName {
    /// Claims the beginning of a name. Waits for as long as the store can't be reached.
    pub(super) async fn claim(
        store: Store,
        name: String,
        now_ms: fn() -> u64,
    ) -> Result<Self, ClaimError> {
        let this = Self {
            store,
            tag: NodeTag::from_name(&name).as_str().to_owned(),
            bearer: Bearer {
                name,
                run: random_name()? + &random_name()?,
            },
            now_ms,
            held: Mutex::new(Held::Own(0)),
        };
        let mut watched = Watched::default();
        let mut told = false;
        loop {
            match this.look(&mut watched).await? {
                Look::Own(version) => {
                    *this.held.lock() = Held::Own(version);
                    return Ok(this);
                }
                Look::Others { name, spoke: true } => {
                    return Err(ClaimError::Taken {
                        other: name,
                        tag: this.tag,
                    });
                }
                Look::Others { name, .. } => {
                    if !told {
                        let wait_s = (BEAT * SILENT_BEATS).as_secs();
                        tracing::info!(
                            name,
                            wait_s,
                            "a node of before has not given its name back: waiting to see whether it still runs"
                        );
                    }
                    told = true;
                }
                Look::Away(reason) => tracing::debug!(reason, "the name waits for the store"),
            }
            sleep(BEAT).await;
        }
    }

    /// The name.
    pub(super) fn name(&self) -> &str {
        &self.bearer.name
    }

    /// Says that this node is there, every second, for as long as it is polled.
    pub(super) async fn keep(&self) -> Infallible {
        let mut watched = Watched::default();
        loop {
            sleep(BEAT).await;
            self.beat(&mut watched).await;
        }
    }

    async fn beat(&self, watched: &mut Watched) {
        let before = self.held.lock().clone();
        if let Held::Own(version) = before {
            match self.put(Condition::Version(version)).await {
                Ok(version) => return *self.held.lock() = Held::Own(version),
                // Somebody else's, or gone with what Redis lost, or ours by a write whose answer was lost.
                Err(WriteError::Conflict { .. }) => *watched = Watched::default(),
                // The store says itself what the matter is.
                Err(_) => return,
            }
        }
        let after = match self.look(watched).await {
            Ok(Look::Own(version)) => Held::Own(version),
            Ok(Look::Others { name, .. }) => Held::Others(name),
            Ok(Look::Away(_)) | Err(_) => return,
        };
        match (&before, &after) {
            (Held::Own(_), Held::Others(other)) => tracing::error!(
                other,
                tag = self.tag,
                "another node has taken the beginning of this one's name: no new clients come here; give each node \
                 another --node"
            ),
            (Held::Others(other), Held::Own(_)) => {
                tracing::info!(other, tag = self.tag, "the node's name is its own again");
            }
            _ => {}
        }
        *self.held.lock() = after;
    }

    /// Takes the beginning if it is nobody's, or was somebody's who is gone.
    async fn look(&self, watched: &mut Watched) -> Result<Look, ClaimError> {
        let found = match self.store.get((self.now_ms)(), COLLECTION, &self.tag).await {
            Ok(found) => found,
            Err(error) => return Ok(away(&error)),
        };
        let condition = match found {
            None => Condition::Absent,
            Some(Document { version, value, .. }) => {
                let name = match serde_json::from_slice::<Bearer>(&value) {
                    Ok(other) if other == self.bearer => return Ok(Look::Own(version)),
                    Ok(other) => other.name,
                    // Not of this program; whoever it is has to be silent first.
                    Err(_) => "?".to_owned(),
                };
                let (spoke, silent) = watched.look(version);
                if !silent {
                    return Ok(Look::Others { name, spoke });
                }
                Condition::Version(version)
            }
        };
        match self.put(condition).await {
            Ok(version) => Ok(Look::Own(version)),
            Err(
                error @ (WriteError::Conflict { .. }
                | WriteError::Unavailable(_)
                | WriteError::Unknown(_)
                | WriteError::Busy),
            ) => Ok(Look::Away(error.to_string())),
            Err(error) => Err(error.into()),
        }
    }

    async fn put(&self, condition: Condition) -> Result<u64, WriteError> {
        let value = serde_json::to_vec(&self.bearer).unwrap_or_default();
        let now_ms = (self.now_ms)();
        let put = self.store.put(
            now_ms,
            COLLECTION,
            &self.tag,
            value.into(),
            condition,
            Some(now_ms + KEEP_MS),
        );
        put.await
    }

    /// Gives the name back, so that the next who bears it needn't wait.
    pub(super) async fn release(&self) {
        let Held::Own(version) = *self.held.lock() else {
            return;
        };
        // Who comes next waits a little if this fails.
        let _ = timeout(FAREWELL, self.give_back(version)).await;
    }

    async fn give_back(&self, version: u64) -> Result<(), ClaimError> {
        let deleted = self.delete(version).await;
        if matches!(deleted, Err(WriteError::Conflict { .. })) {
            // The last beat was given up while it was on its way: it may have been written.
            let own = self.look(&mut Watched::default()).await?;
            if let Look::Own(version) = own {
                self.delete(version).await?;
            }
        }
        Ok(())
    }

    async fn delete(&self, version: u64) -> Result<(), WriteError> {
        let condition = Condition::Version(version);
        let now_ms = (self.now_ms)();
        let delete = self.store.delete(now_ms, COLLECTION, &self.tag, condition);
        delete.await.map(drop)
    }

    /// Whether the name is still this node's alone.
    pub(super) fn check(&self) -> Check {
        let detail = match &*self.held.lock() {
            Held::Own(_) => None,
            Held::Others(other) => Some(format!(
                "the node `{other}` has taken `{}`, the beginning of this one's name",
                self.tag
            )),
        };
        Check::of_a_need("name", detail)
    }
}

/// Names of nodes that have said lately that they run. For people: clocks are compared, generously, so one that was killed
/// is named for a minute.
pub(super) async fn known(store: &Store, now_ms: u64) -> Vec<String> {
    const LATELY_MS: u64 = 60_000;
    let scan = Scan::default().limit(lakh_store::MAX_PAGE);
    let Ok(page) = store.scan(now_ms, COLLECTION, scan).await else {
        return Vec::new();
    };
    let lately = |document: &Document| {
        let said_ms = document
            .expires_at_ms
            .unwrap_or_default()
            .saturating_sub(KEEP_MS);
        said_ms.saturating_add(LATELY_MS) >= now_ms
    };
    let documents = page.items.iter().map(|(_, document)| document);
    let bearers = documents
        .filter(|document| lately(document))
        .filter_map(|document| serde_json::from_slice::<Bearer>(&document.value).ok());
    bearers.map(|bearer| bearer.name).collect()
}

fn away(error: &ReadError) -> Look {
    Look::Away(error.to_string())
}

/// A name made of random letters: its beginning tells nodes apart, so no prefix stands before it.
pub fn random_name() -> Result<String, NoRandom> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut random = [0; 6];
    getrandom::fill(&mut random).map_err(NoRandom)?;
    let letter = |byte: u8| char::from(LETTERS[usize::from(byte % 32)]);
    Ok(random.into_iter().map(letter).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn claim(
        store: &Store,
        name: &str,
    ) -> impl Future<Output = Result<NodeName, ClaimError>> + use<> {
        NodeName::claim(store.clone(), name.to_owned(), || 1_000)
    }

    fn kept(name: NodeName) -> (Arc<NodeName>, tokio::task::JoinHandle<()>) {
        let name = Arc::new(name);
        let keeper = Arc::clone(&name);
        let keeping = tokio::spawn(async move { match keeper.keep().await {} });
        (name, keeping)
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_begins_like_a_running_nodes_is_refused() {
        let store = Store::memory();
        let (first, _keeping) = kept(claim(&store, "n01-blue").await.unwrap());
        let refused = claim(&store, "n01-green").await.unwrap_err();
        let text = refused.to_string();
        assert!(text.contains("`n01-blue` runs"), "{text}");
        assert!(text.contains("begins with `n01`"), "{text}");
        assert!(claim(&store, "n02").await.is_ok());
        assert!(first.check().ok);
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_is_given_back_though_the_last_beat_was_not_heard_of() {
        let store = Store::memory();
        let first = claim(&store, "n01").await.unwrap();
        let Held::Own(version) = *first.held.lock() else {
            panic!("it is its own");
        };
        first.put(Condition::Version(version)).await.unwrap();
        first.release().await;
        let before = tokio::time::Instant::now();
        claim(&store, "n01").await.unwrap();
        assert!(before.elapsed().is_zero());
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_was_killed_is_followed_after_its_silence_and_one_that_ended_at_once() {
        let store = Store::memory();
        let (first, keeping) = kept(claim(&store, "n01").await.unwrap());
        keeping.abort();
        let _ = keeping.await;
        let before = tokio::time::Instant::now();
        let second = claim(&store, "n01").await.unwrap();
        assert_eq!(before.elapsed(), BEAT * SILENT_BEATS);
        // Nothing of what the first still does takes it away.
        first.release().await;
        first.beat(&mut Watched::default()).await;
        assert!(second.check().ok);
        let check = first.check();
        assert!(!check.ok);
        assert!(check.detail.unwrap().contains("`n01` has taken `n01`"));

        second.release().await;
        let before = tokio::time::Instant::now();
        assert!(claim(&store, "n01").await.is_ok());
        assert_eq!(before.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_was_stopped_takes_its_name_up_again_if_nobody_else_did() {
        let store = Store::memory();
        let first = claim(&store, "n01").await.unwrap();
        sleep(BEAT * 60).await;
        first.beat(&mut Watched::default()).await;
        assert!(first.check().ok);
        // Redis lost it.
        let lost = store.delete(0, COLLECTION, "n01", Condition::Any).await;
        assert_eq!(lost, Ok(true));
        first.beat(&mut Watched::default()).await;
        assert!(first.check().ok);
        assert!(store.get(0, COLLECTION, "n01").await.unwrap().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_was_taken_is_had_again_when_the_other_is_gone() {
        let store = Store::memory();
        let first = claim(&store, "n01").await.unwrap();
        let (second, second_keeps) = kept(claim(&store, "n01-b").await.unwrap());
        let (first, _keeping) = kept(first);
        sleep(BEAT * 10).await;
        assert!(!first.check().ok);
        assert!(second.check().ok);
        second_keeps.abort();
        sleep(BEAT * 10).await;
        assert!(first.check().ok);
    }
}
