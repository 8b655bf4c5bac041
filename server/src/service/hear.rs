//! Hearing what is said in a room, without a socket in it.

use lakh_hub::{Listener, Payload};
use serde_json::Value;

use super::caller::{Caller, Thing, act};
use super::problem::Problem;
use super::{Service, names, values};

/// Bytes of events that may wait for whoever listens.
pub(super) const MAX_WAITING: usize = 1 << 20;

impl Service {
    /// Hears what is said in a room from now on, on all nodes.
    ///
    /// # Errors
    /// [`Problem`].
    pub fn listen_to(
        &self,
        caller: &Caller,
        namespace: &str,
        room: &str,
    ) -> Result<Listener, Problem> {
        self.allow(caller, act::LISTEN, Thing::Room(namespace, room))?;
        let inner = self.namespace(namespace)?;
        let name = names::hub_room(namespace, room)?;
        Ok(inner.listen(name, MAX_WAITING))
    }
}

/// The arguments of an event, binary values in the form for callers.
#[must_use]
pub fn arguments(payload: &Payload) -> Vec<Value> {
    match values::shown(payload.text(), payload.attachments()) {
        Value::Array(mut list) if !list.is_empty() => {
            list.remove(0);
            list
        }
        _ => Vec::new(),
    }
}
