//! Around everything under `/api/v1`: ids of requests, pages of other origins, and preflights.

use std::fmt::Write as _;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::HttpState;

/// Names a request in the log of whoever sent it, and in the answer.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_ID_BYTES: usize = 128;

/// Passes a request on, and tells its id and which pages may read the answer.
pub(super) async fn pass(State(state): State<HttpState>, request: Request, next: Next) -> Response {
    let id = id_of(&request).unwrap_or_else(|| new_id(&state));
    let origin = request.headers().get(header::ORIGIN).cloned();
    let cors = state.door.cors();
    let mut response = if request.method() == Method::OPTIONS {
        let mut response = StatusCode::NO_CONTENT.into_response();
        if let Some(cors) = cors {
            cors.apply_preflight(request.headers(), response.headers_mut());
        }
        response
    } else {
        let mut response = next.run(request).await;
        if let Some(cors) = cors {
            cors.apply(origin.as_ref(), response.headers_mut());
        }
        response
    };
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// The id that a request came with, if it's one that can be shown in a log.
fn id_of(request: &Request) -> Option<HeaderValue> {
    let id = request.headers().get(REQUEST_ID)?;
    let fits = (1..=MAX_ID_BYTES).contains(&id.len());
    let shown = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(byte);
    (fits && id.as_bytes().iter().all(shown)).then(|| id.clone())
}

fn new_id(state: &HttpState) -> HeaderValue {
    let hub = state.service.hub();
    let mut id = String::with_capacity(24);
    for _ in 0..3 {
        // Writing to a string can't fail.
        let _ = write!(id, "{:08x}", hub.random());
    }
    HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("-"))
}
