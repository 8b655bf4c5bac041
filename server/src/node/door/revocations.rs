//! What was taken back, kept in the store and told to the other nodes.
//!
//! What must hold: from the moment that [`Revocations::revoke`] is called nobody comes in to this node with what was taken
//! back, and whoever is in is thrown out; after it has come back well, that holds over restarts. Other nodes hear it by an
//! event between servers, and read it from the store that they share. So a node hears of it if it has one of the two.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use lakh_auth::{Principal, Revocation, RevocationError, Revoked};
use lakh_hub::{Bytes, Hub, Namespace, ServerEvent, Socket};
use lakh_store::{Batch, Condition, ReadError, Scan, Store, WriteError};
use parking_lot::RwLock;
use tokio::sync::{Notify, watch};

use super::{DoorOptions, leave};
use crate::config::Settings;
use crate::node::modules::namespace;

/// Where entries stand in the store, by the time at which they came.
const COLLECTION: &str = "revocations";
/// The event between servers.
const TOLD: &str = "lakh:revoked";
/// By which a node that comes new asks the others.
const ASKED: &str = "lakh:revocations";
/// How long they may take to answer.
const ANSWER: Duration = Duration::from_secs(2);
/// How often a shared store is looked into where nodes hear nothing from each other.
const LOOK: Duration = Duration::from_millis(400);
/// The same where they do: a word may be lost while Redis is away.
const LOOK_BESIDE: Duration = Duration::from_secs(5);
/// What came this long before a look is read again: clocks of nodes differ, and commits take their time.
const OVERLAP_MS: u64 = 60_000;
/// Looks after which all is read again, whatever the clocks say.
const LOOKS_UNTIL_ALL: u32 = 300;
/// Rest between two looks at all sockets.
const REST: Duration = Duration::from_millis(20);

/// Why something could not be taken back.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// It is no entry, or there is no room for it.
    #[error(transparent)]
    Refused(#[from] RevocationError),
    /// It would have ended before it begins.
    #[error("`until` has passed: there is nothing to take back")]
    Past,
    /// It holds on the nodes that were reached, but would not survive a restart.
    #[error(
        "it holds now on the nodes that were reached, but the store did not keep it; try again: {0}"
    )]
    NotKept(#[from] WriteError),
}

impl RevokeError {
    /// For programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(RevocationError::Full(_)) => "too_many",
            Self::Refused(RevocationError::BadId) | Self::Past => "bad_request",
            Self::NotKept(_) => "unavailable",
        }
    }
}

/// What was taken back on this node and, as far as they were heard, on the others.
pub struct Revocations {
    set: RwLock<lakh_auth::Revocations>,
    store: Store,
    hub: Hub,
    now_ms: fn() -> u64,
    /// How long an entry is kept of which nobody said for how long.
    keep_s: u64,
    /// Namespaces that other nodes are told in.
    namespaces: Vec<Namespace>,
    /// Something new is in the set.
    changed: Notify,
    /// The same, for whoever else holds a connection open for somebody.
    news: watch::Sender<()>,
    thrown_out: AtomicU64,
    /// What else is looked at in a socket that stays.
    also: OnceLock<Look>,
}

type Look = Box<dyn Fn(&Socket) + Send + Sync>;

impl std::fmt::Debug for Revocations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Revocations")
            .field("entries", &self.set.read().len())
            .finish_non_exhaustive()
    }
}

impl Revocations {
    /// An empty set that keeps its entries there. `now_ms` gives the time in milliseconds since 1970.
    #[must_use]
    pub fn new(hub: &Hub, store: &Store, settings: &Settings, now_ms: fn() -> u64) -> Arc<Self> {
        let options = DoorOptions::new(&settings.auth);
        let modules = settings.server.modules.iter();
        Arc::new(Self {
            set: RwLock::new(lakh_auth::Revocations::new(options.max_revocations)),
            store: store.clone(),
            hub: hub.clone(),
            now_ms,
            keep_s: options.keep_s,
            namespaces: modules.map(|module| hub.of(namespace(*module))).collect(),
            changed: Notify::new(),
            news: watch::Sender::new(()),
            thrown_out: AtomicU64::new(0),
            also: OnceLock::new(),
        })
    }

