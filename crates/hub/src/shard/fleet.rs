//! What a shard keeps back until other nodes could go on from it.
//!
//! An acknowledgement says that what was done will not be lost. So the answer to a client's event waits until the
//! broadcasts of its handler stand in the stream, and what goes to a socket that has joined a room waits until the
//! session's record has that room: otherwise the client could be taken up elsewhere, without the room and without being
//! told.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use lakh_wire::{Encoded, Millis};
use rustc_hash::FxHashMap;

use super::{Shard, SocketKey, Timer};
use crate::cluster::{Recorded, Recording, Session};
use crate::handler::LocalFuture;
use crate::ids::Id;
use crate::namespace::NamespaceInner;
use crate::socket::Socket;

/// A record of a session that lives is written again after this time.
const REFRESH: Millis = Millis(60_000);
/// How often it's looked which.
const LOOK: Millis = Millis(10_000);
/// How much longer than the recovery window a record of a session that lives is kept: it's refreshed within that.
const LIVE_MS: u64 = 90_000;

/// A socket whose session stands in Redis.
struct Record {
    generation: u32,
    pid: Id,
    epoch: u64,
    /// Number of the latest change.
    change: u32,
    /// The change up to which Redis has it; 0 if nothing.
    written: u32,
    /// Whether a record was handed out for writing, by which others could take the session up.
    handed: bool,
    queued: bool,
    /// What waits goes when this change is written.
    hold_until: u32,
    held: VecDeque<Encoded>,
    held_bytes: usize,
    at: Millis,
}

/// What belongs to a fleet. Empty on a node that is alone.
#[derive(Default)]
pub(super) struct Fleet {
    records: FxHashMap<u32, Record>,
    changed: Vec<SocketKey>,
    looking: bool,
    /// The last entry of the stream that each socket's handlers published, until it is confirmed.
    tickets: FxHashMap<u32, (u32, u64)>,
    /// Answers that wait for such an entry.
    acks: VecDeque<(u64, SocketKey, Encoded)>,
}

impl Fleet {
    fn record(&mut self, key: SocketKey) -> Option<&mut Record> {
        let record = self.records.get_mut(&key.slot);
        record.filter(|record| record.generation == key.generation)
    }

    /// Keeps a packet back. `false`: there is too much of it.
    pub(super) fn hold(&mut self, slot: u32, packet: &Encoded, bound: usize) -> bool {
        let Some(record) = self.records.get_mut(&slot) else {
            return true;
        };
        if record.held_bytes + packet.len() > bound && !record.held.is_empty() {
            return false;
        }
        record.held_bytes += packet.len();
        record.held.push_back(packet.clone());
        true
    }
}

impl Shard {
    /// A recoverable socket is in: from now on its session is recorded.
    pub(super) fn begin_record(&self, socket: &Socket, epoch: u64) {
        if self.hub.followed().is_none() {
            return;
        }
        let key = socket.0.key;
        let mut state = self.state.borrow_mut();
        let Some(pid) = state.socket(key).and_then(|entry| entry.pid) else {
            return;
        };
        let now = self.now();
        let record = Record {
            generation: key.generation,
            pid,
            epoch,
            change: 0,
            written: 0,
            handed: false,
            queued: false,
            hold_until: 0,
            held: VecDeque::new(),
            held_bytes: 0,
            at: now,
        };
        state.fleet.records.insert(key.slot, record);
        if !std::mem::replace(&mut state.fleet.looking, true) {
            state.arm(now + LOOK, Timer::Refresh);
        }
        drop(state);
        self.record_changed(key, false);
    }

    /// A session is not as its record has it any more. `hold`: nothing may reach its client before the record has it.
    pub(crate) fn record_changed(&self, key: SocketKey, hold: bool) {
        let mut state = self.state.borrow_mut();
        let Some(record) = state.fleet.record(key) else {
            return;
        };
        record.change += 1;
        let held = hold && record.handed;
        if held {
            record.hold_until = record.change;
        }
        let first = !std::mem::replace(&mut record.queued, true);
        if held && let Some(entry) = state.socket(key) {
            entry.held = true;
        }
        if first {
            state.fleet.changed.push(key);
            if state.fleet.changed.len() == 1 {
                drop(state);
                // Behind what goes on now: its changes make one record.
                self.hub.run_surely_on(self.index, Self::hand_out_records);
            }
        }
    }

