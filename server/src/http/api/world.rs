//! The requests of worlds, over HTTP: one path for each, all made from the module's own table of requests.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use lakh_world::REQUESTS;

use super::requests::Requests;
use super::{BodyErrors, Errors, IdempotencyKey, once};
use crate::http::HttpState;
use crate::http::access::Who;
use crate::http::body::Json;
use crate::http::error::Failed;
use crate::service::module::ModuleRequest;

#[utoipa::path(post, path = "/api/v1/world/{request}", tag = "world", request_body = ModuleRequest,
    params(("request" = String, Path, description = "The request's name"), IdempotencyKey),
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 200, description = "The answer, as docs/world.md says, without `ok`", body = serde_json::Value), Errors, BodyErrors))]
pub(in crate::http) async fn world(
    State(state): State<HttpState>,
    Who(caller): Who,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Json<ModuleRequest>,
) -> Result<Response, Failed> {
    let what = format!("world {name}");
    let work = |service: crate::service::Service, caller, request: ModuleRequest| async move {
        service.world(&caller, &name, &request).await
    };
    once(&state, caller, &headers, (&what, body), work).await
}

/// All requests of worlds, as they are described.
pub(in crate::http) const WORLD_REQUESTS: Requests = Requests {
    module: "world",
    names: REQUESTS,
    about: ABOUT,
    description: "`{request}`: its fields and its answer stand in docs/world.md. Takes `api:world` on `@` and the id in `as`; \
                 without `as` on `/world#` and the world, or on `/world` where none is named.",
};

/// What each does, in a few words.
const ABOUT: &[(&str, &str)] = &[
    ("space:cursor", "Point somewhere. Sockets only."),
    ("space:enter", "Come into a space. Sockets only."),
    ("space:get", "Members, locations and locks of a space."),
    ("space:leave", "Leave a space. Sockets only."),
    ("space:location", "Say where one is. Sockets only."),
    ("space:lock", "Lock a component. Sockets only."),
    ("space:locks", "Locks of a space."),
    ("space:profile", "Change one's profile. Sockets only."),
    ("space:unlock", "Take a lock away."),
    ("world:bots", "Let bots walk about, or count them."),
    ("world:change", "Change an entity."),
    ("world:create", "Make a world."),
    ("world:delete", "Delete a world."),
    ("world:enter", "Enter a world. Sockets only."),
    ("world:entity", "One entity, and whose it is."),
    ("world:info", "One world."),
    ("world:input", "Move one's own entity. Sockets only."),
    ("world:land", "A chunk of land."),
    ("world:leave", "Leave the world. Sockets only."),
    ("world:list", "Which worlds there are."),
    ("world:look", "See something else. Sockets only."),
    (
        "world:put_chunk",
        "Put something opaque into a chunk of land.",
    ),
    ("world:remove", "Take an entity away."),
    ("world:set", "Set cells of land."),
    ("world:spawn", "Make an entity."),
];
