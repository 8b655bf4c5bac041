//! `/chat/uploads` and `/chat/files`: files in messages, sent and fetched.
//!
//! What must hold: nothing that a person sent runs in a browser as part of this server's pages, whatever it's called; and
//! whoever fetches a file may read its room at that moment.

use std::ops::Range;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::extract::{Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, put};
use futures_util::StreamExt as _;
use lakh_auth::Kind as Sort;
use lakh_chat::{Asker, Chat, FILES_PATH, Fetched, UPLOADS_PATH};
use lakh_files::range::{self, Wanted};
use lakh_files::{kind, name};
use serde::Deserialize;
use tokio::time::timeout;

use super::error::Failed;
use super::{HttpState, access, edge, error};
use crate::files::Files;
use crate::service::caller::{self, Caller};
use crate::service::{Kind, Problem};

/// For how long browsers keep a file. Whoever may not see it any more can't fetch it; what they have, they have.
const KEEP: HeaderValue = HeaderValue::from_static("private, max-age=86400, immutable");
/// What files may do in a browser: be looked at.
const CONFINED: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox",
);
/// How long, and for how many bytes, somebody is listened to whose file was refused.
const REST: Duration = Duration::from_secs(5);
const MOST_REST: usize = 32 << 20;
/// The right to make requests of the chat.
const CHAT: &str = "chat";

pub(super) fn routes(state: &HttpState) -> Router<HttpState> {
    if state.files.is_none() {
        return Router::new();
    }
    Router::new()
        .route(&format!("{UPLOADS_PATH}/{{id}}/{{secret}}"), put(receive))
        .route(&format!("{FILES_PATH}/{{id}}/thumbnail"), get(small))
        .route(&format!("{FILES_PATH}/{{id}}/{{name}}"), get(whole))
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(middleware::from_fn_with_state(state.clone(), edge::pass))
}

fn files(state: &HttpState) -> Result<&Files, Problem> {
    let files = state.files.as_ref();
    files.ok_or_else(|| Problem::not_found("this server has no files"))
}

