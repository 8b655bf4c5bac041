//! A redis-server of a test's own: on a socket in a folder of its own, or on a free port as well, ended by its process id.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::BOUND;
use crate::ports::free_port;

type Failed = Box<dyn Error>;

/// A redis-server. It ends with this.
#[derive(Debug)]
pub struct Redis {
    child: Child,
    folder: TempDir,
    port: u16,
    args: Vec<String>,
}

impl Redis {
    /// Over a socket in the file system, which no other process can take while the server is away.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(args: &[&str]) -> Result<Self, Failed> {
        Self::start_on(0, args)
    }

    /// Over a free port.
    ///
    /// # Errors
    /// What the system says.
    pub fn start_on_port(args: &[&str]) -> Result<Self, Failed> {
        Self::start_on(free_port()?, args)
    }

    /// A cluster of one node, with all slots.
    ///
    /// # Errors
    /// What the system says.
    pub fn start_cluster() -> Result<Self, Failed> {
        let redis = Self::start_on_port(&["--cluster-enabled", "yes"])?;
        let added = redis.ask("CLUSTER ADDSLOTSRANGE 0 16383")?;
        if !added.starts_with("+OK") {
            return Err(added.into());
        }
        while !redis.ask("CLUSTER INFO")?.contains("cluster_state:ok") {
            std::thread::yield_now();
        }
        Ok(redis)
    }

    /// A cluster of two nodes, with half of the slots each.
    ///
    /// # Errors
    /// What the system says.
    pub fn start_cluster_of_two() -> Result<[Self; 2], Failed> {
        let start = || Self::start_on_port(&["--cluster-enabled", "yes"]);
        let both = [start()?, start()?];
        let other = both[1].port;
        for (redis, command) in [
            (&both[0], "CLUSTER ADDSLOTSRANGE 0 8191".to_owned()),
            (&both[1], "CLUSTER ADDSLOTSRANGE 8192 16383".to_owned()),
            // Two that met with the same epoch settle it between themselves, later.
            (&both[1], "CLUSTER SET-CONFIG-EPOCH 2".to_owned()),
            (&both[0], format!("CLUSTER MEET 127.0.0.1 {other}")),
        ] {
            let answer = redis.ask(&command)?;
            if !answer.starts_with("+OK") {
                return Err(format!("{command}: {answer}").into());
            }
        }
        for redis in &both {
            loop {
                let info = redis.ask("CLUSTER INFO")?;
                if info.contains("cluster_state:ok") && info.contains("cluster_size:2") {
                    break;
                }
                std::thread::yield_now();
            }
        }
        Ok(both)
    }

    /// A sentinel that watches over the master on that port, under the name `mine`.
    ///
    /// # Errors
    /// What the system says.
    pub fn start_sentinel(master: u16) -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let settings = folder.path().join("sentinel.conf");
        std::fs::write(
            &settings,
            format!(
                "port {port}\nbind 127.0.0.1\nunixsocket {}\nsentinel monitor mine 127.0.0.1 {master} 1\n\
                 sentinel down-after-milliseconds mine 1000\n",
                folder.path().join("redis.sock").display()
            ),
        )?;
        let mut command = Command::new("redis-server");
        command.arg(&settings).arg("--sentinel");
        Ok(Self {
            child: ready(command)?,
            folder,
            port,
            args: Vec::new(),
        })
    }

    fn start_on(port: u16, args: &[&str]) -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let child = spawn(&folder, port, &args)?;
        Ok(Self {
            child,
            folder,
            port,
            args,
        })
    }

    /// The socket that it listens on.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// The port that it listens on; 0 if none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where its data lies.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where it is, as the URL of Redis clients.
    #[must_use]
    pub fn url(&self) -> String {
        match self.port {
            0 => format!("redis+unix://{}", self.socket().display()),
            port => format!("redis://127.0.0.1:{port}"),
        }
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

    /// Sends the signal of that name, such as `STOP`.
    ///
    /// # Errors
    /// What the system says.
    pub fn signal(&self, name: &str) -> Result<(), Failed> {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status()?;
        if !status.success() {
            return Err(format!("kill -s {name} {pid}: {status}").into());
        }
        Ok(())
    }

    /// Starts it again where it was, with the data that it wrote.
    ///
    /// # Errors
    /// What the system says.
    pub fn restart(&mut self) -> Result<(), Failed> {
        self.child = spawn(&self.folder, self.port, &self.args)?;
        Ok(())
    }

    /// One command, as a person would type it. The answer is what came first, as it is.
    ///
    /// # Errors
    /// What the system says.
    pub fn ask(&self, command: &str) -> Result<String, Failed> {
        fn on(mut stream: impl Read + Write, command: &str) -> Result<String, Failed> {
            stream.write_all(command.as_bytes())?;
            stream.write_all(b"\r\n")?;
            let mut answer = [0; 4096];
            let length = stream.read(&mut answer)?;
            Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
        }
        // Not over a port: who asks again and again would use up those that others need.
        let stream = UnixStream::connect(self.socket())?;
        stream.set_read_timeout(Some(BOUND))?;
        on(stream, command)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended already; either way nothing is left behind.
        let _ = self.kill();
    }
}

fn spawn(folder: &TempDir, port: u16, args: &[String]) -> Result<Child, Failed> {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
    command
        .arg("--unixsocket")
        .arg(folder.path().join("redis.sock"));
    command.arg("--dir").arg(folder.path());
    command.args(["--save", "", "--appendonly", "no"]);
    command.args(args);
    ready(command)
}

/// Starts a server and waits until it serves.
fn ready(mut command: Command) -> Result<Child, Failed> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().ok_or("no output")?;
    let mut lines = BufReader::new(output).lines();
    let mut log = String::new();
    loop {
        let line = lines.next().ok_or_else(|| format!("it ended:\n{log}"))??;
        if line.contains("eady to accept connections") || line.contains("Sentinel ID") {
            break;
        }
        log += &line;
        log.push('\n');
    }
    // A full pipe would stop it.
    std::thread::spawn(move || lines.for_each(drop));
    Ok(child)
}
