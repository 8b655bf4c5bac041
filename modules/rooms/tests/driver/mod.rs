//! Drives a loop of the hub without sockets: what a client would send goes in as text, and what it would receive is
//! read out of its outbox. The hub's clock is virtual; it stands still unless a test moves it.

#![allow(dead_code, reason = "each test binary uses its own part of this")]
#![allow(
    clippy::needless_pass_by_value,
    reason = "tests write `json!({…})` where it is needed"
)]

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use lakh_hub::auth::Principal;
use lakh_hub::shard::{App, SessionKey};
use lakh_hub::{Bytes, Clock, Handshake, Hub, Item, Millis, Settings, Shard, Socket};
use lakh_wire::engine::{End, Side, Transport, Version};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// Tells a hang from slowness. Under a paused clock it passes in no time once nothing else is to come.
const BOUND: Duration = Duration::from_secs(60);

/// 2026-01-01, in milliseconds since 1970.
pub(crate) const START_MS: u64 = 1_767_225_600_000;

#[derive(Clone, Default)]
pub(crate) struct TestClock(Arc<AtomicU64>);

impl TestClock {
    pub(crate) fn advance(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::Relaxed))
    }

    fn wall_ms(&self) -> u64 {
        START_MS + self.0.load(Ordering::Relaxed)
    }
}

/// A hub whose namespaces take a name for a sign-in, as the server does in development; without a name nobody is
/// signed in.
pub(crate) fn hub(shards: usize, namespaces: &[&str]) -> (Hub, TestClock) {
    hub_named("node", shards, namespaces)
}

/// The same with a name, where there are several.
pub(crate) fn hub_named(node: &str, shards: usize, namespaces: &[&str]) -> (Hub, TestClock) {
    let clock = TestClock::default();
    let settings = Settings {
        shards,
        node: node.to_owned(),
        ..Settings::default()
    };
    (hub_with(settings, &clock, namespaces), clock)
}

/// The same with settings and a clock of the test's own.
pub(crate) fn hub_with(settings: Settings, clock: &TestClock, namespaces: &[&str]) -> Hub {
    let hub = Hub::new(settings, clock.clone());
    for namespace in namespaces {
        hub.of(namespace).use_connect(async |socket: Socket| {
            let auth: Value = socket.auth().unwrap_or_default();
            if let Some(name) = auth["name"].as_str() {
                let id = format!("dev:{}", name.to_lowercase());
                socket.set_principal(Principal::person(id, name));
            }
            Ok(())
        });
    }
    hub
}

/// One loop of the hub, driven by this thread. To be made inside a `LocalSet`.
pub(crate) struct Loop {
    pub(crate) shard: Rc<Shard>,
    clients: RefCell<HashMap<SessionKey, Rc<Inbox>>>,
    /// Something was moved from an outbox to an inbox.
    moved: Notify,
}

#[derive(Default)]
struct Inbox {
    events: RefCell<VecDeque<Event>>,
    acks: RefCell<HashMap<u64, Value>>,
    /// CONNECT, or CONNECT_ERROR.
    connected: RefCell<Option<Result<Value, Value>>>,
    offset: RefCell<Option<String>>,
    /// The packet that still waits for attachments.
    half: RefCell<Option<(String, usize, Vec<Bytes>)>>,
}

/// An event as a client gets it, with placeholders where its attachments belong.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) args: Vec<Value>,
    pub(crate) attachments: Vec<Bytes>,
}

impl Loop {
    pub(crate) fn start(hub: &Hub, index: usize) -> Rc<Self> {
        let this = Rc::new(Self {
            shard: Shard::enter(hub, index),
            clients: RefCell::default(),
            moved: Notify::new(),
        });
        let pump = Rc::clone(&this);
        tokio::task::spawn_local(std::future::poll_fn(move |cx| -> Poll<()> {
            loop {
                pump.shard.drain_mailbox();
                pump.collect();
                if pump.shard.register_mailbox(cx.waker())
                    && pump.shard.register_flusher(cx.waker())
                {
                    return Poll::Pending;
                }
            }
        }));
        this
    }

    fn collect(&self) {
        let mut dirty = Vec::new();
        self.shard.take_dirty(&mut dirty, usize::MAX);
        for key in &dirty {
            let mut frames = Vec::new();
            self.shard.with_outbox(*key, |outbox, version| {
                while let Some(item) = outbox.pop() {
                    if let Item::Packet(packet) = item {
                        frames.push(packet.ws(version).clone());
                    }
                }
            });
            let inbox = self.clients.borrow().get(key).cloned();
            for bytes in frames {
                inbox.iter().for_each(|inbox| inbox.frames(&bytes));
            }
        }
        if !dirty.is_empty() {
            self.moved.notify_waiters();
        }
    }

    /// Waits until `found` finds something.
    async fn until<R>(&self, what: &str, mut found: impl FnMut() -> Option<R>) -> R {
        let wait = async {
            loop {
                let moved = self.moved.notified();
                self.collect();
                if let Some(found) = found() {
                    return found;
                }
                moved.await;
            }
        };
        tokio::time::timeout(BOUND, wait)
            .await
            .unwrap_or_else(|_| panic!("waited for {what}"))
    }

