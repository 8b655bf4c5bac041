//! Fan-out: a broadcast to the members on this shard.

use std::cell::Cell;
use std::sync::Arc;

use lakh_broker::{Position, Room};
use lakh_wire::engine::Transport;
use lakh_wire::socketio::Parser;
use lakh_wire::{CloseReason, Encoded, Millis};
use slab::Slab;
use smallvec::SmallVec;

use super::{
    RoomEntry, SessionEntry, SessionKey, Shard, SocketEntry, SocketKey, Space, State, Timer, touch,
};
use crate::ack::Collector;
use crate::caught::caught;
use crate::outbox::{Item, Spare};
use crate::outgoing::{self, Flags, Outgoing, Targets};
use crate::payload::Payload;
use crate::settings::SlowReader;
use crate::socket::Socket;
use crate::stats::ShardStats;

/// How a packet is put into an outbox.
struct Push<'a> {
    flags: Flags,
    bound: usize,
    policy: SlowReader,
    stats: &'a ShardStats,
    pressed: &'a Cell<bool>,
}

impl Push<'_> {
    /// `false`: the outbox is full, and the session must go. Inlined, or a receiver of a broadcast costs 30 instructions
    /// more.
    #[inline(always)]
    fn push(&self, session: &mut SessionEntry, packet: &Encoded, pool: &mut Vec<Spare>) -> bool {
        if self.flags.volatile && !is_writable(session) {
            self.stats.dropped_volatile.add(1);
            return true;
        }
        let key = self.flags.conflate;
        if key.is_some_and(|key| session.outbox.supersede(key)) {
            self.stats.conflated.add(1);
        }
        if session.outbox.bytes() + packet.len() > self.bound && !session.outbox.is_empty() {
            self.stats.dropped_slow.add(1);
            return self.policy == SlowReader::Drop;
        }
        let item = Item::Packet(packet.clone());
        match key {
            None => session.outbox.push(item, pool),
            Some(key) => session.outbox.push_keyed(item, key, pool),
        }
        self.stats.packets_out.add(1);
        if session.outbox.bytes() > self.bound / 4 && is_writable(session) {
            self.pressed.set(true);
        }
        true
    }
}

/// Whether what is sent now would go out now.
fn is_writable(session: &SessionEntry) -> bool {
    match session.engine.transport() {
        Transport::WebSocket => !session.outbox.blocked,
        Transport::Polling => session.outbox.poll_pending,
    }
}

