//! `/live`, `/ready` and `/metrics`: for whoever keeps the server running.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::{HttpState, Observed, VERSION, access, error};
use crate::telemetry::{metrics as text, process};

/// One thing that should be well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Check {
    /// What it is: "store", "loops", "broker", …
    pub name: &'static str,
    /// Whether it is well.
    pub ok: bool,
    /// What is wrong, where something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Whether no clients are taken without it. Not so where all nodes would be sent away at once, as by a Redis that they
    /// share: each goes on with what it has.
    #[serde(skip)]
    pub needed: bool,
}

impl Check {
    /// Something without which the node takes no clients. `detail` says what is wrong with it.
    pub fn of_a_need(name: &'static str, detail: Option<String>) -> Self {
        let ok = detail.is_none();
        Self {
            name,
            ok,
            detail,
            needed: true,
        }
    }

    /// Something without which the node goes on, and says so.
    pub fn of_a_help(name: &'static str, detail: Option<String>) -> Self {
        Self {
            needed: false,
            ..Self::of_a_need(name, detail)
        }
    }
}

/// The answer of `/live` and `/ready`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Health {
    /// "live", "ready", "impaired" (it takes clients, and something they may miss is wrong), "draining" or "unready".
    pub status: &'static str,
    /// What was looked at.
    pub checks: Vec<Check>,
}

impl Health {
    /// Whether new clients may come.
    pub fn takes_clients(&self) -> bool {
        matches!(self.status, "ready" | "impaired")
    }
}

/// Whether the node takes new clients, and why not.
pub async fn readiness(observed: &dyn Observed) -> Health {
    let checks = observed.checks().await;
    let mut wrong = checks.iter().filter(|check| !check.ok).peekable();
    let status = match (observed.draining(), wrong.peek().is_some()) {
        (true, _) => "draining",
        (false, false) => "ready",
        (false, true) if wrong.any(|check| check.needed) => "unready",
        (false, true) => "impaired",
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
    (status = 200, description = "The node takes new clients; `status` and `checks` say if not all is well", body = Health),
    (status = 503, description = "It is draining, or what it needs is not well", body = Health)))]
pub async fn ready(State(state): State<HttpState>) -> Response {
    let health = readiness(&*state.observed).await;
    let status = match health.takes_clients() {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
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
        ready: readiness(&*state.observed).await.takes_clients(),
    };
    let body = text::exposition(about, &snapshot, &process::read());
    let headers = [
        (header::CONTENT_TYPE, text::CONTENT_TYPE),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, body).into_response()
}
