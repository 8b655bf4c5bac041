//! What the hub calls the rooms of those who follow a room's state, locks and cursors, and names that clients choose.
//!
//! The hub's names of these rooms have a control character in them, as all rooms that are the server's own: no client gets
//! into them by a name (`crate::names`).

use lakh_hub::{Failure, Room};

/// Longest key of an entry and name of a lock, in characters.
const MAX_CHARS: usize = 128;
/// The same in bytes of UTF-8.
const MAX_BYTES: usize = 400;

/// What a socket follows of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follow {
    /// Changes of the state.
    Changes,
    /// The same, large ones as patches.
    Patches,
    /// The newest change of each key.
    Newest,
    /// Locks.
    Locks,
    /// Cursors.
    Cursors,
    /// Nothing: it has entries or locks that go with it.
    Bound,
}

impl Follow {
    pub(crate) const ALL: [Self; 6] = [
        Self::Changes,
        Self::Patches,
        Self::Newest,
        Self::Locks,
        Self::Cursors,
        Self::Bound,
    ];
    /// The ways to follow the state.
    pub(crate) const STATE: [Self; 3] = [Self::Changes, Self::Patches, Self::Newest];

    fn word(self) -> &'static str {
        match self {
            Self::Changes => "room:\u{1e}state:",
            Self::Patches => "room:\u{1e}state-patches:",
            Self::Newest => "room:\u{1e}state-newest:",
            Self::Locks => "room:\u{1e}locks:",
            Self::Cursors => "room:\u{1e}cursors:",
            Self::Bound => "room:\u{1e}bound:",
        }
    }

    /// The hub's room of those who follow this of a room.
    pub(crate) fn hub_room(self, room: &str) -> Room {
        [self.word(), room, "/"].concat().into()
    }

    /// What a room of the hub stands for, if it's one of these, and the name of the clients' room.
    pub(crate) fn parse(hub_room: &str) -> Option<(Self, &str)> {
        if !hub_room.starts_with("room:") {
            return None;
        }
        let name = hub_room.strip_suffix('/')?;
        let all = Self::ALL.into_iter();
        all.filter_map(|follow| Some((follow, name.strip_prefix(follow.word())?)))
            .next()
    }
}

/// Checks the key of an entry, or the name of a lock.
pub(super) fn check(what: &str, name: &str) -> Result<(), Failure> {
    let fits = !name.is_empty() && name.len() <= MAX_BYTES && name.chars().nth(MAX_CHARS).is_none();
    if !fits || name.chars().any(char::is_control) {
        return Err(Failure::bad_request(format!(
            "{what} is 1 to {MAX_CHARS} characters ({MAX_BYTES} bytes) without control characters"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_of_followers_are_told_apart_and_no_clients_room_is_one() {
        let id = "n1-AAbbccddeeffgghhi";
        for room in [
            "r",
            "x/",
            "room:state:r",
            "state:r/",
            id,
            &format!("y#{id}"),
            "é🦀",
        ] {
            for follow in Follow::ALL {
                let hub_room = follow.hub_room(room);
                assert_eq!(Follow::parse(&hub_room), Some((follow, room)));
            }
            let own = crate::names::room(room).expect("a name");
            assert_eq!(Follow::parse(&own), None, "{own}");
        }
        for room in [
            "state:r/",
            "room:state:r/",
            &format!("state:y#{id}/"),
            &format!("state:y#{id}"),
        ] {
            let own = crate::names::room(room).expect("a name");
            assert_eq!(Follow::parse(&own), None, "{own}");
        }
    }
}
