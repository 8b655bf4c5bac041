//! Namespaces: who handles what, and the rights to enter.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use lakh_auth::Principal;
use lakh_broker::{Channel, LogLimits, NameHasher, Room};
use lakh_wire::CloseReason;
use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use serde::Serialize;
use serde_json::Value;
use thiserror::Error;

use crate::caught::caught;
use crate::cluster::ServerHook;
use crate::event::Event;
use crate::handler::{Handler, IntoHandler, LocalFuture};
use crate::hub::Hub;
use crate::listen::Listeners;
use crate::operator::Operator;
use crate::outgoing::Outgoing;
use crate::payload::Payload;
use crate::recovery::Sessions;
use crate::sieve::Sieve;
use crate::socket::Socket;

/// Refuses a client at CONNECT. The client sees `connect_error` with the message and the data.
#[derive(Clone, Debug, Error, Serialize)]
#[error("{message}")]
pub struct ConnectError {
    /// For people.
    pub message: String,
    /// For programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

impl ConnectError {
    /// A refusal without data.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            data: None,
        }
    }

    /// Adds data for programs.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }
}

/// What happens to rooms. The names are those of the adapter's events in Node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomEvent {
    /// `create-room`: the first member of this node came.
    Created(Room),
    /// `delete-room`: the last member of this node left.
    Deleted(Room),
    /// `join-room`: a socket joined.
    Joined(Room, String),
    /// `leave-room`: a socket left.
    Left(Room, String),
}

pub(crate) type ConnectHook =
    Arc<dyn Fn(Socket) -> LocalFuture<Result<(), ConnectError>> + Send + Sync>;
pub(crate) type SignInHook =
    Arc<dyn Fn(Socket) -> LocalFuture<Result<Principal, ConnectError>> + Send + Sync>;
pub(crate) type SocketHook = Arc<dyn Fn(Socket) -> LocalFuture + Send + Sync>;
pub(crate) type CloseHook = Arc<dyn Fn(Socket, CloseReason) -> LocalFuture + Send + Sync>;
pub(crate) type PacketHook =
    Arc<dyn Fn(Socket, Event) -> LocalFuture<Result<(), String>> + Send + Sync>;
pub(crate) type OutgoingHook = Arc<dyn Fn(&Socket, &Payload) + Send + Sync>;
pub(crate) type RoomHook = Arc<dyn Fn(&RoomEvent) + Send + Sync>;
pub(crate) type MemberHook = Arc<dyn Fn(&Socket, &Room, bool) + Send + Sync>;
pub(crate) type CountedHook = Arc<dyn Fn(&Room, u64, &Payload, &mut dyn FnMut()) + Send + Sync>;

/// What a namespace does. Read on every event, changed hardly ever: so it's replaced as a whole.
#[derive(Clone, Default)]
pub(crate) struct Handlers {
    pub on: FxHashMap<Box<str>, Handler>,
    /// Of events that have no other.
    pub other: Option<Handler>,
    pub any: Vec<Handler>,
    pub any_outgoing: Vec<OutgoingHook>,
    pub connect: Vec<SocketHook>,
    pub disconnecting: Vec<CloseHook>,
    pub disconnect: Vec<CloseHook>,
    pub sign_in: Option<SignInHook>,
    pub connect_checks: Vec<ConnectHook>,
    pub packet_checks: Vec<PacketHook>,
    pub rooms: Vec<RoomHook>,
    pub members: Vec<MemberHook>,
    pub counted: Vec<CountedHook>,
    pub server: FxHashMap<Box<str>, ServerHook>,
}

impl Handlers {
    /// Whether nothing is asked of a newcomer.
    pub(crate) fn asks_nothing(&self) -> bool {
        self.sign_in.is_none() && self.connect_checks.is_empty()
    }

    pub(crate) fn room_event(&self, event: impl FnOnce() -> RoomEvent) {
        if self.rooms.is_empty() {
            return;
        }
        let event = event();
        for hook in &self.rooms {
            caught("a hook of rooms", || hook(&event));
        }
    }

    pub(crate) fn member_event(&self, socket: &Socket, room: &Room, joined: bool) {
        for hook in &self.members {
            caught("a hook of members", || hook(socket, room, joined));
        }
    }
}

pub(crate) type SharedHandlers = Arc<ArcSwap<Handlers>>;

