//! `/api/v1`: the service for backends, over HTTP. What each of these takes and gives is written in docs/api.md.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, IntoResponses, ToSchema};

use super::HttpState;
use super::access::Who;
use super::body::{Json, Params};
use super::error::{ErrorBody, Failed};
use crate::service::ask::{Answers, Ask};
use crate::service::batch::{Batch, Outcomes};
use crate::service::change::{Disconnect, Move, Moved};
use crate::service::emit::{Emit, Emitted};
use crate::service::history::{History, HistoryFilter};
use crate::service::nodes::{Draining, Nodes};
use crate::service::once::{Once, fingerprint};
use crate::service::revocations::{
    NewRevocation, RevocationFilter, RevocationInfo, RevocationPage,
};
use crate::service::rooms::{Presence, PresencePage, RoomDetail, RoomFilter, RoomPage};
use crate::service::sockets::{SocketFilter, SocketInfo, SocketPage};
use crate::service::tokens::{NewToken, Token};
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

/// A page of a room's people.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct PeopleOfRoom {
    /// The namespace.
    #[serde(default = "root")]
    #[param(default = "/")]
    namespace: String,
    /// Where the page before ended: its `next`.
    cursor: Option<String>,
    /// How many people at most, 1 to 1000.
    limit: Option<usize>,
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
        .route("/emit", post(emit))
        .route("/emit-with-ack", post(emit_with_ack))
        .route("/batch", post(batch))
        .route("/join", post(join))
        .route("/leave", post(leave))
        .route("/disconnect", post(disconnect))
        .route("/sockets", get(sockets))
        .route("/sockets/{id}", get(socket))
        .route("/rooms", get(rooms))
        .route("/rooms/{room}", get(room))
        .route("/rooms/{room}/presence", get(presence))
        .route("/rooms/{room}/history", get(history))
        .route("/tokens", post(tokens))
        .route("/revocations", get(revocations).post(revoke))
        .route("/nodes", get(nodes))
        .route("/nodes/{name}/drain", post(drain))
}

/// Does something once for a request's idempotency key.
async fn once<T, F>(
    state: &HttpState,
    caller: Caller,
    headers: &HeaderMap,
    request: String,
    work: impl FnOnce(Service, Caller) -> F,
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
    let work = work(state.service.clone(), caller.clone());
    let Once { result, repeated } = state.service.once(&caller, key, request, work).await?;
    let mut response = ok(result).into_response();
    if repeated {
        let yes = HeaderValue::from_static("true");
        response.headers_mut().insert(REPEATED, yes);
    }
    Ok(response)
}

/// Send an event to rooms, people, sockets, or everybody in a namespace, on all nodes.
///
/// In rooms of `/` it gets a number and its place in the room's history. Takes `api:emit` on each that is named.
#[utoipa::path(post, path = "/api/v1/emit", tag = "events", request_body = Emit, params(IdempotencyKey),
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 200, description = "It was sent", body = Emitted), Errors, BodyErrors))]
pub(super) async fn emit(
    State(state): State<HttpState>,
    Who(caller): Who,
    headers: HeaderMap,
    body: Json<Emit>,
) -> Result<Response, Failed> {
    let (request, emit) = (fingerprint("emit", &body.bytes), body.value);
    once(
        &state,
        caller,
        &headers,
        request,
        |service, caller| async move { service.emit(&caller, &emit).await },
    )
    .await
}

/// Send an event and wait for the answers of all who get it, a thousand sockets at most.
///
/// Takes `api:emit` on each that is named.
#[utoipa::path(post, path = "/api/v1/emit-with-ack", tag = "events", request_body = Ask, params(IdempotencyKey),
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 200, description = "Who answered what, and who did not", body = Answers), Errors, BodyErrors))]
pub(super) async fn emit_with_ack(
    State(state): State<HttpState>,
    Who(caller): Who,
    headers: HeaderMap,
    body: Json<Ask>,
) -> Result<Response, Failed> {
    let (request, ask) = (fingerprint("emit-with-ack", &body.bytes), body.value);
    once(
        &state,
        caller,
        &headers,
        request,
        |service, caller| async move { service.emit_with_ack(&caller, &ask).await },
    )
    .await
}

/// Do several things one after the other.
///
/// Each has its own result: what is wrong with one doesn't keep the others. Takes what each of them takes.
#[utoipa::path(post, path = "/api/v1/batch", tag = "events", request_body = Batch, params(IdempotencyKey),
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 200, description = "What became of each", body = Outcomes), Errors, BodyErrors))]
pub(super) async fn batch(
    State(state): State<HttpState>,
    Who(caller): Who,
    headers: HeaderMap,
    body: Json<Batch>,
) -> Result<Response, Failed> {
    let (request, batch) = (fingerprint("batch", &body.bytes), body.value);
    // The request itself was counted as one already.
    let more = batch
        .operations
        .len()
        .saturating_sub(1)
        .min(state.service.config().max_batch);
    state
        .door
        .pace(&caller, more, state.service.hub().clock_ms())?;
    once(
        &state,
        caller,
        &headers,
        request,
        |service, caller| async move { service.batch(&caller, &batch).await },
    )
    .await
}

