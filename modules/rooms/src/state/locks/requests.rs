//! `lock:acquire`, `lock:renew`, `lock:release`, `lock:watch` and `lock:unwatch`.

use std::sync::Arc;
use std::time::Duration;

use lakh_hub::{Failure, Namespace, Person, Socket};
use serde::{Deserialize, Serialize, Serializer};
use tokio::sync::oneshot;

use super::{Asked, Granted, Holder, Lock, LockView, Waiter, find, next, put, read, remove_all};
use crate::state::entry::{By, Entry};
use crate::state::replica::{Draft, Replica};
use crate::state::requests::{InRoom, on};
use crate::state::{Follow, Refusal, SpaceKey, States, names};

/// Bytes of a lock besides its queue, about; with the most that may wait it stays below a store's value.
const MAX_LOCKS: usize = 1_000;

#[derive(Deserialize)]
struct Acquire {
    room: String,
    name: String,
    ttl_ms: u64,
    wait_ms: Option<u64>,
}

#[derive(Deserialize)]
struct Renew {
    room: String,
    name: String,
    token: u64,
    ttl_ms: u64,
}

#[derive(Deserialize)]
struct Release {
    room: String,
    name: String,
    token: u64,
}

/// Locks of a room, as they were at one moment.
#[derive(Serialize)]
struct Watched {
    version: u64,
    #[serde(serialize_with = "views")]
    locks: Vec<(Arc<str>, Arc<Entry>)>,
}

