//! Sign-in at the page: at an OpenID provider or with the local admin's password, and the sessions that come of it.
//!
//! What must hold: a session is a cookie that scripts can't read and other sites can't use (`same_origin`), its id is new
//! at each sign-in, only its hash is stored, and what it may do is asked of the settings at each use.

mod attempts;
mod cookie;
mod fetch;
mod local;
mod person;
mod problem;
mod provider;
mod return_to;
pub mod routes;
mod same_origin;
mod secret;
mod sessions;

#[cfg(test)]
mod tests;

use axum::http::{HeaderMap, header};
use lakh_auth::{Grant, Principal};
use lakh_hub::Handshake;
use lakh_hub::store::Store;
use lakh_net::limits::AddressKey;
use openidconnect::url::Origin;

use self::attempts::Attempts;
use self::cookie::Cookies;
use self::local::Local;
pub use self::person::Rights;
use self::provider::Provider;
use self::same_origin::From;
use self::secret::Token;
use self::sessions::{Found, How, Record, SessionError, Sessions};
use crate::config::sections::console::origin;
use crate::config::{self, Settings};
use crate::mode::Mode;
use crate::service::caller::{MODULE, act};

/// The headers of a handshake that tell whose socket it is; to be kept by the hub where there is a console.
pub const KEPT_HEADERS: [&str; 4] = ["cookie", "origin", "sec-fetch-site", "host"];

/// Why the settings make no console.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConsoleError {
    /// There is nothing to guard.
    #[error(
        "[console] says who may sign in at the page, and nothing else asks for a sign-in: everybody could read the page \
         without one. Set auth.secret, or leave `oidc_issuer` and `admin_user` out"
    )]
    Open,
    /// Passwords and cookies would go over the wire as they are.
    #[error(
        "sign-in at the page needs TLS: set console.public_url to the https:// address at which people reach it (a proxy may \
         end TLS), or [tls], or bind 127.0.0.1"
    )]
    NotPrivate,
    /// The client, or the cookies.
    #[error("[console]: {0}")]
    Parts(String),
}

/// A console that the settings ask for, without its store yet.
pub struct Plan {
    settings: config::Console,
    cookies: Cookies,
    own: Option<Origin>,
    provider: Option<Provider>,
    local: Option<Local>,
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Plan {
    /// What the settings ask for; `None` where nobody can sign in at the page.
    pub fn new(settings: &Settings, mode: Mode) -> Result<Option<Self>, ConsoleError> {
        let console = &settings.console;
        if !console.is_on() {
            return Ok(None);
        }
        if mode != Mode::Production {
            return Err(ConsoleError::Open);
        }
        let public = console.public_url.as_deref().and_then(origin);
        let secure = match &public {
            Some(url) => url.scheme() == "https",
            None => settings.tls.cert.is_some(),
        };
        let local_only = settings.server.bind.0.ip().to_canonical().is_loopback();
        if !secure && public.is_none() && !local_only {
            return Err(ConsoleError::NotPrivate);
        }
        let parts = |error: String| ConsoleError::Parts(error);
        Ok(Some(Self {
            cookies: Cookies::new(secure, console.session_ms / 1_000)
                .map_err(|error| parts(error.to_string()))?,
            own: public.map(|url| url.origin()),
            provider: Provider::new(console).map_err(parts)?,
            local: Local::new(console),
            settings: console.clone(),
        }))
    }
}

/// Somebody with a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Signed {
    /// Who it is.
    pub principal: Principal,
    /// What they may do.
    pub rights: Rights,
    /// When the session ends, in milliseconds since 1970.
    pub ends_ms: u64,
    /// When it ends if nobody uses it.
    pub idle_ends_ms: u64,
}

/// Why a session doesn't count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionProblem {
    /// A page of another site made the request.
    #[error(
        "A session of the console counts only for requests of its own page; programs send a token: `Authorization: Bearer …`"
    )]
    CrossSite,
    /// The store has no answer.
    #[error("Sessions can't be read at the moment. Try again later")]
    Unavailable,
}

/// Hears of sessions that end before their time: the principal's `session`, and when it would have ended, in seconds since
/// 1970. For what was let in by it and is still there.
pub type OnEnd = Box<dyn Fn(String, u64) + Send + Sync>;

/// The console's sign-in.
pub struct Console {
    plan: Plan,
    sessions: Sessions,
    on_end: Option<OnEnd>,
    starts: Attempts<AddressKey>,
    all_starts: Attempts<()>,
    now_ms: fn() -> u64,
}

impl std::fmt::Debug for Console {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.plan.fmt(f)
    }
}

