//! What a person, an address and a node may do a second, and what happens past it.
//!
//! What is counted stands in an [`Account`]: one for the node, one for each address and each person that has connections,
//! shared by all event loops. A connection is charged through its [`Meter`]. Rates follow the generic cell rate algorithm
//! (ITU-T I.371): one number each, the time at which the allowance is full again; as much as a second brings may come at
//! once. Nothing here reads a clock: milliseconds on any monotonic one come in.
//!
//! What must hold: who goes and comes back finds the account as it was, so a new connection buys nothing; and the table has
//! a bound, whoever connects: beside the accounts in use at most [`MAX_IDLE`] are kept.

mod account;
mod ledger;
mod meter;

pub use account::Account;
pub use ledger::{Ledger, MAX_IDLE};
pub use meter::Meter;

/// Who is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Somebody who is signed in, over all their connections to this node.
    Person,
    /// An address (IPv6: a /64), as trusted proxies tell it.
    Address,
    /// All clients of this node together.
    Node,
}

/// Every scope, in the order of the counters.
pub const SCOPES: [Scope; 3] = [Scope::Person, Scope::Address, Scope::Node];

impl Scope {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Address => "address",
            Self::Node => "node",
        }
    }
}

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Events a second.
    Events,
    /// Joins a second.
    Joins,
    /// Bytes a second that come in.
    Bytes,
    /// Connections at the same time.
    Connections,
    /// Rooms at the same time.
    Rooms,
}

/// Every limit, in the order of the counters.
pub const LIMITS: [Limit; 5] = [
    Limit::Events,
    Limit::Joins,
    Limit::Bytes,
    Limit::Connections,
    Limit::Rooms,
];
/// The first of them are rates.
const RATES: usize = 3;

impl Limit {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Joins => "joins",
            Self::Bytes => "bytes",
            Self::Connections => "connections",
            Self::Rooms => "rooms",
        }
    }

    /// The code that a client is told.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Events | Self::Joins | Self::Bytes => "rate_limited",
            Self::Connections => "too_many_connections",
            Self::Rooms => "too_many_rooms",
        }
    }
}

/// What happens past a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Past {
    /// What is too much is refused, and its sender told.
    #[default]
    Refuse,
    /// It's done, and the connection read no further until there is room for more.
    Slow,
    /// The connection is closed, with a word why.
    Disconnect,
}

impl Past {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Slow => "slow",
            Self::Disconnect => "disconnect",
        }
    }
}

/// The bounds of one scope; `None` is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Events a second.
    pub events: Option<u32>,
    /// Joins a second.
    pub joins: Option<u32>,
    /// Bytes a second.
    pub bytes: Option<u32>,
    /// Connections at the same time. Of addresses and of the node they are counted where connections are accepted.
    pub connections: Option<u32>,
    /// Rooms at the same time: of persons only.
    pub rooms: Option<u32>,
}

impl Bounds {
    fn rate(&self, limit: Limit) -> Option<u32> {
        match limit {
            Limit::Events => self.events,
            Limit::Joins => self.joins,
            Limit::Bytes => self.bytes,
            Limit::Connections | Limit::Rooms => None,
        }
    }
}

/// What may be done, and what happens past it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of each person.
    pub person: Bounds,
    /// Of each address.
    pub address: Bounds,
    /// Of the node.
    pub node: Bounds,
    /// Past the events a second.
    pub past_events: Past,
    /// Past the joins a second, and the rooms.
    pub past_joins: Past,
    /// Past the bytes a second.
    pub past_bytes: Past,
    /// Past the connections.
    pub past_connections: Past,
}

impl Limits {
    /// Whether there are any.
    #[must_use]
    pub fn are_none(&self) -> bool {
        [self.person, self.address, self.node] == [Bounds::default(); 3]
    }

    fn of(&self, scope: Scope) -> &Bounds {
        match scope {
            Scope::Person => &self.person,
            Scope::Address => &self.address,
            Scope::Node => &self.node,
        }
    }

    fn past(&self, limit: Limit) -> Past {
        match limit {
            Limit::Events => self.past_events,
            Limit::Joins => self.past_joins,
            Limit::Bytes => self.past_bytes,
            Limit::Connections => self.past_connections,
            Limit::Rooms => match self.past_joins {
                Past::Disconnect => Past::Disconnect,
                // There is nothing to wait for: rooms come free when somebody leaves some.
                Past::Refuse | Past::Slow => Past::Refuse,
            },
        }
    }
}

/// Somebody ran into a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Whose.
    pub scope: Scope,
    /// Which.
    pub limit: Limit,
    /// What is to happen.
    pub past: Past,
    /// Milliseconds until there is room for one more; 0 where time does not help.
    pub retry_in_ms: u64,
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