/// Recovery of one namespace: the log of its broadcasts and the sessions that may come back.
pub(crate) struct Recovery {
    pub channel: Channel<Arc<Outgoing>>,
    pub sessions: Sessions,
    pub window_ms: u64,
    pub max_bytes: usize,
}

pub(crate) struct NamespaceInner {
    /// Never used again for another namespace, unlike the name.
    pub id: u32,
    pub name: Box<str>,
    pub handlers: SharedHandlers,
    pub acks: AtomicU64,
    pub sockets: AtomicUsize,
    pub rooms: AtomicUsize,
    /// Which shards have members of a room, as bits. Kept only when there is more than one shard.
    pub shards_of: RwLock<HashMap<Room, u64, NameHasher>>,
    /// Joins on their way to other loops. `shards_of` can't be trusted meanwhile.
    pub joining: AtomicUsize,
    pub recovery: std::sync::OnceLock<Recovery>,
    pub listeners: Listeners,
    /// What the filters of members mean.
    pub sieve: std::sync::OnceLock<Arc<dyn Sieve>>,
    /// Made by a pattern or a function, and removed when it's empty.
    pub dynamic: bool,
    /// Whether what other nodes publish in it is known to arrive here; see [`Hub::subscribed`].
    pub subscribed: AtomicBool,
}

impl NamespaceInner {
    pub(crate) fn new(id: u32, name: &str, handlers: SharedHandlers, dynamic: bool) -> Self {
        Self {
            id,
            name: name.into(),
            handlers,
            acks: AtomicU64::new(0),
            sockets: AtomicUsize::new(0),
            rooms: AtomicUsize::new(0),
            shards_of: RwLock::default(),
            joining: AtomicUsize::new(0),
            recovery: std::sync::OnceLock::new(),
            listeners: Listeners::default(),
            sieve: std::sync::OnceLock::new(),
            dynamic,
            subscribed: AtomicBool::new(!dynamic),
        }
    }

    pub(crate) fn next_ack(&self) -> u64 {
        self.acks.fetch_add(1, Ordering::Relaxed)
    }
}

/// A join on its way to another loop: from now on and until this is dropped.
pub(crate) struct Joining(Arc<NamespaceInner>);

impl Joining {
    pub(crate) fn new(namespace: &Arc<NamespaceInner>) -> Self {
        namespace.joining.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(namespace))
    }
}

impl Drop for Joining {
    fn drop(&mut self) {
        self.0.joining.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A namespace of the server. Cheap to clone; any thread may use it.
#[derive(Clone)]
pub struct Namespace {
    pub(crate) hub: Hub,
    pub(crate) inner: Arc<NamespaceInner>,
}

impl std::fmt::Debug for Namespace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Namespace({})", self.inner.name)
    }
}

impl Namespace {
    /// The name, `/` in front.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The hub that it belongs to.
    #[must_use]
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Sockets connected to this namespace on this node.
    #[must_use]
    pub fn socket_count(&self) -> usize {
        self.inner.sockets.load(Ordering::Relaxed)
    }

    /// Rooms with members on this node, the sockets' own rooms not counted.
    #[must_use]
    pub fn room_count(&self) -> usize {
        if self.hub.shard_count() == 1 {
            return self.inner.rooms.load(Ordering::Relaxed);
        }
        // Members of one room may be spread over several loops.
        self.inner.shards_of.read().len()
    }

    /// Makes this namespace recoverable: clients that come back within the log's age get what they missed.
    /// An offset is appended to the arguments of every event without acknowledgement, as Node does. To be called before
    /// the server starts; later calls change nothing. In a fleet whose link keeps a stream, clients may come back to any
    /// node; where it keeps nothing (pub/sub), to the one that they were on, if that one has missed nothing since.
    pub fn recoverable(&self, limits: LogLimits) -> &Self {
        self.inner.recovery.get_or_init(|| Recovery {
            channel: match self.hub.followed() {
                Some(cluster) => {
                    let channel = Channel::following(limits);
                    channel.begin_at(cluster.seen());
                    channel
                }
                None => Channel::new(self.hub.random(), limits),
            },
            sessions: Sessions::default(),
            window_ms: limits.max_age_ms,
            max_bytes: limits.max_bytes,
        });
        self
    }

    /// Whether clients that come back get what they missed.
    #[must_use]
    pub fn is_recoverable(&self) -> bool {
        self.inner.recovery.get().is_some()
    }

