//! What rooms of a kind have besides events: presence, history, privacy. Kinds are patterns of names.

use lakh_hub::auth::Pattern;

use crate::state::StateOptions;

/// Options for the rooms whose names fit a pattern. The first that fits counts; where none does, [`RoomOptions::default`].
#[derive(Clone, Debug, PartialEq)]
pub struct RoomOptions {
    /// Which rooms. `{user}` stands for anybody's id here.
    pub pattern: Pattern,
    /// Who is in the room, and its coming and going.
    pub presence: PresenceOptions,
    /// What was said before.
    pub history: HistoryOptions,
    /// Only who shows a signed token gets in.
    pub private: bool,
    /// Different filters by which the members of one room may be told apart, on each loop; 0: no filters.
    pub max_filters: usize,
    /// What the room's members share besides.
    pub state: StateOptions,
}

impl Default for RoomOptions {
    fn default() -> Self {
        Self {
            pattern: Pattern::new("*"),
            presence: PresenceOptions::default(),
            history: HistoryOptions::default(),
            private: false,
            max_filters: 64,
            state: StateOptions::default(),
        }
    }
}

impl RoomOptions {
    /// The defaults for rooms whose names fit a pattern.
    #[must_use]
    pub fn of(pattern: &str) -> Self {
        Self {
            pattern: Pattern::new(&pattern.replace("{user}", "*")),
            ..Self::default()
        }
    }
}

impl RoomOptions {
    pub(crate) fn keeps(&self) -> bool {
        self.history.keep != Keep::Nothing
    }

    pub(crate) fn is_stored(&self) -> bool {
        self.history.keep == Keep::Store
    }
}

/// Who is in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresenceOptions {
    /// Whether it's known at all.
    pub enabled: bool,
    /// How long somebody whose connection broke still counts as there.
    pub grace_ms: u64,
    /// Up to so many people each one's coming and going is told at once, by name.
    pub max_named: usize,
    /// Up to so many people comings and goings are told by name, those of a tick together; past it only their number is.
    pub max_batched: usize,
    /// Between two such words, and between two words on the number of people.
    pub tick_ms: u64,
}

impl Default for PresenceOptions {
    fn default() -> Self {
        Self {
            enabled: false,
            grace_ms: 5_000,
            max_named: 100,
            max_batched: 1_000,
            tick_ms: 1_000,
        }
    }
}

/// Where a room's events are kept for those who come later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// Nowhere.
    #[default]
    Nothing,
    /// In the memory of each node, until it ends.
    Memory,
    /// In the store; the answer to `room:emit` waits for it.
    Store,
}

/// What of a room's events is kept: the oldest go as soon as one of these bounds is passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryOptions {
    /// Where.
    pub keep: Keep,
    /// Events of a room at most.
    pub max_entries: usize,
    /// Bytes of a room at most.
    pub max_bytes: usize,
    /// Longest time.
    pub max_age_ms: u64,
}

impl Default for HistoryOptions {
    fn default() -> Self {
        Self {
            keep: Keep::Nothing,
            max_entries: 1_000,
            max_bytes: 1 << 20,
            max_age_ms: 86_400_000,
        }
    }
}

/// The options by their place in the configuration.
#[derive(Debug)]
pub(crate) struct Kinds {
    list: Vec<RoomOptions>,
    rest: RoomOptions,
}

impl Kinds {
    pub(crate) fn new(list: Vec<RoomOptions>) -> Self {
        Self {
            list,
            rest: RoomOptions::default(),
        }
    }

    /// Those of the room that clients know by this name.
    pub(crate) fn of(&self, name: &str) -> &RoomOptions {
        let fits = |kind: &&RoomOptions| kind.pattern.fits(name, None);
        self.list.iter().find(fits).unwrap_or(&self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_fits_counts_and_a_person_is_anybody() {
        let private = RoomOptions {
            private: true,
            ..RoomOptions::of("inbox:{user}")
        };
        let kept = RoomOptions {
            history: HistoryOptions {
                keep: Keep::Memory,
                ..HistoryOptions::default()
            },
            ..RoomOptions::of("*")
        };
        let kinds = Kinds::new(vec![private, kept]);
        assert!(kinds.of("inbox:ada").private);
        assert_eq!(kinds.of("inbox:ada").history.keep, Keep::Nothing);
        assert_eq!(kinds.of("board:1").history.keep, Keep::Memory);
        assert_eq!(Kinds::new(Vec::new()).of("a"), &RoomOptions::default());
    }
}
