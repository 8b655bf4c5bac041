//! What a server is built with, the hub aside.

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use http::request::Parts;

use crate::accept::{DEFAULT_BACKLOG, ListenAddress};
use crate::cookie::StickyCookie;
use crate::cors::Cors;
use crate::forwarded::ForwardedBy;
use crate::head::DEFAULT_MAX_HEAD_BYTES;
use crate::limits::{ConnectionLimits, RateLimits};
use crate::slow::{BodyRate, PhaseTimeouts};
use crate::tls::TlsReloader;
use crate::trust::TrustedProxies;

/// Decides about a handshake before there is a session. The message is for the log; the client sees code 4.
pub type AllowRequest = Arc<dyn Fn(&Parts) -> Result<(), String> + Send + Sync>;
/// Adds headers to an answer.
pub type HeadersHook = Arc<dyn Fn(&Parts, &mut HeaderMap) + Send + Sync>;

/// What happens around requests to the engine's path. Hooks run on the loop and must not block.
#[derive(Clone, Default)]
pub struct Hooks {
    /// Called for each handshake.
    pub allow_request: Option<AllowRequest>,
    /// Called for the answer to a session's first request.
    pub initial_headers: Option<HeadersHook>,
    /// Called for every answer on the engine's path.
    pub headers: Option<HeadersHook>,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("allow_request", &self.allow_request.is_some())
            .field("initial_headers", &self.initial_headers.is_some())
            .field("headers", &self.headers.is_some())
            .finish()
    }
}

/// What a server is built with, the hub aside. [`Options::default`] is a server on 127.0.0.1:3000 that behaves as
/// Node's does by default.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen.
    pub listen: ListenAddress,
    /// Connections that the kernel may hold before they are accepted.
    pub backlog: u32,
    /// The path of Socket.IO, `/socket.io/`.
    pub path: String,
    /// A path where Engine.IO is served without Socket.IO on top; `Hub::set_engine_io` says what it does.
    pub engine_path: Option<String>,
    /// Long polling is served.
    pub polling: bool,
    /// WebSocket is served.
    pub websocket: bool,
    /// Clients of Engine.IO protocol 3 (Socket.IO 2) are served.
    pub allow_eio3: bool,
    /// permessage-deflate is negotiated with WebSocket clients that offer it.
    pub compression: bool,
    /// Cross-origin requests; `None` sends no headers.
    pub cors: Option<Cors>,
    /// WebSockets from pages of other origins than the host's and those of `cors` are refused. Off as in Node.
    pub check_origin: bool,
    /// A cookie with the session's id, for balancers that route by cookies.
    pub cookie: Option<StickyCookie>,
    /// TLS.
    pub tls: Option<Arc<TlsReloader>>,
    /// Peers whose forwarding headers are believed.
    pub trusted: TrustedProxies,
    /// The header that trusted peers send.
    pub forwarded_by: ForwardedBy,
    /// Every connection begins with a PROXY header (version 1 or 2). Only for listeners behind such a proxy: peers
    /// outside `trusted` are refused.
    pub proxy_protocol: bool,
    /// Open connections.
    pub connections: ConnectionLimits,
    /// Handshakes a second.
    pub handshakes: RateLimits,
    /// How long each phase of a connection may take.
    pub timeouts: PhaseTimeouts,
    /// How slowly a body may come.
    pub body_rate: BodyRate,
    /// Bytes of a request's head.
    pub max_head_bytes: usize,
    /// Sessions are closed spread over this time when the server drains.
    pub drain_window_ms: u64,
    /// Hooks.
    pub hooks: Hooks,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: ListenAddress::Tcp(([127, 0, 0, 1], 3000).into()),
            backlog: DEFAULT_BACKLOG,
            path: "/socket.io/".to_owned(),
            engine_path: None,
            polling: true,
            websocket: true,
            allow_eio3: false,
            compression: false,
            cors: None,
            check_origin: false,
            cookie: None,
            tls: None,
            trusted: TrustedProxies::none(),
            forwarded_by: ForwardedBy::default(),
            proxy_protocol: false,
            connections: ConnectionLimits::default(),
            handshakes: RateLimits::default(),
            timeouts: PhaseTimeouts::default(),
            body_rate: BodyRate::default(),
            max_head_bytes: DEFAULT_MAX_HEAD_BYTES,
            drain_window_ms: 5000,
            hooks: Hooks::default(),
        }
    }
}