async fn receive(
    State(state): State<HttpState>,
    Path((id, secret)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Failed> {
    let headers = request.headers();
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Failed(Problem::new(
            Kind::MediaType,
            "unsupported_media_type",
            "send the file as it is, without `Content-Encoding`",
        )));
    }
    if headers.contains_key(header::CONTENT_RANGE) {
        return Err(Failed(Problem::bad(
            "send the file as a whole, without `Content-Range`",
        )));
    }
    let length = text(headers, &header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    let mut bytes = request.into_body().into_data_stream();
    let received = files(&state)?
        .receive((&id, &secret), length, &mut bytes)
        .await;
    if received.as_ref().map_or(true, |arrived| arrived.again) {
        // Who is still sending would lose the answer with the connection.
        let _ = timeout(REST, pass_over(&mut bytes)).await;
    }
    let arrived = received?;
    let status = match arrived.again {
        true => StatusCode::OK,
        false => StatusCode::CREATED,
    };
    let cache = [(header::CACHE_CONTROL, "no-store")];
    Ok((status, cache, axum::Json(arrived.file)).into_response())
}

/// Reads what still comes, up to a bound.
async fn pass_over(bytes: &mut BodyDataStream) {
    let mut left = MOST_REST;
    while let Some(Ok(part)) = bytes.next().await {
        match left.checked_sub(part.len()) {
            Some(less) => left = less,
            None => return,
        }
    }
}

/// The part of a query that says who asks.
#[derive(Debug, Deserialize)]
struct Shown {
    access: Option<String>,
}

async fn whole(
    State(state): State<HttpState>,
    Path((id, _)): Path<(String, String)>,
    query: Query<Shown>,
    request: Request,
) -> Result<Response, Failed> {
    let (parts, _) = request.into_parts();
    let file = find(&state, &parts, query.0, &id).await?;
    let serves = Serves {
        key: file.key,
        size: file.size,
        tag: format!("\"{}\"", file.hash),
        kind: file.kind,
        name: file.name,
    };
    Ok(serves.answer(&state, &parts).await?)
}

async fn small(
    State(state): State<HttpState>,
    Path(id): Path<String>,
    query: Query<Shown>,
    request: Request,
) -> Result<Response, Failed> {
    let (parts, _) = request.into_parts();
    let file = find(&state, &parts, query.0, &id).await?;
    let Some((kind, size)) = file.small else {
        return Err(Failed(Problem::not_found("the file has no thumbnail")));
    };
    let serves = Serves {
        key: Chat::small_key(&file.key),
        size,
        tag: format!("\"{}-s\"", file.hash),
        name: match kind.as_str() {
            "image/webp" => "thumbnail.webp".to_owned(),
            _ => "thumbnail.jpg".to_owned(),
        },
        kind,
    };
    Ok(serves.answer(&state, &parts).await?)
}

/// The file, if whoever asks may have it.
async fn find(
    state: &HttpState,
    parts: &Parts,
    shown: Shown,
    id: &str,
) -> Result<Fetched, Problem> {
    let chat = files(state)?.chat();
    if let Some(word) = shown.access {
        let shown = chat.shown(&word).await?;
        if let Some(principal) = &shown.principal
            && state.service.is_revoked(principal)
        {
            return Err(unauthorized("your sign-in was taken back: sign in again"));
        }
        return fetched(chat, &shown.asker, id).await;
    }
    let Some(caller) = access::caller(state, parts).await? else {
        return Err(unauthorized(
            "say who you are: put `?access=` and a word from attachment:access behind the address, or show a token in `Authorization`",
        ));
    };
    let principal = caller.principal();
    if principal.kind != Sort::Service {
        let asker = Asker::signed_in(state.service.hub(), principal.clone())?;
        return fetched(chat, &asker, id).await;
    }
    let file = fetched(chat, &Asker::system(), id).await?;
    may_for_itself(state, &caller, &file.room)?;
    Ok(file)
}

/// Whether a backend may make requests of the chat in a room.
fn may_for_itself(state: &HttpState, caller: &Caller, room: &str) -> Result<(), Problem> {
    let (hub, thing) = (state.service.hub(), format!("/chat#{room}"));
    Ok(hub.allow(Some(caller.principal()), caller::MODULE, CHAT, &thing)?)
}

async fn fetched(chat: &Chat, asker: &Asker, id: &str) -> Result<Fetched, Problem> {
    let file = chat.file(asker, id).await;
    file.map_err(|failure| match failure.code {
        "not_member" | "banned" => Problem::new(Kind::Forbidden, failure.code, failure.message),
        _ => failure.into(),
    })
}

fn unauthorized(message: &str) -> Problem {
    Problem::new(Kind::Unauthorized, "unauthorized", message)
}

/// Bytes that are served.
struct Serves {
    key: String,
    size: u64,
    /// In quotes.
    tag: String,
    kind: String,
    name: String,
}

impl Serves {
    async fn answer(&self, state: &HttpState, parts: &Parts) -> Result<Response, Problem> {
        let (headers, is_get) = (&parts.headers, parts.method == Method::GET);
        if range::is_known(text(headers, &header::IF_NONE_MATCH), &self.tag) {
            let mut response = StatusCode::NOT_MODIFIED.into_response();
            self.describe(response.headers_mut());
            return Ok(response);
        }
        let may_part = is_get && range::may_part(text(headers, &header::IF_RANGE), &self.tag);
        let asked = text(headers, &header::RANGE).filter(|_| may_part);
        match range::wanted(asked, self.size) {
            Wanted::Whole => self.part(state, StatusCode::OK, 0..self.size, is_get).await,
            Wanted::Part(part) => {
                let of = format!("bytes {}-{}/{}", part.start, part.end - 1, self.size);
                let status = StatusCode::PARTIAL_CONTENT;
                let mut response = self.part(state, status, part, is_get).await?;
                set(&mut response, header::CONTENT_RANGE, &of);
                Ok(response)
            }
            Wanted::Nowhere => {
                let message = format!("the file has {} bytes", self.size);
                let status = StatusCode::RANGE_NOT_SATISFIABLE;
                let mut response = error::answer(status, "range_not_satisfiable", message);
                set(
                    &mut response,
                    header::CONTENT_RANGE,
                    &format!("bytes */{}", self.size),
                );
                Ok(response)
            }
        }
    }

    async fn part(
        &self,
        state: &HttpState,
        status: StatusCode,
        part: Range<u64>,
        is_get: bool,
    ) -> Result<Response, Problem> {
        let length = part.end - part.start;
        let body = match is_get {
            true => Body::from_stream(files(state)?.read(&self.key, part).await?),
            false => Body::empty(),
        };
        let mut response = (status, body).into_response();
        set(&mut response, header::CONTENT_LENGTH, &length.to_string());
        let kind = match kind::served_as(&self.kind) {
            "text/plain" => "text/plain; charset=utf-8",
            kind => kind,
        };
        set(&mut response, header::CONTENT_TYPE, kind);
        let disposition = name::disposition(kind::is_shown(&self.kind), &self.name);
        set(&mut response, header::CONTENT_DISPOSITION, &disposition);
        self.describe(response.headers_mut());
        Ok(response)
    }

    fn describe(&self, headers: &mut HeaderMap) {
        headers.insert(header::CACHE_CONTROL, KEEP);
        headers.insert(header::CONTENT_SECURITY_POLICY, CONFINED);
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        // Hexadecimal digits, so it can't fail.
        if let Ok(tag) = HeaderValue::from_str(&self.tag) {
            headers.insert(header::ETAG, tag);
        }
    }
}

/// Sets a header to text of plain ASCII, which types, names and numbers are by now.
fn set(response: &mut Response, name: HeaderName, value: &str) {
    match HeaderValue::from_str(value) {
        Ok(value) => drop(response.headers_mut().insert(name, value)),
        Err(error) => tracing::error!(%error, %name, "a file has no such header"),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
