//! A server of the same binary, in a process and a folder of its own, gone when it isn't needed any more.
//!
//! A process of its own because what a server costs can only be measured from outside. It reads no configuration: what it
//! is to tell is what the machine can do, and not what somebody has set.

use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio, exit};
use std::{env, thread};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::life_cycle;

/// Bounds that would stand in a measurement's way.
const SETTINGS: [(&str, &str); 2] = [
    ("LAKH_ROOMS__EVENTS_PER_SECOND", "1000000"),
    ("LAKH_LIMITS__MAX_CONNECTIONS", "10000000"),
];

/// The server; ended, and its folder removed, when it's dropped.
#[derive(Debug)]
pub(super) struct OwnServer {
    process: Child,
    /// Where its Socket.IO endpoint is.
    pub(super) url: String,
    folder: TempDir,
}

impl OwnServer {
    /// Starts one on a free port of loopback, and waits until it listens.
    pub(super) fn start() -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("lakh-bench-").context("no temporary folder")?;
        let binary = env::current_exe().context("where this program is can't be told")?;
        let mut command = Command::new(binary);
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("LAKH_") || name == "RUST_LOG" {
                command.env_remove(name);
            }
        }
        let process = command
            .args(["serve", "rooms", "--bind", "127.0.0.1:0"])
            .args(["--data", "data", "--log", "info", "--log-format", "json"])
            .envs(SETTINGS)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("a server to measure can't be started")?;
        let mut server = Self {
            process,
            url: String::new(),
            folder,
        };
        on_signal(server.pid(), server.folder.path().to_owned())?;
        let log = server.process.stderr.take();
        server.url = listening(log.context("the server has no log")?)?;
        Ok(server)
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        // Nothing of it is to be kept, so there is nothing to drain. It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads the log up to the line that tells the address; goes on reading, so that the server never waits for us.
fn listening(log: ChildStderr) -> anyhow::Result<String> {
    let mut log = BufReader::new(log);
    let mut said = String::new();
    loop {
        let mut line = String::new();
        if log.read_line(&mut line).context("its log can't be read")? == 0 {
            anyhow::bail!("the server to measure ended at once: {}", said.trim());
        }
        let entry: Value = serde_json::from_str(&line).unwrap_or_default();
        let message = entry["message"].as_str().unwrap_or(&line);
        if let Some(address) = message.strip_prefix("listening on ") {
            let url = format!("{address}/socket.io/");
            thread::spawn(move || io::copy(&mut log, &mut io::sink()));
            return Ok(url);
        }
        message.clone_into(&mut said);
    }
}

/// Cut short by a signal, nothing is left behind either.
fn on_signal(pid: u32, folder: PathBuf) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime can't be started")?;
    let mut signals = {
        let _inside = runtime.enter();
        life_cycle::signals().context("signals can't be handled")?.1
    };
    thread::spawn(move || {
        let Some(signal) = runtime.block_on(signals.recv()) else {
            return;
        };
        if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
        let _ = fs::remove_dir_all(folder);
        exit(signal.exit_code().into());
    });
    Ok(())
}
