//! A socket: one client in one namespace.

use std::any::TypeId;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lakh_broker::Room;
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::ack::{AckError, AckFuture, Slot};
use crate::args;
use crate::engine_io::EngineSocket;
use crate::handler::{Handler, IntoHandler};
use crate::handshake::Handshake;
use crate::hub::Hub;
use crate::ids::Id;
use crate::kept::{Extensions, Kept, OwnHandlers, Said};
use crate::mailbox::{Command, Full};
use crate::namespace::{CloseHook, Joining, Namespace, NamespaceInner, Recovery};
use crate::operator::{EmitError, Operator, broadcasting};
use crate::outgoing::{Flags, Outgoing, Targets};
use crate::payload::Payload;
use crate::shard::{Shard, SocketKey};

pub(crate) struct SocketInner {
    pub hub: Hub,
    pub namespace: Arc<NamespaceInner>,
    pub handshake: Arc<Handshake>,
    pub said: Option<Box<Said>>,
    pub kept: Mutex<Option<Box<Kept>>>,
    pub key: SocketKey,
    pub shard: u32,
    pub id: Id,
    pub recovered: bool,
    pub connected: AtomicBool,
    /// It has left, or did not get in.
    pub gone: AtomicBool,
}

impl SocketInner {
    pub(crate) fn shard(&self) -> usize {
        self.shard as usize
    }
}

/// There is one for each client: a field more is a field times all of them. With the counts of its `Arc` it fits into the
/// gaps that glibc leaves between the aligned allocations of the runtime.
const _: () = assert!(size_of::<SocketInner>() + 16 <= 104);

/// One client in one namespace. Cheap to clone; handlers run on its own event loop, where its methods act at once; from
/// other threads they are sent to that loop, in order.
#[derive(Clone)]
pub struct Socket(pub(crate) Arc<SocketInner>);

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Socket({} in {})", self.id(), self.0.namespace.name)
    }
}

impl PartialEq for Socket {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Socket {}

impl Socket {
    /// The id that clients and rooms know this socket by. It's not the session's id, which is a secret.
    #[must_use]
    pub fn id(&self) -> &str {
        let alias = self.0.said.as_ref().and_then(|said| said.alias.as_deref());
        alias.unwrap_or_else(|| self.0.id.as_str())
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> Namespace {
        Namespace {
            hub: self.0.hub.clone(),
            inner: Arc::clone(&self.0.namespace),
        }
    }

    /// The connection's first request.
    #[must_use]
    pub fn handshake(&self) -> &Handshake {
        &self.0.handshake
    }

    /// The connection below this socket: its transport, the session's id, and a way to cut it off as if the network
    /// had (the client comes back). For its handlers: `None` on any other thread than its loop, and when it's over.
    #[must_use]
    pub fn conn(&self) -> Option<EngineSocket> {
        self.0
            .hub
            .current_shard(self.0.shard())?
            .conn_of(self.0.key)
    }

    /// The `auth` that the client gave at CONNECT.
    ///
    /// # Errors
    /// If it isn't of this type; no auth reads as null.
    pub fn auth<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.auth_text().unwrap_or("null"))
    }

    /// The `auth` as the JSON text that came.
    #[must_use]
    pub fn auth_text(&self) -> Option<&str> {
        self.0.said.as_ref()?.auth.as_deref()
    }

    /// Whether this socket took up the session of an earlier connection, rooms and data included.
    #[must_use]
    pub fn recovered(&self) -> bool {
        self.0.recovered
    }