    /// Takes something back: now on this node, and on the others as soon as they hear of it. Until when the entry is kept
    /// (in seconds since 1970) may be left to the settings; give it the end of the token, if that is known.
    ///
    /// # Errors
    /// [`RevokeError`]. After `NotKept` it holds all the same, and is to be tried again.
    pub async fn revoke(
        &self,
        what: Revoked,
        until_s: Option<u64>,
    ) -> Result<Revocation, RevokeError> {
        let now_s = self.now_s();
        let until_s = until_s.unwrap_or_else(|| now_s.saturating_add(self.keep_s));
        if until_s <= now_s {
            return Err(RevokeError::Past);
        }
        let entry = Revocation { what, until_s };
        self.set.write().add(entry.clone(), now_s)?;
        self.changed.notify_one();
        self.tell(&[&entry]);
        // Written again if it was there already: then the first attempt may not have been kept.
        self.keep(std::slice::from_ref(&entry)).await?;
        tracing::info!(what = ?entry.what, until_s, "taken back");
        Ok(entry)
    }

    /// Has this done with each socket that stays, whenever something was taken back: it may have been let into more than the
    /// namespace. The first to say so counts.
    pub fn also_look(&self, look: impl Fn(&Socket) + Send + Sync + 'static) {
        if self.also.set(Box::new(look)).is_err() {
            tracing::error!("only one module hears what is taken back");
        }
    }

    /// All that is taken back now.
    #[must_use]
    pub fn list(&self) -> Vec<Revocation> {
        let now_s = self.now_s();
        self.set.write().forget(now_s);
        self.set.read().entries().collect()
    }

    /// Whether what somebody signed in with was taken back.
    #[must_use]
    pub fn is_revoked(&self, principal: &Principal) -> bool {
        self.set.read().is_revoked(principal)
    }

    /// How many entries there are, and how many sockets were thrown out by them.
    #[must_use]
    pub fn counts(&self) -> (usize, u64) {
        let entries = self.set.read().len();
        (entries, self.thrown_out.load(Ordering::Relaxed))
    }

    /// Changes each time that something was taken back, here or on another node.
    #[must_use]
    pub fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    fn now_s(&self) -> u64 {
        (self.now_ms)() / 1_000
    }

    fn tell(&self, entries: &[&Revocation]) {
        for namespace in &self.namespaces {
            // Text and numbers: this can't fail.
            let _ = namespace.server_side_emit(TOLD, &(entries,));
        }
    }

    async fn keep(&self, entries: &[Revocation]) -> Result<(), WriteError> {
        let now_ms = (self.now_ms)();
        let mut batch = Batch::new(now_ms);
        for (index, entry) in entries.iter().enumerate() {
            // Text and numbers: this can't fail.
            let value = serde_json::to_vec(entry).unwrap_or_default();
            // What stores take for a time.
            let ends_ms = entry.until_s.saturating_mul(1_000).min(i64::MAX as u64);
            // What came later stands behind, so that a reader finds what is new.
            let key = format!("{}{:08x}{index}", time_of(now_ms), self.hub.random());
            let value = Bytes::from(value);
            batch = batch.put(COLLECTION, &key, value, Condition::Any, Some(ends_ms));
        }
        self.store.write(batch).await.map(drop)
    }

