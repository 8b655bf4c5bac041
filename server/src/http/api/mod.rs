//! `/api/v1`: the service for backends, over HTTP. What each of these takes and gives is written in docs/api.md.

pub(super) mod chat;
pub(super) mod events;
pub(super) mod hooks;
pub(super) mod nodes;
mod requests;
pub(super) mod rooms;
pub(super) mod sockets;
pub(super) mod tokens;
pub(super) mod world;

use std::future::Future;

use axum::Router;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, IntoResponses, ToSchema};

use super::HttpState;
use super::body::Json;
use super::error::{ErrorBody, Failed};
use crate::service::once::{Once, fingerprint};
use crate::service::{Caller, Problem, Service};

/// Where a request's key stands, by which it's made once.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer is that of an earlier request.
const REPEATED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// What can go wrong with every request.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "the description is made of it")]
pub(super) enum Errors {
    /// The request is not understood, or asks for what can't be.
    #[response(status = 400)]
    Bad(ErrorBody),
    /// No valid key, token or signature.
    #[response(status = 401)]
    Unauthorized(ErrorBody),
    /// The key or token doesn't allow it.
    #[response(status = 403)]
    Forbidden(ErrorBody),
    /// What is named isn't there.
    #[response(status = 404)]
    NotFound(ErrorBody),
    /// Too many requests: see `Retry-After`.
    #[response(status = 429)]
    TooMany(ErrorBody),
    /// It could not be done now: see `Retry-After`.
    #[response(status = 503)]
    Unavailable(ErrorBody),
}

/// What can go wrong beside with requests that bring a body.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "the description is made of it")]
pub(super) enum BodyErrors {
    /// An earlier request with this idempotency key is under way (`in_progress`), or nobody knows how it went
    /// (`outcome_unknown`).
    #[response(status = 409)]
    Conflict(ErrorBody),
    /// It's too much at once.
    #[response(status = 413)]
    TooLarge(ErrorBody),
    /// The body is no JSON by its `Content-Type`.
    #[response(status = 415)]
    MediaType(ErrorBody),
    /// The idempotency key was used for another request (`idempotency_mismatch`), or the server is not set up for this.
    #[response(status = 422)]
    Unprocessable(ErrorBody),
}

/// By which a request is made once.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "the description is made of it")]
pub(super) struct IdempotencyKey {
    /// A request with the same key and body gets the first one's answer for 24 hours, and nothing is done again.
    #[param(rename = "Idempotency-Key", required = false, max_length = 255)]
    key: Option<String>,
}

/// Which namespace is meant.
#[derive(Debug, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct InNamespace {
    /// The namespace.
    #[serde(default = "root")]
    #[param(default = "/")]
    namespace: String,
}

fn root() -> String {
    "/".to_owned()
}

/// A result as an answer.
pub(super) struct Answer<T>(pub StatusCode, pub T);

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let cache = [(header::CACHE_CONTROL, "no-store")];
        (self.0, cache, axum::Json(self.1)).into_response()
    }
}

type Given<T> = Result<Answer<T>, Failed>;

fn ok<T>(result: T) -> Answer<T> {
    Answer(StatusCode::OK, result)
}

pub(super) fn routes() -> Router<HttpState> {
    Router::new()
        .route("/emit", post(events::emit))
        .route("/emit-with-ack", post(events::emit_with_ack))
        .route("/batch", post(events::batch))
        .route("/join", post(sockets::join))
        .route("/leave", post(sockets::leave))
        .route("/disconnect", post(sockets::disconnect))
        .route("/sockets", get(sockets::sockets))
        .route("/sockets/{id}", get(sockets::socket))
        .route("/rooms", get(rooms::rooms))
        .route("/rooms/{room}", get(rooms::room))
        .route("/rooms/{room}/presence", get(rooms::presence))
        .route("/rooms/{room}/history", get(rooms::history))
        .route("/tokens", post(tokens::tokens))
        .route(
            "/revocations",
            get(tokens::revocations).post(tokens::revoke),
        )
        .route("/hooks", get(hooks::hooks))
        .route("/hooks/{name}/dead", get(hooks::dead_letters))
        .route("/hooks/{name}/dead/replay", post(hooks::replay))
        .route("/hooks/{name}/dead/discard", post(hooks::discard))
        .route("/chat/{request}", post(chat::chat))
        .route("/world/{request}", post(world::world))
        .route("/chat/exports/{ticket}", get(chat::export))
        .route("/nodes", get(nodes::nodes))
        .route("/nodes/{name}/drain", post(nodes::drain))
}

/// Does what a body asks for, once for the request's idempotency key.
async fn once<B, T, F>(
    state: &HttpState,
    caller: Caller,
    headers: &HeaderMap,
    (what, body): (&str, Json<B>),
    work: impl FnOnce(Service, Caller, B) -> F,
) -> Result<Response, Failed>
where
    T: Serialize + DeserializeOwned + Send + 'static,
    F: Future<Output = Result<T, Problem>> + Send + 'static,
{
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let key = keys.next().map(HeaderValue::to_str).transpose();
    let key = match (key, keys.next()) {
        (Ok(key), None) => key,
        _ => {
            return Err(Problem::bad("`Idempotency-Key` stands there once, in plain ASCII").into());
        }
    };
    let request = fingerprint(what, &body.bytes);
    let work = work(state.service.clone(), caller.clone(), body.value);
    let Once { result, repeated } = state.service.once(&caller, key, request, work).await?;
    let mut response = ok(result).into_response();
    if repeated {
        let yes = HeaderValue::from_static("true");
        response.headers_mut().insert(REPEATED, yes);
    }
    Ok(response)
}
