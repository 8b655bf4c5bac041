//! `member:invite`, `member:decline`, `member:add`.

use lakh_hub::store::{Batch, Condition};
use lakh_hub::{Attempts, Failure, Person};
use serde::{Deserialize, Serialize};

use super::power::need;
use super::{Joining, join, tell_added, tell_invited};
use crate::asker::Asker;
use crate::permissions::{Right, Role};
use crate::records::{self, MemberRecord, MembershipRecord, Notify};
use crate::rooms::busy;
use crate::shapes::{InRoom, Nothing};
use crate::standing;
use crate::{Chat, names, people, stored};

/// People who are invited or put in at once, at most.
const MAX_PEOPLE: usize = 100;

fn check_people(ids: &mut Vec<String>) -> Result<(), Failure> {
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() || ids.len() > MAX_PEOPLE {
        return Err(Failure::bad_request(format!(
            "people is a list of 1 to {MAX_PEOPLE} ids"
        )));
    }
    names::check_people("people", &*ids)
}

#[derive(Deserialize)]
pub(crate) struct Invite {
    room: String,
    people: Vec<String>,
}

#[derive(Serialize)]
pub(crate) struct Invited {
    /// Who is invited now; not who is a member, banned, or was invited already.
    invited: Vec<String>,
}

pub(crate) async fn invite(
    chat: &Chat,
    asker: &Asker,
    mut request: Invite,
) -> Result<Invited, Failure> {
    let room = request.room.as_str();
    check_people(&mut request.people)?;
    let own = need(chat, asker, room, Right::Invite).await?;
    own.need_open()?;
    people::not_blocked(chat, asker, &request.people).await?;
    let mut invited = Vec::new();
    for person in people::of_ids(chat, &request.people).await? {
        if invite_one(chat, asker, room, &person).await? {
            tell_invited(chat, asker, room, &own, &[], (&person.id, Role::Guest));
            invited.push(person.id);
        }
    }
    Ok(Invited { invited })
}

async fn invite_one(
    chat: &Chat,
    asker: &Asker,
    room: &str,
    person: &Person,
) -> Result<bool, Failure> {
    let mut attempts = Attempts::default();
    while attempts.another().await {
        let theirs = standing::of_person(chat, room, &person.id).await?;
        if theirs.is_member() || theirs.is_invited() || theirs.ban.is_some() {
            return Ok(false);
        }
        let kept = theirs.kept.as_ref();
        let by = Some(Person::clone(asker.who()));
        let now_ms = chat.now_ms();
        let record = records::to_bytes(&MemberRecord {
            role: Role::Guest,
            name: person.name.clone(),
            joined_at: now_ms,
            invited_by: by.clone(),
            muted_until: kept.and_then(|(kept, _)| kept.muted_until),
        })?;
        let membership = records::to_bytes(&MembershipRecord {
            role: Role::Guest,
            notify: Notify::default(),
            invited_by: by,
        })?;
        let condition = kept.map_or(Condition::Absent, |(_, version)| {
            Condition::Version(*version)
        });
        let memberships = names::memberships(&person.id);
        let batch = Batch::new(now_ms)
            .put(&names::members(room), &person.id, record, condition, None)
            .put(&memberships, room, membership, Condition::Any, None);
        let written = stored::try_write(chat, batch).await?.is_some();
        standing::changed(chat, room, Some(&person.id));
        if written {
            return Ok(true);
        }
    }
    Err(busy())
}

pub(crate) async fn decline(
    chat: &Chat,
    asker: &Asker,
    request: InRoom,
) -> Result<Nothing, Failure> {
    let room = request.room.as_str();
    names::check_room(room)?;
    let mut attempts = Attempts::default();
    while attempts.another().await {
        let standing = standing::find(chat, asker, room).await?;
        let invited = standing.as_ref().filter(|standing| standing.is_invited());
        let Some((kept, version)) = invited.and_then(|standing| standing.kept.as_ref()) else {
            return Ok(Nothing {});
        };
        let (members, condition) = (names::members(room), Condition::Version(*version));
        let batch = Batch::new(chat.now_ms());
        let batch = match kept.muted_until {
            None => batch.delete(&members, asker.id(), condition),
            Some(until) => {
                let kept = records::to_bytes(&MemberRecord {
                    invited_by: None,
                    ..MemberRecord::clone(kept)
                })?;
                batch.put(&members, asker.id(), kept, condition, Some(until))
            }
        };
        let batch = batch.delete(&names::memberships(asker.id()), room, Condition::Any);
        let written = stored::try_write(chat, batch).await?.is_some();
        standing::changed(chat, room, Some(asker.id()));
        if written {
            return Ok(Nothing {});
        }
    }
    Err(busy())
}

#[derive(Deserialize)]
pub(crate) struct Add {
    room: String,
    people: Vec<String>,
    role: Option<Role>,
}

#[derive(Serialize)]
pub(crate) struct Added {
    /// Who is a member now and was none; not who is banned.
    added: Vec<String>,
}

pub(crate) async fn add(chat: &Chat, asker: &Asker, mut request: Add) -> Result<Added, Failure> {
    let room = request.room.as_str();
    check_people(&mut request.people)?;
    let role = request.role.unwrap_or(Role::Member);
    if role == Role::Guest {
        return Err(Failure::bad_request("role is member, moderator or owner"));
    }
    let own = need(chat, asker, room, Right::Add).await?;
    own.need_open()?;
    if role > own.role {
        return Err(Failure::new(
            "forbidden",
            "nobody gives a role above their own",
        ));
    }
    people::not_blocked(chat, asker, &request.people).await?;
    let mut added = Vec::new();
    for person in people::of_ids(chat, &request.people).await? {
        if add_one(chat, asker, room, &person, role).await? {
            let joining = Joining::by(person, role, asker);
            tell_added(chat, asker, room, &own, std::slice::from_ref(&joining)).await;
            added.push(joining.person.id);
        }
    }
    Ok(Added { added })
}

async fn add_one(
    chat: &Chat,
    asker: &Asker,
    room: &str,
    person: &Person,
    role: Role,
) -> Result<bool, Failure> {
    let mut attempts = Attempts::default();
    while attempts.another().await {
        let theirs = standing::of_person(chat, room, &person.id).await?;
        if theirs.is_member() || theirs.ban.is_some() {
            return Ok(false);
        }
        if join(chat, room, person, role, &theirs, Some(asker.who())).await? {
            return Ok(true);
        }
    }
    Err(busy())
}
