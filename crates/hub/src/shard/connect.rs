//! CONNECT: entering a namespace.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lakh_auth::Principal;
use lakh_wire::CloseReason;
use lakh_wire::engine::Version;
use lakh_wire::socketio::{Kind, Parser};
use parking_lot::Mutex;
use serde_json::{Value, json};
use smallvec::SmallVec;

use super::restore::Restored;
use super::{NEVER, SessionKey, Shard, SocketEntry, SocketKey, State, hash};
use crate::caught::caught_while;
use crate::handshake::decode;
use crate::kept::Said;
use crate::namespace::{ConnectError, Namespace, SignInHook};
use crate::occurrence::{Occurrence, What};
use crate::outbox::Item;
use crate::outgoing;
use crate::socket::{Socket, SocketInner};

impl Shard {
    /// Enters a namespace in the background of the connection. Without asynchronous checks it's done on return.
    pub(super) fn start_connect(&self, key: SessionKey, name: String, auth: Option<Box<str>>) {
        let (name, auth) = match name.split_once('?') {
            // The old protocol: what is auth now was the query of the namespace.
            Some((name, query)) => (name.to_owned(), Some(query_as_json(query))),
            None => (name, auth),
        };
        let refusal = {
            let mut state = self.state.borrow_mut();
            let limit = self.hub.settings().hub_limits.max_namespaces;
            let Some(entry) = state.session(key).filter(|entry| !entry.over) else {
                return;
            };
            if entry.sockets.len() + usize::from(entry.entering) >= limit {
                Some(ConnectError::new(format!(
                    "This connection is in {limit} namespaces, the most that it may"
                )))
            } else {
                entry.entering += 1;
                None
            }
        };
        if let Some(refusal) = refusal {
            return self.refuse(key, &name, &refusal);
        }
        let entered = self.hub.enter_existing(&name);
        if let Some(namespace) = &entered
            && namespace.inner.subscribed.load(Ordering::Acquire)
            && namespace.inner.handlers.load().asks_nothing()
            && !Self::comes_back(namespace, auth.as_deref())
        {
            // There is nothing to wait for, as for most.
            self.connect_at_once(key, namespace, auth);
            return self.entered(key);
        }
        let (hub, index) = (self.hub.clone(), self.index);
        let work = async move {
            let namespace = match entered {
                Some(namespace) => Some(namespace),
                None => hub.enter(&name, auth.as_deref()).await,
            };
            if let Some(namespace) = &namespace {
                hub.subscribed(&namespace.inner).await;
            }
            let Some(shard) = hub.current_shard(index) else {
                return;
            };
            match namespace {
                Some(namespace) => shard.connect(key, namespace, auth).await,
                None => shard.refuse_unknown(key, &name),
            }
            shard.entered(key);
        };
        // No socket yet that handlers could be counted for.
        self.run(SocketKey::NOBODY, Box::pin(work));
    }

    fn entered(&self, key: SessionKey) {
        if let Some(entry) = self.state.borrow_mut().session(key) {
            entry.entering = entry.entering.saturating_sub(1);
        }
    }

    fn connect_at_once(&self, key: SessionKey, namespace: &Namespace, auth: Option<Box<str>>) {
        if self.is_in(key, namespace) {
            self.hub.left(&namespace.inner);
            return self.close(key, CloseReason::ForcedClose);
        }
        match self.make_socket(key, namespace, auth, None) {
            Some(socket) => self.let_in(key, &socket, None),
            None => self.hub.left(&namespace.inner),
        }
    }

