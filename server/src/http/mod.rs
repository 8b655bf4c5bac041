//! The HTTP side: health, metrics, API and page. It knows the sockets only through [`Observed`].
//!
//! What must hold: in production nothing under `/api/v1` but its description and the sign-in itself answers without a key,
//! token or session that allows it, and every error under `/api` is JSON.

pub mod access;
mod api;
pub(crate) mod body;
pub mod docs;
pub mod door;
mod edge;
pub mod error;
mod files;
pub mod health;
pub mod openapi;
pub mod page;
pub mod stats;

#[cfg(test)]
pub(crate) mod tests;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware;
use axum::response::Response;
use axum::routing::get;

use crate::config::Metrics;
use crate::console::{self, Console};
use crate::files::Files;
use crate::graphql;
use crate::mode::Mode;
use crate::service::Service;
use crate::sign_in::SignIn;
use crate::telemetry::snapshot::Snapshot;

/// A value that arrives later, from whichever thread.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What the HTTP side asks of the running server.
pub trait Observed: Send + Sync + 'static {
    /// The numbers of this moment.
    fn snapshot(&self) -> Later<'_, Snapshot>;

    /// What should be well: store, broker, …
    fn checks(&self) -> Later<'_, Vec<health::Check>>;

    /// Whether the server is ending and sends new clients elsewhere.
    fn draining(&self) -> bool;
}

/// What the handlers share.
#[derive(Clone)]
pub struct HttpState {
    /// The running server.
    pub observed: Arc<dyn Observed>,
    /// What backends can have the server do.
    pub service: Service,
    /// What the API's door is kept with.
    pub door: Arc<door::Door>,
    /// Checks tokens.
    pub sign_in: SignIn,
    /// Sign-in at the page, where it's set up.
    pub console: Option<Arc<Console>>,
    /// What the server is.
    pub mode: Mode,
    /// The page, where it has to be told something.
    pub index: page::Index,
    /// Who may read `/metrics`.
    pub metrics: Metrics,
    /// Files in messages, where chat is served.
    pub files: Option<Files>,
}

impl std::fmt::Debug for HttpState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpState")
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

/// The version in `/metrics`, the API and `--version`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// All paths that are not a socket's. The caller adds [`axum::extract::ConnectInfo`] with the client's address to each
/// request; without it the client counts as a stranger.
pub fn router(state: HttpState) -> Router {
    let api = api::routes()
        .merge(graphql::routes(&state))
        .route("/stats", get(stats::stats))
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(middleware::from_fn_with_state(
            state.clone(),
            access::identify,
        ));
    // What the API is may be known to everybody: browsers send no key along when somebody opens a page.
    let api = match state.door.shows_docs() {
        true => api.merge(
            Router::new()
                .route("/openapi.json", get(openapi::document))
                .route("/docs", get(docs::page))
                .method_not_allowed_fallback(error::method_not_allowed),
        ),
        false => api,
    };
    let api = api.layer(middleware::from_fn_with_state(state.clone(), edge::pass));
    // Who isn't signed in yet must be able to; pages of other origins have no business here.
    let api = api.merge(console::routes::api());
    let metrics = match state.metrics.enabled {
        true => get(health::metrics),
        false => get(error::not_found),
    };
    Router::new()
        .route("/live", get(health::live))
        .route("/ready", get(health::ready))
        .nest("/api/v1", api)
        .merge(files::routes(&state))
        .merge(console::routes::pages())
        .route("/metrics", metrics)
        .method_not_allowed_fallback(error::method_not_allowed)
        .fallback(page::serve)
        .layer(middleware::map_response(secured))
        .with_state(state)
}

/// Headers for every answer (OWASP Secure Headers). The page has no script or style of others, and nobody frames it.
async fn secured(mut response: Response) -> Response {
    const HEADERS: [(&str, &str); 4] = [
        (
            "content-security-policy",
            "default-src 'self'; connect-src 'self' ws: wss:; style-src 'self' 'unsafe-inline'; \
             img-src 'self' data:; object-src 'none'; base-uri 'self'; form-action 'self'; \
             frame-ancestors 'none'",
        ),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
    ];
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .entry(HeaderName::from_static(name))
            .or_insert(HeaderValue::from_static(value));
    }
    response
}
