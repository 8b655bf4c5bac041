//! A redis-server of the tests' own: on a socket in a folder of its own, or on a free port, ended by its process id. And
//! links to it.

// Not each of the tests' programs needs all of it.
#![allow(dead_code)]

pub(crate) mod between;

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lakh_broker::cluster::{Data, Message, Opts};
use lakh_broker::redis::{Backend, Config, Event, Inbound, Link, Received};
use tempfile::TempDir;

pub(crate) type Tested = Result<(), Box<dyn Error>>;

/// Longest wait for anything in these tests; far more than any of it takes.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

/// Awaits something that must come.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> Result<T, Box<dyn Error>> {
    Ok(tokio::time::timeout(BOUND, what).await?)
}

/// A redis-server.
pub(crate) struct Redis {
    child: Child,
    folder: TempDir,
    port: u16,
    args: Vec<String>,
}

impl Redis {
    /// Over a socket in the file system, which no other process can take while the server is away.
    pub(crate) fn start(args: &[&str]) -> Result<Self, Box<dyn Error>> {
        Self::start_on(0, args)
    }

    /// Over a free port.
    pub(crate) fn start_on_port(args: &[&str]) -> Result<Self, Box<dyn Error>> {
        // Clusters want a second port 10,000 above the first.
        for _ in 0..100 {
            let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            if (20_000..55_000).contains(&port)
                && TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok()
            {
                return Self::start_on(port, args);
            }
        }
        Err("no pair of free ports".into())
    }

    /// A cluster of one node, with all slots.
    pub(crate) async fn start_cluster() -> Result<Self, Box<dyn Error>> {
        let redis = Self::start_on_port(&["--cluster-enabled", "yes"])?;
        let added = redis.ask("CLUSTER ADDSLOTSRANGE 0 16383")?;
        if !added.starts_with("+OK") {
            return Err(added.into());
        }
        while !redis.ask("CLUSTER INFO")?.contains("cluster_state:ok") {
            tokio::task::yield_now().await;
        }
        Ok(redis)
    }

    /// A cluster of two nodes, with half of the slots each.
    pub(crate) async fn start_cluster_of_two() -> Result<[Self; 2], Box<dyn Error>> {
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
                tokio::task::yield_now().await;
            }
        }
        Ok(both)
    }

    /// A sentinel that watches over the master on that port, under the name `mine`.
    pub(crate) fn start_sentinel(master: u16) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
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

    fn start_on(port: u16, args: &[&str]) -> Result<Self, Box<dyn Error>> {
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

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub(crate) fn url(&self) -> String {
        match self.port {
            0 => format!("redis+unix://{}", self.socket().display()),
            port => format!("redis://127.0.0.1:{port}"),
        }
    }

    /// Ends it at once, without a word to its clients.
    pub(crate) fn kill(&mut self) -> Tested {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Sends the signal of that name, such as `STOP`.
    pub(crate) fn signal(&self, name: &str) -> Tested {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status()?;
        if !status.success() {
            return Err(format!("kill -s {name} {pid}: {status}").into());
        }
        Ok(())
    }

    /// Starts it again where it was, with the data that it wrote.
    pub(crate) fn restart(&mut self) -> Tested {
        self.child = spawn(&self.folder, self.port, &self.args)?;
        Ok(())
    }

    /// One command, as a person would type it. The answer is what came first, as it is.
    pub(crate) fn ask(&self, command: &str) -> Result<String, Box<dyn Error>> {
        fn on(mut stream: impl Read + Write, command: &str) -> Result<String, Box<dyn Error>> {
            stream.write_all(command.as_bytes())?;
            stream.write_all(b"\r\n")?;
            let mut answer = [0; 4096];
            let length = stream.read(&mut answer)?;
            Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
        }
        // Not over a port: who asks again and again would use up those that others need.
        let stream = std::os::unix::net::UnixStream::connect(self.socket())?;
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

fn spawn(folder: &TempDir, port: u16, args: &[String]) -> Result<Child, Box<dyn Error>> {
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
fn ready(mut command: Command) -> Result<Child, Box<dyn Error>> {
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

/// A clock that goes on by one with each look.
fn clock() -> Arc<dyn Fn() -> u64 + Send + Sync> {
    let now = AtomicU64::new(1);
    Arc::new(move || now.fetch_add(1, Ordering::Relaxed))
}

/// What a link is made of in these tests: it tries again quickly.
pub(crate) fn config(url: &str, backend: Backend) -> Config {
    let ms = Duration::from_millis;
    Config {
        backoff: (ms(5), ms(50)),
        ..Config::new(url, backend, clock())
    }
}

/// A link that listens to the main namespace already.
pub(crate) async fn linked(config: Config) -> Result<(Link, Inbound), Box<dyn Error>> {
    let (link, inbound) = Link::open(config)?;
    link.subscribe("/");
    soon(link.settled()).await?;
    Ok((link, inbound))
}

/// The next event.
pub(crate) async fn next(inbound: &mut Inbound) -> Result<Event, Box<dyn Error>> {
    Ok(soon(inbound.recv()).await?.ok_or("the link has ended")?)
}

/// The next message. That entries of one's own have got their place is passed over.
pub(crate) async fn message(inbound: &mut Inbound) -> Result<Received, Box<dyn Error>> {
    loop {
        match next(inbound).await? {
            Event::Message(received) => return Ok(received),
            Event::Appended { .. } => {}
            other => return Err(format!("no message but {other:?}").into()),
        }
    }
}

pub(crate) fn event(text: &str) -> Message {
    event_to(text, Opts::default())
}

pub(crate) fn event_to(text: &str, opts: Opts) -> Message {
    Message::Broadcast {
        data: Data::Json(format!("[\"{text}\"]")),
        opts,
        ack: None,
    }
}

/// The event's name out of what came, whatever the form.
pub(crate) fn name(message: &Message) -> String {
    let Message::Broadcast { data, .. } = message else {
        return format!("{message:?}");
    };
    match data {
        Data::Json(text) => text[2..text.len() - 2].to_owned(),
        Data::Msgpack(bytes) => String::from_utf8_lossy(&bytes[2..]).into_owned(),
    }
}

pub(crate) async fn wait_for(link: &Link, up: bool) -> Tested {
    let mut state = link.watch_state();
    soon(state.wait_for(|state| state.up == up)).await??;
    Ok(())
}

pub(crate) fn packed(text: &str) -> Message {
    packed_to(text, Opts::default())
}

pub(crate) fn packed_to(text: &str, opts: Opts) -> Message {
    let mut bytes = vec![0x91, 0xa0 | u8::try_from(text.len()).unwrap_or(0)];
    bytes.extend(text.as_bytes());
    Message::Broadcast {
        data: Data::Msgpack(bytes.into()),
        opts,
        ack: None,
    }
}