    /// Rooms with members on this node, the sockets' own not counted.
    pub(crate) fn each_room(&self, each: impl Fn(Vec<Room>) + Clone + Send + 'static) {
        let id = self.inner.id;
        self.hub
            .on_each_shard(move |shard| each(shard.room_names(id)));
    }

    pub(crate) fn add_server_hook(&self, event: &str, hook: &ServerHook) {
        self.change(|handlers| {
            handlers.server.insert(event.into(), Arc::clone(hook));
        });
    }

    /// Starts a broadcast to everyone in this namespace.
    pub(crate) fn operator(&self) -> Operator {
        Operator::new(self.hub.clone(), Arc::clone(&self.inner))
    }
}

/// The part of the API that sets what a namespace does; shared by [`Namespace`] and [`ParentNamespace`].
macro_rules! registration {
    ($type:ident) => {
        impl $type {
            pub(crate) fn change(&self, change: impl Fn(&mut Handlers)) {
                self.handlers().rcu(|current| {
                    let mut next = Handlers::clone(current);
                    change(&mut next);
                    next
                });
            }

            pub(crate) fn add_handler(&self, event: &str, handler: Handler) {
                self.change(|handlers| {
                    handlers.on.insert(event.into(), handler.clone());
                });
            }

            /// Handles an event by name. One handler an event: a second one replaces the first.
            pub fn on<M>(&self, event: &str, handler: impl IntoHandler<M>) {
                self.add_handler(event, handler.into_handler());
            }

            /// Sees every event that comes in, before its own handler.
            pub fn on_any<M>(&self, handler: impl IntoHandler<M>) {
                let handler = handler.into_handler();
                self.change(|handlers| handlers.any.push(handler.clone()));
            }

            /// Sees every event that goes out, for each receiver.
            pub fn on_any_outgoing(
                &self,
                hook: impl Fn(&Socket, &Payload) + Send + Sync + 'static,
            ) {
                let hook: OutgoingHook = Arc::new(hook);
                self.change(|handlers| handlers.any_outgoing.push(Arc::clone(&hook)));
            }

            /// Runs for each socket that has connected.
            pub fn on_connect(&self, hook: impl AsyncFn(Socket) + Send + Sync + 'static) {
                let hook = Arc::new(hook);
                let hook: SocketHook = Arc::new(move |socket| {
                    let hook = Arc::clone(&hook);
                    Box::pin(async move { hook(socket).await })
                });
                self.change(|handlers| handlers.connect.push(Arc::clone(&hook)));
            }

            /// Runs when a socket is about to go; its rooms are still there.
            pub fn on_disconnecting(
                &self,
                hook: impl AsyncFn(Socket, CloseReason) + Send + Sync + 'static,
            ) {
                let hook = close_hook(hook);
                self.change(|handlers| handlers.disconnecting.push(Arc::clone(&hook)));
            }

            /// Runs when a socket has gone.
            pub fn on_disconnect(
                &self,
                hook: impl AsyncFn(Socket, CloseReason) + Send + Sync + 'static,
            ) {
                let hook = close_hook(hook);
                self.change(|handlers| handlers.disconnect.push(Arc::clone(&hook)));
            }

            /// Checks each client at CONNECT, in the order added; the first refusal ends it.
            pub fn use_connect(
                &self,
                check: impl AsyncFn(Socket) -> Result<(), ConnectError> + Send + Sync + 'static,
            ) {
                let check = Arc::new(check);
                let check: ConnectHook = Arc::new(move |socket| {
                    let check = Arc::clone(&check);
                    Box::pin(async move { check(socket).await })
                });
                self.change(|handlers| handlers.connect_checks.push(Arc::clone(&check)));
            }

            /// Says who a client is, or refuses it. Asked first, and unlike the checks of `use_connect` also of a client that
            /// takes up an earlier session: it gets that back if it's the same person's, and comes as a newcomer
            /// otherwise. One check a namespace: a second one replaces the first.
            pub fn use_sign_in(
                &self,
                check: impl AsyncFn(Socket) -> Result<Principal, ConnectError> + Send + Sync + 'static,
            ) {
                let check = Arc::new(check);
                let check: SignInHook = Arc::new(move |socket| {
                    let check = Arc::clone(&check);
                    Box::pin(async move { check(socket).await })
                });
                self.change(|handlers| handlers.sign_in = Some(Arc::clone(&check)));
            }

            /// Checks each event before its handler; a refused event is dropped and the refusal logged. Events of
            /// one socket are checked one after the other, in their order.
            pub fn use_packet(
                &self,
                check: impl AsyncFn(Socket, Event) -> Result<(), String> + Send + Sync + 'static,
            ) {
                let check = Arc::new(check);
                let check: PacketHook = Arc::new(move |socket, event| {
                    let check = Arc::clone(&check);
                    Box::pin(async move { check(socket, event).await })
                });
                self.change(|handlers| handlers.packet_checks.push(Arc::clone(&check)));
            }

            /// Sees what happens to rooms on this node.
            pub fn on_room_event(&self, hook: impl Fn(&RoomEvent) + Send + Sync + 'static) {
                let hook: RoomHook = Arc::new(hook);
                self.change(|handlers| handlers.rooms.push(Arc::clone(&hook)));
            }

            /// Sees each socket that joins (`true`) or leaves a room of this node, its own not counted: by request, by
            /// recovery, by the server's will, at its end. Called on the socket's loop.
            pub fn on_member(&self, hook: impl Fn(&Socket, &Room, bool) + Send + Sync + 'static) {
                let hook: MemberHook = Arc::new(hook);
                self.change(|handlers| handlers.members.push(Arc::clone(&hook)));
            }

            /// Sees each event that was counted in the stream that this node follows
            /// ([`Operator::emit_counted`](crate::Operator::emit_counted)), with its first room and its number, in the
            /// stream's order, before it's delivered. What it's given last puts the event on its way, and must be called
            /// once: who holds a lock of their own meanwhile knows for each loop what comes before and what after.
            pub fn on_counted(
                &self,
                hook: impl Fn(&Room, u64, &Payload, &mut dyn FnMut()) + Send + Sync + 'static,
            ) {
                let hook: CountedHook = Arc::new(hook);
                self.change(|handlers| handlers.counted = vec![Arc::clone(&hook)]);
            }
        }
    };
}

