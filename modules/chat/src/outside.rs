//! What backends need to ask for people and to be held to rooms.

use lakh_hub::{Failure, Person};

use crate::asker::Asker;
use crate::{Chat, names, people};

/// Longest name of a person, in characters.
const MAX_NAME_CHARS: usize = 200;

/// Requests that act on the room in their field `room` and on nothing else. Whoever may act on some rooms only may make these;
/// each of them needs the field.
pub const OF_A_ROOM: &[&str] = &[
    "attachment:upload",
    "ban:list",
    "live:react",
    "member:add",
    "member:ban",
    "member:decline",
    "member:invite",
    "member:kick",
    "member:list",
    "member:mute",
    "member:role",
    "member:unban",
    "message:delete",
    "message:edit",
    "message:edits",
    "message:get",
    "message:history",
    "message:pin",
    "message:purge",
    "message:send",
    "message:sync",
    "moderation:log",
    "pin:list",
    "presence:list",
    "reaction:add",
    "reaction:list",
    "reaction:remove",
    "receipt:delivered",
    "receipt:list",
    "receipt:read",
    "receipt:unread",
    "report:send",
    "room:archive",
    "room:delete",
    "room:get",
    "room:join",
    "room:leave",
    "room:notify",
    "room:set",
    "room:unwatch",
    "room:watch",
    "typing:set",
];

impl Chat {
    /// Whoever has this id, for whom a backend speaks: under the name of their profile; without one, under the name given; without
    /// that, under their id.
    ///
    /// # Errors
    /// `bad_request` if that is no id or no name; `unavailable`.
    pub async fn somebody(&self, id: &str, name: Option<&str>) -> Result<Asker, Failure> {
        names::check_person(id)?;
        let fits = |name: &str| {
            !name.is_empty()
                && name.chars().nth(MAX_NAME_CHARS).is_none()
                && !name.chars().any(char::is_control)
        };
        if !name.is_none_or(fits) {
            return Err(Failure::bad_request(format!(
                "as_name is 1 to {MAX_NAME_CHARS} characters without control characters"
            )));
        }
        let known = people::profiles(self, &[id.to_owned()]).await?.pop();
        let name = match (known.flatten(), name) {
            (Some(profile), _) => profile.name,
            (None, name) => name.unwrap_or(id).to_owned(),
        };
        Ok(Asker::person(Person {
            id: id.to_owned(),
            name,
        }))
    }
}
