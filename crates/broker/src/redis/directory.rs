//! Which nodes there are and where each is reached, for requests that have to be passed from one to another.
//!
//! Each node writes its entry into one hash, again and again, and reads all entries in the same step. The time is that of
//! Redis, so that clocks of nodes are not compared. Invariants: an entry that isn't renewed is gone after its lifetime; a
//! look that many wait for is one question to Redis, and there is a least time between two, so tags that strangers invent
//! cost next to nothing; while Redis is away, and until all have had the time to come back to it, what was known stays.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use redis::{RedisResult, Value, cmd};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use tokio::net::UdpSocket;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::address::Address;
use super::backoff::Backoff;
use super::config::OpenError;
use super::connection::{Connection, Waits, connect};
use super::script::{Script, beside};

static STEP: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("announce.lua")));
/// Entries that are looked at. A fleet has a few dozen nodes.
const MAX_NODES: usize = 4096;
/// Wait for Redis to hear that this node has gone.
const FAREWELL: Duration = Duration::from_secs(2);

/// A node as it announces itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// What its session ids begin with.
    pub tag: String,
    /// Its name.
    pub name: String,
    /// Where the other nodes reach it.
    pub at: SocketAddr,
    /// What it wants to hear from them.
    pub secret: String,
}

/// What is told of another node that has this one's tag.
pub type OnConflict = Arc<dyn Fn(&Announced) + Send + Sync>;

/// How a directory is made.
#[derive(Clone)]
pub struct DirectoryConfig {
    /// Where Redis is; the forms stand with [`AddressError`](super::AddressError).
    pub url: String,
    /// What the name in Redis begins with.
    pub key: String,
    /// How often this node announces itself and reads of the others.
    pub beat: Duration,
    /// How long an entry holds that isn't renewed.
    pub lifetime: Duration,
    /// The least time between two looks.
    pub gap: Duration,
    /// The least and the most wait before connecting again.
    pub backoff: (Duration, Duration),
    /// Wait for a connection.
    pub connect_timeout: Duration,
    /// Wait for Redis to answer.
    pub response_timeout: Duration,
    /// Called when another node that is alive turns out to have this one's tag, once for each.
    pub on_conflict: OnConflict,
}

impl DirectoryConfig {
    /// A beat of 3 s, a lifetime of 15 s, at most five looks a second.
    #[must_use]
    pub fn new(url: &str, key: &str, on_conflict: OnConflict) -> Self {
        Self {
            url: url.to_owned(),
            key: key.to_owned(),
            beat: Duration::from_secs(3),
            lifetime: Duration::from_secs(15),
            gap: Duration::from_millis(200),
            backoff: (Duration::from_millis(50), Duration::from_secs(3)),
            connect_timeout: Duration::from_secs(3),
            response_timeout: Duration::from_secs(5),
            on_conflict,
        }
    }
}

/// An entry of another node.
#[derive(Clone, Debug)]
struct Known {
    node: Arc<Announced>,
    /// By Redis' clock.
    beat_ms: u64,
}

struct Shared {
    config: DirectoryConfig,
    address: Address,
    /// The hash.
    hash: String,
    /// The field of this process.
    own: String,
    /// What is announced, as text.
    entry: Mutex<Option<(Announced, String)>>,
    /// By field.
    known: RwLock<FxHashMap<String, Known>>,
    up: AtomicBool,
    begun: AtomicU64,
    finished: watch::Sender<u64>,
    wake: Notify,
    closing: watch::Sender<bool>,
}

/// The nodes that are known. Dropped without [`Directory::leave`], this node's entry stays for its lifetime.
pub struct Directory {
    shared: Arc<Shared>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory")
            .field("nodes", &self.shared.known.read().len())
            .finish_non_exhaustive()
    }
}

