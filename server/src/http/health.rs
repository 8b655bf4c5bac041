//! `/live`, `/ready` and `/metrics`: for whoever keeps the server running.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::{HttpState, Observed, VERSION, access, error};
use crate::telemetry::{metrics as text, process};

/// One thing that must be well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Check {
    /// What it is: "store", "loops", …
    pub name: &'static str,
    /// Whether it is well.
    pub ok: bool,
    /// What is wrong, where something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The answer of `/live` and `/ready`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Health {
    /// "live", "ready", "draining" or "unready".
    pub status: &'static str,
    /// What was looked at.
    pub checks: Vec<Check>,
}

/// Whether the node takes new clients, and why not.
pub async fn readiness(observed: &dyn Observed) -> Health {
    let checks = observed.checks().await;
    let status = match (observed.draining(), checks.iter().all(|check| check.ok)) {
        (true, _) => "draining",
        (false, true) => "ready",
        (false, false) => "unready",
    };
    Health { status, checks }
}

/// The process runs and answers.
#[utoipa::path(get, path = "/live", tag = "health",
    responses((status = 200, description = "The process runs", body = Health)))]
pub async fn live() -> Response {
    let health = Health {
        status: "live",
        checks: Vec::new(),
    };
    uncached(StatusCode::OK, health)
}

/// The node takes new clients.
#[utoipa::path(get, path = "/ready", tag = "health", responses(
    (status = 200, description = "The node takes new clients", body = Health),
    (status = 503, description = "It is draining, or a check failed", body = Health)))]
pub async fn ready(State(state): State<HttpState>) -> Response {
    let health = readiness(&*state.observed).await;
    let status = match health.status {
        "ready" => StatusCode::OK,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    uncached(status, health)
}

fn uncached(status: StatusCode, health: Health) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], Json(health)).into_response()
}

/// Numbers for Prometheus. Open to loopback and to the networks in `metrics.allowed`, unless `metrics.public` is set.
#[utoipa::path(get, path = "/metrics", tag = "health", responses(
    (status = 200, description = "Text format 0.0.4", content_type = "text/plain", body = String),
    (status = 403, description = "The address may not read them", body = error::ErrorBody)))]
pub async fn metrics(State(state): State<HttpState>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    if !access::may_read_metrics(&state.metrics, &parts) {
        return error::answer(
            StatusCode::FORBIDDEN,
            "forbidden",
            "Metrics are for loopback and the networks in `metrics.allowed`",
        );
    }
    let snapshot = state.observed.snapshot().await;
    let about = text::About {
        version: VERSION,
        ready: readiness(&*state.observed).await.status == "ready",
    };
    let body = text::exposition(about, &snapshot, &process::read());
    let headers = [
        (header::CONTENT_TYPE, text::CONTENT_TYPE),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, body).into_response()
}
