//! `member:role`, `member:kick`, `member:mute`.

use std::sync::Arc;

use lakh_hub::store::{Batch, Condition};
use lakh_hub::{Attempts, Failure};
use serde::Deserialize;
use serde_json::{Map, json};

use super::{
    Found, Leaving, find, give, has_other_owner, need_other, put_room_anew, role_change, take_out,
    tell_removed,
};
use crate::asker::Asker;
use crate::changes::{self, Change};
use crate::moderation::{self, Deed};
use crate::permissions::{Right, Role};
use crate::records::{self, MemberRecord};
use crate::rooms::fields::{Given, check_reason, given};
use crate::rooms::{busy, put_out};
use crate::shapes::Nothing;
use crate::standing::{self, Standing};
use crate::{Chat, names, people};

/// Longest time for which somebody is muted or banned, if not for good: ten years.
pub(super) const MAX_SECONDS: u64 = 315_360_000;

/// What whoever asks is in a room, if they may do something there.
pub(super) async fn need(
    chat: &Chat,
    asker: &Asker,
    room: &str,
    right: Right,
) -> Result<Standing, Failure> {
    names::check_room(room)?;
    asker.allow("join", room)?;
    standing::checked(chat, asker, room, |standing| {
        standing.need_sight(chat)?;
        standing.need(chat, right)
    })
    .await
}

/// Refuses a time that is none, or too long.
pub(super) fn check_seconds(seconds: u64) -> Result<(), Failure> {
    match (1..=MAX_SECONDS).contains(&seconds) {
        true => Ok(()),
        false => Err(Failure::bad_request(format!(
            "seconds is 1 to {MAX_SECONDS}"
        ))),
    }
}

fn no_member() -> Failure {
    Failure::new("not_found", "they are no member of this room")
}

#[derive(Deserialize)]
pub(crate) struct SetRole {
    room: String,
    person: String,
    role: Role,
}

pub(crate) async fn role(chat: &Chat, asker: &Asker, request: SetRole) -> Result<Nothing, Failure> {
    let (room, id, role) = (request.room.as_str(), request.person.as_str(), request.role);
    names::check_person(id)?;
    if role == Role::Guest {
        return Err(Failure::bad_request(
            "role is member, moderator or owner; member:kick takes somebody out",
        ));
    }
    let mut attempts = Attempts::default();
    while attempts.another().await {
        let own = need(chat, asker, room, Right::SetRole).await?;
        let found = find(chat, room, &[id.to_owned()]).await?;
        let member = found.into_iter().next().ok_or_else(no_member)?;
        let before = member.kept.role;
        if asker.id() != id {
            own.need_power_over(before)?;
        }
        if role > own.role {
            return Err(Failure::new(
                "forbidden",
                "nobody gives a role above their own",
            ));
        }
        if before == role {
            return Ok(Nothing {});
        }
        let mut batch = Batch::new(chat.now_ms());
        if before == Role::Owner || role == Role::Owner {
            batch = put_room_anew(batch, room, &own)?;
        }
        if before == Role::Owner && !has_other_owner(chat, room, id).await? {
            return Err(Failure::new(
                "last_owner",
                "they are the room's only owner; make somebody else one first",
            ));
        }
        if write_role(chat, asker, room, batch, &member, role).await? {
            if before == Role::Owner || role == Role::Owner {
                standing::changed(chat, room, None);
            }
            return Ok(Nothing {});
        }
        standing::changed(chat, room, None);
    }
    Err(busy())
}

async fn write_role(
    chat: &Chat,
    asker: &Asker,
    room: &str,
    batch: Batch,
    member: &Found,
    role: Role,
) -> Result<bool, Failure> {
    let person = people::of_id(chat, &member.person.id).await?;
    let deed = Deed {
        role: Some(role.name().to_owned()),
        ..Deed::new("role", asker.who()).to(&person)
    };
    let batch = give(batch, room, member, role)?;
    let batch = moderation::log(batch, room, &deed)?;
    let change = role_change(&person, role, Some(asker.who()));
    let written = changes::write(chat, room, batch, &change).await?;
    standing::changed(chat, room, Some(&person.id));
    Ok(written.is_some())
}

#[derive(Deserialize)]
pub(crate) struct Kick {
    room: String,
    person: String,
    reason: Option<String>,
}

