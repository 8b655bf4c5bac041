//! Hooks: how they are doing, and the events that they gave up.

use axum::extract::State;

use super::{BodyErrors, Errors, Given, ok};
use crate::http::HttpState;
use crate::http::access::Who;
use crate::http::body::{Json, Params, Segment};
use crate::service::hooks::{DeadFilter, DeadPage, Hooks, Taken, WhichDead};

/// How hooks are doing, on all nodes: endpoints, and gates.
///
/// Takes `api:hooks` on `hook:*`.
#[utoipa::path(get, path = "/api/v1/hooks", tag = "hooks",
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 200, description = "All hooks of the settings", body = Hooks), Errors))]
pub(in crate::http) async fn hooks(
    State(state): State<HttpState>,
    Who(caller): Who,
) -> Given<Hooks> {
    Ok(ok(state.service.hooks(&caller).await?))
}

/// The events that an endpoint was not given in the end, oldest first.
///
/// Takes `api:hooks` on `hook:` and the endpoint's name.
#[utoipa::path(get, path = "/api/v1/hooks/{name}/dead", tag = "hooks", params(("name" = String, Path, description = "The endpoint's name"), DeadFilter),
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 200, description = "A page of them", body = DeadPage), Errors))]
pub(in crate::http) async fn dead_letters(
    State(state): State<HttpState>,
    Who(caller): Who,
    Segment(name): Segment,
    Params(filter): Params<DeadFilter>,
) -> Given<DeadPage> {
    let page = state.service.dead_letters(&caller, &name, &filter).await?;
    Ok(ok(page))
}

/// Send given-up events anew, behind all that waits for the endpoint.
///
/// A letter is taken once, so sending the request again does no harm. Takes `api:hooks` on `hook:` and the endpoint's name.
#[utoipa::path(post, path = "/api/v1/hooks/{name}/dead/replay", tag = "hooks", request_body = WhichDead, params(("name" = String, Path, description = "The endpoint's name")),
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 200, description = "They wait to be sent", body = Taken), Errors, BodyErrors))]
pub(in crate::http) async fn replay(
    State(state): State<HttpState>,
    Who(caller): Who,
    Segment(name): Segment,
    which: Json<WhichDead>,
) -> Given<Taken> {
    let taken = state.service.replay_dead(&caller, &name, &which.value);
    Ok(ok(taken.await?))
}

/// Throw given-up events away.
///
/// Takes `api:hooks` on `hook:` and the endpoint's name.
#[utoipa::path(post, path = "/api/v1/hooks/{name}/dead/discard", tag = "hooks", request_body = WhichDead, params(("name" = String, Path, description = "The endpoint's name")),
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 200, description = "They are gone", body = Taken), Errors, BodyErrors))]
pub(in crate::http) async fn discard(
    State(state): State<HttpState>,
    Who(caller): Who,
    Segment(name): Segment,
    which: Json<WhichDead>,
) -> Given<Taken> {
    let taken = state.service.discard_dead(&caller, &name, &which.value);
    Ok(ok(taken.await?))
}
