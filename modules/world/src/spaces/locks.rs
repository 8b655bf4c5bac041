//! Locks of components. Each is a document in the store, which nodes compare and set: so two nodes never both say yes. It
//! expires there by itself, whatever becomes of its holder's node. What nodes tell each other is only news for members.
//!
//! Versions of documents grow, so of two words about one lock the one with the higher version is the later, in whatever
//! order they come; that a lock is free is told with the version that ended.

use std::collections::HashMap;
use std::sync::Arc;

use lakh_hub::presence::Ms;
use lakh_hub::store::{Condition, Document, Scan, WriteError};
use lakh_hub::{Attempts, Failure, Person, Socket};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::due::Item;
use super::{Spaces, hub_room};
use crate::stored;

/// The event by which nodes tell each other of locks.
const EVENT: &str = "world:locks";
/// How long it's remembered that a lock ended: until no older word of it is under way.
const REMEMBERED_MS: Ms = 10_000;
/// Before the store is asked again.
const AGAIN_MS: Ms = 1_000;
/// How often somebody looks after a lock that is held for long: so what waits for its time is no more than was asked for
/// within this.
const LOOK_MS: Ms = 60_000;
/// Locks that a node knows of at most; of others its members are told all the same, but not when they end by themselves.
const MAX_KNOWN: usize = 100_000;

/// Who holds a lock, as it's stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Lock {
    pub session: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Person>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Json>,
    /// Milliseconds since 1970.
    pub since: u64,
    pub until: u64,
}

/// What nodes tell each other.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Word {
    space: Arc<str>,
    component: Arc<str>,
    version: u64,
    lock: Option<Lock>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// What is known of a lock.
pub(super) struct Seen {
    version: u64,
    lock: Option<Lock>,
    /// When it ends, or when it may be forgotten that it did.
    until: Ms,
    /// When somebody looks after it.
    planned: Ms,
}

/// What this node knows, by space and component.
#[derive(Default)]
pub(super) struct Known {
    spaces: HashMap<Arc<str>, HashMap<Arc<str>, Seen>>,
    len: usize,
}

impl Known {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn get(&mut self, space: &str, component: &str) -> Option<&mut Seen> {
        self.spaces.get_mut(space)?.get_mut(component)
    }

    fn put(&mut self, space: &Arc<str>, component: &Arc<str>, seen: Seen) {
        let locks = self.spaces.entry(Arc::clone(space)).or_default();
        let is_new = locks.insert(Arc::clone(component), seen).is_none();
        self.len += usize::from(is_new);
    }

    fn remove(&mut self, space: &str, component: &str) {
        let Some(locks) = self.spaces.get_mut(space) else {
            return;
        };
        self.len -= usize::from(locks.remove(component).is_some());
        if locks.is_empty() {
            self.spaces.remove(space);
        }
    }

    /// The locks of a space that somebody holds.
    fn held(&self, space: &str) -> impl Iterator<Item = &Lock> {
        let locks = self.spaces.get(space).into_iter();
        locks.flat_map(|locks| locks.values().filter_map(|seen| seen.lock.as_ref()))
    }
}

fn collection(space: &str) -> String {
    format!("world_locks:{space}")
}

/// A lock as clients see it.
fn shown(component: &str, version: u64, lock: &Lock) -> Json {
    let mut shown = json!(lock);
    shown["component"] = component.into();
    shown["version"] = version.into();
    shown
}

fn read(document: &Document) -> Result<Lock, Failure> {
    stored::read_record(&document.value)
}

pub(super) fn install(spaces: &Spaces) {
    let module = spaces.clone();
    spaces
        .0
        .namespace
        .on_server_event(EVENT, async move |event| {
            if let Ok(word) = event.args::<Word>() {
                module.hear(&word);
            }
        });
}

impl Spaces {
    async fn stored_lock(&self, space: &str, component: &str) -> Result<Option<Document>, Failure> {
        let (now, collection) = (self.wall_ms(), collection(space));
        let reading = self.0.store.get(now, &collection, component);
        reading.await.map_err(|error| stored::not_read(&error))
    }

    /// Gives a member a lock, or more time with it.
    pub(super) async fn take_lock(
        &self,
        socket: &Socket,
        (space, component): (&str, &str),
        for_s: u64,
        data: Option<Json>,
    ) -> Result<Json, Failure> {
        let session = self.session(socket, space)?;
        let mut attempts = Attempts::default();
        while attempts.another().await {
            let now = self.wall_ms();
            let there = self.stored_lock(space, component).await?;
            let mut lock = Lock {
                session: session.to_string(),
                user: socket.get::<Person>().map(|person| Person::clone(&person)),
                data: data.clone(),
                since: now,
                until: now + for_s * 1_000,
            };
            let condition = match &there {
                None => {
                    self.check_room_for_lock(space)?;
                    Condition::Absent
                }
                Some(document) => {
                    let held = read(document)?;
                    if held.session == lock.session {
                        lock.since = held.since;
                    } else if !self.is_left_behind(space, &held, now) {
                        return Err(locked(component, document.version, &held));
                    }
                    Condition::Version(document.version)
                }
            };
            if !self.note_locking(space, &session) {
                return Err(Failure::new("not_member", "send space:enter first"));
            }
            let record = stored::write_record(&lock)?.into();
            let until = Some(lock.until);
            let putting =
                self.0
                    .store
                    .put(now, &collection(space), component, record, condition, until);
            match putting.await {
                Ok(version) => return self.locked(socket, (space, component), version, lock).await,
                Err(WriteError::Conflict { .. }) => {}
                Err(error) => return Err(stored::not_written(&error)),
            }
        }
        Err(Failure::new(
            "unavailable",
            "many want this lock at once; try again",
        ))
    }

