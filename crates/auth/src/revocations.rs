//! What was taken back before its end: tokens, sign-ins, and all that a person held.
//!
//! What must hold: an entry stays until nothing that it speaks of could be valid any more, and is never pushed out by
//! another: a full set refuses instead. Entries are plain data, so that nodes can tell each other; adding one twice, or in
//! another order, ends in the same set.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::principal::Principal;

/// Longest id of a token, sign-in or person, in bytes.
pub const MAX_REVOKED_ID_BYTES: usize = 512;

/// What is taken back.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revoked {
    /// The token with this `jti`.
    Token(String),
    /// Every token of the sign-in with this `sid`.
    Session(String),
    /// What a person (or an API key: `key:` and its id) holds.
    Person {
        /// The [`Principal::id`].
        id: String,
        /// Everything whose `iat` is before this, in seconds since 1970, and what has no `iat`.
        issued_before_s: u64,
    },
}

impl Revoked {
    /// All that a person holds now. What is issued within this very second is taken back too: a second is all that `iat`
    /// tells, and it's better to ask somebody to sign in again.
    #[must_use]
    pub fn person(id: impl Into<String>, now_s: u64) -> Self {
        Self::Person {
            id: id.into(),
            issued_before_s: now_s.saturating_add(1),
        }
    }

    fn id(&self) -> &str {
        match self {
            Self::Token(id) | Self::Session(id) | Self::Person { id, .. } => id,
        }
    }
}

/// An entry, as nodes tell it to each other: `{"token":"…","until_s":…}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Revocation {
    /// What is taken back.
    #[serde(flatten)]
    pub what: Revoked,
    /// When it can be forgotten, in seconds since 1970: by then all that it speaks of has ended by itself.
    pub until_s: u64,
}

/// Why an entry was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RevocationError {
    /// There are as many as may be.
    #[error(
        "{0} revocations are kept, which is as many as may be: some must end first, or raise the bound"
    )]
    Full(usize),
    /// The id is none.
    #[error("the id of what is revoked has 1 to 512 bytes")]
    BadId,
}

/// What is taken back, to be asked at each sign-in and whenever the set changed.
#[derive(Debug)]
pub struct Revocations {
    max: usize,
    /// The earliest end, so that looking for what can be forgotten is seldom.
    earliest_s: u64,
    tokens: HashMap<String, u64>,
    sessions: HashMap<String, u64>,
    persons: HashMap<String, Person>,
}

#[derive(Clone, Copy, Debug)]
struct Person {
    issued_before_s: u64,
    until_s: u64,
}

