//! Entries and locks that go with somebody, and what becomes of them when that somebody leaves.
//!
//! A socket that owns something of a room is in a room of the hub that says so, and so in its session's record. When it
//! leaves that, what it owns is removed; when its connection breaks off, after a while, unless it has come back meanwhile.
//! With a store, each owner bears the life of the node that looks after it. Lives say so to the store every few seconds: of
//! a node that is silent another one takes over what belongs to those who came to it, and removes the rest.

mod silent;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lakh_hub::{Failure, Namespace, Person, Socket};
use parking_lot::Mutex;

use super::due::Item;
use super::entry::{Bind, Entry, Owner, Why};
use super::replica::{Draft, Put};
use super::{Follow, Kind, SpaceKey, States, kept, locks};
use silent::Living;

/// For how long a node is believed to live after it said so.
const LEASE_MS: u64 = 10_000;
/// How often it says so.
const BEAT: Duration = Duration::from_secs(3);
/// Wait for another node to take over the entries of a person who is there.
const INHERIT_MS: u64 = 1_000;
/// Sockets of a room that are looked through for a person.
const MEMBERS: usize = 100_000;

/// The event by which a node gives away what belongs to a person who has no socket there any more.
const INHERIT: &str = "rooms:inherit";

#[derive(Default)]
pub(super) struct Owners {
    sockets: Mutex<HashMap<Arc<str>, Bound>>,
    /// Who left what since somebody last looked.
    left: Mutex<Vec<Left>>,
    beating: AtomicBool,
    living: Mutex<Living>,
}

/// A room that was left, by which socket, of which person.
type Left = (Arc<str>, Arc<str>, Option<Arc<str>>);

/// A socket of this node that owns something.
struct Bound {
    rooms: HashSet<Arc<str>>,
    person: Option<Arc<str>>,
    /// Its connection broke off, and that's when it's too late to come back.
    gone_at: Option<u64>,
}

/// Whose entries are meant.
#[derive(Clone)]
pub(super) enum Whose {
    /// A socket's, that this node looks after.
    Socket(Arc<str>),
    /// A person's, that this node looks after.
    Person(Arc<str>),
    /// All that a node looked after.
    Node(Arc<str>),
}

impl Whose {
    pub(super) fn is(&self, owner: &Owner, here: &str) -> bool {
        match self {
            Self::Socket(id) => {
                owner.bind == Bind::Socket && owner.id == *id && *owner.node == *here
            }
            Self::Person(id) => {
                owner.bind == Bind::Person && owner.id == *id && *owner.node == *here
            }
            Self::Node(node) => owner.node == *node,
        }
    }
}

pub(super) fn install(namespace: &Namespace, states: &States) {
    let module = states.clone();
    namespace.on_server_event(INHERIT, async move |event| {
        if let Ok((room, person)) = event.args::<(String, String)>() {
            module
                .inherit(event.namespace(), &room.into(), &person.into())
                .await;
        }
    });
}

impl States {
    /// A socket is about to own something of a room.
    pub(super) async fn bind(&self, socket: &Socket, room: &str) -> Result<(), Failure> {
        let namespace = socket.namespace();
        self.live(&namespace, room).await?;
        self.note(socket, room);
        if !socket.join(Follow::Bound.hub_room(room)) {
            return Err(Failure::new(
                "too_large",
                "this socket is in as many rooms as it may; leave one first",
            ));
        }
        Ok(())
    }

    fn note(&self, socket: &Socket, room: &str) {
        let person = socket.get::<Person>().map(|person| Arc::from(&*person.id));
        let mut sockets = self.0.owners.sockets.lock();
        let bound = sockets.entry(socket.id().into()).or_insert_with(|| Bound {
            rooms: HashSet::new(),
            person,
            gone_at: None,
        });
        bound.rooms.insert(room.into());
        bound.gone_at = None;
    }