impl Shard {
    fn pusher(&self, flags: Flags) -> Push<'_> {
        let settings = self.hub.settings();
        Push {
            flags,
            bound: settings.hub_limits.outbox_bytes,
            policy: settings.slow_reader,
            stats: self.stats(),
            pressed: &self.pressed,
        }
    }

    /// Puts a broadcast into the outbox of each member on this shard.
    pub(crate) fn deliver(&self, outgoing: &Arc<Outgoing>) {
        self.fan_out(outgoing, |_, _| {});
    }

    /// The same, for a broadcast that asks each member for an answer.
    /// Who has not answered at `until` is asked no longer.
    pub(crate) fn deliver_with_ack(
        &self,
        outgoing: &Arc<Outgoing>,
        collector: &Arc<Collector>,
        until: Millis,
    ) {
        let Some(id) = outgoing.ack else { return };
        let limit = self.hub.settings().hub_limits.max_pending_acks;
        let mut asked = Vec::new();
        let mut refused = 0;
        self.fan_out(outgoing, |slot, entry| {
            let acks = entry.acks.get_or_insert_default();
            if acks.len() < limit {
                acks.insert(id, super::Waiting::Many(Arc::clone(collector)));
                let generation = entry.generation;
                asked.push(SocketKey { slot, generation });
            } else {
                refused += 1;
                collector.answered(Err(crate::AckError::TooMany));
            }
        });
        collector.asked(asked.len() + refused);
        if !asked.is_empty() {
            let timer = Timer::Asked(id, asked.into());
            self.state.borrow_mut().arm(until, timer);
        }
    }

    fn fan_out(&self, outgoing: &Arc<Outgoing>, mut each: impl FnMut(u32, &mut SocketEntry)) {
        let mut push = self.pusher(outgoing.flags);
        let logged = outgoing.logged_at();
        if logged.is_some() {
            // Its client would take the next offset for a sign that it has everything before it.
            push.policy = SlowReader::Disconnect;
        }
        let passing = outgoing
            .offset
            .filter(|_| outgoing.flags.is_passing())
            .map(|at| at.seq);
        let listened = !outgoing.namespace.handlers.load().any_outgoing.is_empty();
        let mut reached = Vec::new();
        let mut slow = Vec::new();
        let mut held = Vec::new();
        {
            let mut state = self.state.borrow_mut();
            state.fan_out(outgoing, |slot, entry, session, pool| {
                if logged.is_some_and(|seq| seq <= entry.after) {
                    return false;
                }
                // Published before what the socket was replayed: its position would take the client back, and at
                // the next restore it would get the same again.
                if passing.is_some_and(|seq| seq < entry.after) {
                    return false;
                }
                each(slot, entry);
                if listened {
                    reached.push(entry.socket.clone());
                }
                let parser = session.decoder.parser().unwrap_or(Parser::Json);
                if entry.held {
                    held.push((slot, entry.session, parser));
                    return false;
                }
                let fits = push.push(session, outgoing.encoded(parser), pool);
                if !fits {
                    slow.push(entry.session);
                }
                true
            });
            for (slot, session, parser) in held {
                let packet = outgoing.encoded(parser);
                if !state.fleet.hold(slot, packet, push.bound) {
                    slow.push(session);
                }
            }
        }
        self.heard(&reached, &outgoing.payload);
        for key in slow {
            self.drop_slow(key);
        }
    }

    /// Catch-all listeners hear what went out.
    fn heard(&self, sockets: &[Socket], payload: &Payload) {
        for socket in sockets {
            for hook in &socket.0.namespace.handlers.load().any_outgoing {
                caught("a listener of outgoing events", || hook(socket, payload));
            }
        }
    }

    /// Sends an event to one socket.
    pub(crate) fn emit_to(
        &self,
        socket: &Socket,
        payload: &Payload,
        ack: Option<u64>,
        at: Option<Position>,
        flags: Flags,
    ) {
        let push = self.pusher(flags);
        let fits = {
            let mut state = self.state.borrow_mut();
            let Some(entry) = state.socket(socket.0.key) else {
                return;
            };
            // As for broadcasts to its own room that pass the log.
            if at.is_some_and(|at| at.seq < entry.after || !entry.in_own_room) {
                return;
            }
            let (key, held) = (entry.session, entry.held);
            // A socket that is still being let in may have lost its connection meanwhile.
            if state.session(key).is_none() {
                return;
            }
            let State {
                sessions,
                pool,
                dirty,
                flusher,
                fleet,
                ..
            } = &mut *state;
            let session = &mut sessions[key.slot as usize];
            let parser = session.decoder.parser().unwrap_or(Parser::Json);
            let name = &socket.0.namespace.name;
            let packet = outgoing::event(parser, name, payload, ack, at, flags.compress);
            let fits = if held {
                fleet.hold(socket.0.key.slot, &packet, push.bound)
            } else {
                let fits = push.push(session, &packet, pool);
                touch(sessions, dirty, flusher, key.slot);
                fits
            };
            if fits { None } else { Some(key) }
        };
        if let Some(key) = fits {
            self.drop_slow(key);
        }
        if !socket.0.namespace.handlers.load().any_outgoing.is_empty() {
            self.heard(std::slice::from_ref(socket), payload);
        }
    }

    /// Whether what is sent to this socket now would go out now.
    pub(crate) fn takes(&self, key: SocketKey) -> bool {
        let mut state = self.state.borrow_mut();
        let Some(session) = state
            .socket(key)
            .filter(|entry| !entry.held)
            .map(|entry| entry.session)
        else {
            return false;
        };
        state
            .session(session)
            .is_some_and(|entry| is_writable(entry))
    }

    /// Has the transport keep back no more than this.
    pub(crate) fn limit_unsent(&self, key: SocketKey, bytes: u32) -> bool {
        let mut state = self.state.borrow_mut();
        let Some(at) = state.socket(key).map(|entry| entry.session) else {
            return false;
        };
        let Some(session) = state.session(at) else {
            return false;
        };
        if session.engine.transport() != Transport::WebSocket {
            return false;
        }
        // At most 2³¹, so its logarithm is below 32.
        session.outbox.signals.unsent_bits = bytes.max(1).ilog2() as u8;
        state.touch(at.slot);
        true
    }

    /// Sends one socket what is made for its parser, if it goes out now: nothing is made for who can't take it.
    pub(crate) fn emit_made(&self, key: SocketKey, make: impl FnOnce(Parser) -> Encoded) -> bool {
        let push = self.pusher(Flags::default());
        let mut state = self.state.borrow_mut();
        let State {
            sockets,
            sessions,
            pool,
            dirty,
            flusher,
            ..
        } = &mut *state;
        let socket = sockets.get(key.slot as usize);
        let Some(socket) = socket.filter(|entry| entry.generation == key.generation && !entry.held)
        else {
            return false;
        };
        let at = socket.session;
        let session = sessions.get_mut(at.slot as usize);
        let session = session.filter(|found| found.generation == at.generation);
        let Some(session) = session.filter(|session| is_writable(session)) else {
            self.stats().dropped_volatile.add(1);
            return false;
        };
        let packet = make(session.decoder.parser().unwrap_or(Parser::Json));
        if session.outbox.bytes() + packet.len() > push.bound {
            self.stats().dropped_volatile.add(1);
            return false;
        }
        push.push(session, &packet, pool);
        touch(sessions, dirty, flusher, at.slot);
        true
    }

    /// Sends a packet that belongs to no broadcast, under the same bound.
    pub(super) fn send_packet(&self, key: SessionKey, packet: &Encoded) {
        let push = self.pusher(Flags::default());
        let fits = {
            let mut state = self.state.borrow_mut();
            if state.session(key).is_none_or(|entry| entry.over) {
                return;
            }
            let State { sessions, pool, .. } = &mut *state;
            let fits = push.push(&mut sessions[key.slot as usize], packet, pool);
            state.touch(key.slot);
            fits
        };
        if !fits {
            self.drop_slow(key);
        }
    }

    pub(super) fn drop_slow(&self, key: SessionKey) {
        tracing::debug!("a connection reads too slowly and is closed");
        self.close_now(key, CloseReason::SlowReader);
    }
}

