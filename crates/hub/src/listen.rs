//! Listeners: parts of this server that hear what is said in a room, without a socket in it.
//!
//! A listener hears each broadcast to its room once, from whichever node it came and in the order in which the room's
//! members get it. It never slows a broadcast: what it doesn't take in time is dropped beyond a bound in bytes, and it's
//! told how much.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lakh_broker::{NameHasher, Room};
use lakh_wire::socketio::event_name;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use crate::event::Event;
use crate::namespace::Namespace;
use crate::outgoing::Outgoing;

/// What a listener hears.
#[derive(Clone, Debug)]
pub enum Heard {
    /// An event, as members of the room get it.
    Event(Event),
    /// So many events were not kept because it didn't listen in time.
    Missed(u64),
}

/// Hears what is said in a room until it's dropped.
pub struct Listener {
    namespace: Namespace,
    room: Room,
    ear: Arc<Ear>,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Listener").field(&self.room).finish()
    }
}

struct Ear {
    heard: Mutex<Queue>,
    more: Notify,
    max_bytes: usize,
}

#[derive(Default)]
struct Queue {
    events: VecDeque<Arc<Outgoing>>,
    bytes: usize,
    /// Dropped since the last of `events`. Once it counts, everything is dropped until all before it has been taken, so
    /// what was missed is in one place.
    missed: u64,
}

/// The listeners of a namespace.
#[derive(Default)]
pub(crate) struct Listeners {
    /// Looked at for each broadcast; the table only if there are any.
    count: AtomicUsize,
    by_room: RwLock<HashMap<Room, Vec<Arc<Ear>>, NameHasher>>,
}

impl Listeners {
    /// A broadcast is on its way to the loops.
    pub(crate) fn tell(&self, outgoing: &Arc<Outgoing>) {
        if self.count.load(Ordering::Acquire) == 0 || outgoing.only.is_some() {
            return;
        }
        let by_room = self.by_room.read();
        let mut told: Vec<&Arc<Ear>> = Vec::new();
        for ear in outgoing
            .targets
            .rooms
            .iter()
            .filter_map(|room| by_room.get(room))
            .flatten()
        {
            // Who listens to two of its rooms hears it twice, once by each listener; no listener hears it twice.
            if !told.iter().any(|other| Arc::ptr_eq(other, ear)) {
                ear.hear(outgoing);
                told.push(ear);
            }
        }
    }
}

impl Ear {
    fn hear(&self, outgoing: &Arc<Outgoing>) {
        let mut heard = self.heard.lock();
        let cost = outgoing.cost();
        if heard.missed > 0 || heard.bytes.saturating_add(cost) > self.max_bytes {
            heard.missed += 1;
        } else {
            heard.bytes += cost;
            heard.events.push_back(Arc::clone(outgoing));
        }
        drop(heard);
        self.more.notify_one();
    }

    fn take(&self) -> Option<Heard> {
        let mut heard = self.heard.lock();
        while let Some(outgoing) = heard.events.pop_front() {
            heard.bytes -= outgoing.cost();
            let Some(name) = event_name(&outgoing.payload.text) else {
                continue;
            };
            return Some(Heard::Event(Event {
                name: (*name).into(),
                payload: outgoing.payload.clone(),
                ack: None,
            }));
        }
        let missed = std::mem::take(&mut heard.missed);
        (missed > 0).then_some(Heard::Missed(missed))
    }
}

impl Namespace {
    /// Hears what is said in a room from now on. At most `max_bytes` wait for the listener.
    #[must_use]
    pub fn listen(&self, room: impl Into<Room>, max_bytes: usize) -> Listener {
        let room = room.into();
        let ear = Arc::new(Ear {
            heard: Mutex::default(),
            more: Notify::new(),
            max_bytes,
        });
        let listeners = &self.inner.listeners;
        let mut by_room = listeners.by_room.write();
        by_room
            .entry(Room::clone(&room))
            .or_default()
            .push(Arc::clone(&ear));
        listeners.count.fetch_add(1, Ordering::AcqRel);
        drop(by_room);
        // Where rooms have channels of their own, other nodes' broadcasts come only to those who ask for them.
        if let Some(cluster) = self.hub.cluster() {
            cluster.want_room(&self.inner.name, &room);
        }
        Listener {
            namespace: self.clone(),
            room,
            ear,
        }
    }
}

impl Listener {
    /// The next that is heard. Nothing is lost if this is dropped before it's ready.
    pub async fn next(&mut self) -> Heard {
        loop {
            if let Some(heard) = self.ear.take() {
                return heard;
            }
            self.ear.more.notified().await;
        }
    }

    /// The room that it listens to.
    #[must_use]
    pub fn room(&self) -> &Room {
        &self.room
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let inner = &self.namespace.inner;
        let mut by_room = inner.listeners.by_room.write();
        if let Some(ears) = by_room.get_mut(&self.room) {
            ears.retain(|ear| !Arc::ptr_eq(ear, &self.ear));
            if ears.is_empty() {
                by_room.remove(&self.room);
            }
        }
        inner.listeners.count.fetch_sub(1, Ordering::AcqRel);
        drop(by_room);
        if let Some(cluster) = self.namespace.hub.cluster() {
            cluster.unwant_room(&inner.name, &self.room);
        }
    }
}
