//! Who asks, over HTTP: API keys, tokens, signed requests, sessions of the page, or whoever sits at this machine in
//! development.
//!
//! What must hold: a request with credentials is its owner's or nobody's, whatever else holds; one without any does
//! something in development only, and only if it came from this machine and not from some page that a browser there
//! happens to show. Who may do what is not decided here but in the service, act by act.

use std::net::{IpAddr, SocketAddr};

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use lakh_auth::shown;
use lakh_auth::signature::{self, SignatureError, Signed, WINDOW_S};

use super::error::Failed;
use super::{HttpState, body};
use crate::config::Metrics;
use crate::console::SessionProblem;
use crate::graphql;
use crate::mode::Mode;
use crate::service::{Caller, Kind, Problem};
use crate::sign_in::{Credentials, Place, SignInError, word};

/// Where a key may stand beside `Authorization`.
const API_KEY: &str = "x-api-key";
/// What a refused key is counted as.
const BAD_KEY: &str = "bad_key";
/// A token, which is counted by what is wrong with it.
const TOKEN: &str = "token";

/// What they hear who show what was taken back.
pub const TAKEN_BACK: &str = "what you show was taken back: sign in again";

/// Who sent a request, or why nobody did.
#[derive(Clone, Debug)]
pub struct Identity(pub Result<Caller, Problem>);

/// Whoever may ask at all, for handlers.
#[derive(Debug)]
pub struct Who(pub Caller);

impl<S: Sync> FromRequestParts<S> for Who {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failed> {
        match parts.extensions.get::<Identity>() {
            Some(Identity(Ok(caller))) => Ok(Self(caller.clone())),
            Some(Identity(Err(problem))) => Err(Failed(problem.clone())),
            None => Err(Failed(unauthorized("Sign-in needed"))),
        }
    }
}

fn unauthorized(message: impl Into<String>) -> Problem {
    Problem::new(Kind::Unauthorized, "unauthorized", message)
}

/// Finds out who sends a request under `/api/v1`, and holds them to their pace.
pub async fn identify(State(state): State<HttpState>, request: Request, next: Next) -> Response {
    let (mut parts, mut content) = request.into_parts();
    let who = match who(&state, &parts, &mut content).await {
        Ok(who) => who,
        Err(problem) if has_own_errors(&parts) => Err(problem),
        Err(problem) => return Failed(problem).into_response(),
    };
    parts.extensions.insert(Identity(who));
    next.run(Request::from_parts(parts, content)).await
}

/// GraphQL tells what is wrong in its own form. A WebSocket is refused before there is one.
fn has_own_errors(parts: &Parts) -> bool {
    parts.uri.path() == graphql::PATH && !parts.headers.contains_key(header::UPGRADE)
}

/// Who sends a request. That nobody does is not an end yet: some things may be asked by everybody. What is shown and wrong
/// is one.
async fn who(
    state: &HttpState,
    parts: &Parts,
    content: &mut Body,
) -> Result<Result<Caller, Problem>, Problem> {
    let caller = match credentials(&parts.headers)? {
        Shown::None => match by_session(state, parts).await? {
            Some(caller) => caller,
            None => match of_this_machine(state, parts) {
                Ok(caller) => caller,
                Err(problem) => return Ok(Err(problem)),
            },
        },
        shown => {
            let kind = shown.word();
            let checked = check(state, parts, shown, content).await;
            checked.inspect_err(|problem| {
                if problem.kind == Kind::Unauthorized && kind != TOKEN {
                    state.sign_in.refused(Place::Http, kind, address(parts));
                }
            })?
        }
    };
    if state.service.is_revoked(caller.principal()) {
        let why = word(SignInError::Revoked);
        state.sign_in.refused(Place::Http, why, address(parts));
        return Err(unauthorized(TAKEN_BACK));
    }
    let now_ms = state.service.hub().clock_ms();
    state.door.pace(&caller, 1, now_ms)?;
    Ok(Ok(caller))
}

/// Who shows credentials with a request without a body, or has a session; `None` if nobody does. They are held to their
/// pace.
pub(super) async fn caller(state: &HttpState, parts: &Parts) -> Result<Option<Caller>, Problem> {
    let caller = match credentials(&parts.headers)? {
        Shown::None => by_session(state, parts).await?,
        shown => Some(check(state, parts, shown, &mut Body::empty()).await?),
    };
    if let Some(caller) = &caller {
        if state.service.is_revoked(caller.principal()) {
            return Err(unauthorized("what you show was taken back: sign in again"));
        }
        state.door.pace(caller, 1, state.service.hub().clock_ms())?;
    }
    Ok(caller)
}

