//! Making a room: `room:create`, `room:direct`, and by coming into one that isn't there.

use std::fmt::Write as _;

use lakh_hub::store::{Applied, Batch, Condition, WriteError};
use lakh_hub::{Attempts, Beside, Failure, Person};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::enter::{Entered, enter, gate};
use super::fields::Fields;
use crate::asker::Asker;
use crate::members::{self, Joining};
use crate::permissions::{Kind, Right, Role};
use crate::records::{self, RoomRecord, Settings};
use crate::rooms::{Counts, busy, shape};
use crate::standing::{self, Standing};
use crate::{Chat, names, people, stored, told};

/// People who are put into a room that is made, at most.
const MAX_PEOPLE: usize = 100;
/// Others whom one may talk with in a direct room, at most.
const MAX_DIRECT: usize = 9;

/// Whether a room of this name belongs to something outside.
pub(super) fn is_thing(chat: &Chat, room: &str) -> bool {
    let mut things = chat.0.config.things.iter();
    things.any(|thing| thing.fits(room, None))
}

fn record(chat: &Chat, asker: &Asker, kind: Kind, name: &str) -> RoomRecord {
    RoomRecord {
        kind,
        name: name.to_owned(),
        topic: None,
        picture: None,
        data: None,
        created_at: chat.now_ms(),
        created_by: (kind != Kind::Thing).then(|| asker.id().to_owned()),
        archived: false,
        deleted: false,
        people: Vec::new(),
        left: false,
        settings: Settings::default(),
    }
}

/// The room that is made when somebody comes into one that isn't there.
pub(super) fn on_first_use(chat: &Chat, asker: &Asker, room: &str) -> Result<RoomRecord, Failure> {
    if names::is_direct(room) {
        return Err(standing::no_room());
    }
    let kind = match is_thing(chat, room) {
        true => Kind::Thing,
        false => Kind::Public,
    };
    Ok(record(chat, asker, kind, room))
}

/// Writes a new room with these people in it; whoever makes it is its owner, but of a thing there is none. `false`: there
/// is such a room.
pub(super) async fn make(
    chat: &Chat,
    asker: &Asker,
    room: &str,
    record: &RoomRecord,
    others: &[Joining],
) -> Result<bool, Failure> {
    asker.allow("create", room)?;
    if !asker.is_system() {
        let now_ms = chat.now_ms();
        let paced = {
            let mut table = chat.0.table.lock();
            table.pacing.new_room(&chat.0.config, asker.id(), now_ms)
        };
        paced.inspect_err(|_| told::limited(asker, room, "new_rooms_at_once"))?;
    }
    let value = records::to_bytes(record)?;
    let mut batch =
        Batch::new(record.created_at).put(names::ROOMS, room, value, Condition::Absent, None);
    let mut members = others.len() as u64;
    if record.kind != Kind::Thing && !asker.is_system() {
        let role = match record.kind {
            Kind::Direct => Role::Member,
            _ => Role::Owner,
        };
        let maker = Joining::new(asker.who(), role);
        batch = members::put(batch, room, &maker, Condition::Any)?;
        members += 1;
    }
    for joining in others {
        batch = members::put(batch, room, joining, Condition::Any)?;
    }
    let version = match chat.0.store.write(batch).await {
        Ok(applied) => match applied.first() {
            Some(Applied::Put { version }) => *version,
            _ => return Err(stored::unexpected(None)),
        },
        Err(WriteError::Conflict { .. }) => return Ok(false),
        Err(error) => return Err(stored::not_written(&error)),
    };
    let counts = Counts {
        members,
        ..Counts::default()
    };
    let news = shape(room, record, version, counts);
    if record.kind == Kind::Public
        && let Err(error) = chat.0.namespace.emit("room:new", &news)
    {
        tracing::warn!(room, %error, "the server was too busy to tell of a new room");
    }
    told::made(chat, asker, room, &news);
    Ok(true)
}

#[derive(Deserialize)]
pub(crate) struct Create {
    kind: Option<Kind>,
    id: Option<String>,
    members: Option<Vec<String>>,
}

/// `room:create`.
pub(crate) async fn create(
    chat: &Chat,
    asker: &Asker,
    Beside(request, fields): Beside<Create, Fields>,
) -> Result<Entered, Failure> {
    let kind = request.kind.unwrap_or(Kind::Public);
    fields.check()?;
    let id = match request.id {
        Some(id) => id,
        None => fresh_id(chat),
    };
    names::check_room(&id)?;
    check_kind(chat, asker, kind, &id)?;
    let ids = others(
        asker,
        request.members.unwrap_or_default(),
        MAX_PEOPLE,
        "members",
    )?;
    people::not_blocked(chat, asker, &ids).await?;
    let others: Vec<_> = people::of_ids(chat, &ids)
        .await?
        .into_iter()
        .map(|person| Joining::by(person, Role::Member, asker))
        .collect();
    let passed = gate(asker, &id).await?;
    let mut record = record(chat, asker, kind, &id);
    fields.apply(&id, &mut record);
    if !make(chat, asker, &id, &record, &others).await? {
        return Err(Failure::new(
            "exists",
            format!("there is a room `{id}`, or was just now; join it, or take another id"),
        ));
    }
    let standing = standing::of(chat, asker, &id).await?;
    members::tell_added(chat, asker, &id, &standing, &others).await;
    enter(chat, asker, &id, &standing, passed).await
}

