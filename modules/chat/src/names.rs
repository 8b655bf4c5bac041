//! Names that clients choose, and what the hub and the store call their rooms.

use lakh_hub::{Failure, Room};

/// Longest name of a room, in characters.
const MAX_CHARS: usize = 128;
/// Longest name of a room in bytes of UTF-8; the store's names end at 512, and a prefix stands before this.
const MAX_BYTES: usize = 400;
/// Longest key of a message, in characters.
const MAX_KEY_CHARS: usize = 64;

/// Longest id of a person, in bytes.
const MAX_PERSON_BYTES: usize = 400;

/// The collection of when people were last seen.
pub(crate) const SEEN: &str = "chat_seen";

/// The collection of rooms.
pub(crate) const ROOMS: &str = "chat_rooms";

/// Stands before a chat room's name in the hub: no room is the own room of a socket.
const HUB_PREFIX: &str = "room:";
/// Stands before a chat room's name in the store's logs.
const LOG_PREFIX: &str = "chat:";

/// Checks a room's name.
pub(crate) fn check_room(name: &str) -> Result<(), Failure> {
    let fits = name.len() <= MAX_BYTES && name.chars().nth(MAX_CHARS).is_none();
    if fits && name.chars().any(is_seen) && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Failure::bad_request(format!(
        "a room's id is 1 to {MAX_CHARS} characters ({MAX_BYTES} bytes) without control characters, and not of what can't \
         be seen alone"
    )))
}

/// Whether a character is one that people see.
pub(crate) fn is_seen(each: char) -> bool {
    !each.is_whitespace() && !is_ignorable(each) && !each.is_control()
}

