//! A driver for shards without sockets: virtual time, sessions fed with packets, outboxes read back.
//!
//! [`World`] is one shard on the test's own thread. [`loops::Loops`] is several of them, each on a thread of its own,
//! for what crosses event loops. What the hub queues is read through its WebSocket form by a frame reader of this
//! module, so that the tests see what a client would see.

#![allow(dead_code, unreachable_pub)] // Each test binary uses its own part of this.
#![allow(clippy::unwrap_used)] // A panic is how a test fails.

pub mod loops;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lakh_hub::shard::{App, SessionKey, Shard};
use lakh_hub::{
    Clock, CloseReason, Handshake, Hub, Item, Millis, Namespace, ParentNamespace, Settings, Signals,
};
use lakh_wire::control_frame;
use lakh_wire::engine::{End, Side, Transport, Version};
use serde_json::Value;

/// Time that moves only when a test says so; clones show the same time.
#[derive(Clone, Debug)]
pub struct TestClock(Arc<AtomicU64>);

impl TestClock {
    pub fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_000_000)))
    }

    pub fn pass(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::SeqCst))
    }

    fn wall_ms(&self) -> u64 {
        1_700_000_000_000 + self.0.load(Ordering::SeqCst)
    }
}

/// A message of the engine as a client gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    Text(String),
    Binary(Vec<u8>),
}

#[derive(Default)]
struct Received {
    frames: Vec<Frame>,
    closed: Option<CloseReason>,
    signals: Vec<Signals>,
}

struct Inner {
    hub: Hub,
    clock: TestClock,
    shard: Rc<Shard>,
    received: RefCell<HashMap<SessionKey, Received>>,
    /// Sessions whose client reads nothing.
    stuck: RefCell<HashSet<SessionKey>>,
}

/// One shard and the clients on it.
#[derive(Clone)]
pub struct World(Rc<Inner>);

/// Runs a test on a shard of its own, as an event loop would.
pub fn run(test: impl AsyncFnOnce(World)) {
    run_with(Settings::default(), test);
}

/// The same with other settings.
pub fn run_with(settings: Settings, test: impl AsyncFnOnce(World)) {
    let clock = TestClock::new();
    let hub = Hub::new(settings, clock.clone());
    on_a_loop(async {
        test(World::enter(&hub, &clock, 0)).await;
    });
    Shard::exit();
}

pub fn on_a_loop(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, work);
}

pub fn handshake(query: &str) -> Handshake {
    Handshake {
        address: ([192, 0, 2, 7], 4711).into(),
        secure: true,
        time_ms: 1_700_000_000_123,
        query: query.into(),
        headers: Box::new([("user-agent".into(), "driver/1".into())]),
    }
}

impl World {
    pub fn enter(hub: &Hub, clock: &TestClock, index: usize) -> Self {
        Self(Rc::new(Inner {
            hub: hub.clone(),
            clock: clock.clone(),
            shard: Shard::enter(hub, index),
            received: RefCell::default(),
            stuck: RefCell::default(),
        }))
    }

    pub fn hub(&self) -> &Hub {
        &self.0.hub
    }

    /// The namespace of this name, there from now on.
    pub fn of(&self, name: &str) -> Namespace {
        self.0.hub.of(name)
    }

    /// Namespaces that a function lets be made.
    pub fn of_fn(
        &self,
        matcher: impl AsyncFn(String, Option<String>) -> bool + Send + Sync + 'static,
    ) -> ParentNamespace {
        self.0.hub.of_fn(matcher)
    }

    pub fn shard(&self) -> &Shard {
        &self.0.shard
    }

    /// Lets time pass and does what falls due.
    pub fn pass(&self, ms: u64) {
        self.0.clock.pass(ms);
        self.0.shard.advance();
    }

    /// Lets everything that is ready on this loop run.
    pub async fn settle(&self) {
        for _ in 0..24 {
            self.0.shard.drain_mailbox();
            self.pump();
            tokio::task::yield_now().await;
        }
    }

    /// Opens a WebSocket session of protocol 4, and takes the open packet.
    pub fn client(&self) -> Client {
        self.open(Version::V4, Transport::WebSocket)
    }

    pub fn open(&self, version: Version, transport: Transport) -> Client {
        self.open_with(App::SocketIo, version, transport, handshake("EIO=4&t=x"))
    }

