//! Members of a room who want only some of its events.
//!
//! Whoever joins `room`, [`FILTER_MARK`], and a filter's text is a member of that room for all purposes but one: of what is
//! broadcast to it they get what their filter lets through. Filters are asked where an event is delivered or replayed, so
//! numbering, order, log and recovery stay those of the room; each different filter is asked once an event and loop, however
//! many have it. The name travels with the session's record: so a client that comes back to another node is still filtered.

use std::any::Any;
use std::sync::Arc;

use crate::namespace::{Namespace, NamespaceInner};
use crate::payload::Payload;

/// Stands between the name of a room and a filter.
pub const FILTER_MARK: char = '\u{1f}';

/// What filters look at in an event, read once for all of them.
pub type Traits = Arc<dyn Any + Send + Sync>;

/// Whoever knows what filters mean. Called on the loops while they deliver: must not use the hub.
pub trait Sieve: Send + Sync + 'static {
    /// Reads what filters look at.
    fn read(&self, event: &Payload) -> Traits;

    /// Whether a filter lets an event through.
    fn passes(&self, filter: &str, event: &Traits) -> bool;

    /// Different filters that a room may have on each loop.
    fn max_filters(&self, room: &str) -> usize;
}

impl Namespace {
    /// Sets what the filters of members mean. To be called before the loops start; later calls change nothing. Without it
    /// names of rooms are names of rooms, whatever is in them.
    pub fn set_sieve(&self, sieve: impl Sieve) {
        let _ = self.inner.sieve.set(Arc::new(sieve));
    }
}

impl NamespaceInner {
    /// The room and the filter that a name stands for, if it has one.
    pub(crate) fn filtered<'a>(&self, room: &'a str) -> Option<(&'a str, &'a str)> {
        self.sieve.get()?;
        room.split_once(FILTER_MARK)
    }

    /// The room that a name stands for, without the filter.
    pub(crate) fn base_of<'a>(&self, room: &'a str) -> &'a str {
        self.filtered(room).map_or(room, |(base, _)| base)
    }
}