impl Directory {
    /// Begins to read of the other nodes. To be called on a runtime.
    ///
    /// # Errors
    /// [`OpenError`] for a URL that names no Redis. That Redis isn't there is no error.
    pub fn open(config: DirectoryConfig) -> Result<Self, OpenError> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(OpenError::Random)?;
        let shared = Arc::new(Shared {
            address: Address::parse(&config.url)?,
            hash: beside(&config.key, ":lakh:nodes"),
            config,
            own: format!("{:016x}", u64::from_be_bytes(random)),
            entry: Mutex::default(),
            known: RwLock::default(),
            up: AtomicBool::new(true),
            begun: AtomicU64::new(0),
            finished: watch::Sender::new(0),
            wake: Notify::new(),
            closing: watch::Sender::new(false),
        });
        let task = tokio::spawn(run(Arc::clone(&shared)));
        Ok(Self {
            shared,
            task: Mutex::new(Some(task)),
        })
    }

    /// Announces this node, from now until [`Directory::leave`]. An address that stands for all of the machine's is
    /// replaced by the one from which Redis is reached. Gives what the others will read, once it stands there or Redis
    /// turned out to be away; `None` if no address was found.
    pub async fn announce(&self, mut node: Announced) -> Option<SocketAddr> {
        if node.at.ip().is_unspecified() {
            node.at.set_ip(self.route().await?);
        }
        let (at, text) = (node.at, serde_json::to_string(&node).ok()?);
        *self.shared.entry.lock() = Some((node, text));
        self.read_again().await;
        Some(at)
    }

    /// The address of the interface through which Redis is reached. Nothing is sent for that.
    async fn route(&self) -> Option<IpAddr> {
        for (host, port) in self.shared.address.hosts() {
            let Ok(found) = tokio::net::lookup_host((host.as_str(), port)).await else {
                continue;
            };
            for to in found {
                let any: SocketAddr = match to {
                    SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                    SocketAddr::V6(_) => (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
                };
                let Ok(socket) = UdpSocket::bind(any).await else {
                    continue;
                };
                if socket.connect(to).await.is_ok()
                    && let Ok(from) = socket.local_addr()
                {
                    return Some(from.ip().to_canonical());
                }
            }
        }
        None
    }

    /// The node with this tag. If there are several, the one that was heard of last.
    #[must_use]
    pub fn find(&self, tag: &str) -> Option<Arc<Announced>> {
        let known = self.shared.known.read();
        let named = known.values().filter(|known| known.node.tag == tag);
        let last = named.max_by_key(|known| known.beat_ms);
        last.map(|known| Arc::clone(&known.node))
    }

    /// Waits until the nodes have been read anew, or Redis turned out to be away.
    pub async fn read_again(&self) {
        // A look that has begun may be too old.
        let target = self.shared.begun.load(Ordering::Acquire) + 1;
        let mut finished = self.shared.finished.subscribe();
        if !self.shared.up.load(Ordering::Acquire) || *self.shared.closing.borrow() {
            return;
        }
        self.shared.wake.notify_one();
        // The sender lives as long as `self` does.
        let _ = finished.wait_for(|finished| *finished >= target).await;
    }

    /// How often Redis was asked.
    #[must_use]
    pub fn looks(&self) -> u64 {
        self.shared.begun.load(Ordering::Relaxed)
    }

    /// How many other nodes are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.known.read().len()
    }

    /// Whether no other node is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes this node's entry back, and ends.
    pub async fn leave(&self) {
        self.shared.closing.send_replace(true);
        let task = self.task.lock().take();
        if let Some(task) = task {
            // It ends by itself, after some seconds at most.
            let _ = task.await;
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Some(task) = self.task.lock().take() {
            task.abort();
        }
    }
}

async fn run(shared: Arc<Shared>) {
    let mut closing = shared.closing.subscribe();
    let mut backoff = Backoff::new(shared.config.backoff);
    let mut reader = Reader {
        shared: Arc::clone(&shared),
        connection: None,
        keep_until: None,
        told: Vec::new(),
    };
    loop {
        let number = shared.begun.fetch_add(1, Ordering::AcqRel) + 1;
        let read = tokio::select! {
            read = reader.read() => read.is_ok(),
            _ = closing.wait_for(|closing| *closing) => break,
        };
        shared.up.store(read, Ordering::Release);
        shared.finished.send_replace(number);
        let config = &shared.config;
        let pause = async {
            if read {
                backoff.reset();
                sleep(config.gap).await;
                let rest = config.beat.saturating_sub(config.gap);
                // Either is a reason for the next look.
                let _ = timeout(rest, shared.wake.notified()).await;
            } else {
                sleep(backoff.wait_by_chance()).await;
            }
        };
        tokio::select! {
            () = pause => {}
            _ = closing.wait_for(|closing| *closing) => break,
        }
    }
    // Who waits shall not wait for ever.
    shared.up.store(false, Ordering::Release);
    shared.finished.send_replace(u64::MAX);
    let _ = timeout(FAREWELL, reader.take_back()).await;
}

