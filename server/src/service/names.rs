//! Names as callers write them, and what the hub calls the same things.

use lakh_hub::{Id, Namespace, Person, Room};
use lakh_rooms::Rooms;

use super::Service;
use super::problem::{Kind, Problem};

/// Where the module rooms stands.
const ROOMS: &str = "/";
/// Where chat stands.
const CHAT: &str = "/chat";
/// Stands before a chat room's name in the hub.
const CHAT_PREFIX: &str = "room:";
/// Longest name of a room in bytes, and of a person's id.
const MAX_NAME_BYTES: usize = 512;

/// Event names that Socket.IO's clients keep for themselves.
const RESERVED: [&str; 6] = [
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
];

impl Service {
    /// A namespace by its name.
    pub(super) fn namespace(&self, name: &str) -> Result<Namespace, Problem> {
        self.hub().get(name).ok_or_else(|| {
            Problem::new(
                Kind::NotFound,
                "no_such_namespace",
                format!("There is no namespace {name:?} here; it begins with a `/`"),
            )
        })
    }
}

/// What the hub calls a room that clients of this namespace know by this name.
pub(super) fn hub_room(namespace: &str, name: &str) -> Result<Room, Problem> {
    if namespace == ROOMS {
        return Ok(Rooms::hub_room(name)?);
    }
    let fits = !name.is_empty() && name.len() <= MAX_NAME_BYTES;
    if !fits || name.chars().any(char::is_control) {
        return Err(Problem::bad(format!(
            "a room's name is 1 to {MAX_NAME_BYTES} bytes without control characters"
        )));
    }
    Ok(match namespace {
        CHAT => format!("{CHAT_PREFIX}{name}").into(),
        _ => name.into(),
    })
}

/// How the hub's names of the rooms begin whose names begin so for clients; some more may begin like it.
pub(super) fn hub_prefix(namespace: &str, prefix: &str) -> String {
    match namespace {
        ROOMS if prefix.starts_with(CHAT_PREFIX) => format!("{CHAT_PREFIX}{prefix}"),
        CHAT => format!("{CHAT_PREFIX}{prefix}"),
        _ => prefix.to_owned(),
    }
}

/// What clients of this namespace call a room of the hub; none if it's no room of theirs.
pub(super) fn client_room<'a>(namespace: &str, room: &'a str) -> Option<&'a str> {
    let own = room.rsplit_once('#').map_or(room, |(_, id)| id);
    if Person::of_room(room).is_some() || Id::parse(own).is_some() {
        return None;
    }
    match namespace {
        ROOMS => Rooms::client_room(room),
        CHAT => room.strip_prefix(CHAT_PREFIX),
        _ => Some(room),
    }
}

/// The room of a person's sockets.
pub(super) fn person_room(id: &str) -> Result<Room, Problem> {
    let fits = !id.is_empty() && id.len() <= MAX_NAME_BYTES;
    if !fits || id.chars().any(char::is_control) {
        return Err(Problem::bad(format!(
            "a person's id is 1 to {MAX_NAME_BYTES} bytes without control characters"
        )));
    }
    Ok(Person::room_of(id))
}

/// A socket's own room.
pub(super) fn socket_room(id: &str) -> Result<Room, Problem> {
    let own = id.rsplit_once('#').map_or(id, |(_, id)| id);
    match Id::parse(own) {
        Some(_) => Ok(id.into()),
        None => Err(Problem::bad(format!(
            "{id:?} is no id of a socket: it has 20 characters"
        ))),
    }
}

/// Checks an event's name.
pub(super) fn event(name: &str) -> Result<(), Problem> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        return Err(Problem::bad(format!(
            "an event's name is 1 to {MAX_NAME_BYTES} bytes"
        )));
    }
    if RESERVED.contains(&name) {
        return Err(Problem::bad(format!(
            "clients keep the event name {name} for themselves; choose another"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_go_by_the_names_that_clients_know() {
        let id = "n1-AAbbccddeeffgghhi";
        for (namespace, name) in [
            ("/", "board:7".to_owned()),
            ("/", id.to_owned()),
            ("/", format!("room:{id}")),
            ("/chat", "general".to_owned()),
            ("/other", "general".to_owned()),
        ] {
            let room = hub_room(namespace, &name).unwrap();
            assert_eq!(client_room(namespace, &room), Some(&*name), "{room}");
        }
        assert_eq!(client_room("/", &Person::room_of("ada")), None);
        assert_eq!(client_room("/", id), None);
        assert_eq!(client_room("/chat", &format!("/chat#{id}")), None);
    }

    #[test]
    fn no_name_of_a_room_leads_to_a_person_or_a_socket() {
        let person = Person::room_of("ada");
        for namespace in ["/", "/chat", "/other"] {
            assert!(hub_room(namespace, &person).is_err());
            assert!(hub_room(namespace, "").is_err());
        }
        assert!(socket_room("board:7").is_err());
        assert!(person_room("a\u{1}").is_err());
    }
}
