//! What nodes say to each other of worlds.

use serde::{Deserialize, Serialize};

use crate::play::{Act, Done, Move, News};

/// Something that one node says to another. The bytes of a tick come beside it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Word {
    /// A guest is there, and says so every second; if it has nothing, or something was lost, it's to be told anew.
    Hello {
        world: String,
        from: String,
        anew: bool,
    },
    /// A guest has nobody in the world any more.
    Bye { world: String, from: String },
    /// What clients of a guest did.
    Moves { world: String, moves: Vec<Move> },
    /// Something is to be done.
    Ask {
        world: String,
        from: String,
        id: u64,
        act: Box<Act>,
    },
    /// What came of it.
    Answer { id: u64, told: Told },
    /// A tick.
    Tick(Ticked),
}

/// A tick, beside the bytes of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ticked {
    pub(crate) world: String,
    pub(crate) entities: usize,
    pub(crate) news: Vec<News>,
    /// All who are in, where the guest is told anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stays: Option<Vec<Stayed>>,
}

/// Somebody who is in a world, as all its nodes know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Stayed {
    pub(crate) session: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) person: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) entity: Option<u32>,
    /// The node that their connection is to.
    pub(crate) node: String,
    /// When the stay ends, if the connection is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ends_ms: Option<u64>,
    #[serde(default)]
    pub(crate) groups: Vec<u32>,
}

/// An answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Told {
    Done(Done),
    Refused { code: String, message: String },
}

/// Codes that come from where a world is.
const CODES: [&str; 7] = [
    "bad_request",
    "conflict",
    "forbidden",
    "full",
    "not_found",
    "too_many",
    "unavailable",
];

/// A code as it's written in this program.
pub(super) fn known(code: &str) -> &'static str {
    let found = CODES.iter().find(|known| **known == code);
    found.copied().unwrap_or("internal")
}