impl Revocations {
    /// A set of at most so many entries.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self {
            max,
            earliest_s: u64::MAX,
            tokens: HashMap::new(),
            sessions: HashMap::new(),
            persons: HashMap::new(),
        }
    }

    /// Adds an entry. `Ok(true)` if it says something new; so it's `false` for what another node told before.
    ///
    /// # Errors
    /// If it doesn't fit.
    pub fn add(&mut self, entry: Revocation, now_s: u64) -> Result<bool, RevocationError> {
        let id = entry.what.id();
        if id.is_empty() || id.len() > MAX_REVOKED_ID_BYTES {
            return Err(RevocationError::BadId);
        }
        if entry.until_s <= now_s {
            return Ok(false);
        }
        let known = match &entry.what {
            Revoked::Token(id) => self.tokens.contains_key(id),
            Revoked::Session(id) => self.sessions.contains_key(id),
            Revoked::Person { id, .. } => self.persons.contains_key(id),
        };
        if !known && self.len() >= self.max {
            self.forget(now_s);
            if self.len() >= self.max {
                return Err(RevocationError::Full(self.max));
            }
        }
        self.earliest_s = self.earliest_s.min(entry.until_s);
        Ok(self.put(entry))
    }

    fn put(&mut self, entry: Revocation) -> bool {
        let until_s = entry.until_s;
        let latest = |kept: &mut u64| {
            let new = *kept < until_s;
            *kept = (*kept).max(until_s);
            new
        };
        match entry.what {
            Revoked::Token(id) => latest(self.tokens.entry(id).or_default()),
            Revoked::Session(id) => latest(self.sessions.entry(id).or_default()),
            Revoked::Person {
                id,
                issued_before_s,
            } => {
                let kept = self.persons.entry(id).or_insert(Person {
                    issued_before_s: 0,
                    until_s: 0,
                });
                let new = kept.issued_before_s < issued_before_s || kept.until_s < until_s;
                kept.issued_before_s = kept.issued_before_s.max(issued_before_s);
                kept.until_s = kept.until_s.max(until_s);
                new
            }
        }
    }

    /// Whether what somebody signed in with was taken back.
    #[must_use]
    pub fn is_revoked(&self, principal: &Principal) -> bool {
        let has = |ids: &HashMap<String, u64>, id: &Option<String>| {
            id.as_ref().is_some_and(|id| ids.contains_key(id))
        };
        has(&self.tokens, &principal.token)
            || has(&self.sessions, &principal.session)
            || self.persons.get(&principal.id).is_some_and(|person| {
                principal
                    .issued_at
                    .is_none_or(|issued| issued < person.issued_before_s)
            })
    }

    /// Forgets what has ended; to be called now and then.
    pub fn forget(&mut self, now_s: u64) {
        if self.earliest_s > now_s {
            return;
        }
        self.tokens.retain(|_, until_s| *until_s > now_s);
        self.sessions.retain(|_, until_s| *until_s > now_s);
        self.persons.retain(|_, person| person.until_s > now_s);
        let ends = self.tokens.values().chain(self.sessions.values()).copied();
        let ends = ends.chain(self.persons.values().map(|person| person.until_s));
        self.earliest_s = ends.min().unwrap_or(u64::MAX);
    }

    /// All entries, in no order: for a node that comes new, and for people.
    pub fn entries(&self) -> impl Iterator<Item = Revocation> + '_ {
        let tokens = self
            .tokens
            .iter()
            .map(|(id, until_s)| (Revoked::Token(id.clone()), *until_s));
        let sessions = self
            .sessions
            .iter()
            .map(|(id, until_s)| (Revoked::Session(id.clone()), *until_s));
        let persons = self.persons.iter().map(|(id, person)| {
            let what = Revoked::Person {
                id: id.clone(),
                issued_before_s: person.issued_before_s,
            };
            (what, person.until_s)
        });
        let all = tokens.chain(sessions).chain(persons);
        all.map(|(what, until_s)| Revocation { what, until_s })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tokens.len() + self.sessions.len() + self.persons.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn of(what: Revoked, until_s: u64) -> Revocation {
        Revocation { what, until_s }
    }

    fn ada(token: &str, session: &str, issued_at: Option<u64>) -> Principal {
        Principal {
            token: Some(token.into()),
            session: Some(session.into()),
            issued_at,
            ..Principal::person("ada", "Ada")
        }
    }

    #[test]
    fn a_token_a_session_and_a_person_are_taken_back() {
        let mut set = Revocations::new(10);
        for what in [
            Revoked::Token("t1".into()),
            Revoked::Session("s1".into()),
            Revoked::person("eve", NOW),
        ] {
            assert_eq!(set.add(of(what, NOW + 60), NOW), Ok(true));
        }
        let eve = |issued_at| Principal {
            issued_at,
            ..Principal::person("eve", "Eve")
        };
        for (who, revoked) in [
            (ada("t1", "s9", Some(NOW)), true),
            (ada("t2", "s1", Some(NOW)), true),
            (ada("t2", "s2", Some(NOW)), false),
            // A session's id is no token's.
            (ada("s1", "t1", Some(NOW)), false),
            (eve(Some(NOW - 1)), true),
            (eve(Some(NOW)), true),
            (eve(Some(NOW + 1)), false),
            (eve(None), true),
            (Principal::anonymous(), false),
        ] {
            assert_eq!(set.is_revoked(&who), revoked, "{who:?}");
        }
    }

    #[test]
    fn the_order_in_which_nodes_tell_changes_nothing() {
        let entries = [
            of(
                Revoked::Person {
                    id: "ada".into(),
                    issued_before_s: 50,
                },
                200,
            ),
            of(
                Revoked::Person {
                    id: "ada".into(),
                    issued_before_s: 60,
                },
                100,
            ),
            of(Revoked::Token("t".into()), 90),
            of(Revoked::Token("t".into()), 95),
        ];
        let (mut one, mut other) = (Revocations::new(9), Revocations::new(9));
        for entry in &entries {
            one.add(entry.clone(), 1).unwrap();
        }
        for entry in entries.iter().rev() {
            other.add(entry.clone(), 1).unwrap();
            assert_eq!(other.add(entry.clone(), 1), Ok(false), "told twice");
        }
        let sorted = |set: &Revocations| {
            let mut all: Vec<String> = set.entries().map(|entry| format!("{entry:?}")).collect();
            all.sort();
            all
        };
        assert_eq!(sorted(&one), sorted(&other));
        assert_eq!(one.len(), 2);
        one.forget(95);
        assert_eq!(one.len(), 1);
        one.forget(200);
        assert!(one.is_empty());
    }

    #[test]
    fn a_full_set_refuses_and_loses_none() {
        let mut set = Revocations::new(2);
        for (id, until_s) in [("a", 10), ("b", 20)] {
            set.add(of(Revoked::Token(id.into()), until_s), 5).unwrap();
        }
        let third = of(Revoked::Token("c".into()), 30);
        assert_eq!(set.add(third.clone(), 9), Err(RevocationError::Full(2)));
        assert!(set.is_revoked(&ada("a", "", None)));
        // What is there can still be told for longer.
        assert_eq!(set.add(of(Revoked::Token("b".into()), 40), 9), Ok(true));
        assert_eq!(set.add(third, 10), Ok(true), "the first has ended");
        assert!(!set.is_revoked(&ada("a", "", None)));
        assert!(set.is_revoked(&ada("b", "", None)) && set.is_revoked(&ada("c", "", None)));
        for id in [String::new(), "x".repeat(513)] {
            let bad = set.add(of(Revoked::Session(id), 99), 10);
            assert_eq!(bad, Err(RevocationError::BadId));
        }
        let past = set.add(of(Revoked::Token("z".into()), 10), 10);
        assert_eq!(past, Ok(false), "what has ended needs no entry");
    }

    #[test]
    fn entries_travel_as_json() {
        for (entry, text) in [
            (
                of(Revoked::Token("t".into()), 9),
                r#"{"token":"t","until_s":9}"#,
            ),
            (
                of(Revoked::Session("s".into()), 9),
                r#"{"session":"s","until_s":9}"#,
            ),
            (
                of(Revoked::person("ada", 7), 9),
                r#"{"person":{"id":"ada","issued_before_s":8},"until_s":9}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&entry).unwrap(), text);
            assert_eq!(serde_json::from_str::<Revocation>(text).unwrap(), entry);
        }
    }
}
