//! What somebody is in a room, and so what they may do there.
//!
//! Of rooms that are watched on this node, the room's record and those of its watchers stand in memory: a message costs
//! no read. Whoever changes one of them tells all nodes that what they have is stale ([`changed`]), and they read it anew.

use std::collections::HashMap;
use std::sync::Arc;

use lakh_hub::store::{Answer, Document, Query};
use lakh_hub::{Failure, ServerEvent};

use crate::asker::Asker;
use crate::permissions::{Right, Role};
use crate::records::{self, BanRecord, MemberRecord, RoomRecord};
use crate::{Chat, names, people, stored};

/// How long what was read is kept: a word of another node may be lost.
const KEEP_MS: u64 = 10_000;
/// The event between servers by which they learn that something is stale.
const STALE: &str = "chat:stale";

/// What somebody is in a room.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub room: Arc<RoomRecord>,
    /// The version of the room's document.
    pub version: u64,
    /// What the room keeps of them, and the version of that document. They may be no member: see its role.
    pub kept: Option<(Arc<MemberRecord>, u64)>,
    pub ban: Option<Arc<BanRecord>>,
    /// Their role: what the room gives them, or their token if that is more.
    pub role: Role,
    /// It's between them and one other, and one of the two has blocked the other.
    pub is_blocked: bool,
    /// A backend that speaks for itself: the table of permissions is not for it.
    pub is_system: bool,
}

impl Standing {
    /// Whether they are a member.
    pub(crate) fn is_member(&self) -> bool {
        self.kept
            .as_ref()
            .is_some_and(|(kept, _)| kept.role > Role::Guest)
    }

    /// Who has invited them.
    pub(crate) fn is_invited(&self) -> bool {
        self.kept
            .as_ref()
            .is_some_and(|(kept, _)| kept.invited_by.is_some())
    }

    /// Whether they may.
    pub(crate) fn may(&self, chat: &Chat, right: Right) -> bool {
        if self.is_system {
            return true;
        }
        let permissions = &chat.0.config.permissions;
        (self.ban.is_none() || self.role == Role::Owner)
            && permissions.allow(self.room.kind, self.role, right)
    }

    /// Refuses what they may not.
    ///
    /// # Errors
    /// `banned`; `not_found` if the room isn't there for them; `not_member` if a member might; `forbidden` otherwise.
    pub(crate) fn need(&self, chat: &Chat, right: Right) -> Result<(), Failure> {
        if self.may(chat, right) {
            return Ok(());
        }
        self.need_sight(chat)?;
        let permissions = &chat.0.config.permissions;
        let kind = self.room.kind;
        if self.role == Role::Guest && permissions.allow(kind, Role::Member, right) {
            return Err(Failure::new("not_member", "join the room first"));
        }
        let roles = permissions.of(kind, right);
        let who: Vec<_> = Role::ALL
            .iter()
            .filter(|role| roles.has(**role))
            .map(|role| role.name())
            .collect();
        let who = match who.as_slice() {
            [] => "nobody".to_owned(),
            who => who.join(", "),
        };
        Err(Failure::new(
            "forbidden",
            format!(
                "`{}` in {} rooms is for: {who}; you are: {}",
                right.name(),
                kind.name(),
                self.role.name()
            ),
        ))
    }

    /// Refuses those for whom the room isn't there: who may not read it and isn't invited.
    ///
    /// # Errors
    /// `banned`; `not_found`.
    pub(crate) fn need_sight(&self, chat: &Chat) -> Result<(), Failure> {
        if self.may(chat, Right::Read) {
            return Ok(());
        }
        match &self.ban {
            Some(ban) => Err(banned(ban)),
            None if self.is_invited() => Ok(()),
            None => Err(no_room()),
        }
    }

    /// Refuses to act on somebody who has more power, or as much.
    ///
    /// # Errors
    /// `forbidden`.
    pub(crate) fn need_power_over(&self, other: Role) -> Result<(), Failure> {
        match self.is_system || self.role == Role::Owner || self.role > other {
            true => Ok(()),
            false => Err(Failure::new(
                "forbidden",
                format!(
                    "they are: {}, you are: {}; ask somebody with more power",
                    other.name(),
                    self.role.name()
                ),
            )),
        }
    }

    /// Refuses to write where nobody writes any more.
    pub(crate) fn need_open(&self) -> Result<(), Failure> {
        match self.room.archived {
            true => Err(Failure::new(
                "archived",
                "the room is archived: it can be read, but not written to",
            )),
            false => Ok(()),
        }
    }
}

impl Standing {
    /// Refuses those who are muted.
    pub(crate) fn need_voice(&self, now_ms: u64) -> Result<(), Failure> {
        let until = self.kept.as_ref().and_then(|(kept, _)| kept.muted_until);
        match until.filter(|until| *until > now_ms) {
            Some(until) => Err(Failure::new(
                "muted",
                format!("you are muted here until {until} (milliseconds since 1970)"),
            )),
            None => Ok(()),
        }
    }

