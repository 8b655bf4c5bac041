//! A redis-server of a test's own: on a free port, in a folder that goes away, ended by its process id.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use lakh_store::{RedisOptions, Store};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A store that waits for its server on a busy machine: only what is tried may fail a test.
pub(crate) fn patient() -> RedisOptions {
    RedisOptions {
        connect_timeout_ms: 20_000,
        answer_timeout_ms: 20_000,
        ..RedisOptions::default()
    }
}

pub(crate) struct Server {
    pub(crate) folder: TempDir,
    pub(crate) port: u16,
    /// What a sentinel is told, and where it keeps what it learns.
    file: Option<String>,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Server {
    /// A server that keeps an append-only file, written at each event loop turn and fsynced before each answer.
    pub(crate) fn durable() -> Self {
        Self::with(&["--appendonly", "yes", "--appendfsync", "always"])
    }

    /// A server that keeps nothing.
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(arguments: &[&str]) -> Self {
        Self::on_a_free_port(None, |port| {
            let mut all = vec!["--port".to_owned(), port.to_string()];
            all.extend(arguments.iter().map(|&argument| argument.to_owned()));
            all
        })
    }

    /// A server that speaks TLS alone.
    pub(crate) fn with_tls(roots: &str, certificate: &str, key: &str) -> Self {
        Self::on_a_free_port(None, |port| {
            let port = port.to_string();
            let all = [
                ["--port", "0"],
                ["--tls-port", &port],
                ["--tls-ca-cert-file", roots],
                ["--tls-cert-file", certificate],
                ["--tls-key-file", key],
                ["--tls-auth-clients", "no"],
            ];
            all.as_flattened()
                .iter()
                .map(|&argument| argument.to_owned())
                .collect()
        })
    }

    /// A sentinel with the settings in a file.
    pub(crate) fn sentinel(file: &str) -> Self {
        Self::on_a_free_port(Some(file), |port| {
            ["--sentinel", "--port", &port.to_string()]
                .map(str::to_owned)
                .into()
        })
    }

    fn on_a_free_port(file: Option<&str>, arguments: impl Fn(u16) -> Vec<String>) -> Self {
        loop {
            // Whoever takes the port in between makes the start fail, and another one is tried.
            let port = TcpListener::bind(("127.0.0.1", 0))
                .unwrap()
                .local_addr()
                .unwrap()
                .port();
            let mut server = Self {
                folder: tempfile::tempdir().unwrap(),
                port,
                file: file.map(str::to_owned),
                arguments: arguments(port),
                child: None,
            };
            if server.start() {
                return server;
            }
        }
    }

    /// Starts it, and comes back when it takes connections; false if it ended instead.
    pub(crate) fn start(&mut self) -> bool {
        let mut child = Command::new("redis-server")
            .args(&self.file)
            .args(["--bind", "127.0.0.1", "--save", "", "--dir"])
            .arg(self.folder.path())
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("redis-server is installed (tools/install.sh test)");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.by_ref().any(|line| {
            line.is_ok_and(|line| {
                line.contains("Ready to accept connections") || line.contains("monitor master")
            })
        });
        // The pipe must not fill up.
        std::thread::spawn(move || lines.for_each(drop));
        self.child = Some(child);
        if !ready {
            self.kill();
        }
        ready
    }

    /// As by `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts it again on the same port and files.
    pub(crate) fn restart(&mut self) {
        self.kill();
        while !self.start() {
            std::thread::yield_now();
        }
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().unwrap();
        kill_process(Pid::from_child(child), signal).unwrap();
    }

    /// Stops it in the middle of what it does: it keeps its connections and answers nothing.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn store(&self) -> Store {
        Store::redis(&self.url(), &patient()).unwrap()
    }

    /// An empty store beside the others of this server.
    pub(crate) fn fresh_store(&self, options: &RedisOptions) -> Store {
        static STORES: AtomicUsize = AtomicUsize::new(0);
        let prefix = format!("test{}:", STORES.fetch_add(1, Ordering::Relaxed));
        Store::redis(
            &self.url(),
            &RedisOptions {
                prefix,
                ..options.clone()
            },
        )
        .unwrap()
    }

    /// A connection of somebody else.
    pub(crate) fn redis(&self) -> redis::Connection {
        redis::Client::open(self.url())
            .unwrap()
            .get_connection()
            .unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