impl State {
    /// Calls `each` for every socket that a broadcast reaches, with its session; sessions it says yes to turn dirty.
    fn fan_out(
        &mut self,
        outgoing: &Outgoing,
        mut each: impl FnMut(u32, &mut SocketEntry, &mut SessionEntry, &mut Vec<Spare>) -> bool,
    ) {
        let namespace = outgoing.namespace.id;
        let reach = match outgoing.only {
            Some(_) => None,
            None => Some(self.reach(namespace, &outgoing.targets)),
        };
        let State {
            spaces,
            sockets,
            sessions,
            pool,
            dirty,
            flusher,
            ..
        } = self;
        let one = |slot: u32, entry: &mut SocketEntry| {
            let key = entry.session;
            let at = key.slot;
            let session = sessions.get_mut(at as usize);
            // A socket that is still being let in may have lost its connection, and the slot have another.
            let Some(session) = session.filter(|found| found.generation == key.generation) else {
                return;
            };
            if each(slot, entry, session, pool) {
                touch(sessions, dirty, flusher, at);
            }
        };
        match (reach, outgoing.only) {
            (Some(reach), _) => {
                if let Some(space) = spaces.get(&namespace) {
                    let passes = |filter: &str| outgoing.passes(filter);
                    reach.walk(space, sockets, &outgoing.targets.rooms, passes, one);
                }
            }
            (None, Some((_, key))) => {
                let mut one = one;
                let entry = sockets.get_mut(key.slot as usize);
                let entry = entry.filter(|entry| entry.generation == key.generation);
                if let Some(entry) = entry.filter(|entry| entry.in_own_room) {
                    one(key.slot, entry);
                }
            }
            (None, None) => {}
        }
    }

