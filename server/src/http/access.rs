//! Who may read what over HTTP.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use lakh_auth::Kind;

use super::{HttpState, error};
use crate::config::Metrics;
use crate::sign_in::{Credentials, SignInError};

/// Lets a request under `/api/v1` through: in production with an admin's token only.
pub async fn admin_in_production(
    State(state): State<HttpState>,
    request: Request,
    next: Next,
) -> Response {
    // No tokens: development, or open on purpose. The API tells numbers and changes nothing.
    if !state.sign_in.needs_tokens() {
        return next.run(request).await;
    }
    let header = request.headers().get(header::AUTHORIZATION);
    let credentials = Credentials {
        authorization: header.and_then(|value| value.to_str().ok()),
        ..Credentials::default()
    };
    match state.sign_in.check(&credentials).await {
        Ok(principal) if principal.admin => next.run(request).await,
        Ok(principal) if principal.kind != Kind::Anonymous => error::answer(
            StatusCode::FORBIDDEN,
            "forbidden",
            "The token is not an admin's: make one with `lakh token --admin`",
        ),
        Err(problem @ SignInError::Unavailable) => error::answer(
            StatusCode::SERVICE_UNAVAILABLE,
            problem.code(),
            problem.to_string(),
        ),
        refused => {
            let problem = refused.err().unwrap_or(SignInError::Needed);
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
