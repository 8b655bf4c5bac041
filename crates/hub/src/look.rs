//! Looking at who is here, a page at a time: for whoever keeps the server running.
//!
//! A page costs one walk over what it's chosen from, and holds no more than it gives, however much that is: nobody has
//! to take a picture of a hundred thousand sockets to see the first fifty.

use std::sync::Arc;

use lakh_broker::Room;

use crate::hub::Hub;
use crate::namespace::{Namespace, NamespaceInner};
use crate::outgoing::Targets;
use crate::shard::Shard;
use crate::socket::Socket;

/// Which sockets are looked at, and from where on.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// Members of any of these rooms; none means everybody.
    pub rooms: Vec<Room>,
    /// Not the members of these.
    pub except: Vec<Room>,
    /// Only ids behind this one, in the order of their bytes.
    pub after: String,
    /// So many at most.
    pub limit: usize,
}

impl Hub {
    /// The namespace of this name, if it is there; see [`Hub::of`] for one that is made.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Namespace> {
        self.existing(name)
    }
}

impl Namespace {
    /// Sockets of this node in the order of their ids, each with the rooms that it is in.
    pub async fn page_of_sockets(&self, look: Look) -> Vec<(Socket, Vec<Room>)> {
        let targets = Targets {
            rooms: look.rooms.into_iter().collect(),
            except: look.except.into_iter().collect(),
        };
        let (after, limit) = (look.after, look.limit);
        let mut all = self
            .of_each_loop(move |shard, namespace| {
                shard.page_of_sockets(namespace, &targets, &after, limit)
            })
            .await;
        all.sort_unstable_by(|(one, _), (other, _)| one.id().cmp(other.id()));
        all.truncate(limit);
        all
    }

    /// Rooms with members on this node whose names begin with `prefix` and stand behind `after`, in the order of their
    /// bytes, each with its number of members. The sockets' own rooms are not among them.
    pub async fn page_of_rooms(
        &self,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Vec<(Room, usize)> {
        let (prefix, after) = (prefix.to_owned(), after.to_owned());
        let mut all = self
            .of_each_loop(move |shard, namespace| {
                shard.page_of_rooms(namespace.id, &prefix, &after, limit)
            })
            .await;
        all.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        // Members of one room may be spread over several loops.
        all.dedup_by(|(room, count), (before, sum)| {
            let same = room == before;
            if same {
                *sum += *count;
            }
            same
        });
        all.truncate(limit);
        all
    }

    /// How many members a room has on this node.
    pub async fn count_of_members(&self, room: &str) -> usize {
        let room = room.to_owned();
        let counts = self.of_each_loop(move |shard, namespace| {
            vec![shard.count_of_members(namespace.id, &room)]
        });
        counts.await.into_iter().sum()
    }

    async fn of_each_loop<T: Send + 'static>(
        &self,
        look: impl Fn(&Shard, &Arc<NamespaceInner>) -> Vec<T> + Clone + Send + 'static,
    ) -> Vec<T> {
        let (send, mut receive) = tokio::sync::mpsc::channel(self.hub.shard_count());
        let namespace = Arc::clone(&self.inner);
        self.hub.on_each_shard(move |shard| {
            // There is room for one answer a shard, so this can't fail for want of it.
            let _ = send.try_send(look(shard, &namespace));
        });
        let mut all = Vec::new();
        while let Some(some) = receive.recv().await {
            all.extend(some);
        }
        all
    }
}