    pub(crate) async fn connect(self: &Rc<Self>, namespace: &str, name: &str) -> Client {
        let client = self.open(namespace, json!({"name": name}));
        client.await_connect().await.expect("let in");
        client
    }

    /// Sends CONNECT on a connection of its own.
    pub(crate) fn open(self: &Rc<Self>, namespace: &str, auth: Value) -> Client {
        let handshake = Handshake {
            address: ([127, 0, 0, 1], 1).into(),
            secure: false,
            time_ms: START_MS,
            query: "".into(),
            headers: Box::default(),
        };
        let opened = self
            .shard
            .open(App::SocketIo, Version::V4, Transport::WebSocket, handshake);
        let inbox = Rc::new(Inbox::default());
        self.clients
            .borrow_mut()
            .insert(opened.key, Rc::clone(&inbox));
        let prefix = if namespace == "/" {
            String::new()
        } else {
            format!("{namespace},")
        };
        let client = Client {
            on: Rc::clone(self),
            key: opened.key,
            prefix,
            auth,
            inbox,
            next_ack: Cell::new(0),
        };
        client.send(&format!("40{}{}", client.prefix, client.auth));
        client
    }
}

impl Inbox {
    /// Takes unmasked frames apart (RFC 6455, 5.2).
    fn frames(&self, mut bytes: &[u8]) {
        while bytes.len() >= 2 {
            let (opcode, short) = (bytes[0] & 0x0f, usize::from(bytes[1]));
            let (length, head) = match short {
                126 => (usize::from(u16::from_be_bytes([bytes[2], bytes[3]])), 4),
                127 => (
                    u64::from_be_bytes(bytes[2..10].try_into().expect("8 bytes")) as usize,
                    10,
                ),
                short => (short, 2),
            };
            let payload = &bytes[head..head + length];
            match opcode {
                1 => self.text(
                    std::str::from_utf8(payload)
                        .expect("UTF-8")
                        .strip_prefix('4')
                        .expect("a message"),
                ),
                2 => self.attachment(Bytes::copy_from_slice(payload)),
                other => panic!("a frame with opcode {other}"),
            }
            bytes = &bytes[head + length..];
        }
    }

    fn text(&self, packet: &str) {
        let binary = packet.starts_with(['5', '6']);
        let count = if binary {
            packet[1..]
                .split_once('-')
                .and_then(|(count, _)| count.parse().ok())
        } else {
            None
        };
        match count {
            Some(count) if count > 0 => {
                *self.half.borrow_mut() = Some((packet.to_owned(), count, Vec::new()))
            }
            _ => self.packet(packet, Vec::new()),
        }
    }

    fn attachment(&self, bytes: Bytes) {
        let mut half = self.half.borrow_mut();
        let (_, count, attachments) = half.as_mut().expect("a packet that waits");
        attachments.push(bytes);
        if attachments.len() == *count
            && let Some((packet, _, attachments)) = half.take()
        {
            self.packet(&packet, attachments);
        }
    }

    fn packet(&self, packet: &str, attachments: Vec<Bytes>) {
        let (kind, mut rest) = packet.split_at(1);
        if matches!(kind, "5" | "6") {
            rest = rest.split_once('-').expect("a count").1;
        }
        if rest.starts_with('/') {
            rest = rest.split_once(',').map_or("", |(_, rest)| rest);
        }
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (id, data) = rest.split_at(digits);
        let data: Value = if data.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(data).expect("JSON")
        };
        match kind {
            "0" => *self.connected.borrow_mut() = Some(Ok(data)),
            "4" => *self.connected.borrow_mut() = Some(Err(data)),
            "1" => {}
            "3" | "6" => {
                self.acks
                    .borrow_mut()
                    .insert(id.parse().expect("a number"), data[0].clone());
            }
            _ => self.event(data, attachments),
        }
    }

    fn event(&self, data: Value, attachments: Vec<Bytes>) {
        let Value::Array(mut args) = data else {
            panic!("an event is a list")
        };
        // In a recoverable namespace the last argument is the offset.
        if let Some(Value::String(offset)) = args.last() {
            *self.offset.borrow_mut() = Some(offset.clone());
            args.pop();
        }
        let name = args.remove(0).as_str().expect("a name").to_owned();
        self.events.borrow_mut().push_back(Event {
            name,
            args,
            attachments,
        });
    }
}

/// A client in one namespace, on a connection of its own.
pub(crate) struct Client {
    on: Rc<Loop>,
    key: SessionKey,
    prefix: String,
    auth: Value,
    inbox: Rc<Inbox>,
    next_ack: Cell<u64>,
}

impl Client {
    fn send(&self, text: &str) {
        self.on.shard.text(self.key, Side::Main, text);
    }

    /// What the server said to CONNECT.
    pub(crate) async fn await_connect(&self) -> Result<Value, Value> {
        self.on
            .until("CONNECT", || self.inbox.connected.borrow().clone())
            .await
    }

