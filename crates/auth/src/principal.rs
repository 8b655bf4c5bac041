//! Whoever was signed in, with what they were granted.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::pattern::Pattern;

/// What kind of caller it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Somebody with a token, a session of the console, or, in development, a name.
    Person,
    /// Nobody in particular, where that is allowed.
    Anonymous,
    /// A backend with an API key.
    Service,
}

/// A person or program whose sign-in was checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Principal {
    /// Stable id: the token's `sub`; `dev:` and the name in small letters; `key:` and an API key's id. Empty for nobody
    /// in particular.
    pub id: String,
    /// What others see.
    pub name: String,
    /// What kind of caller it is.
    pub kind: Kind,
    /// What rules may speak of: the token's `roles`.
    pub roles: Vec<String>,
    /// Whether everything is allowed.
    pub admin: bool,
    /// What the token itself allows, beside the rules.
    pub grants: Vec<Grant>,
    /// The token's `jti`.
    pub token: Option<String>,
    /// The token's `sid`: the sign-in that it comes from.
    pub session: Option<String>,
    /// The token's `iat`, in seconds since 1970.
    pub issued_at: Option<u64>,
    /// When the sign-in ends, in seconds since 1970; a development name has no end.
    pub expires_at: Option<u64>,
}

impl Principal {
    /// A person with nothing but an id and a name.
    pub fn person(id: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            kind: Kind::Person,
            roles: Vec::new(),
            admin: false,
            grants: Vec::new(),
            token: None,
            session: None,
            issued_at: None,
            expires_at: None,
        }
    }

    /// Nobody in particular.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            kind: Kind::Anonymous,
            ..Self::person("", "")
        }
    }

    /// The id, of those that have one.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        (!self.id.is_empty()).then_some(self.id.as_str())
    }
}

/// Rights in rooms: `module:acts:rooms`, such as `rooms:join,emit:board:*`, `chat:*:team-*` or `*:*:*`.
///
/// Acts are separated by commas; `*` stands for every module and every act. What comes behind the second colon is a
/// [`Pattern`] of the room's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The module; `None` is every one.
    module: Option<Box<str>>,
    /// The acts; `None` is every one.
    acts: Option<Box<[Box<str>]>>,
    rooms: Pattern,
}

/// What is wrong with the text of a grant.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is no grant: write module:acts:rooms, such as `rooms:join,emit:board:*`")]
pub struct GrantError(String);

impl Grant {
    /// One act of a module in the rooms that fit a pattern.
    #[must_use]
    pub fn new(module: &str, act: &str, rooms: &str) -> Self {
        Self {
            module: Some(module.into()),
            acts: Some([act.into()].into()),
            rooms: Pattern::new(rooms),
        }
    }

    /// Whether it speaks of this act in this room, for the person with this id.
    #[must_use]
    pub fn covers(&self, module: &str, act: &str, room: &str, user: Option<&str>) -> bool {
        self.module.as_deref().is_none_or(|own| own == module)
            && self
                .acts
                .as_ref()
                .is_none_or(|acts| acts.iter().any(|own| **own == *act))
            && self.rooms.fits(room, user)
    }

    /// The module that it speaks of; `None` is every one.
    #[must_use]
    pub fn module(&self) -> Option<&str> {
        self.module.as_deref()
    }

    /// The acts that it names; none if it stands for every one.
    pub fn acts(&self) -> impl Iterator<Item = &str> {
        self.acts.iter().flatten().map(|act| &**act)
    }
}

fn is_word(text: &str) -> bool {
    let of_word =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.".contains(&byte);
    !text.is_empty() && text.len() <= 64 && text.bytes().all(of_word)
}

impl FromStr for Grant {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || GrantError(text.to_owned());
        let mut parts = text.splitn(3, ':');
        let (Some(module), Some(acts), Some(rooms)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong());
        };
        let module = match module {
            "*" => None,
            module if is_word(module) => Some(module.into()),
            _ => return Err(wrong()),
        };
        let acts = match acts {
            "*" => None,
            acts => {
                let acts: Box<[&str]> = acts.split(',').map(str::trim).collect();
                if !acts.iter().all(|act| is_word(act)) {
                    return Err(wrong());
                }
                Some(acts.iter().map(|act| Box::from(*act)).collect())
            }
        };
        if rooms.is_empty() {
            return Err(wrong());
        }
        Ok(Self {
            module,
            acts,
            rooms: Pattern::new(rooms),
        })
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let acts = match &self.acts {
            None => "*".to_owned(),
            Some(acts) => acts.join(","),
        };
        let module = self.module.as_deref().unwrap_or("*");
        write!(f, "{module}:{acts}:{}", self.rooms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_read_and_written() {
        for text in [
            "rooms:join,emit:board:*",
            "chat:*:team-*",
            "*:*:*",
            "rooms:join:inbox:{user}",
        ] {
            let grant: Grant = text.parse().unwrap();
            assert_eq!(grant.to_string(), text);
        }
        for text in [
            "",
            "rooms",
            "rooms:join",
            "rooms:join:",
            "rooms::*",
            "Rooms:join:*",
            ":join:*",
            "rooms:join,,emit:*",
            "rooms:jo in:*",
        ] {
            assert_eq!(
                text.parse::<Grant>(),
                Err(GrantError(text.into())),
                "{text}"
            );
        }
    }

    #[test]
    fn a_grant_covers_what_it_names() {
        let grant: Grant = "rooms:join,emit:board:*".parse().unwrap();
        for (module, act, room, expected) in [
            ("rooms", "join", "board:7", true),
            ("rooms", "emit", "board:", true),
            ("rooms", "kick", "board:7", false),
            ("chat", "join", "board:7", false),
            ("rooms", "join", "other", false),
        ] {
            assert_eq!(
                grant.covers(module, act, room, None),
                expected,
                "{module} {act} {room}"
            );
        }
        let own: Grant = "*:*:inbox:{user}".parse().unwrap();
        assert!(own.covers("auto", "publish", "inbox:ada", Some("ada")));
        assert!(!own.covers("auto", "publish", "inbox:ada", Some("eve")));
        assert!(!own.covers("auto", "publish", "inbox:", None));
    }
}
