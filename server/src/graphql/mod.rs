//! GraphQL over the service of the API: queries and mutations over HTTP, subscriptions over WebSocket.
//!
//! Who asks is found out where it is for all of `/api/v1`. Browsers can send no header with a WebSocket: such a client
//! shows its key or token in the payload of `connection_init`.

mod cost;
mod http;
mod schema;
mod ws;

use std::collections::HashMap;

use axum::Extension;
use axum::Router;
use axum::body::Body;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Query, State, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;

use crate::http::HttpState;
use crate::http::access::Identity;
use crate::service::{Caller, Problem};
use schema::LakhSchema;

/// What the handlers share.
#[derive(Clone)]
struct GraphQl {
    schema: LakhSchema,
    state: HttpState,
}

impl GraphQl {
    /// Counts the things of a request beside the first.
    fn pace_rest(&self, caller: &Caller, things: usize) -> Result<(), Problem> {
        let state = &self.state;
        state.door.pace_rest(&state.service, caller, things)
    }
}

/// Where it stands under `/api/v1`.
pub const PATH: &str = "/graphql";

/// The endpoint, to be put under `/api/v1`.
pub fn routes(state: &HttpState) -> Router<HttpState> {
    let graphql = GraphQl {
        schema: schema::schema(state.clone()),
        state: state.clone(),
    };
    Router::new().route(PATH, get(ask).post(post).with_state(graphql))
}

async fn post(
    State(graphql): State<GraphQl>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    http::post(&graphql, identity, &headers, body).await
}

/// A GET is a query, or a WebSocket.
async fn ask(
    State(graphql): State<GraphQl>,
    Extension(identity): Extension<Identity>,
    query: Query<HashMap<String, String>>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else {
        return http::get(&graphql, identity, &headers, &query.0).await;
    };
    upgrade
        .protocols([ws::PROTOCOL])
        .max_message_size(ws::MAX_MESSAGE_BYTES)
        .max_frame_size(ws::MAX_MESSAGE_BYTES)
        .on_upgrade(move |socket| ws::serve(socket, graphql, identity))
}
