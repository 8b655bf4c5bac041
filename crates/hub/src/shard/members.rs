//! Rooms of this shard: who is in which.
//!
//! A room holds its members in a list, and each member knows its place in it: joining and leaving cost the same
//! however large the room is, and 16 bytes a membership. A socket's own room takes no entry; its id is looked up.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use lakh_broker::Room;
use smallvec::SmallVec;

use super::{RoomEntry, Shard, SocketKey, Space, State, hash};
use crate::ids::Id;
use crate::namespace::{NamespaceInner, RoomEvent};
use crate::recovery::Membership;
use crate::socket::Socket;

impl Shard {
    /// `false`: the socket is gone, or in as many rooms as it may.
    pub(crate) fn join(&self, key: SocketKey, room: &Room) -> bool {
        let namespace = {
            let mut state = self.state.borrow_mut();
            let entry = state.socket(key);
            entry.map(|entry| Arc::clone(&entry.socket.0.namespace))
        };
        namespace.is_some_and(|namespace| self.join_after(key, room, self.told(&namespace)))
    }

    /// The place in the log up to which newcomers were told nothing, and are not to be when they come back: they get
    /// all that is behind it.
    fn told(&self, namespace: &NamespaceInner) -> u64 {
        let Some(recovery) = namespace.recovery.get() else {
            return 0;
        };
        // Under the channel's lock, so nothing is on its way from the log into the mailbox meanwhile.
        recovery.channel.pass(|at| {
            let waiting = self.first_waiting(|command| command.logged_in(namespace));
            waiting.map_or(at.seq, |seq| seq.saturating_sub(1))
        })
    }

    /// The same for one who is to get what was said behind that place.
    pub(super) fn join_after(&self, key: SocketKey, room: &Room, after: u64) -> bool {
        let limit = self.hub.settings().hub_limits.max_rooms;
        let mut state = self.state.borrow_mut();
        let Some(entry) = state.socket(key) else {
            return false;
        };
        let socket = entry.socket.clone();
        if **room == *socket.id() {
            let again = std::mem::replace(&mut entry.in_own_room, true);
            drop(state);
            if !again {
                self.own_room_event(&socket, true);
            }
            return true;
        }
        let full = entry.rooms.len() >= limit;
        if full && !state.is_member(key, room) {
            tracing::warn!(
                socket = socket.id(),
                limit,
                "a socket is in as many rooms as it may; it joined no further"
            );
            return false;
        }
        let namespace = &socket.0.namespace;
        let part = namespace.filtered(room);
        if let (Some((base, _)), Some(sieve)) = (part, namespace.sieve.get())
            && state.parts_of(namespace.id, base, room) >= sieve.max_filters(base)
        {
            return false;
        }
        let base = part.map(|(base, _)| base);
        let Some(created) = state.join(key.slot, namespace.id, room, base, after) else {
            return true;
        };
        drop(state);
        let base = base.map(Room::from);
        let room = base.as_ref().unwrap_or(room);
        self.rooms_changed(key, true);
        let handlers = namespace.handlers.load();
        if created {
            self.room_came(namespace, room);
            handlers.room_event(|| RoomEvent::Created(Room::clone(room)));
        }
        handlers.room_event(|| RoomEvent::Joined(Room::clone(room), socket.id().to_owned()));
        handlers.member_event(&socket, room, true);
        true
    }

    /// Leaves one part of a room for another.
    pub(crate) fn join_instead(&self, key: SocketKey, before: &Room, room: &Room) -> bool {
        let memberships = self.state.borrow_mut().memberships_of(key);
        let joined = memberships
            .into_iter()
            .find(|joined| joined.room == *before);
        self.leave(key, before);
        match joined {
            Some(joined) => self.join_after(key, room, joined.after),
            None => self.join(key, room),
        }
    }

