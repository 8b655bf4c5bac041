//! What is done to a world, wherever it's run: requests that change it, as its owner gets them.
//!
//! All of it can be written down and sent to another node. Rights that the house gives are asked where the client is, and
//! stand in the [`Actor`]; who owns an entity is known where the world is.

use lakh_hub::Failure;
use serde::{Deserialize, Serialize};

use super::shapes::Fields;
use crate::fleet::Stayed;

/// Who does something.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Actor {
    /// The id of the person; nobody in particular has none.
    pub(crate) person: Option<String>,
    /// What they are called.
    pub(crate) name: String,
    /// The stay in this world that it's done from.
    pub(crate) session: Option<String>,
    /// They may change what others own.
    pub(crate) moderates: bool,
}

impl Actor {
    /// By what they are known as owners: their id, or, of nobody in particular, their stay.
    pub(crate) fn key(&self) -> Option<String> {
        let session = || Some(format!("\u{1}{}", self.session.as_ref()?));
        self.person.clone().or_else(session)
    }
}

/// Who may see an entity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Seen {
    /// All who are near.
    #[default]
    All,
    /// Nobody.
    None,
    /// These people.
    #[serde(untagged)]
    People {
        /// Their ids.
        people: Vec<String>,
    },
}

/// Somebody comes in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entering {
    pub(crate) actor: Actor,
    /// Where they want to be.
    pub(crate) wish: Option<[f64; 3]>,
    /// Where they were.
    pub(crate) remembered: Option<[f64; 3]>,
    pub(crate) fields: Fields,
    /// The name of the stay that begins, if none goes on.
    pub(crate) fresh: String,
    /// Without an entity.
    pub(crate) spectates: bool,
    /// The node that their connection is to.
    pub(crate) node: String,
}

/// Somebody is in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entered {
    pub(crate) entity: Option<u32>,
    pub(crate) at: [f64; 3],
    pub(crate) session: String,
    /// Of which groups they are.
    pub(crate) groups: Vec<u32>,
}

/// What an entity becomes; what isn't said stays, or is as usual for a new one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) at: Option<[f64; 3]>,
    pub(crate) velocity: Option<[f64; 3]>,
    pub(crate) rotation: Option<[f64; 4]>,
    #[serde(default)]
    pub(crate) fields: Fields,
    pub(crate) always: Option<bool>,
    pub(crate) audience: Option<Seen>,
}

/// Something that is done, and is answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Act {
    Enter(Entering),
    /// Somebody goes: their entity at once, or after a grace.
    Leave {
        session: String,
        graced: bool,
    },
    Spawn {
        actor: Actor,
        kind: u8,
        state: State,
        lasting: bool,
    },
    Change {
        actor: Actor,
        entity: u32,
        state: State,
    },
    Remove {
        actor: Actor,
        entity: u32,
    },
    Look {
        actor: Actor,
        entity: u32,
    },
    /// So many bots are to walk about; nothing: how many do?
    Bots(Option<u32>),
}

impl Act {
    /// Whether it does no more when it's done twice.
    pub(crate) fn is_repeatable(&self) -> bool {
        !matches!(self, Self::Spawn { .. })
    }
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Done {
    Entered(Entered),
    /// The number of a new entity.
    Spawned(u32),
    /// How many bots there are.
    Bots(u32),
    /// An entity, as clients are shown it.
    Shown(serde_json::Value),
    Nothing,
}

/// What those who have seats must learn, in the tick in which it happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum News {
    /// Somebody's entity was put elsewhere.
    Moved {
        session: String,
        entity: u32,
        at: [f64; 3],
        velocity: [f64; 3],
    },
    /// Somebody's entity was taken away.
    Gone { session: String, reason: String },
    /// Of which groups a person is now.
    Groups { person: String, groups: Vec<u32> },
    /// Somebody is in: for the other nodes.
    Stay(Stayed),
    /// Somebody is in no more: for the other nodes.
    Ended { session: String },
}

/// An answer of another kind than what was asked: a fault of this module.
pub(crate) fn unexpected() -> Failure {
    tracing::error!("a world answered something else than it was asked");
    Failure::new("internal", "the world gave an answer that doesn't fit")
}
