//! Members: who came in over this node, and for how long those stay whose connection broke off.

use std::collections::HashMap;
use std::sync::Arc;

use lakh_hub::presence::{Ms, Part};
use lakh_hub::{Failure, Person, Room, Socket};
use serde_json::{Value as Json, json};

use super::due::Item;
use super::{MAX_SPACES, Sessions, Spaces, broke_off, hub_room, key, news};

/// Those of this node.
#[derive(Default)]
pub(super) struct Table {
    /// By space and session.
    mine: HashMap<(Arc<str>, Arc<str>), Mine>,
    sockets: HashMap<Box<str>, Sessions>,
}

struct Mine {
    /// `None`: the connection broke off.
    socket: Option<Box<str>>,
    /// When it's over, then.
    until: Option<Ms>,
    user: Option<Person>,
    profile: Json,
    location: Json,
    /// What whoever comes back has to know.
    resume: String,
    /// It may hold locks.
    has_locked: bool,
}

impl Mine {
    fn part(&self, stamp: u64) -> Part {
        Part {
            user: self.user.clone(),
            sockets: usize::from(self.socket.is_some()),
            data: Some(json!({
                "profile": self.profile, "location": self.location, "resume": self.resume,
                "locked": self.has_locked,
            })),
            stamp,
        }
    }
}

impl Table {
    pub(super) fn members(&self) -> usize {
        self.mine.len()
    }

    /// What a socket is called in a space.
    pub(super) fn session(&self, socket: &str, space: &str) -> Option<Arc<str>> {
        self.sockets.get(socket)?.get(space).cloned()
    }

    /// Gives the socket that was it until now, if it's another.
    fn bind(
        &mut self,
        socket: &str,
        space: &Arc<str>,
        session: &Arc<str>,
        mine: Mine,
    ) -> Option<Box<str>> {
        let before = self
            .mine
            .insert((Arc::clone(space), Arc::clone(session)), mine);
        let old = before
            .and_then(|mine| mine.socket)
            .filter(|old| **old != *socket);
        if let Some(old) = &old {
            self.unbind(old, space);
        }
        let sessions = self.sockets.entry(socket.into()).or_default();
        sessions.insert(Arc::clone(space), Arc::clone(session));
        old
    }

    fn unbind(&mut self, socket: &str, space: &str) -> Option<Arc<str>> {
        let sessions = self.sockets.get_mut(socket)?;
        let session = sessions.remove(space);
        if sessions.is_empty() {
            self.sockets.remove(socket);
        }
        session
    }
}

/// What somebody has come in as.
pub(super) struct Entered {
    pub session: Arc<str>,
    pub resume: String,
    pub resumed: bool,
}

impl Spaces {
    /// Makes a socket a member, or the member that it was.
    pub(super) async fn come_in(
        &self,
        socket: &Socket,
        space: &str,
        profile: Option<Json>,
        resume: Option<&str>,
    ) -> Result<Entered, Failure> {
        let space: Arc<str> = space.into();
        self.0.whereabouts.ready().await;
        let known = self.resumed(socket, &space, resume)?;
        let room = hub_room(&space);
        let resumed = known.is_some();
        let session: Arc<str> = match &known {
            Some((session, _)) => session.as_str().into(),
            None => {
                let people = self.0.whereabouts.lock().table().occupancy(&room).people;
                if people >= self.0.config.max_members {
                    let message =
                        format!("this space has {people} members; no more may come in now");
                    return Err(Failure::new("too_large", message));
                }
                self.fresh_session(socket, &space)?
            }
        };
        let before = known.map(|(_, data)| data).unwrap_or_default();
        let resume = before["resume"].as_str().map(str::to_owned);
        let mine = Mine {
            socket: Some(socket.id().into()),
            until: None,
            user: socket.get::<Person>().map(|person| Person::clone(&person)),
            profile: profile.unwrap_or_else(|| before["profile"].clone()),
            location: before["location"].clone(),
            resume: resume.unwrap_or_else(|| self.secret(&session)),
            has_locked: before["locked"] == true,
        };
        let entered = Entered {
            session: Arc::clone(&session),
            resume: mine.resume.clone(),
            resumed,
        };
        let old = self
            .0
            .table
            .lock()
            .bind(socket.id(), &space, &session, mine);
        if let Some(old) = old {
            // A connection that is half open, or another window: it's that member no longer.
            self.0
                .namespace
                .in_(&*old)
                .sockets_leave([Room::clone(&room)]);
        }
        // Before members are told: so whoever comes in hears all that happens after it's told who is there.
        if !socket.join(room) {
            self.take_out(socket.id(), &space, &session);
            let message = "this socket is in as many rooms as it may; leave one first";
            return Err(Failure::new("too_large", message));
        }
        self.say(&space, &session);
        Ok(entered)
    }

