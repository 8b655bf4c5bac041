//! Sign-ins while connections live: the check that nobody gets past, alarms for the end of a sign-in, and the look at all
//! sockets when something was taken back.
//!
//! What must hold: a namespace's sign-in check is asked at every CONNECT, also of a client that takes up an earlier
//! session (other checks are not, as in Node), and a session is given back to the person who had it and to nobody else.

use std::sync::Arc;

use lakh_auth::Principal;
use lakh_wire::Millis;
use serde::Serialize;
use serde_json::{Value, json};

use crate::args;
use crate::caught::caught;
use crate::hub::Hub;
use crate::kept::Kept;
use crate::operator::EmitError;
use crate::outgoing::Flags;
use crate::person::Person;
use crate::shard::{Shard, SocketKey};
use crate::socket::Socket;

/// What is called when an alarm goes off.
pub(crate) type AlarmHook = Box<dyn Fn(&Socket, u64) + Send + Sync>;

/// A socket that wants to be looked at: 24 bytes with its time, for each that has asked.
#[derive(Debug)]
pub(crate) struct Alarm {
    pub key: SocketKey,
    /// What whoever set it knows it by.
    pub tag: u64,
}

/// With its time. There may be one for each socket.
const _: () = assert!(size_of::<(u64, Alarm)>() == 24);

impl Hub {
    /// Sets who is called when a socket's alarm goes off, on the socket's loop. To be called before the loops start; later
    /// calls change nothing.
    pub fn on_alarm(&self, hook: impl Fn(&Socket, u64) + Send + Sync + 'static) {
        let _ = self.0.alarm.set(Box::new(hook));
    }

    /// Calls `visit` for every socket of this node, those still being let in among them, on its own loop. Loops do other
    /// work in between; who comes meanwhile may be left out.
    pub fn visit_sockets(&self, visit: impl Fn(&Socket) + Send + Sync + 'static) {
        let visit: Arc<dyn Fn(&Socket) + Send + Sync> = Arc::new(visit);
        for shard in 0..self.shard_count() {
            let visit = Arc::clone(&visit);
            self.run_surely_on(shard, move |shard| shard.visit_sockets(visit));
        }
    }
}

/// What a module has others see of a person.
struct Shown(Person);

impl Socket {
    /// Keeps who is behind this socket, and for others the [`Person`] that they are, on other nodes too. The sign-in check
    /// of a namespace ends in it, and it's called again when a sign-in is renewed.
    pub fn set_principal(&self, principal: Principal) {
        if let Some(id) = principal.user() {
            // What a sign-in calls them counts until a module knows better.
            let known = self.get::<Shown>().filter(|shown| shown.0.id == id);
            let person = known.map_or_else(
                || Person {
                    id: id.to_owned(),
                    name: principal.name.clone(),
                },
                |shown| shown.0.clone(),
            );
            self.keep_person(person);
        }
        self.insert(principal);
    }

    /// Has others see the person behind this socket so from now on, whatever their sign-in calls them, now or renewed.
    pub fn show_as(&self, person: Person) {
        self.insert(Shown(person.clone()));
        self.keep_person(person);
    }

    fn keep_person(&self, person: Person) {
        if self.0.hub.cluster().is_some() {
            self.show_person(&person);
        }
        self.insert(person);
    }

    /// What other nodes see of it, beside what else there is.
    fn show_person(&self, person: &Person) {
        let user = json!(person);
        let mut data = self.data();
        match &mut data {
            Value::Object(fields) if fields.get("user") == Some(&user) => return,
            Value::Object(fields) => drop(fields.insert("user".to_owned(), user)),
            _ => data = json!({ "user": user }),
        }
        self.set_data(data);
    }

    /// Asks for a call of the hook of [`Hub::on_alarm`] at that time, in milliseconds since 1970, with this tag. Alarms are
    /// never taken back: whoever is called looks whether it still means something.
    pub fn alarm_at(&self, wall_ms: u64, tag: u64) {
        self.act(move |shard, socket| shard.arm_alarm(socket.0.key, wall_ms, tag));
    }

