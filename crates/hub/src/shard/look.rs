//! Pages of what this shard has; see [`crate::look`].

use std::collections::BTreeMap;

use lakh_broker::Room;

use super::{Shard, SocketKey};
use crate::ids::Id;
use crate::namespace::NamespaceInner;
use crate::outgoing::Targets;
use crate::socket::Socket;

impl Shard {
    pub(crate) fn page_of_sockets(
        &self,
        namespace: &NamespaceInner,
        targets: &Targets,
        after: &str,
        limit: usize,
    ) -> Vec<(Socket, Vec<Room>)> {
        let mut state = self.state.borrow_mut();
        let mut first: BTreeMap<Box<str>, (Socket, SocketKey)> = BTreeMap::new();
        state.each_target(namespace.id, targets, |slot, entry| {
            let id = entry.socket.id();
            let full = first.len() >= limit;
            let last = first.keys().next_back();
            if id <= after || full && last.is_none_or(|last| id >= &**last) {
                return;
            }
            let generation = entry.generation;
            let key = SocketKey { slot, generation };
            first.insert(id.into(), (entry.socket.clone(), key));
            if full {
                first.pop_last();
            }
        });
        let with_rooms = |(socket, key)| (socket, state.rooms_of(key));
        first.into_values().map(with_rooms).collect()
    }

    pub(crate) fn page_of_rooms(
        &self,
        namespace: u32,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Vec<(Room, usize)> {
        let state = self.state.borrow();
        let Some(space) = state.spaces.get(&namespace) else {
            return Vec::new();
        };
        let mut first: BTreeMap<&Room, usize> = BTreeMap::new();
        for (_, room) in &space.rooms {
            let full = first.len() >= limit;
            let behind = |(last, _): (&&Room, &_)| room.name >= **last;
            let wanted = room.name.starts_with(prefix) && *room.name > *after;
            if !wanted || full && first.last_key_value().is_none_or(behind) {
                continue;
            }
            first.insert(&room.name, room.members.len());
            if full {
                first.pop_last();
            }
        }
        let rooms = first.into_iter();
        rooms
            .map(|(room, count)| (Room::clone(room), count))
            .collect()
    }

    pub(crate) fn count_of_members(&self, namespace: u32, room: &str) -> usize {
        let state = self.state.borrow();
        let space = state.spaces.get(&namespace);
        let found = space.and_then(|space| Some((space, space.find(room)?)));
        match found {
            Some((space, room)) => space.rooms[room as usize].members.len(),
            // A socket's own room holds itself alone.
            None => {
                let own = Id::parse(room).is_some() || room.contains('#');
                usize::from(own && state.socket_by_room(namespace, room).is_some())
            }
        }
    }
}
