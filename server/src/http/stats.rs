//! `/api/v1/stats`: the numbers of the node, for the overview page.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::access::Identity;
use super::{HttpState, VERSION, error, health};
use crate::mode::Mode;
use crate::service::{Caller, Problem};
use crate::telemetry::process::{self, Process};
use crate::telemetry::snapshot::Snapshot;

/// The numbers of a node. Counters are totals since the start: two readings make a rate.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Stats {
    /// Name of the node.
    pub node: String,
    /// Version of the binary.
    pub version: &'static str,
    /// When it started, in milliseconds since 1970.
    pub started_at: u64,
    /// How long it has run, in seconds.
    pub uptime_s: u64,
    /// Whether it takes new clients.
    pub ready: bool,
    /// "development" where a name is sign-in enough, "production" where a token is needed.
    #[schema(example = "development")]
    pub mode: &'static str,
    /// Open connections.
    pub connections: Connections,
    /// Sockets: a connection has one in each of its namespaces.
    pub sockets: u64,
    /// Rooms, without those that are a socket's own.
    pub rooms: u64,
    /// By namespace.
    pub namespaces: Vec<Namespace>,
    /// Messages from clients.
    pub messages_in: u64,
    /// Messages to clients, one for each receiver.
    pub messages_out: u64,
    /// Bytes from clients.
    pub bytes_in: u64,
    /// Bytes to clients.
    pub bytes_out: u64,
    /// Processor time used, in seconds.
    pub cpu_seconds: f64,
    /// Memory in RAM, in bytes.
    pub resident_bytes: u64,
    /// Event loops.
    pub loops: u64,
}

/// Open connections by transport.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Connections {
    /// All of them.
    pub total: u64,
    /// On WebSocket.
    pub websocket: u64,
    /// On long polling.
    pub polling: u64,
}

/// What one namespace holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Namespace {
    /// Its name.
    #[schema(example = "/chat")]
    pub name: String,
    /// Sockets in it.
    pub sockets: u64,
    /// Rooms in it.
    pub rooms: u64,
}

impl Stats {
    fn new(snapshot: Snapshot, process: &Process, mode: Mode, ready: bool) -> Self {
        let (websocket, polling) = (snapshot.connections_websocket, snapshot.connections_polling);
        let namespaces = snapshot.namespaces.into_iter().map(|namespace| Namespace {
            name: namespace.name,
            sockets: namespace.sockets,
            rooms: namespace.rooms,
        });
        Self {
            node: snapshot.node,
            version: VERSION,
            started_at: snapshot.started_at_ms,
            uptime_s: snapshot.uptime_ms / 1_000,
            ready,
            mode: mode.word(),
            connections: Connections {
                total: websocket + polling,
                websocket,
                polling,
            },
            sockets: snapshot.sockets,
            rooms: snapshot.rooms,
            namespaces: namespaces.collect(),
            messages_in: snapshot.messages_in,
            messages_out: snapshot.messages_out,
            bytes_in: snapshot.bytes_in,
            bytes_out: snapshot.bytes_out,
            cpu_seconds: process.cpu_seconds.unwrap_or_default(),
            resident_bytes: process.resident_bytes.unwrap_or_default(),
            loops: snapshot.loops,
        }
    }
}

/// Outside production everybody may: it tells numbers and changes nothing.
fn may_read(state: &HttpState, who: Result<Caller, Problem>) -> Result<(), Problem> {
    match (state.mode, who) {
        (Mode::Production, Err(problem)) => Err(problem),
        (Mode::Production, Ok(caller)) => state.service.may_read_stats(&caller),
        _ => Ok(()),
    }
}

/// The numbers of this node. Takes `api:stats` on `node:` and its name; nothing in development.
#[utoipa::path(get, path = "/api/v1/stats", tag = "api", security((), ("key" = []), ("token" = []), ("signature" = [])), responses(
    (status = 200, description = "The numbers of this moment", body = Stats),
    (status = 401, description = "In production: no valid key or token", body = error::ErrorBody),
    (status = 403, description = "In production: it doesn't allow this", body = error::ErrorBody)))]
pub async fn stats(
    State(state): State<HttpState>,
    Extension(Identity(who)): Extension<Identity>,
) -> Response {
    match read(&state, who).await {
        Ok(stats) => ([(header::CACHE_CONTROL, "no-store")], Json(stats)).into_response(),
        Err(problem) => error::Failed(problem).into_response(),
    }
}

/// The numbers of this node, for whoever may read them.
///
/// # Errors
/// In production, if they may not.
pub async fn read(state: &HttpState, who: Result<Caller, Problem>) -> Result<Stats, Problem> {
    may_read(state, who)?;
    let snapshot = state.observed.snapshot().await;
    let ready = health::readiness(&*state.observed).await.takes_clients();
    Ok(Stats::new(snapshot, &process::read(), state.mode, ready))
}