    /// The same choice, for other purposes than sending.
    pub(super) fn each_target(
        &mut self,
        namespace: u32,
        targets: &Targets,
        each: impl FnMut(u32, &mut SocketEntry),
    ) {
        let reach = self.reach(namespace, targets);
        if let Some(space) = self.spaces.get(&namespace) {
            reach.walk(space, &mut self.sockets, &targets.rooms, |_| true, each);
        }
    }

    fn reach(&mut self, namespace: u32, targets: &Targets) -> Reach {
        let own: SmallVec<[u32; 1]> = targets
            .rooms
            .iter()
            .filter_map(|room| self.socket_by_room(namespace, room))
            .collect();
        let mark = self.prepare(namespace, targets, !own.is_empty());
        Reach { mark, own }
    }

    /// Marks those who are left out. `None`: nobody is, and nobody can be reached twice, so no marks are needed.
    fn prepare(&mut self, namespace: u32, targets: &Targets, has_own: bool) -> Option<u32> {
        if targets.rooms.len() <= 1 && !has_own && targets.except.is_empty() {
            return None;
        }
        self.mark = self.mark.wrapping_add(1);
        if self.mark == 0 {
            // Once in four billion broadcasts: marks of the last round must not be taken for this one's.
            self.sockets
                .iter_mut()
                .for_each(|(_, entry)| entry.mark = 0);
            self.mark = 1;
        }
        for room in &targets.except {
            if let Some(slot) = self.socket_by_room(namespace, room) {
                self.sockets[slot as usize].mark = self.mark;
            }
            let Some(space) = self.spaces.get(&namespace) else {
                continue;
            };
            if let Some(room) = space.find(room) {
                for slot in space.all_members(room) {
                    self.sockets[slot as usize].mark = self.mark;
                }
            }
        }
        Some(self.mark)
    }
}

/// Whom a broadcast reaches, besides the members of its rooms.
struct Reach {
    /// Who bears it is left out, or was reached before.
    mark: Option<u32>,
    /// Sockets whose own rooms are among the rooms.
    own: SmallVec<[u32; 1]>,
}

/// Members with filters. Out of line: one more place that calls what is done for each member, and it would be inlined
/// nowhere (measured: 37 instructions more a receiver).
#[cold]
#[inline(never)]
fn each_filtered(
    space: &Space,
    room: &RoomEntry,
    passes: &dyn Fn(&str) -> bool,
    one: &mut dyn FnMut(u32),
) {
    for (filter, members) in space.filtered(room) {
        if passes(filter) {
            members.iter().for_each(|(slot, _)| one(*slot));
        }
    }
}

impl Reach {
    fn walk(
        self,
        space: &Space,
        sockets: &mut Slab<SocketEntry>,
        rooms: &[Room],
        passes: impl Fn(&str) -> bool,
        mut each: impl FnMut(u32, &mut SocketEntry),
    ) {
        let mut one = |slot: u32| {
            let Some(entry) = sockets.get_mut(slot as usize) else {
                return;
            };
            let mark = self.mark;
            if mark.is_none_or(|mark| std::mem::replace(&mut entry.mark, mark) != mark) {
                each(slot, entry);
            }
        };
        if rooms.is_empty() {
            space.members.iter().copied().for_each(&mut one);
        }
        for room in rooms.iter().filter_map(|room| space.find(room)) {
            let room = &space.rooms[room as usize];
            room.members.iter().for_each(|(slot, _)| one(*slot));
            if !room.parts().is_empty() {
                each_filtered(space, room, &passes, &mut one);
            }
        }
        self.own.into_iter().for_each(one);
    }
}
