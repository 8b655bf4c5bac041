//! Taking up an earlier session.

use lakh_auth::Principal;
use lakh_broker::{Position, Room};
use lakh_wire::CloseReason;
use serde::Deserialize;

use super::{SessionKey, Shard, SocketKey};
use crate::cluster::Cluster;
use crate::ids::Id;
use crate::kept::Kept;
use crate::namespace::{Namespace, NamespaceInner, Recovery};
use crate::outbox::Item;
use crate::outgoing::Outgoing;
use crate::recovery::{Found, Membership, Saved, rooms_at};
use crate::sign_in::belongs_to;
use crate::socket::Socket;

/// What a client that was here before says at CONNECT, among its own auth data.
#[derive(Deserialize)]
pub(super) struct ComingBack {
    pid: String,
    offset: Option<String>,
}

/// A session that can be taken up, with what its client missed.
pub(super) struct Restored {
    pub pid: Id,
    pub from: Position,
    pub saved: Saved,
    /// Whether the session was on this node, with all that was kept with it.
    pub known: bool,
    /// What its client missed of what is no longer in memory.
    older: Vec<Outgoing>,
}

/// Whether a session may be given back to this one. Where nobody is asked who they are, the recovery id is enough.
fn is_of(saved: &Saved, who: Option<&Principal>) -> bool {
    who.is_none_or(|who| belongs_to(saved.kept.as_deref(), who))
}

impl Shard {
    /// Whether a client asks for an earlier session.
    pub(super) fn comes_back(namespace: &Namespace, auth: Option<&str>) -> bool {
        namespace.inner.recovery.get().is_some()
            && auth.is_some_and(|auth| serde_json::from_str::<ComingBack>(auth).is_ok())
    }

    /// The session that the client asks for, if it can be given back without a gap. Nothing is consumed: if this
    /// connection breaks now, the next one finds the same.
    pub(super) async fn find_session_to_restore(
        &self,
        namespace: &Namespace,
        recovery: &Recovery,
        auth: Option<&str>,
        who: Option<&Principal>,
    ) -> Option<Restored> {
        let asked: ComingBack = serde_json::from_str(auth?).ok()?;
        let restored = match self.hub.followed() {
            Some(cluster) => {
                self.look_up_in_fleet(cluster, namespace, recovery, &asked, who)
                    .await
            }
            None => self.look_up(&namespace.inner, recovery, &asked, who).await,
        };
        let count = if restored.is_some() {
            &self.stats().recovered
        } else {
            &self.stats().not_recovered
        };
        count.add(1);
        restored
    }

    async fn look_up(
        &self,
        namespace_of: &NamespaceInner,
        recovery: &Recovery,
        asked: &ComingBack,
        who: Option<&Principal>,
    ) -> Option<Restored> {
        let pid = Id::parse(&asked.pid)?;
        let now = self.now().0;
        let mut found = recovery.sessions.find(pid, now, recovery.window_ms);
        if let Found::Live { shard, key } = found {
            // The old connection is half open: its client knows better.
            self.evict(shard, key, who).await;
            found = recovery.sessions.find(pid, now, recovery.window_ms);
        }
        let Found::Saved(saved) = found else {
            return None;
        };
        if !is_of(&saved, who) {
            return None;
        }
        let from = match &asked.offset {
            Some(offset) => Position::parse(offset)?,
            // It has seen no event yet.
            None => saved.start,
        };
        let own = Room::from(saved.id.as_str());
        recovery
            .channel
            .read(from, bases(namespace_of, &saved.rooms).chain([&*own]))
            .ok()?;
        Some(Restored {
            pid,
            from,
            saved,
            known: true,
            older: Vec::new(),
        })
    }

    /// The same where the session may have been on any node. Whoever had it has it no longer.
    async fn look_up_in_fleet(
        &self,
        cluster: &Cluster,
        namespace: &Namespace,
        recovery: &Recovery,
        asked: &ComingBack,
        who: Option<&Principal>,
    ) -> Option<Restored> {
        let pid = Id::parse(&asked.pid)?;
        let (now, window_ms) = (self.now().0, recovery.window_ms);
        if let Found::Live { shard, key } = recovery.sessions.find(pid, now, window_ms)
            && !self.evict(shard, key, who).await
        {
            return None;
        }
        let seen = match &asked.offset {
            Some(offset) => Some(Position::parse(offset)?),
            None => None,
        };
        let taken = cluster.take_over(&self.hub, &pid, seen, window_ms).await?;
        cluster.evict_elsewhere(namespace.name(), &taken);
        let epoch = taken.epoch;
        let saved = match recovery.sessions.find(pid, now, window_ms) {
            // Nobody had it since: what is kept here is as new as the record, and more.
            Found::Saved(saved) if saved.epoch + 1 == epoch => Some(Saved { epoch, ..saved }),
            _ => None,
        };
        let known = saved.is_some();
        let saved = saved.unwrap_or_else(|| Saved {
            id: taken.session.id,
            rooms: taken.session.rooms.into(),
            kept: taken.session.data.map(|data| {
                Box::new(Kept {
                    data: Some(data),
                    ..Kept::default()
                })
            }),
            start: taken.session.start,
            epoch,
        });
        if !is_of(&saved, who) {
            return None;
        }
        let mut from = seen.unwrap_or(saved.start);
        let place = from.stream_id().filter(|place| cluster.holds(*place))?;
        let mut older = Vec::new();
        if recovery.channel.read(from, []).is_err() {
            // This node has not been there for as long as that, or has forgotten it.
            let until = recovery.channel.begins_at();
            if from.seq > until {
                // Something was missed here, and where that ends isn't known yet.
                return None;
            }
            let read = cluster.read_older(namespace, place, until).await?;
            older = read.into_iter().map(|(_, outgoing)| outgoing).collect();
            from.seq = until;
        }
        Some(Restored {
            pid,
            from,
            saved,
            known,
            older,
        })
    }

