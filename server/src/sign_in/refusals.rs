//! Sign-ins that were refused: counted by place and reason, and logged with the address that they came from.
//!
//! What must hold: what was shown is neither counted by nor logged, and who tries without end fills no disk.

use std::net::IpAddr;

use lakh_auth::SignInError;
use lakh_hub::Refusals;

/// Where somebody wanted to be let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At CONNECT.
    Connect,
    /// In the middle of a connection, with `auth:refresh`.
    Refresh,
    /// With a request over HTTP.
    Http,
    /// At the page, with a password or by way of a provider.
    Console,
}

impl Place {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Refresh => "refresh",
            Self::Http => "http",
            Self::Console => "console",
        }
    }
}

/// Refusals of this process.
#[derive(Debug, Default)]
pub(super) struct Refused(pub(super) Refusals);

impl Refused {
    pub(super) fn note(&self, place: Place, why: &'static str, from: Option<IpAddr>, now_ms: u64) {
        let place = place.word();
        if let Some(unlogged) = self.0.note((place, why), now_ms) {
            let address = from.map(tracing::field::display);
            tracing::warn!(place, why, address, unlogged, "a sign-in was refused");
        }
    }
}

/// The word for a reason.
#[must_use]
pub fn word(error: SignInError) -> &'static str {
    match error {
        SignInError::Needed => "needed",
        SignInError::BadName => "bad_name",
        SignInError::BadToken => "bad_token",
        SignInError::Expired => "expired",
        SignInError::NotYet => "not_yet",
        SignInError::Revoked => "revoked",
        SignInError::Unavailable => "unavailable",
    }
}
