//! Who belongs to a room: coming in, going, and who has it when its last owner goes.
//!
//! A member stands in four places, which are written together: the room's members, their ranking by when they came, the
//! ranking of those who are more than members, and the person's rooms. What takes an owner away or makes one puts the room's
//! document anew at the version that was read: so two owners who go at once don't each take the other for the one who stays.

mod bans;
mod invite;
mod list;
mod power;

pub(crate) use bans::{ban, bans, unban};
pub(crate) use invite::{add, decline, invite};
pub(crate) use list::list;
pub(crate) use power::{kick, mute, role};

use std::sync::Arc;

use lakh_hub::store::{Answer, Batch, Condition, Order, Query, ScoreRange};
use lakh_hub::{Failure, Person};
use serde_json::{Map, Value, json};

use crate::asker::Asker;
use crate::changes::{self, Change};
use crate::permissions::{Kind, Role};
use crate::records::{self, MemberRecord, MembershipRecord, Notify, RoomRecord};
use crate::rooms::{self, Counts, shape};
use crate::shapes::Mine;
use crate::standing::{self, Standing};
use crate::{Chat, names, receipts, stored};

/// Those who may follow an owner that are looked at.
const HEIRS: usize = 100;

/// Somebody who becomes a member.
#[derive(Clone, Debug)]
pub(crate) struct Joining {
    pub person: Person,
    pub role: Role,
    /// Who has put them in.
    pub by: Option<Person>,
    muted_until: Option<u64>,
}

impl Joining {
    pub(crate) fn new(person: &Person, role: Role) -> Self {
        Self {
            person: person.clone(),
            role,
            by: None,
            muted_until: None,
        }
    }

    /// Somebody who is put in.
    pub(crate) fn by(person: Person, role: Role, by: &Asker) -> Self {
        Self {
            person,
            role,
            by: Some(Person::clone(by.who())),
            muted_until: None,
        }
    }
}

/// Adds what makes somebody a member.
pub(crate) fn put(
    batch: Batch,
    room: &str,
    joining: &Joining,
    condition: Condition,
) -> Result<Batch, Failure> {
    let joined_at = batch.now_ms();
    let (person, role) = (&joining.person, joining.role);
    let member = records::to_bytes(&MemberRecord {
        role,
        name: person.name.clone(),
        joined_at,
        invited_by: None,
        muted_until: joining.muted_until,
    })?;
    let membership = records::to_bytes(&MembershipRecord {
        role,
        notify: Notify::default(),
        invited_by: None,
    })?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds stay below 2^53 for long"
    )]
    let score = joined_at as f64;
    let members = names::members(room);
    let batch = batch
        .put(&members, &person.id, member, condition, None)
        .put(
            &names::memberships(&person.id),
            room,
            membership,
            Condition::Any,
            None,
        )
        .set_score(&members, &person.id, score);
    Ok(rank(batch, room, &person.id, role))
}

/// Notes who is more than a member.
fn rank(batch: Batch, room: &str, person: &str, role: Role) -> Batch {
    match role {
        Role::Guest | Role::Member => batch.remove_member(&names::roles(room), person),
        role => batch.set_score(&names::roles(room), person, score(role)),
    }
}

fn score(role: Role) -> f64 {
    f64::from(role as u8)
}

/// Makes somebody a member and tells the room. `false`: what is known of them is not as it was read.
pub(crate) async fn join(
    chat: &Chat,
    room: &str,
    person: &Person,
    role: Role,
    standing: &Standing,
    by: Option<&Person>,
) -> Result<bool, Failure> {
    let kept = standing.kept.as_ref();
    let joining = Joining {
        by: by.cloned(),
        // Who comes in is not given their voice back by that.
        muted_until: kept.and_then(|(kept, _)| kept.muted_until),
        ..Joining::new(person, role)
    };
    let condition = kept.map_or(Condition::Absent, |(_, version)| {
        Condition::Version(*version)
    });
    let batch = put(Batch::new(chat.now_ms()), room, &joining, condition)?;
    let mut batch = receipts::begin(chat, batch, room, &person.id).await?;
    if role == Role::Owner {
        batch = put_room_anew(batch, room, standing)?;
    }
    if standing.ban.is_none() {
        // Nor has anybody banned them meanwhile.
        batch = batch.delete(&names::bans(room), &person.id, Condition::Absent);
    }
    let written = changes::write(chat, room, batch, &joined(&joining)).await?;
    standing::changed(chat, room, Some(&person.id));
    if role == Role::Owner {
        standing::changed(chat, room, None);
    }
    Ok(written.is_some())
}

fn joined(joining: &Joining) -> Change {
    let mut set = Map::new();
    set.insert("joined".to_owned(), json!(true));
    set.insert("role".to_owned(), json!(joining.role));
    Change::of_member(&joining.person, set, joining.by.as_ref())
}