    /// Whether it is connected.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.0.connected.load(Ordering::Acquire)
    }

    /// Milliseconds since 1970, by the server's clock.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.0.hub.wall_ms()
    }

    /// Keeps a value with this socket, one of each type. A recovered socket has it again.
    pub fn insert<T: Send + Sync + 'static>(&self, value: T) {
        let extensions = self.extensions();
        let old = extensions.lock().insert(TypeId::of::<T>(), Arc::new(value));
        // Users' values are dropped outside the lock: they may do anything then.
        drop(old);
    }

    /// The value of this type that was kept.
    #[must_use]
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.0.kept.lock().as_ref()?.get()
    }

    pub(crate) fn extensions(&self) -> Extensions {
        let mut kept = self.0.kept.lock();
        let kept = kept.get_or_insert_default();
        Arc::clone(kept.extensions.get_or_insert_default())
    }

    /// Sets the JSON data that `fetch_sockets` shows to other parts of the server.
    pub fn set_data(&self, data: Value) {
        let old = self
            .0
            .kept
            .lock()
            .get_or_insert_default()
            .data
            .replace(data);
        drop(old);
        if self.0.hub.followed().is_some() && self.0.namespace.recovery.get().is_some() {
            self.act(|shard, socket| shard.record_changed(socket.0.key, false));
        }
    }

    /// The JSON data; null if none was set.
    #[must_use]
    pub fn data(&self) -> Value {
        self.data_if_set().unwrap_or_default()
    }

    pub(crate) fn data_if_set(&self) -> Option<Value> {
        let kept = self.0.kept.lock();
        kept.as_ref().and_then(|kept| kept.data.clone())
    }

    /// What the record of its session keeps for it. `shared`: values kept from now on are to be in the record, too.
    pub(crate) fn kept_for_record(&self, shared: bool) -> Option<Box<Kept>> {
        if shared {
            drop(self.extensions());
        }
        self.0.kept.lock().clone()
    }

    /// Handles an event of this socket alone, before the namespace's handler of that name. The namespace's own `on` is
    /// lighter: it costs nothing for each socket.
    pub fn on<M>(&self, event: &str, handler: impl IntoHandler<M>) {
        self.add(event, handler.into_handler(), false);
    }

    /// Handles an event once.
    pub fn once<M>(&self, event: &str, handler: impl IntoHandler<M>) {
        self.add(event, handler.into_handler(), true);
    }

    /// Handles an event no longer.
    pub fn off(&self, event: &str) {
        drop(self.change_own(|own| own.on.remove(event)));
    }

    fn add(&self, event: &str, handler: Handler, once: bool) {
        drop(self.change_own(|own| own.on.insert(event.into(), (handler, once))));
    }

    /// Changes the socket's own handlers, unless it's gone: they often hold the socket itself, and nothing would break
    /// that circle any more. What comes back is to be dropped outside the lock: users' values may do anything then.
    fn change_own<R>(&self, change: impl FnOnce(&mut OwnHandlers) -> R) -> Option<R> {
        let mut kept = self.0.kept.lock();
        if self.0.gone.load(Ordering::Acquire) {
            drop(kept);
            return None;
        }
        let own = &mut kept.get_or_insert_default().own;
        Some(change(own.get_or_insert_default()))
    }

    /// The socket's own handlers, taken for good.
    pub(crate) fn take_own(&self) -> Option<Box<OwnHandlers>> {
        let mut kept = self.0.kept.lock();
        self.0.gone.store(true, Ordering::Release);
        kept.as_mut()?.own.take()
    }

    /// Runs when this socket is about to go; its rooms are still there.
    pub fn on_disconnecting(&self, hook: impl Fn(lakh_wire::CloseReason) + Send + Sync + 'static) {
        let hook = sync_hook(hook);
        self.change_own(|own| own.disconnecting.push(hook));
    }

    /// Runs when this socket has gone.
    pub fn on_disconnect(&self, hook: impl Fn(lakh_wire::CloseReason) + Send + Sync + 'static) {
        let hook = sync_hook(hook);
        self.change_own(|own| own.disconnect.push(hook));
    }

    pub(crate) fn own_handler(&self, event: &str) -> Option<Handler> {
        let mut kept = self.0.kept.lock();
        let own = kept.as_mut()?.own.as_mut()?;
        let (handler, once) = own.on.get(event)?.clone();
        if once {
            own.on.remove(event);
        }
        Some(handler)
    }

    /// Joins a room. From a handler this is done at once, and tells whether the socket is in the room now: it isn't if
    /// it's in as many rooms as it may. From another thread the answer is always yes, and a refusal is logged.
    pub fn join(&self, room: impl Into<Room>) -> bool {
        let room = room.into();
        if let Some(shard) = self.0.hub.current_shard(self.0.shard()) {
            return shard.join(self.0.key, &room);
        }
        let joining = Joining::new(&self.0.namespace);
        self.act(move |shard, socket| {
            shard.join(socket.0.key, &room);
            drop(joining);
        });
        true
    }

    /// Leaves a room.
    pub fn leave(&self, room: impl Into<Room>) {
        let room = room.into();
        self.act(move |shard, socket| shard.leave(socket.0.key, &room));
    }

    /// Whether it is in a room (its own is not counted). For its handlers: on any other thread than its loop the
    /// answer is no; `rooms` works everywhere.
    #[must_use]
    pub fn is_in(&self, room: &str) -> bool {
        self.0
            .hub
            .current_shard(self.0.shard())
            .is_some_and(|shard| shard.is_member(self.0.key, room))
    }

    /// The name by which it is in a room: with its filter, if it has one ([`crate::Sieve`]). For its handlers, as
    /// [`Socket::is_in`].
    #[must_use]
    pub fn membership(&self, room: &str) -> Option<Room> {
        let shard = self.0.hub.current_shard(self.0.shard())?;
        shard.membership(self.0.key, room)
    }

    /// The rooms it is in, its own among them.
    pub async fn rooms(&self) -> Vec<Room> {
        let (send, receive) = tokio::sync::oneshot::channel();
        // A receiver that went away no longer wants the answer.
        self.act(move |shard, socket| drop(send.send(shard.rooms_of(socket.0.key))));
        receive.await.unwrap_or_default()
    }

    /// Leaves the namespace (`false`), or closes the whole connection (`true`).
    pub fn disconnect(&self, close: bool) {
        self.act(move |shard, socket| shard.disconnect(socket.0.key, close));
    }

    /// Sends an event. A tuple is a list of arguments, `()` is none, anything else is one.
    ///
    /// # Errors
    /// If the arguments can't be written, or the server is overloaded.
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, args: &T) -> Result<(), EmitError> {
        let payload = args::encode(Some(event), args)?;
        Ok(self.emit_payload(payload, Flags::default())?)
    }

    /// Sends an event whose arguments are raw JSON, the event's name first.
    ///
    /// # Errors
    /// If the server is overloaded.
    pub fn emit_raw(&self, payload: Payload) -> Result<(), EmitError> {
        Ok(self.emit_payload(payload, Flags::default())?)
    }

    /// Sends an event that is dropped if the client can't take it right now.
    ///
    /// # Errors
    /// As [`Socket::emit`].
    pub fn emit_volatile<T: Serialize + ?Sized>(
        &self,
        event: &str,
        args: &T,
    ) -> Result<(), EmitError> {
        self.volatile().emit(event, args)
    }

    /// For an event that is dropped if the client can't take it right now: `socket.volatile().emit(…)`.
    pub fn volatile(&self) -> FlaggedSocket<'_> {
        FlaggedSocket::new(self).volatile()
    }

    /// For an event that may, or may not, be compressed where compression was negotiated; it may by default.
    pub fn compress(&self, compress: bool) -> FlaggedSocket<'_> {
        FlaggedSocket::new(self).compress(compress)
    }

    /// For an event that goes past the recovery log, at once from its own loop: who comes back does not get it again.
    pub fn unlogged(&self) -> FlaggedSocket<'_> {
        FlaggedSocket::new(self).unlogged()
    }

    fn emit_payload(&self, payload: Payload, flags: Flags) -> Result<(), Full> {
        let recovery = self.0.namespace.recovery.get();
        if let Some(recovery) = recovery.filter(|_| !flags.unlogged) {
            return self.emit_recoverable(recovery, payload, flags);
        }
        self.try_act(payload.len(), move |shard, socket| {
            shard.emit_to(socket, &payload, None, None, flags)
        })
    }

    /// As in Node: in a recoverable namespace an emit goes through the log, as a broadcast to one's own room.
    fn emit_recoverable(
        &self,
        recovery: &Recovery,
        payload: Payload,
        flags: Flags,
    ) -> Result<(), Full> {
        let Self(inner) = self;
        // What isn't logged needs neither a room nor a broadcast: a world's ticks go this way.
        if flags.volatile
            && let Some(shard) = inner.hub.current_shard(inner.shard())
        {
            let send = |at| shard.emit_to(self, &payload, None, Some(at), flags);
            if inner.hub.pass_now(&shard, recovery, send) {
                return Ok(());
            }
        }
        let targets = Targets {
            rooms: [Room::from(self.id())].into_iter().collect(),
            ..Targets::default()
        };
        let namespace = Arc::clone(&inner.namespace);
        let mut outgoing = Outgoing::new(namespace, payload, targets, flags);
        outgoing.only = Some((inner.shard(), inner.key));
        inner.hub.publish(outgoing)
    }

    /// Sends an event and waits for its answer, as long as the socket is connected.
    ///
    /// # Errors
    /// If the arguments can't be written, or the server is overloaded.
    pub fn emit_with_ack<R: DeserializeOwned>(
        &self,
        event: &str,
        args: &(impl Serialize + ?Sized),
    ) -> Result<AckFuture<R>, EmitError> {
        self.emit_with_ack_within(None, event, args)
    }

    /// Waits for acknowledgements this long.
    pub fn timeout(&self, timeout: Duration) -> TimedSocket<'_> {
        TimedSocket {
            socket: self,
            timeout,
        }
    }

    fn emit_with_ack_within<R: DeserializeOwned>(
        &self,
        timeout: Option<Duration>,
        event: &str,
        args: &(impl Serialize + ?Sized),
    ) -> Result<AckFuture<R>, EmitError> {
        let payload = args::encode(Some(event), args)?;
        Ok(self.emit_raw_with_ack_within(timeout, payload)?)
    }

    fn emit_raw_with_ack_within<R: DeserializeOwned>(
        &self,
        timeout: Option<Duration>,
        payload: Payload,
    ) -> Result<AckFuture<R>, Full> {
        let slot = Arc::new(Slot::default());
        let waiting = Arc::clone(&slot);
        if !self.is_connected() {
            slot.resolve(Err(AckError::Disconnected));
        } else {
            self.try_act(payload.len(), move |shard, socket| {
                shard.emit_with_ack(socket, &payload, &waiting, timeout);
            })?;
        }
        Ok(AckFuture {
            slot,
            kind: PhantomData,
        })
    }

    pub(crate) fn send_ack(&self, id: u64, payload: Payload) {
        self.act(move |shard, socket| shard.send_ack(socket, id, &payload));
    }

    /// Does something on the socket's own loop, behind everything that was on its way to that loop when this was called, and
    /// before all that is sent to it later: what was broadcast before has reached the members of before, and who joins a
    /// room here gets what is broadcast to it from this call on. It's done even if the loop is behind.
    pub fn in_turn(&self, work: impl FnOnce(&Self) + Send + 'static) {
        let socket = self.clone();
        let shard = self.0.shard();
        let joining = Joining::new(&self.0.namespace);
        self.0.hub.run_surely_on(shard, move |_| {
            work(&socket);
            drop(joining);
        });
    }

    /// Does something on the socket's own loop: at once if this is it.
    pub(crate) fn act(&self, work: impl FnOnce(&Shard, &Self) + Send + 'static) {
        if let Err(full) = self.try_act(0, work) {
            tracing::warn!(socket = self.id(), %full, "an operation on a socket was dropped");
        }
    }

    pub(crate) fn try_act(
        &self,
        bytes: usize,
        work: impl FnOnce(&Shard, &Self) + Send + 'static,
    ) -> Result<(), Full> {
        /// What a boxed closure weighs besides its payload.
        const OVERHEAD: usize = 128;
        match self.0.hub.current_shard(self.0.shard()) {
            Some(shard) => work(&shard, self),
            None => {
                let socket = self.clone();
                let command = Command::Run(
                    Box::new(move |shard| work(shard, &socket)),
                    bytes + OVERHEAD,
                );
                self.0.hub.send(self.0.shard(), command)?;
            }
        }
        Ok(())
    }

    /// A broadcast from this socket reaches everyone but itself.
    fn operator(&self) -> Operator {
        Operator::new(self.0.hub.clone(), Arc::clone(&self.0.namespace)).except(self.id())
    }

    broadcasting!();

    /// Starts a broadcast to everyone else in the namespace.
    pub fn broadcast(&self) -> Operator {
        self.operator()
    }
}

