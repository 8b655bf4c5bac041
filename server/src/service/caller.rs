//! Who asks, and what rights call what they ask for.
//!
//! Every right is decided by the hub's one policy, as an act of the module `api` on a thing. A thing is what stands
//! behind the second colon of a grant, such as `api:emit:board:*`:
//!
//! | thing | written |
//! |---|---|
//! | a room of `/` | its name: `board:7` |
//! | a room of another namespace | `/chat#general` |
//! | a person, in any namespace | `@` and the id: `@ada` |
//! | a socket | `~` and its id |
//! | everybody in a namespace | the namespace: `/`, `/chat` |
//! | a node | `node:` and its name |
//! | a hook | `hook:` and its name |
//! | a role that a token has | `role:` and its name |
//! | a token, a sign-in | `token:` and its `jti`, `session:` and its `sid` |
//!
//! A room of `/` whose name begins with `@`, `~` or `/` is written `/#@name`, so that no room can be taken for something
//! else.

use lakh_auth::{Kind as Sort, Principal};

use super::Service;
use super::problem::Problem;

/// What rights call the API.
pub const MODULE: &str = "api";

/// What rights may speak of in it: one word for each thing that can be done.
pub mod act {
    /// Send events, with and without waiting for answers.
    pub const EMIT: &str = "emit";
    /// List sockets and look at one.
    pub const SOCKETS: &str = "sockets";
    /// List rooms and look at one.
    pub const ROOMS: &str = "rooms";
    /// See who is in a room.
    pub const PRESENCE: &str = "presence";
    /// Read what was published in a room.
    pub const HISTORY: &str = "history";
    /// Hear what is said in a room.
    pub const LISTEN: &str = "listen";
    /// Put sockets into rooms.
    pub const JOIN: &str = "join";
    /// Take sockets out of rooms.
    pub const LEAVE: &str = "leave";
    /// Disconnect sockets.
    pub const DISCONNECT: &str = "disconnect";
    /// Make tokens.
    pub const TOKENS: &str = "tokens";
    /// Revoke tokens, and list what is revoked.
    pub const REVOCATIONS: &str = "revocations";
    /// See how hooks are doing, and look after what they gave up.
    pub const HOOKS: &str = "hooks";
    /// Make requests of the chat, for people and for oneself.
    pub const CHAT: &str = "chat";
    /// Make requests of worlds, for people and for oneself.
    pub const WORLD: &str = "world";
    /// See how the nodes are.
    pub const NODES: &str = "nodes";
    /// Have a node end.
    pub const DRAIN: &str = "drain";
    /// Read the numbers of a node.
    pub const STATS: &str = "stats";
}

/// Every act, for documentation and checks of configuration.
pub const ACTS: &[&str] = &[
    act::EMIT,
    act::SOCKETS,
    act::ROOMS,
    act::PRESENCE,
    act::HISTORY,
    act::LISTEN,
    act::JOIN,
    act::LEAVE,
    act::DISCONNECT,
    act::TOKENS,
    act::REVOCATIONS,
    act::HOOKS,
    act::CHAT,
    act::WORLD,
    act::NODES,
    act::DRAIN,
    act::STATS,
];

/// Who asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Caller {
    principal: Principal,
}

impl Caller {
    /// Somebody whose credentials were checked.
    #[must_use]
    pub fn new(principal: Principal) -> Self {
        Self { principal }
    }

    /// Whoever sits at this machine, in development.
    #[must_use]
    pub fn of_this_machine() -> Self {
        Self::new(Principal {
            kind: Sort::Service,
            admin: true,
            ..Principal::person("dev", "development")
        })
    }

    /// Who it is.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// What their requests are counted and kept under.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.principal.id
    }
}

/// Something that rights speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing<'a> {
    /// A room, by the name that clients know.
    Room(&'a str, &'a str),
    /// The rooms of a namespace whose names begin so.
    RoomsWith(&'a str, &'a str),
    /// A person by their id.
    Person(&'a str),
    /// A socket by its id.
    Socket(&'a str),
    /// Everybody in a namespace.
    Everybody(&'a str),
    /// A node by its name.
    Node(&'a str),
    /// A hook by its name.
    Hook(&'a str),
    /// A role, for tokens that have it.
    Role(&'a str),
    /// A token by its `jti`.
    Token(&'a str),
    /// A sign-in by its `sid`.
    Session(&'a str),
}

impl Thing<'_> {
    /// As it's written in a grant.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::Room("/", room) if !room.starts_with(['@', '~', '/']) => room.to_owned(),
            Self::Room(namespace, room) => format!("{namespace}#{room}"),
            // A pattern that covers all names with this beginning covers this text, too.
            Self::RoomsWith(namespace, prefix) => {
                let name = format!("{prefix}*");
                Thing::Room(namespace, &name).text()
            }
            Self::Person(id) => format!("@{id}"),
            Self::Socket(id) => format!("~{id}"),
            Self::Everybody(namespace) => namespace.to_owned(),
            Self::Node(name) => format!("node:{name}"),
            Self::Hook(name) => format!("hook:{name}"),
            Self::Role(name) => format!("role:{name}"),
            Self::Token(id) => format!("token:{id}"),
            Self::Session(id) => format!("session:{id}"),
        }
    }
}

impl Service {
    /// Whether somebody may do this to a thing.
    ///
    /// # Errors
    /// `forbidden`. It was counted and logged.
    pub fn allow(
        &self,
        caller: &Caller,
        act: &'static str,
        thing: Thing<'_>,
    ) -> Result<(), Problem> {
        let text = thing.text();
        let allowed = self
            .hub()
            .allow(Some(&caller.principal), MODULE, act, &text);
        allowed.map_err(|failure| {
            let message = format!(
                "Neither your key or token nor a rule of this server lets you do this: it takes `{MODULE}:{act}:{text}`"
            );
            Problem {
                message,
                ..failure.into()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_of_different_kinds_are_never_written_alike() {
        for (thing, text) in [
            (Thing::Room("/", "board:7"), "board:7"),
            (Thing::Room("/", "@ada"), "/#@ada"),
            (Thing::Room("/", "~x"), "/#~x"),
            (Thing::Room("/", "/chat#general"), "/#/chat#general"),
            (Thing::Room("/chat", "general"), "/chat#general"),
            (Thing::RoomsWith("/", "board:"), "board:*"),
            (Thing::RoomsWith("/chat", ""), "/chat#*"),
            (Thing::Person("ada"), "@ada"),
            (Thing::Socket("abc"), "~abc"),
            (Thing::Everybody("/"), "/"),
            (Thing::Everybody("/chat"), "/chat"),
            (Thing::Node("n01"), "node:n01"),
            (Thing::Hook("crm"), "hook:crm"),
            (Thing::Role("editor"), "role:editor"),
            (Thing::Token("t1"), "token:t1"),
            (Thing::Session("s1"), "session:s1"),
        ] {
            assert_eq!(thing.text(), text, "{thing:?}");
        }
    }
}
