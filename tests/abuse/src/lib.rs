//! What the abuse tests share: the real binary as a child process, and newcomers who must be served all the while.
//!
//! What must always hold: the process lives, its memory stays within a bound that is told in the test, and a client
//! that comes new is answered, over WebSocket and over polling, while the abuse goes on and after it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lakh_testkit::{
    BOUND, PollingClient, Program, Server, SocketClient, WsClient, connect_from, source_address,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// One mebibyte.
pub const MIB: u64 = 1024 * 1024;

/// The server under abuse, with a data folder of its own.
#[derive(Debug)]
pub struct Target {
    /// The process.
    pub server: Server,
    // Goes with the server; the field is here for its `Drop`.
    _data: TempDir,
}

impl Target {
    /// Starts `lakh serve` with these settings (`LAKH_…` variables) over its defaults.
    ///
    /// # Errors
    /// What the system says; `NotFound` when the binary was not built.
    pub fn start(settings: &[(&str, &str)]) -> io::Result<Self> {
        lakh_testkit::raise_descriptor_limit()?;
        let data = TempDir::new()?;
        let folder = data.path().to_string_lossy().into_owned();
        let mut program = Program::lakh(&folder)?.env("LAKH_ROOMS__EVENTS_PER_SECOND", "1000000");
        for (key, value) in settings {
            program = program.env(key, value);
        }
        Ok(Self {
            server: program.start()?,
            _data: data,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Fails unless the process lives, holds (and ever held) at most `bytes` of memory, and answers newcomers.
    ///
    /// # Errors
    /// What doesn't hold.
    pub fn check(&mut self, bytes: u64) -> io::Result<()> {
        if !self.server.is_running()? {
            return Err(io::Error::other(format!("it died:\n{}", self.tail())));
        }
        let peak = self.server.peak_bytes()?;
        eprintln!("the server held {} MiB at most", peak / MIB);
        if peak > bytes {
            let what = format!("it held {} MiB, bound {} MiB", peak / MIB, bytes / MIB);
            return Err(io::Error::other(what));
        }
        newcomer_over_websocket(self.address(), 0)?;
        newcomer_over_polling(self.address())
    }

    /// The last lines that the server wrote.
    #[must_use]
    pub fn tail(&self) -> String {
        let log = self.server.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// Waits until the server has let go of all descriptors but about `left`: closing is the server's own business, and
    /// no event tells a client of another connection's end.
    ///
    /// # Errors
    /// `TimedOut` with the number that it holds.
    pub fn await_descriptors(&self, left: usize) -> io::Result<()> {
        let start = Instant::now();
        loop {
            let open = self.server.descriptors()?;
            if open <= left {
                return Ok(());
            }
            if start.elapsed() > 2 * BOUND {
                let what = format!("{open} descriptors are open, expected at most {left}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, what));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A client that comes new joins a room and gets its own event back.
fn newcomer_over_websocket(server: SocketAddr, number: u16) -> io::Result<()> {
    let stream = connect_from(source_address(number), server)?;
    let mut client = SocketClient::connect_on(stream, server, "/", &json!({ "name": "newcomer" }))?;
    let room = format!("newcomer {}", client.id);
    expect_ok(&client.call("room:join", &[json!({ "room": room })])?)?;
    let emit = json!({ "room": room, "event": "hello", "data": number });
    expect_ok(&client.call("room:emit", &[emit])?)?;
    let event = client.next_named("hello")?;
    if event.args.first() == Some(&json!(number)) {
        return Ok(());
    }
    Err(io::Error::other(format!("a newcomer got {event:?}")))
}

/// A client that comes new over polling is let into the namespace.
fn newcomer_over_polling(server: SocketAddr) -> io::Result<()> {
    let mut client = PollingClient::open(server, "/socket.io/")?;
    client.send(&["40{\"name\":\"newcomer\"}"])?;
    client
        .poll_until(|packet| packet.starts_with("40{"))
        .map(drop)
}

/// A WebSocket that has joined the namespace `/`.
///
/// # Errors
/// What the system says.
pub fn joined_websocket(server: SocketAddr) -> io::Result<WsClient> {
    let client = SocketClient::connect(server, "/", &json!({ "name": "abuse" }))?;
    Ok(client.into_ws())
}

/// A polling session that has joined the namespace `/`.
///
/// # Errors
/// What the system says.
pub fn joined_poller(server: SocketAddr) -> io::Result<PollingClient> {
    PollingClient::join(server, &json!({ "name": "abuse" }))
}

/// Fails unless an acknowledgement says `{"ok":true}`.
///
/// # Errors
/// With the acknowledgement.
pub fn expect_ok(answer: &Value) -> io::Result<()> {
    if answer["ok"] == json!(true) {
        return Ok(());
    }
    Err(io::Error::other(format!("not acknowledged: {answer}")))
}

/// Newcomers, one after the other, for as long as the abuse goes on.
#[derive(Debug)]
pub struct Newcomers {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<u32>>,
}

impl Newcomers {
    /// The first one comes now.
    #[must_use]
    pub fn start(server: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut served = 0;
            // At least one round, however short the abuse was.
            loop {
                newcomer_over_websocket(server, 1 + (served % 1000) as u16)?;
                newcomer_over_polling(server)?;
                served += 1;
                if told.load(Ordering::Relaxed) {
                    return Ok(served);
                }
                // People don't come back to back: without a pause they would be a load of their own.
                thread::sleep(Duration::from_millis(20));
            }
        });
        Self { stop, thread }
    }

    /// The last one goes. Returns how many were served.
    ///
    /// # Errors
    /// That of the first who was not served.
    pub fn stop(self) -> io::Result<u32> {
        self.stop.store(true, Ordering::Relaxed);
        let result = self.thread.join();
        result.map_err(|_| io::Error::other("the newcomers panicked"))?
    }
}