async fn check(
    state: &HttpState,
    parts: &Parts,
    shown: Shown,
    content: &mut Body,
) -> Result<Caller, Problem> {
    match shown {
        Shown::None => of_this_machine(state, parts),
        Shown::Key(key) => state.door.by_key(&key, state.service.now_s()),
        Shown::Token(token) => by_token(state, &token, address(parts)).await,
        Shown::Signed(header) => {
            let (caller, bytes) = signed(state, parts, &header, std::mem::take(content)).await?;
            *content = Body::from(bytes);
            Ok(caller)
        }
    }
}

/// What a request shows.
enum Shown {
    None,
    Key(String),
    Token(String),
    Signed(String),
}

impl Shown {
    /// What is counted when it's refused; tokens are counted by what is wrong with them.
    fn word(&self) -> &'static str {
        match self {
            Self::None => word(SignInError::Needed),
            Self::Key(_) => BAD_KEY,
            Self::Token(_) => TOKEN,
            Self::Signed(_) => "bad_signature",
        }
    }
}

/// Where a request came from, as trusted proxies tell it.
fn address(parts: &Parts) -> Option<IpAddr> {
    let address = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    address.map(|ConnectInfo(address)| address.ip().to_canonical())
}

fn credentials(headers: &HeaderMap) -> Result<Shown, Problem> {
    let one = |name: header::HeaderName| {
        let mut values = headers.get_all(name).iter();
        let first = values.next().map(HeaderValue::to_str);
        match (first, values.next()) {
            (None, _) => Ok(None),
            (Some(Ok(text)), None) => Ok(Some(text.trim().to_owned())),
            _ => Err(Problem::bad("credentials are shown once, in plain ASCII")),
        }
    };
    let key = one(header::HeaderName::from_static(API_KEY))?;
    match (one(header::AUTHORIZATION)?, key) {
        (None, None) => Ok(Shown::None),
        (None, Some(key)) => Ok(Shown::Key(key)),
        (Some(_), Some(_)) => Err(Problem::bad(
            "show a key in `X-Api-Key` or something in `Authorization`, not both",
        )),
        (Some(header), None) if Signed::is_scheme(&header) => Ok(Shown::Signed(header)),
        (Some(header), None) => match shown::bearer(&header) {
            Some(key) if key.starts_with("lakh_") => Ok(Shown::Key(key.to_owned())),
            Some(token) => Ok(Shown::Token(token.to_owned())),
            None => Err(unauthorized(
                "`Authorization` takes `Bearer` with a token or an API key, or `Lakh-HMAC-SHA256` with a signature",
            )),
        },
    }
}

/// Who shows this key or token outside the headers of a request. `Bearer` may stand before it.
///
/// # Errors
/// As for a request that shows it.
pub async fn by_text(state: &HttpState, text: &str) -> Result<Caller, Problem> {
    let shown = shown::bearer(text).unwrap_or(text);
    match shown.starts_with("lakh_") {
        true => {
            let found = state.door.by_key(shown, state.service.now_s());
            found.inspect_err(|_| state.sign_in.refused(Place::Http, BAD_KEY, None))
        }
        false => by_token(state, shown, None).await,
    }
}

/// Whose session of the page a request brings; credentials that are shown count before it.
async fn by_session(state: &HttpState, parts: &Parts) -> Result<Option<Caller>, Problem> {
    let Some(console) = &state.console else {
        return Ok(None);
    };
    // Whatever goes over a WebSocket may change something.
    let changes = !parts.method.is_safe() || parts.headers.contains_key(header::UPGRADE);
    match console.signed_in(&parts.headers, changes).await {
        Ok(signed) => Ok(signed.map(|signed| Caller::new(signed.principal))),
        Err(problem @ SessionProblem::CrossSite) => Err(Problem::new(
            Kind::Forbidden,
            "cross_site",
            problem.to_string(),
        )),
        Err(problem @ SessionProblem::Unavailable) => {
            Err(Problem::unavailable(problem.to_string()))
        }
    }
}

async fn by_token(state: &HttpState, token: &str, from: Option<IpAddr>) -> Result<Caller, Problem> {
    if !state.sign_in.needs_tokens() {
        return Err(unauthorized(
            "this server checks no tokens: set auth.secret, or show an API key",
        ));
    }
    let shown = Credentials {
        token: Some(token),
        ..Credentials::default()
    };
    match state.sign_in.check(&shown).await {
        Ok(principal) => Ok(Caller::new(principal)),
        Err(error) => {
            state.sign_in.refused(Place::Http, word(error), from);
            Err(match error {
                SignInError::Unavailable => Problem::unavailable(error.to_string()),
                error => unauthorized(error.to_string()),
            })
        }
    }
}

