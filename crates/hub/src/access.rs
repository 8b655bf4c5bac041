//! Rights: whether whoever is behind a socket may do something, and who was refused what.
//!
//! Modules ask [`Socket::allow`] for each act in a room, the HTTP side asks [`Hub::allow`]; both put it to the one
//! policy that the server was configured with. A refusal is counted by module and act, and logged with who asked for
//! what, and never with what they showed to be let in.

use std::sync::Arc;

use arc_swap::ArcSwap;
use lakh_auth::{Act, Decision, Policy, Principal};

use crate::hub::Hub;
use crate::refusals::Refusals;
use crate::request::Failure;
use crate::socket::Socket;

pub(crate) struct Access {
    policy: ArcSwap<Policy>,
    refused: Refusals,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            policy: ArcSwap::from_pointee(Policy::open()),
            refused: Refusals::default(),
        }
    }
}

impl Hub {
    /// Sets who may do what. Without it everybody may do everything.
    pub fn set_policy(&self, policy: Policy) {
        self.0.access.policy.store(Arc::new(policy));
    }

    /// Who may do what.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        self.0.access.policy.load_full()
    }

    /// Whether somebody may do this in a room; without a principal it's nobody in particular.
    ///
    /// # Errors
    /// `forbidden` if they may not. It is counted and logged.
    pub fn allow(
        &self,
        principal: Option<&Principal>,
        module: &'static str,
        act: &'static str,
        room: &str,
    ) -> Result<(), Failure> {
        let asked = Act { module, act, room };
        let decision = self.0.access.policy.load().decide(principal, asked);
        if decision.is_allowed() {
            return Ok(());
        }
        self.refused(principal, &asked, (module, act), decision);
        let message = match decision {
            Decision::NotGranted => format!(
                "`{module}:{act}` is not allowed in this room: sign in with a token that grants `{module}:{act}:<room>`, or \
                 have a rule of the server allow it"
            ),
            _ => format!(
                "a rule of this server denies `{module}:{act}` in this room; whoever runs the server can change it"
            ),
        };
        Err(Failure::new("forbidden", message))
    }

    fn refused(
        &self,
        principal: Option<&Principal>,
        asked: &Act<'_>,
        key: (&'static str, &'static str),
        decision: Decision,
    ) {
        let Some(unlogged) = self.0.access.refused.note(key, self.clock_ms()) else {
            return;
        };
        let Act { module, act, room } = *asked;
        let user = principal.and_then(Principal::user).unwrap_or("nobody");
        tracing::warn!(
            user,
            module,
            act,
            room,
            ?decision,
            unlogged,
            "an act was refused"
        );
    }

    /// Acts that were refused on this node, by module and act.
    #[must_use]
    pub fn refused_acts(&self) -> Vec<(&'static str, &'static str, u64)> {
        self.0.access.refused.counts()
    }
}

impl Socket {
    /// Whether whoever is behind this socket may do this in a room: [`Hub::allow`] for the [`Principal`] that was kept
    /// with it at CONNECT.
    ///
    /// # Errors
    /// `forbidden` if they may not.
    pub fn allow(
        &self,
        module: &'static str,
        act: &'static str,
        room: &str,
    ) -> Result<(), Failure> {
        let principal = self.get::<Principal>();
        self.0.hub.allow(principal.as_deref(), module, act, room)
    }

    /// The same for what nobody has asked for in so many words, such as each room of a list: a no is neither counted nor
    /// logged.
    #[must_use]
    pub fn may(&self, module: &str, act: &str, room: &str) -> bool {
        let principal = self.get::<Principal>();
        let policy = self.0.hub.0.access.policy.load();
        let asked = Act { module, act, room };
        policy.decide(principal.as_deref(), asked).is_allowed()
    }
}
