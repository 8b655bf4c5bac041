//! Socket.IO packets that came in, and the running of handlers.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::task::{Context, Poll, Waker};

use lakh_wire::CloseReason;
use lakh_wire::engine::Side;
use lakh_wire::socketio::{Kind, Packet};

use super::{SessionKey, Shard, SocketKey};
use crate::caught::caught_while;
use crate::event::{Event, EventRef};
use crate::handler::LocalFuture;
use crate::namespace::Handlers;
use crate::payload::Incoming;
use crate::socket::Socket;

impl Shard {
    pub(super) fn dispatch(&self, key: SessionKey, packet: Packet<'_>) {
        let limits = &self.hub.settings().limits;
        match packet.kind {
            Kind::Connect => {
                let auth = Incoming::new(packet.data, limits).map(|auth| auth.text().into());
                self.start_connect(key, packet.nsp.into_owned(), auth);
            }
            Kind::Event | Kind::BinaryEvent => {
                let Some(socket) = self.socket_in(key, &packet.nsp) else {
                    return self.no_such_socket(key);
                };
                let Some(args) = Incoming::new(packet.data, limits) else {
                    return;
                };
                self.stats().events_in.add(1);
                if !self.charge_event(key, &socket, packet.id) {
                    return;
                }
                if let Some(event) = EventRef::new(packet.event, &args, packet.id) {
                    self.event(&socket, &event);
                }
            }
            Kind::Ack | Kind::BinaryAck => {
                let Some(socket) = self.socket_in(key, &packet.nsp) else {
                    return self.no_such_socket(key);
                };
                let (Some(id), Some(args)) = (packet.id, Incoming::new(packet.data, limits)) else {
                    return;
                };
                self.acknowledged(socket.0.key, id, args.to_payload());
            }
            Kind::Disconnect => {
                if let Some(socket) = self.socket_in(key, &packet.nsp) {
                    self.close_socket(socket.0.key, CloseReason::ClientNamespaceDisconnect);
                }
            }
            // Only a server sends it.
            Kind::ConnectError => self.parse_error(key, Side::Main),
        }
    }

    /// A packet for a namespace that the connection isn't in. Node closes the connection, too; but a packet that
    /// crossed our own DISCONNECT on the wire is nobody's fault.
    fn no_such_socket(&self, key: SessionKey) {
        let never_joined = {
            let mut state = self.state.borrow_mut();
            state
                .session(key)
                .is_some_and(|entry| entry.connect_by != super::NEVER && entry.entering == 0)
        };
        if never_joined {
            self.close(key, CloseReason::ForcedClose);
        }
    }

    fn socket_in(&self, key: SessionKey, namespace: &str) -> Option<Socket> {
        // The old protocol carries a query behind the name.
        let name = namespace
            .split_once('?')
            .map_or(namespace, |(name, _)| name);
        let state = &mut *self.state.borrow_mut();
        state.session(key)?;
        let slots = &state.sessions[key.slot as usize].sockets;
        let mut sockets = slots
            .iter()
            .filter_map(|slot| state.sockets.get(*slot as usize));
        sockets
            .find(|entry| *entry.socket.0.namespace.name == *name)
            .map(|entry| entry.socket.clone())
    }

    fn event(&self, socket: &Socket, event: &EventRef<'_>) {
        let handlers = socket.0.namespace.handlers.load();
        if handlers.packet_checks.is_empty() {
            return self.handle(&handlers, socket, event);
        }
        {
            let mut state = self.state.borrow_mut();
            let Some(entry) = state.socket(socket.0.key) else {
                return;
            };
            if let Some(inbox) = &mut entry.inbox {
                inbox.push_back(event.to_event());
                return self.pause_if_behind(&mut state, socket.0.key);
            }
            entry.inbox = Some(Box::default());
        }
        self.run_checked(socket, event.to_event());
    }

    /// Checks an event and those that come meanwhile, one after the other.
    fn run_checked(&self, socket: &Socket, first: Event) {
        let (hub, index, socket) = (self.hub.clone(), self.index, socket.clone());
        let key = socket.0.key;
        let work = async move {
            let mut next = Some(first);
            while let Some(event) = next {
                let refused = check(&socket, &event).await;
                let Some(shard) = hub.current_shard(index) else {
                    return;
                };
                match refused {
                    // As in Node: what was checked too late is dropped.
                    None if !socket.is_connected() => return,
                    None => shard.handle_owned(&socket, &event),
                    Some(reason) => {
                        shard.stats().refused_events.add(1);
                        tracing::debug!(
                            socket = socket.id(),
                            event = event.name(),
                            reason,
                            "an event was refused"
                        );
                    }
                }
                next = shard.next_in_inbox(key);
            }
        };
        self.run(key, Box::pin(work));
    }

    fn next_in_inbox(&self, key: SocketKey) -> Option<Event> {
        let mut state = self.state.borrow_mut();
        let entry = state.socket(key)?;
        let next = entry.inbox.as_mut().and_then(|inbox| inbox.pop_front());
        if next.is_none() {
            entry.inbox = None;
        }
        self.resume_if_idle(&mut state, key);
        next
    }