    /// What everybody needs who writes something: the right to, in a room that isn't archived, and a voice.
    pub(crate) fn need_to_write(&self, chat: &Chat, right: Right) -> Result<(), Failure> {
        self.need(chat, right)?;
        self.need_open()?;
        self.need_voice(chat.now_ms())?;
        self.need_goodwill()
    }

    /// Refuses to say anything between two of whom one has blocked the other.
    ///
    /// # Errors
    /// `blocked`.
    pub(crate) fn need_goodwill(&self) -> Result<(), Failure> {
        match self.is_blocked && !self.is_system {
            true => Err(people::blocked()),
            false => Ok(()),
        }
    }
}

/// The refusal of somebody who is banned.
pub(crate) fn banned(ban: &BanRecord) -> Failure {
    let until = match ban.until {
        Some(until) => format!(" until {until} (milliseconds since 1970)"),
        None => String::new(),
    };
    let reason = match &ban.reason {
        Some(reason) => format!(": {reason}"),
        None => String::new(),
    };
    Failure::new("banned", format!("you are banned here{until}{reason}"))
}

/// There is no such room, or none for whoever asks: which of the two is nobody's business.
pub(crate) fn no_room() -> Failure {
    Failure::new(
        "not_found",
        "there is no such room, or it isn't open to you",
    )
}

/// What is known of a room that is watched here.
#[derive(Default)]
pub(crate) struct Known {
    /// Counts what was called stale: what was read before that isn't kept.
    generation: u64,
    room: Option<(Arc<RoomRecord>, u64)>,
    people: HashMap<Box<str>, Of>,
}

/// What a room keeps of somebody.
#[derive(Clone, Debug, Default)]
struct Of {
    /// When it was read.
    at_ms: u64,
    kept: Option<(Arc<MemberRecord>, u64)>,
    ban: Option<Arc<BanRecord>>,
    is_blocked: bool,
}

impl Of {
    /// Of the documents of somebody's membership and ban.
    fn read(
        at_ms: u64,
        (member, ban): (Option<Document>, Option<Document>),
        is_blocked: bool,
    ) -> Result<Self, Failure> {
        let kept = match member {
            Some(member) => Some((Arc::new(records::read(&member)?), member.version)),
            None => None,
        };
        let ban = match ban {
            Some(ban) => Some(Arc::new(records::read(&ban)?)),
            None => None,
        };
        Ok(Self {
            at_ms,
            kept,
            ban,
            is_blocked,
        })
    }

    fn standing(
        &self,
        room: &(Arc<RoomRecord>, u64),
        asker: &Asker,
        name: &str,
        now_ms: u64,
    ) -> Standing {
        let own = self
            .kept
            .as_ref()
            .map_or(Role::Guest, |(kept, _)| kept.role);
        let ban = self.ban.clone();
        Standing {
            room: Arc::clone(&room.0),
            version: room.1,
            kept: self.kept.clone(),
            ban: ban.filter(|ban| ban.until.is_none_or(|until| until > now_ms)),
            role: own.max(asker.least_role(name)),
            is_blocked: self.is_blocked,
            is_system: asker.is_system(),
        }
    }
}

impl Known {
    /// Somebody watches no more.
    pub(crate) fn forget(&mut self, person: &str) {
        self.people.remove(person);
    }

    fn stale(&mut self, person: Option<&str>) {
        self.generation += 1;
        match person {
            Some(person) => drop(self.people.remove(person)),
            None => self.room = None,
        }
    }
}

/// What whoever asks is in a room.
///
/// # Errors
/// `not_found` if there is no such room; `unavailable`.
pub(crate) async fn of(chat: &Chat, asker: &Asker, room: &str) -> Result<Standing, Failure> {
    find(chat, asker, room).await?.ok_or_else(no_room)
}

/// The same, if it stands in memory.
pub(crate) fn known(chat: &Chat, asker: &Asker, room: &str) -> Option<Standing> {
    let now_ms = chat.now_ms();
    let mut table = chat.0.table.lock();
    let known = table.known(room)?;
    let of = known.people.get(asker.id())?;
    let is_fresh = now_ms < of.at_ms.saturating_add(KEEP_MS);
    let found = known.room.as_ref().filter(|_| is_fresh)?;
    Some(of.standing(found, asker, room, now_ms))
}

/// The same; `None` if there is no such room.
pub(crate) async fn find(
    chat: &Chat,
    asker: &Asker,
    room: &str,
) -> Result<Option<Standing>, Failure> {
    names::check_room(room)?;
    let now_ms = chat.now_ms();
    if let Some(standing) = known(chat, asker, room) {
        return Ok(Some(standing));
    }
    let generation = {
        let mut table = chat.0.table.lock();
        table.known(room).map(|known| known.generation)
    };
    let Some((found, of)) = read(chat, room, asker.id()).await? else {
        return Ok(None);
    };
    let standing = of.standing(&found, asker, room, now_ms);
    let mut table = chat.0.table.lock();
    if table.is_here(room, asker.id())
        && let Some(known) = table.known(room)
        && Some(known.generation) == generation
    {
        known.room = Some(found);
        known.people.insert(asker.id().into(), of);
    }
    Ok(Some(standing))
}

