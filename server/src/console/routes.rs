//! The paths of the sign-in.
//!
//! | path | what |
//! |---|---|
//! | `GET /console/sign-in?return_to=/…` | leads to the provider |
//! | `GET /console/callback` | where the provider leads back to |
//! | `GET /api/v1/session` | who is signed in, and how one may |
//! | `POST /api/v1/session` | signs the local admin in |
//! | `POST /api/v1/session/end` | signs out |
//!
//! A person who follows a link gets the page, which says in words what went wrong; a program that asks for JSON gets that.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing};
use lakh_net::limits::AddressKey;
use openidconnect::url::form_urlencoded;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::local::LocalError;
use super::person::Person;
use super::problem::{Problem, cross_site, expired, not_configured, problem, too_many};
use super::provider::{Provider, ProviderError, SignedIn};
use super::same_origin::From;
use super::sessions::{How, Login, Taken};
use super::{Console, Rights, SessionProblem, Signed, return_to};
use crate::http::{HttpState, error};
use crate::sign_in::Place;

/// A name and a password.
const MAX_BODY_BYTES: usize = 8_192;

/// The paths below `/api/v1`; open to everybody.
pub fn api() -> Router<HttpState> {
    let session = routing::get(who).post(local).fallback(takes_get_and_post);
    let end = routing::post(end).fallback(takes_post);
    Router::new()
        .route("/session", session)
        .route("/session/end", end)
}

/// The paths that a browser is led to.
pub fn pages() -> Router<HttpState> {
    Router::new()
        .route("/console/sign-in", routing::get(start))
        .route("/console/callback", routing::get(callback))
}

/// Who is signed in, and how one may sign in.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Session {
    /// "development" where a name is sign-in enough, "production" where a token or a session is needed.
    #[schema(example = "production")]
    pub mode: &'static str,
    /// Who is signed in at the page; nobody, or somebody with a token: nothing.
    pub person: Option<SessionPerson>,
    /// What the page's provider is called, if there is one.
    pub provider: Option<String>,
    /// Whether a local admin may sign in with a password.
    pub local: bool,
}

/// Somebody with a session.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SessionPerson {
    /// Stable id: "oidc:" and the provider's subject, or "local:" and the name.
    #[schema(example = "oidc:248289761001")]
    pub id: String,
    /// What others see.
    pub name: String,
    /// The provider's roles.
    pub roles: Vec<String>,
    /// "all", or "read": look at everything and change nothing.
    #[schema(example = "read")]
    pub rights: &'static str,
    /// When the session ends in any case, in milliseconds since 1970.
    pub ends_at: u64,
    /// When the session ends if nobody uses it, in milliseconds since 1970.
    pub idle_ends_at: u64,
    /// The time by the server's clock, in milliseconds since 1970.
    pub now: u64,
}

/// A name and a password. It shows itself nowhere.
#[derive(Deserialize, ToSchema)]
pub struct Credentials {
    /// The local admin's name.
    pub user: String,
    /// The password.
    #[schema(format = Password)]
    pub password: String,
}

/// What is left to do after a sign-out.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Ended {
    /// Where to go to sign out at the provider too, if it offers that.
    pub redirect: Option<String>,
}

pub(super) fn see_other(to: &str) -> Response {
    // Addresses of the provider come out of a parsed URL, paths of ours are plain ASCII.
    let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    let headers = [(header::LOCATION, to), no_store()];
    (StatusCode::SEE_OTHER, headers).into_response()
}

fn no_store() -> (header::HeaderName, HeaderValue) {
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
}

fn with_cookie(mut response: Response, cookie: HeaderValue) -> Response {
    response.headers_mut().append(header::SET_COOKIE, cookie);
    response
}

fn address(request: &Request) -> IpAddr {
    let info = request.extensions().get::<ConnectInfo<SocketAddr>>();
    // Those without an address are counted as one.
    info.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |info| info.0.ip())
}

fn query_of(uri: &Uri, name: &str) -> Option<String> {
    let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    pairs
        .into_iter()
        .find_map(|(key, value)| (key == name).then(|| value.into_owned()))
}