    /// Has the records written that have changed.
    fn hand_out_records(&self) {
        let Some(cluster) = self.hub.followed() else {
            return;
        };
        let changed = std::mem::take(&mut self.state.borrow_mut().fleet.changed);
        let now = self.now();
        for key in changed {
            let socket = {
                let mut state = self.state.borrow_mut();
                let Some(record) = state.fleet.record(key) else {
                    continue;
                };
                record.queued = false;
                record.handed = true;
                record.at = now;
                state.socket(key).map(|entry| entry.socket.clone())
            };
            let recording = socket.and_then(|socket| self.recording(&socket, LIVE_MS));
            if let Some(recording) = recording {
                cluster.recorder.record(recording);
            }
        }
    }

    fn recording(&self, socket: &Socket, longer_ms: u64) -> Option<Recording> {
        let key = socket.0.key;
        let recovery = socket.0.namespace.recovery.get()?;
        let data = socket.data_if_set();
        let mut state = self.state.borrow_mut();
        let start = state.socket(key)?.start;
        let rooms = state.memberships_of(key).into_vec();
        let record = state.fleet.record(key)?;
        Some(Recording {
            pid: record.pid,
            epoch: record.epoch,
            ttl_ms: recovery.window_ms + longer_ms,
            session: Some(Session {
                id: socket.0.id,
                rooms,
                data,
                start: recovery.channel.at(start),
            }),
            of: Some((self.index, key, record.change)),
        })
    }

    /// A socket goes: its record is kept for as long as its client may come back, or dropped if it won't.
    pub(super) fn end_record(&self, socket: &Socket, comes_back: bool) -> u64 {
        let Some(cluster) = self.hub.followed() else {
            return 0;
        };
        let recording = self.recording(socket, 0);
        let mut state = self.state.borrow_mut();
        let key = socket.0.key;
        if state.fleet.record(key).is_none() {
            return 0;
        }
        let record = state.fleet.records.remove(&key.slot);
        drop(state);
        if let Some(mut recording) = recording {
            recording.of = None;
            if !comes_back {
                recording.session = None;
            }
            cluster.recorder.record(recording);
        }
        record.map_or(0, |record| record.epoch)
    }

    /// Records were written, or refused because the session is on another node by now.
    pub(crate) fn recorded(&self, all: &[Recorded]) {
        for recorded in all {
            if !recorded.written {
                tracing::debug!("a session was taken over by another node");
                self.close_session_of(recorded.key);
                continue;
            }
            let packets = {
                let mut state = self.state.borrow_mut();
                let Some(record) = state.fleet.record(recorded.key) else {
                    continue;
                };
                record.written = record.written.max(recorded.change);
                if record.held_bytes == 0 && record.hold_until == 0
                    || record.written < record.hold_until
                {
                    continue;
                }
                record.hold_until = 0;
                record.held_bytes = 0;
                let packets = std::mem::take(&mut record.held);
                if let Some(entry) = state.socket(recorded.key) {
                    entry.held = false;
                }
                packets
            };
            self.send_held(recorded.key, packets);
        }
    }

    fn send_held(&self, key: SocketKey, packets: VecDeque<Encoded>) {
        if let Some(session) = self.session_key_of(key) {
            for packet in packets {
                self.send_packet(session, &packet);
            }
        }
    }

    /// Another node has the session of this socket since that epoch.
    pub(crate) fn evicted(&self, namespace: &NamespaceInner, id: &str, epoch: u64) {
        let key = {
            let mut state = self.state.borrow_mut();
            let Some(slot) = state.socket_by_room(namespace.id, id) else {
                return;
            };
            let generation = state.sockets[slot as usize].generation;
            let key = SocketKey { slot, generation };
            let older = |record: &mut Record| record.epoch < epoch;
            state.fleet.record(key).is_some_and(older).then_some(key)
        };
        if let Some(key) = key {
            self.close_session_of(key);
        }
    }

