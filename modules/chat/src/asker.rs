//! Who asks for something: a socket, or a backend for a person or for itself.
//!
//! Each request is one function that takes an [`Asker`]; so what stock clients ask over their socket, backends ask
//! over HTTP, and nothing is written twice.

use std::sync::Arc;

use lakh_hub::auth::{Act, Principal};
use lakh_hub::{Failure, Hub, Person, Socket};

use crate::MODULE;
use crate::permissions::Role;

/// Whoever asks.
#[derive(Clone, Debug)]
pub struct Asker {
    person: Arc<Person>,
    by: By,
}

#[derive(Clone, Debug)]
enum By {
    Socket(Socket),
    /// Somebody who has shown a sign-in over HTTP.
    SignedIn(Hub, Arc<Principal>),
    /// A backend speaks for the person.
    Backend,
    /// A backend speaks for itself; it may do everything.
    System,
}

impl Asker {
    /// The person behind a socket.
    pub(crate) fn of(socket: &Socket) -> Result<Self, Failure> {
        let person = socket
            .get::<Person>()
            .ok_or_else(|| Failure::new("forbidden", "chat needs a sign-in"))?;
        Ok(Self {
            person,
            by: By::Socket(socket.clone()),
        })
    }

    /// Whoever has shown a sign-in over HTTP. Rules are asked as for a socket.
    ///
    /// # Errors
    /// `forbidden` for nobody in particular.
    pub fn signed_in(hub: &Hub, principal: Principal) -> Result<Self, Failure> {
        let id = principal.user();
        let id = id.ok_or_else(|| Failure::new("forbidden", "chat needs a sign-in"))?;
        let person = Person {
            id: id.to_owned(),
            name: principal.name.clone(),
        };
        Ok(Self {
            person: Arc::new(person),
            by: By::SignedIn(hub.clone(), Arc::new(principal)),
        })
    }

    /// A person for whom a backend speaks. They may what their roles allow; rules for sign-ins are not asked, since
    /// nobody has signed in.
    #[must_use]
    pub fn person(person: Person) -> Self {
        Self {
            person: Arc::new(person),
            by: By::Backend,
        }
    }

    /// The backend itself. It may do everything, and is named `system` in what it does.
    #[must_use]
    pub fn system() -> Self {
        Self {
            person: Arc::new(Person {
                id: "system".to_owned(),
                name: "System".to_owned(),
            }),
            by: By::System,
        }
    }

    /// Whoever it is.
    pub(crate) fn who(&self) -> &Arc<Person> {
        &self.person
    }

    pub(crate) fn id(&self) -> &str {
        &self.person.id
    }

    /// The socket that asks, if one does.
    pub(crate) fn socket(&self) -> Option<&Socket> {
        match &self.by {
            By::Socket(socket) => Some(socket),
            By::SignedIn(..) | By::Backend | By::System => None,
        }
    }

    /// Their sign-in, if they have shown one.
    pub(crate) fn principal(&self) -> Option<Arc<Principal>> {
        match &self.by {
            By::Socket(socket) => socket.get::<Principal>(),
            By::SignedIn(_, principal) => Some(Arc::clone(principal)),
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

    /// Whether the policy of the house lets them do this in a room.
    pub(crate) fn allow(&self, act: &'static str, room: &str) -> Result<(), Failure> {
        match &self.by {
            By::Socket(socket) => socket.allow(MODULE, act, room),
            By::SignedIn(hub, principal) => hub.allow(Some(principal), MODULE, act, room),
            By::Backend | By::System => Ok(()),
        }
    }

    /// The same for what nobody has asked for in so many words: a no is neither counted nor logged.
    pub(crate) fn may(&self, act: &str, room: &str) -> bool {
        match &self.by {
            By::Socket(socket) => socket.may(MODULE, act, room),
            By::SignedIn(hub, principal) => {
                let asked = Act {
                    module: MODULE,
                    act,
                    room,
                };
                hub.policy().decide(Some(principal), asked).is_allowed()
            }
            By::Backend | By::System => true,
        }
    }

    /// The least role that they have in a room, whatever the room knows of them. A token gives it by naming
    /// `chat:moderate` or `chat:admin` outright; that a policy allows everything, as in development, does not.
    pub(crate) fn least_role(&self, room: &str) -> Role {
        if self.is_system() {
            return Role::Owner;
        }
        let Some(principal) = self.principal() else {
            return Role::Guest;
        };
        if principal.admin {
            return Role::Owner;
        }
        let has = |act| {
            let user = principal.user();
            let mut grants = principal.grants.iter();
            grants.any(|grant| grant.covers(MODULE, act, room, user)) && self.may(act, room)
        };
        match () {
            () if has("admin") => Role::Owner,
            () if has("moderate") => Role::Moderator,
            () => Role::Guest,
        }
    }
}
