//! The protocol of the load generator on Lakh's library, with the full server's sessions, rooms, recovery and limits.
//!
//! Handlers are written as the examples write them: typed arguments, no raw payloads, nothing that a user wouldn't do.

use std::cell::RefCell;
use std::error::Error;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use lakh::auth::Principal;
use lakh::net::limits::{ConnectionLimits, Rate, RateLimits};
use lakh::redis::{self, Backend};
use lakh::store::Store;
use lakh::{Ack, LogLimits, Millis, Namespace, Options, Server, SessionConfig, Settings, Socket};
use lakh_rooms::{Config, RoomOptions, StateOptions};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The protocol of the load generator on Lakh.
#[derive(Clone, Debug, Parser)]
#[command(name = "lakh-bench-server", version, about)]
struct Arguments {
    /// Where to listen.
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// Event loops.
    #[arg(long, default_value_t = 1)]
    loops: usize,
    /// No connection state recovery.
    #[arg(long)]
    no_recovery: bool,
    /// A system call a message, even where the kernel offers io_uring.
    #[arg(long)]
    no_io_uring: bool,
    /// Milliseconds between two pings.
    #[arg(long, env = "PING_MS", default_value_t = 25_000)]
    ping_ms: u64,
    /// Lakh's rooms instead of the little protocol: for the scenario `cursors`.
    #[arg(long)]
    rooms: bool,
    /// Positions of cursors that each member is told in a second at most.
    #[arg(long, default_value_t = 2_000)]
    positions: u32,
    /// Redis that the nodes of a fleet share.
    #[arg(long, env = "REDIS")]
    redis: Option<String>,
    /// How the nodes reach each other.
    #[arg(long, env = "ADAPTER", value_enum, default_value_t = Adapter::Streams)]
    adapter: Adapter,
    /// This node's name among others; the first three characters must differ.
    #[arg(long, env = "NODE")]
    node: Option<String>,
}

/// Whose bytes the nodes speak.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Adapter {
    /// @socket.io/redis-adapter.
    Classic,
    /// Its sharded form, a channel a room.
    Sharded,
    /// @socket.io/redis-streams-adapter.
    Streams,
}

impl Adapter {
    fn backend(self) -> Backend {
        match self {
            Self::Classic => Backend::Classic,
            Self::Sharded => Backend::Sharded {
                mode: redis::Mode::Dynamic,
            },
            Self::Streams => Backend::streams(),
        }
    }
}

thread_local! {
    /// The sockets of this loop that asked for ticks.
    static TICKED: RefCell<Vec<Socket>> = const { RefCell::new(Vec::new()) };
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    raise_descriptors();
    match serve(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lakh-bench-server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let mut server = Server::with(settings(arguments), options(arguments));
    if let Some(url) = &arguments.redis {
        server = server.fleet(url, arguments.adapter.backend())?;
    }
    if arguments.rooms {
        install_rooms(&server, arguments);
        return Ok(server.run()?);
    }
    let main = server.of("/");
    if !arguments.no_recovery {
        main.recoverable(LogLimits::default());
    }
    handle(&main);
    Ok(server.run()?)
}

/// The module with its defaults, and a store in memory. As in development, a name is a sign-in.
fn install_rooms(server: &Server, arguments: &Arguments) {
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct Auth {
        name: String,
    }
    server.of("/").use_connect(async |socket: Socket| {
        let Auth { name } = socket.auth().unwrap_or_default();
        if !name.is_empty() {
            let id = format!("dev:{}", name.to_lowercase());
            socket.set_principal(Principal::person(id, name));
        }
        Ok(())
    });
    let state = StateOptions {
        cursor_positions_per_second: arguments.positions,
        ..StateOptions::default()
    };
    let config = Config {
        recovery: (!arguments.no_recovery).then(LogLimits::default),
        options: vec![RoomOptions {
            state,
            ..RoomOptions::of("*")
        }],
        ..Config::default()
    };
    drop(lakh_rooms::install(&server.hub(), Store::memory(), config));
}

fn settings(arguments: &Arguments) -> Settings {
    let defaults = Settings::default();
    Settings {
        node: arguments.node.clone().unwrap_or(defaults.node),
        shards: arguments.loops.max(1),
        engine: SessionConfig {
            ping_interval: Millis(arguments.ping_ms),
            ..SessionConfig::default()
        },
        ..Settings::default()
    }
}

/// Limits are on, and so high that the load stays below them: what they cost is to be measured, too.
fn options(arguments: &Arguments) -> Options {
    let plenty = Some(Rate {
        per_second: 1_000_000,
        burst: 1_000_000,
    });
    Options {
        listen: lakh::net::accept::ListenAddress::Tcp(arguments.listen),
        connections: ConnectionLimits {
            total: Some(1_000_000),
            per_address: Some(100_000),
        },
        handshakes: RateLimits {
            process: plenty,
            per_address: plenty,
            ..RateLimits::default()
        },
        io_uring: !arguments.no_io_uring,
        ..Options::default()
    }
}

fn handle(main: &Namespace) {
    main.on("join", async |socket: Socket, room: String, ack: Ack| {
        socket.join(room);
        // Fails only if the answer can't be written as JSON.
        let _ = ack.send(&());
    });
    let namespace = main.clone();
    main.on(
        "pub",
        async move |_: Socket, (room, payload): (String, String)| {
            // Fails only if the server is overloaded, and then publishers are held back already.
            let _ = namespace.to(room).emit("m", &payload);
        },
    );
    main.on("echo", async |_: Socket, payload: String, ack: Ack| {
        let _ = ack.send(&payload);
    });

    main.on(
        "tick",
        async |socket: Socket, (hz, bytes): (u32, usize), ack: Ack| {
            let first = TICKED.with_borrow_mut(|sockets| {
                sockets.push(socket);
                sockets.len() == 1
            });
            if first {
                tokio::task::spawn_local(ticks(hz.max(1), bytes));
            }
            let _ = ack.send(&());
        },
    );
}

/// Sends each socket of this loop that asked for it a payload of its own, until all are gone.
async fn ticks(hz: u32, bytes: usize) {
    let mut interval = tokio::time::interval(Duration::from_secs(1) / hz);
    for number in 0u32.. {
        interval.tick().await;
        let left = TICKED.with_borrow_mut(|sockets| {
            sockets.retain(Socket::is_connected);
            for socket in sockets.iter() {
                let payload = payload(number, socket.id(), bytes);
                let _ = socket.emit_volatile("t", &payload);
            }
            sockets.len()
        });
        if left == 0 {
            return;
        }
    }
}

/// A tick's number, and the receiver's own filler.
fn payload(number: u32, id: &str, bytes: usize) -> String {
    let mut payload = String::with_capacity(bytes + id.len());
    // Writing to a string can't fail.
    let _ = write!(payload, "{number:08x}");
    while payload.len() < bytes {
        payload.push_str(id);
    }
    payload.truncate(bytes);
    payload
}

/// As many descriptors as the system lets us have.
fn raise_descriptors() {
    let most = getrlimit(Resource::Nofile).maximum;
    let ask = |limit| Rlimit {
        current: limit,
        maximum: limit,
    };
    let _ = setrlimit(Resource::Nofile, ask(Some(1 << 20)))
        .or_else(|_| setrlimit(Resource::Nofile, ask(most)));
}