    /// A lock is stored. Whoever left meanwhile gives it back.
    async fn locked(
        &self,
        socket: &Socket,
        (space, component): (&str, &str),
        version: u64,
        lock: Lock,
    ) -> Result<Json, Failure> {
        let answer = shown(component, version, &lock);
        let session = lock.session.clone();
        self.announce(&Word {
            space: space.into(),
            component: component.into(),
            version,
            lock: Some(lock),
            why: None,
        });
        let still = self.0.table.lock().session(socket.id(), space);
        // Who broke off keeps it for a while, with all that they are.
        if still.is_none() && !self.is_member(space, &session) {
            self.release(space, component, version, "left").await?;
            return Err(Failure::new(
                "not_member",
                "you have left the space meanwhile",
            ));
        }
        Ok(answer)
    }

    /// Its holder is nobody's member: all nodes that knew of them ended at once.
    fn is_left_behind(&self, space: &str, lock: &Lock, now: u64) -> bool {
        let config = &self.0.config;
        let patience = config.grace_ms + config.silence_ms;
        now.saturating_sub(lock.since) > patience && !self.is_member(space, &lock.session)
    }

    fn check_room_for_lock(&self, space: &str) -> Result<(), Failure> {
        let held = self.0.locks.lock().held(space).count();
        let most = self.0.config.max_locks;
        match held < most {
            true => Ok(()),
            false => Err(Failure::new(
                "too_large",
                format!("{most} components of this space are locked; no more can be"),
            )),
        }
    }

    /// Gives a lock back; `by`: only if they hold it. Tells whether there was one.
    pub(super) async fn free_lock(
        &self,
        space: &str,
        component: &str,
        by: Option<&str>,
    ) -> Result<bool, Failure> {
        let mut attempts = Attempts::default();
        while attempts.another().await {
            let Some(document) = self.stored_lock(space, component).await? else {
                return Ok(false);
            };
            let held = read(&document)?;
            if by.is_some_and(|by| by != held.session) {
                return Err(locked(component, document.version, &held));
            }
            if self
                .release(space, component, document.version, "unlocked")
                .await?
            {
                return Ok(true);
            }
        }
        Err(Failure::new(
            "unavailable",
            "many want this lock at once; try again",
        ))
    }

    /// Takes a lock of this version out of the store. `false`: it has another.
    async fn release(
        &self,
        space: &str,
        component: &str,
        version: u64,
        why: &str,
    ) -> Result<bool, Failure> {
        let condition = Condition::Version(version);
        let deleting =
            self.0
                .store
                .delete(self.wall_ms(), &collection(space), component, condition);
        match deleting.await {
            Ok(_) => {}
            Err(WriteError::Conflict { .. }) => return Ok(false),
            Err(error) => return Err(stored::not_written(&error)),
        }
        self.announce(&Word {
            space: space.into(),
            component: component.into(),
            version,
            lock: None,
            why: Some(why.to_owned()),
        });
        Ok(true)
    }

    /// All locks of a space, by component.
    pub(super) async fn all_locks(&self, space: &str) -> Result<Vec<Json>, Failure> {
        let mut all = Vec::new();
        for (component, document) in self.stored_locks(space).await? {
            let lock = read(&document)?;
            all.push(shown(&component, document.version, &lock));
            self.note(&Word {
                space: space.into(),
                component: component.into(),
                version: document.version,
                lock: Some(lock),
                why: None,
            });
        }
        Ok(all)
    }