    /// The socket's id.
    pub(crate) fn id(&self) -> String {
        let connected = self.inbox.connected.borrow();
        let connect = connected.as_ref().and_then(|outcome| outcome.as_ref().ok());
        connect
            .and_then(|connect| connect["sid"].as_str())
            .expect("connected")
            .to_owned()
    }

    /// Sends a request at once, and gives its answer.
    pub(crate) fn request(&self, name: &str, argument: Value) -> impl Future<Output = Value> {
        self.request_with(name, &argument, &[])
    }

    /// Sends a request, whose answer is to be asked for by the number that comes back.
    pub(crate) fn request_later(&self, name: &str, argument: Value) -> u64 {
        let id = self.next_ack.replace(self.next_ack.get() + 1);
        self.send(&format!("42{}{id}{}", self.prefix, json!([name, argument])));
        id
    }

    /// The answer to a request that was sent earlier.
    pub(crate) async fn answer(&self, id: u64) -> Value {
        self.on
            .until("an answer", || self.inbox.acks.borrow_mut().remove(&id))
            .await
    }

    /// The same with binary attachments, for which placeholders stand in the argument.
    pub(crate) fn request_with<'a>(
        &'a self,
        name: &str,
        argument: &Value,
        attachments: &[Bytes],
    ) -> impl Future<Output = Value> + use<'a> {
        let id = self.next_ack.replace(self.next_ack.get() + 1);
        let kind = if attachments.is_empty() {
            "42".to_owned()
        } else {
            format!("45{}-", attachments.len())
        };
        self.send(&format!(
            "{kind}{}{id}{}",
            self.prefix,
            json!([name, argument])
        ));
        for attachment in attachments {
            self.on.shard.binary(self.key, Side::Main, attachment);
        }
        let what = format!("the answer to {name} {argument}");
        async move {
            self.on
                .until(&what, || self.inbox.acks.borrow_mut().remove(&id))
                .await
        }
    }

    /// Sends a request that has to be granted.
    pub(crate) async fn ok(&self, name: &str, argument: Value) -> Value {
        let answer = self.request(name, argument.clone()).await;
        assert_eq!(
            answer["ok"],
            json!(true),
            "{name} {argument} was answered {answer}"
        );
        answer
    }

    /// Sends a request that has to be refused, and gives the code.
    pub(crate) async fn refused(&self, name: &str, argument: Value) -> String {
        let answer = self.request(name, argument.clone()).await;
        assert_eq!(
            answer["ok"],
            json!(false),
            "{name} {argument} was answered {answer}"
        );
        assert!(answer["error"]["message"].is_string(), "{answer}");
        answer["error"]["code"].as_str().expect("a code").to_owned()
    }

    /// The next event of this name; others before it stay.
    pub(crate) async fn next(&self, name: &str) -> Event {
        let found = || {
            let mut events = self.inbox.events.borrow_mut();
            let at = events.iter().position(|event| event.name == name)?;
            events.remove(at)
        };
        self.on.until(name, found).await
    }

    /// The next event of any name.
    pub(crate) async fn any(&self, what: &str) -> Event {
        let found = || self.inbox.events.borrow_mut().pop_front();
        self.on.until(what, found).await
    }

    /// The first argument of the next event of this name.
    pub(crate) async fn heard(&self, name: &str) -> Value {
        self.next(name).await.args.swap_remove(0)
    }

    /// All that came and was not taken.
    pub(crate) fn received(&self) -> Vec<Event> {
        self.on.shard.drain_mailbox();
        self.on.collect();
        self.inbox.events.borrow_mut().drain(..).collect()
    }

    /// First arguments of the events of one name that came and were not taken.
    pub(crate) fn received_of(&self, name: &str) -> Vec<Value> {
        let all = self.received().into_iter();
        all.filter(|event| event.name == name)
            .map(|mut event| event.args.swap_remove(0))
            .collect()
    }

    /// Says goodbye.
    pub(crate) fn disconnect(&self) {
        self.send(&format!("41{}", self.prefix));
    }

    /// The connection breaks off.
    pub(crate) fn cut(&self) {
        self.on.shard.end(self.key, Side::Main, End::Closed);
        self.on.collect();
        self.on.shard.release(self.key);
        self.on.clients.borrow_mut().remove(&self.key);
    }

    /// Comes back as a stock client does: with its `pid` and the last offset it saw.
    pub(crate) async fn come_back(&self) -> Self {
        let mut auth = self.auth.clone();
        let pid = self.await_connect().await.expect("let in")["pid"].clone();
        auth["pid"] = pid;
        if let Some(offset) = &*self.inbox.offset.borrow() {
            auth["offset"] = json!(offset);
        }
        let namespace = self.prefix.strip_suffix(',').unwrap_or("/");
        let back = self.on.open(namespace, auth);
        back.await_connect().await.expect("let in");
        back
    }
}

/// Runs a test on a loop of its own, on the real clock.
pub(crate) fn run<F: Future<Output = ()>>(test: F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, test);
    Shard::exit();
}

/// The same with tokio's clock paused: it jumps to the next timer when nothing else is to be done.
pub(crate) fn run_paused<F: Future<Output = ()>>(test: F) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, test);
    Shard::exit();
}