    /// The other sockets of the same connection. For its handlers: none on any other thread than its loop.
    #[must_use]
    pub fn companions(&self) -> Vec<Self> {
        let shard = self.0.hub.current_shard(self.0.shard());
        shard.map_or_else(Vec::new, |shard| shard.companions(self.0.key))
    }

    /// Sends an event that says how things are at this moment. In a recoverable namespace it's no part of what a client
    /// gets again when it comes back.
    ///
    /// # Errors
    /// If the arguments can't be written, or the server is overloaded.
    pub fn notify<T: Serialize + ?Sized>(&self, event: &str, args: &T) -> Result<(), EmitError> {
        let payload = args::encode(Some(event), args)?;
        self.try_act(payload.len(), move |shard, socket| {
            shard.emit_to(socket, &payload, None, None, Flags::default());
        })?;
        Ok(())
    }
}

/// Whether what was kept with a session says that it's this one's. What was kept on another node tells the person only.
pub(crate) fn belongs_to(kept: Option<&Kept>, principal: &Principal) -> bool {
    let kept_here = kept.and_then(Kept::get::<Principal>);
    let shown = kept.and_then(|kept| kept.data.as_ref()?.get("user")?.get("id")?.as_str());
    let owner = match &kept_here {
        Some(owner) => owner.user(),
        None => shown,
    };
    owner == principal.user()
}

impl Shard {
    fn arm_alarm(&self, key: SocketKey, wall_ms: u64, tag: u64) {
        let left_ms = wall_ms.saturating_sub(self.hub().wall_ms());
        let at = Millis(self.clock_now().0.saturating_add(left_ms));
        self.state.borrow_mut().arm_alarm(at, Alarm { key, tag });
    }

    /// An alarm goes off.
    pub(crate) fn alarm(&self, alarm: &Alarm) {
        let socket = {
            let mut state = self.state.borrow_mut();
            state.socket(alarm.key).map(|entry| entry.socket.clone())
        };
        if let (Some(socket), Some(hook)) = (socket, self.hub().0.alarm.get()) {
            caught("the hook of alarms", || hook(&socket, alarm.tag));
        }
    }

    fn visit_sockets(&self, visit: Arc<dyn Fn(&Socket) + Send + Sync>) {
        let (hub, index) = (self.hub().clone(), self.index());
        let work = async move {
            let mut from = 0;
            while let Some(shard) = hub.current_shard(index)
                && let Some(next) = shard.visit_some(from, &*visit)
            {
                from = next;
                // Not held while others have their turn.
                drop(shard);
                tokio::task::yield_now().await;
            }
        };
        self.run_hook(Box::pin(work));
    }

    /// Visits some sockets from that slot on. Where to go on, if there may be more.
    fn visit_some(&self, from: usize, visit: &dyn Fn(&Socket)) -> Option<usize> {
        const AT_ONCE: usize = 1024;
        let (sockets, next) = {
            let state = self.state.borrow();
            let end = state.sockets.capacity();
            let next = end.min(from.saturating_add(AT_ONCE));
            let found = (from..next).filter_map(|slot| state.sockets.get(slot));
            let sockets: Vec<Socket> = found.map(|entry| entry.socket.clone()).collect();
            (sockets, (next < end).then_some(next))
        };
        for socket in &sockets {
            caught("a visit to all sockets", || visit(socket));
        }
        next
    }

    fn companions(&self, key: SocketKey) -> Vec<Socket> {
        let mut state = self.state.borrow_mut();
        let Some(session) = state.socket(key).map(|entry| entry.session) else {
            return Vec::new();
        };
        let Some(entry) = state.session(session) else {
            return Vec::new();
        };
        let others = entry.sockets.clone();
        let others = others.into_iter().filter(|slot| *slot != key.slot);
        others
            .map(|slot| state.sockets[slot as usize].socket.clone())
            .collect()
    }

    /// Whether a socket belongs to this one, or is gone.
    pub(crate) fn is_of(&self, key: SocketKey, principal: &Principal) -> bool {
        let kept = {
            let mut state = self.state.borrow_mut();
            let Some(entry) = state.socket(key) else {
                return true;
            };
            entry.socket.get::<Principal>()
        };
        kept.as_deref().and_then(Principal::user) == principal.user()
    }
}