/// Leads to the provider.
async fn start(State(state): State<HttpState>, request: Request) -> Response {
    let wanted = query_of(request.uri(), "return_to");
    let return_to = return_to::safe(wanted.as_deref());
    match begin(&state, address(&request), return_to).await {
        Ok(response) => response,
        Err(problem) => problem.page(request.headers(), return_to),
    }
}

async fn begin(state: &HttpState, address: IpAddr, return_to: &str) -> Result<Response, Problem> {
    let (console, provider) = provider(state)?;
    let now_ms = (console.now_ms)();
    let key = AddressKey::from(address);
    console.starts.take(key, now_ms).map_err(too_many)?;
    console.all_starts.take((), now_ms).map_err(too_many)?;
    let begun = provider.begin(now_ms).await?;
    let login = Login {
        state: begun.state,
        nonce: begun.nonce,
        verifier: begun.verifier,
        return_to: return_to.to_owned(),
    };
    let token = console.sessions.begin_login(&login, now_ms).await?;
    let cookie = console.plan.cookies.set_login(&token);
    Ok(with_cookie(see_other(&begun.address), cookie))
}

fn provider(state: &HttpState) -> Result<(&Console, &Provider), Problem> {
    let console = state.console.as_deref();
    let found = console.and_then(|console| Some((console, console.plan.provider.as_ref()?)));
    found.ok_or_else(|| not_configured("Sign-in at a provider"))
}

/// Where the provider leads back to.
async fn callback(State(state): State<HttpState>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let mut back_to = "/".to_owned();
    match come_back(&state, &parts.headers, &parts.uri, &mut back_to).await {
        Ok(response) => response,
        Err(problem) => {
            let address = parts.extensions.get::<ConnectInfo<SocketAddr>>();
            let from = address.map(|info| info.0.ip());
            state.sign_in.refused(Place::Console, problem.code(), from);
            problem.page(&parts.headers, &back_to)
        }
    }
}

async fn come_back(
    state: &HttpState,
    headers: &HeaderMap,
    uri: &Uri,
    back_to: &mut String,
) -> Result<Response, Problem> {
    let (console, provider) = provider(state)?;
    let now_ms = (console.now_ms)();
    let lines = headers.get_all(header::COOKIE).iter();
    let lines = lines.filter_map(|value| value.to_str().ok());
    let begun = console.plan.cookies.login(lines).ok_or_else(expired)?;
    let given = query_of(uri, "state").unwrap_or_default();
    let login = match console.sessions.take_login(&begun, &given, now_ms).await? {
        Taken::Login(login) => login,
        Taken::Missing => return Err(expired()),
        Taken::OfAnother => {
            tracing::warn!("a sign-in at the console came back with another's state");
            return Err(problem(
                StatusCode::BAD_REQUEST,
                "state_mismatch",
                "This answer belongs to another sign-in. Begin anew",
            ));
        }
    };
    back_to.clone_from(&login.return_to);
    // Another provider's answer must not be taken for this one's (RFC 9207).
    if query_of(uri, "iss").is_some_and(|issuer| issuer != provider.issuer()) {
        return Err(ProviderError::Wrong("it names another issuer".into()).into());
    }
    if let Some(error) = query_of(uri, "error") {
        let error: String = error.chars().take(64).collect();
        return Err(ProviderError::Refused(error).into());
    }
    let code = query_of(uri, "code").ok_or_else(|| ProviderError::Wrong("no code".into()))?;
    let SignedIn { person, hint } = provider
        .finish(code, login.verifier, login.nonce, now_ms)
        .await?;
    let how = How::Provider {
        issuer: provider.issuer().to_owned(),
        hint,
    };
    if person.rights(&console.plan.settings).is_none() {
        tracing::warn!(id = %person.id, "somebody without a role for the console was refused");
        return Err(problem(
            StatusCode::FORBIDDEN,
            "no_role",
            "You are known, and none of your roles may use this console. Ask whoever runs it",
        ));
    }
    // Only a path of this page was ever stored; it costs nothing to be sure.
    let response = see_other(return_to::safe(Some(&login.return_to)));
    let response = with_cookie(response, console.plan.cookies.clear_login());
    sign_in(console, headers, person, how, response).await
}