    async fn stored_locks(&self, space: &str) -> Result<Vec<(String, Document)>, Failure> {
        let (mut all, mut after) = (Vec::new(), None);
        // Nodes that lock at the same moment may go past the limit, but never by much.
        while all.len() <= self.0.config.max_locks * 2 {
            let scan = Scan::default().limit(500).after(after);
            let page = self.0.store.scan(self.wall_ms(), &collection(space), scan);
            let page = page.await.map_err(|error| stored::not_read(&error))?;
            all.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(all)
    }

    /// Whether this node has heard of locks of somebody. Of a node that was killed the word may be there, and what its member
    /// said of itself not.
    pub(super) fn knows_locks_of(&self, space: &str, session: &str) -> bool {
        let known = self.0.locks.lock();
        known.held(space).any(|lock| lock.session == session)
    }

    /// Whoever left for good holds nothing any more.
    pub(super) fn give_back(&self, space: &str, session: &str) {
        let (spaces, space, session) = (self.clone(), space.to_owned(), session.to_owned());
        self.spawn(async move {
            let locks = match spaces.stored_locks(&space).await {
                Ok(locks) => locks,
                // They end by themselves.
                Err(failure) => {
                    return tracing::warn!(?failure, "locks of one who left are not given back");
                }
            };
            for (component, document) in locks {
                let is_theirs = read(&document).is_ok_and(|lock| lock.session == session);
                if is_theirs && !spaces.is_member(&space, &session) {
                    let releasing = spaces.release(&space, &component, document.version, "left");
                    if let Err(failure) = releasing.await {
                        tracing::warn!(?failure, "a lock of one who left is not given back");
                    }
                }
            }
        });
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let sent = self.0.namespace.hub().run_on(0, move |_| {
            tokio::task::spawn_local(work);
        });
        if let Err(error) = sent {
            tracing::warn!(%error, "work for locks is dropped: a loop is behind; they end by themselves");
        }
    }

    fn announce(&self, word: &Word) {
        if let Err(error) = self.0.namespace.server_side_emit(EVENT, word) {
            tracing::warn!(%error, "a lock can't be written for other nodes");
        }
        self.hear(word);
    }

    /// Takes in what is newer than what is known. `false`: it's known, or older.
    fn note(&self, word: &Word) -> bool {
        let now = self.clock_ms();
        let until = match &word.lock {
            Some(lock) => now + lock.until.saturating_sub(self.wall_ms()) + 1,
            None => now + REMEMBERED_MS,
        };
        let mut planned = until.min(now + LOOK_MS);
        {
            let mut known = self.0.locks.lock();
            let is_full = known.len >= MAX_KNOWN;
            match known.get(&word.space, &word.component) {
                None if is_full => return true,
                None => {}
                Some(seen) => {
                    let is_new = match &word.lock {
                        Some(_) => seen.version < word.version,
                        None => seen.version <= word.version && seen.lock.is_some(),
                    };
                    if !is_new {
                        return false;
                    }
                    planned = planned.min(seen.planned);
                }
            }
            let is_planned = known
                .get(&word.space, &word.component)
                .is_some_and(|seen| seen.planned == planned);
            let seen = Seen {
                version: word.version,
                lock: word.lock.clone(),
                until,
                planned,
            };
            known.put(&word.space, &word.component, seen);
            if is_planned {
                return true;
            }
        }
        let of = (Arc::clone(&word.space), Arc::clone(&word.component));
        self.later(planned, Item::Lock(of.0, of.1));
        true
    }

    /// Something has become of a lock: members on this node are told, if they don't know.
    fn hear(&self, word: &Word) {
        if !self.note(word) {
            return;
        }
        let lock = word.lock.as_ref();
        let lock = lock.map(|lock| shown(&word.component, word.version, lock));
        let mut told = json!({
            "space": word.space, "component": word.component, "version": word.version, "lock": lock,
        });
        if let Some(why) = &word.why {
            told["why"] = why.as_str().into();
        }
        let to = self.0.namespace.to(hub_room(&word.space)).unlogged();
        if let Err(error) = to.emit("space:lock", &told) {
            tracing::warn!(%error, "members are not told of a lock");
        }
    }

    /// A lock's time may be over, as far as this node knows; or it's forgotten that it was.
    pub(super) fn lock_ends(&self, space: &Arc<str>, component: &Arc<str>) {
        let (of, now) = ((Arc::clone(space), Arc::clone(component)), self.clock_ms());
        let (version, until) = {
            let mut known = self.0.locks.lock();
            let Some(seen) = known.get(space, component) else {
                return;
            };
            if seen.planned > now {
                return;
            }
            let (version, until) = (seen.version, seen.until);
            if until <= now && seen.lock.is_none() {
                return known.remove(space, component);
            }
            // Looked at again in any case: the store may be away.
            seen.planned = match until > now {
                true => until.min(now + LOOK_MS),
                false => now + AGAIN_MS,
            };
            let planned = seen.planned;
            drop(known);
            self.later(
                planned,
                Item::Lock(Arc::clone(space), Arc::clone(component)),
            );
            (version, until)
        };
        if until > now {
            return;
        }
        let spaces = self.clone();
        self.spawn(async move {
            let (space, component) = (of.0, of.1);
            let lock = match spaces.stored_lock(&space, &component).await {
                Ok(Some(document)) if document.version != version => {
                    read(&document).ok().map(|lock| (document.version, lock))
                }
                Ok(None) => None,
                // Its end has not come by the store's time, or nobody can say: it's looked at again.
                Ok(Some(_)) | Err(_) => return,
            };
            let why = lock.is_none().then(|| "expired".to_owned());
            let (version, lock) =
                lock.map_or((version, None), |(version, lock)| (version, Some(lock)));
            spaces.hear(&Word {
                space,
                component,
                version,
                lock,
                why,
            });
        });
    }
}

fn locked(component: &str, version: u64, lock: &Lock) -> Failure {
    let who = lock
        .user
        .as_ref()
        .map_or("another member", |user| user.name.as_str());
    let message =
        format!("this component is locked by {who}; wait until they unlock it or the time is over");
    Failure::new("locked", message).with_current(shown(component, version, lock))
}
