//! What is to be done at a time: batches of cursors, the end of graces and of locks.

use std::sync::Arc;

use lakh_hub::presence::Ms;

use super::Spaces;

/// What waits for its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// Cursors of a space are told.
    Cursors(Arc<str>),
    /// A member who broke off, by space and session, isn't back.
    Grace(Arc<str>, Arc<str>),
    /// A lock, by space and component, holds no longer.
    Lock(Arc<str>, Arc<str>),
}

impl Spaces {
    /// Does something at a time of the monotonic clock.
    pub(super) fn later(&self, at: Ms, item: Item) {
        let spaces = self.clone();
        let hub = self.0.namespace.hub();
        self.0.due.put(hub, at, item, move |item, now| match item {
            Item::Cursors(space) => spaces.tell_cursors(&space, now),
            Item::Grace(space, session) => spaces.grace_ends(&space, &session, now),
            Item::Lock(space, component) => spaces.lock_ends(&space, &component),
        });
    }
}
