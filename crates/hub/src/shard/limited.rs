//! Limits of persons, addresses and the node, where events and bytes come in.
//!
//! Connections have a meter only where limits are set: without them an event costs a look at one pointer. What is too much
//! is decided in `lakh_auth::limits`; here it's carried out: refused with an answer, read slower, or closed.

use std::net::IpAddr;
use std::sync::Arc;

use lakh_auth::Principal;
use lakh_auth::limits::{Hit, Ledger, Limit, Meter, Past};
use lakh_wire::{CloseReason, Millis};
use serde::Serialize;
use serde_json::json;

use super::{SessionKey, Shard, State, Timer};
use crate::hub::Hub;
use crate::namespace::ConnectError;
use crate::occurrence::{Occurrence, What};
use crate::request::{Failure, answer};
use crate::sieve::FILTER_MARK;
use crate::socket::Socket;

/// What the sessions of a shard are charged with, by their slots. Empty without limits.
#[derive(Default)]
pub(super) struct Meters(Vec<Option<Box<Metered>>>);

struct Metered {
    meter: Meter,
    /// It's read no further until then.
    slowed_until: Millis,
    /// Whether a timer for that is in the wheel.
    waits: bool,
}

impl Meters {
    fn of(&mut self, slot: u32) -> Option<&mut Metered> {
        self.0.get_mut(slot as usize)?.as_deref_mut()
    }

    fn set(&mut self, slot: u32, metered: Option<Box<Metered>>) -> Option<Box<Metered>> {
        let slot = slot as usize;
        if self.0.len() <= slot {
            metered.as_ref()?;
            self.0.resize_with(slot + 1, || None);
        }
        std::mem::replace(&mut self.0[slot], metered)
    }

    /// Whether nobody is charged with anything.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn leave(&mut self, session: u32, socket: u32) {
        if let Some(metered) = self.of(session) {
            metered.meter.leave(socket);
        }
    }
}

/// What a client is told of a limit, by the event `limit`.
#[derive(Serialize)]
struct Told {
    code: &'static str,
    limit: &'static str,
    scope: &'static str,
    action: &'static str,
    retry_in_ms: u64,
}

impl Told {
    fn of(hit: &Hit) -> Self {
        Self {
            code: hit.limit.code(),
            limit: hit.limit.word(),
            scope: hit.scope.word(),
            action: hit.past.word(),
            retry_in_ms: hit.retry_in_ms,
        }
    }
}

/// For people.
fn message(hit: &Hit) -> String {
    let scope = hit.scope.word();
    match hit.limit {
        Limit::Events | Limit::Joins | Limit::Bytes => format!(
            "too many {} a second (limit of the {scope}): try again in {} ms",
            hit.limit.word(),
            hit.retry_in_ms
        ),
        Limit::Connections => "You have as many connections as you may: close one first".to_owned(),
        Limit::Rooms => "you are in as many rooms as you may: leave one first".to_owned(),
    }
}

fn failure(hit: &Hit) -> Failure {
    Failure::new(hit.limit.code(), message(hit))
}

impl Hub {
    /// Sets what persons, addresses and this node may do. To be called before the loops start; later calls change nothing.
    pub fn set_limits(&self, limits: lakh_auth::limits::Limits) {
        if !limits.are_none() {
            let _ = self.0.ledger.set(Ledger::new(limits));
        }
    }

    /// How often somebody ran into a limit: whose, which, and how often.
    #[must_use]
    pub fn limit_hits(&self) -> Vec<(&'static str, &'static str, u64)> {
        let hits = self.0.ledger.get().map(|ledger| ledger.hits());
        let hits = hits.into_iter().flatten();
        hits.map(|(scope, limit, count)| (scope.word(), limit.word(), count))
            .collect()
    }
}

impl Socket {
    /// Charges a join that the client asks for.
    pub(crate) fn may_join(&self) -> Result<(), Failure> {
        if self.0.hub.0.ledger.get().is_none() {
            return Ok(());
        }
        let shard = self.0.hub.current_shard(self.0.shard());
        shard.map_or(Ok(()), |shard| shard.charge_join(self))
    }
}

