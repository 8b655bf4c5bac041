//! A redis-server of a test's own, on a socket in a folder that goes away: no other process can take its place while it is
//! away. Ended by its process id.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

pub(crate) struct Redis {
    folder: TempDir,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Redis {
    /// One that keeps what it was told over a kill.
    pub(crate) fn start() -> Self {
        let mut redis = Self::away();
        redis.restart();
        redis
    }

    /// One that isn't there yet.
    pub(crate) fn away() -> Self {
        let folder = TempDir::new().unwrap();
        let socket = folder.path().join("redis.sock").display().to_string();
        let arguments = ["--port", "0", "--unixsocket", &socket];
        let keeps = ["--appendonly", "yes", "--appendfsync", "everysec"];
        Self {
            arguments: arguments
                .iter()
                .chain(&keeps)
                .map(|&text| text.to_owned())
                .collect(),
            folder,
            child: None,
        }
    }

    /// One more process of it, on a free port, which it gives: with these arguments before the port.
    pub(crate) fn on_a_port(arguments: &[&str]) -> (Self, u16) {
        loop {
            // Whoever takes the port in between makes the start fail, and another one is tried.
            let probe = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let port = probe.local_addr().unwrap().port();
            drop(probe);
            let mut all: Vec<String> = arguments.iter().map(|&text| text.to_owned()).collect();
            all.push(port.to_string());
            let mut redis = Self {
                folder: TempDir::new().unwrap(),
                arguments: all,
                child: None,
            };
            if redis.run() {
                return (redis, port);
            }
        }
    }

    pub(crate) fn url(&self) -> String {
        let socket = self.folder.path().join("redis.sock");
        format!("redis+unix://{}", socket.display())
    }

    /// As by `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        let status = Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(status.success());
    }

    /// Comes back when it takes connections.
    pub(crate) fn restart(&mut self) {
        self.kill();
        assert!(self.run(), "redis-server ended");
    }

    fn run(&mut self) -> bool {
        let mut child = Command::new("redis-server")
            .args(&self.arguments)
            .args(["--bind", "127.0.0.1", "--save", "", "--dir"])
            .arg(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("redis-server is installed (tools/install.sh test)");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.by_ref().any(|line| {
            line.is_ok_and(|line| {
                line.contains("eady to accept connections") || line.contains("monitor master")
            })
        });
        // The pipe must not fill up.
        std::thread::spawn(move || lines.for_each(drop));
        self.child = Some(child);
        ready
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