    async fn connect(&self, key: SessionKey, namespace: Namespace, auth: Option<Box<str>>) {
        if self.is_in(key, &namespace) {
            self.hub.left(&namespace.inner);
            // Node does the same: a second CONNECT to one namespace breaks the protocol.
            return self.close(key, CloseReason::ForcedClose);
        }
        let handlers = namespace.inner.handlers.load_full();
        let (newcomer, principal) = match &handlers.sign_in {
            Some(check) => match self.sign_in(key, &namespace, &auth, check).await {
                Some((socket, principal)) => (Some(socket), Some(principal)),
                None => return,
            },
            None => (None, None),
        };
        let restored = match namespace.inner.recovery.get() {
            Some(recovery) => {
                let who = principal.as_ref();
                self.find_session_to_restore(&namespace, recovery, auth.as_deref(), who)
                    .await
            }
            None => None,
        };
        let socket = match newcomer {
            Some(socket) if restored.is_none() => Some(socket),
            newcomer => {
                // It has its earlier id again, so it's another socket that comes in.
                if let Some(socket) = newcomer {
                    self.take_out(&socket);
                }
                self.make_socket(key, &namespace, auth, restored.as_ref())
            }
        };
        let Some(socket) = socket else {
            return self.hub.left(&namespace.inner);
        };
        if let (Some(principal), true) = (principal, restored.is_some()) {
            socket.set_principal(principal);
        }
        if let Err(refusal) = self.charge_person(key, &socket) {
            self.discard(&socket);
            self.refuse(key, namespace.name(), &refusal);
            if self.closes_refused() {
                self.close(key, CloseReason::ForcedServerClose);
            }
            return;
        }
        // As in Node, who comes back is not asked again. Who comes from another node is: what the checks keep with the
        // socket did not come along.
        let known = restored.as_ref().is_some_and(|restored| restored.known);
        let checks = if known {
            &[][..]
        } else {
            &handlers.connect_checks[..]
        };
        for check in checks {
            let checked = caught_while("a check at CONNECT", check(socket.clone())).await;
            let refusal = match checked {
                Some(Ok(())) => continue,
                Some(Err(refusal)) => refusal,
                None => ConnectError::new("The server failed to check this; try again later"),
            };
            self.discard(&socket);
            return self.refuse(key, namespace.name(), &refusal);
        }
        self.let_in(key, &socket, restored);
    }

    /// Asks who it is. `None`: it was refused, and told so.
    async fn sign_in(
        &self,
        key: SessionKey,
        namespace: &Namespace,
        auth: &Option<Box<str>>,
        check: &SignInHook,
    ) -> Option<(Socket, Principal)> {
        let Some(socket) = self.make_socket(key, namespace, auth.clone(), None) else {
            self.hub.left(&namespace.inner);
            return None;
        };
        let checked = caught_while("a sign-in check", check(socket.clone())).await;
        let refusal = match checked {
            Some(Ok(principal)) => {
                socket.set_principal(principal.clone());
                return Some((socket, principal));
            }
            Some(Err(refusal)) => refusal,
            None => ConnectError::new("The server failed to check this; try again later"),
        };
        self.discard(&socket);
        self.refuse(key, namespace.name(), &refusal);
        None
    }

    /// Nothing stands against it any more.
    fn let_in(&self, key: SessionKey, socket: &Socket, restored: Option<Restored>) {
        let handlers = socket.0.namespace.handlers.load_full();
        if !self.establish(key, socket, restored) {
            return self.discard(socket);
        }
        for hook in &handlers.connect {
            // One of them may have thrown it out.
            if socket.is_connected() {
                self.run(socket.0.key, hook(socket.clone()));
            }
        }
    }

    fn is_in(&self, key: SessionKey, namespace: &Namespace) -> bool {
        let mut state = self.state.borrow_mut();
        let Some(slots) = state.session(key).map(|entry| entry.sockets.clone()) else {
            return false;
        };
        slots.iter().any(|slot| {
            Arc::ptr_eq(
                &state.sockets[*slot as usize].socket.0.namespace,
                &namespace.inner,
            )
        })
    }