    pub fn open_with(
        &self,
        app: App,
        version: Version,
        transport: Transport,
        handshake: Handshake,
    ) -> Client {
        let opened = self.0.shard.open(app, version, transport, handshake);
        Client {
            world: self.clone(),
            key: opened.key,
            sid: opened.id.to_string(),
        }
    }

    /// A client that is connected to `/`.
    pub fn joined(&self) -> Client {
        let client = self.client();
        client.connect("/");
        client
    }

    /// What the loop's flusher does: writes out the outboxes of dirty sessions.
    pub fn pump(&self) {
        loop {
            let mut dirty = Vec::new();
            self.0.shard.take_dirty(&mut dirty, usize::MAX);
            if dirty.is_empty() {
                return;
            }
            for key in dirty {
                self.flush(key);
            }
        }
    }

    fn flush(&self, key: SessionKey) {
        let stuck = self.0.stuck.borrow().contains(&key);
        let kind = self.0.shard.kind(key);
        let taken = self.0.shard.with_outbox(key, |outbox, version| {
            let signals = std::mem::take(&mut outbox.signals);
            let polls = kind.is_some_and(|(_, transport, _)| transport == Transport::Polling);
            let mut frames = Vec::new();
            if stuck {
                outbox.blocked = !outbox.is_empty();
            } else if !polls || outbox.poll_pending || signals.closed.is_some() {
                outbox.blocked = false;
                while let Some(item) = outbox.pop() {
                    read_item(&item, version, &mut frames);
                }
                outbox.poll_pending &= frames.is_empty();
            }
            (signals, frames)
        });
        let Some((signals, frames)) = taken else {
            return;
        };
        let mut all = self.0.received.borrow_mut();
        let received = all.entry(key).or_default();
        received.frames.extend(frames);
        received.signals.push(signals);
        if let Some(reason) = signals.closed {
            received.closed = Some(reason);
            self.0.shard.release(key);
        }
    }
}

/// One connection as its client sees it.
#[derive(Clone)]
pub struct Client {
    pub world: World,
    pub key: SessionKey,
    pub sid: String,
}

impl Client {
    /// Sends an engine packet as text, such as `40` or `42["hi"]`.
    pub fn send(&self, text: &str) {
        self.world.shard().text(self.key, Side::Main, text);
    }

    pub fn send_binary(&self, data: &[u8]) {
        self.world.shard().binary(self.key, Side::Main, data);
    }

    /// The messages that came since the last call.
    pub fn frames(&self) -> Vec<Frame> {
        self.world.pump();
        let mut all = self.world.0.received.borrow_mut();
        let received = all.entry(self.key).or_default();
        std::mem::take(&mut received.frames)
    }

    /// The same, all of them text.
    pub fn texts(&self) -> Vec<String> {
        let frames = self.frames().into_iter();
        frames
            .map(|frame| match frame {
                Frame::Text(text) => text,
                Frame::Binary(data) => panic!("binary where text was due: {data:?}"),
            })
            .collect()
    }

    /// The argument lists of the events that came, of any namespace, without attachments put in.
    pub fn events(&self) -> Vec<Value> {
        let texts = self.texts();
        texts.iter().filter_map(|text| event_of(text)).collect()
    }

    /// The first arguments of the events that came.
    pub fn firsts(&self) -> Vec<Value> {
        self.events()
            .into_iter()
            .map(|args| args[1].clone())
            .collect()
    }

    /// The names of the events that came.
    pub fn names(&self) -> Vec<String> {
        let events = self.events().into_iter();
        events
            .map(|args| args[0].as_str().unwrap().to_owned())
            .collect()
    }

    /// Connects and gives the socket's id. What came before is dropped.
    pub fn connect(&self, namespace: &str) -> String {
        let data = self.connect_with(namespace, "");
        data["sid"].as_str().unwrap().to_owned()
    }

    /// Connects with auth data and gives the data of the CONNECT packet.
    pub fn connect_with(&self, namespace: &str, auth: &str) -> Value {
        self.frames();
        self.send(&format!("40{}{auth}", place(namespace)));
        let texts = self.texts();
        connected(&texts, namespace).unwrap_or_else(|| panic!("not connected: {texts:?}"))
    }

    /// Why the session ended, if it did.
    pub fn closed(&self) -> Option<CloseReason> {
        self.world.pump();
        let all = self.world.0.received.borrow();
        all.get(&self.key).and_then(|received| received.closed)
    }

