//! `state:join`, `state:leave`, `state:get`, `state:since` and the writes: `state:set`, `state:patch`, `state:delete`,
//! `state:update`.

mod plumbing;
mod writes;

use std::collections::BTreeMap;
use std::sync::Arc;

use lakh_hub::{Failure, Namespace, Person, Socket, Wish};
use serde::{Deserialize, Serialize, Serializer};
use tokio::sync::oneshot;

use super::deliver::{self, ChangeView, Entries};
use super::entry::{Change, Entry};
use super::replica::Replica;
use super::{Follow, SpaceKey, States, names};

pub(super) use plumbing::on;

/// Keys that one request may name.
const MAX_KEYS: usize = 1_000;

/// How a socket wants to hear of changes.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct How {
    /// Large changes as patches.
    #[serde(default)]
    pub delta: bool,
    /// The newest of each key, if it reads slowly.
    #[serde(default)]
    pub conflate: bool,
}

/// `state` in `room:join`: true, or how.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged, expecting = "expected true, false or an object with how")]
pub(crate) enum StateWish {
    Yes(bool),
    How(How),
}

impl Default for StateWish {
    fn default() -> Self {
        Self::Yes(false)
    }
}

impl StateWish {
    /// How the state is to be followed, if it is.
    pub(crate) fn how(self) -> Option<How> {
        match self {
            Self::Yes(yes) => yes.then(How::default),
            Self::How(how) => Some(how),
        }
    }
}

impl How {
    fn follow(self) -> Result<Follow, Failure> {
        match (self.delta, self.conflate) {
            (false, false) => Ok(Follow::Changes),
            (true, false) => Ok(Follow::Patches),
            (false, true) => Ok(Follow::Newest),
            (true, true) => Err(Failure::bad_request(
                "delta and conflate don't go together: a patch needs the value before it",
            )),
        }
    }
}

#[derive(Deserialize)]
struct Join {
    room: String,
    #[serde(default)]
    delta: bool,
    #[serde(default)]
    conflate: bool,
}

#[derive(Serialize)]
pub(crate) struct Version {
    pub(crate) version: u64,
}

#[derive(Deserialize)]
pub(super) struct InRoom {
    pub room: String,
}

#[derive(Deserialize)]
struct Get {
    room: String,
    keys: Option<Vec<String>>,
    prefix: Option<String>,
}

#[derive(Deserialize)]
struct Since {
    room: String,
    version: u64,
}

/// Entries as they were at one moment.
#[derive(Serialize)]
struct Got {
    version: u64,
    #[serde(serialize_with = "by_key")]
    entries: BTreeMap<Arc<str>, Arc<Entry>>,
}

fn by_key<S: Serializer>(
    entries: &BTreeMap<Arc<str>, Arc<Entry>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    Entries(std::cell::RefCell::new(Some(entries.iter()))).serialize(serializer)
}

#[derive(Serialize)]
#[serde(untagged)]
enum News {
    Changes {
        version: u64,
        #[serde(serialize_with = "views")]
        changes: Vec<Change>,
    },
    /// It's too long ago.
    Snapshot(Got),
}

fn views<S: Serializer>(changes: &[Change], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(changes.iter().map(ChangeView::from))
}

/// Marks the allowance of reads.
struct Reads;

pub(super) fn install(namespace: &Namespace, states: &States) {
    on(
        namespace,
        "state:join",
        states,
        async |states, socket, request: Join| {
            let Join {
                room,
                delta,
                conflate,
            } = request;
            Ok(states
                .follow(&socket, &room, How { delta, conflate })
                .await?)
        },
    );
    on(
        namespace,
        "state:leave",
        states,
        async |states, socket, request: InRoom| {
            let hub_room = crate::names::room(&request.room)?;
            for follow in Follow::STATE {
                socket.leave(follow.hub_room(&request.room));
            }
            if !socket.is_in(&hub_room) {
                states.leave(&socket, &request.room);
            }
            Ok(())
        },
    );
    on(
        namespace,
        "state:get",
        states,
        async |states, socket, request: Get| Ok(states.get(&socket, request).await?),
    );
    on(
        namespace,
        "state:since",
        states,
        async |states, socket, request: Since| Ok(states.since(&socket, &request).await?),
    );
    writes::install(namespace, states);
}

impl States {
    /// A socket follows a room's state from here on: it's sent a snapshot, and then each change behind it.
    pub(crate) async fn follow(
        &self,
        socket: &Socket,
        room: &str,
        how: How,
    ) -> Result<Version, Failure> {
        self.check_read(socket, room)?;
        let passed = socket.pass(Wish::Subscribe { room }).await?;
        let followed = self.follow_unchecked(socket, room, how).await;
        drop(passed);
        followed
    }

    /// The same for somebody of whom it's known that they may, and about whom whoever is asked first was asked.
    pub(crate) async fn follow_unchecked(
        &self,
        socket: &Socket,
        room: &str,
        how: How,
    ) -> Result<Version, Failure> {
        crate::names::room(room)?;
        let follow = how.follow()?;
        for other in Follow::STATE {
            if other != follow {
                socket.leave(other.hub_room(room));
            }
        }
        // It may follow already: then what it hears begins anew.
        socket.leave(follow.hub_room(room));
        let version = self.show(socket, room, Some(follow)).await?;
        Ok(Version { version })
    }

