//! Real servers as child processes on free ports, so that their memory can be read and their death is theirs alone.
//!
//! A child is ended by its process id when its [`Server`] is dropped. What it writes is read on for as long as it
//! lives: a full pipe would stop it.

use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::{env, fs, thread};

use crate::BOUND;

/// What the server prints when it is there, before its address.
const LISTENING: &str = "listening on http://";

/// A program that prints `listening on http://ADDRESS` once it serves.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
}

impl Program {
    /// The binary `lakh serve` on a free port of loopback, with its data in `data`.
    ///
    /// # Errors
    /// `NotFound` when it was not built: an integration test of another package doesn't build it.
    pub fn lakh(data: &str) -> io::Result<Self> {
        let mut program = Self::built("TEST_LAKH", "lakh", "cargo build -p lakh-server")?;
        program.args = ["serve", "--bind", "127.0.0.1:0", "--data", data]
            .map(str::to_owned)
            .to_vec();
        Ok(program)
    }

    /// An example of the library, which listens on the port of the variable `PORT`.
    ///
    /// # Errors
    /// `NotFound` as for [`Program::lakh`].
    pub fn example(name: &str) -> io::Result<Self> {
        let variable = format!("TEST_{}", name.to_ascii_uppercase());
        let build = format!("cargo build --example {name}");
        let program = Self::built(&variable, &format!("examples/{name}"), &build)?;
        Ok(program.env("PORT", "0"))
    }

    /// Beside the test's own executable, which is in `deps/`; `variable` names another.
    fn built(variable: &str, name: &str, build: &str) -> io::Result<Self> {
        let test = env::current_exe()?;
        let folder = test.parent().and_then(|deps| deps.parent());
        let path = env::var_os(variable)
            .map(PathBuf::from)
            .or_else(|| folder.map(|folder| folder.join(name)))
            .filter(|path| path.exists());
        let path = path.ok_or_else(|| {
            let what = format!("{name} was not built: run `{build}` first");
            io::Error::new(io::ErrorKind::NotFound, what)
        })?;
        Ok(Self {
            path,
            args: Vec::new(),
            env: Vec::new(),
        })
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.env.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// What the system says; `Other` with the log when it ends, or doesn't listen within [`BOUND`].
    pub fn start(&self) -> io::Result<Server> {
        let mut child = Command::new(&self.path)
            .args(&self.args)
            .envs(self.env.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let log = Arc::new(Mutex::new(String::new()));
        let (found, told) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            follow(stdout, Arc::clone(&log), found.clone());
        }
        if let Some(stderr) = child.stderr.take() {
            follow(stderr, Arc::clone(&log), found);
        }
        let mut server = Server {
            child,
            log,
            told,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        // The senders are gone, and this fails, once the child has closed both of its outputs.
        server.address = server.told.recv_timeout(BOUND).map_err(|_| {
            let what = format!("{} did not listen:\n{}", self.path.display(), server.log());
            io::Error::other(what)
        })?;
        Ok(server)
    }
}

/// Reads lines into the log, and sends the address when it is told.
fn follow(
    output: impl Read + Send + 'static,
    log: Arc<Mutex<String>>,
    found: mpsc::Sender<SocketAddr>,
) {
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if let Some(address) = address_in(&line) {
                // Nobody waits any more when it was told before.
                let _ = found.send(address);
            }
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            log.push_str(&line);
            log.push('\n');
        }
    });
}

fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, after) = line.split_once(LISTENING)?;
    let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || ".:[]".contains(c)));
    after[..end.unwrap_or(after.len())].parse().ok()
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    log: Arc<Mutex<String>>,
    /// Addresses that it told. Disconnected once both of its outputs are closed.
    told: mpsc::Receiver<SocketAddr>,
    address: SocketAddr,
}

impl Server {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All that it has written so far.
    #[must_use]
    pub fn log(&self) -> String {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.clone()
    }

    /// Whether the process still runs.
    ///
    /// # Errors
    /// What the system says.
    pub fn is_running(&mut self) -> io::Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Bytes of memory that the process holds now (`VmRSS` of proc(5)).
    ///
    /// # Errors
    /// What the system says; the process may be gone.
    pub fn resident_bytes(&self) -> io::Result<u64> {
        self.status("VmRSS:")
    }

    /// The most bytes of memory that the process ever held, but for pages of files such as its own program, which the system
    /// takes back as it likes (`VmHWM` and `RssFile` of proc(5)). Of a debug build those alone are 50 MiB and more.
    ///
    /// # Errors
    /// As [`Server::resident_bytes`].
    pub fn peak_bytes(&self) -> io::Result<u64> {
        let files = self.status("RssFile:")?;
        Ok(self.status("VmHWM:")?.saturating_sub(files))
    }

    /// Descriptors that the process has open.
    ///
    /// # Errors
    /// As [`Server::resident_bytes`].
    pub fn descriptors(&self) -> io::Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.count())
    }

    /// Sends the signal of that name, such as `TERM`.
    ///
    /// # Errors
    /// What the system says.
    pub fn signal(&self, name: &str) -> io::Result<()> {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status()?;
        if status.success() {
            return Ok(());
        }
        Err(io::Error::other(format!("kill -s {name} {pid}: {status}")))
    }

    /// Waits for the process to end.
    ///
    /// # Errors
    /// What the system says; `TimedOut` past [`BOUND`].
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        loop {
            match self.told.recv_timeout(BOUND) {
                Ok(_) => {}
                // Its outputs are closed: it has ended, or is about to.
                Err(mpsc::RecvTimeoutError::Disconnected) => return self.child.wait(),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    let what = "the server runs on";
                    return Err(io::Error::new(io::ErrorKind::TimedOut, what));
                }
            }
        }
    }

    fn status(&self, key: &str) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
        kib.and_then(|kib| kib.trim().parse::<u64>().ok())
            .map(|kib| kib * 1024)
            .ok_or_else(|| io::Error::other(format!("no {key} in /proc: the process is gone")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing is left behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::address_in;

    #[test]
    fn the_address_is_found_in_a_line_for_people_and_in_one_for_programs() {
        let expected = "127.0.0.1:4312".parse().ok();
        assert_eq!(
            address_in("INFO listening on http://127.0.0.1:4312"),
            expected
        );
        assert_eq!(
            address_in("{\"message\":\"listening on http://127.0.0.1:4312\"}"),
            expected
        );
        assert_eq!(
            address_in("listening on http://127.0.0.1:4312/ node=a"),
            expected
        );
        assert_eq!(address_in("draining"), None);
    }
}
