//! Who asks for something: a socket, or a backend for a person or for itself.
//!
//! Each request is one function that takes an [`Asker`]; so what stock clients ask over their socket, backends ask
//! over HTTP, and nothing is written twice. Nobody has to be somebody here: who shows no sign-in may walk about where
//! the house lets them in.

use std::sync::Arc;

use lakh_hub::auth::Principal;
use lakh_hub::{Failure, Person, Socket};

use crate::MODULE;

/// Longest id and name of a person for whom a backend speaks, in characters.
const MAX_PERSON_CHARS: usize = 200;

/// Whoever asks.
#[derive(Clone, Debug)]
pub struct Asker {
    person: Option<Arc<Person>>,
    by: By,
}

#[derive(Clone, Debug)]
enum By {
    Socket(Socket),
    /// A backend speaks for the person.
    Backend,
    /// A backend speaks for itself; it may do everything.
    System,
}

impl Asker {
    /// Whoever is behind a socket: anybody may ask.
    #[expect(clippy::unnecessary_wraps, reason = "as the table of requests asks")]
    pub(crate) fn of(socket: &Socket) -> Result<Self, Failure> {
        Ok(Self {
            person: socket.get::<Person>(),
            by: By::Socket(socket.clone()),
        })
    }

    /// Whoever has this id, for whom a backend speaks.
    ///
    /// # Errors
    /// `bad_request` if that is no id or no name.
    pub fn somebody(id: &str, name: Option<&str>) -> Result<Self, Failure> {
        let fits = |text: &str| {
            !text.is_empty()
                && text.chars().nth(MAX_PERSON_CHARS).is_none()
                && !text.chars().any(char::is_control)
        };
        if !fits(id) || !name.is_none_or(fits) {
            return Err(Failure::bad_request(format!(
                "as and as_name are 1 to {MAX_PERSON_CHARS} characters without control characters"
            )));
        }
        Ok(Self::person(Person {
            id: id.to_owned(),
            name: name.unwrap_or(id).to_owned(),
        }))
    }

    /// A person for whom a backend speaks. Rules for sign-ins are not asked, since nobody has signed in.
    #[must_use]
    pub fn person(person: Person) -> Self {
        Self {
            person: Some(Arc::new(person)),
            by: By::Backend,
        }
    }

    /// The backend itself. It may do everything, and owns what it makes as nobody does.
    #[must_use]
    pub fn system() -> Self {
        Self {
            person: None,
            by: By::System,
        }
    }

    /// Whoever it is, if they are somebody.
    pub(crate) fn who(&self) -> Option<&Arc<Person>> {
        self.person.as_ref()
    }

    /// The socket that asks, if one does.
    pub(crate) fn socket(&self) -> Option<&Socket> {
        match &self.by {
            By::Socket(socket) => Some(socket),
            By::Backend | By::System => None,
        }
    }

    /// The socket that asks.
    ///
    /// # Errors
    /// `bad_request` for a backend: what is asked for goes on for as long as a connection does.
    pub(crate) fn need_socket(&self) -> Result<&Socket, Failure> {
        self.socket().ok_or_else(|| {
            Failure::bad_request("this lasts as long as a connection; ask for it over a socket")
        })
    }

    pub(crate) fn is_system(&self) -> bool {
        matches!(self.by, By::System)
    }

    /// Whether the policy of the house lets them do this in a world.
    ///
    /// # Errors
    /// `forbidden`.
    pub(crate) fn allow(&self, act: &'static str, world: &str) -> Result<(), Failure> {
        match &self.by {
            By::Socket(socket) => socket.allow(MODULE, act, world),
            By::Backend | By::System => Ok(()),
        }
    }

    /// Whether they were given this outright: by a token that names it, or as an admin. That a policy allows everything,
    /// as in development, is not enough for power over others.
    pub(crate) fn has(&self, act: &'static str, world: &str) -> bool {
        let socket = match &self.by {
            By::Socket(socket) => socket,
            By::Backend => return false,
            By::System => return true,
        };
        let Some(principal) = socket.get::<Principal>() else {
            return false;
        };
        let user = principal.user();
        let mut grants = principal.grants.iter();
        principal.admin
            || (grants.any(|grant| grant.covers(MODULE, act, world, user))
                && socket.may(MODULE, act, world))
    }
}