    /// Makes the socket, not yet connected.
    fn make_socket(
        &self,
        key: SessionKey,
        namespace: &Namespace,
        auth: Option<Box<str>>,
        restored: Option<&Restored>,
    ) -> Option<Socket> {
        let mut state = self.state.borrow_mut();
        let entry = state.session(key).filter(|entry| !entry.over)?;
        let (handshake, session_id) = (Arc::clone(&entry.handshake), entry.id);
        let old = entry.engine.version() == Version::V3;
        let in_main = namespace.name() == "/";
        let id = match restored {
            Some(restored) => restored.saved.id,
            // Clients of the old protocol take the session's id for the socket's.
            None if old && in_main => session_id,
            None => state.ids.make(),
        };
        let alias = (old && !in_main).then(|| format!("{}#{session_id}", namespace.name()).into());
        let said = (alias.is_some() || auth.is_some()).then(|| Box::new(Said { alias, auth }));
        let kept = restored.and_then(|restored| restored.saved.kept.clone());
        let recovery = namespace.inner.recovery.get().filter(|_| !old);
        let pid = recovery.map(|_| match restored {
            Some(restored) => restored.pid,
            None => state.ids.make(),
        });
        let start = match (restored, recovery) {
            (Some(restored), _) => restored.saved.start.seq,
            (None, Some(recovery)) => recovery.channel.position().seq,
            (None, None) => 0,
        };
        let generation = state.next_generation();
        let slot = u32::try_from(state.sockets.vacant_key()).unwrap_or(u32::MAX);
        let socket = Socket(Arc::new(SocketInner {
            hub: self.hub.clone(),
            namespace: Arc::clone(&namespace.inner),
            handshake,
            said,
            kept: Mutex::new(kept),
            key: SocketKey { slot, generation },
            // Below MAX_SHARDS.
            shard: self.index as u32,
            id,
            recovered: restored.is_some(),
            connected: AtomicBool::new(false),
            gone: AtomicBool::new(false),
        }));
        state.sockets.insert(SocketEntry {
            generation,
            socket: socket.clone(),
            session: key,
            rooms: SmallVec::new(),
            joined_after: None,
            place: u32::MAX,
            mark: 0,
            running: 0,
            // All of it comes from the log, and nothing before that.
            after: if restored.is_some() { u64::MAX } else { 0 },
            in_own_room: false,
            held: false,
            pid,
            start,
            acks: None,
            inbox: None,
        });
        Some(socket)
    }

    /// A socket that did not get in.
    fn discard(&self, socket: &Socket) {
        // A check may have made it join some.
        self.leave_all(socket);
        if self.take_out(socket) {
            drop(socket.take_own());
            self.hub.left(&socket.0.namespace);
        }
    }

    /// Forgets a socket that was not let in. `false`: it's gone already.
    fn take_out(&self, socket: &Socket) -> bool {
        let removed = {
            let mut state = self.state.borrow_mut();
            let session = state.socket(socket.0.key).map(|entry| entry.session);
            session.map(|session| {
                state.meters.leave(session.slot, socket.0.key.slot);
                state.sockets.remove(socket.0.key.slot as usize)
            })
        };
        removed.is_some()
    }

    /// The socket is in. `false`: its connection went away meanwhile, or was taken by another CONNECT.
    fn establish(&self, key: SessionKey, socket: &Socket, restored: Option<Restored>) -> bool {
        let namespace = socket.namespace();
        if self.is_in(key, &namespace) {
            self.close(key, CloseReason::ForcedClose);
            return false;
        }
        {
            let mut state = self.state.borrow_mut();
            if state.session(key).is_none_or(|entry| entry.over)
                || state.socket(socket.0.key).is_none()
            {
                return false;
            }
            state.begin_session(socket);
            state.admit(key, socket);
        }
        socket.0.connected.store(true, Ordering::Release);
        self.stats().sockets.add(1);
        self.take_session(socket);
        self.own_room_event(socket, true);
        let epoch = restored.as_ref().map_or(0, |restored| restored.saved.epoch);
        if let Some(restored) = restored
            && !self.replay(key, socket, &restored)
        {
            return false;
        }
        self.begin_record(socket, epoch);
        // Hooks have run meanwhile.
        if !socket.is_connected() {
            return false;
        }
        self.send_connect(key, socket);
        self.tell_connection(
            What::Connect,
            socket,
            || json!({"recovered": socket.recovered()}),
        );
        true
    }

    /// Tells those who want to know that a socket has come, or gone.
    pub(super) fn tell_connection(
        &self,
        what: What,
        socket: &Socket,
        more: impl FnOnce() -> Value,
    ) {
        self.hub.tell(what, &socket.0.namespace.name, || {
            Occurrence::by(what, socket, "").with_data(&more())
        });
    }