fn sync_hook(hook: impl Fn(lakh_wire::CloseReason) + Send + Sync + 'static) -> CloseHook {
    let hook = Arc::new(hook);
    Arc::new(move |_, reason| {
        let hook = Arc::clone(&hook);
        // Not before it's polled: a panic must be caught where those of all handlers are.
        Box::pin(async move { hook(reason) })
    })
}

/// A socket whose acknowledgements have a time limit.
#[derive(Debug)]
#[must_use = "nothing is sent until `emit_with_ack`"]
pub struct TimedSocket<'a> {
    socket: &'a Socket,
    timeout: Duration,
}

impl TimedSocket<'_> {
    /// Sends an event and waits for its answer within the time given.
    ///
    /// # Errors
    /// As [`Socket::emit_with_ack`].
    pub fn emit_with_ack<R: DeserializeOwned>(
        &self,
        event: &str,
        args: &(impl Serialize + ?Sized),
    ) -> Result<AckFuture<R>, EmitError> {
        self.socket
            .emit_with_ack_within(Some(self.timeout), event, args)
    }

    /// The same with arguments that are raw JSON, the event's name first.
    ///
    /// # Errors
    /// If the server is overloaded.
    pub fn emit_raw_with_ack<R: DeserializeOwned>(
        &self,
        payload: Payload,
    ) -> Result<AckFuture<R>, Full> {
        self.socket
            .emit_raw_with_ack_within(Some(self.timeout), payload)
    }
}