    /// The member that a socket is already, or that it says it was.
    fn resumed(
        &self,
        socket: &Socket,
        space: &str,
        resume: Option<&str>,
    ) -> Result<Option<(String, Json)>, Failure> {
        let here = self.0.table.lock().session(socket.id(), space);
        let resumed = resume.and_then(|resume| resume.rsplit_once('.'));
        let session = match (&here, resumed) {
            (Some(session), _) => session,
            (None, Some((session, _))) => session,
            (None, None) => return Ok(None),
        };
        let known = self.0.whereabouts.lock();
        let present = known.table().present(&hub_room(space), &key(session));
        drop(known);
        let Some(present) = present else {
            return Ok(None);
        };
        let data = present.data.unwrap_or_default();
        if here.is_none() {
            if data["resume"].as_str() != resume {
                return Ok(None);
            }
            let user = socket.get::<Person>();
            if present.user.map(|user| user.id) != user.map(|user| user.id.clone()) {
                let message = "this member is somebody else; enter without `resume`";
                return Err(Failure::new("forbidden", message));
            }
        }
        Ok(Some((present.id, data)))
    }

    /// A newcomer is called what its socket is called.
    fn fresh_session(&self, socket: &Socket, space: &str) -> Result<Arc<str>, Failure> {
        let is_full = {
            let table = self.0.table.lock();
            let sessions = table.sockets.get(socket.id());
            sessions.is_some_and(|sessions| sessions.len() >= MAX_SPACES)
        };
        if is_full {
            let message = format!("a socket is in {MAX_SPACES} spaces at most; leave one first");
            return Err(Failure::new("too_large", message));
        }
        let known = self.0.whereabouts.lock();
        // Another connection may have taken that up.
        match known.table().is_in(&hub_room(space), &key(socket.id())) {
            true => Ok(format!("{}~{:08x}", socket.id(), self.0.namespace.hub().random()).into()),
            false => Ok(socket.id().into()),
        }
    }

    /// The session, and what nobody else knows.
    fn secret(&self, session: &str) -> String {
        let hub = self.0.namespace.hub();
        let words: String = (0..4).map(|_| format!("{:08x}", hub.random())).collect();
        format!("{session}.{words}")
    }

    /// Says to all nodes what a member of this one is; nothing if it's none.
    fn say(&self, space: &Arc<str>, session: &Arc<str>) {
        let of = (Arc::clone(space), Arc::clone(session));
        let part = {
            let table = self.0.table.lock();
            table.mine.get(&of).map(|mine| mine.part(self.wall_ms()))
        };
        self.0
            .whereabouts
            .say(&hub_room(space), &key(session), part);
    }

    /// Changes what a member says of itself.
    pub(super) fn change_member(
        &self,
        socket: &Socket,
        space: &str,
        change: impl FnOnce(&mut Json, &mut Json),
    ) -> Result<(), Failure> {
        let session = self.session(socket, space)?;
        let of = (Arc::from(space), session);
        if let Some(mine) = self.0.table.lock().mine.get_mut(&of) {
            change(&mut mine.profile, &mut mine.location);
        }
        self.say(&of.0, &of.1);
        Ok(())
    }

    /// What a socket is called in a space.
    pub(super) fn session(&self, socket: &Socket, space: &str) -> Result<Arc<str>, Failure> {
        let session = self.0.table.lock().session(socket.id(), space);
        session.ok_or_else(|| Failure::new("not_member", "send space:enter first"))
    }

