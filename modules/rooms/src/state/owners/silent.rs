//! Nodes that say no more that they live: who came from them to this node keeps what is theirs, the rest of it goes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use lakh_hub::Namespace;

use super::Whose;
use crate::state::entry::Bind;
use crate::state::space::Space;
use crate::state::{Kind, SpaceKey, States, kept};

/// How long what was read of living nodes is good for.
const READ_MS: u64 = 1_500;

#[derive(Default)]
pub(super) struct Living {
    read_at: u64,
    reading: bool,
    nodes: HashSet<String>,
    /// Since when nodes are known to be silent.
    silent: HashMap<Arc<str>, u64>,
}

impl States {
    /// Looks whether the owners of entries are still there that other nodes look after.
    pub(in crate::state) fn check_owners(&self, namespace: &Namespace, space: &Arc<Space>) {
        let nodes: HashSet<Arc<str>> = {
            let core = space.core.lock();
            let entries = core.replica.iter().flat_map(|replica| replica.entries());
            let owners = entries.filter_map(|(_, entry)| entry.owner.as_ref());
            let others = owners.filter(|owner| owner.node != *self.node());
            others.map(|owner| Arc::clone(&owner.node)).collect()
        };
        if nodes.is_empty() {
            return;
        }
        let (states, namespace, room) =
            (self.clone(), namespace.clone(), Arc::clone(&space.key.room));
        let state = space.key.kind == Kind::State;
        tokio::spawn(async move {
            for node in nodes {
                let Some(silent_ms) = states.silent_for(&namespace, &node).await else {
                    continue;
                };
                let own = Arc::clone(&node);
                if state {
                    states.take_over_people(&namespace, &room, &node).await;
                }
                if silent_ms >= states.options(&room).owner_grace_ms {
                    states.remove(&namespace, &room, &Whose::Node(own));
                }
            }
        });
    }

    /// People of a node that is silent, who have a socket here.
    async fn take_over_people(&self, namespace: &Namespace, room: &Arc<str>, node: &Arc<str>) {
        let silent = Arc::clone(node);
        let key = SpaceKey::state(room);
        let people = self.read(namespace, &key, move |replica| {
            let owners = replica
                .entries()
                .filter_map(|(_, entry)| entry.owner.as_ref());
            let people = owners.filter(|owner| owner.bind == Bind::Person && owner.node == silent);
            people
                .map(|owner| Arc::clone(&owner.id))
                .collect::<HashSet<Arc<str>>>()
        });
        for person in people.await.unwrap_or_default() {
            self.inherit(namespace, room, &person).await;
        }
    }

    /// For how long a node is known to be silent. `None`: it lives, or nobody can tell.
    async fn silent_for(&self, namespace: &Namespace, node: &Arc<str>) -> Option<u64> {
        let now_ms = namespace.hub().wall_ms();
        let store = &self.0.store;
        let living = &self.0.owners.living;
        let read = {
            let mut living = living.lock();
            let old = now_ms.saturating_sub(living.read_at) >= READ_MS;
            old && !std::mem::replace(&mut living.reading, true)
        };
        if read {
            let found = kept::living(store, now_ms).await;
            let mut living = living.lock();
            living.reading = false;
            match found {
                Ok(nodes) => {
                    living.nodes = nodes.into_iter().collect();
                    living.read_at = now_ms;
                }
                // Silence means nothing then.
                Err(_) => living.silent.clear(),
            }
        }
        let mut living = living.lock();
        if living.read_at == 0 || living.nodes.contains(&**node) {
            living.silent.remove(node);
            return None;
        }
        let silent = std::mem::take(&mut living.silent);
        living.silent = silent
            .into_iter()
            .filter(|(node, _)| !living.nodes.contains(&**node))
            .collect();
        let since = *living.silent.entry(Arc::clone(node)).or_insert(now_ms);
        Some(now_ms.saturating_sub(since))
    }
}