/// Make sockets join rooms, on all nodes.
///
/// Takes `api:join` on each of the rooms.
#[utoipa::path(post, path = "/api/v1/join", tag = "sockets", request_body = Move, params(IdempotencyKey),
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 200, description = "They are in", body = Moved), Errors, BodyErrors))]
pub(super) async fn join(
    State(state): State<HttpState>,
    Who(caller): Who,
    headers: HeaderMap,
    body: Json<Move>,
) -> Result<Response, Failed> {
    let (request, change) = (fingerprint("join", &body.bytes), body.value);
    once(
        &state,
        caller,
        &headers,
        request,
        |service, caller| async move { service.join(&caller, &change).await },
    )
    .await
}

/// Make sockets leave rooms, on all nodes.
///
/// Takes `api:leave` on each of the rooms.
#[utoipa::path(post, path = "/api/v1/leave", tag = "sockets", request_body = Move, params(IdempotencyKey),
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 200, description = "They are out", body = Moved), Errors, BodyErrors))]
pub(super) async fn leave(
    State(state): State<HttpState>,
    Who(caller): Who,
    headers: HeaderMap,
    body: Json<Move>,
) -> Result<Response, Failed> {
    let (request, change) = (fingerprint("leave", &body.bytes), body.value);
    once(
        &state,
        caller,
        &headers,
        request,
        |service, caller| async move { service.leave(&caller, &change).await },
    )
    .await
}

/// Disconnect sockets, on all nodes.
///
/// Takes `api:disconnect` on each that is named.
#[utoipa::path(post, path = "/api/v1/disconnect", tag = "sockets", request_body = Disconnect, params(IdempotencyKey),
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 200, description = "They are gone", body = Moved), Errors, BodyErrors))]
pub(super) async fn disconnect(
    State(state): State<HttpState>,
    Who(caller): Who,
    headers: HeaderMap,
    body: Json<Disconnect>,
) -> Result<Response, Failed> {
    let (request, change) = (fingerprint("disconnect", &body.bytes), body.value);
    once(
        &state,
        caller,
        &headers,
        request,
        |service, caller| async move { service.disconnect(&caller, &change).await },
    )
    .await
}

/// List sockets of all nodes, by room or person.
///
/// Takes `api:sockets` on the room, the person or the namespace.
#[utoipa::path(get, path = "/api/v1/sockets", tag = "sockets", params(SocketFilter),
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 200, description = "A page of them", body = SocketPage), Errors))]
pub(super) async fn sockets(
    State(state): State<HttpState>,
    Who(caller): Who,
    Params(filter): Params<SocketFilter>,
) -> Given<SocketPage> {
    Ok(ok(state.service.sockets(&caller, &filter).await?))
}

/// Look at one socket.
///
/// Takes `api:sockets` on it.
#[utoipa::path(get, path = "/api/v1/sockets/{id}", tag = "sockets", params(("id" = String, Path, description = "Its id"), InNamespace),
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 200, description = "The socket", body = SocketInfo), Errors))]
pub(super) async fn socket(
    State(state): State<HttpState>,
    Who(caller): Who,
    Path(id): Path<String>,
    Params(query): Params<InNamespace>,
) -> Given<SocketInfo> {
    let found = state.service.socket(&caller, &query.namespace, &id).await?;
    Ok(ok(found))
}

/// List the rooms that have members, with how many.
///
/// Takes `api:rooms` on all names with the prefix.
#[utoipa::path(get, path = "/api/v1/rooms", tag = "rooms", params(RoomFilter),
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 200, description = "A page of them", body = RoomPage), Errors))]
pub(super) async fn rooms(
    State(state): State<HttpState>,
    Who(caller): Who,
    Params(filter): Params<RoomFilter>,
) -> Given<RoomPage> {
    Ok(ok(state.service.list_rooms(&caller, &filter).await?))
}

/// How many are in a room, and the number of its last event.
///
/// Takes `api:rooms` on the room.
#[utoipa::path(get, path = "/api/v1/rooms/{room}", tag = "rooms", params(("room" = String, Path, description = "Its name"), InNamespace),
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 200, description = "The room", body = RoomDetail), Errors))]
pub(super) async fn room(
    State(state): State<HttpState>,
    Who(caller): Who,
    Path(room): Path<String>,
    Params(query): Params<InNamespace>,
) -> Given<RoomDetail> {
    let found = state.service.room(&caller, &query.namespace, &room).await?;
    Ok(ok(found))
}

