//! Who is it: what a client shows, checked by `lakh_auth`, with the keys that the settings and identity providers give.
//!
//! What must hold: a token that is shown is what counts, even if it's bad: nobody becomes somebody else, or nobody in
//! particular, by a broken one. No message says more about a refused token than its owner may know. A provider may be
//! asked for new keys meanwhile, which others don't wait for.

mod keys;
mod provider;
mod refusals;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use lakh_auth::{Checks, ClaimNames, IssueError, KeySet, Principal, TokenError, named, shown};
use lakh_hub::Handshake;
use serde_json::Value;

pub use keys::SetUpError;
pub use lakh_auth::SignInError;
pub use refusals::{Place, word};

use crate::config::Auth;
use provider::{Pace, Provider};
use refusals::Refused;

/// Whom tokens for rooms are for, so that none of them counts as a sign-in where `auth.audience` is set, and no sign-in as one
/// of them.
pub const ROOMS_AUDIENCE: &str = "lakh:rooms";

/// What somebody shows to be let in. The first that is there counts, in the order in which they stand here; a name only
/// where nobody is asked for a token.
#[derive(Clone, Copy, Default)]
pub struct Credentials<'a> {
    /// `auth.token` of a CONNECT.
    pub token: Option<&'a str>,
    /// The header `Authorization`; what isn't `Bearer …` counts as missing.
    pub authorization: Option<&'a str>,
    /// The header `Cookie`; one of them may carry a token, if the settings say which.
    pub cookies: Option<&'a str>,
    /// `auth.name` of a CONNECT.
    pub name: Option<&'a str>,
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("token", &self.token.is_some())
            .field("authorization", &self.authorization.is_some())
            .field("cookies", &self.cookies.is_some())
            .field("name", &self.name)
            .finish()
    }
}

impl<'a> Credentials<'a> {
    /// What the `auth` of a CONNECT and the headers of its handshake show.
    #[must_use]
    pub fn of_connect(auth: &'a Value, handshake: &'a Handshake) -> Self {
        Self {
            token: auth.get("token").and_then(Value::as_str),
            name: auth.get("name").and_then(Value::as_str),
            authorization: handshake.header("authorization"),
            // A page of another origin can't read what it's answered, but for JSONP, which is a script to the browser.
            cookies: handshake
                .header("cookie")
                .filter(|_| handshake.query_param("j").is_none()),
        }
    }

    fn find_token(&self, cookie: Option<&str>) -> Option<&'a str> {
        let in_header = || shown::bearer(self.authorization?);
        let in_cookie = || {
            let value = shown::cookies(self.cookies.into_iter(), cookie?).next()?;
            Some(value.trim_matches('"'))
        };
        self.token.or_else(in_header).or_else(in_cookie)
    }
}

/// Checks sign-ins. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SignIn(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// `None`: a name is enough.
    tokens: Option<Tokens>,
    now_s: fn() -> u64,
    refused: Refused,
}

#[derive(Debug)]
struct Tokens {
    checks: Checks,
    /// For tokens that let somebody into rooms.
    room_checks: Checks,
    keys: KeySet,
    providers: Vec<Provider>,
    cookie: Option<String>,
    anonymous: bool,
}

impl SignIn {
    /// By tokens if the settings have a key to check them with, by names otherwise. Reads the files of the keys.
    ///
    /// # Errors
    /// If something is no key, or no address of a provider.
    pub fn new(auth: &Auth, now_s: fn() -> u64) -> Result<Self, SetUpError> {
        Self::with_pace(auth, now_s, Pace::default())
    }

    fn with_pace(auth: &Auth, now_s: fn() -> u64, pace: Pace) -> Result<Self, SetUpError> {
        let tokens = match auth.needs_tokens() {
            false => None,
            true => Some(Tokens {
                checks: checks(auth),
                room_checks: Checks {
                    audiences: vec![ROOMS_AUDIENCE.to_owned()],
                    admin_roles: Vec::new(),
                    ..checks(auth)
                },
                keys: keys::key_set(auth)?,
                providers: provider::providers(auth, pace)?,
                cookie: auth.cookie.clone(),
                anonymous: auth.anonymous,
            }),
        };
        Ok(Self(Arc::new(Inner {
            tokens,
            now_s,
            refused: Refused::default(),
        })))
    }

    /// Whether tokens are checked; otherwise a name is enough.
    #[must_use]
    pub fn needs_tokens(&self) -> bool {
        self.0.tokens.is_some()
    }