    /// Something was missed: all who count on missing nothing are to come back, to another node or as newcomers.
    pub(crate) fn close_recoverable(&self) {
        let keys: Vec<SocketKey> = {
            let state = self.state.borrow();
            let recorded = state
                .sockets
                .iter()
                .filter(|(_, entry)| entry.pid.is_some());
            let key = |slot: usize, generation| SocketKey {
                // Slots are counted in 32 bits wherever they are given out.
                slot: slot as u32,
                generation,
            };
            recorded
                .map(|(slot, entry)| key(slot, entry.generation))
                .collect()
        };
        for key in keys {
            self.close_session_of(key);
        }
    }

    /// Has records written again that would expire.
    pub(super) fn refresh_records(&self) {
        let now = self.now();
        let old: Vec<SocketKey> = {
            let mut state = self.state.borrow_mut();
            state.fleet.looking = !state.fleet.records.is_empty();
            if state.fleet.looking {
                state.arm(now + LOOK, Timer::Refresh);
            }
            let records = state.fleet.records.iter();
            let old = records.filter(|(_, record)| record.at + REFRESH <= now);
            old.map(|(slot, record)| SocketKey {
                slot: *slot,
                generation: record.generation,
            })
            .collect()
        };
        for key in old {
            self.record_changed(key, false);
        }
    }

    /// Notes that the handler that runs has published this entry.
    pub(crate) fn note_ticket(&self, ticket: u64) {
        let (Some(key), Some(cluster)) = (self.running.get(), self.hub.followed()) else {
            return;
        };
        let mut state = self.state.borrow_mut();
        state
            .fleet
            .tickets
            .insert(key.slot, (key.generation, ticket));
        cluster.waiting[self.index].store(true, Ordering::SeqCst);
        drop(state);
        if cluster.is_released(ticket) {
            // It was confirmed before this shard was seen to wait.
            self.hub.run_surely_on(self.index, Self::release_acks);
        }
    }

    /// Keeps an answer back if it must wait. `true`: it does.
    pub(super) fn keep_ack(&self, key: SocketKey, packet: &Encoded) -> bool {
        let mut state = self.state.borrow_mut();
        let ticket = state.fleet.tickets.get(&key.slot).copied();
        match ticket {
            Some((generation, ticket)) if generation == key.generation => {
                state.fleet.acks.push_back((ticket, key, packet.clone()));
                true
            }
            _ => {
                let held = state.socket(key).is_some_and(|entry| entry.held);
                let bound = self.hub.settings().hub_limits.outbox_bytes;
                // An answer that finds no room is not sent: its client does not take the event for acknowledged.
                held && {
                    state.fleet.hold(key.slot, packet, bound);
                    true
                }
            }
        }
    }

    /// Sends the answers whose broadcasts stand in the stream by now.
    pub(crate) fn release_acks(&self) {
        let Some(cluster) = self.hub.followed() else {
            return;
        };
        let ready = {
            let mut state = self.state.borrow_mut();
            let fleet = &mut state.fleet;
            fleet
                .tickets
                .retain(|_, (_, ticket)| !cluster.is_released(*ticket));
            let all = std::mem::take(&mut fleet.acks).into_iter();
            let (ready, waiting): (Vec<_>, Vec<_>) =
                all.partition(|(ticket, ..)| cluster.is_released(*ticket));
            fleet.acks = waiting.into();
            if fleet.acks.is_empty() && fleet.tickets.is_empty() {
                cluster.waiting[self.index].store(false, Ordering::SeqCst);
            }
            ready
        };
        for (_, key, packet) in ready {
            // Its record may have to be written, too.
            if !self.keep_ack(key, &packet)
                && let Some(session) = self.session_key_of(key)
            {
                self.send_packet(session, &packet);
            }
        }
    }

    /// Runs the handler of an event of another server.
    pub(crate) fn run_hook(&self, work: LocalFuture) {
        self.run(SocketKey::NOBODY, work);
    }

    /// A room of a socket has changed.
    pub(super) fn rooms_changed(&self, key: SocketKey, joined: bool) {
        if self.hub.followed().is_some() {
            self.record_changed(key, joined);
        }
    }
}
