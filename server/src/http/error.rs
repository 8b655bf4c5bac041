//! Errors of the HTTP side: `{"error":{"code","message"}}`, as in the acknowledgements of the modules.

use std::borrow::Cow;

use axum::Json;
use axum::extract::OriginalUri;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::service::Problem;

/// The body of an error.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorText,
}

/// What went wrong.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ErrorText {
    /// For programs: `unauthorized`, `forbidden`, `not_found`, `method_not_allowed`, …
    #[schema(value_type = String, example = "not_found")]
    pub code: Cow<'static, str>,
    /// For people.
    pub message: String,
    /// What is there, where that is not what was expected.
    #[schema(value_type = Option<Object>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<Box<Value>>,
}

/// An error as an answer.
pub fn answer(
    status: StatusCode,
    code: impl Into<Cow<'static, str>>,
    message: impl Into<String>,
) -> Response {
    answer_with(status, code.into(), message.into(), None)
}

fn answer_with(
    status: StatusCode,
    code: Cow<'static, str>,
    message: String,
    current: Option<Box<Value>>,
) -> Response {
    let error = ErrorText {
        code,
        message,
        current,
    };
    let cache = [(header::CACHE_CONTROL, "no-store")];
    (status, cache, Json(ErrorBody { error })).into_response()
}

/// Why the service didn't do something, as an answer.
#[derive(Debug)]
pub struct Failed(pub Problem);

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let wait_s = self.0.retry_after_s();
        let Problem {
            kind,
            code,
            message,
            current,
            ..
        } = self.0;
        // The kinds have statuses that exist.
        let status =
            StatusCode::from_u16(kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = answer_with(status, code.into(), message, current);
        let headers = response.headers_mut();
        if let Some(wait_s) = wait_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait_s));
        }
        if status == StatusCode::UNAUTHORIZED {
            let schemes = HeaderValue::from_static("Bearer, Lakh-HMAC-SHA256");
            headers.insert(header::WWW_AUTHENTICATE, schemes);
        }
        response
    }
}

/// 404 for a path that isn't there.
pub async fn not_found(OriginalUri(uri): OriginalUri) -> Response {
    let message = format!("There is nothing at {}", uri.path());
    answer(StatusCode::NOT_FOUND, "not_found", message)
}

/// 405 for a path that is there for another method; which, the header `Allow` says.
pub async fn method_not_allowed(method: Method, OriginalUri(uri): OriginalUri) -> Response {
    let message = format!("{} doesn't take {method}", uri.path());
    answer(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        message,
    )
}

/// The same for a path that can only be read.
pub async fn read_only(method: Method, uri: OriginalUri) -> Response {
    let mut response = method_not_allowed(method, uri).await;
    let allowed = HeaderValue::from_static("GET,HEAD");
    response.headers_mut().insert(header::ALLOW, allowed);
    response
}
