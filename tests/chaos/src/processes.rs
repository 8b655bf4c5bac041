//! Nodes and Redis as child processes, each on a port that stays its own over restarts.
//!
//! What they write goes into a file each, which is appended to. They are ended by process id, at the latest when dropped.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use lakh_testkit::Noise;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};

/// How long a process may take to start, or to end when asked to.
const BOUND: Duration = Duration::from_secs(60);

/// A program that can be started again and again.
#[derive(Debug)]
pub struct Process {
    /// As it stands in the report.
    pub name: String,
    /// Where it listens.
    pub port: u16,
    program: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
    /// What it says when it serves.
    serving: &'static str,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// A program, not yet started.
    #[must_use]
    pub fn new(
        name: &str,
        port: u16,
        program: PathBuf,
        serving: &'static str,
        log: PathBuf,
    ) -> Self {
        Self {
            name: name.to_owned(),
            port,
            program,
            args: Vec::new(),
            env: Vec::new(),
            serving,
            log,
            child: None,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(ToString::to_string));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.env.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Starts it, and waits until it serves.
    ///
    /// # Errors
    /// What the system says; `TimedOut` if it does not serve, `Other` if it ends.
    pub async fn start(&mut self) -> io::Result<()> {
        let mut command = Command::new(&self.program);
        command.args(&self.args).envs(self.env.iter().cloned());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn()?;
        let (tell, mut told) = mpsc::channel(1);
        let log = || OpenOptions::new().create(true).append(true).open(&self.log);
        if let Some(output) = child.stdout.take() {
            spawn_local(follow(output, log()?, self.serving, tell.clone()));
        }
        if let Some(output) = child.stderr.take() {
            spawn_local(follow(output, log()?, self.serving, tell));
        }
        self.child = Some(child);
        match timeout(BOUND, told.recv()).await {
            Ok(Some(())) => Ok(()),
            Ok(None) => Err(self.error("ended at its start")),
            Err(_) => Err(self.error("does not serve")),
        }
    }

    fn error(&self, what: &str) -> io::Error {
        io::Error::other(format!("{} {what}, see {}", self.name, self.log.display()))
    }

    /// Whether it has ended without being asked to.
    ///
    /// # Errors
    /// What the system says.
    pub fn has_ended(&mut self) -> io::Result<bool> {
        match &mut self.child {
            Some(child) => Ok(child.try_wait()?.is_some()),
            None => Ok(false),
        }
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// What the system says; it may be gone.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let id = self.child.as_ref().and_then(Child::id);
        let pid = id.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let pid = pid.ok_or_else(|| self.error("has ended by itself"))?;
        Ok(kill_process(pid, signal)?)
    }

    /// Sends it a signal and waits for its end.
    ///
    /// # Errors
    /// As [`Process::signal`]; `Other` if it runs on.
    pub async fn end(&mut self, signal: Signal) -> io::Result<()> {
        self.signal(signal)?;
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        match timeout(BOUND, child.wait()).await {
            Ok(status) => status.map(drop),
            Err(_) => Err(self.error("does not end on SIGTERM")),
        }
    }

    /// Waits until `GET /ready` is answered with 200.
    ///
    /// # Errors
    /// `Other` if it isn't.
    pub async fn ready(&self) -> io::Result<()> {
        let asked = timeout(BOUND, async {
            while !matches!(get_ready(self.port).await, Ok(true)) {
                sleep(Duration::from_millis(20)).await;
            }
        });
        asked.await.map_err(|_| self.error("does not become ready"))
    }
}

async fn get_ready(port: u16) -> io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await?;
    let mut status = [0; 12];
    stream.read_exact(&mut status).await?;
    Ok(status == *b"HTTP/1.1 200")
}

async fn follow(
    output: impl AsyncRead + Unpin,
    mut log: File,
    serving: &'static str,
    tell: mpsc::Sender<()>,
) {
    let mut tell = Some(tell);
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        // A full disk is no fault of the server.
        let _ = writeln!(log, "{line}");
        if line.contains(serving) {
            // Told once: whoever waits hears of an early end by the senders being gone.
            if let Some(tell) = tell.take() {
                let _ = tell.try_send(());
            }
        }
    }
}

/// Free ports below those that the system gives to outgoing connections: one of these could take a node's port while
/// the node is down.
#[derive(Debug)]
pub struct Ports(Noise, Vec<u16>);

impl Ports {
    /// Where to look is random, so that runs beside each other do not meet.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Noise::new(seed), Vec::new())
    }

    /// The next one.
    ///
    /// # Errors
    /// That there is none.
    pub fn free(&mut self) -> io::Result<u16> {
        for _ in 0..1_000 {
            let port = u16::try_from(20_000 + self.0.below(12_000)).unwrap_or(20_000);
            if !self.1.contains(&port) && std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
                self.1.push(port);
                return Ok(port);
            }
        }
        Err(io::Error::other("no free port"))
    }
}
