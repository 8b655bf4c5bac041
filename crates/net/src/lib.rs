//! The sockets: accept, HTTP, WebSocket, long polling, TLS, one event loop a core.
//!
//! [`Server`] starts the loops and listens; [`Options`] says how. Each loop is a thread with a current-thread runtime
//! and a shard of the hub; a connection stays on the loop that it was dealt to. A WebSocket handshake is read and
//! answered here, every other request goes through the HTTP library.

mod admission;
mod alarm;
mod batch;
mod clock;
mod event_loop;
mod farewell;
mod forward;
mod give_back;
mod greet;
mod http;
mod observe;
mod options;
mod peers;
mod polling;
mod pressure;
mod ring;
mod server;
mod shared;
mod stream;
mod takeover;
mod ws;

pub use ::http::request::Parts;
pub use ::http::{HeaderMap, HeaderValue, Method};
pub use axum::Router;
pub use clock::SystemClock;

pub use forward::ForwardCount;
pub use observe::{NetStats, Observer};
pub use options::{AllowRequest, Decision, HeadersHook, Hooks, Options, UseRequest};
pub use peers::{Fleet, Node, Peers, Secret};
pub use server::{Running, Server, StartError};
pub use shared::REFUSALS;

pub mod accept;
pub mod cookie;
pub mod cors;
pub mod drain;
pub mod forwarded;
pub mod head;
pub mod limits;
pub mod proxy;
pub mod response;
pub mod rewind;
pub mod slow;
pub mod tls;
pub mod trust;
pub mod upgrade;

/// The parsers of bytes that strangers send, for the fuzz targets.
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::cors::{Cors, CorsOptions, Origins, websocket_origin_allowed};
    pub use crate::forwarded::{Client, ForwardedBy, HeaderSource, Peer, resolve_client};
    pub use crate::head::{Head, HeadError, HeadReader, ParsedHead, header_slots, parse_head};
    pub use crate::proxy::{ProxyHeader, parse_proxy_header};
    pub use crate::response::write_head_error;
    pub use crate::trust::TrustedProxies;
    pub use crate::upgrade::WebSocketUpgrade;
}
