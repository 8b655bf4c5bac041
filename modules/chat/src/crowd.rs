//! What a room is told of its people, by how many watch it: each of them by name, some of them now and then, or how many they
//! are. So what a room costs stays bounded, and nobody has to set anything.

use lakh_hub::presence::Occupancy;
use serde::Serialize;

use crate::{Chat, names};

/// What a room is told of its people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Crowd {
    /// All of it, at once.
    #[default]
    None,
    /// Typing, presence and receipts are summed up.
    Thinned,
    /// How many they are, and no names.
    Counts,
}

/// From how many sockets on a room is a crowd.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// More than so many: thinned.
    pub thin_from: usize,
    /// More than so many: counts.
    pub crowd_from: usize,
}

impl Crowd {
    /// What so many sockets are, after what the room was before: it goes back when four fifths of a limit are left, so a room
    /// about a limit doesn't change all the time.
    pub(crate) fn of(watching: usize, before: Self, limits: Limits) -> Self {
        let is_over = |limit: usize, was: bool| match was {
            true => watching.saturating_mul(5) > limit.saturating_mul(4),
            false => watching > limit,
        };
        if is_over(limits.crowd_from, before >= Self::Counts) {
            Self::Counts
        } else if is_over(limits.thin_from, before >= Self::Thinned) {
            Self::Thinned
        } else {
            Self::None
        }
    }
}

/// What a room is, as this node sees it.
pub(crate) fn of(chat: &Chat, room: &str) -> Crowd {
    let place = names::hub_room(room);
    chat.0.whereabouts.lock().teller.crowd(&place)
}

/// What a room is, and how many are there.
pub(crate) fn with_occupancy(chat: &Chat, room: &str) -> (Crowd, Occupancy) {
    let place = names::hub_room(room);
    let known = chat.0.whereabouts.lock();
    (known.teller.crowd(&place), known.table().occupancy(&place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_goes_back_when_a_fifth_is_gone() {
        let limits = Limits {
            thin_from: 10,
            crowd_from: 100,
        };
        let mut now = Crowd::None;
        let mut at = |watching| {
            now = Crowd::of(watching, now, limits);
            now
        };
        assert_eq!(at(10), Crowd::None);
        assert_eq!(at(11), Crowd::Thinned);
        assert_eq!(at(9), Crowd::Thinned);
        assert_eq!(at(8), Crowd::None);
        assert_eq!(at(9), Crowd::None);
        assert_eq!(at(101), Crowd::Counts);
        assert_eq!(at(81), Crowd::Counts);
        assert_eq!(at(80), Crowd::Thinned);
        assert_eq!(at(100), Crowd::Thinned);
        assert_eq!(at(101), Crowd::Counts);
        assert_eq!(at(0), Crowd::None);
    }
}
