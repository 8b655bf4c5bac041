//! Who is where, over all nodes: a building block for modules that show presence.
//!
//! A module says on each node which of its sockets are in which place ([`Whereabouts::moved`]); the nodes tell each other by
//! words with numbers, and it's right again after any loss. What the news are, and who is told, is the module's own affair: it
//! gives a [`Teller`], which is asked with each change, in the order in which changes became true, and under one lock with what
//! can be looked up. So what is told and what is asked for go together.
//!
//! A person is in a place with the first of their sockets anywhere, until the last is gone; where the last one broke off, until
//! a while after, in case it comes back.
//!
//! Bounds: what is known of other nodes is as much as their sockets are in places. Words to other nodes gather what
//! changed, each person once.

mod agenda;
mod gossip;
mod state;
mod table;

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use lakh_broker::Room;
use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::cluster::ServerEvent;
use crate::hub::Hub;
use crate::namespace::Namespace;
use crate::person::Person;
use crate::socket::Socket;
pub use agenda::{Agenda, Ms};
use gossip::{Gossip, Word};
pub use state::State;
use table::ME;
pub use table::{Key, Occupancy, Part, PresencePage, Present, Table};

/// Wait for other nodes to say who is there, when that is first asked for.
const PATIENCE: Duration = Duration::from_secs(1);
/// The clock of the hub may be moved by hand: so long is slept at most.
const MOST_SLEEP: Duration = Duration::from_millis(500);

/// Somebody came to a place, left it, or changed there.
#[derive(Clone, Debug)]
pub struct Change {
    /// Where.
    pub place: Room,
    /// Who.
    pub key: Key,
    /// How they were there before; `None`: not at all.
    pub before: Option<Present>,
    /// How they are now.
    pub after: Option<Present>,
    /// When.
    pub now: Ms,
    /// Of all nodes, which all come to know of it, this one is to do what has to be done once: people are shared out among
    /// those that are there. As sure as nodes can be of each other: around an outage it may be done twice, or not at all.
    pub is_ours: bool,
}

/// Makes news of changes. Its methods but the last are called under the lock of its [`Whereabouts`].
pub trait Teller: Send + Sized + 'static {
    /// Whether it's of interest who is in a place; if not, nothing is kept of it.
    fn minds(&self, place: &Room) -> bool;

    /// Something has changed; the table has it already.
    fn changed(&mut self, table: &Table, agenda: &mut Agenda, change: Change);

    /// A time has come that was asked for: see [`Agenda::later`].
    fn due(&mut self, table: &Table, agenda: &mut Agenda, place: Room, now: Ms);

    /// Tells what news there are. Called without the lock, after what may have made some.
    fn tell(whereabouts: &Whereabouts<Self>);
}

/// Who is where, over all nodes. Cheap to clone.
pub struct Whereabouts<T>(Arc<Inner<T>>);

struct Inner<T> {
    namespace: Namespace,
    event: String,
    state: Mutex<State<T>>,
    /// Something is due earlier than was thought.
    earlier: Notify,
    /// Another node has said all that it knows.
    heard: Notify,
}

/// What is known; others wait until it is let go.
pub struct Known<'a, T>(MutexGuard<'a, State<T>>);

impl<T> Deref for Known<'_, T> {
    type Target = State<T>;

    fn deref(&self) -> &State<T> {
        &self.0
    }
}

impl<T> DerefMut for Known<'_, T> {
    fn deref_mut(&mut self) -> &mut State<T> {
        &mut self.0
    }
}

impl<T> Clone for Whereabouts<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> std::fmt::Debug for Whereabouts<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Whereabouts")
            .field("event", &self.0.event)
            .finish_non_exhaustive()
    }
}

/// A socket's connection broke, and may be back.
struct BrokeOff(bool);

/// What a socket's person is called in places: `u:` and their id, or `s:` and the socket's id if nobody has signed in.
#[must_use]
pub fn key_of(socket: &Socket) -> (Key, Option<Person>) {
    let person = socket.get::<Person>().map(|person| Person::clone(&person));
    let key = match &person {
        Some(person) => return (key_of_person(&person.id), Some(person.clone())),
        None => format!("s:{}", socket.id()),
    };
    (key.into(), person)
}

/// What a person is called in places.
#[must_use]
pub fn key_of_person(id: &str) -> Key {
    format!("u:{id}").into()
}

impl<T: Teller> Whereabouts<T> {
    /// Who is where among the sockets of a namespace. The nodes talk by server events of the name given; a node that says
    /// nothing for `silence_ms` counts as gone, and those on it as well. To be called before the loops start.
    pub fn new(namespace: &Namespace, event: &str, silence_ms: Ms, teller: T) -> Self {
        let hub = namespace.hub();
        let me = format!(
            "{}-{:08x}{:08x}",
            hub.settings().node,
            hub.random(),
            hub.random()
        );
        let this = Self(Arc::new(Inner {
            namespace: namespace.clone(),
            event: event.to_owned(),
            state: Mutex::new(State::new(teller, Gossip::new(me, silence_ms))),
            earlier: Notify::new(),
            heard: Notify::new(),
        }));
        namespace.on_disconnecting(async |socket, reason| {
            socket.insert(BrokeOff(reason.is_recoverable()));
        });
        let whereabouts = this.clone();
        namespace.on_server_event(event, async move |event: ServerEvent| {
            whereabouts.hear(&event);
        });
        this
    }

    fn hub(&self) -> &Hub {
        self.0.namespace.hub()
    }