/// Who is in a room, over all nodes.
///
/// Takes `api:presence` on the room.
#[utoipa::path(get, path = "/api/v1/rooms/{room}/presence", tag = "rooms", params(("room" = String, Path, description = "Its name"), PeopleOfRoom),
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 200, description = "A page of its people", body = Presence), Errors))]
pub(super) async fn presence(
    State(state): State<HttpState>,
    Who(caller): Who,
    Path(room): Path<String>,
    Params(query): Params<PeopleOfRoom>,
) -> Given<Presence> {
    let page = PresencePage {
        cursor: query.cursor,
        limit: query.limit,
    };
    let asked = state
        .service
        .presence(&caller, &query.namespace, &room, &page);
    Ok(ok(asked.await?))
}

/// What was published in a room of `/` that keeps its history.
///
/// Takes `api:history` on the room.
#[utoipa::path(get, path = "/api/v1/rooms/{room}/history", tag = "rooms", params(("room" = String, Path, description = "Its name"), HistoryFilter),
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 200, description = "Part of it", body = History),
        (status = 422, description = "Nothing is kept of such rooms (`unsupported`)", body = ErrorBody), Errors))]
pub(super) async fn history(
    State(state): State<HttpState>,
    Who(caller): Who,
    Path(room): Path<String>,
    Params(filter): Params<HistoryFilter>,
) -> Given<History> {
    Ok(ok(state.service.history(&caller, &room, &filter).await?))
}

/// Make a token for a client.
///
/// Takes `api:tokens` on `@` and the person's id, and on `role:` and each role. The token is kept nowhere, so an
/// idempotency key has no meaning here.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "tokens", request_body = NewToken,
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 201, description = "The token", body = Token), Errors, BodyErrors))]
pub(super) async fn tokens(
    State(state): State<HttpState>,
    Who(caller): Who,
    body: Json<NewToken>,
) -> Given<Token> {
    let token = state.service.issue_token(&caller, &body.value)?;
    Ok(Answer(StatusCode::CREATED, token))
}

/// Take back a token, a sign-in, or all that a person holds, on all nodes.
///
/// Who is in with it is thrown out. Takes `api:revocations` on `token:` and its `jti`, `session:` and its `sid`, or `@` and the
/// person's id.
#[utoipa::path(post, path = "/api/v1/revocations", tag = "tokens", request_body = NewRevocation,
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 201, description = "It is taken back", body = RevocationInfo), Errors, BodyErrors))]
pub(super) async fn revoke(
    State(state): State<HttpState>,
    Who(caller): Who,
    body: Json<NewRevocation>,
) -> Given<RevocationInfo> {
    let info = state.service.revoke(&caller, &body.value).await?;
    Ok(Answer(StatusCode::CREATED, info))
}

/// What is taken back now.
///
/// Takes `api:revocations` on `@*`.
#[utoipa::path(get, path = "/api/v1/revocations", tag = "tokens", params(RevocationFilter),
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 200, description = "A page of it", body = RevocationPage),
        (status = 422, description = "This server keeps none (`unsupported`)", body = ErrorBody), Errors))]
pub(super) async fn revocations(
    State(state): State<HttpState>,
    Who(caller): Who,
    Params(filter): Params<RevocationFilter>,
) -> Given<RevocationPage> {
    Ok(ok(state.service.revocations(&caller, &filter)?))
}

/// How this node and the others are.
///
/// Takes `api:nodes` on `node:*`.
#[utoipa::path(get, path = "/api/v1/nodes", tag = "nodes",
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 200, description = "All that answered, and how many did not", body = Nodes), Errors))]
pub(super) async fn nodes(State(state): State<HttpState>, Who(caller): Who) -> Given<Nodes> {
    Ok(ok(state.service.nodes(&caller).await?))
}

/// Have a node end as by SIGTERM: it sends its clients elsewhere over the drain window and exits with 0.
///
/// That can't be taken back; whoever started the node starts it again. Takes `api:drain` on `node:` and its name.
#[utoipa::path(post, path = "/api/v1/nodes/{name}/drain", tag = "nodes", params(("name" = String, Path, description = "The node's name")),
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 202, description = "It has begun", body = Draining), Errors))]
pub(super) async fn drain(
    State(state): State<HttpState>,
    Who(caller): Who,
    Path(name): Path<String>,
) -> Given<Draining> {
    let draining = state.service.drain(&caller, &name).await?;
    Ok(Answer(StatusCode::ACCEPTED, draining))
}
