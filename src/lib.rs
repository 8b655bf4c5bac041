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

mod fleet;

use std::ops::Deref;

pub use fleet::FleetError;
pub use lakh_hub::*;
pub use lakh_net as net;
pub use lakh_net::{Hooks, Options, StartError, SystemClock};

/// A server that isn't running yet. It has all methods of [`Hub`].
#[derive(Debug)]
pub struct Server {
    hub: Hub,
    options: Options,
    router: Option<net::Router>,
    fleet: Option<fleet::Fleet>,
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
            fleet: None,
        }
    }

    /// Joins a fleet through Redis, in the bytes of one of Node's adapters: its servers may be in it as well. To be called
    /// before namespaces are made recoverable; recovery needs [`redis::Backend::streams`]. Nodes need names of their own
    /// ([`Settings::node`]).
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use lakh::{LogLimits, Server, redis::Backend};
    ///
    /// let server = Server::new().fleet("redis://127.0.0.1:6379", Backend::streams())?;
    /// server.of("/").recoverable(LogLimits::default());
    /// server.run()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`FleetError`]. That Redis is away is none: the server starts when it is there.
    pub fn fleet(mut self, url: &str, backend: redis::Backend) -> Result<Self, FleetError> {
        self.fleet = Some(fleet::Fleet::join(&self.hub, url, backend)?);
        Ok(self)
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

    fn into_net(self) -> (net::Server, Option<fleet::Fleet>) {
        if let Some(fleet) = &self.fleet {
            fleet.wait();
        }
        let server = net::Server::new(self.hub, self.options);
        let server = match self.router {
            Some(router) => server.router(router),
            None => server,
        };
        (server, self.fleet)
    }

    /// Starts, and gives back a handle to the running server.
    ///
    /// # Errors
    /// [`StartError`]: it can't listen, or can't start its loops.
    pub fn start(self) -> Result<Running, StartError> {
        let (server, fleet) = self.into_net();
        let net = server.start()?;
        Ok(Running { net, fleet })
    }

    /// Starts, and runs until SIGTERM or SIGINT; then drains and returns.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn run(self) -> Result<(), StartError> {
        let (server, fleet) = self.into_net();
        let ended = server.run();
        if let Some(fleet) = fleet {
            fleet.leave_now();
        }
        ended
    }
}

/// A server that runs. It stops when this is dropped.
#[derive(Debug)]
pub struct Running {
    net: net::Running,
    fleet: Option<fleet::Fleet>,
}

impl Deref for Running {
    type Target = net::Running;

    fn deref(&self) -> &net::Running {
        &self.net
    }
}

impl Running {
    /// Takes no new sessions, closes those that are open spread over the drain window, stops the loops, and leaves the
    /// fleet.
    pub async fn drain(self) {
        self.net.drain().await;
        if let Some(fleet) = self.fleet {
            fleet.leave().await;
        }
    }

    /// Stops at once.
    pub async fn stop(self) {
        self.net.stop().await;
    }
}