/// The room's document again, on condition that it's as it was read.
fn put_room_anew(batch: Batch, room: &str, standing: &Standing) -> Result<Batch, Failure> {
    put_room(batch, room, &standing.room, standing.version)
}

fn put_room(batch: Batch, room: &str, record: &RoomRecord, version: u64) -> Result<Batch, Failure> {
    let value = records::to_bytes(record)?;
    let condition = Condition::Version(version);
    Ok(batch.put(names::ROOMS, room, value, condition, None))
}

/// Somebody who goes, and who put them out.
#[derive(Clone, Copy)]
pub(crate) struct Leaving<'a> {
    pub person: &'a Person,
    pub by: Option<&'a Person>,
}

/// Takes a member out and tells the room; the last owner's place is taken by another. `more` adds to the batch. `false`: it's
/// not as it was read.
pub(crate) async fn take_out(
    chat: &Chat,
    room: &str,
    standing: &Standing,
    leaving: Leaving<'_>,
    more: impl FnOnce(Batch) -> Result<Batch, Failure>,
) -> Result<bool, Failure> {
    let Some((kept, version)) = &standing.kept else {
        return Ok(false);
    };
    let id = leaving.person.id.as_str();
    let members = names::members(room);
    let is_owner = kept.role == Role::Owner;
    let is_of_two = standing.room.people.len() == 2 && !standing.room.left;
    let heir = match is_owner && standing.room.kind != Kind::Thing {
        true => heir(chat, room, id).await?,
        false => None,
    };
    let mut batch = Batch::new(chat.now_ms())
        .delete(&members, id, Condition::Version(*version))
        .delete(&names::memberships(id), room, Condition::Any)
        .remove_member(&members, id)
        .remove_member(&names::roles(room), id);
    if is_owner {
        batch = put_room_anew(batch, room, standing)?;
    } else if is_of_two {
        let record = RoomRecord {
            left: true,
            ..RoomRecord::clone(&standing.room)
        };
        batch = put_room(batch, room, &record, standing.version)?;
    }
    let mut set = Map::new();
    set.insert("left".to_owned(), json!(true));
    let mut told = vec![Change::of_member(leaving.person, set, leaving.by)];
    if let Some(heir) = &heir {
        batch = give(batch, room, heir, Role::Owner)?;
        told.push(role_change(&heir.person, Role::Owner, None));
    }
    let written = changes::write_all(chat, room, more(batch)?, &told, |_| Vec::new()).await?;
    for person in [Some(id), heir.as_ref().map(|heir| heir.person.id.as_str())]
        .into_iter()
        .flatten()
    {
        standing::changed(chat, room, Some(person));
    }
    if is_owner || is_of_two {
        standing::changed(chat, room, None);
    }
    Ok(written.is_some())
}

fn role_change(person: &Person, role: Role, by: Option<&Person>) -> Change {
    let mut set = Map::new();
    set.insert("role".to_owned(), json!(role));
    Change::of_member(person, set, by)
}

/// A member, as they were read.
struct Found {
    person: Person,
    kept: Arc<MemberRecord>,
    version: u64,
    membership: MembershipRecord,
}

/// Adds what gives a member another role.
fn give(batch: Batch, room: &str, member: &Found, role: Role) -> Result<Batch, Failure> {
    let id = member.person.id.as_str();
    let kept = records::to_bytes(&MemberRecord {
        role,
        ..MemberRecord::clone(&member.kept)
    })?;
    let membership = records::to_bytes(&MembershipRecord {
        role,
        ..member.membership.clone()
    })?;
    let condition = Condition::Version(member.version);
    let batch = batch
        .put(&names::members(room), id, kept, condition, None)
        .put(
            &names::memberships(id),
            room,
            membership,
            Condition::Any,
            None,
        );
    Ok(rank(batch, room, id, role))
}

/// Whether somebody else is an owner.
async fn has_other_owner(chat: &Chat, room: &str, but: &str) -> Result<bool, Failure> {
    let owners = ranked(chat, room, Role::Owner, 2).await?;
    Ok(owners.iter().any(|owner| owner != but))
}

/// Who gets a room whose owner goes: nobody if there is another owner, otherwise whoever has the highest role, and of those
/// whoever has been there longest.
async fn heir(chat: &Chat, room: &str, owner: &str) -> Result<Option<Found>, Failure> {
    if has_other_owner(chat, room, owner).await? {
        return Ok(None);
    }
    let mut next = ranked(chat, room, Role::Moderator, HEIRS).await?;
    if next.is_empty() {
        let ranking = names::members(room);
        let oldest = chat.0.store.by_rank(&ranking, 0, HEIRS, Order::Ascending);
        let oldest = oldest.await.map_err(|error| stored::not_read(&error))?;
        next = oldest.into_iter().map(|ranked| ranked.member).collect();
    }
    next.retain(|person| person != owner);
    let mut found = find(chat, room, &next).await?;
    found.sort_by(|a, b| {
        let key = |found: &Found| (found.kept.joined_at, found.person.id.clone());
        key(a).cmp(&key(b))
    });
    Ok(found.into_iter().next())
}

