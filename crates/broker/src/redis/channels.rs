//! What a link listens to: counted by who wants it, and what has changed since the connection was last told.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::backend::{Channel, Dialect, Route};
use crate::cluster::classic::Place;

#[derive(Debug)]
struct Wanted {
    by: usize,
    route: Route,
}

/// Names of rooms that have a member here.
type Rooms = FxHashMap<Arc<str>, usize>;

#[derive(Debug, Default)]
pub(crate) struct Channels {
    wanted: FxHashMap<Channel, Wanted>,
    /// The namespaces, and how often each was subscribed to.
    namespaces: FxHashMap<Arc<str>, (usize, Rooms)>,
    changed: Vec<Channel>,
    /// Counts changes, so that one can wait until all up to a certain one are made.
    pub(crate) version: u64,
}

impl Channels {
    fn add(&mut self, channel: Channel, nsp: &Arc<str>, place: Place) {
        let wanted = self.wanted.entry(channel.clone()).or_insert_with(|| {
            let nsp = Arc::clone(nsp);
            let route = Route { nsp, place };
            Wanted { by: 0, route }
        });
        wanted.by += 1;
        if wanted.by == 1 {
            self.change(channel);
        }
    }

    fn remove(&mut self, channel: Channel) {
        if let Some(wanted) = self.wanted.get_mut(&channel) {
            wanted.by -= 1;
            if wanted.by == 0 {
                self.wanted.remove(&channel);
                self.change(channel);
            }
        }
    }

    fn change(&mut self, channel: Channel) {
        self.version += 1;
        self.changed.push(channel);
    }

    pub(crate) fn subscribe(&mut self, dialect: &Dialect, nsp: &str) {
        let name: Arc<str> = nsp.into();
        let entry = self.namespaces.entry(Arc::clone(&name)).or_default();
        entry.0 += 1;
        if entry.0 == 1 {
            for (channel, place) in dialect.channels(nsp) {
                self.add(channel, &name, place);
            }
        }
    }

    pub(crate) fn unsubscribe(&mut self, dialect: &Dialect, nsp: &str) {
        let Some(entry) = self.namespaces.get_mut(nsp) else {
            return;
        };
        entry.0 -= 1;
        if entry.0 > 0 {
            return;
        }
        if let Some((_, (_, rooms))) = self.namespaces.remove_entry(nsp) {
            for room in rooms.keys() {
                if let Some(channel) = dialect.room_channel(nsp, room) {
                    self.remove(channel);
                }
            }
        }
        for (channel, _) in dialect.channels(nsp) {
            self.remove(channel);
        }
    }

    /// A room has a member (more). Nothing happens in a namespace that is not subscribed to.
    pub(crate) fn want_room(&mut self, dialect: &Dialect, nsp: &str, room: &str) {
        let Some((name, _)) = self.namespaces.get_key_value(nsp) else {
            return;
        };
        let name = Arc::clone(name);
        let Some((_, rooms)) = self.namespaces.get_mut(nsp) else {
            return;
        };
        if let Some(members) = rooms.get_mut(room) {
            *members += 1;
            return;
        }
        rooms.insert(room.into(), 1);
        if let Some(channel) = dialect.room_channel(nsp, room) {
            self.add(channel, &name, Place::Broadcast);
        }
    }

    /// A room has a member less.
    pub(crate) fn unwant_room(&mut self, dialect: &Dialect, nsp: &str, room: &str) {
        let Some((_, rooms)) = self.namespaces.get_mut(nsp) else {
            return;
        };
        let Some(members) = rooms.get_mut(room) else {
            return;
        };
        *members -= 1;
        if *members > 0 {
            return;
        }
        rooms.remove(room);
        if let Some(channel) = dialect.room_channel(nsp, room) {
            self.remove(channel);
        }
    }

    pub(crate) fn route(&self, channel: &Channel) -> Option<Route> {
        self.wanted.get(channel).map(|wanted| wanted.route.clone())
    }

    /// The namespace's name as it is shared, if it is subscribed to.
    pub(crate) fn namespace(&self, nsp: &str) -> Option<Arc<str>> {
        let (name, _) = self.namespaces.get_key_value(nsp)?;
        Some(Arc::clone(name))
    }

    pub(crate) fn has_room(&self, nsp: &str, room: &str) -> bool {
        let entry = self.namespaces.get(nsp);
        entry.is_some_and(|(_, rooms)| rooms.contains_key(room))
    }

    pub(crate) fn has_changes(&self) -> bool {
        !self.changed.is_empty()
    }

    /// What to listen to from now on and what no longer, for a connection that listens to `active`.
    pub(crate) fn take_changes(&mut self, active: &FxHashSet<Channel>) -> Changes {
        let mut changes = Changes {
            version: self.version,
            ..Changes::default()
        };
        let mut seen = FxHashSet::default();
        for channel in std::mem::take(&mut self.changed) {
            if !seen.insert(channel.clone()) {
                continue;
            }
            match (
                self.wanted.contains_key(&channel),
                active.contains(&channel),
            ) {
                (true, false) => changes.listen.push(channel),
                (false, true) => changes.leave.push(channel),
                _ => {}
            }
        }
        changes
    }

    /// All there is to listen to, for a connection that listens to nothing yet.
    pub(crate) fn take_all(&mut self) -> Changes {
        self.changed.clear();
        let mut listen: Vec<Channel> = self.wanted.keys().cloned().collect();
        // Who listens to requests is counted as a node and must answer: that comes last.
        listen.sort_by_key(|channel| {
            let route = self.wanted.get(channel).map(|wanted| wanted.route.place);
            route == Some(Place::Request)
        });
        Changes {
            listen,
            leave: Vec::new(),
            version: self.version,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) listen: Vec<Channel>,
    pub(crate) leave: Vec<Channel>,
    pub(crate) version: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::sharded::Mode;
    use crate::cluster::{Limits, Uid};
    use crate::redis::Backend;

    fn dialect() -> Dialect {
        Dialect {
            backend: Backend::Sharded {
                mode: Mode::Dynamic,
            },
            key: "k".to_owned(),
            uid: Uid::new("0000000000000000"),
            limits: Limits::default(),
        }
    }

    #[test]
    fn rooms_are_listened_to_while_they_have_a_member() {
        let (dialect, mut channels) = (dialect(), Channels::default());
        let room = Channel::Shard("k#/#r#".to_owned());
        channels.want_room(&dialect, "/", "r");
        assert!(
            !channels.has_changes(),
            "the namespace is not subscribed to"
        );
        channels.subscribe(&dialect, "/");
        let mut active: FxHashSet<Channel> = channels.take_all().listen.into_iter().collect();
        assert_eq!(active.len(), 2);

        channels.want_room(&dialect, "/", "r");
        channels.want_room(&dialect, "/", "r");
        assert_eq!(
            channels.take_changes(&active).listen,
            std::slice::from_ref(&room)
        );
        active.insert(room);
        channels.unwant_room(&dialect, "/", "r");
        assert!(!channels.has_changes());
        channels.unwant_room(&dialect, "/", "r");
        // Back before the connection was told: nothing to do.
        channels.want_room(&dialect, "/", "r");
        let none = channels.take_changes(&active);
        assert_eq!((none.listen, none.leave), (vec![], vec![]));
        channels.unsubscribe(&dialect, "/");
        assert_eq!(channels.take_changes(&active).leave.len(), 3);
        assert!(channels.take_all().listen.is_empty());
    }
}