struct Reader {
    shared: Arc<Shared>,
    connection: Option<Connection>,
    /// Redis may have lost all entries. Until then none is missed.
    keep_until: Option<Instant>,
    /// Fields of the nodes with this one's tag that were told of.
    told: Vec<String>,
}

impl Reader {
    async fn connection(&mut self) -> RedisResult<&mut Connection> {
        let config = &self.shared.config;
        let waits = Waits {
            connect: config.connect_timeout,
            response: config.response_timeout,
        };
        match &mut self.connection {
            Some(connection) => Ok(connection),
            none => {
                let connection = connect(&self.shared.address, waits, None).await?;
                self.keep_until = Some(Instant::now() + config.lifetime);
                Ok(none.insert(connection))
            }
        }
    }

    async fn read(&mut self) -> RedisResult<()> {
        let shared = Arc::clone(&self.shared);
        let entry = shared.entry.lock().clone();
        let mut step = STEP.whole(&[&shared.hash]);
        step.arg(&shared.own);
        step.arg(entry.as_ref().map_or("", |(_, text)| text));
        step.arg(u64::try_from(shared.config.lifetime.as_millis()).unwrap_or(u64::MAX));
        match self.connection().await?.ask(&step).await {
            Ok(reply) => {
                let tag = entry.map(|(node, _)| node.tag);
                self.take(&reply, tag.as_deref());
                Ok(())
            }
            Err(error) => {
                self.connection = None;
                Err(error)
            }
        }
    }

    fn take(&mut self, reply: &Value, own_tag: Option<&str>) {
        let mut fresh = parse(reply, &self.shared.own);
        let mut known = self.shared.known.write();
        let mut rivals = Vec::new();
        for (field, other) in &fresh {
            let before = known.get(field).map(|known| known.beat_ms);
            // Only one that has renewed its entry meanwhile is alive: the other may be this one's forerunner.
            let alive = before.is_some_and(|before| before < other.beat_ms);
            if own_tag == Some(&other.node.tag) && alive && !self.told.contains(field) {
                self.told.push(field.clone());
                rivals.push(Arc::clone(&other.node));
            }
        }
        if self.keep_until.is_some_and(|until| Instant::now() < until) {
            for (field, old) in known.drain() {
                fresh.entry(field).or_insert(old);
            }
        }
        *known = fresh;
        drop(known);
        for rival in rivals {
            (self.shared.config.on_conflict)(&rival);
        }
    }

    async fn take_back(&mut self) {
        let mut remove = cmd("HDEL");
        remove.arg(&self.shared.hash).arg(&self.shared.own);
        if let Ok(connection) = self.connection().await {
            // If it fails, the entry runs out.
            let _ = connection.ask(&remove).await;
        }
    }
}

/// The entries of others, out of the script's answer. What can't be read is passed over.
fn parse(reply: &Value, own: &str) -> FxHashMap<String, Known> {
    let Value::Array(items) = reply else {
        return FxHashMap::default();
    };
    let pairs = items.as_chunks::<2>().0.iter().take(MAX_NODES);
    let entries = pairs.filter_map(|[field, value]| {
        let (Value::BulkString(field), Value::BulkString(value)) = (field, value) else {
            return None;
        };
        let field = std::str::from_utf8(field)
            .ok()
            .filter(|field| *field != own)?;
        let (beat, node) = std::str::from_utf8(value).ok()?.split_once(' ')?;
        let known = Known {
            node: Arc::new(serde_json::from_str(node).ok()?),
            beat_ms: beat.parse().ok()?,
        };
        Some((field.to_owned(), known))
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_that_can_not_be_read_are_passed_over() {
        let text = |text: &str| Value::BulkString(text.into());
        let good = r#"17 {"tag":"n1-","name":"n1","at":"[::1]:3000","secret":"s","more":1}"#;
        let reply = Value::Array(vec![
            text("a"),
            text(good),
            text("own"),
            text(good),
            text("b"),
            text("x {}"),
            text("c"),
            text(r#"5 {"tag":"n1-"}"#),
            text("d"),
            Value::Nil,
            text("odd"),
        ]);
        let known = parse(&reply, "own");
        assert_eq!(known.keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!((known["a"].beat_ms, known["a"].node.at.port()), (17, 3000));
        assert!(parse(&Value::Nil, "own").is_empty());
    }
}
