//! The floor: a bare epoll program that completes the same handshakes as a Socket.IO server and understands exactly
//! the frames of the load generator.
//!
//! One thread, no session but a number, no limits worth the name. What it costs is nearly all kernel, so what another
//! server costs more is its own. Three forms: `send` calls send(2) once for each receiver of a broadcast; `joined` joins
//! the frames of one loop turn into one vectored write a receiver; `uring` hands the sends of a turn to io_uring at once.

mod codec;
mod conn;
mod hello;
mod server;
mod uring;

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

/// How frames go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// One send(2) for each receiver.
    Send,
    /// The frames of one loop turn in one vectored write for each receiver.
    Joined,
    /// The sends of one loop turn handed to io_uring at once.
    Uring,
}

/// A bare server to measure others against.
#[derive(Clone, Debug, Parser)]
#[command(name = "lakh-floor", version, about)]
struct Options {
    /// How frames go out.
    #[arg(value_enum, default_value_t = Form::Send)]
    form: Form,
    /// Where to listen.
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// Milliseconds between two pings.
    #[arg(long, env = "PING_MS", default_value_t = 25_000)]
    ping_ms: u64,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match server::run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lakh-floor: {error}");
            ExitCode::FAILURE
        }
    }
}
