//! Errors of the HTTP side: `{"error":{"code","message"}}`, as in the acknowledgements of the modules.

use axum::Json;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// The body of an error.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorText,
}

/// What went wrong.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ErrorText {
    /// For programs: `unauthorized`, `forbidden`, `not_found`, `method_not_allowed`.
    #[schema(example = "not_found")]
    pub code: &'static str,
    /// For people.
    pub message: String,
}

/// An error as an answer.
pub fn answer(status: StatusCode, code: &'static str, message: impl Into<String>) -> Response {
    let error = ErrorText {
        code,
        message: message.into(),
    };
    let cache = [(header::CACHE_CONTROL, "no-store")];
    (status, cache, Json(ErrorBody { error })).into_response()
}

/// 404 for a path that isn't there.
pub async fn not_found(uri: Uri) -> Response {
    let message = format!("There is nothing at {}", uri.path());
    answer(StatusCode::NOT_FOUND, "not_found", message)
}

/// 405 for a path that is there for another method. All paths here are read only.
pub async fn method_not_allowed(method: Method, uri: Uri) -> Response {
    let message = format!("{} takes GET, not {method}", uri.path());
    let mut response = answer(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        message,
    );
    let allowed = axum::http::HeaderValue::from_static("GET,HEAD");
    response.headers_mut().insert(header::ALLOW, allowed);
    response
}