fn views<S: Serializer>(
    locks: &[(Arc<str>, Arc<Entry>)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let read = locks
        .iter()
        .map(|(name, entry)| (name, entry.version, read(entry)));
    let read: Vec<_> = read.collect();
    let views = read
        .iter()
        .map(|(name, version, lock)| LockView::new(name, *version, lock.as_ref(), None));
    serializer.collect_seq(views)
}

/// Marks the allowance of requests for locks.
struct Locking;

pub(in crate::state) fn install(namespace: &Namespace, states: &States) {
    on(
        namespace,
        "lock:acquire",
        states,
        async |states, socket, request: Acquire| states.acquire(&socket, &request).await,
    );
    on(
        namespace,
        "lock:renew",
        states,
        async |states, socket, request: Renew| {
            let Renew {
                room,
                name,
                token,
                ttl_ms,
            } = request;
            states.check_lock(&socket, &room, &name, ttl_ms)?;
            states
                .with_own(&socket, &room, name, token, move |lock, draft| {
                    let mut lock = lock;
                    lock.holder.expires_at = draft.now_ms() + ttl_ms;
                    let holder = &lock.holder;
                    let (token, expires_at) = (holder.token, holder.expires_at);
                    (Some(lock), Granted { token, expires_at })
                })
                .await
        },
    );
    on(
        namespace,
        "lock:release",
        states,
        async |states, socket, request: Release| {
            let Release { room, name, token } = request;
            states.check_lock(&socket, &room, &name, 1)?;
            states
                .with_own(&socket, &room, name, token, |lock, draft| {
                    (next(lock.waiting, draft), ())
                })
                .await
        },
    );
    on(
        namespace,
        "lock:watch",
        states,
        async |states, socket, request: InRoom| states.watch(&socket, &request.room).await,
    );
    on(
        namespace,
        "lock:unwatch",
        states,
        async |_, socket, request: InRoom| {
            crate::names::room(&request.room)?;
            socket.leave(Follow::Locks.hub_room(&request.room));
            Ok(())
        },
    );
}

impl States {
    fn check_lock(
        &self,
        socket: &Socket,
        room: &str,
        name: &str,
        ttl_ms: u64,
    ) -> Result<(), Failure> {
        let options = self.options(room);
        self.check_member(socket, room)?;
        self.may(socket, room, "lock")?;
        names::check("a lock's name", name)?;
        if ttl_ms == 0 || ttl_ms > options.max_lock_ms {
            let most = options.max_lock_ms;
            return Err(Failure::bad_request(format!("ttl_ms is 1 to {most}")));
        }
        socket.pace::<Locking>(options.writes_per_second)
    }

    async fn acquire(&self, socket: &Socket, request: &Acquire) -> Result<Granted, Refusal> {
        let Acquire {
            room,
            name,
            ttl_ms,
            wait_ms,
        } = request;
        self.check_lock(socket, room, name, *ttl_ms)?;
        let wait_ms = wait_ms.unwrap_or(0);
        if wait_ms > self.options(room).max_lock_ms {
            let most = self.options(room).max_lock_ms;
            return Err(Failure::bad_request(format!("wait_ms is 0 to {most}")).into());
        }
        self.bind(socket, room).await?;
        let asked: Asked = ((**room).into(), (**name).into(), socket.id().into());
        let Some(waiting) = self.locks().wait(&asked) else {
            let message = "this socket waits for this lock already";
            return Err(Failure::bad_request(message).into());
        };
        let namespace = socket.namespace();
        let wants = Wants {
            asked: asked.clone(),
            by: Arc::new(By::of(socket)),
            user: socket.get::<Person>().map(|person| Person::clone(&person)),
            node: Arc::clone(self.node()),
            ttl_ms: *ttl_ms,
            wait_ms,
            max_waiters: self.options(room).max_lock_waiters,
        };
        let run = move |draft: &mut Draft<'_>| wants.run(draft);
        let got = self.write(&namespace, &SpaceKey::locks(room), run).await;
        let granted = match got {
            Ok(Some(granted)) => Ok(granted),
            Ok(None) => {
                let patience = tokio::time::timeout(Duration::from_millis(wait_ms), waiting);
                match patience.await {
                    Ok(Ok(granted)) => Ok(granted),
                    _ => self.give_up(&namespace, &asked).await,
                }
            }
            Err(refusal) => Err(refusal),
        };
        self.locks().stop(&asked);
        granted
    }

    /// The time to wait is over. It may have been given the lock in this moment.
    async fn give_up(&self, namespace: &Namespace, asked: &Asked) -> Result<Granted, Refusal> {
        let (room, name, id) = asked.clone();
        let run = move |draft: &mut Draft<'_>| {
            let lock = find(draft, &name);
            if let Some(Lock { holder, .. }) = &lock
                && holder.id == id
            {
                let (token, expires_at) = (holder.token, holder.expires_at);
                return Ok(Granted { token, expires_at });
            }
            if let Some(mut lock) = lock {
                let waited = lock.waiting.len();
                lock.waiting.retain(|waiter| waiter.id != id);
                if lock.waiting.len() < waited {
                    put(draft, &name, Some(lock), None, None);
                }
            }
            // The queue was left: this is no failure of the change.
            Ok(Granted {
                token: 0,
                expires_at: 0,
            })
        };
        let granted = self.write(namespace, &SpaceKey::locks(&room), run).await?;
        if granted.token == 0 {
            return Err(Failure::new("timeout", "the lock did not come free in that time").into());
        }
        Ok(granted)
    }

    /// Whoever went off waits no longer.
    pub(in crate::state) fn stop_waiting(&self, namespace: &Namespace, room: &Arc<str>, id: &str) {
        let Some(space) = self.existing(&SpaceKey::locks(room)) else {
            return;
        };
        let waits = {
            let core = space.core.lock();
            let locks = core.replica.iter().flat_map(Replica::entries);
            let mut waiters = locks.filter_map(|(_, entry)| read(entry));
            waiters.any(|lock| lock.waiting.iter().any(|waiter| *waiter.id == *id))
        };
        if waits {
            let id: Arc<str> = id.into();
            self.do_later(namespace, &SpaceKey::locks(room), move |draft| {
                remove_all(draft, &|other, _| *other == id, false);
            });
        }
    }

    /// Does something with a lock that the socket holds under this token.
    async fn with_own<R: Send + 'static>(
        &self,
        socket: &Socket,
        room: &str,
        name: String,
        token: u64,
        change: impl Fn(Lock, &Draft<'_>) -> (Option<Lock>, R) + Send + 'static,
    ) -> Result<R, Refusal> {
        let (id, name): (Arc<str>, Arc<str>) = (socket.id().into(), name.into());
        let by = Arc::new(By::of(socket));
        let run = move |draft: &mut Draft<'_>| {
            let lock = find(draft, &name);
            match lock {
                Some(lock) if lock.holder.id == id && lock.holder.token == token => {
                    let (lock, result) = change(lock, draft);
                    put(draft, &name, lock, None, Some(&by));
                    Ok(result)
                }
                other => {
                    let version = draft.get(&name).map_or(0, |entry| entry.version);
                    let view = LockView::new(&name, version, other.as_ref(), None);
                    let message = "this socket does not hold the lock under this token any more";
                    Err(Refusal::conflict(message, &view))
                }
            }
        };
        self.write(&socket.namespace(), &SpaceKey::locks(room), run)
            .await
    }

    /// A socket hears of a room's locks from here on.
    async fn watch(&self, socket: &Socket, room: &str) -> Result<Watched, Refusal> {
        self.check_member(socket, room)?;
        self.check_read(socket, room)?;
        let (done, joined) = oneshot::channel();
        let (receiver, hub_room) = (socket.clone(), Follow::Locks.hub_room(room));
        let states = self.clone();
        let look = move |replica: &Replica| {
            let entries = replica.entries();
            let locks = entries.map(|(name, entry)| (Arc::clone(name), Arc::clone(entry)));
            let watched = Watched {
                version: replica.version(),
                locks: locks.collect(),
            };
            let expected = states.expect(&hub_room);
            receiver.in_turn(move |socket| {
                // Who asked may be gone.
                let _ = done.send(socket.join(hub_room));
                drop(expected);
            });
            watched
        };
        let watched = self
            .read(&socket.namespace(), &SpaceKey::locks(room), look)
            .await?;
        if !joined.await.unwrap_or(false) {
            let message = "this socket is in as many rooms as it may; leave one first";
            return Err(Failure::new("too_large", message).into());
        }
        Ok(watched)
    }
}

