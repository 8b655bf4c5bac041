//! Events from outside: sent, asked, several at once.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::{BodyErrors, Errors, IdempotencyKey, once};
use crate::http::HttpState;
use crate::http::access::Who;
use crate::http::body::Json;
use crate::http::error::Failed;
use crate::service::ask::{Answers, Ask};
use crate::service::batch::{Batch, Outcomes};
use crate::service::emit::{Emit, Emitted};

/// Send an event to rooms, people, sockets, or everybody in a namespace, on all nodes.
///
/// In rooms of `/` it gets a number and its place in the room's history. Takes `api:emit` on each that is named.
#[utoipa::path(post, path = "/api/v1/emit", tag = "events", request_body = Emit, params(IdempotencyKey),
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 200, description = "It was sent", body = Emitted), Errors, BodyErrors))]
pub(in crate::http) async fn emit(
    State(state): State<HttpState>,
    Who(caller): Who,
    headers: HeaderMap,
    body: Json<Emit>,
) -> Result<Response, Failed> {
    once(
        &state,
        caller,
        &headers,
        ("emit", body),
        |service, caller, emit| async move { service.emit(&caller, &emit).await },
    )
    .await
}

/// Send an event and wait for the answers of all who get it, a thousand sockets at most.
///
/// Takes `api:emit` on each that is named.
#[utoipa::path(post, path = "/api/v1/emit-with-ack", tag = "events", request_body = Ask, params(IdempotencyKey),
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 200, description = "Who answered what, and who did not", body = Answers), Errors, BodyErrors))]
pub(in crate::http) async fn emit_with_ack(
    State(state): State<HttpState>,
    Who(caller): Who,
    headers: HeaderMap,
    body: Json<Ask>,
) -> Result<Response, Failed> {
    once(
        &state,
        caller,
        &headers,
        ("emit-with-ack", body),
        |service, caller, ask| async move { service.emit_with_ack(&caller, &ask).await },
    )
    .await
}

/// Do several things one after the other.
///
/// Each has its own result: what is wrong with one doesn't keep the others. Takes what each of them takes.
#[utoipa::path(post, path = "/api/v1/batch", tag = "events", request_body = Batch, params(IdempotencyKey),
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 200, description = "What became of each", body = Outcomes), Errors, BodyErrors))]
pub(in crate::http) async fn batch(
    State(state): State<HttpState>,
    Who(caller): Who,
    headers: HeaderMap,
    body: Json<Batch>,
) -> Result<Response, Failed> {
    let operations = body.value.operations.len();
    state.door.pace_batch(&state.service, &caller, operations)?;
    once(
        &state,
        caller,
        &headers,
        ("batch", body),
        |service, caller, batch| async move { service.batch(&caller, &batch).await },
    )
    .await
}