    /// Somebody was refused there, for a reason in one word. It is counted and logged.
    pub fn refused(&self, place: Place, why: &'static str, from: Option<IpAddr>) {
        let now_ms = (self.0.now_s)().saturating_mul(1_000);
        self.0.refused.note(place, why, from, now_ms);
    }

    /// How often somebody was refused: where, why, how often.
    #[must_use]
    pub fn refusals(&self) -> Vec<(&'static str, &'static str, u64)> {
        self.0.refused.0.counts()
    }

    /// Fetches the keys of identity providers, now and again. To be run beside the server; without providers it ends at
    /// once.
    pub async fn keep_keys(&self) {
        let providers = self.0.tokens.iter().flat_map(|tokens| &tokens.providers);
        futures_util::future::join_all(providers.map(Provider::run)).await;
    }

    /// Who it is. Who shows nothing is nobody in particular where the settings allow that.
    ///
    /// It waits only for a provider's new keys, for seconds at most.
    ///
    /// # Errors
    /// If nobody is let in.
    pub async fn check(&self, credentials: &Credentials<'_>) -> Result<Principal, SignInError> {
        let Some(tokens) = &self.0.tokens else {
            return named(credentials.name.ok_or(SignInError::Needed)?);
        };
        match credentials.find_token(tokens.cookie.as_deref()) {
            Some(token) => tokens.verify(token, self.0.now_s).await,
            None if tokens.anonymous => Ok(Principal::anonymous()),
            None => Err(SignInError::Needed),
        }
    }

    /// What a token lets somebody do in rooms. Its `aud` must hold [`ROOMS_AUDIENCE`]. New keys of a provider are not waited
    /// for: they have come with a sign-in by then.
    ///
    /// # Errors
    /// If it is none, or not of a key that counts.
    pub fn check_for_rooms(&self, token: &str) -> Result<Principal, SignInError> {
        let tokens = self.0.tokens.as_ref().ok_or(SignInError::BadToken)?;
        let checked = tokens.verify_with(&tokens.room_checks, token, (self.0.now_s)());
        checked.map_err(|error| {
            tracing::debug!(why = %error, "a token for rooms was refused");
            error.into()
        })
    }

    /// Makes a token with the first key that signs. It's for the first audience of the settings, or the one that is named.
    ///
    /// # Errors
    /// If no key signs, or the server would refuse it.
    pub fn issue(
        &self,
        principal: &Principal,
        audience: Option<&str>,
        ttl_s: u64,
    ) -> Result<String, IssueError> {
        let tokens = self.0.tokens.as_ref().ok_or(IssueError::NoKey)?;
        let now_s = (self.0.now_s)();
        tokens
            .checks
            .issue(&tokens.keys, principal, audience, now_s, ttl_s)
    }
}

impl Tokens {
    async fn verify(&self, token: &str, now_s: fn() -> u64) -> Result<Principal, SignInError> {
        let mut verified = self.verify_now(token, now_s());
        if verified == Err(TokenError::UnknownKey) && !self.providers.is_empty() {
            let newer = self.providers.iter().map(Provider::newer);
            if futures_util::future::join_all(newer).await.contains(&true) {
                verified = self.verify_now(token, now_s());
            }
        }
        verified.map_err(|error| {
            tracing::debug!(why = %error, "a token was refused");
            let unread = || {
                self.providers
                    .iter()
                    .any(|provider| provider.keys().is_none())
            };
            match error {
                TokenError::UnknownKey if unread() => SignInError::Unavailable,
                error => error.into(),
            }
        })
    }

    fn verify_now(&self, token: &str, now_s: u64) -> Result<Principal, TokenError> {
        self.verify_with(&self.checks, token, now_s)
    }

    fn verify_with(
        &self,
        checks: &Checks,
        token: &str,
        now_s: u64,
    ) -> Result<Principal, TokenError> {
        let fetched: Vec<Arc<KeySet>> = self.providers.iter().filter_map(Provider::keys).collect();
        let fetched = fetched.iter().map(|set| &**set);
        let sets: Vec<&KeySet> = std::iter::once(&self.keys).chain(fetched).collect();
        checks.verify(token, &sets, now_s)
    }
}

fn checks(auth: &Auth) -> Checks {
    Checks {
        issuers: auth.issuer.0.clone(),
        audiences: auth.audience.0.clone(),
        leeway_s: auth.leeway_ms.div_ceil(1_000),
        claims: ClaimNames {
            name: auth.claim_name.clone(),
            roles: auth.claim_roles.clone(),
            grants: auth.claim_grants.clone(),
        },
        admin_roles: auth.admin_roles.clone(),
    }
}

#[cfg(test)]
mod tests;
