//! Writes whose news is told in the order in which the store made them: a room's messages by their numbers, its changes by
//! theirs.
//!
//! A ticket is taken and the write handed to the store in one step, so tickets stand in the store's order; see
//! [`crate::sequencer`].

use lakh_hub::store::{Batch, Writing};
use lakh_hub::{Failure, Occurrence, Payload, What};

use crate::{Chat, names, sweep};

/// What a room is told by.
pub(crate) struct Told {
    /// To everybody who watches the room. `None`: a crowd isn't told of it.
    pub payload: Option<Payload>,
    /// To those who watch the server, if anybody does.
    pub occurrence: Option<(What, Box<Occurrence>)>,
}

/// A write's place in its room's order. However it ends, those behind it go on.
pub(crate) struct Turn {
    chat: Chat,
    room: String,
    ticket: u64,
}

/// Hands a batch to the store and takes its place in the room's order, in one step.
pub(crate) fn submit(chat: &Chat, room: &str, batch: Batch) -> Result<(Turn, Writing), Failure> {
    let mut table = chat.0.table.lock();
    let Some(ticket) = table.ticket(room) else {
        return Err(Failure::new(
            "unavailable",
            "too many messages of this room wait for the disk; try again later",
        ));
    };
    let writing = chat.0.store.write(batch);
    drop(table);
    let turn = Turn {
        chat: chat.clone(),
        room: room.to_owned(),
        ticket,
    };
    Ok((turn, writing))
}

impl Turn {
    /// What came of it.
    pub(crate) fn tell(self, told: Vec<Told>) {
        let mut table = self.chat.0.table.lock();
        table.settle(&self.room, self.ticket, told);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Changes nothing if it was told.
        let mut table = self.chat.0.table.lock();
        table.settle(&self.room, self.ticket, Vec::new());
        drop(table);
        tell(&self.chat, &self.room);
    }
}

/// Tells what has its turn in a room.
pub(crate) fn tell(chat: &Chat, room: &str) {
    let namespace = &chat.0.namespace;
    loop {
        let told = namespace.to(names::hub_room(room)).emit_ordered(|| {
            let mut table = chat.0.table.lock();
            loop {
                let told = table.next_told(room)?;
                // In the order of the room's numbers, so under the same lock.
                if let Some((what, occurrence)) = told.occurrence {
                    namespace.hub().tell(what, namespace.name(), || *occurrence);
                }
                if let Some(payload) = told.payload {
                    return Some((payload, table));
                }
            }
        });
        match told {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(room, %error, "messages are told later");
                return sweep::tell_later(chat, room);
            }
        }
    }
}

/// Those who watch the server and keep what they are told, such as hooks, have the message.
///
/// # Errors
/// `not_stored` if they can't keep it now.
pub(crate) async fn noted(chat: &Chat) -> Result<(), Failure> {
    let namespace = &chat.0.namespace;
    let hub = namespace.hub();
    hub.told(What::Message, namespace.name()).await
}

/// What was stored has been told to other nodes, too, as far as it can be known.
///
/// # Errors
/// `unavailable` if it isn't known.
pub(crate) async fn heard(chat: &Chat) -> Result<(), Failure> {
    match chat.0.namespace.logged().await {
        true => Ok(()),
        false => Err(Failure::new(
            "unavailable",
            "it is stored, but others may not have heard of it; send it again with the same key",
        )),
    }
}