/// Who wants a lock.
struct Wants {
    asked: Asked,
    by: Arc<By>,
    user: Option<Person>,
    node: Arc<str>,
    ttl_ms: u64,
    wait_ms: u64,
    max_waiters: usize,
}

impl Wants {
    /// Takes the lock, or a place in its queue (`None`).
    fn run(&self, draft: &mut Draft<'_>) -> Result<Option<Granted>, Refusal> {
        let (_, name, id) = &self.asked;
        let Some(mut lock) = find(draft, name) else {
            if draft.keys().len() >= MAX_LOCKS {
                let message = format!("the room has {MAX_LOCKS} locks; no more are allowed");
                return Err(Failure::new("too_large", message).into());
            }
            let token = draft.next_version();
            let lock = self.holding(token, draft.now_ms());
            let expires_at = lock.holder.expires_at;
            put(draft, name, Some(lock), None, Some(&self.by));
            return Ok(Some(Granted { token, expires_at }));
        };
        if lock.holder.id == *id {
            // Asked twice, perhaps because an answer was lost: it holds the lock it holds.
            let expires_at = draft.now_ms() + self.ttl_ms;
            lock.holder.expires_at = expires_at;
            let token = lock.holder.token;
            put(draft, name, Some(lock), None, Some(&self.by));
            return Ok(Some(Granted { token, expires_at }));
        }
        if self.wait_ms == 0 || lock.waiting.len() >= self.max_waiters {
            let version = draft.get(name).map_or(0, |entry| entry.version);
            let message = match self.wait_ms {
                0 => "somebody else holds the lock",
                _ => "as many wait for the lock as may",
            };
            let view = LockView::new(name, version, Some(&lock), None);
            return Err(Refusal::conflict(message, &view));
        }
        lock.waiting.retain(|waiter| waiter.id != *id);
        lock.waiting.push(Waiter {
            id: Arc::clone(id),
            user: self.user.clone(),
            node: Arc::clone(&self.node),
            ttl_ms: self.ttl_ms,
            until: draft.now_ms() + self.wait_ms,
        });
        put(draft, name, Some(lock), None, Some(&self.by));
        Ok(None)
    }

    fn holding(&self, token: u64, now_ms: u64) -> Lock {
        Lock {
            holder: Holder {
                id: Arc::clone(&self.asked.2),
                user: self.user.clone(),
                node: Arc::clone(&self.node),
                token,
                expires_at: now_ms + self.ttl_ms,
            },
            waiting: Vec::new(),
        }
    }
}