impl Shard {
    /// Whether anything is limited: whoever reads can save itself the trouble otherwise.
    #[must_use]
    pub fn has_limits(&self) -> bool {
        self.hub.0.ledger.get().is_some()
    }

    pub(super) fn begin_meter(&self, state: &mut State, slot: u32, address: IpAddr) {
        let Some(ledger) = self.hub.0.ledger.get() else {
            return;
        };
        let meter = Arc::clone(ledger).meter(address, self.now().0);
        let metered = Metered {
            meter,
            slowed_until: Millis(0),
            waits: false,
        };
        drop(state.meters.set(slot, Some(Box::new(metered))));
    }

    /// The session is over, and its sockets are gone.
    pub(super) fn end_meter(&self, key: SessionKey) {
        if self.has_limits() {
            let ended = self.state.borrow_mut().meters.set(key.slot, None);
            drop(ended);
        }
    }

    /// Charges a connection to whoever is behind a socket.
    pub(super) fn charge_person(
        &self,
        key: SessionKey,
        socket: &Socket,
    ) -> Result<(), ConnectError> {
        if !self.has_limits() {
            return Ok(());
        }
        let principal = socket.get::<Principal>();
        let Some(person) = principal.as_deref().and_then(Principal::user) else {
            return Ok(());
        };
        let now_ms = self.now().0;
        let entered = {
            let mut state = self.state.borrow_mut();
            let metered = state.meters.of(key.slot);
            metered.map(|metered| metered.meter.enter(socket.0.key.slot, person, now_ms))
        };
        let Some(Err(hit)) = entered else {
            return Ok(());
        };
        self.tell_others(key, socket, &hit);
        let refusal = ConnectError::new(message(&hit));
        Err(refusal.with_data(json!({ "code": hit.limit.code() })))
    }

    /// Whether a connection that was refused is to be closed.
    pub(super) fn closes_refused(&self) -> bool {
        let ledger = self.hub.0.ledger.get();
        ledger.is_some_and(|ledger| ledger.limits().past_connections == Past::Disconnect)
    }

    /// Charges an event. `false`: it's not to be handled.
    pub(super) fn charge_event(&self, key: SessionKey, socket: &Socket, ack: Option<u64>) -> bool {
        if !self.has_limits() {
            return true;
        }
        let now_ms = self.now().0;
        let charged = {
            let mut state = self.state.borrow_mut();
            let metered = state.meters.of(key.slot);
            metered.map(|metered| metered.meter.event(socket.0.key.slot, now_ms))
        };
        let Some(Err(hit)) = charged else {
            return true;
        };
        if hit.past != Past::Slow {
            self.stats().refused_events.add(1);
            if let Some(id) = ack {
                let refused = answer::<()>(Err(failure(&hit)));
                self.send_ack(socket, id, &refused);
            }
        }
        self.past(key, socket, &hit, ack.is_some());
        hit.past == Past::Slow
    }

    fn charge_join(&self, socket: &Socket) -> Result<(), Failure> {
        let Some(key) = self.session_key_of(socket.0.key) else {
            return Ok(());
        };
        let now_ms = self.now().0;
        let charged = {
            let mut state = self.state.borrow_mut();
            let metered = state.meters.of(key.slot);
            metered.map(|metered| metered.meter.join(socket.0.key.slot, now_ms))
        };
        let Some(Err(hit)) = charged else {
            return Ok(());
        };
        self.past(key, socket, &hit, true);
        match hit.past {
            Past::Slow => Ok(()),
            Past::Refuse | Past::Disconnect => Err(failure(&hit)),
        }
    }

    /// Bytes came for a session. Whoever moves them calls it before it hands them over.
    pub fn received(&self, key: SessionKey, bytes: usize) {
        if !self.has_limits() {
            return;
        }
        let now_ms = self.now().0;
        let (charged, socket) = {
            let mut state = self.state.borrow_mut();
            let socket = state
                .session(key)
                .and_then(|entry| entry.sockets.first().copied());
            let socket = socket.and_then(|slot| state.sockets.get(slot as usize));
            let socket = socket.map(|entry| entry.socket.clone());
            let metered = state.meters.of(key.slot);
            (
                metered.map(|metered| metered.meter.bytes(bytes, now_ms)),
                socket,
            )
        };
        let Some(Err(hit)) = charged else {
            return;
        };
        match (socket, hit.past) {
            (Some(socket), _) => self.past(key, &socket, &hit, false),
            (None, Past::Slow) => self.slow_down(key, hit.retry_in_ms),
            (None, Past::Disconnect) => self.close(key, CloseReason::ForcedClose),
            // It's in no namespace yet, and its events will be refused.
            (None, Past::Refuse) => {}
        }
    }