/// Reads the whole request, for all of it is signed.
async fn signed(
    state: &HttpState,
    parts: &Parts,
    header: &str,
    content: Body,
) -> Result<(Caller, Bytes), Problem> {
    let now_s = state.service.now_s();
    let of = |error: SignatureError| {
        let kind = match error {
            SignatureError::Malformed => Kind::Bad,
            SignatureError::Busy => Kind::Unavailable,
            _ => Kind::Unauthorized,
        };
        let code = match kind {
            Kind::Bad => "bad_request",
            Kind::Unavailable => "unavailable",
            _ => "unauthorized",
        };
        Problem::new(kind, code, error.to_string())
    };
    let signed = Signed::parse(header).map_err(of)?;
    // Before the body is read: strangers are not to have it held.
    let key = state.door.signing_key(&signed.key, now_s)?;
    if signed.time_s.abs_diff(now_s) > WINDOW_S {
        return Err(of(SignatureError::OutOfTime));
    }
    let bytes = body::read(&parts.headers, content, state.door.max_body_bytes()).await?;
    // Outside a nested router, where the path would be what is left of it.
    let target = parts
        .extensions
        .get::<axum::extract::OriginalUri>()
        .map_or(&parts.uri, |uri| &uri.0);
    let target = target
        .path_and_query()
        .map_or("/", |target| target.as_str());
    let request = signature::Request {
        method: parts.method.as_str(),
        target,
        body: &bytes,
    };
    signed
        .verify(key.secret.as_bytes(), &request, now_s)
        .map_err(of)?;
    state.door.first_time(&signed, now_s).map_err(of)?;
    let nonce = format!("{} {} {}", signed.key, signed.time_s, signed.nonce);
    let keep_ms = WINDOW_S * 2_000 + 1_000;
    if !state.service.first_of_fleet(&nonce, keep_ms).await? {
        return Err(of(SignatureError::Replayed));
    }
    Ok((key.caller, bytes))
}

/// Whether a request without credentials is of somebody at this machine, where that is enough.
///
/// A page that a browser on this machine shows also comes from loopback. It gives itself away: by its origin where it
/// sends a request to another one, and by the name that it asks for where it had its own name lead here (DNS rebinding).
fn of_this_machine(state: &HttpState, parts: &Parts) -> Result<Caller, Problem> {
    if state.mode == Mode::Production {
        return Err(unauthorized(
            "Sign-in needed: show an API key or a token with rights for the module `api`",
        ));
    }
    let address = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let is_local = address.is_some_and(|ConnectInfo(address)| {
        address.ip().to_canonical().is_loopback() && !is_forwarded(&parts.headers)
    });
    if !is_local {
        return Err(unauthorized(
            "without a key or a token the API is for this machine alone",
        ));
    }
    let host = host(parts);
    if !host.as_ref().is_some_and(names_this_machine) {
        return Err(Problem::new(
            Kind::Forbidden,
            "forbidden",
            "ask for localhost or an address of loopback: another name may be somebody else's",
        ));
    }
    let origin = parts.headers.get(header::ORIGIN);
    let from_elsewhere = match origin.map(HeaderValue::to_str) {
        // Tools send none; browsers do with whatever could change something.
        None => is_cross_site(&parts.headers),
        Some(Ok(origin)) => !is_same(origin, host.as_ref()) && !state.door.allows_origin(origin),
        Some(Err(_)) => true,
    };
    match from_elsewhere {
        true => Err(Problem::new(
            Kind::Forbidden,
            "forbidden",
            "pages of other origins may not use the API without a key: see cors.origins",
        )),
        false => Ok(Caller::of_this_machine()),
    }
}

fn host(parts: &Parts) -> Option<Authority> {
    if let Some(authority) = parts.uri.authority() {
        return Some(authority.clone());
    }
    parts.headers.get(header::HOST)?.to_str().ok()?.parse().ok()
}

fn names_this_machine(host: &Authority) -> bool {
    let name = host.host().trim_matches(['[', ']']);
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// Whether an origin is the one that the request itself goes to.
fn is_same(origin: &str, host: Option<&Authority>) -> bool {
    let name = origin.split_once("://").map(|(_, name)| name);
    name.zip(host)
        .is_some_and(|(name, host)| name.eq_ignore_ascii_case(host.as_str()))
}

fn is_cross_site(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site");
    site.is_some_and(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"))
}

/// Whether the sender of a request may read the metrics.
pub fn may_read_metrics(metrics: &Metrics, parts: &Parts) -> bool {
    if metrics.public {
        return true;
    }
    let address = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let Some(ConnectInfo(address)) = address else {
        return false;
    };
    let ip = address.ip().to_canonical();
    allowed(metrics, ip) || (ip.is_loopback() && !is_forwarded(&parts.headers))
}

fn allowed(metrics: &Metrics, ip: IpAddr) -> bool {
    metrics
        .allowed
        .iter()
        .any(|network| network.0.contains(&ip))
}

/// A proxy on this machine also comes from loopback, and may bring anybody's request.
fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.contains_key("x-forwarded-for") || headers.contains_key(header::FORWARDED)
}
