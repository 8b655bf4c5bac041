//! Drives a loop of the hub without sockets: what a client would send goes in as text, and what it would receive is
//! read out of its outbox. The hub's clock is virtual; it stands still unless a test moves it.

#![allow(dead_code, reason = "each test binary uses its own part of this")]
#![allow(
    clippy::needless_pass_by_value,
    reason = "tests write `json!({…})` where it is needed"
)]

mod clock;
mod inbox;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use lakh_hub::auth::Principal;
use lakh_hub::shard::{App, SessionKey};
use lakh_hub::{Bytes, Handshake, Hub, Item, Settings, Shard, Socket};
use lakh_wire::engine::{End, Side, Transport, Version};
use serde_json::{Value, json};
use tokio::sync::Notify;

pub(crate) use clock::{START_MS, TestClock};
pub(crate) use inbox::Event;
use inbox::Inbox;

/// Tells a hang from slowness. Under a paused clock it passes in no time once nothing else is to come.
const BOUND: Duration = Duration::from_secs(60);

/// A hub whose namespaces take a name for a sign-in, as the server does in development; without a name nobody is
/// signed in.
pub(crate) fn hub(shards: usize, namespaces: &[&str]) -> (Hub, TestClock) {
    let clock = TestClock::default();
    (hub_by(&clock, "node", shards, namespaces), clock)
}

/// The same with a clock of the test's own, and a name where there are several.
pub(crate) fn hub_by(clock: &TestClock, node: &str, shards: usize, namespaces: &[&str]) -> Hub {
    let settings = Settings {
        shards,
        node: node.to_owned(),
        ..Settings::default()
    };
    hub_with(settings, clock, namespaces)
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

    /// Sends a request without its object, and gives its answer.
    pub(crate) async fn ask_without_argument(&self, name: &str) -> Value {
        let id = self.next_ack.replace(self.next_ack.get() + 1);
        self.send(&format!("42{}{id}{}", self.prefix, json!([name])));
        self.answer(id).await
    }

    /// Sends an event to which no answer is wanted.
    pub(crate) fn send_event(&self, name: &str, argument: &Value) {
        self.send(&format!("42{}{}", self.prefix, json!([name, argument])));
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
