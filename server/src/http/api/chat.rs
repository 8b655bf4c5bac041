//! The chat's requests, over HTTP: one path for each, all made from the chat's own table of requests.

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use lakh_chat::REQUESTS;

use super::requests::Requests;
use super::{BodyErrors, Errors, IdempotencyKey, once};
use crate::http::HttpState;
use crate::http::access::Who;
use crate::http::body::Json;
use crate::http::error::Failed;
use crate::service::Problem;
use crate::service::module::ModuleRequest;

#[utoipa::path(post, path = "/api/v1/chat/{request}", tag = "chat", request_body = ModuleRequest,
    params(("request" = String, Path, description = "The request's name"), IdempotencyKey),
    security((), ("key" = []), ("token" = []), ("signature" = [])),
    responses((status = 200, description = "The answer, as docs/chat.md says, without `ok`", body = serde_json::Value), Errors, BodyErrors))]
pub(in crate::http) async fn chat(
    State(state): State<HttpState>,
    Who(caller): Who,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Json<ModuleRequest>,
) -> Result<Response, Failed> {
    let what = format!("chat {name}");
    let work = |service: crate::service::Service, caller, request: ModuleRequest| async move {
        service.chat(&caller, &name, &request).await
    };
    once(&state, caller, &headers, (&what, body), work).await
}

/// All that is kept of a person, one JSON object a line: what `data:export` gave the URL of.
///
/// The ticket in the path is good once, for five minutes; nothing else is needed.
#[utoipa::path(get, path = "/api/v1/chat/exports/{ticket}", tag = "chat", operation_id = "chat_export",
    params(("ticket" = String, Path, description = "The ticket")),
    responses((status = 200, description = "The document", content_type = "application/x-ndjson"), Errors))]
pub(in crate::http) async fn export(
    State(state): State<HttpState>,
    Path(ticket): Path<String>,
) -> Result<Response, Failed> {
    let chat = state.service.served_chat()?;
    let export = chat.open_export(&ticket).await.map_err(Problem::from)?;
    let pages = stream::try_unfold(export, |mut export| async move {
        match export.next().await {
            Ok(Some(page)) => Ok(Some((Bytes::from(page), export))),
            Ok(None) => Ok(None),
            // The client sees that it broke off: the last chunk is missing.
            Err(failure) => Err(std::io::Error::other(failure.message)),
        }
    });
    let mut response = Body::from_stream(pages).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (header::CACHE_CONTROL, "no-store"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"chat.ndjson\"",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

/// All requests of the chat, as they are described.
pub(in crate::http) const CHAT_REQUESTS: Requests = Requests {
    module: "chat",
    names: REQUESTS,
    about: ABOUT,
    description: "`{request}` of the chat: its fields and its answer stand in docs/chat.md. Takes `api:chat` on `@` and the id \
                 in `as`; without `as` on `/chat#` and the room, or on `/chat` where it is not of one room.",
};

/// What each does, in a few words.
const ABOUT: &[(&str, &str)] = &[
    ("attachment:access", "Get a key by which files are read."),
    ("attachment:quota", "How much room for files is left."),
    ("attachment:upload", "Get a ticket to send a file with."),
    ("ban:list", "Who is banned from a room."),
    ("block:add", "Block a person."),
    ("block:list", "Whom the person has blocked."),
    ("block:remove", "Block a person no longer."),
    ("data:erase", "Erase what a person has said and is."),
    (
        "data:export",
        "Get the URL of all that is kept of a person.",
    ),
    ("live:react", "Send a reaction that floats by."),
    ("me:get", "The person's own profile."),
    ("me:set", "Change the person's own profile."),
    ("me:status", "Say that the person is here or away."),
    ("member:add", "Make people members of a room."),
    ("member:ban", "Keep somebody out of a room."),
    ("member:decline", "Turn an invitation down."),
    ("member:invite", "Invite people into a room."),
    ("member:kick", "Take somebody out of a room."),
    ("member:list", "Who is a member of a room."),
    ("member:mute", "Keep somebody from speaking in a room."),
    ("member:role", "Give somebody a role in a room."),
    ("member:unban", "Let somebody into a room again."),
    ("message:delete", "Delete a message."),
    ("message:edit", "Change a message."),
    ("message:edits", "What a message said before."),
    ("message:forward", "Send a message on to other rooms."),
    ("message:get", "One message."),
    ("message:history", "Messages of a room or a thread."),
    ("message:pin", "Pin a message, or unpin it."),
    ("message:purge", "Delete a message with its history."),
    ("message:search", "Find messages by their words."),
    ("message:send", "Send a message."),
    ("message:sync", "What was said and changed in a room since."),
    ("moderation:log", "What moderators did in a room."),
    ("person:find", "Find people by the beginning of a name."),
    ("person:get", "Profiles of people."),
    ("pin:list", "What is pinned in a room."),
    (
        "presence:count",
        "How many watch a room, and how many people of it are there.",
    ),
    ("presence:list", "Who is in a room now."),
    (
        "presence:unwatch",
        "Hear no longer who is there. Sockets only.",
    ),
    ("presence:watch", "Hear who is there. Sockets only."),
    ("reaction:add", "React to a message."),
    ("reaction:list", "Who has reacted to a message."),
    ("reaction:remove", "Take a reaction back."),
    ("receipt:delivered", "Say that messages have arrived."),
    ("receipt:list", "How far people have read."),
    ("receipt:read", "Say that messages were read."),
    ("receipt:read_all", "Say that everything was read."),
    ("receipt:unread", "Say that messages are not read yet."),
    ("report:close", "Close a report."),
    ("report:list", "Messages that were reported."),
    ("report:send", "Report a message."),
    ("room:archive", "Archive a room, or take it out again."),
    ("room:create", "Make a room."),
    ("room:delete", "Delete a room."),
    ("room:direct", "The room between a few people."),
    ("room:get", "One room."),
    ("room:join", "Become a member of a room."),
    ("room:leave", "Be a member no longer."),
    ("room:list", "Rooms: the person's own, or public ones."),
    ("room:notify", "Say of what the person wants to hear."),
    ("room:set", "Change a room."),
    ("room:unwatch", "Watch a room no longer. Sockets only."),
    ("room:watch", "Watch a room. Sockets only."),
    (
        "scheduled:cancel",
        "Don't send a message that was to be sent later.",
    ),
    (
        "scheduled:change",
        "Change a message that is to be sent later.",
    ),
    ("scheduled:list", "Messages that are to be sent later."),
    ("typing:set", "Say that the person is typing. Sockets only."),
    ("unread:get", "How much is unread."),
];
