//! Rooms: which there are, who is in them, what was said.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Errors, Given, InNamespace, ok, root};
use crate::http::HttpState;
use crate::http::access::Who;
use crate::http::body::{Params, Segment};
use crate::http::error::ErrorBody;
use crate::service::history::{History, HistoryFilter};
use crate::service::rooms::{Presence, PresencePage, RoomDetail, RoomFilter, RoomPage};

/// A page of a room's people.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct PeopleOfRoom {
    /// The namespace.
    #[serde(default = "root")]
    #[param(default = "/")]
    namespace: String,
    /// Where the page before ended: its `next`.
    cursor: Option<String>,
    /// How many people at most, 1 to 1000.
    limit: Option<usize>,
}

/// List the rooms that have members, with how many.
///
/// Takes `api:rooms` on all names with the prefix.
#[utoipa::path(get, path = "/api/v1/rooms", tag = "rooms", params(RoomFilter),
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 200, description = "A page of them", body = RoomPage), Errors))]
pub(in crate::http) async fn rooms(
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
pub(in crate::http) async fn room(
    State(state): State<HttpState>,
    Who(caller): Who,
    Segment(room): Segment,
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
pub(in crate::http) async fn presence(
    State(state): State<HttpState>,
    Who(caller): Who,
    Segment(room): Segment,
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
pub(in crate::http) async fn history(
    State(state): State<HttpState>,
    Who(caller): Who,
    Segment(room): Segment,
    Params(filter): Params<HistoryFilter>,
) -> Given<History> {
    Ok(ok(state.service.history(&caller, &room, &filter).await?))
}
