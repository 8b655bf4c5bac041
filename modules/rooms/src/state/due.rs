//! What is due later: entries that expire, owners who don't come back, nodes that have fallen silent, and rooms that nobody
//! wants any more.
//!
//! Spaces stand in one queue by their next time, and one task of the node sleeps until the first of them is due. A space
//! stands in it at most a few times: it knows for when it was put there, and is put there again only for an earlier time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use lakh_hub::Namespace;
use parking_lot::Mutex;
use tokio::sync::Notify;

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
/// The clock of the hub may be moved by hand: so long is slept at most.
const MOST_SLEEP: Duration = Duration::from_millis(500);

/// What waits for its time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Item {
    Space(SpaceKey),
    /// A socket that owns something, and was cut off.
    Owner(Arc<str>),
}

#[derive(Default)]
pub(super) struct Due {
    queue: Mutex<Queue>,
    earlier: Notify,
}

#[derive(Default)]
struct Queue {
    heap: BinaryHeap<Reverse<(u64, Item)>>,
    sweeping: bool,
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

    /// Somebody has left what they owned.
    pub(super) fn hurry(&self) {
        self.0.due.earlier.notify_one();
    }

    /// Looks at something later.
    pub(super) fn later(&self, namespace: &Namespace, at: u64, item: Item) {
        let due = &self.0.due;
        let start = {
            let mut queue = due.queue.lock();
            queue.heap.push(Reverse((at, item)));
            !std::mem::replace(&mut queue.sweeping, true)
        };
        if start {
            let sweeping = Sweeping {
                states: self.clone(),
                is_over: false,
            };
            tokio::spawn(sweep(sweeping, namespace.clone()));
        } else {
            due.earlier.notify_one();
        }
    }
}

/// Lets another sweeper be started when this one is cut off: its loop has ended.
struct Sweeping {
    states: States,
    /// It has ended by itself, and the queue knows.
    is_over: bool,
}

impl Drop for Sweeping {
    fn drop(&mut self) {
        if !self.is_over {
            self.states.0.due.queue.lock().sweeping = false;
        }
    }
}

/// What the sweeper does next.
enum Next {
    Do(Item),
    Wait(u64),
    End,
}

impl Queue {
    fn next(&mut self, now_ms: u64, awake: bool) -> Next {
        match self.heap.peek() {
            None if awake => Next::Wait(u64::MAX),
            None => {
                self.sweeping = false;
                Next::End
            }
            Some(Reverse((at, _))) if *at > now_ms => Next::Wait(at - now_ms),
            Some(_) => match self.heap.pop() {
                Some(Reverse((_, item))) => Next::Do(item),
                None => Next::End,
            },
        }
    }
}

async fn sweep(mut sweeping: Sweeping, namespace: Namespace) {
    loop {
        let now_ms = namespace.hub().wall_ms();
        let states = &sweeping.states;
        states.clean_up(&namespace);
        let owners = states.0.owners.any();
        let next = states.0.due.queue.lock().next(now_ms, owners);
        match next {
            Next::Do(item) => {
                match item {
                    Item::Space(key) => states.look(&namespace, &key, now_ms),
                    Item::Owner(id) => states.owner_is_gone(&namespace, &id, now_ms),
                }
                tokio::task::yield_now().await;
            }
            Next::Wait(ms) => {
                let sleep = tokio::time::sleep(MOST_SLEEP.min(Duration::from_millis(ms)));
                tokio::select! {
                    () = sleep => {}
                    () = states.0.due.earlier.notified() => {}
                }
            }
            Next::End => {
                sweeping.is_over = true;
                return;
            }
        }
    }
}

impl States {
    /// Looks after a space whose time has come.
    fn look(&self, namespace: &Namespace, key: &SpaceKey, now_ms: u64) {
        let Some(space) = self.existing(key) else {
            return;
        };
        let shared = matches!(self.store(&key.room), Ok(Some(_)));
        let followed = self.is_followed(key);
        let mut core = space.core.lock();
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