/// An event to one socket in the making.
#[derive(Debug)]
#[must_use = "nothing is sent until `emit`"]
pub struct FlaggedSocket<'a> {
    socket: &'a Socket,
    flags: Flags,
}

impl<'a> FlaggedSocket<'a> {
    fn new(socket: &'a Socket) -> Self {
        Self {
            socket,
            flags: Flags::default(),
        }
    }

    /// As [`Socket::volatile`].
    pub fn volatile(mut self) -> Self {
        self.flags.volatile = true;
        self
    }

    /// As [`Socket::unlogged`].
    pub fn unlogged(mut self) -> Self {
        self.flags.unlogged = true;
        self
    }

    /// As [`Socket::compress`].
    pub fn compress(mut self, compress: bool) -> Self {
        self.flags.compress = compress;
        self
    }

    /// Sends the event.
    ///
    /// # Errors
    /// As [`Socket::emit`].
    pub fn emit<T: Serialize + ?Sized>(self, event: &str, args: &T) -> Result<(), EmitError> {
        self.emit_raw(args::encode(Some(event), args)?)
    }

    /// Sends an event whose arguments are raw JSON, the event's name first.
    ///
    /// # Errors
    /// If the server is overloaded.
    pub fn emit_raw(self, payload: Payload) -> Result<(), EmitError> {
        Ok(self.socket.emit_payload(payload, self.flags)?)
    }
}