pub(crate) async fn kick(chat: &Chat, asker: &Asker, request: Kick) -> Result<Nothing, Failure> {
    let (room, id) = (request.room.as_str(), request.person.as_str());
    need_other(asker, id, "room:leave takes you out of a room")?;
    check_reason(request.reason.as_deref())?;
    let person = people::of_id(chat, id).await?;
    let deed = Deed {
        reason: request.reason.clone(),
        ..Deed::new("kick", asker.who()).to(&person)
    };
    let mut attempts = Attempts::default();
    while attempts.another().await {
        let own = need(chat, asker, room, Right::Kick).await?;
        let theirs = standing::of_person(chat, room, id).await?;
        own.need_power_over(theirs.role)?;
        let done = match theirs.is_member() {
            true => {
                let leaving = Leaving {
                    person: &person,
                    by: Some(asker.who()),
                };
                let log = |batch| moderation::log(batch, room, &deed);
                take_out(chat, room, &theirs, leaving, log).await?
            }
            // They may be looking on, on whatever node.
            false => {
                let batch = moderation::log(Batch::new(chat.now_ms()), room, &deed)?;
                let written = chat.0.store.write(batch).await;
                written.map_err(|error| crate::stored::not_written(&error))?;
                true
            }
        };
        if done {
            tell_removed(chat, room, id, "kicked", request.reason.as_deref(), None);
            put_out(chat, id, room);
            return Ok(Nothing {});
        }
    }
    Err(busy())
}

#[derive(Deserialize)]
pub(crate) struct Mute {
    room: String,
    person: String,
    #[serde(default, deserialize_with = "given")]
    seconds: Given<u64>,
}

pub(crate) async fn mute(chat: &Chat, asker: &Asker, request: Mute) -> Result<Nothing, Failure> {
    let (room, id) = (request.room.as_str(), request.person.as_str());
    need_other(asker, id, "nobody mutes themselves")?;
    let Some(seconds) = request.seconds else {
        return Err(Failure::bad_request(
            "seconds is for how long they are muted, or null to give them their voice back",
        ));
    };
    seconds.map_or(Ok(()), check_seconds)?;
    let mut attempts = Attempts::default();
    while attempts.another().await {
        let own = need(chat, asker, room, Right::Mute).await?;
        let theirs = standing::of_person(chat, room, id).await?;
        own.need_power_over(theirs.role)?;
        let now_ms = chat.now_ms();
        let until = seconds.map(|seconds| now_ms.saturating_add(seconds * 1_000));
        if write_mute(chat, asker, room, id, &theirs, until).await? {
            return Ok(Nothing {});
        }
    }
    Err(busy())
}

async fn write_mute(
    chat: &Chat,
    asker: &Asker,
    room: &str,
    id: &str,
    theirs: &Standing,
    until: Option<u64>,
) -> Result<bool, Failure> {
    let person = people::of_id(chat, id).await?;
    let (now_ms, members) = (chat.now_ms(), names::members(room));
    let (before, condition) = match &theirs.kept {
        Some((kept, version)) => (Arc::clone(kept), Condition::Version(*version)),
        None => {
            let nobody = MemberRecord {
                role: Role::Guest,
                name: person.name.clone(),
                joined_at: now_ms,
                invited_by: None,
                muted_until: None,
            };
            (Arc::new(nobody), Condition::Absent)
        }
    };
    let is_only_muted = before.role == Role::Guest && before.invited_by.is_none();
    let record = MemberRecord {
        muted_until: until,
        ..MemberRecord::clone(&before)
    };
    let batch = Batch::new(now_ms);
    let batch = match (is_only_muted, until) {
        (true, None) if condition == Condition::Absent => return Ok(true),
        (true, None) => batch.delete(&members, id, condition),
        // Of whoever is no member nothing else is kept.
        _ => {
            let ends = until.filter(|_| is_only_muted);
            batch.put(&members, id, records::to_bytes(&record)?, condition, ends)
        }
    };
    let kind = if until.is_some() { "mute" } else { "unmute" };
    let deed = Deed {
        until,
        ..Deed::new(kind, asker.who()).to(&person)
    };
    let batch = moderation::log(batch, room, &deed)?;
    let mut set = Map::new();
    set.insert("muted_until".to_owned(), json!(until));
    let change = Change::of_member(&person, set, Some(asker.who()));
    let written = changes::write(chat, room, batch, &change).await?;
    standing::changed(chat, room, Some(id));
    Ok(written.is_some())
}