    fn send_connect(&self, key: SessionKey, socket: &Socket) {
        let mut state = self.state.borrow_mut();
        let pid = state.socket(socket.0.key).and_then(|entry| entry.pid);
        let old = state
            .session(key)
            .is_some_and(|entry| entry.engine.version() == Version::V3);
        let data = match pid {
            _ if old => None,
            // Ids need no escapes.
            Some(pid) => {
                let (sid, pid) = (socket.id(), pid.as_str());
                Some([r#"{"sid":""#, sid, r#"","pid":""#, pid, r#""}"#].concat())
            }
            None => Some([r#"{"sid":""#, socket.id(), r#""}"#].concat()),
        };
        let parser = state.parser(key);
        let packet = outgoing::control(
            parser,
            Kind::Connect,
            &socket.0.namespace.name,
            data.as_deref(),
        );
        state.push(key, Item::Packet(packet));
    }

    /// There is no such namespace. Old clients, who get the data of a refusal, are sent the same object, as Node does.
    fn refuse_unknown(&self, key: SessionKey, namespace: &str) {
        let mut refusal = ConnectError::new("Invalid namespace");
        if self
            .kind(key)
            .is_some_and(|(version, ..)| version == Version::V3)
        {
            refusal.data = serde_json::to_value(&refusal).ok();
        }
        self.refuse(key, namespace, &refusal);
    }

    fn refuse(&self, key: SessionKey, namespace: &str, refusal: &ConnectError) {
        let mut state = self.state.borrow_mut();
        let Some(entry) = state.session(key) else {
            return;
        };
        let data = if entry.engine.version() == Version::V3 {
            // Old clients get the data or the message itself.
            refusal
                .data
                .clone()
                .unwrap_or_else(|| refusal.message.clone().into())
                .to_string()
        } else {
            // A message and JSON data: this can't fail.
            serde_json::to_string(refusal).unwrap_or_default()
        };
        let parser = state.parser(key);
        drop(state);
        let packet = outgoing::control(parser, Kind::ConnectError, namespace, Some(&data));
        self.send_packet(key, &packet);
    }
}

impl State {
    /// Sets where the session of a socket begins that is about to be let in. What was said while it was checked was
    /// not for it, unless a check made it join rooms.
    fn begin_session(&mut self, socket: &Socket) {
        let recovery = socket.0.namespace.recovery.get();
        let entry = self.socket(socket.0.key);
        if let (Some(recovery), Some(entry)) = (recovery, entry)
            && entry.pid.is_some()
            && !socket.recovered()
            && entry.rooms.is_empty()
        {
            entry.start = recovery.channel.position().seq;
        }
    }

    /// Puts a socket among the members of its connection and its namespace.
    fn admit(&mut self, key: SessionKey, socket: &Socket) {
        let slot = socket.0.key.slot;
        if let Some(entry) = self.session(key) {
            entry.sockets.push(slot);
            entry.connect_by = NEVER;
        }
        let space = self.spaces.entry(socket.0.namespace.id).or_default();
        let place = space.members.len();
        space.members.push(slot);
        let entry = &mut self.sockets[slot as usize];
        entry.place = u32::try_from(place).unwrap_or(u32::MAX);
        entry.in_own_room = true;
        let State {
            sockets, by_socket, ..
        } = self;
        by_socket.insert_unique(hash(socket.0.id.bytes()), slot, |slot| {
            hash(sockets[*slot as usize].socket.0.id.bytes())
        });
    }

    /// The parser that a connection uses; JSON as long as it has said nothing.
    pub(super) fn parser(&mut self, key: SessionKey) -> Parser {
        self.session(key)
            .and_then(|entry| entry.decoder.parser())
            .unwrap_or(Parser::Json)
    }
}

fn query_as_json(query: &str) -> Box<str> {
    let pairs = query.split('&').map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key), decode(value).into())
    });
    serde_json::Value::Object(pairs.collect())
        .to_string()
        .into()
}
