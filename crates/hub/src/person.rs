//! Who is behind a socket.

use lakh_broker::Room;
use serde::{Deserialize, Serialize};

/// A person as others see them: `{"id","name"}`.
///
/// Whoever checks sign-ins at CONNECT keeps one with the socket (`socket.insert(Person { … })`); modules ask for it
/// with `socket.get::<Person>()`. A recovered socket has it again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Person {
    /// Names the person for good: rights, messages and devices hang on it.
    pub id: String,
    /// What others see. May change, and two people may have the same.
    pub name: String,
}

/// Stands before a person's id in the name of the room that all sockets of that person share. Begins with a control
/// character: no module lets a client name a room so.
const ROOM_PREFIX: &str = "\u{1}person:";

impl Person {
    /// The room of everybody who is this person, where the server puts people into such rooms: it reaches all their
    /// sockets in a namespace, on all nodes, and in a recoverable namespace those that are away for a moment, too.
    #[must_use]
    pub fn room_of(id: &str) -> Room {
        format!("{ROOM_PREFIX}{id}").into()
    }

    /// Whose room this is, if it is a person's.
    #[must_use]
    pub fn of_room(room: &str) -> Option<&str> {
        room.strip_prefix(ROOM_PREFIX)
    }
}