impl Console {
    /// A console whose sessions are kept in `store`.
    pub fn new(plan: Plan, store: Store, now_ms: fn() -> u64) -> Self {
        let (idle_ms, lasts_ms) = (plan.settings.session_idle_ms, plan.settings.session_ms);
        Self {
            sessions: Sessions::new(store, idle_ms, lasts_ms),
            on_end: None,
            // Each beginning is kept for ten minutes: these bound how many there are.
            starts: Attempts::new(2_000, 30),
            all_starts: Attempts::new(50, 1_000),
            plan,
            now_ms,
        }
    }

    /// Tells somebody of sessions that end before their time.
    #[must_use]
    pub fn on_end(mut self, tell: OnEnd) -> Self {
        self.on_end = Some(tell);
        self
    }

    /// Ends a session on all nodes, and says what it was.
    async fn end(&self, token: &Token) -> Result<Option<Record>, SessionError> {
        let ended = self.sessions.end(token, (self.now_ms)()).await?;
        if let (Some(record), Some(tell)) = (&ended, &self.on_end) {
            tell(name(token), record.ends_ms.div_ceil(1_000));
        }
        Ok(ended)
    }

    /// Whose session a request of the page brings, as one that only looks. Nobody's if the store can't say.
    pub async fn principal_of(&self, headers: &HeaderMap) -> Option<Principal> {
        let signed = self.signed_in(headers, false).await;
        Some(signed.ok()??.principal)
    }

    /// Whose session a handshake of the page brought. Asked at each CONNECT: a session that has ended opens nothing.
    pub async fn principal_at(&self, handshake: &Handshake) -> Option<Principal> {
        // A page of another origin can't read what it's answered, but for JSONP, which is a script to the browser.
        if handshake.query_param("j").is_some() {
            return None;
        }
        let cookies = handshake.header("cookie").into_iter();
        let token = self.plan.cookies.session(cookies)?;
        if !From::handshake(handshake).may_look(self.plan.own.as_ref()) {
            return None;
        }
        Some(self.find(&token).await.ok()??.principal)
    }

    /// The session of a request, for what looks, or for what changes something.
    pub async fn signed_in(
        &self,
        headers: &HeaderMap,
        changes: bool,
    ) -> Result<Option<Signed>, SessionProblem> {
        let Some(token) = self.token(headers) else {
            return Ok(None);
        };
        let from = From::headers(headers);
        let own = self.plan.own.as_ref();
        let ours = match changes {
            true => from.may_change(own),
            false => from.may_look(own),
        };
        match ours {
            true => self.find(&token).await,
            false => Err(SessionProblem::CrossSite),
        }
    }

    fn token(&self, headers: &HeaderMap) -> Option<Token> {
        let lines = headers.get_all(header::COOKIE).iter();
        let lines = lines.filter_map(|value| value.to_str().ok());
        self.plan.cookies.session(lines)
    }

    async fn find(&self, token: &Token) -> Result<Option<Signed>, SessionProblem> {
        match self.sessions.find(token, (self.now_ms)()).await {
            Ok(found) => Ok(found.and_then(|found| self.signed(token, found))),
            Err(error) => {
                tracing::warn!(%error, "a session of the console could not be read");
                Err(SessionProblem::Unavailable)
            }
        }
    }

    /// What a session is worth by the settings of today.
    fn signed(&self, token: &Token, found: Found) -> Option<Signed> {
        let Found {
            record,
            idle_ends_ms,
        } = found;
        let rights = self.rights(&record)?;
        let Record {
            person,
            began_ms,
            ends_ms,
            ..
        } = record;
        let grants = match rights {
            Rights::All => Vec::new(),
            Rights::Read => reads(),
        };
        let principal = Principal {
            roles: person.roles,
            grants,
            admin: rights == Rights::All,
            session: Some(name(token)),
            issued_at: Some(began_ms / 1_000),
            expires_at: Some(ends_ms / 1_000),
            ..Principal::person(person.id, person.name)
        };
        Some(Signed {
            principal,
            rights,
            ends_ms,
            idle_ends_ms,
        })
    }

    fn rights(&self, record: &Record) -> Option<Rights> {
        match &record.how {
            How::Provider { issuer, .. } => {
                let same = self.plan.provider.as_ref()?.issuer() == issuer;
                same.then(|| record.person.rights(&self.plan.settings))?
            }
            How::Password { of } => {
                let local = self.plan.local.as_ref()?;
                let same = record.person.name == local.user() && *of == local.fingerprint();
                same.then_some(Rights::All)
            }
        }
    }
}

/// What those who may only look are granted in the API: every act that looks, on everything.
fn reads() -> Vec<Grant> {
    let acts = [
        act::SOCKETS,
        act::ROOMS,
        act::PRESENCE,
        act::HISTORY,
        act::NODES,
        act::STATS,
    ];
    let grants = acts.into_iter().map(|act| Grant::new(MODULE, act, "*"));
    grants.collect()
}

/// A session's name, as its principal has it: enough of the key to tell sessions apart, and not what they are stored under.
fn name(token: &Token) -> String {
    let mut name = token.key();
    name.truncate(32);
    name
}