    pub(crate) fn leave(&self, key: SocketKey, room: &Room) {
        let mut state = self.state.borrow_mut();
        let Some(entry) = state.socket(key) else {
            return;
        };
        let socket = entry.socket.clone();
        if **room == *socket.id() {
            let was = std::mem::take(&mut entry.in_own_room);
            drop(state);
            if was {
                self.own_room_event(&socket, false);
            }
            return;
        }
        let Some(emptied) = state.leave(key.slot, socket.0.namespace.id, room) else {
            return;
        };
        drop(state);
        self.rooms_changed(key, false);
        self.told_left(&socket, room, emptied);
    }

    /// Leaves all rooms, the own one last.
    pub(super) fn leave_all(&self, socket: &Socket) {
        loop {
            // Not in the head of a `while let`: the state would stay borrowed while the hooks run.
            let left = self.state.borrow_mut().leave_one(socket);
            let Some((room, emptied)) = left else { break };
            self.told_left(socket, &room, emptied);
        }
        let was = self
            .state
            .borrow_mut()
            .socket(socket.0.key)
            .is_some_and(|entry| std::mem::take(&mut entry.in_own_room));
        if was {
            self.own_room_event(socket, false);
        }
    }

    fn told_left(&self, socket: &Socket, room: &Room, emptied: bool) {
        let namespace = &socket.0.namespace;
        let base = namespace.filtered(room).map(|(base, _)| Room::from(base));
        let room = base.as_ref().unwrap_or(room);
        if emptied {
            // Before the hooks: one of them may fill the room again.
            self.room_went(namespace, room);
        }
        let handlers = namespace.handlers.load();
        handlers.room_event(|| RoomEvent::Left(Room::clone(room), socket.id().to_owned()));
        handlers.member_event(socket, room, false);
        if emptied {
            handlers.room_event(|| RoomEvent::Deleted(Room::clone(room)));
        }
    }

    fn room_came(&self, namespace: &NamespaceInner, room: &Room) {
        namespace.rooms.fetch_add(1, Ordering::Relaxed);
        if let Some(cluster) = self.hub.cluster() {
            cluster.want_room(&namespace.name, room);
        }
        self.route(namespace, room);
    }

    fn room_went(&self, namespace: &NamespaceInner, room: &Room) {
        namespace.rooms.fetch_sub(1, Ordering::Relaxed);
        if let Some(cluster) = self.hub.cluster() {
            cluster.unwant_room(&namespace.name, room);
        }
        self.route(namespace, room);
    }

    /// Lets broadcasts to a room come to this shard if there is somebody in it here, and only then. The own room of a
    /// socket is found by its id's tag, unless the socket was restored from another shard.
    fn route(&self, namespace: &NamespaceInner, room: &Room) {
        if self.hub.shard_count() == 1 {
            return;
        }
        let here = {
            let state = self.state.borrow();
            let space = state.spaces.get(&namespace.id);
            space.is_some_and(|space| space.find(room).is_some())
                || Id::parse(room).is_some_and(|id| id.shard() != self.index)
                    && state.socket_by_room(namespace.id, room).is_some()
        };
        let mut shards_of = namespace.shards_of.write();
        if here {
            *shards_of.entry(Room::clone(room)).or_insert(0) |= 1 << self.index;
        } else if let Some(shards) = shards_of.get_mut(room) {
            *shards &= !(1 << self.index);
            if *shards == 0 {
                shards_of.remove(room);
            }
        }
    }

    pub(super) fn own_room_event(&self, socket: &Socket, joined: bool) {
        let namespace = &socket.0.namespace;
        match self.hub.cluster() {
            Some(cluster) if joined => cluster.want_room(&namespace.name, socket.id()),
            Some(cluster) => cluster.unwant_room(&namespace.name, socket.id()),
            None => {}
        }
        if socket.0.id.shard() != self.index {
            // It came from another loop, whose tag its id still has.
            self.route(namespace, &Room::from(socket.id()));
        }
        let handlers = namespace.handlers.load();
        if handlers.rooms.is_empty() {
            return;
        }
        let (room, id) = (Room::from(socket.id()), socket.id().to_owned());
        if joined {
            handlers.room_event(|| RoomEvent::Created(Room::clone(&room)));
            handlers.room_event(|| RoomEvent::Joined(room, id));
        } else {
            handlers.room_event(|| RoomEvent::Left(Room::clone(&room), id));
            handlers.room_event(|| RoomEvent::Deleted(room));
        }
    }