/// Makes the session, always with a new id, and ends the one that was there.
async fn sign_in(
    console: &Console,
    headers: &HeaderMap,
    person: Person,
    how: How,
    response: Response,
) -> Result<Response, Problem> {
    let now_ms = (console.now_ms)();
    if let Some(old) = console.token(headers) {
        console.end(&old).await?;
    }
    let id = person.id.clone();
    let token = console.sessions.begin(person, how, now_ms).await?;
    tracing::info!(%id, "signed in at the console");
    Ok(with_cookie(
        response,
        console.plan.cookies.set_session(&token),
    ))
}

/// Who is signed in at the page, and how one may sign in. Open to everybody.
#[utoipa::path(get, path = "/api/v1/session", tag = "console", security(()), responses(
    (status = 200, description = "Who is signed in, if anybody, and how one may sign in", body = Session),
    (status = 503, description = "Sessions can't be read", body = error::ErrorBody)))]
pub async fn who(State(state): State<HttpState>, headers: HeaderMap) -> Response {
    let console = state.console.as_deref();
    let signed = match console {
        Some(console) => console.signed_in(&headers, false).await,
        None => Ok(None),
    };
    let person = match (signed, console) {
        (Ok(Some(signed)), Some(console)) => Some(SessionPerson::new(signed, (console.now_ms)())),
        // Another site learns nothing of who it is.
        (Ok(_) | Err(SessionProblem::CrossSite), _) => None,
        (Err(error @ SessionProblem::Unavailable), _) => return unavailable(error),
    };
    let provider = console.filter(|console| console.plan.provider.is_some());
    let session = Session {
        mode: state.mode.word(),
        person,
        provider: provider.map(provider_name),
        local: console.is_some_and(|console| console.plan.local.is_some()),
    };
    ([no_store()], Json(session)).into_response()
}

fn unavailable(error: SessionProblem) -> Response {
    error::answer(
        StatusCode::SERVICE_UNAVAILABLE,
        "unavailable",
        error.to_string(),
    )
}

fn provider_name(console: &Console) -> String {
    let settings = &console.plan.settings;
    let issuer = settings.oidc_issuer.as_deref().unwrap_or_default();
    let host = issuer.parse::<Uri>().ok();
    let host = host.and_then(|uri| uri.host().map(str::to_owned));
    settings.oidc_name.clone().or(host).unwrap_or_default()
}

impl SessionPerson {
    fn new(signed: Signed, now: u64) -> Self {
        let Signed {
            principal,
            rights,
            ends_ms,
            idle_ends_ms,
        } = signed;
        Self {
            id: principal.id,
            name: principal.name,
            roles: principal.roles,
            rights: Rights::word(rights),
            ends_at: ends_ms,
            idle_ends_at: idle_ends_ms,
            now,
        }
    }
}

/// Signs the local admin in, by a cookie. Only for the page itself: its `Sec-Fetch-Site` or `Origin` must say so.
#[utoipa::path(post, path = "/api/v1/session", tag = "console", security(()), request_body = Credentials, responses(
    (status = 204, description = "Signed in: the cookie is set"),
    (status = 400, description = "No name and password", body = error::ErrorBody),
    (status = 401, description = "Name or password is wrong", body = error::ErrorBody),
    (status = 403, description = "A page of another site asked", body = error::ErrorBody),
    (status = 404, description = "There is no local admin", body = error::ErrorBody),
    (status = 429, description = "Too many tries; `Retry-After` says when the next is taken", body = error::ErrorBody)))]
pub async fn local(State(state): State<HttpState>, request: Request) -> Response {
    let address = address(&request);
    let (parts, body) = request.into_parts();
    let signed = sign_local_in(&state, &parts.headers, body, address).await;
    signed.unwrap_or_else(Problem::json)
}

