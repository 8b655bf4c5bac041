//! What is due later: entries that expire, owners who don't come back, nodes that have fallen silent, and rooms that nobody
//! wants any more.
//!
//! Spaces stand in one queue by their next time ([`lakh_hub::Later`]). A space stands in it at most a few times: it knows for
//! when it was put there, and is put there again only for an earlier time.

use std::sync::Arc;

use lakh_hub::Namespace;

use super::space::{Core, Space};
use super::{SpaceKey, States};

/// How long a space that nobody follows is kept in memory.
const IDLE_MS: u64 = 60_000;
/// How often it's looked whether owners on other nodes are still there.
const OWNERS_MS: u64 = 2_000;
/// When a space is looked after again whose store was away.
const RETRY_MS: u64 = 1_000;
/// How often followed spaces are compared with the store: words between nodes may be lost.
const CHECK_MS: u64 = 10_000;

/// What waits for its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Space(SpaceKey),
    /// A socket that owns something, and was cut off.
    Owner(Arc<str>),
    /// Somebody has left what they owned.
    Left,
}

impl States {
    /// Sees to it that a space is looked after in time.
    pub(super) fn arm(&self, namespace: &Namespace, space: &Space, core: &mut Core) {
        let now_ms = namespace.hub().wall_ms();
        let shared = matches!(self.store(&space.key.room), Ok(Some(_)));
        let mut at = now_ms + if shared { CHECK_MS } else { IDLE_MS };
        if let Some(replica) = &core.replica {
            let expiry = replica.next_expiry().unwrap_or(at);
            // What is late already is being looked after, or the store is away.
            let expiry = if expiry <= now_ms {
                now_ms + RETRY_MS
            } else {
                expiry
            };
            at = at.min(expiry);
            if shared && replica.has_owners() {
                at = at.min(now_ms + OWNERS_MS);
            }
        }
        self.arm_at(namespace, space, core, at);
    }

    /// The store is away: tries again soon.
    pub(super) fn retry(&self, namespace: &Namespace, space: &Space, core: &mut Core) {
        let at = namespace.hub().wall_ms() + RETRY_MS;
        self.arm_at(namespace, space, core, at);
    }

    fn arm_at(&self, namespace: &Namespace, space: &Space, core: &mut Core, at: u64) {
        if core.armed_ms.is_none_or(|armed| at < armed) {
            core.armed_ms = Some(at);
            self.later(namespace, at, Item::Space(space.key.clone()));
        }
    }

    /// Looks at something later.
    pub(super) fn later(&self, namespace: &Namespace, at: u64, item: Item) {
        let (states, of) = (self.clone(), namespace.clone());
        let work = move |item, now_ms| match item {
            Item::Space(key) => states.look(&of, &key, now_ms),
            Item::Owner(id) => states.owner_is_gone(&of, &id, now_ms),
            Item::Left => states.clean_up(&of),
        };
        self.0.due.put(namespace.hub(), at, item, work);
    }

    /// Looks after a space whose time has come.
    fn look(&self, namespace: &Namespace, key: &SpaceKey, now_ms: u64) {
        let Some(space) = self.existing(key) else {
            return;
        };
        let shared = matches!(self.store(&key.room), Ok(Some(_)));
        let followed = self.is_followed(key);
        let mut core = space.core.lock();
        // It was put there again for an earlier time, and has been looked after since.
        if core.armed_ms.is_some_and(|armed| armed > now_ms) {
            return;
        }
        core.armed_ms = None;
        let replica = core.replica.as_ref();
        let expired =
            replica.is_some_and(|replica| replica.next_expiry().is_some_and(|at| at <= now_ms));
        let owned = shared && replica.is_some_and(|replica| replica.has_owners());
        // What is in memory alone stays for as long as there is something.
        let spare = shared || replica.is_none_or(|replica| replica.is_empty());
        let idle = !followed && spare && core.used_ms + IDLE_MS <= now_ms && !core.is_busy();
        self.arm(namespace, &space, &mut core);
        drop(core);
        if idle && !expired {
            return self.forget(key, &space);
        }
        if owned {
            self.check_owners(namespace, &space);
        }
        if expired || shared && followed {
            self.look_after(namespace, &space, shared);
        }
    }

    /// Forgets a space, unless somebody has come to use it.
    fn forget(&self, key: &SpaceKey, space: &Arc<Space>) {
        let mut spaces = self.0.spaces.lock();
        // The table's and the caller's: whoever else has it got it under this lock.
        if Arc::strong_count(space) == 2 {
            spaces.remove(key);
        }
    }
}
