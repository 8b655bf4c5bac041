//! `member:ban`, `member:unban`, `ban:list`.

use lakh_hub::store::{Batch, Condition, Scan, WriteError};
use lakh_hub::{Attempts, Failure, Person};
use serde::{Deserialize, Serialize};

use super::power::{check_seconds, need};
use super::{Leaving, need_other, take_out, tell_removed};
use crate::asker::Asker;
use crate::moderation::{self, Deed};
use crate::permissions::Right;
use crate::records::{self, BanRecord};
use crate::rooms::fields::check_reason;
use crate::rooms::{busy, put_out};
use crate::shapes::Nothing;
use crate::standing::{self, Standing};
use crate::{Chat, names, people, stored};

/// Bans in a page.
const PAGE: usize = 100;

#[derive(Deserialize)]
pub(crate) struct Ban {
    room: String,
    person: String,
    seconds: Option<u64>,
    reason: Option<String>,
}

pub(crate) async fn ban(chat: &Chat, asker: &Asker, request: Ban) -> Result<Nothing, Failure> {
    let (room, id) = (request.room.as_str(), request.person.as_str());
    need_other(
        asker,
        id,
        "nobody bans themselves; room:leave takes you out of a room",
    )?;
    check_reason(request.reason.as_deref())?;
    request.seconds.map_or(Ok(()), check_seconds)?;
    let person = people::of_id(chat, id).await?;
    let mut attempts = Attempts::default();
    while attempts.another().await {
        let own = need(chat, asker, room, Right::Ban).await?;
        let theirs = standing::of_person(chat, room, id).await?;
        own.need_power_over(theirs.role)?;
        let at = chat.now_ms();
        let until = request.seconds.map(|s| at.saturating_add(s * 1_000));
        let record = records::to_bytes(&BanRecord {
            by: Person::clone(asker.who()),
            name: person.name.clone(),
            reason: request.reason.clone(),
            at,
            until,
        })?;
        let deed = Deed {
            reason: request.reason.clone(),
            until,
            ..Deed::new("ban", asker.who()).to(&person)
        };
        let put = |batch: Batch| {
            let batch = batch.put(&names::bans(room), id, record, Condition::Any, until);
            moderation::log(batch, room, &deed)
        };
        let done = match theirs.is_member() {
            true => {
                let leaving = Leaving {
                    person: &person,
                    by: Some(asker.who()),
                };
                take_out(chat, room, &theirs, leaving, put).await?
            }
            false => keep_out(chat, room, id, &theirs, put(Batch::new(at))?).await?,
        };
        if done {
            standing::changed(chat, room, Some(id));
            tell_removed(chat, room, id, "banned", request.reason.as_deref(), until);
            put_out(chat, id, room);
            return Ok(Nothing {});
        }
    }
    Err(busy())
}

/// Somebody who is no member: an invitation that they have goes. `false`: they have come in meanwhile, or such.
async fn keep_out(
    chat: &Chat,
    room: &str,
    id: &str,
    theirs: &Standing,
    batch: Batch,
) -> Result<bool, Failure> {
    let kept = theirs.kept.as_ref();
    let condition = kept.map_or(Condition::Absent, |(_, version)| {
        Condition::Version(*version)
    });
    let batch = batch.delete(&names::members(room), id, condition).delete(
        &names::memberships(id),
        room,
        Condition::Any,
    );
    Ok(stored::try_write(chat, batch).await?.is_some())
}

#[derive(Deserialize)]
pub(crate) struct Unban {
    room: String,
    person: String,
}

pub(crate) async fn unban(chat: &Chat, asker: &Asker, request: Unban) -> Result<Nothing, Failure> {
    let (room, id) = (request.room.as_str(), request.person.as_str());
    names::check_person(id)?;
    need(chat, asker, room, Right::Ban).await?;
    let person = people::of_id(chat, id).await?;
    let deed = Deed::new("unban", asker.who()).to(&person);
    let bans = names::bans(room);
    let mut attempts = Attempts::default();
    while attempts.another().await {
        let Some(found) = stored::get(chat, &bans, id).await? else {
            return Ok(Nothing {});
        };
        let batch = Batch::new(chat.now_ms());
        let batch = batch.delete(&bans, id, Condition::Version(found.version));
        let batch = moderation::log(batch, room, &deed)?;
        let written = chat.0.store.write(batch).await;
        standing::changed(chat, room, Some(id));
        match written {
            Ok(_) => return Ok(Nothing {}),
            Err(WriteError::Conflict { .. }) => {}
            Err(error) => return Err(stored::not_written(&error)),
        }
    }
    Err(busy())
}

#[derive(Deserialize)]
pub(crate) struct ListBans {
    room: String,
    cursor: Option<String>,
}

#[derive(Serialize)]
struct Banned {
    user: Person,
    by: Person,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
}

#[derive(Serialize)]
pub(crate) struct Bans {
    bans: Vec<Banned>,
    cursor: Option<String>,
}

pub(crate) async fn bans(chat: &Chat, asker: &Asker, request: ListBans) -> Result<Bans, Failure> {
    let room = request.room.as_str();
    need(chat, asker, room, Right::Ban).await?;
    names::check_person_cursor(request.cursor.as_ref())?;
    let scan = Scan::default().limit(PAGE).after(request.cursor);
    let page = stored::scan(chat, &names::bans(room), scan).await?;
    let mut bans = Vec::with_capacity(page.items.len());
    for (id, document) in page.items {
        let ban: BanRecord = records::read(&document)?;
        bans.push(Banned {
            user: Person { id, name: ban.name },
            by: ban.by,
            reason: ban.reason,
            at: ban.at,
            until: ban.until,
        });
    }
    Ok(Bans {
        bans,
        cursor: page.next,
    })
}