    /// Takes in what others say. What is new here.
    fn hear(&self, entries: impl IntoIterator<Item = Revocation>) -> Vec<Revocation> {
        let now_s = self.now_s();
        let mut set = self.set.write();
        let mut new = Vec::new();
        for entry in entries {
            match set.add(entry.clone(), now_s) {
                Ok(true) => new.push(entry),
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "a revocation of another node was not taken"),
            }
        }
        drop(set);
        if !new.is_empty() {
            self.changed.notify_one();
        }
        new
    }

    /// Reads what came at that time or later.
    async fn read_since(&self, since_ms: u64) -> Result<(), ReadError> {
        let mut scan = Scan {
            from: Some(time_of(since_ms)),
            limit: lakh_store::MAX_PAGE,
            ..Scan::default()
        };
        loop {
            let page = self.store.scan((self.now_ms)(), COLLECTION, scan.clone());
            let page = page.await?;
            let read = |value: &[u8]| serde_json::from_slice::<Revocation>(value).ok();
            self.hear(page.items.iter().filter_map(|(_, doc)| read(&doc.value)));
            match page.next {
                Some(next) => scan.after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Throws out whoever came in with what was taken back, each time that something was.
    async fn throw_out(self: Arc<Self>) {
        loop {
            self.changed.notified().await;
            self.news.send_replace(());
            let revocations = Arc::clone(&self);
            self.hub.visit_sockets(move |socket| {
                if !revocations.look_at(socket)
                    && let Some(also) = revocations.also.get()
                {
                    also(socket);
                }
            });
            // What comes meanwhile is seen by one look more.
            tokio::time::sleep(REST).await;
        }
    }

    /// Throws a socket out if what it came with was taken back.
    pub(super) fn look_at(&self, socket: &Socket) -> bool {
        let principal = socket.get::<Principal>();
        let revoked = principal.is_some_and(|principal| self.is_revoked(&principal));
        if revoked && socket.is_connected() {
            self.thrown_out.fetch_add(1, Ordering::Relaxed);
            leave(
                socket,
                "auth:revoked",
                &serde_json::json!({ "code": "revoked" }),
            );
        }
        revoked
    }

    /// Looks into the store that other nodes write to, too.
    async fn look(self: Arc<Self>, every: Duration) {
        let mut looks = 0;
        loop {
            tokio::time::sleep(every).await;
            looks = (looks + 1) % LOOKS_UNTIL_ALL;
            let since_ms = match looks {
                0 => 0,
                _ => (self.now_ms)().saturating_sub(OVERLAP_MS),
            };
            if let Err(error) = self.read_since(since_ms).await {
                tracing::debug!(%error, "revocations could not be read; they are read again soon");
            }
        }
    }

    /// Asks the other nodes, where the store is this node's own.
    async fn ask(self: Arc<Self>) {
        let mut heard = HashSet::new();
        for namespace in &self.namespaces {
            let asked = namespace.server_side_emit_with_ack::<Vec<Revocation>>(ASKED, &(), ANSWER);
            if let Ok(answers) = asked.await {
                heard.extend(answers.answers.into_iter().flatten());
            }
        }
        self.hear_and_keep(heard).await;
    }

    async fn hear_and_keep(&self, entries: impl IntoIterator<Item = Revocation>) {
        let new = self.hear(entries);
        for some in new.chunks(1_000) {
            if let Err(error) = self.keep(some).await {
                tracing::warn!(%error, "revocations of other nodes hold, but would not survive a restart");
            }
        }
    }
}

fn time_of(ms: u64) -> String {
    format!("{ms:015}:")
}

/// Begins to hear what other nodes take back. To be called before the sockets are there, on the runtime that shall look
/// after it.
///
/// # Errors
/// If what was taken back can't be read: then nobody may come in.
pub async fn serve(
    revocations: &Arc<Revocations>,
    store_is_shared: bool,
    has_link: bool,
) -> anyhow::Result<()> {
    for namespace in &revocations.namespaces {
        let told = Arc::clone(revocations);
        namespace.on_server_event(TOLD, async move |event: ServerEvent| {
            match event.args::<(Vec<Revocation>,)>() {
                Ok((entries,)) if store_is_shared => drop(told.hear(entries)),
                Ok((entries,)) => told.hear_and_keep(entries).await,
                Err(error) => {
                    tracing::warn!(%error, "revocations of another node were not understood");
                }
            }
        });
        let asked = Arc::clone(revocations);
        namespace.on_server_event(ASKED, async move |event: ServerEvent| {
            // Text and numbers: this can't fail.
            let _ = event.answer(&asked.list());
        });
    }
    let read = revocations.read_since(0).await;
    read.context("what was taken back can't be read from the store")?;
    tokio::spawn(Arc::clone(revocations).throw_out());
    if store_is_shared {
        let every = if has_link { LOOK_BESIDE } else { LOOK };
        tokio::spawn(Arc::clone(revocations).look(every));
    } else if has_link {
        tokio::spawn(Arc::clone(revocations).ask());
    }
    Ok(())
}
