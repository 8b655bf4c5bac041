//! Locks of a room, and who waits for them.
//!
//! A lock is an entry of a space of its own, with its holder and its queue in it: so all nodes agree on both, whoever holds
//! it. Its token is the number of the change that gave it to the holder. Numbers only grow, over all lives of a room and all
//! of its locks: what is written under a token can be refused by whoever has seen a higher one.

mod requests;

use std::collections::HashMap;
use std::sync::Arc;

use lakh_hub::{Namespace, Operator, Payload, Person};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::entry::{Bind, By, Commit, Entry, Owner, Why};
use super::owners::Whose;
use super::replica::{Draft, Put, Replica};
use super::{Follow, States, deliver};

pub(super) use requests::install;

/// A lock that somebody holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Lock {
    holder: Holder,
    /// First come, first served.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    waiting: Vec<Waiter>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Holder {
    /// The socket.
    id: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<Person>,
    node: Arc<str>,
    token: u64,
    expires_at: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Waiter {
    id: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<Person>,
    node: Arc<str>,
    ttl_ms: u64,
    until: u64,
}

/// A lock as clients see it.
#[derive(Serialize)]
struct HolderView<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a Person>,
    token: u64,
    expires_at: u64,
}

#[derive(Serialize)]
struct LockView<'a> {
    name: &'a str,
    version: u64,
    holder: Option<HolderView<'a>>,
    waiting: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<Why>,
}

#[derive(Serialize)]
struct Changed<'a> {
    room: &'a str,
    #[serde(flatten)]
    lock: LockView<'a>,
}

impl<'a> LockView<'a> {
    fn new(name: &'a str, version: u64, lock: Option<&'a Lock>, why: Option<Why>) -> Self {
        Self {
            name,
            version,
            holder: lock.map(|Lock { holder, .. }| HolderView {
                id: &holder.id,
                user: holder.user.as_ref(),
                token: holder.token,
                expires_at: holder.expires_at,
            }),
            waiting: lock.map_or(0, |lock| lock.waiting.len()),
            why,
        }
    }
}

/// What is there, if it can be read.
fn read(entry: &Entry) -> Option<Lock> {
    serde_json::from_str(entry.value.get()).ok()
}

/// The lock of a name, as the draft has it.
fn find(draft: &Draft<'_>, name: &str) -> Option<Lock> {
    read(draft.get(name)?)
}

/// Puts a lock, or nothing.
fn put(
    draft: &mut Draft<'_>,
    name: &Arc<str>,
    lock: Option<Lock>,
    why: Option<Why>,
    by: Option<&Arc<By>>,
) {
    let entry = lock.and_then(|lock| {
        let Holder {
            id,
            node,
            expires_at,
            ..
        } = &lock.holder;
        Some(Entry {
            expires_at: Some(*expires_at),
            owner: Some(Owner {
                id: Arc::clone(id),
                bind: Bind::Socket,
                node: Arc::clone(node),
            }),
            version: 0,
            // Text and numbers: this can't fail.
            value: serde_json::value::to_raw_value(&lock).ok()?,
        })
    });
    let key = Arc::clone(name);
    draft.put(Put { key, entry }, by, why);
}

/// The next in the queue who still waits; the token is the number of the change that is about to be made.
fn next(waiting: Vec<Waiter>, draft: &Draft<'_>) -> Option<Lock> {
    let now_ms = draft.now_ms();
    let mut waiting = waiting.into_iter().filter(|waiter| waiter.until > now_ms);
    let first = waiting.next()?;
    Some(Lock {
        holder: Holder {
            id: first.id,
            user: first.user,
            node: first.node,
            token: draft.next_version(),
            expires_at: now_ms + first.ttl_ms,
        },
        waiting: waiting.collect(),
    })
}

/// Holders whose time is over give way to the next.
pub(super) fn expire(draft: &mut Draft<'_>) {
    for name in draft.due() {
        let waiting = find(draft, &name).map(|lock| lock.waiting);
        let lock = next(waiting.unwrap_or_default(), draft);
        put(draft, &name, lock, Some(Why::Expired), None);
    }
}

/// Whoever has left holds no lock and waits for none.
pub(super) fn remove_owner(draft: &mut Draft<'_>, whose: &Whose, here: &str) {
    let is = |id: &Arc<str>, node: &Arc<str>| {
        let (id, node, bind) = (Arc::clone(id), Arc::clone(node), Bind::Socket);
        whose.is(&Owner { id, bind, node }, here)
    };
    remove_all(draft, &is, true);
}