    /// This node says that it lives, from now on.
    async fn live(&self, namespace: &Namespace, room: &str) -> Result<(), Failure> {
        let Some(store) = self.store(room)? else {
            return Ok(());
        };
        if self.0.owners.beating.load(Ordering::Acquire) {
            return Ok(());
        }
        let now_ms = namespace.hub().wall_ms();
        let beat = kept::beat(store, now_ms, self.node(), LEASE_MS).await;
        beat.map_err(|error| Failure::new("unavailable", error.to_string()))?;
        if !self.0.owners.beating.swap(true, Ordering::AcqRel) {
            let (states, namespace, store) = (self.clone(), namespace.clone(), store.clone());
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(BEAT).await;
                    let now_ms = namespace.hub().wall_ms();
                    let beat = kept::beat(&store, now_ms, states.node(), LEASE_MS).await;
                    if matches!(beat, Err(lakh_hub::store::WriteError::Closed)) {
                        return;
                    }
                }
            });
        }
        Ok(())
    }

    /// A socket has left the room that says it owns something.
    pub(super) fn owner_left(&self, namespace: &Namespace, room: &str, id: &str) {
        let person = {
            let mut sockets = self.0.owners.sockets.lock();
            let Some(bound) = sockets.get_mut(id) else {
                return;
            };
            if bound.gone_at.is_some() {
                // All its rooms go, and it may be back.
                return;
            }
            bound.rooms.remove(room);
            let person = bound.person.clone();
            if bound.rooms.is_empty() {
                sockets.remove(id);
            }
            person
        };
        self.0
            .owners
            .left
            .lock()
            .push((room.into(), id.into(), person));
        // Not here: the loop is amid something.
        self.later(namespace, 0, Item::Left);
    }

    /// What has been left is removed.
    pub(super) fn clean_up(&self, namespace: &Namespace) {
        let left = std::mem::take(&mut *self.0.owners.left.lock());
        for (room, id, person) in left {
            self.remove(namespace, &room, &Whose::Socket(id));
            if let Some(person) = person {
                self.person_left(namespace, room, person);
            }
        }
    }

    /// A socket goes; its rooms are still there.
    pub(super) fn owner_goes(&self, socket: &Socket, comes_back: bool) {
        let now_ms = socket.now_ms();
        let (rooms, grace): (Vec<Arc<str>>, u64) = {
            let mut sockets = self.0.owners.sockets.lock();
            let Some(bound) = sockets.get_mut(socket.id()) else {
                return;
            };
            // Its rooms may be of several kinds: the longest time counts.
            let graces = bound
                .rooms
                .iter()
                .map(|room| self.options(room).owner_grace_ms);
            let grace = graces.max().filter(|_| comes_back).unwrap_or(0);
            bound.gone_at = Some(now_ms + grace);
            (bound.rooms.iter().cloned().collect(), grace)
        };
        let namespace = socket.namespace();
        for room in rooms {
            // Nobody is there any more to be told that it has the lock.
            self.stop_waiting(&namespace, &room, socket.id());
        }
        self.later(&namespace, now_ms + grace, Item::Owner(socket.id().into()));
    }

    /// The time in which a socket could have come back may be over.
    pub(super) fn owner_is_gone(&self, namespace: &Namespace, id: &Arc<str>, now_ms: u64) {
        let bound = {
            let mut sockets = self.0.owners.sockets.lock();
            let late = |bound: &Bound| bound.gone_at.is_some_and(|at| at <= now_ms);
            if !sockets.get(id).is_some_and(late) {
                return;
            }
            sockets.remove(id)
        };
        let Some(bound) = bound else { return };
        for room in bound.rooms {
            self.remove(namespace, &room, &Whose::Socket(Arc::clone(id)));
            if let Some(person) = &bound.person {
                self.person_left(namespace, room, Arc::clone(person));
            }
        }
    }

    /// A socket has taken up an earlier session, of this node or of another one.
    pub(super) async fn came_back(&self, socket: &Socket) {
        for hub_room in socket.rooms().await {
            match Follow::parse(&hub_room) {
                Some((Follow::Bound, room)) => {
                    self.note(socket, room);
                    if let Err(error) = self.live(&socket.namespace(), room).await {
                        tracing::warn!(%error.message, "an owner's node is not known to live");
                    }
                    let id: Arc<str> = socket.id().into();
                    let mine = move |owner: &Owner| owner.bind == Bind::Socket && owner.id == id;
                    self.adopt(&socket.namespace(), room, mine);
                }
                Some((Follow::Changes | Follow::Patches | Follow::Newest, room)) => {
                    // What let it in may not have come along, if it was on another node.
                    if self.may(socket, room, "state.read").is_err() {
                        socket.leave(&*hub_room);
                        continue;
                    }
                    if let Err(error) = self.show(socket, room, None).await {
                        tracing::warn!(%error.message, room, "a socket that came back has old state");
                        // It finds out that it isn't in the room when it asks, and joins again.
                        socket.leave(&*hub_room);
                    }
                }
                _ => {}
            }
        }
    }

    /// Removes what somebody owned in a room.
    fn remove(&self, namespace: &Namespace, room: &str, whose: &Whose) {
        for key in [SpaceKey::state(room), SpaceKey::locks(room)] {
            let (whose, here, kind) = (whose.clone(), Arc::clone(self.node()), key.kind);
            self.do_later(namespace, &key, move |draft| match kind {
                Kind::State => remove_entries(draft, &|owner| whose.is(owner, &here)),
                Kind::Locks => locks::remove_owner(draft, &whose, &here),
            });
        }
    }

    /// From here on this node looks after these entries. They are put anew: a change like any other.
    fn adopt(
        &self,
        namespace: &Namespace,
        room: &str,
        mine: impl Fn(&Owner) -> bool + Clone + Send + 'static,
    ) {
        for key in [SpaceKey::state(room), SpaceKey::locks(room)] {
            let (mine, here, kind) = (mine.clone(), Arc::clone(self.node()), key.kind);
            self.do_later(namespace, &key, move |draft| {
                let mine = |owner: &Owner| owner.node != here && mine(owner);
                match kind {
                    Kind::State => adopt_entries(draft, &mine, &here),
                    Kind::Locks => locks::adopt(draft, &mine, &here),
                }
            });
        }
    }

    /// Makes changes that nobody waits for. They have their place now: what the same socket asks for next comes behind them.
    pub(super) fn do_later(
        &self,
        namespace: &Namespace,
        key: &SpaceKey,
        run: impl FnMut(&mut Draft<'_>) + Send + 'static,
    ) {
        let (states, namespace, key) = (self.clone(), namespace.clone(), key.clone());
        let shared = Arc::new(Mutex::new(run));
        let attempt = move || {
            let run = Arc::clone(&shared);
            states.begin(&namespace, &key, move |draft| {
                run.lock()(draft);
                Ok(())
            })
        };
        let mut begun = attempt();
        tokio::spawn(async move {
            loop {
                let done = match begun {
                    Ok(done) => done.await.unwrap_or(Ok(())),
                    Err(failure) => Err(failure.into()),
                };
                match done {
                    Err(refusal) if refusal.failure.code == "unavailable" => {
                        tracing::debug!(error = refusal.failure.message, "trying again");
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        begun = attempt();
                    }
                    _ => return,
                }
            }
        });
    }

    /// A socket of a person has left a room. If it was their last one what belongs to them goes.
    fn person_left(&self, namespace: &Namespace, room: Arc<str>, person: Arc<str>) {
        let (states, namespace) = (self.clone(), namespace.clone());
        tokio::spawn(async move {
            let key = SpaceKey::state(&room);
            let whose = Whose::Person(Arc::clone(&person));
            let here = Arc::clone(states.node());
            let owns = states.read(&namespace, &key, move |replica| {
                let owners = replica
                    .entries()
                    .filter_map(|(_, entry)| entry.owner.as_ref());
                owners.into_iter().any(|owner| whose.is(owner, &here))
            });
            if !matches!(owns.await, Ok(true)) || states.inherit(&namespace, &room, &person).await {
                return;
            }
            if namespace.hub().cluster_state().is_some() {
                // A node that has a socket of theirs takes it over.
                let _ = namespace.server_side_emit(INHERIT, &(&*room, &*person));
                tokio::time::sleep(Duration::from_millis(INHERIT_MS)).await;
            }
            states.remove(&namespace, &room, &Whose::Person(person));
        });
    }

    /// Looks after what belongs to a person, if they have a socket in the room here.
    async fn inherit(&self, namespace: &Namespace, room: &Arc<str>, person: &Arc<str>) -> bool {
        let Some(socket) = self.socket_of(namespace, room, person).await else {
            return false;
        };
        self.note(&socket, room);
        socket.join(Follow::Bound.hub_room(room));
        if self.live(namespace, room).await.is_err() {
            return false;
        }
        let person = Arc::clone(person);
        self.adopt(namespace, room, move |owner| {
            owner.bind == Bind::Person && owner.id == person
        });
        true
    }

    async fn socket_of(&self, namespace: &Namespace, room: &str, person: &str) -> Option<Socket> {
        let own = crate::names::room(room).ok();
        let followed = Follow::STATE.map(|follow| follow.hub_room(room));
        for hub_room in own.into_iter().chain(followed) {
            let members = namespace.members(hub_room, MEMBERS).await;
            let of_person = |socket: &Socket| {
                let theirs = socket.get::<Person>();
                socket.is_connected() && theirs.is_some_and(|theirs| theirs.id == person)
            };
            if let Some(found) = members.into_iter().find(of_person) {
                return Some(found);
            }
        }
        None
    }
}

fn owned(draft: &Draft<'_>, is: &dyn Fn(&Owner) -> bool) -> Vec<(Arc<str>, Arc<Entry>)> {
    let all = draft.keys().into_iter();
    let found = all.filter_map(|key| {
        let entry = Arc::clone(draft.get(&key)?);
        entry.owner.as_ref().is_some_and(is).then_some((key, entry))
    });
    found.collect()
}

fn remove_entries(draft: &mut Draft<'_>, is: &dyn Fn(&Owner) -> bool) {
    for (key, _) in owned(draft, is) {
        draft.put(Put { key, entry: None }, None, Some(Why::Left));
    }
}

fn adopt_entries(draft: &mut Draft<'_>, is: &dyn Fn(&Owner) -> bool, here: &Arc<str>) {
    for (key, entry) in owned(draft, is) {
        let mut entry = Entry::clone(&entry);
        if let Some(owner) = &mut entry.owner {
            owner.node = Arc::clone(here);
        }
        let entry = Some(entry);
        draft.put(Put { key, entry }, None, None);
    }
}