    pub(crate) fn rooms_of(&self, key: SocketKey) -> Vec<Room> {
        self.state.borrow_mut().rooms_of(key)
    }

    /// Whether a socket is in a room other than its own.
    pub(crate) fn is_member(&self, key: SocketKey, room: &str) -> bool {
        self.state.borrow_mut().is_member(key, room)
    }
}

impl State {
    fn is_member(&mut self, key: SocketKey, room: &str) -> bool {
        let Some(entry) = self.socket(key) else {
            return false;
        };
        let (namespace, slot) = (entry.socket.0.namespace.id, key.slot);
        let space = self.spaces.get(&namespace);
        let Some(room) = space.and_then(|space| space.find(room)) else {
            return false;
        };
        self.place_in(slot, namespace, room).is_some()
    }

    /// Where a socket's list has a room, or a part of it.
    pub(super) fn place_in(&self, slot: u32, space: u32, room: u32) -> Option<usize> {
        let space = self.spaces.get(&space)?;
        let is_it =
            |joined: u32| joined == room || space.rooms[joined as usize].base() == Some(room);
        let mut rooms = self.sockets[slot as usize].rooms.iter();
        rooms.position(|(joined, _)| is_it(*joined))
    }

    /// `None`: was in already. Otherwise whether the room is new.
    fn join(
        &mut self,
        slot: u32,
        space: u32,
        name: &Room,
        base: Option<&str>,
        after: u64,
    ) -> Option<bool> {
        let entry = &mut self.sockets[slot as usize];
        let space = self.spaces.entry(space).or_default();
        let (room, created) = match (space.find(name), base) {
            (Some(room), _) => (room, false),
            (None, Some(base)) => space.add_part(name, base),
            (None, None) => (space.add(Room::clone(name)), true),
        };
        if !created && entry.rooms.iter().any(|(joined, _)| *joined == room) {
            return None;
        }
        let members = &mut space.rooms[room as usize].members;
        entry
            .rooms
            .push((room, u32::try_from(members.len()).unwrap_or(u32::MAX)));
        if entry.pid.is_some() && after > entry.start {
            entry
                .joined_after
                .get_or_insert_default()
                .insert(room, after);
        }
        members.push((
            slot,
            u32::try_from(entry.rooms.len() - 1).unwrap_or(u32::MAX),
        ));
        self.meter_room(slot, name, true);
        Some(created)
    }

    /// `None`: was not in. Otherwise whether the room is now empty, and gone.
    fn leave(&mut self, slot: u32, space: u32, name: &Room) -> Option<bool> {
        let room = self.spaces.get(&space)?.find(name)?;
        let at = self.place_in(slot, space, room)?;
        Some(self.leave_at(slot, space, at))
    }

    fn leave_one(&mut self, socket: &Socket) -> Option<(Room, bool)> {
        let space = socket.0.namespace.id;
        let entry = self.socket(socket.0.key)?;
        let at = entry.rooms.len().checked_sub(1)?;
        let room = entry.rooms[at].0;
        let name = Room::clone(&self.spaces.get(&space)?.rooms[room as usize].name);
        Some((name, self.leave_at(socket.0.key.slot, space, at)))
    }