    /// Sends a snapshot in its turn, to a socket that follows from here on, or does already.
    pub(super) async fn show(
        &self,
        socket: &Socket,
        room: &str,
        follow: Option<Follow>,
    ) -> Result<u64, Failure> {
        let (done, shown) = oneshot::channel();
        let name: Arc<str> = room.into();
        let receiver = socket.clone();
        let states = self.clone();
        let look = move |replica: &Replica| {
            let snapshot = deliver::snapshot(&name, replica);
            let hub_room = follow.map(|follow| follow.hub_room(&name));
            let expected = hub_room.as_ref().map(|room| states.expect(room));
            receiver.in_turn(move |socket| {
                let is_in = hub_room.is_none_or(|room| socket.join(room));
                drop(expected);
                let sent = is_in && socket.unlogged().emit_raw(snapshot).is_ok();
                // Who asked may be gone.
                let _ = done.send(sent);
            });
            replica.version()
        };
        let namespace = socket.namespace();
        let version = self.read(&namespace, &SpaceKey::state(room), look).await?;
        if !shown.await.unwrap_or(false) {
            return Err(Failure::new(
                "too_large",
                "this socket is in as many rooms as it may; leave one first",
            ));
        }
        Ok(version)
    }

    async fn get(&self, socket: &Socket, request: Get) -> Result<Got, Failure> {
        let Get { room, keys, prefix } = request;
        crate::names::room(&room)?;
        self.check_read(socket, &room)?;
        match (&keys, &prefix) {
            (Some(_), Some(_)) => {
                return Err(Failure::bad_request("give `keys` or `prefix`, not both"));
            }
            (Some(keys), None) if keys.len() > MAX_KEYS => {
                return Err(Failure::bad_request(format!(
                    "at most {MAX_KEYS} keys at once"
                )));
            }
            _ => {}
        }
        let look = move |replica: &Replica| {
            let kept =
                |(key, entry): (&Arc<str>, &Arc<Entry>)| (Arc::clone(key), Arc::clone(entry));
            let entries = match keys {
                Some(keys) => {
                    let found = keys
                        .iter()
                        .filter_map(|key| Some((Arc::from(&**key), Arc::clone(replica.get(key)?))));
                    found.collect()
                }
                None => {
                    let prefix = prefix.unwrap_or_default();
                    replica.with_prefix(&prefix).map(kept).collect()
                }
            };
            let version = replica.version();
            Got { version, entries }
        };
        self.read(&socket.namespace(), &SpaceKey::state(&room), look)
            .await
    }

    async fn since(&self, socket: &Socket, request: &Since) -> Result<News, Failure> {
        let Since { room, version } = request;
        crate::names::room(room)?;
        self.check_read(socket, room)?;
        let from = *version;
        let look = move |replica: &Replica| {
            let version = replica.version();
            match replica.since(from) {
                Some(changes) => News::Changes { version, changes },
                None => News::Snapshot(Got {
                    version,
                    entries: replica
                        .entries()
                        .map(|(key, entry)| (Arc::clone(key), Arc::clone(entry)))
                        .collect(),
                }),
            }
        };
        self.read(&socket.namespace(), &SpaceKey::state(room), look)
            .await
    }

    /// Whether a socket may look at a room's state now. An answer may be long, and asks the store.
    pub(super) fn check_read(&self, socket: &Socket, room: &str) -> Result<(), Failure> {
        self.may(socket, room, "state.read")?;
        socket.pace::<Reads>(self.options(room).writes_per_second)
    }

    /// Whether a socket is in a room, or follows its state.
    pub(super) fn check_member(&self, socket: &Socket, room: &str) -> Result<(), Failure> {
        let hub_room = crate::names::room(room)?;
        let follows = |follow: Follow| socket.is_in(&follow.hub_room(room));
        if socket.is_in(&hub_room) || Follow::STATE.into_iter().any(follows) {
            return Ok(());
        }
        Err(Failure::new(
            "not_member",
            "join the room or its state before you change anything in it",
        ))
    }

    /// Whether somebody may write under this key: not if it's one that belongs to somebody else.
    fn check_key(&self, room: &str, person: Option<&Person>, key: &str) -> Result<(), Failure> {
        names::check("a key", key)?;
        for pattern in &self.options(room).own_keys {
            let Some((head, tail)) = pattern.split_once("{user}") else {
                continue;
            };
            let Some(rest) = key.strip_prefix(head) else {
                continue;
            };
            let own = person.is_some_and(|person| {
                let rest = rest.strip_prefix(&*person.id);
                rest.is_some_and(|rest| rest.starts_with(tail))
            });
            if !own {
                return Err(Failure::new(
                    "forbidden",
                    format!(
                        "keys that begin with `{head}` belong to a person; yours begin with `{pattern}`"
                    ),
                ));
            }
        }
        Ok(())
    }
}
