//! A redis-server of a test's own, on a socket in a folder that goes away: no other process can take its place while it is
//! away. Ended by its process id.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

pub(crate) struct Redis {
    folder: TempDir,
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
        Self {
            folder: TempDir::new().unwrap(),
            child: None,
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
        let folder = self.folder.path();
        let mut child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "yes"])
            .args(["--appendfsync", "everysec"])
            .arg("--unixsocket")
            .arg(folder.join("redis.sock"))
            .arg("--dir")
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("redis-server is installed (tools/install.sh test)");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines
            .by_ref()
            .any(|line| line.is_ok_and(|line| line.contains("eady to accept connections")));
        // The pipe must not fill up.
        std::thread::spawn(move || lines.for_each(drop));
        self.child = Some(child);
        assert!(ready, "redis-server ended");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
