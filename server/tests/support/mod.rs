//! The binary in a folder of its own, without the settings of whoever runs the tests.
// Each test file uses a part of it.
#![allow(dead_code)]

pub(crate) mod redis;

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};

use serde_json::Value;

/// Long enough to sign with.
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";

pub(crate) fn lakh(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lakh"));
    command.args(args).current_dir(folder).env_clear();
    command
}

/// Exit code, standard output and standard error.
pub(crate) fn output(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = lakh(folder, args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// A running server; killed when a test fails before its end.
pub(crate) struct Server {
    child: Child,
    log: BufReader<ChildStderr>,
    pub(crate) address: SocketAddr,
    /// Where it says that it listens.
    at: String,
}

impl Server {
    /// `lakh serve` with these arguments, on a free port.
    pub(crate) fn start(folder: &Path, args: &[&str]) -> Self {
        let mut all = vec!["serve", "--bind", "127.0.0.1:0", "--log-format", "json"];
        all.extend(args);
        Self::run(&mut lakh(folder, &all))
    }

    pub(crate) fn run(command: &mut Command) -> Self {
        let mut server = Self::spawn(command);
        server.serves();
        server
    }

    /// The same, where it may listen on something else than an address: it says `place` then.
    pub(crate) fn run_at(command: &mut Command, place: &str) -> Self {
        let mut server = Self::spawn(command);
        server.listening(place);
        server
    }

    /// A process that may not get as far as to listen.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Self {
            child,
            log,
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            at: String::new(),
        }
    }

    fn listening(&mut self, place: &str) {
        let line = self.wait_for("listening on ");
        self.at = text(&line).to_owned();
        assert!(self.at.contains(place), "{}", self.at);
    }

    /// Waits until it listens on an address.
    pub(crate) fn serves(&mut self) {
        self.listening("://");
        let (_, address) = self.at.split_once("://").unwrap();
        self.address = address.parse().unwrap();
    }

    /// Reads the log up to a line with that message.
    pub(crate) fn wait_for(&mut self, message: &str) -> Value {
        loop {
            let mut line = String::new();
            let read = self.log.read_line(&mut line).unwrap();
            assert!(read > 0, "the log ended before {message:?}");
            let line: Value = serde_json::from_str(&line).unwrap();
            if text(&line).contains(message) {
                return line;
            }
        }
    }

    /// The messages of the log from here on, up to one that contains this.
    pub(crate) fn messages_up_to(&mut self, message: &str) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        while !all.last().is_some_and(|last| last.contains(message)) {
            let line = self.wait_for("");
            all.push(text(&line).to_owned());
        }
        all
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(status.success());
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(line: &Value) -> &str {
    line["message"].as_str().unwrap()
}