async fn sign_local_in(
    state: &HttpState,
    headers: &HeaderMap,
    body: Body,
    address: IpAddr,
) -> Result<Response, Problem> {
    let console = state.console.as_deref();
    let found = console.and_then(|console| Some((console, console.plan.local.as_ref()?)));
    let (console, local) = found.ok_or_else(|| not_configured("Sign-in with a password"))?;
    if !From::headers(headers).may_change(console.plan.own.as_ref()) {
        return Err(cross_site());
    }
    let body = to_bytes(body, MAX_BODY_BYTES).await.ok();
    let given = body.and_then(|body| serde_json::from_slice::<Credentials>(&body).ok());
    let given = given.ok_or_else(|| {
        let message = "Send {\"user\": …, \"password\": …} as JSON";
        problem(StatusCode::BAD_REQUEST, "bad_request", message)
    })?;
    let now_ms = (console.now_ms)();
    let checked = local
        .check(&given.user, given.password, address, now_ms)
        .await;
    checked.map_err(|error| {
        // The name isn't told: people type their password there.
        let why = match error {
            LocalError::Wrong => "bad_password",
            LocalError::TooMany { .. } | LocalError::Busy => "too_many_attempts",
        };
        state.sign_in.refused(Place::Console, why, Some(address));
        match error {
            LocalError::TooMany { wait_ms } => too_many(wait_ms),
            LocalError::Busy => too_many(1_000),
            LocalError::Wrong => problem(
                StatusCode::UNAUTHORIZED,
                "bad_credentials",
                "Name or password is wrong",
            ),
        }
    })?;
    let person = Person {
        id: format!("local:{}", local.user()),
        name: local.user().to_owned(),
        roles: Vec::new(),
    };
    let how = How::Password {
        of: local.fingerprint(),
    };
    let done = (StatusCode::NO_CONTENT, [no_store()]).into_response();
    sign_in(console, headers, person, how, done).await
}

/// Signs out: the session ends on all nodes.
#[utoipa::path(post, path = "/api/v1/session/end", tag = "console", security(()), responses(
    (status = 200, description = "Signed out", body = Ended),
    (status = 403, description = "A page of another site asked", body = error::ErrorBody),
    (status = 503, description = "Sessions can't be changed", body = error::ErrorBody)))]
pub async fn end(State(state): State<HttpState>, headers: HeaderMap) -> Response {
    sign_out(&state, &headers)
        .await
        .unwrap_or_else(Problem::json)
}

async fn sign_out(state: &HttpState, headers: &HeaderMap) -> Result<Response, Problem> {
    let console = state.console.as_deref();
    let console = console.ok_or_else(|| not_configured("Sign-in at the page"))?;
    if !From::headers(headers).may_change(console.plan.own.as_ref()) {
        return Err(cross_site());
    }
    let now_ms = (console.now_ms)();
    let ended = match console.token(headers) {
        Some(token) => console.end(&token).await?,
        None => None,
    };
    let mut redirect = None;
    if let Some(record) = ended {
        tracing::info!(id = %record.person.id, "signed out at the console");
        if let (How::Provider { issuer, hint }, Some(provider)) =
            (&record.how, &console.plan.provider)
            && issuer == provider.issuer()
        {
            redirect = provider.logout(hint.as_deref(), now_ms).await;
        }
    }
    let response = ([no_store()], Json(Ended { redirect })).into_response();
    Ok(with_cookie(response, console.plan.cookies.clear_session()))
}

async fn takes_post(uri: Uri) -> Response {
    takes(&uri, "POST")
}

async fn takes_get_and_post(uri: Uri) -> Response {
    takes(&uri, "GET,HEAD,POST")
}

fn takes(uri: &Uri, methods: &'static str) -> Response {
    let message = format!("{} takes {methods}", uri.path());
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let mut response = error::answer(status, "method_not_allowed", message);
    let methods = HeaderValue::from_static(methods);
    response.headers_mut().insert(header::ALLOW, methods);
    response
}