fn check_kind(chat: &Chat, asker: &Asker, kind: Kind, id: &str) -> Result<(), Failure> {
    if kind == Kind::Direct || names::is_direct(id) {
        return Err(Failure::bad_request(
            "rooms between a few people are made by room:direct",
        ));
    }
    let is_thing = is_thing(chat, id);
    if is_thing != (kind == Kind::Thing) {
        let what = match is_thing {
            true => "that id belongs to a thing; its room is made by the first who comes",
            false => "no thing has such an id; see `chat.things` in the server's settings",
        };
        return Err(Failure::bad_request(what));
    }
    if is_thing && !asker.is_system() {
        return Err(Failure::new(
            "forbidden",
            "rooms of things are made by backends, or by the first who comes",
        ));
    }
    Ok(())
}

/// An id that nobody else has: 22 letters and digits, of 128 random bits.
fn fresh_id(chat: &Chat) -> String {
    let hub = chat.0.namespace.hub();
    let bits = (0..4).fold(0_u128, |bits, _| bits << 32 | u128::from(hub.random()));
    letters(bits)
}

/// 128 bits as 22 letters and digits.
fn letters(mut bits: u128) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut id = String::with_capacity(22);
    for _ in 0..22 {
        // Below 62.
        id.push(char::from(DIGITS[(bits % 62) as usize]));
        bits /= 62;
    }
    id
}

/// Ids of other people, each once.
fn others(
    asker: &Asker,
    mut ids: Vec<String>,
    most: usize,
    field: &str,
) -> Result<Vec<String>, Failure> {
    ids.sort_unstable();
    ids.dedup();
    ids.retain(|id| asker.is_system() || id != asker.id());
    if ids.len() > most {
        return Err(Failure::bad_request(format!(
            "{field} is a list of at most {most} ids"
        )));
    }
    names::check_people(field, &ids)?;
    Ok(ids)
}

#[derive(Deserialize)]
pub(crate) struct Direct {
    people: Vec<String>,
}

/// `room:direct`.
pub(crate) async fn direct(
    chat: &Chat,
    asker: &Asker,
    request: Direct,
) -> Result<Entered, Failure> {
    let most = MAX_DIRECT + usize::from(asker.is_system());
    let ids = others(asker, request.people, most, "people")?;
    if ids.len() < 1 + usize::from(asker.is_system()) {
        return Err(Failure::bad_request("people names somebody else"));
    }
    let mut all = ids.clone();
    if !asker.is_system() {
        all.push(asker.id().to_owned());
        all.sort_unstable();
    }
    let room = direct_id(&all);
    asker.allow("join", &room)?;
    people::not_blocked(chat, asker, &ids).await?;
    let passed = gate(asker, &room).await?;
    let standing = match standing::find(chat, asker, &room).await? {
        Some(standing) => anew(chat, asker, &room, standing).await?,
        None => open(chat, asker, &room, &ids, all).await?,
    };
    let standing = come_back(chat, asker, &room, standing, &ids).await?;
    enter(chat, asker, &room, &standing, passed).await
}

/// Makes the room. If another of its people was faster, theirs is the same.
async fn open(
    chat: &Chat,
    asker: &Asker,
    room: &str,
    ids: &[String],
    all: Vec<String>,
) -> Result<Standing, Failure> {
    let others: Vec<_> = people::of_ids(chat, ids)
        .await?
        .into_iter()
        .map(|person| Joining::by(person, Role::Member, asker))
        .collect();
    let record = RoomRecord {
        people: all,
        ..record(chat, asker, Kind::Direct, "")
    };
    let made = make(chat, asker, room, &record, &others).await?;
    let standing = standing::of(chat, asker, room).await?;
    if made {
        members::tell_added(chat, asker, room, &standing, &others).await;
    }
    Ok(standing)
}

/// Whoever was erased and opens the room anew is one of its people again; until then nobody calls them by their id.
async fn anew(
    chat: &Chat,
    asker: &Asker,
    room: &str,
    standing: Standing,
) -> Result<Standing, Failure> {
    let mut record = RoomRecord::clone(&standing.room);
    let is_named = asker.is_system() || record.people.iter().any(|id| id == asker.id());
    let mut erased = record.people.iter_mut();
    let erased = erased.find(|id| id.starts_with(people::ERASED_PREFIX));
    let Some(erased) = erased.filter(|_| !is_named) else {
        return Ok(standing);
    };
    asker.id().clone_into(erased);
    let value = records::to_bytes(&record)?;
    let condition = Condition::Version(standing.version);
    let batch = Batch::new(chat.now_ms()).put(names::ROOMS, room, value, condition, None);
    // Who was faster has done the same, or they are named the next time.
    stored::try_write(chat, batch).await?;
    standing::changed(chat, room, None);
    standing::of(chat, asker, room).await
}