    /// Closes the connection that has a session. `false`: it's another person's, and stays.
    async fn evict(&self, shard: usize, key: SocketKey, who: Option<&Principal>) -> bool {
        let (who, anybodys) = (who.cloned(), who.is_none());
        let close = move |shard: &Self| {
            let own = who.is_none_or(|who| shard.is_of(key, &who));
            if own {
                shard.close_session_of(key);
            }
            own
        };
        if shard == self.index {
            return close(self);
        }
        let (done, wait) = tokio::sync::oneshot::channel();
        let sent = self.hub.run_on(shard, move |shard| {
            // Whoever waited may be gone.
            let _ = done.send(close(shard));
        });
        match sent {
            Ok(()) => wait.await.unwrap_or(anybodys),
            Err(_) => anybodys,
        }
    }

    /// Makes this socket the one that its session belongs to.
    pub(super) fn take_session(&self, socket: &Socket) {
        let key = socket.0.key;
        let pid = self
            .state
            .borrow_mut()
            .socket(key)
            .and_then(|entry| entry.pid);
        let (Some(recovery), Some(pid)) = (socket.0.namespace.recovery.get(), pid) else {
            return;
        };
        // Another newcomer may have restored it on its loop in the same moment: there can be only one.
        if let Some((shard, other)) = recovery.sessions.live(pid, self.index, key) {
            let close = move |shard: &Self| shard.close_session_of(other);
            self.hub.run_surely_on(shard, close);
        }
    }

    /// Puts a restored socket back into its rooms and sends what it missed, before CONNECT as Node does.
    ///
    /// First the rooms, then the log: from the moment a socket is in its rooms this shard gets their broadcasts, and
    /// what is in the log already is passed over by its number. The other way round what is published between the
    /// two would be lost without a trace.
    ///
    /// `false`: it can't be done without a gap any more, and the connection is closed.
    pub(super) fn replay(&self, key: SessionKey, socket: &Socket, restored: &Restored) -> bool {
        let Some(recovery) = socket.0.namespace.recovery.get() else {
            return false;
        };
        for joined in &restored.saved.rooms {
            self.join_after(socket.0.key, &joined.room, joined.after);
        }
        let own = Room::from(socket.id());
        let rooms = &restored.saved.rooms;
        let namespace = &socket.0.namespace;
        let read = recovery
            .channel
            .read(restored.from, bases(namespace, rooms).chain([&*own]));
        let Ok((missed, complete)) = read else {
            // Trimmed in the moment since it was looked up: closing is the way to say that there is a gap.
            recovery
                .sessions
                .forget(restored.pid, self.index, socket.0.key);
            self.close(key, CloseReason::ForcedClose);
            return false;
        };
        let mut state = self.state.borrow_mut();
        let Some(entry) = state.socket(socket.0.key) else {
            return false;
        };
        entry.after = complete.seq;
        let parser = state.parser(key);
        let own = &socket.0.id;
        let then = |outgoing: &Outgoing| rooms_at(rooms, outgoing.offset.map_or(0, |at| at.seq));
        let older = restored.older.iter();
        let older = older.filter(|outgoing| outgoing.reaches(own, &then(outgoing)));
        // What was read by rooms is for this socket, unless it has filters, or was not in them yet.
        let plain = rooms.iter().all(|joined| {
            joined.after <= restored.from.seq && namespace.filtered(&joined.room).is_none()
        });
        let missed = missed.iter().map(|(_, outgoing)| &**outgoing);
        let missed = missed.filter(|outgoing| plain || outgoing.reaches(own, &then(outgoing)));
        for outgoing in older.chain(missed) {
            if !outgoing.excludes(own, &then(outgoing)) {
                state.push(key, Item::Packet(outgoing.encoded(parser).clone()));
            }
        }
        true
    }
}

/// The rooms by whose names the log goes.
fn bases<'a>(namespace: &NamespaceInner, rooms: &'a [Membership]) -> impl Iterator<Item = &'a str> {
    rooms
        .iter()
        .map(|joined| match namespace.filtered(&joined.room) {
            Some((base, _)) => base,
            None => &*joined.room,
        })
}