    /// Signals that were raised since the last call.
    pub fn signals(&self) -> Vec<Signals> {
        self.world.pump();
        let mut all = self.world.0.received.borrow_mut();
        std::mem::take(&mut all.entry(self.key).or_default().signals)
    }

    /// The connection breaks.
    pub fn cut(&self) {
        self.world.shard().end(self.key, Side::Main, End::Closed);
        self.world.pump();
    }

    /// The client stops reading.
    pub fn get_stuck(&self) {
        self.world.pump();
        self.world.0.stuck.borrow_mut().insert(self.key);
        // A kernel's buffer is full before the server hears of it.
        self.world
            .shard()
            .with_outbox(self.key, |outbox, _| outbox.blocked = true);
    }

    /// The client reads again.
    pub fn come_unstuck(&self) {
        self.world.0.stuck.borrow_mut().remove(&self.key);
        self.world.flush(self.key);
    }

    /// Bytes that wait for this client.
    pub fn queued(&self) -> usize {
        let queued = self.world.shard();
        queued
            .with_outbox(self.key, |outbox, _| outbox.bytes())
            .unwrap_or(0)
    }

    pub fn is_paused(&self) -> bool {
        self.world.shard().is_paused(self.key)
    }
}

fn place(namespace: &str) -> String {
    if namespace == "/" {
        String::new()
    } else {
        format!("{namespace},")
    }
}

/// The data of the CONNECT packet of this namespace.
pub fn connected(texts: &[String], namespace: &str) -> Option<Value> {
    let start = format!("40{}", place(namespace));
    texts
        .iter()
        .find_map(|text| serde_json::from_str(text.strip_prefix(&start)?).ok())
}

/// The argument list of an event packet: `42/ns,17["a"]` gives `["a"]`.
pub fn event_of(text: &str) -> Option<Value> {
    let binary = text.strip_prefix("45");
    let rest = match binary {
        Some(rest) => rest.split_once('-')?.1,
        None => text.strip_prefix("42")?,
    };
    serde_json::from_str(&rest[rest.find('[')?..]).ok()
}

/// The acknowledgement number in an event packet of `/`.
pub fn ack_id(text: &str) -> u64 {
    let rest = text.strip_prefix("42").unwrap();
    rest[..rest.find('[').unwrap()].parse().unwrap()
}

fn read_item(item: &Item, version: Version, into: &mut Vec<Frame>) {
    match item {
        Item::Packet(packet) => read_frames(packet.ws(version), into),
        Item::Control(control) => read_frames(control_frame(*control, version), into),
        Item::Open(text) => into.push(Frame::Text(text.to_string())),
    }
}

/// Unmasked frames, RFC 6455 section 5.2.
fn read_frames(mut bytes: &[u8], into: &mut Vec<Frame>) {
    while let [head, length, rest @ ..] = bytes {
        let (length, rest) = match length {
            126 => (
                usize::from(u16::from_be_bytes([rest[0], rest[1]])),
                &rest[2..],
            ),
            127 => (
                usize::try_from(u64::from_be_bytes(rest[..8].try_into().unwrap())).unwrap(),
                &rest[8..],
            ),
            short => (usize::from(*short), rest),
        };
        let payload = rest[..length].to_vec();
        into.push(match head {
            0x81 => Frame::Text(String::from_utf8(payload).unwrap()),
            0x82 => Frame::Binary(payload),
            other => panic!("a frame that starts with {other:#x}"),
        });
        bytes = &rest[length..];
    }
}

/// Notes what happened, in order; clones write to the same list.
#[derive(Clone, Default)]
pub struct Log(Arc<std::sync::Mutex<Vec<String>>>);

impl Log {
    pub fn add(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    /// What was noted since the last call.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// A gate that handlers wait at until the test opens it.
#[derive(Clone)]
pub struct Gate(Arc<tokio::sync::Semaphore>);

impl Gate {
    pub fn closed() -> Self {
        Self(Arc::new(tokio::sync::Semaphore::new(0)))
    }

    /// Waits until it's this one's turn.
    pub async fn pass(&self) {
        self.0.acquire().await.unwrap().forget();
    }

    /// Lets so many through.
    pub fn admit(&self, count: usize) {
        self.0.add_permits(count);
    }
}