/// Whoever opens a room between a few is in it again if they had left; between two the other is, too: there is nobody to
/// talk with otherwise.
async fn come_back(
    chat: &Chat,
    asker: &Asker,
    room: &str,
    mut standing: Standing,
    ids: &[String],
) -> Result<Standing, Failure> {
    if asker.is_system() || standing.room.archived {
        return Ok(standing);
    }
    let mut attempts = Attempts::default();
    while attempts.another().await {
        if standing.is_member() {
            break;
        }
        if members::join(chat, room, asker.who(), Role::Member, &standing, None).await? {
            standing = standing::of(chat, asker, room).await?;
            break;
        }
        standing = standing::of(chat, asker, room).await?;
    }
    if !standing.is_member() {
        return Err(busy());
    }
    if let [other] = ids {
        fetch_back(chat, asker, room, &standing, other).await?;
    }
    Ok(standing)
}

/// Somebody who has left a room between two is in it again.
async fn fetch_back(
    chat: &Chat,
    asker: &Asker,
    room: &str,
    standing: &Standing,
    person: &str,
) -> Result<(), Failure> {
    let theirs = standing::of_person(chat, room, person).await?;
    if theirs.is_member() {
        return Ok(());
    }
    let person = people::of_id(chat, person).await?;
    // If they come back by themselves meanwhile, all the better.
    if members::join(
        chat,
        room,
        &person,
        Role::Member,
        &theirs,
        Some(asker.who()),
    )
    .await?
    {
        let joining = Joining::by(person, Role::Member, asker);
        members::tell_added(chat, asker, room, standing, &[joining]).await;
    }
    Ok(())
}

/// Whoever has left a room between two is in it again before something is said to them: it's unread then.
pub(crate) async fn reach(
    chat: &Chat,
    asker: &Asker,
    room: &str,
    standing: &Standing,
) -> Result<(), Failure> {
    if !standing.room.left {
        return Ok(());
    }
    let people = standing.room.people.iter().filter(|id| *id != asker.id());
    for id in people.filter(|id| !id.starts_with(people::ERASED_PREFIX)) {
        fetch_back(chat, asker, room, standing, id).await?;
    }
    Ok(())
}

/// The id of the room that is between these two, or would be.
pub(crate) fn between_two(one: &str, other: &str) -> String {
    let mut both = [one.to_owned(), other.to_owned()];
    both.sort_unstable();
    direct_id(&both)
}

/// One room for each set of people: its id is a hash of theirs, sorted.
fn direct_id(sorted: &[String]) -> String {
    let mut hash = Sha256::new();
    for id in sorted {
        hash.update(id.as_bytes());
        // No id has a control character.
        hash.update(b"\n");
    }
    let hash = hash.finalize();
    let bits = hash[..16].iter();
    let bits = bits.fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    let mut id = String::from(names::DIRECT_PREFIX);
    // Writing to a string can't fail.
    let _ = write!(id, "{}", letters(bits));
    id
}

/// Comes into a room, which is made if it isn't there.
pub(super) async fn find_or_make(
    chat: &Chat,
    asker: &Asker,
    room: &str,
) -> Result<Standing, Failure> {
    if let Some(standing) = standing::find(chat, asker, room).await? {
        return Ok(standing);
    }
    let record = on_first_use(chat, asker, room)?;
    // If somebody else was faster, theirs is as good.
    make(chat, asker, room, &record, &[]).await?;
    standing::of(chat, asker, room).await
}

/// Whether whoever comes into a room may become a member, and what they become.
pub(super) fn role_of_newcomer(
    chat: &Chat,
    asker: &Asker,
    standing: &Standing,
    members: u64,
) -> Result<Role, Failure> {
    if let (Some(ban), false) = (&standing.ban, standing.role == Role::Owner) {
        return Err(standing::banned(ban));
    }
    if !standing.is_invited() && !standing.may(chat, Right::Join) {
        return Err(standing::no_room());
    }
    standing.need_open()?;
    // Whoever made it and finds nobody in it has it back.
    let is_theirs = standing.room.created_by.as_deref() == Some(asker.id());
    let is_empty = members == 0 && standing.room.kind != Kind::Direct;
    Ok(match is_theirs && is_empty {
        true => Role::Owner,
        false => Role::Member,
    })
}

/// A direct room's people with their names as they are now.
pub(crate) async fn between(chat: &Chat, record: &RoomRecord) -> Result<Vec<Person>, Failure> {
    people::of_ids(chat, &record.people).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_people_has_one_id_and_no_two_sets_share_one() {
        let ids =
            |ids: &[&str]| direct_id(&ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>());
        let one = ids(&["ada", "ben"]);
        assert_eq!(one, ids(&["ada", "ben"]));
        assert_eq!(one.len(), "direct:".len() + 22);
        assert!(names::is_direct(&one));
        for other in [&["ada", "benn"][..], &["adab", "en"], &["ada", "ben", "cy"]] {
            assert_ne!(one, ids(other));
        }
        assert_eq!(letters(u128::MAX).len(), 22);
    }
}
