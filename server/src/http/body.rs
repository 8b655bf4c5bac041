//! What requests bring: bodies of JSON, and queries, with an answer in JSON to whatever is wrong with them.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;

use super::HttpState;
use super::error::Failed;
use crate::service::{Kind, Problem};

/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads a body, up to a bound.
pub(crate) async fn read(
    headers: &HeaderMap,
    content: Body,
    most: usize,
) -> Result<Bytes, Problem> {
    let too_large = || {
        let message = format!("the body is longer than {most} bytes");
        Problem::new(Kind::TooLarge, "too_large", message)
    };
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > most) {
        return Err(too_large());
    }
    let reading = axum::body::to_bytes(content, most);
    match tokio::time::timeout(PATIENCE, reading).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(too_large()),
        Err(_) => Err(Problem::new(
            Kind::Timeout,
            "timeout",
            "the body did not arrive in time",
        )),
    }
}

/// A body of JSON, and the bytes that it was.
#[derive(Debug)]
pub(super) struct Json<T> {
    pub value: T,
    pub bytes: Bytes,
}

impl<T: DeserializeOwned> FromRequest<HttpState> for Json<T> {
    type Rejection = Failed;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, Failed> {
        let (parts, content) = request.into_parts();
        let kind = parts.headers.get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !is_json(kind) {
            return Err(Failed(Problem::new(
                Kind::MediaType,
                "unsupported_media_type",
                "send JSON, with `Content-Type: application/json`",
            )));
        }
        if parts.headers.contains_key(header::CONTENT_ENCODING) {
            return Err(Failed(Problem::new(
                Kind::MediaType,
                "unsupported_media_type",
                "send the body as it is, without `Content-Encoding`",
            )));
        }
        let bytes = read(&parts.headers, content, state.door.max_body_bytes()).await?;
        let value = object(&bytes)?;
        Ok(Self { value, bytes })
    }
}

/// Reads an object. A list of the same values without their names would be read as well, and is nobody's intention.
pub(crate) fn object<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let wrong = |what: &dyn std::fmt::Display| {
        Problem::bad(format!("the body is not what is taken here: {what}"))
    };
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(wrong(&"it is a list, and not an object"));
    }
    serde_json::from_slice(bytes).map_err(|error| wrong(&error))
}

fn is_json(kind: &str) -> bool {
    let mime = kind.split(';').next().unwrap_or_default().trim();
    mime.eq_ignore_ascii_case("application/json")
}

/// A query.
#[derive(Debug)]
pub(super) struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failed> {
        let query = Query::<T>::try_from_uri(&parts.uri);
        let Query(value) = query.map_err(|error| {
            // What the library itself says before it is about the server.
            let why = std::error::Error::source(&error).map(ToString::to_string);
            let why = why.unwrap_or_else(|| error.body_text());
            Problem::bad(format!("the query is not what is taken here: {why}"))
        })?;
        Ok(Self(value))
    }
}

/// The one name that stands in a path.
#[derive(Debug)]
pub(super) struct Segment(pub String);

impl<S: Sync + Send> FromRequestParts<S> for Segment {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failed> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(name) = path.map_err(|error| Problem::bad(error.body_text()))?;
        Ok(Self(name))
    }
}