/// Whether a character is nothing to the eye and parts no words: of Unicode's `Default_Ignorable_Code_Point` what is in use,
/// and the blank of Braille.
pub(crate) fn is_ignorable(each: char) -> bool {
    matches!(each,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Stands before the name of a room between a few people, which only the server makes.
pub(crate) const DIRECT_PREFIX: &str = "direct:";

/// Whether a name is one of rooms between a few people.
pub(crate) fn is_direct(room: &str) -> bool {
    room.starts_with(DIRECT_PREFIX)
}

/// Stands behind all of them in the order of names, and before all others that come later.
pub(crate) fn after_direct() -> String {
    format!("{DIRECT_PREFIX}\u{10FFFF}")
}

/// Checks a person's id.
pub(crate) fn check_person(id: &str) -> Result<(), Failure> {
    if id.is_empty() || id.len() > MAX_PERSON_BYTES || id.chars().any(char::is_control) {
        return Err(Failure::bad_request(format!(
            "a person's id is 1 to {MAX_PERSON_BYTES} bytes without control characters"
        )));
    }
    Ok(())
}

/// The same, of a field of a request that names people.
pub(crate) fn check_people<'a>(
    field: &str,
    ids: impl IntoIterator<Item = &'a String>,
) -> Result<(), Failure> {
    ids.into_iter()
        .try_for_each(|id| check_person(id))
        .map_err(|refused| Failure::bad_request(format!("{field}: {}", refused.message)))
}

/// Longest cursor, in bytes: a name of the store, and the numbers beside it.
const MAX_CURSOR_BYTES: usize = 600;

/// What is answered to a cursor that no page has given.
pub(crate) fn no_cursor() -> Failure {
    Failure::bad_request("cursor is none that this request gave; leave it out for the first page")
}

/// Checks a cursor that is the key behind which a page begins.
pub(crate) fn check_cursor(cursor: Option<&String>) -> Result<(), Failure> {
    match cursor.is_none_or(|cursor| (1..=MAX_CURSOR_BYTES).contains(&cursor.len())) {
        true => Ok(()),
        false => Err(no_cursor()),
    }
}

/// Checks a cursor that is somebody's id.
pub(crate) fn check_person_cursor(cursor: Option<&String>) -> Result<(), Failure> {
    let read = cursor.map_or(Ok(()), |cursor| check_person(cursor));
    read.map_err(|_| no_cursor())
}

/// Checks a message's key.
pub(crate) fn check_key(key: &str) -> Result<(), Failure> {
    if key.is_empty()
        || key.chars().nth(MAX_KEY_CHARS).is_some()
        || key.chars().any(char::is_control)
    {
        return Err(Failure::bad_request(format!(
            "key is 1 to {MAX_KEY_CHARS} characters without control characters"
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

/// Stands before the name of a room in which those are who type there, while it's a crowd.
const TYPING_PREFIX: &str = "typing:";
/// Stands before a person's id in the name of the room of those who watch them.
const SEEN_PREFIX: &str = "seen:";

/// Where those are who type in a room, or in one of its threads.
pub(crate) fn typing_place(room: &str, thread: Option<u64>) -> Room {
    match thread {
        // No name of a room has a control character.
        Some(root) => format!("{TYPING_PREFIX}{room}\n{root}").into(),
        None => format!("{TYPING_PREFIX}{room}").into(),
    }
}

/// The room and thread of those who type, if that is where they are.
pub(crate) fn typing_of(place: &str) -> Option<(&str, Option<u64>)> {
    let place = place.strip_prefix(TYPING_PREFIX)?;
    match place.split_once('\n') {
        Some((room, root)) => Some((room, root.parse().ok())),
        None => Some((place, None)),
    }
}

/// The hub's room of those who watch a person.
pub(crate) fn seen_room(person: &str) -> Room {
    format!("{SEEN_PREFIX}{person}").into()
}

/// Whether those in a room of the hub watch a person.
pub(crate) fn is_seen_room(hub_room: &str) -> bool {
    hub_room.starts_with(SEEN_PREFIX)
}

/// The log that keeps a room's messages.
pub(crate) fn log(room: &str) -> String {
    format!("{LOG_PREFIX}{room}")
}

/// The log that keeps the messages of a room or, under one of its messages, of a thread.
pub(crate) fn log_of(room: &str, thread: Option<u64>) -> String {
    match thread {
        // No name of a room has a control character.
        Some(root) => format!("{LOG_PREFIX}{room}\n{root}"),
        None => log(room),
    }
}

/// The log of a room's changes.
pub(crate) fn changes(room: &str) -> String {
    format!("chat_changes:{room}")
}

/// The collection of what came to the messages of a room or a thread.
pub(crate) fn overlay(room: &str, thread: Option<u64>) -> String {
    match thread {
        Some(root) => format!("chat_overlay:{room}\n{root}"),
        None => format!("chat_overlay:{room}"),
    }
}

/// The collection of what edited messages said before.
pub(crate) fn edits(room: &str, thread: Option<u64>) -> String {
    match thread {
        Some(root) => format!("chat_edits:{room}\n{root}"),
        None => format!("chat_edits:{room}"),
    }
}

/// The key of a message in collections: in the order of the messages.
pub(crate) fn seq_key(seq: u64) -> String {
    format!("{seq:016}")
}

/// The collection of a room's members, and the ranking of them.
pub(crate) fn members(room: &str) -> String {
    format!("chat_members:{room}")
}

/// The collection of a person's rooms.
pub(crate) fn memberships(person: &str) -> String {
    format!("chat_memberships:{person}")
}

/// The collection of who may not come into a room.
pub(crate) fn bans(room: &str) -> String {
    format!("chat_bans:{room}")
}

/// The collection of what each person gave to messages of a room or a thread.
pub(crate) fn reactions(room: &str, thread: Option<u64>) -> String {
    match thread {
        Some(root) => format!("chat_reactions:{room}\n{root}"),
        None => format!("chat_reactions:{room}"),
    }
}

/// The collection of who gave which reaction, in the order in which they came.
pub(crate) fn reactors(room: &str, thread: Option<u64>) -> String {
    match thread {
        Some(root) => format!("chat_reactors:{room}\n{root}"),
        None => format!("chat_reactors:{room}"),
    }
}

/// The collection of what is pinned, by room.
pub(crate) const PINS: &str = "chat_pins";

/// The collection of what is to be done at a time.
pub(crate) const DUE: &str = "chat_due";

/// The collection of how far the members of a room have read.
pub(crate) fn marks(room: &str) -> String {
    format!("chat_marks:{room}")
}

/// The collection of messages that mention all.
pub(crate) const MENTIONS_OF_ALL: &str = "chat_mentions_of_all";

/// The collection of messages that mention a person.
pub(crate) fn mentions(person: &str) -> String {
    format!("chat_mentions:{person}")
}

/// What the key of a message begins with where messages of all rooms and threads stand together; its number in 16 digits
/// comes behind it. Those of threads stand behind all others of their room.
pub(crate) fn in_room(room: &str, thread: Option<u64>) -> String {
    match thread {
        Some(root) => format!("{room}\nt{root:016}\n"),
        None => format!("{room}\n"),
    }
}
/// The ranking of those of a room's members who are more than that, by their roles.
pub(crate) fn roles(room: &str) -> String {
    format!("chat_roles:{room}")
}

/// The collection of whom a person doesn't want to hear of.
pub(crate) fn blocks(person: &str) -> String {
    format!("chat_blocks:{person}")
}

/// The log of what moderators did in a room.
pub(crate) fn moderation(room: &str) -> String {
    format!("chat_moderation:{room}")
}

/// The collection of profiles.
pub(crate) const PEOPLE: &str = "chat_people";
/// The collection by which people are found: folded names and ids.
pub(crate) const FOUND_BY: &str = "chat_names";
/// The collection of rooms that are being deleted.
pub(crate) const DELETIONS: &str = "chat_deletions";

/// Names a message in its room's log. No id and no key has a control character, so two pairs never meet in one name.
pub(crate) fn dedupe(person: &str, key: &str) -> String {
    format!("{person}\n{key}")
}

/// The collection of who has sent something lately in a slow room.
pub(crate) fn slow(room: &str) -> String {
    format!("chat_slow:{room}")
}

/// The collection of reports.
pub(crate) const REPORTS: &str = "chat_reports";
/// The collection of who has reported which message, while the report is open.
pub(crate) const REPORTING: &str = "chat_reporting";
/// The collection by which reports are listed.
pub(crate) const REPORTS_BY_STATE: &str = "chat_reports_by_state";

/// The collection by which reports of a room are listed.
pub(crate) fn reports_of(room: &str) -> String {
    format!("chat_reports_of:{room}")
}

/// The collection of reports that a person made.
pub(crate) fn reports_by(person: &str) -> String {
    format!("chat_reports_by:{person}")
}

/// The collection of reports on what a person wrote.
pub(crate) fn reports_on(person: &str) -> String {
    format!("chat_reports_on:{person}")
}

/// The collection of the messages that a person wrote.
pub(crate) fn written(person: &str) -> String {
    format!("chat_written:{person}")
}

/// The collection of the messages to which a person reacted.
pub(crate) fn reacted(person: &str) -> String {
    format!("chat_reacted:{person}")
}

/// The collection of tickets for what is kept of a person.
pub(crate) const EXPORTS: &str = "chat_exports";
/// The collection of people who are being erased.
pub(crate) const ERASURES: &str = "chat_erasures";

/// The collection of messages that mention whom an id means: a person, or `*` for all.
pub(crate) fn mentions_of(id: &str) -> String {
    match id {
        "*" => MENTIONS_OF_ALL.to_owned(),
        id => mentions(id),
    }
}

/// The collection of what a person has waiting to be sent later.
pub(crate) fn scheduled(person: &str) -> String {
    format!("chat_scheduled:{person}")
}

/// The collection of files.
pub(crate) const FILES: &str = "chat_files";

/// The collection of a person's files.
pub(crate) fn files_of(person: &str) -> String {
    format!("chat_file_users:{person}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_keys_have_bounds() {
        for name in ["a", "post:123", "日本語 #1", "❤️", &"x".repeat(128)] {
            assert!(check_room(name).is_ok(), "{name}");
        }
        for name in [
            "",
            &"x".repeat(129),
            &"🦀".repeat(101),
            "a\nb",
            " ",
            "\u{200b}\u{202e}",
            "\u{3164}",
        ] {
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
        assert_eq!(typing_of(&typing_place("a:b", None)), Some(("a:b", None)));
        assert_eq!(
            typing_of(&typing_place("a:b", Some(7))),
            Some(("a:b", Some(7)))
        );
        assert_eq!(typing_of(&hub_room("typing:x")), None);
    }
}
