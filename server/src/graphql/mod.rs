//! GraphQL over the service of the API: queries and mutations over HTTP, subscriptions over WebSocket.

mod http;
mod ws;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::Executor;
use axum::Router;
use axum::body::Bytes;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Query, State, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::get;
use lakh_auth::Principal;
use serde_json::Value;

use crate::http::Later;

/// Somebody who may ask.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// Who it is.
    pub principal: Principal,
    /// When the sign-in ends, if it does.
    pub ends_in: Option<Duration>,
}

/// Somebody who may not.
#[derive(Clone, Debug)]
pub struct Refused {
    /// 401 or 403, or what else it is.
    pub status: StatusCode,
    /// For programs.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

/// Who looks at sign-ins.
pub trait Door: Send + Sync + 'static {
    /// Checks the headers of a request; of a WebSocket, also the payload of `connection_init`.
    fn admit(
        &self,
        headers: HeaderMap,
        payload: Option<Value>,
    ) -> Later<'_, Result<Admitted, Refused>>;
}

/// What the handlers share.
#[derive(Clone)]
pub struct GraphQl<E> {
    executor: E,
    door: Arc<dyn Door>,
}

impl<E: Executor> GraphQl<E> {
    /// An endpoint for this schema, behind this door.
    pub fn new(executor: E, door: Arc<dyn Door>) -> Self {
        Self { executor, door }
    }

    /// The endpoint, to be put at a path.
    pub fn router<S>(self) -> Router<S> {
        let route = get(ask::<E>).post(post::<E>);
        Router::new().route("/", route).with_state(self)
    }
}

async fn post<E: Executor>(
    State(graphql): State<GraphQl<E>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    http::post(&graphql, &headers, &body).await
}

/// A GET is a query, or a WebSocket.
async fn ask<E: Executor>(
    State(graphql): State<GraphQl<E>>,
    query: Query<HashMap<String, String>>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else {
        return http::get(&graphql, &headers, &query.0).await;
    };
    upgrade
        .protocols([ws::PROTOCOL])
        .max_message_size(ws::MAX_MESSAGE_BYTES)
        .max_frame_size(ws::MAX_MESSAGE_BYTES)
        .on_upgrade(move |socket| ws::serve(socket, graphql, headers))
}