    /// Does what is to be done past a limit. `answered`: the client is told by the answer to its event.
    fn past(&self, key: SessionKey, socket: &Socket, hit: &Hit, answered: bool) {
        self.tell_others(key, socket, hit);
        let by_answer = answered && hit.past == Past::Refuse;
        if hit.past == Past::Disconnect || !by_answer && self.is_due(key, Meter::tell_client) {
            // Who can't be told will notice.
            let _ = socket.notify("limit", &Told::of(hit));
        }
        match hit.past {
            Past::Refuse => {}
            Past::Slow => self.slow_down(key, hit.retry_in_ms),
            Past::Disconnect => self.disconnect(socket.0.key, true),
        }
    }

    fn is_due(&self, key: SessionKey, due: fn(&mut Meter, u64) -> bool) -> bool {
        let now_ms = self.now().0;
        let mut state = self.state.borrow_mut();
        let metered = state.meters.of(key.slot);
        metered.is_some_and(|metered| due(&mut metered.meter, now_ms))
    }

    /// Tells who wants to know, at most once a second a connection.
    fn tell_others(&self, key: SessionKey, socket: &Socket, hit: &Hit) {
        if !self.is_due(key, Meter::tell_others) {
            return;
        }
        let (limit, scope) = (hit.limit.word(), hit.scope.word());
        tracing::debug!(socket = socket.id(), limit, scope, "past a limit");
        let namespace = &socket.0.namespace.name;
        self.hub.tell(What::RateLimit, namespace, || {
            let action = hit.past.word();
            let data = json!({ "limit": limit, "scope": scope, "action": action });
            Occurrence::by(What::RateLimit, socket, "").with_data(&data)
        });
    }

    /// Reads a connection no further for this long.
    fn slow_down(&self, key: SessionKey, wait_ms: u64) {
        let until = Millis(self.now().0.saturating_add(wait_ms));
        let mut state = self.state.borrow_mut();
        let Some(metered) = state.meters.of(key.slot) else {
            return;
        };
        metered.slowed_until = metered.slowed_until.max(until);
        let first = !std::mem::replace(&mut metered.waits, true);
        if let Some(entry) = state.session(key) {
            entry.slowed = true;
        }
        if first {
            state.arm(until, Timer::ReadOn(key));
        }
    }

    /// A connection that was read slower may be read on.
    pub(super) fn read_on(&self, key: SessionKey) {
        let now = self.now();
        let mut state = self.state.borrow_mut();
        // Another session may have the slot by now, and its own timer.
        if state.session(key).is_none() {
            return;
        }
        let Some(metered) = state.meters.of(key.slot) else {
            return;
        };
        let until = metered.slowed_until;
        if until > now {
            return state.arm(until, Timer::ReadOn(key));
        }
        metered.waits = false;
        if let Some(entry) = state.session(key) {
            entry.slowed = false;
            entry.outbox.signals.resume = true;
            state.touch(key.slot);
        }
    }
}

impl State {
    /// A socket joined a room of this name, or left it.
    pub(super) fn meter_room(&mut self, socket: u32, name: &str, joined: bool) {
        if self.meters.is_empty() || is_of_server(name) {
            return;
        }
        let session = self.sockets.get(socket as usize).map(|entry| entry.session);
        if let Some(metered) = session.and_then(|session| self.meters.of(session.slot)) {
            metered.meter.room(socket, joined);
        }
    }
}

/// Whether a room is one that the server puts sockets into by itself, such as a person's: no client can name one with a
/// control character. What stands behind the mark is a member's filter.
fn is_of_server(name: &str) -> bool {
    let name = name.split(FILTER_MARK).next().unwrap_or_default();
    name.bytes().any(|byte| byte < 0x20)
}
