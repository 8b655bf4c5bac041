//! Who may read what over HTTP.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::{HttpState, error};
use crate::config::Metrics;

/// Lets a request under `/api/v1` through: in production with an admin's token only.
pub async fn admin_in_production(
    State(state): State<HttpState>,
    request: Request,
    next: Next,
) -> Response {
    let header = request.headers().get(header::AUTHORIZATION);
    let header = header.and_then(|value| value.to_str().ok());
    match state.sign_in.check_header(header, (state.now_s)()) {
        // No tokens: development, or open on purpose. The API tells numbers and changes nothing.
        None => next.run(request).await,
        Some(Ok(principal)) if principal.admin => next.run(request).await,
        Some(Ok(_)) => error::answer(
            StatusCode::FORBIDDEN,
            "forbidden",
            "The token is not an admin's: make one with `lakh token --admin`",
        ),
        Some(Err(problem)) => {
            let mut response = error::answer(
                StatusCode::UNAUTHORIZED,
                problem.code(),
                problem.to_string(),
            );
            let scheme = HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, scheme);
            response
        }
    }
}

/// Whether the sender of a request may read the metrics.
pub fn may_read_metrics(metrics: &Metrics, parts: &Parts) -> bool {
    if metrics.public {
        return true;
    }
    let address = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let Some(ConnectInfo(address)) = address else {
        return false;
    };
    let ip = address.ip().to_canonical();
    allowed(metrics, ip) || (ip.is_loopback() && !is_forwarded(&parts.headers))
}

fn allowed(metrics: &Metrics, ip: IpAddr) -> bool {
    metrics
        .allowed
        .iter()
        .any(|network| network.0.contains(&ip))
}

/// A proxy on this machine also comes from loopback, and may bring anybody's request.
fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.contains_key("x-forwarded-for") || headers.contains_key(header::FORWARDED)
}