    /// The namespace whose sockets these are.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.0.namespace
    }

    /// Looks things up, or has news taken. Not to be kept: nothing goes on meanwhile.
    #[must_use]
    pub fn lock(&self) -> Known<'_, T> {
        Known(self.0.state.lock())
    }

    /// A socket is in a place now, or no longer. If it's the person's last here, and its connection broke off, they are gone
    /// after `grace_ms`.
    pub fn moved(&self, socket: &Socket, place: &Room, joined: bool, grace_ms: Ms) {
        let broke = !socket.is_connected() && socket.get::<BrokeOff>().is_some_and(|it| it.0);
        let grace = if broke { grace_ms } else { 0 };
        let (key, user) = key_of(socket);
        self.change(|state, now| match joined {
            true => state.came(place, &key, user, socket.id(), now),
            false => state.went(place, &key, socket.id(), now, grace),
        });
    }

    /// Says something of a person in a place that isn't about sockets of theirs: they are there as long as this is said.
    pub fn say(&self, place: &Room, key: &Key, part: Option<Part>) {
        self.change(|state, now| state.say(place, key, part, now));
    }

    /// Changes what a person tells about themselves in a place where they are, on this node. `stamp_ms` is when, since 1970.
    pub fn set_data(&self, place: &Room, key: &Key, data: Option<Value>, stamp_ms: u64) {
        self.change(|state, now| {
            let Some(part) = state.table.part(ME, place, key).cloned() else {
                return;
            };
            let part = Part {
                data,
                stamp: stamp_ms,
                ..part
            };
            state.say(place, key, Some(part), now);
        });
    }

    fn change(&self, change: impl FnOnce(&mut State<T>, Ms)) {
        let now = self.hub().clock_ms();
        {
            let mut state = self.0.state.lock();
            change(&mut state, now);
            if self.is_fleet() {
                let State { gossip, agenda, .. } = &mut *state;
                gossip.begin(agenda, now);
            }
        }
        self.wake();
        T::tell(self);
    }

    fn hear(&self, event: &ServerEvent) {
        let Ok(word) = event.args::<Word>() else {
            return tracing::warn!(
                event = self.0.event,
                "what another node says of who is where was not understood"
            );
        };
        let now = self.hub().clock_ms();
        let whole = {
            let mut state = self.0.state.lock();
            let State {
                gossip,
                table,
                agenda,
                ..
            } = &mut *state;
            let (sayings, whole) = gossip.hear(table, agenda, word, now);
            state.take(sayings, now);
            whole
        };
        if whole {
            self.0.heard.notify_waiters();
        }
        self.wake();
        T::tell(self);
    }

    /// Whether there may be other nodes.
    fn is_fleet(&self) -> bool {
        self.hub().cluster_state().is_some()
    }

    /// Sees to it that what is due is looked after, on the first loop.
    pub fn wake(&self) {
        let start = {
            let mut state = self.0.state.lock();
            let start = !state.driven && state.agenda.next().is_some();
            state.driven |= start;
            start
        };
        if !start {
            return self.0.earlier.notify_one();
        }
        let driving = Driving {
            whereabouts: self.clone(),
            is_over: false,
        };
        // If that loop is behind, dropping this lets the next one try.
        let sent = self.hub().run_on(0, move |_| {
            tokio::task::spawn_local(drive(driving));
        });
        if let Err(error) = sent {
            tracing::debug!(%error, "presence waits for a loop that is behind");
        }
    }

    fn send(&self, words: Vec<Word>) {
        for word in words {
            if let Err(error) = self.0.namespace.server_side_emit(&self.0.event, &word) {
                tracing::warn!(%error, "who is where can't be written for other nodes");
            }
        }
    }

    /// Asks the other nodes who is there, when this is the first time that it matters, and waits for them a little.
    pub async fn ready(&self) {
        if !self.is_fleet() {
            return;
        }
        let is_ready = {
            let mut state = self.0.state.lock();
            let State { gossip, agenda, .. } = &mut *state;
            gossip.begin(agenda, self.hub().clock_ms());
            gossip.is_ready()
        };
        self.wake();
        if is_ready {
            return;
        }
        let others = self.hub().other_nodes().await.unwrap_or(usize::MAX);
        let all_heard = async {
            loop {
                let heard = self.0.heard.notified();
                if self.0.state.lock().gossip.whole_nodes() >= others {
                    return;
                }
                heard.await;
            }
        };
        // Servers of other makes never say anything.
        let _ = timeout(PATIENCE, all_heard).await;
        self.0.state.lock().gossip.set_ready();
    }
}

/// Lets another task be started when this one is cut off.
struct Driving<T: Teller> {
    whereabouts: Whereabouts<T>,
    /// It has ended by itself, and the state knows.
    is_over: bool,
}

impl<T: Teller> Drop for Driving<T> {
    fn drop(&mut self) {
        if !self.is_over {
            self.whereabouts.0.state.lock().driven = false;
        }
    }
}

async fn drive<T: Teller>(mut driving: Driving<T>) {
    let whereabouts = driving.whereabouts.clone();
    let inner = &whereabouts.0;
    let hub = whereabouts.hub();
    loop {
        let now = hub.clock_ms();
        let is_up = || hub.cluster_state().is_some_and(|state| state.link.up);
        let (words, next) = {
            let mut state = inner.state.lock();
            let words = state.step(now, is_up);
            (words, state.agenda.next())
        };
        // Only this task sends, so words go out in the order of their numbers.
        whereabouts.send(words);
        T::tell(&whereabouts);
        let Some(next) = next else {
            let mut state = inner.state.lock();
            if state.agenda.next().is_some() {
                continue;
            }
            state.driven = false;
            driving.is_over = true;
            return;
        };
        let wait = Duration::from_millis(next.saturating_sub(now)).min(MOST_SLEEP);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = inner.earlier.notified() => {}
        }
    }
}
