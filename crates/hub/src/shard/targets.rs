//! What an operator asks of the sockets of this shard, and does to them: those of a room, or all that a broadcast would reach.

use std::sync::Arc;

use lakh_broker::Room;

use super::{Shard, SocketKey};
use crate::namespace::{Namespace, NamespaceInner};
use crate::operator::RemoteSocket;
use crate::outgoing::Targets;
use crate::socket::Socket;

impl Shard {
    /// Some members of a room on this shard.
    pub(crate) fn members_of(
        &self,
        namespace: &NamespaceInner,
        room: &str,
        limit: usize,
    ) -> Vec<Socket> {
        let state = self.state.borrow();
        let space = state.spaces.get(&namespace.id);
        let Some((space, room)) = space.and_then(|space| Some((space, space.find(room)?))) else {
            return Vec::new();
        };
        let members = space.all_members(room).take(limit);
        members
            .map(|slot| state.sockets[slot as usize].socket.clone())
            .collect()
    }

    pub(crate) fn targets_join(
        &self,
        namespace: &NamespaceInner,
        targets: &Targets,
        rooms: &[Room],
    ) {
        for key in self.chosen(namespace, targets) {
            for room in rooms {
                self.join(key, room);
            }
        }
    }

    pub(crate) fn targets_leave(
        &self,
        namespace: &NamespaceInner,
        targets: &Targets,
        rooms: &[Room],
    ) {
        for key in self.chosen(namespace, targets) {
            for room in rooms {
                self.leave(key, room);
            }
        }
    }

    pub(crate) fn targets_disconnect(
        &self,
        namespace: &NamespaceInner,
        targets: &Targets,
        close: bool,
    ) {
        for key in self.chosen(namespace, targets) {
            self.disconnect(key, close);
        }
    }

    pub(crate) fn targets_fetch(
        &self,
        namespace: &Arc<NamespaceInner>,
        targets: &Targets,
    ) -> Vec<RemoteSocket> {
        let keys = self.chosen(namespace, targets);
        let mut state = self.state.borrow_mut();
        let namespace = Namespace {
            hub: self.hub.clone(),
            inner: Arc::clone(namespace),
        };
        let sockets = keys.into_iter().filter_map(|key| {
            let rooms = state.rooms_of(key);
            let socket = &state.socket(key)?.socket;
            Some(RemoteSocket {
                namespace: namespace.clone(),
                id: socket.id().to_owned(),
                rooms,
                data: socket.data(),
                auth: socket.auth_text().map(Into::into),
                handshake: Arc::clone(&socket.0.handshake),
            })
        });
        sockets.collect()
    }

    /// The rooms of a namespace that have members here, the sockets' own among them.
    pub(crate) fn room_names(&self, namespace: u32) -> Vec<Room> {
        let state = self.state.borrow();
        let Some(space) = state.spaces.get(&namespace) else {
            return Vec::new();
        };
        let own = space.members.iter();
        let own = own.filter_map(|slot| {
            let entry = &state.sockets[*slot as usize];
            entry.in_own_room.then(|| Room::from(entry.socket.id()))
        });
        let whole = space.rooms.iter().filter(|(_, room)| !room.is_part());
        let rooms = whole.map(|(_, room)| Room::clone(&room.name));
        rooms.chain(own).collect()
    }

    /// The sockets of this shard that a broadcast would reach.
    fn chosen(&self, namespace: &NamespaceInner, targets: &Targets) -> Vec<SocketKey> {
        let mut state = self.state.borrow_mut();
        let mut keys = Vec::new();
        state.each_target(namespace.id, targets, |slot, entry| {
            keys.push(SocketKey {
                slot,
                generation: entry.generation,
            });
        });
        keys
    }
}
