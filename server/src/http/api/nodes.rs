//! The nodes of a fleet.

use axum::extract::State;
use axum::http::StatusCode;

use super::{Answer, Errors, Given, ok};
use crate::http::HttpState;
use crate::http::access::Who;
use crate::http::body::Segment;
use crate::service::nodes::{Draining, Nodes};

/// How this node and the others are.
///
/// Takes `api:nodes` on `node:*`.
#[utoipa::path(get, path = "/api/v1/nodes", tag = "nodes",
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 200, description = "All that answered, and how many did not", body = Nodes), Errors))]
pub(in crate::http) async fn nodes(
    State(state): State<HttpState>,
    Who(caller): Who,
) -> Given<Nodes> {
    Ok(ok(state.service.nodes(&caller).await?))
}

/// Have a node end as by SIGTERM: it sends its clients elsewhere over the drain window and exits with 0.
///
/// That can't be taken back; whoever started the node starts it again. Takes `api:drain` on `node:` and its name.
#[utoipa::path(post, path = "/api/v1/nodes/{name}/drain", tag = "nodes", params(("name" = String, Path, description = "The node's name")),
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 202, description = "It has begun", body = Draining), Errors))]
pub(in crate::http) async fn drain(
    State(state): State<HttpState>,
    Who(caller): Who,
    Segment(name): Segment,
) -> Given<Draining> {
    let draining = state.service.drain(&caller, &name).await?;
    Ok(Answer(StatusCode::ACCEPTED, draining))
}