/// Members of a role above that of a member.
async fn ranked(chat: &Chat, room: &str, role: Role, limit: usize) -> Result<Vec<String>, Failure> {
    let scores = ScoreRange {
        min: score(role),
        max: score(role),
    };
    let ranking = names::roles(room);
    let ranked = chat
        .0
        .store
        .by_score(&ranking, scores, 0, limit, Order::Ascending);
    let ranked = ranked.await.map_err(|error| stored::not_read(&error))?;
    Ok(ranked.into_iter().map(|ranked| ranked.member).collect())
}

/// Those of these people who are members.
async fn find(chat: &Chat, room: &str, people: &[String]) -> Result<Vec<Found>, Failure> {
    let members = names::members(room);
    let queries = people.iter().flat_map(|person| {
        [
            Query::get(members.clone(), person.clone()),
            Query::get(names::memberships(person), room),
        ]
    });
    let answers = stored::read(chat, queries.collect()).await?;
    let mut found = Vec::new();
    for (person, answers) in people.iter().zip(answers.chunks(2)) {
        let [
            Answer::Document(Some(member)),
            Answer::Document(Some(membership)),
        ] = answers
        else {
            continue;
        };
        let kept: MemberRecord = records::read(member)?;
        if kept.role > Role::Guest {
            found.push(Found {
                person: Person {
                    id: person.clone(),
                    name: kept.name.clone(),
                },
                kept: Arc::new(kept),
                version: member.version,
                membership: records::read(membership)?,
            });
        }
    }
    Ok(found)
}

/// Tells people that they are in a room now.
pub(crate) async fn tell_added(
    chat: &Chat,
    asker: &Asker,
    room: &str,
    standing: &Standing,
    people: &[Joining],
) {
    // A room between a few is called by their names. Without them it's asked for by `room:get`.
    let between = rooms::between(chat, &standing.room).await;
    let between = between.unwrap_or_default();
    for joining in people {
        let (id, role) = (&joining.person.id, joining.role);
        tell_invited(chat, asker, room, standing, &between, (id, role));
    }
}

/// Tells somebody that they are invited to a room or, by their role, in it.
fn tell_invited(
    chat: &Chat,
    asker: &Asker,
    room: &str,
    standing: &Standing,
    between: &[Person],
    (person, role): (&str, Role),
) {
    let mut news = shape(room, &standing.room, standing.version, Counts::default());
    news.people = between.to_vec();
    news.mine = Some(Mine {
        role,
        joined_at: (role > Role::Guest).then(|| chat.now_ms()),
        invited_by: (role == Role::Guest).then(|| Person::clone(asker.who())),
        muted_until: None,
        notify: Notify::default(),
        read: 0,
        delivered: 0,
        unread: 0,
        mentions: 0,
    });
    let news = json!({ "room": without_counts(&news), "by": &**asker.who() });
    let to = chat.0.namespace.to(Person::room_of(person));
    if let Err(error) = to.emit("room:invited", &news) {
        tracing::warn!(room, %error, "somebody finds out later that they are invited");
    }
}

/// A room as it is told to somebody who isn't asking: what counts up is left to `room:get`.
fn without_counts(room: &crate::shapes::Room) -> Value {
    let mut room = json!(room);
    if let Some(fields) = room.as_object_mut() {
        for field in ["seq", "rev", "members"] {
            fields.remove(field);
        }
    }
    room
}

/// Somebody out of whose hands a room was taken.
pub(crate) fn tell_removed(
    chat: &Chat,
    room: &str,
    person: &str,
    why: &str,
    reason: Option<&str>,
    until: Option<u64>,
) {
    let mut news = json!({ "room": room, "why": why });
    if let Some(reason) = reason {
        news["reason"] = reason.into();
    }
    if let Some(until) = until {
        news["until"] = until.into();
    }
    let to = chat.0.namespace.to(Person::room_of(person));
    if let Err(error) = to.emit("room:removed", &news) {
        tracing::warn!(room, %error, "somebody finds out later that they were put out");
    }
}

/// Refuses what somebody does to themselves.
fn need_other(asker: &Asker, person: &str, what: &str) -> Result<(), Failure> {
    names::check_person(person)?;
    match asker.id() == person && !asker.is_system() {
        true => Err(Failure::bad_request(format!("person is you: {what}"))),
        false => Ok(()),
    }
}