/// Takes them out of queues, and, if `held`, their locks away.
fn remove_all(draft: &mut Draft<'_>, is: &dyn Fn(&Arc<str>, &Arc<str>) -> bool, held: bool) {
    for name in draft.keys() {
        let Some(mut lock) = find(draft, &name) else {
            continue;
        };
        let waited = lock.waiting.len();
        lock.waiting.retain(|waiter| !is(&waiter.id, &waiter.node));
        if held && is(&lock.holder.id, &lock.holder.node) {
            let lock = next(lock.waiting, draft);
            put(draft, &name, lock, Some(Why::Left), None);
        } else if lock.waiting.len() < waited {
            put(draft, &name, Some(lock), None, None);
        }
    }
}

/// This node looks after these holders from now on.
pub(super) fn adopt(draft: &mut Draft<'_>, mine: &dyn Fn(&Owner) -> bool, here: &Arc<str>) {
    for name in draft.keys() {
        let owner = draft.get(&name).and_then(|entry| entry.owner.clone());
        if !owner.as_ref().is_some_and(mine) {
            continue;
        }
        if let Some(mut lock) = find(draft, &name) {
            lock.holder.node = Arc::clone(here);
            put(draft, &name, Some(lock), None, None);
        }
    }
}

/// What is told of changes of locks.
pub(super) fn changed(
    states: &States,
    namespace: &Namespace,
    room: &str,
    commit: &Commit,
) -> Vec<(Operator, Payload)> {
    let hub_room = Follow::Locks.hub_room(room);
    if states.members(&hub_room) == 0 {
        return Vec::new();
    }
    let told = commit.changes.iter().map(|change| {
        let lock = change.entry.as_deref().and_then(read);
        let lock = LockView::new(&change.key, change.version, lock.as_ref(), change.why);
        let to = namespace.to(lakh_hub::Room::clone(&hub_room)).unlogged();
        (to, deliver::event("lock:changed", &Changed { room, lock }))
    });
    told.collect()
}

/// A lock that was given to somebody who asked for it here.
#[derive(Clone, Copy, Debug, Serialize)]
struct Granted {
    token: u64,
    expires_at: u64,
}

/// Room, lock and socket.
type Asked = (Arc<str>, Arc<str>, Arc<str>);

/// Requests of this node's sockets that wait for locks.
#[derive(Default)]
pub(super) struct Queue(Mutex<HashMap<Asked, oneshot::Sender<Granted>>>);

impl Queue {
    /// Waits for a lock. `None`: this socket does already.
    fn wait(&self, asked: &Asked) -> Option<oneshot::Receiver<Granted>> {
        let (send, receive) = oneshot::channel();
        let mut waiting = self.0.lock();
        if waiting.get(asked).is_some_and(|other| !other.is_closed()) {
            return None;
        }
        waiting.insert(asked.clone(), send);
        Some(receive)
    }

    fn stop(&self, asked: &Asked) {
        self.0.lock().remove(asked);
    }

    /// Locks of a room have changed.
    pub(super) fn heard(&self, room: &Arc<str>, commit: &Commit) {
        let mut waiting = self.0.lock();
        if waiting.is_empty() {
            return;
        }
        for change in &commit.changes {
            if let Some(lock) = change.entry.as_deref().and_then(read) {
                grant(&mut waiting, room, &change.key, &lock.holder);
            }
        }
    }

    /// Locks of a room were read anew.
    pub(super) fn look(&self, room: &Arc<str>, replica: &Replica) {
        let mut waiting = self.0.lock();
        for (name, entry) in replica
            .entries()
            .filter(|_| !waiting.is_empty())
            .collect::<Vec<_>>()
        {
            if let Some(lock) = read(entry) {
                grant(&mut waiting, room, name, &lock.holder);
            }
        }
    }
}

fn grant(
    waiting: &mut HashMap<Asked, oneshot::Sender<Granted>>,
    room: &Arc<str>,
    name: &Arc<str>,
    holder: &Holder,
) {
    let asked = (Arc::clone(room), Arc::clone(name), Arc::clone(&holder.id));
    if let Some(waiting) = waiting.remove(&asked) {
        // Who waited may be gone.
        let _ = waiting.send(Granted {
            token: holder.token,
            expires_at: holder.expires_at,
        });
    }
}
