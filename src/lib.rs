//! Lakh as a library: a real-time server that stock Socket.IO clients connect to, with handlers of your own.
//!
//! ```no_run
//! use lakh::{Ack, Server, Socket};
//!
//! fn main() -> Result<(), lakh::StartError> {
//!     let server = Server::new();
//!     server.of("/").on("echo", async |_: Socket, text: String, ack: Ack| {
//!         // Fails only if the answer can't be written as JSON, and text always can.
//!         let _ = ack.send(&text);
//!     });
//!     server.run()
//! }
//! ```
//!
//! [`Server`] is a hub with sockets: it has all methods of [`Hub`], of which [`Hub::of`] leads to everything else.

use std::ops::Deref;

pub use lakh_hub::*;
pub use lakh_net as net;
pub use lakh_net::{Hooks, Options, Running, StartError, SystemClock};

/// A server that isn't running yet. It has all methods of [`Hub`].
#[derive(Debug)]
pub struct Server {
    hub: Hub,
    options: Options,
    router: Option<net::Router>,
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Server {
    type Target = Hub;

    fn deref(&self) -> &Hub {
        &self.hub
    }
}

impl Server {
    /// A server on 127.0.0.1:3000 with the defaults of Node's server, and one event loop a core.
    #[must_use]
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let settings = Settings {
            shards: cores,
            ..Settings::default()
        };
        Self::with(settings, Options::default())
    }

    /// A server with settings and options of your own.
    #[must_use]
    pub fn with(settings: Settings, options: Options) -> Self {
        Self {
            hub: Hub::new(settings, SystemClock::default()),
            options,
            router: None,
        }
    }

    /// Answers all HTTP requests that aren't Socket.IO's.
    #[must_use]
    pub fn router(mut self, router: net::Router) -> Self {
        self.router = Some(router);
        self
    }

    /// The hub: a handle that any thread may use.
    #[must_use]
    pub fn hub(&self) -> Hub {
        self.hub.clone()
    }

    fn into_net(self) -> net::Server {
        let server = net::Server::new(self.hub, self.options);
        match self.router {
            Some(router) => server.router(router),
            None => server,
        }
    }

    /// Starts, and gives back a handle to the running server.
    ///
    /// # Errors
    /// [`StartError`]: it can't listen, or can't start its loops.
    pub fn start(self) -> Result<Running, StartError> {
        self.into_net().start()
    }

    /// Starts, and runs until SIGTERM or SIGINT; then drains and returns.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn run(self) -> Result<(), StartError> {
        self.into_net().run()
    }
}