    /// A socket is in a space's room. If nobody asked for it, it was recovered: it's the member that it was.
    pub(super) fn back(&self, socket: &Socket, space: &str) {
        if self.0.table.lock().session(socket.id(), space).is_some() {
            return;
        }
        let known = self.0.whereabouts.lock();
        let present = known.table().present(&hub_room(space), &key(socket.id()));
        drop(known);
        // It may have been gone for too long: then it's told so, and has to enter anew.
        let Some(present) = present else {
            socket.leave(hub_room(space));
            let _ = socket.emit("space:closed", &json!({"space": space, "again": true}));
            return;
        };
        let (space, session): (Arc<str>, Arc<str>) = (space.into(), socket.id().into());
        let data = present.data.unwrap_or_default();
        let mine = Mine {
            socket: Some(socket.id().into()),
            until: None,
            user: present.user,
            profile: data["profile"].clone(),
            location: data["location"].clone(),
            resume: data["resume"].as_str().unwrap_or_default().to_owned(),
            has_locked: data["locked"] == true,
        };
        self.0
            .table
            .lock()
            .bind(socket.id(), &space, &session, mine);
        self.say(&space, &session);
    }

    /// A socket is no longer in a space's room.
    pub(super) fn gone(&self, socket: &Socket, space: &str) {
        let space: Arc<str> = space.into();
        let Some(session) = self.0.table.lock().unbind(socket.id(), &space) else {
            return;
        };
        self.forget_cursor(&space, &session);
        if !broke_off(socket) {
            return self.take_out(socket.id(), &space, &session);
        }
        let until = self.clock_ms() + self.0.config.grace_ms;
        let of = (Arc::clone(&space), Arc::clone(&session));
        {
            let mut table = self.0.table.lock();
            match table.mine.get_mut(&of) {
                Some(mine) if mine.socket.as_deref() == Some(socket.id()) => {
                    (mine.socket, mine.until) = (None, Some(until));
                }
                _ => return,
            }
        }
        self.later(until, Item::Grace(of.0, of.1));
        self.say(&space, &session);
    }

    fn take_out(&self, socket: &str, space: &Arc<str>, session: &Arc<str>) {
        {
            let mut table = self.0.table.lock();
            table.unbind(socket, space);
            table.mine.remove(&(Arc::clone(space), Arc::clone(session)));
        }
        self.say(space, session);
    }

    /// Whoever broke off is gone for good if they are not back.
    pub(super) fn grace_ends(&self, space: &Arc<str>, session: &Arc<str>, now: Ms) {
        let of = (Arc::clone(space), Arc::clone(session));
        let is_over = {
            let mut table = self.0.table.lock();
            let is_over = |mine: &Mine| mine.until.is_some_and(|until| until <= now);
            let is_over = table.mine.get(&of).is_some_and(is_over);
            is_over.then(|| table.mine.remove(&of)).is_some()
        };
        if is_over {
            self.say(space, session);
        }
    }

    /// Notes that a member may hold locks, so that they are looked for when it leaves. `false`: it has left by now.
    pub(super) fn note_locking(&self, space: &str, session: &Arc<str>) -> bool {
        let of = (Arc::from(space), Arc::clone(session));
        let is_first = {
            let mut table = self.0.table.lock();
            let mine = table.mine.get_mut(&of);
            mine.map(|mine| !std::mem::replace(&mut mine.has_locked, true))
        };
        if is_first == Some(true) {
            self.say(&of.0, &of.1);
        }
        is_first.is_some()
    }

    /// Whether somebody is a member, on any node.
    pub(super) fn is_member(&self, space: &str, session: &str) -> bool {
        let known = self.0.whereabouts.lock();
        known.table().is_in(&hub_room(space), &key(session))
    }

    /// All members of a space, in the order of their names.
    pub(super) fn members(&self, space: &str) -> Vec<Json> {
        let known = self.0.whereabouts.lock();
        // More than may be: nodes that let people in at the same moment don't know of each other's yet.
        let most = self.0.config.max_members * 2;
        let page = known.table().page(&hub_room(space), None, most);
        page.members.iter().map(news::shown).collect()
    }
}