registration!(Namespace);
registration!(ParentNamespace);

impl Namespace {
    fn handlers(&self) -> &SharedHandlers {
        &self.inner.handlers
    }
}

fn close_hook(hook: impl AsyncFn(Socket, CloseReason) + Send + Sync + 'static) -> CloseHook {
    let hook = Arc::new(hook);
    Arc::new(move |socket, reason| {
        let hook = Arc::clone(&hook);
        Box::pin(async move { hook(socket, reason).await })
    })
}

/// Whether a name that no namespace has belongs to a parent. It gets the name and the client's auth data as JSON.
pub(crate) type Matcher = Arc<dyn Fn(&str, Option<&str>) -> LocalFuture<bool> + Send + Sync>;

pub(crate) struct ParentInner {
    pub matcher: Matcher,
    pub handlers: SharedHandlers,
    pub children: RwLock<Vec<Arc<NamespaceInner>>>,
    pub recovery: std::sync::OnceLock<LogLimits>,
}

/// Namespaces made as clients ask for them, all with the same handlers. One that is empty is removed again.
#[derive(Clone)]
pub struct ParentNamespace {
    pub(crate) hub: Hub,
    pub(crate) inner: Arc<ParentInner>,
}

impl std::fmt::Debug for ParentNamespace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ParentNamespace")
            .field(&self.inner.children.read().len())
            .finish()
    }
}

impl ParentNamespace {
    fn handlers(&self) -> &SharedHandlers {
        &self.inner.handlers
    }

    /// Makes the children recoverable, as [`Namespace::recoverable`]. Holds for those made from now on.
    pub fn recoverable(&self, limits: LogLimits) -> &Self {
        self.inner.recovery.get_or_init(|| limits);
        self
    }

    /// The children that exist now.
    #[must_use]
    pub fn children(&self) -> Vec<Namespace> {
        let children = self.inner.children.read();
        children
            .iter()
            .map(|inner| Namespace {
                hub: self.hub.clone(),
                inner: Arc::clone(inner),
            })
            .collect()
    }

    /// Sends an event to everyone in every child.
    ///
    /// # Errors
    /// As [`Operator::emit`].
    pub fn emit<T: Serialize + ?Sized>(
        &self,
        event: &str,
        args: &T,
    ) -> Result<(), crate::EmitError> {
        self.children()
            .iter()
            .try_for_each(|child| child.operator().emit(event, args))
    }
}