    /// Takes a membership out of both lists, and mends the places of those that moved into the holes.
    fn leave_at(&mut self, slot: u32, space: u32, at: usize) -> bool {
        let entry = &mut self.sockets[slot as usize];
        let (room, place) = entry.rooms.swap_remove(at);
        if let Some(after) = &mut entry.joined_after {
            after.remove(&room);
        }
        let moved_room = entry.rooms.get(at).copied();
        let id = space;
        let Some(space) = self.spaces.get_mut(&id) else {
            return false;
        };
        // Only meters want it.
        let name = (!self.meters.is_empty()).then(|| Room::clone(&space.rooms[room as usize].name));
        if let Some((moved, its_place)) = moved_room {
            space.rooms[moved as usize].members[its_place as usize].1 =
                u32::try_from(at).unwrap_or(u32::MAX);
        }
        let members = &mut space.rooms[room as usize].members;
        members.swap_remove(place as usize);
        if let Some((moved, its_index)) = members.get(place as usize).copied() {
            self.sockets[moved as usize].rooms[its_index as usize].1 = place;
        }
        let emptied = space.remove_if_empty(room);
        if emptied {
            self.forget_space(id);
        }
        if let Some(name) = name {
            self.meter_room(slot, &name, false);
        }
        emptied
    }

    /// Drops what is kept of a namespace once nobody is in it: a socket that is still being checked may have joined
    /// rooms before it is a member.
    pub(super) fn forget_space(&mut self, id: u32) {
        let unused = |space: &Space| space.members.is_empty() && space.rooms.is_empty();
        if self.spaces.get(&id).is_some_and(unused) {
            self.spaces.remove(&id);
        }
    }

    pub(super) fn rooms_of(&mut self, key: SocketKey) -> Vec<Room> {
        let Some(entry) = self.socket(key) else {
            return Vec::new();
        };
        let own = entry.in_own_room.then(|| Room::from(entry.socket.id()));
        let named = self.memberships_of(key).into_iter();
        own.into_iter()
            .chain(named.map(|joined| joined.room))
            .collect()
    }

    /// The rooms of a socket but its own.
    pub(super) fn memberships_of(&mut self, key: SocketKey) -> SmallVec<[Membership; 2]> {
        let Some(entry) = self.socket(key) else {
            return SmallVec::new();
        };
        let namespace = entry.socket.0.namespace.id;
        let entry = &self.sockets[key.slot as usize];
        let Some(space) = self.spaces.get(&namespace) else {
            return SmallVec::new();
        };
        let after = |room: &u32| entry.joined_after.as_ref()?.get(room).copied();
        let named = entry.rooms.iter().map(|(room, _)| Membership {
            room: Room::clone(&space.rooms[*room as usize].name),
            after: after(room).unwrap_or_default(),
        });
        named.collect()
    }

    /// The socket whose own room this is.
    pub(super) fn socket_by_room(&self, namespace: u32, room: &str) -> Option<u32> {
        let own = |slot: &u32| {
            let entry = &self.sockets[*slot as usize];
            entry.in_own_room
                && entry.socket.0.namespace.id == namespace
                && entry.socket.id() == room
        };
        if let Some(id) = Id::parse(room) {
            return self.by_socket.find(hash(id.bytes()), own).copied();
        }
        // `/namespace#session`, the ids of the old protocol.
        let session = self.find_session(&Id::parse(room.rsplit_once('#')?.1)?)?;
        self.sessions[session.slot as usize]
            .sockets
            .iter()
            .copied()
            .find(own)
    }
}

impl Space {
    pub(super) fn find(&self, name: &str) -> Option<u32> {
        self.by_room
            .find(self.hasher.hash_one(name), |room| {
                *self.rooms[*room as usize].name == *name
            })
            .copied()
    }

    pub(super) fn add(&mut self, name: Room) -> u32 {
        let hashed = self.hasher.hash_one(&*name);
        let room = u32::try_from(self.rooms.insert(RoomEntry {
            name,
            members: Vec::new(),
            kin: None,
        }))
        .unwrap_or(u32::MAX);
        let (rooms, hasher) = (&self.rooms, &self.hasher);
        self.by_room.insert_unique(hashed, room, |room| {
            hasher.hash_one(&*rooms[*room as usize].name)
        });
        room
    }

    pub(super) fn remove(&mut self, room: u32) {
        let entry = self.rooms.remove(room as usize);
        if let Ok(found) = self
            .by_room
            .find_entry(self.hasher.hash_one(&*entry.name), |other| *other == room)
        {
            found.remove();
        }
    }
}
