//! Parts of rooms: members who have a filter are in a room of their own, which belongs to the whole one.

use lakh_broker::Room;

use super::{RoomEntry, Shard, SocketKey, Space, State};
use crate::sieve::FILTER_MARK;

impl Shard {
    /// The name by which a socket is in a room.
    pub(crate) fn membership(&self, key: SocketKey, room: &str) -> Option<Room> {
        let mut state = self.state.borrow_mut();
        let namespace = state.socket(key)?.socket.0.namespace.id;
        let room = state.spaces.get(&namespace)?.find(room)?;
        let at = state.place_in(key.slot, namespace, room)?;
        let joined = state.sockets[key.slot as usize].rooms[at].0;
        let space = state.spaces.get(&namespace)?;
        Some(Room::clone(&space.rooms[joined as usize].name))
    }
}

impl State {
    /// How many parts a room has besides this one.
    pub(super) fn parts_of(&self, space: u32, base: &str, part: &str) -> usize {
        let space = self.spaces.get(&space);
        let Some((space, base)) = space.and_then(|space| Some((space, space.find(base)?))) else {
            return 0;
        };
        match space.find(part) {
            Some(_) => 0,
            None => space.rooms[base as usize].parts().len(),
        }
    }
}

impl Space {
    /// A room for those members of a room who have a filter. Gives it, and whether the whole room is new.
    pub(super) fn add_part(&mut self, name: &Room, base: &str) -> (u32, bool) {
        let (base, created) = match self.find(base) {
            Some(base) => (base, false),
            None => (self.add(base.into()), true),
        };
        let part = self.add(Room::clone(name));
        let kin = self.rooms[base as usize].kin.get_or_insert_default();
        kin.parts.push(part);
        self.rooms[part as usize].kin.get_or_insert_default().base = Some(base);
        (part, created)
    }

    /// Removes a room that nobody is in any more, and the one that it was a part of. Whether a whole room is gone.
    pub(super) fn remove_if_empty(&mut self, room: u32) -> bool {
        let entry = &self.rooms[room as usize];
        if !entry.members.is_empty() || !entry.parts().is_empty() {
            return false;
        }
        let base = entry.base();
        self.remove(room);
        let Some(base) = base else { return true };
        if let Some(kin) = &mut self.rooms[base as usize].kin {
            kin.parts.retain(|part| *part != room);
        }
        self.remove_if_empty(base)
    }

    /// The parts of a room: filter, members.
    pub(super) fn filtered<'a>(
        &'a self,
        room: &'a RoomEntry,
    ) -> impl Iterator<Item = (&'a str, &'a [(u32, u32)])> {
        room.parts().iter().map(|part| {
            let part = &self.rooms[*part as usize];
            let filter = part.name.split_once(FILTER_MARK);
            (filter.map_or("", |(_, filter)| filter), &part.members[..])
        })
    }

    /// The members of a room, also those with filters.
    pub(super) fn all_members(&self, room: u32) -> impl Iterator<Item = u32> {
        let room = &self.rooms[room as usize];
        let parts = self.filtered(room).flat_map(|(_, members)| members);
        room.members.iter().chain(parts).map(|(slot, _)| *slot)
    }
}

impl RoomEntry {
    pub(super) fn base(&self) -> Option<u32> {
        self.kin.as_ref()?.base
    }

    pub(super) fn is_part(&self) -> bool {
        self.base().is_some()
    }

    pub(super) fn parts(&self) -> &[u32] {
        self.kin.as_ref().map_or(&[], |kin| &kin.parts)
    }
}
