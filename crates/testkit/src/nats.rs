//! A nats-server of a test's own, with JetStream, on a free port and in a folder of its own; ended by its process id.

use std::error::Error;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::lines;
use crate::ports::free_port;

type Failed = Box<dyn Error>;

/// A nats-server. It ends with this.
#[derive(Debug)]
pub struct Nats {
    child: Child,
    folder: TempDir,
    port: u16,
}

impl Nats {
    /// Starts one and waits until it serves.
    ///
    /// # Errors
    /// What the system says.
    pub fn start() -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let child = spawn(folder.path(), port)?;
        Ok(Self {
            child,
            folder,
            port,
        })
    }

    /// Where it is, as its clients say.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Ends it at once, without a word to its clients.
    ///
    /// # Errors
    /// What the system says.
    pub fn kill(&mut self) -> Result<(), Failed> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts it again where it was, with the data that it wrote.
    ///
    /// # Errors
    /// What the system says.
    pub fn restart(&mut self) -> Result<(), Failed> {
        self.child = spawn(self.folder.path(), self.port)?;
        Ok(())
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        // It may have ended already; either way nothing is left behind.
        let _ = self.kill();
    }
}

fn spawn(folder: &Path, port: u16) -> Result<Child, Failed> {
    let mut command = Command::new(program());
    command.args(["-js", "-a", "127.0.0.1", "-p", &port.to_string()]);
    command.arg("-sd").arg(folder).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::piped()).spawn()?;
    let output = child.stderr.take().ok_or("no output")?;
    lines::until(output, "Server is ready")?;
    Ok(child)
}

/// Debian keeps it in /usr/sbin, which is not on everybody's path.
fn program() -> &'static str {
    match Path::new("/usr/sbin/nats-server").exists() {
        true => "/usr/sbin/nats-server",
        false => "nats-server",
    }
}
