//! Names that clients choose, and what the hub and the store call their rooms.

use lakh_hub::{Failure, Room};

/// Longest name of a room, in characters.
const MAX_CHARS: usize = 128;
/// Longest name of a room in bytes of UTF-8; the store's names end at 512, and a prefix stands before this.
const MAX_BYTES: usize = 400;
/// Longest key of a message, in characters.
const MAX_KEY_CHARS: usize = 64;

/// Stands before a chat room's name in the hub: no room is the own room of a socket.
const HUB_PREFIX: &str = "room:";
/// Stands before a chat room's name in the store's logs.
const LOG_PREFIX: &str = "chat:";

/// Checks a room's name.
pub(crate) fn check_room(name: &str) -> Result<(), Failure> {
    let fits = !name.is_empty() && name.len() <= MAX_BYTES && name.chars().nth(MAX_CHARS).is_none();
    if fits && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Failure::bad_request(format!(
        "a room's name is 1 to {MAX_CHARS} characters ({MAX_BYTES} bytes) without control characters"
    )))
}

/// Checks a message's key.
pub(crate) fn check_key(key: &str) -> Result<(), Failure> {
    if key.is_empty()
        || key.chars().nth(MAX_KEY_CHARS).is_some()
        || key.chars().any(char::is_control)
    {
        return Err(Failure::bad_request(format!(
            "a message's key is 1 to {MAX_KEY_CHARS} characters without control characters"
        )));
    }
    Ok(())
}

/// What the hub calls a room.
pub(crate) fn hub_room(room: &str) -> Room {
    format!("{HUB_PREFIX}{room}").into()
}

/// The chat room that a room of the hub is, if it is one.
pub(crate) fn chat_room(hub_room: &str) -> Option<&str> {
    hub_room.strip_prefix(HUB_PREFIX)
}

/// The log that keeps a room's messages.
pub(crate) fn log(room: &str) -> String {
    format!("{LOG_PREFIX}{room}")
}

/// Names a message in its room's log. No id and no key has a control character, so two pairs never meet in one name.
pub(crate) fn dedupe(person: &str, key: &str) -> String {
    format!("{person}\n{key}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_keys_have_bounds() {
        for name in ["a", "post:123", "日本語 #1", &"x".repeat(128)] {
            assert!(check_room(name).is_ok(), "{name}");
        }
        for name in ["", &"x".repeat(129), &"🦀".repeat(101), "a\nb"] {
            assert_eq!(
                check_room(name).map_err(|failure| failure.code),
                Err("bad_request"),
                "{name:?}"
            );
        }
        assert!(check_key(&"k".repeat(64)).is_ok());
        for key in ["", &"k".repeat(65), "a\nb"] {
            assert_eq!(
                check_key(key).map_err(|failure| failure.code),
                Err("bad_request"),
                "{key:?}"
            );
        }
    }

    #[test]
    fn the_longest_names_fit_into_the_store() {
        assert!(log(&"x".repeat(MAX_BYTES)).len() <= lakh_hub::store::MAX_NAME_BYTES);
    }

    #[test]
    fn a_room_of_the_hub_leads_back_to_its_chat_room() {
        assert_eq!(chat_room(&hub_room("room:x")), Some("room:x"));
        assert_eq!(chat_room("n1-AAbbccddeeffgghhi"), None);
    }
}