/// The same of those who may; who may not by what is known here is looked up anew: another node may have said so just now.
///
/// # Errors
/// Those of [`of`], and of `check`.
pub(crate) async fn checked(
    chat: &Chat,
    asker: &Asker,
    room: &str,
    check: impl Fn(&Standing) -> Result<(), Failure>,
) -> Result<Standing, Failure> {
    let standing = of(chat, asker, room).await?;
    if check(&standing).is_ok() {
        return Ok(standing);
    }
    forget(chat, room, None);
    forget(chat, room, Some(asker.id()));
    let standing = of(chat, asker, room).await?;
    check(&standing).map(|()| standing)
}

/// What whoever asks is in rooms that were read, in their order, as it stands in the store: one read.
pub(crate) async fn of_rooms(
    chat: &Chat,
    asker: &Asker,
    rooms: &[(String, u64, RoomRecord)],
) -> Result<Vec<Standing>, Failure> {
    if rooms.is_empty() {
        return Ok(Vec::new());
    }
    let get = |collection: String| Query::Get {
        collection,
        key: asker.id().to_owned(),
    };
    let queries = rooms.iter();
    let queries = queries.flat_map(|(id, ..)| [get(names::members(id)), get(names::bans(id))]);
    let now_ms = chat.now_ms();
    let reading = chat.0.store.read(now_ms, queries.collect());
    let answers = reading.await.map_err(|error| stored::not_read(&error))?;
    let mut documents = answers.into_iter().map(document);
    let mut next = || documents.next().transpose().map(Option::flatten);
    let mut standings = Vec::with_capacity(rooms.len());
    for (id, version, record) in rooms {
        let of = Of::read(now_ms, (next()?, next()?), false)?;
        let room = (Arc::new(record.clone()), *version);
        standings.push(of.standing(&room, asker, id, now_ms));
    }
    Ok(standings)
}

/// What a person is in a room, whoever asks.
pub(crate) async fn of_person(chat: &Chat, room: &str, person: &str) -> Result<Standing, Failure> {
    names::check_person(person)?;
    let (found, of) = read(chat, room, person).await?.ok_or_else(no_room)?;
    let nobody = Asker::person(lakh_hub::Person {
        id: person.to_owned(),
        name: String::new(),
    });
    Ok(of.standing(&found, &nobody, room, chat.now_ms()))
}

async fn read(
    chat: &Chat,
    room: &str,
    person: &str,
) -> Result<Option<((Arc<RoomRecord>, u64), Of)>, Failure> {
    let get = |collection: String, key: &str| Query::Get {
        collection,
        key: key.to_owned(),
    };
    let queries = vec![
        get(names::ROOMS.to_owned(), room),
        get(names::members(room), person),
        get(names::bans(room), person),
    ];
    let answers = stored::read(chat, queries).await?;
    let mut documents = answers.into_iter().map(document);
    let mut next = || documents.next().transpose().map(Option::flatten);
    let (found, member, ban) = (next()?, next()?, next()?);
    let Some(found) = found else {
        return Ok(None);
    };
    let record: RoomRecord = records::read(&found)?;
    if record.deleted {
        return Ok(None);
    }
    // One read more where two are by themselves, and nowhere else.
    let is_blocked = match record.people.as_slice() {
        [one, other] if one == person => people::is_blocked(chat, person, other).await?,
        [other, one] if one == person => people::is_blocked(chat, person, other).await?,
        _ => false,
    };
    let room = (Arc::new(record), found.version);
    let of = Of::read(chat.now_ms(), (member, ban), is_blocked)?;
    Ok(Some((room, of)))
}

fn document(answer: Answer) -> Result<Option<Document>, Failure> {
    match answer {
        Answer::Document(document) => Ok(document),
        other => Err(stored::unexpected(Some(&other))),
    }
}

/// Something of a room was changed, or of somebody in it: what nodes have of it is stale.
pub(crate) fn changed(chat: &Chat, room: &str, person: Option<&str>) {
    forget(chat, room, person);
    let word = (room, person);
    if let Err(error) = chat.0.namespace.server_side_emit(STALE, &word) {
        tracing::warn!(room, %error, "other nodes were not told that a room has changed");
    }
}

fn forget(chat: &Chat, room: &str, person: Option<&str>) {
    if let Some(known) = chat.0.table.lock().known(room) {
        known.stale(person);
    }
}

pub(crate) fn install(chat: &Chat) {
    let module = chat.clone();
    chat.0
        .namespace
        .on_server_event(STALE, async move |event: ServerEvent| {
            match event.args::<(String, Option<String>)>() {
                Ok((room, person)) => forget(&module, &room, person.as_deref()),
                Err(error) => {
                    tracing::warn!(%error, "what another node calls stale was not understood")
                }
            }
        });
}