    fn handle_owned(&self, socket: &Socket, event: &Event) {
        let handlers = socket.0.namespace.handlers.load();
        let args = Incoming::from(&event.payload);
        if let Some(event) = EventRef::new(Some((&*event.name).into()), &args, event.ack) {
            self.handle(&handlers, socket, &event);
        }
    }

    fn handle(&self, handlers: &Handlers, socket: &Socket, event: &EventRef<'_>) {
        let own = socket.own_handler(&event.name);
        let handler = own
            .or_else(|| handlers.on.get(&*event.name).cloned())
            .or_else(|| handlers.other.clone());
        for handler in handlers.any.iter().chain(&handler) {
            // A panic in a handler must not take the loop down with all its connections.
            match std::panic::catch_unwind(AssertUnwindSafe(|| handler.call(socket, event))) {
                Ok(Ok(work)) => self.run(socket.0.key, work),
                Ok(Err(error)) => {
                    self.stats().refused_events.add(1);
                    tracing::debug!(socket = socket.id(), event = &*event.name, %error, "an event was not understood");
                }
                Err(_) => tracing::error!(
                    event = &*event.name,
                    "a handler panicked while reading its arguments"
                ),
            }
        }
    }

    /// Starts a handler. What doesn't wait is done at once, without a task of its own; the rest goes on beside.
    pub(super) fn run(&self, key: SocketKey, mut work: LocalFuture) {
        let mut first = Context::from_waker(Waker::noop());
        let outer = self.running.replace(Some(key));
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(&mut first)));
        self.running.set(outer);
        match polled {
            Ok(Poll::Ready(())) => return,
            Ok(Poll::Pending) => {}
            Err(_) => return tracing::error!("a handler panicked; its socket goes on"),
        }
        {
            let mut state = self.state.borrow_mut();
            if let Some(entry) = state.socket(key) {
                entry.running += 1;
            }
            self.pause_if_behind(&mut state, key);
        }
        let done = RunningHandler {
            hub: self.hub.clone(),
            index: self.index,
            key,
        };
        tokio::task::spawn_local(async move {
            // It knows whose handler this is.
            let done = done;
            poll_fn(|cx| done.poll(&mut work, cx)).await;
        });
    }

    /// A socket with too much under way is read no further.
    fn pause_if_behind(&self, state: &mut super::State, key: SocketKey) {
        let limit = self.hub.settings().hub_limits.max_running_handlers;
        let Some(entry) = state.socket(key) else {
            return;
        };
        let waiting = entry.running as usize + entry.inbox.as_ref().map_or(0, |inbox| inbox.len());
        let session = entry.session;
        if waiting >= limit
            && let Some(session) = state.session(session)
        {
            session.paused = true;
        }
    }

    fn resume_if_idle(&self, state: &mut super::State, key: SocketKey) {
        let limit = self.hub.settings().hub_limits.max_running_handlers;
        let Some(entry) = state.socket(key) else {
            return;
        };
        let waiting = entry.running as usize + entry.inbox.as_ref().map_or(0, |inbox| inbox.len());
        let key = entry.session;
        if waiting <= limit / 2
            && let Some(session) = state.session(key)
            && std::mem::take(&mut session.paused)
        {
            session.outbox.signals.resume = true;
            state.touch(key.slot);
        }
    }

    fn handler_done(&self, key: SocketKey) {
        let mut state = self.state.borrow_mut();
        if let Some(entry) = state.socket(key) {
            entry.running = entry.running.saturating_sub(1);
        }
        self.resume_if_idle(&mut state, key);
    }
}

async fn check(socket: &Socket, event: &Event) -> Option<String> {
    let checks = socket.0.namespace.handlers.load().packet_checks.clone();
    for check in checks {
        let checked = caught_while("a check of an event", check(socket.clone(), event.clone()));
        match checked.await {
            Some(Ok(())) => {}
            Some(Err(reason)) => return Some(reason),
            None => return Some("the check panicked".to_owned()),
        }
    }
    None
}

/// Tells the shard when a handler has ended, by whichever way.
struct RunningHandler {
    hub: crate::hub::Hub,
    index: usize,
    key: SocketKey,
}

impl RunningHandler {
    fn poll(&self, work: &mut LocalFuture, cx: &mut Context<'_>) -> Poll<()> {
        // Outside of its loop a task is only dropped, so there is always a shard.
        let Some(shard) = self.hub.current_shard(self.index) else {
            return work.as_mut().poll(cx);
        };
        let outer = shard.running.replace(Some(self.key));
        let polled = work.as_mut().poll(cx);
        shard.running.set(outer);
        polled
    }
}

impl Drop for RunningHandler {
    fn drop(&mut self) {
        if let Some(shard) = self.hub.current_shard(self.index) {
            shard.handler_done(self.key);
        }
    }
}
