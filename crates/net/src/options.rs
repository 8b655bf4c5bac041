//! What a server is built with, the hub aside.

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use http::HeaderMap;
use http::request::Parts;

use crate::accept::{DEFAULT_BACKLOG, Inherited, ListenAddress, Port};
use crate::cookie::StickyCookie;
use crate::cors::Cors;
use crate::forwarded::ForwardedBy;
use crate::head::DEFAULT_MAX_HEAD_BYTES;
use crate::limits::{ConnectionLimits, RateLimits};
use crate::peers::Fleet;
use crate::slow::{BodyRate, PhaseTimeouts};
use crate::tls::TlsReloader;
use crate::trust::TrustedProxies;

/// Looks at a request before anything is done with it. The message is for the log; the client sees code 4.
pub type UseRequest = Arc<dyn Fn(&Parts) -> Result<(), String> + Send + Sync>;
/// Decides about a handshake before there is a session, and may take its time. The message is for the log; the client
/// sees code 4.
pub type AllowRequest = Arc<dyn for<'a> Fn(&'a Parts) -> Decision<'a> + Send + Sync>;
/// A decision that is on its way. It never leaves its loop, so it need not be `Send`.
pub type Decision<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + 'a>>;
/// Adds headers to an answer.
pub type HeadersHook = Arc<dyn Fn(&Parts, &mut HeaderMap) + Send + Sync>;

/// What happens around requests to the engine's path. Hooks run on the loop and must not block.
///
/// ```
/// use lakh_net::Hooks;
///
/// let hooks = Hooks::default()
///     .allow_request(async |request| match request.headers.contains_key("x-key") {
///         true => Ok(()),
///         false => Err("no key".to_owned()),
///     })
///     .initial_headers(|_, headers| {
///         headers.append("x-served-by", http::HeaderValue::from_static("lakh"));
///     });
/// ```
#[derive(Clone, Default)]
pub struct Hooks {
    /// Called for every request, long polls and upgrades among them.
    pub use_request: Option<UseRequest>,
    /// Called for each handshake.
    pub allow_request: Option<AllowRequest>,
    /// Called for the answer to a session's first request.
    pub initial_headers: Option<HeadersHook>,
    /// Called for every answer on the engine's path.
    pub headers: Option<HeadersHook>,
}

impl Hooks {
    /// Looks at every request before anything is done with it, and may refuse it: `engine.use` in Node.
    #[must_use]
    pub fn use_request(
        mut self,
        hook: impl Fn(&Parts) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.use_request = Some(Arc::new(hook));
        self
    }

    /// Decides about each handshake: `allowRequest` in Node.
    #[must_use]
    pub fn allow_request(
        mut self,
        hook: impl AsyncFn(&Parts) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        let hook = Arc::new(hook);
        self.allow_request = Some(Arc::new(move |parts| {
            let hook = Arc::clone(&hook);
            Box::pin(async move { hook(parts).await })
        }));
        self
    }

    /// Adds headers to the answer that opens a session.
    #[must_use]
    pub fn initial_headers(
        mut self,
        hook: impl Fn(&Parts, &mut HeaderMap) + Send + Sync + 'static,
    ) -> Self {
        self.initial_headers = Some(Arc::new(hook));
        self
    }

    /// Adds headers to every answer.
    #[must_use]
    pub fn headers(
        mut self,
        hook: impl Fn(&Parts, &mut HeaderMap) + Send + Sync + 'static,
    ) -> Self {
        self.headers = Some(Arc::new(hook));
        self
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("use_request", &self.use_request.is_some())
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
    /// Whether another process may listen there too. Then this one leaves the port to it when it drains.
    pub port: Port,
    /// A socket that listens already: `listen` is not bound then. Others hold it too, so it is left to them when this
    /// process drains.
    pub inherited: Option<Arc<Inherited>>,
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
    /// Whether requests of long polling from pages of other origins are refused, too: for servers that know people by
    /// cookies, which browsers send along from anywhere. JSONP is a script to a browser, which says only by
    /// `Sec-Fetch-Site` where it comes from.
    pub check_polling_origin: bool,
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
    /// How far an event loop may be behind, in milliseconds: past it no session is opened there until it has caught up.
    /// `None`, as in Node: sessions are opened however late.
    pub max_lag_ms: Option<u64>,
    /// How long each phase of a connection may take.
    pub timeouts: PhaseTimeouts,
    /// How slowly a body may come.
    pub body_rate: BodyRate,
    /// Bytes of a request's head.
    pub max_head_bytes: usize,
    /// Sessions are closed spread over this time when the server drains.
    pub drain_window_ms: u64,
    /// The messages of a turn are handed to io_uring together, where the kernel allows it. Elsewhere, and where it is
    /// off, each takes a system call.
    pub io_uring: bool,
    /// The other nodes: requests for their sessions are forwarded to them. `None`: such sessions are unknown.
    pub fleet: Option<Fleet>,
    /// Hooks.
    pub hooks: Hooks,
}

impl Options {
    /// Whether another process takes connections on the same port.
    pub(crate) fn shares_its_port(&self) -> bool {
        self.inherited.is_some() || self.port == Port::Shared
    }

    /// The defaults, listening on this address: `Options::listening_on(([127, 0, 0, 1], 8080))`. Port 0 takes a free
    /// one, `[::]` takes IPv4 too.
    #[must_use]
    pub fn listening_on(address: impl Into<SocketAddr>) -> Self {
        Self {
            listen: ListenAddress::Tcp(address.into()),
            ..Self::default()
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: ListenAddress::Tcp(([127, 0, 0, 1], 3000).into()),
            port: Port::Alone,
            inherited: None,
            backlog: DEFAULT_BACKLOG,
            path: "/socket.io/".to_owned(),
            engine_path: None,
            polling: true,
            websocket: true,
            allow_eio3: false,
            compression: false,
            cors: None,
            check_origin: false,
            check_polling_origin: false,
            cookie: None,
            tls: None,
            trusted: TrustedProxies::none(),
            forwarded_by: ForwardedBy::default(),
            proxy_protocol: false,
            connections: ConnectionLimits::default(),
            handshakes: RateLimits::default(),
            max_lag_ms: None,
            timeouts: PhaseTimeouts::default(),
            body_rate: BodyRate::default(),
            max_head_bytes: DEFAULT_MAX_HEAD_BYTES,
            drain_window_ms: 5000,
            io_uring: true,
            fleet: None,
            hooks: Hooks::default(),
        }
    }
}
