//! All that can be broken, put up for one run: nodes, Redis, and the proxies before them.

use std::env;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::crew::script;
use crate::options::{Balance, Options, Server};
use crate::plan::ClientPlan;
use crate::processes::{Ports, Process};
use crate::proxy::{Gate, Proxy};

/// What a run is made of, but for its clients.
#[derive(Debug)]
pub struct Site {
    /// The nodes.
    pub nodes: Vec<Process>,
    /// Their Redis.
    pub redis: Option<Process>,
    /// Before the clients, by number.
    pub clients: Arc<[Gate]>,
    /// Between each node and Redis.
    pub links: Arc<[Gate]>,
    /// Before each node, or one before all of them.
    pub doors: Vec<Proxy>,
    /// Between each node and Redis; kept for as long as the site stands.
    _links: Vec<Proxy>,
    /// Whether nodes answer `/ready`.
    pub tells_ready: bool,
}

impl Site {
    /// Starts everything, with logs in `folder`.
    ///
    /// # Errors
    /// What the system says, or what is missing.
    pub async fn start(options: &Options, folder: &Path) -> io::Result<Self> {
        let mut ports = Ports::new(u64::from(std::process::id()));
        let mut site = Self {
            nodes: Vec::new(),
            redis: None,
            clients: Gate::row(options.clients),
            links: Gate::row(options.nodes),
            doors: Vec::new(),
            _links: Vec::new(),
            tells_ready: options.server == Server::Lakh,
        };
        if options.redis() {
            let mut redis = redis(options, ports.free()?, folder)?;
            redis.start().await?;
            site.redis = Some(redis);
        }
        for index in 0..options.nodes {
            let port = ports.free()?;
            let mut url = None;
            if let Some(redis) = &site.redis {
                let (links, target) = (Arc::clone(&site.links), ([127, 0, 0, 1], redis.port));
                let (port, target) = (ports.free()?, vec![target.into()]);
                let link = Proxy::listen(port, target, links, move |_| Some(index));
                let link = link.await?;
                url = Some(format!("redis://{}", link.address));
                site._links.push(link);
            }
            let mut node = match options.server {
                Server::Lakh => lakh(options, index, port, url, folder)?,
                Server::Node => node(options, index, port, url, folder),
            };
            node.start().await?;
            site.nodes.push(node);
        }
        let nodes = site.nodes.iter();
        let nodes: Vec<SocketAddr> = nodes
            .map(|node| ([127, 0, 0, 1], node.port).into())
            .collect();
        let doors = match options.balance {
            Balance::Session => nodes.into_iter().map(|node| vec![node]).collect(),
            Balance::Connection => vec![nodes],
        };
        for targets in doors {
            let gates = Arc::clone(&site.clients);
            let door = Proxy::listen(ports.free()?, targets, gates, ClientPlan::gate_of);
            site.doors.push(door.await?);
        }
        Ok(site)
    }

    /// The ports to which clients go.
    #[must_use]
    pub fn ports(&self) -> Vec<u16> {
        self.doors.iter().map(|door| door.address.port()).collect()
    }
}

fn redis(options: &Options, port: u16, folder: &Path) -> io::Result<Process> {
    let data = folder.join("redis");
    std::fs::create_dir_all(&data)?;
    let serving = "eady to accept connections";
    let log = folder.join("redis.log");
    let redis = Process::new("redis", port, "redis-server".into(), serving, log);
    let (port, data) = (port.to_string(), data.display().to_string());
    Ok(redis
        .args(&["--bind", "127.0.0.1", "--port", &port, "--dir", &data])
        .args(&["--save", "", "--appendonly", "yes"])
        .args(&["--appendfsync", &options.appendfsync]))
}

fn lakh(
    options: &Options,
    index: usize,
    port: u16,
    redis: Option<String>,
    folder: &Path,
) -> io::Result<Process> {
    let name = format!("aa{index}");
    let data = folder.join(&name).display().to_string();
    let log = folder.join(format!("{name}.log"));
    let bind = format!("127.0.0.1:{port}");
    let mut node = Process::new(&name, port, lakh_binary(options)?, "listening on", log)
        .args(&["serve", "--bind", &bind, "--data", &data, "--node", &name])
        .env(
            "LAKH_ENGINE__PING_INTERVAL_MS",
            &options.ping_interval_ms.to_string(),
        )
        .env(
            "LAKH_ENGINE__PING_TIMEOUT_MS",
            &options.ping_timeout_ms.to_string(),
        )
        .env("LAKH_ROOMS__EVENTS_PER_SECOND", "1000000")
        .env("LAKH_DRAIN__WINDOW_MS", "500");
    let several = (options.nodes > 1).then_some("redis-streams");
    if let Some(broker) = options.broker.as_deref().or(several) {
        node = node.args(&["--broker", broker]);
    }
    if let Some(store) = &options.store {
        node = node.args(&["--store", store]);
    }
    if let Some(url) = redis {
        node = node.args(&["--redis", &url]);
    }
    for setting in &options.env {
        let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
        node = node.env(key, value);
    }
    Ok(node)
}

/// The binary beside this program, or beside the test that is this program.
fn lakh_binary(options: &Options) -> io::Result<PathBuf> {
    let own = env::current_exe()?;
    let beside = own
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("lakh"));
    let found = options
        .lakh
        .clone()
        .into_iter()
        .chain(beside)
        .find(|path| path.exists());
    found.ok_or_else(|| {
        let what = "the binary `lakh` is missing: run `cargo build -p lakh-server`, or name it with --lakh";
        io::Error::new(io::ErrorKind::NotFound, what)
    })
}

fn node(
    options: &Options,
    index: usize,
    port: u16,
    redis: Option<String>,
    folder: &Path,
) -> Process {
    let name = format!("node{index}");
    let log = folder.join(format!("{name}.log"));
    let mut node = Process::new(&name, port, "node".into(), "listening on", log)
        .args(&[&script("server.js").display().to_string()])
        .env("PORT", &port.to_string())
        .env("FLAW", options.flaw.word())
        .env("PING_INTERVAL_MS", &options.ping_interval_ms.to_string())
        .env("PING_TIMEOUT_MS", &options.ping_timeout_ms.to_string());
    if let Some(url) = redis {
        node = node.env("REDIS", &url);
    }
    node
}
