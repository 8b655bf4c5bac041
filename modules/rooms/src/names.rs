//! Names that clients choose, and what the hub calls their rooms.

use lakh_hub::{Failure, Id, Person, Room};

use crate::state::Follow;

/// Longest name of a room or an event, in characters.
const MAX_CHARS: usize = 128;
/// Longest name of a room in bytes of UTF-8: the same as in every module, so that one name serves in all of them.
const MAX_ROOM_BYTES: usize = 400;

/// Event names that Socket.IO's clients keep for themselves; a handler for them would be called without an event.
const RESERVED: [&str; 6] = [
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
];
/// What names of this module's own events begin with.
const OWN_PREFIXES: [&str; 7] = [
    "room:",
    "presence:",
    "history:",
    "state:",
    "lock:",
    "cursor:",
    "auth:",
];

/// Stands before the names of rooms that could be taken for something else.
const HUB_PREFIX: &str = "room:";

/// Checks a room's name, and gives the name that the hub knows the room by.
///
/// That is the same name, so that the rest of a team's servers reach the room by it. But each socket has a room named
/// by its id, and whoever could join that would read another's mail: names that look like an id get a prefix, and so
/// do names that have it already, to keep the two apart.
pub(crate) fn room(name: &str) -> Result<Room, Failure> {
    let fits =
        !name.is_empty() && name.len() <= MAX_ROOM_BYTES && name.chars().nth(MAX_CHARS).is_none();
    if !fits || name.chars().any(char::is_control) {
        return Err(Failure::bad_request(format!(
            "a room's name is 1 to {MAX_CHARS} characters ({MAX_ROOM_BYTES} bytes) without control characters"
        )));
    }
    let id = name.rsplit_once('#').map_or(name, |(_, id)| id);
    if Id::parse(id).is_some() || name.starts_with(HUB_PREFIX) {
        return Ok(format!("{HUB_PREFIX}{name}").into());
    }
    Ok(name.into())
}

/// Stands in the names of rooms that this module has for itself. No client's room has it.
const INNER_MARK: char = '\u{1e}';

/// The name that clients know a room by. `None` for rooms that are nobody's but the server's.
pub(crate) fn name(room: &str) -> Option<&str> {
    if room.contains(INNER_MARK) || Person::of_room(room).is_some() || Follow::parse(room).is_some()
    {
        return None;
    }
    Some(room.strip_prefix(HUB_PREFIX).unwrap_or(room))
}

/// The room of those who watch who is in a room.
pub(crate) fn watchers(room: &str, counts_only: bool) -> Room {
    let what = if counts_only { "counts" } else { "presence" };
    format!("{HUB_PREFIX}{INNER_MARK}{what}:{room}").into()
}

/// The room of those who are in a room by token. It stands in a session's record, so another node knows it too.
pub(crate) fn by_token(room: &str) -> Room {
    format!("{HUB_PREFIX}{INNER_MARK}token:{room}").into()
}

/// Checks an event's name.
pub(crate) fn event(name: &str) -> Result<(), Failure> {
    if name.is_empty() || name.chars().nth(MAX_CHARS).is_some() {
        return Err(Failure::bad_request(format!(
            "an event's name is 1 to {MAX_CHARS} characters"
        )));
    }
    if RESERVED.contains(&name) || OWN_PREFIXES.iter().any(|own| name.starts_with(own)) {
        return Err(Failure::bad_request(format!(
            "the event name {name} is reserved; choose another"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub_name(name: &str) -> Option<String> {
        room(name).ok().map(|room| room.to_string())
    }

    #[test]
    fn a_room_is_known_by_its_name() {
        for name in ["post-7", "a", "brett: 3 #7", "日本語", &"x".repeat(128)] {
            assert_eq!(hub_name(name).as_deref(), Some(name));
        }
    }

    #[test]
    fn names_that_are_empty_too_long_or_unprintable_are_refused() {
        for name in ["", &"x".repeat(129), &"🦀".repeat(101), "a\nb", "a\0"] {
            let refused = room(name).map(|_| ()).map_err(|failure| failure.code);
            assert_eq!(refused, Err("bad_request"), "{name:?}");
        }
    }

    #[test]
    fn no_name_leads_into_the_own_room_of_a_socket() {
        let id = "n1-AAbbccddeeffgghhi";
        assert!(Id::parse(id).is_some());
        assert_eq!(hub_name(id), Some(format!("room:{id}")));
        assert_eq!(
            hub_name(&format!("/chat#{id}")),
            Some(format!("room:/chat#{id}"))
        );
    }

    #[test]
    fn two_names_are_two_rooms() {
        let id = "n1-AAbbccddeeffgghhi";
        let names = [
            id.to_owned(),
            format!("room:{id}"),
            format!("room:room:{id}"),
            "room:x".into(),
            "x".into(),
        ];
        let mut rooms: Vec<_> = names.iter().map(|name| hub_name(name)).collect();
        rooms.sort();
        rooms.dedup();
        assert_eq!(rooms.len(), names.len());
    }

    #[test]
    fn a_room_of_the_hub_is_known_by_the_name_that_clients_have_for_it() {
        let id = "n1-AAbbccddeeffgghhi";
        for known in ["a", id, "room:x", &format!("/chat#{id}")] {
            let room = room(known).expect("a name");
            assert_eq!(name(&room), Some(known));
            assert_eq!(name(&watchers(&room, true)), None);
            assert_eq!(name(&by_token(&room)), None);
        }
    }

    #[test]
    fn event_names_of_the_protocol_and_of_the_module_are_refused() {
        for name in RESERVED.iter().copied().chain([
            "room:join",
            "room:x",
            "presence:join",
            "state:set",
            "",
            &"x".repeat(129),
        ]) {
            assert!(event(name).is_err(), "{name}");
        }
        for name in ["liked", "roomy", "connected", "chat:new", &"x".repeat(128)] {
            assert!(event(name).is_ok(), "{name}");
        }
    }
}
