//! Who is connected, and moving them about.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::{BodyErrors, Errors, Given, IdempotencyKey, InNamespace, ok, once};
use crate::http::HttpState;
use crate::http::access::Who;
use crate::http::body::{Json, Params, Segment};
use crate::http::error::Failed;
use crate::service::change::{Disconnect, Move, Moved};
use crate::service::sockets::{SocketFilter, SocketInfo, SocketPage};

/// Make sockets join rooms, on all nodes.
///
/// Takes `api:join` on each of the rooms.
#[utoipa::path(post, path = "/api/v1/join", tag = "sockets", request_body = Move, params(IdempotencyKey),
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 200, description = "They are in", body = Moved), Errors, BodyErrors))]
pub(in crate::http) async fn join(
    State(state): State<HttpState>,
    Who(caller): Who,
    headers: HeaderMap,
    body: Json<Move>,
) -> Result<Response, Failed> {
    once(
        &state,
        caller,
        &headers,
        ("join", body),
        |service, caller, change| async move { service.join(&caller, &change).await },
    )
    .await
}

/// Make sockets leave rooms, on all nodes.
///
/// Takes `api:leave` on each of the rooms.
#[utoipa::path(post, path = "/api/v1/leave", tag = "sockets", request_body = Move, params(IdempotencyKey),
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 200, description = "They are out", body = Moved), Errors, BodyErrors))]
pub(in crate::http) async fn leave(
    State(state): State<HttpState>,
    Who(caller): Who,
    headers: HeaderMap,
    body: Json<Move>,
) -> Result<Response, Failed> {
    once(
        &state,
        caller,
        &headers,
        ("leave", body),
        |service, caller, change| async move { service.leave(&caller, &change).await },
    )
    .await
}

/// Disconnect sockets, on all nodes.
///
/// Takes `api:disconnect` on each that is named.
#[utoipa::path(post, path = "/api/v1/disconnect", tag = "sockets", request_body = Disconnect, params(IdempotencyKey),
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 200, description = "They are gone", body = Moved), Errors, BodyErrors))]
pub(in crate::http) async fn disconnect(
    State(state): State<HttpState>,
    Who(caller): Who,
    headers: HeaderMap,
    body: Json<Disconnect>,
) -> Result<Response, Failed> {
    once(
        &state,
        caller,
        &headers,
        ("disconnect", body),
        |service, caller, change| async move { service.disconnect(&caller, &change).await },
    )
    .await
}

/// List sockets of all nodes, by room or person.
///
/// Takes `api:sockets` on the room, the person or the namespace.
#[utoipa::path(get, path = "/api/v1/sockets", tag = "sockets", params(SocketFilter),
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 200, description = "A page of them", body = SocketPage), Errors))]
pub(in crate::http) async fn sockets(
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
pub(in crate::http) async fn socket(
    State(state): State<HttpState>,
    Who(caller): Who,
    Segment(id): Segment,
    Params(query): Params<InNamespace>,
) -> Given<SocketInfo> {
    let found = state.service.socket(&caller, &query.namespace, &id).await?;
    Ok(ok(found))
}
