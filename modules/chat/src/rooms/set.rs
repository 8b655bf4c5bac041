//! `room:get`, `room:set`, `room:archive`, `room:notify`.

use lakh_hub::store::{Batch, Condition};
use lakh_hub::{Attempts, Beside, Failure};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::fields::Fields;
use crate::asker::Asker;
use crate::changes::{self, Change};
use crate::moderation::{self, Deed};
use crate::permissions::Right;
use crate::records::{self, MembershipRecord, Notify, RoomRecord};
use crate::rooms::{busy, with_mine};
use crate::shapes::{InRoom, Nothing, Room};
use crate::standing::{self, Standing};
use crate::{Chat, names, stored};

/// A room, as the answer to several requests.
#[derive(Serialize)]
pub(crate) struct OneRoom {
    room: Room,
}

pub(crate) async fn get(chat: &Chat, asker: &Asker, request: InRoom) -> Result<OneRoom, Failure> {
    let room = request.room.as_str();
    names::check_room(room)?;
    asker.allow("list", room)?;
    let standing = standing::of(chat, asker, room).await?;
    standing.need_sight(chat)?;
    Ok(OneRoom {
        room: with_mine(chat, asker, room, &standing).await?,
    })
}

#[derive(Deserialize)]
pub(crate) struct Set {
    room: String,
    version: Option<u64>,
}

pub(crate) async fn set(
    chat: &Chat,
    asker: &Asker,
    Beside(Set { room, version }, fields): Beside<Set, Fields>,
) -> Result<OneRoom, Failure> {
    names::check_room(&room)?;
    fields.check()?;
    asker.allow("join", &room)?;
    change(
        chat,
        asker,
        &room,
        Right::ChangeRoom,
        version,
        |record, _| {
            if record.archived && !asker.is_system() {
                return Err(archived());
            }
            Ok(fields.clone().apply(&room, record))
        },
    )
    .await
}

fn archived() -> Failure {
    Failure::new(
        "archived",
        "the room is archived: it can be read, but not written to",
    )
}

#[derive(Deserialize)]
pub(crate) struct Archive {
    room: String,
    archived: bool,
}

pub(crate) async fn archive(
    chat: &Chat,
    asker: &Asker,
    request: Archive,
) -> Result<OneRoom, Failure> {
    let (room, archived) = (request.room.as_str(), request.archived);
    names::check_room(room)?;
    asker.allow("join", room)?;
    change(chat, asker, room, Right::Archive, None, |record, batch| {
        if record.archived == archived {
            return Ok(Map::new());
        }
        record.archived = archived;
        let kind = if archived { "archive" } else { "unarchive" };
        *batch = moderation::log(batch.clone(), room, &Deed::new(kind, asker.who()))?;
        let mut set = Map::new();
        set.insert("archived".to_owned(), Value::Bool(archived));
        Ok(set)
    })
    .await
}

/// Changes a room's record and tells what is another now. What `apply` gives is told; if that is nothing, nothing is
/// changed.
async fn change(
    chat: &Chat,
    asker: &Asker,
    room: &str,
    right: Right,
    wanted: Option<u64>,
    mut apply: impl FnMut(&mut RoomRecord, &mut Batch) -> Result<Map<String, Value>, Failure>,
) -> Result<OneRoom, Failure> {
    // Those of this node in the order in which they were asked for; others are met by the condition.
    let key = format!("room\n{room}");
    let _turn = chat.0.turns.take(&key).await?;
    let mut attempts = Attempts::default();
    while attempts.another().await {
        let check = |standing: &Standing| {
            standing.need_sight(chat)?;
            standing.need(chat, right)
        };
        let standing = standing::checked(chat, asker, room, check).await?;
        if let Some(wanted) = wanted.filter(|wanted| *wanted != standing.version) {
            if is_fresh(chat, room, &standing).await? {
                return Err(Failure::new(
                    "conflict",
                    format!(
                        "the room is at version {}, not {wanted}: read it again and look whether the change still fits",
                        standing.version
                    ),
                ));
            }
            continue;
        }
        let mut record = RoomRecord::clone(&standing.room);
        let mut batch = Batch::new(chat.now_ms());
        let set = apply(&mut record, &mut batch)?;
        let written = match set.is_empty() {
            true => true,
            false => {
                let condition = Condition::Version(standing.version);
                let value = records::to_bytes(&record)?;
                let batch = batch.put(names::ROOMS, room, value, condition, None);
                let change = Change::of_room(set, Some(asker.who()));
                let written = changes::write(chat, room, batch, &change).await?;
                standing::changed(chat, room, None);
                written.is_some()
            }
        };
        if written {
            let standing = standing::of(chat, asker, room).await?;
            let room = with_mine(chat, asker, room, &standing).await?;
            return Ok(OneRoom { room });
        }
    }
    Err(busy())
}

/// Whether what is known of a room is what the store has; if not, it's forgotten.
async fn is_fresh(chat: &Chat, room: &str, standing: &Standing) -> Result<bool, Failure> {
    let document = stored::get(chat, names::ROOMS, room).await?;
    let is_fresh = document.is_some_and(|document| document.version == standing.version);
    if !is_fresh {
        standing::changed(chat, room, None);
    }
    Ok(is_fresh)
}

#[derive(Deserialize)]
pub(crate) struct SetNotify {
    room: String,
    notify: Notify,
}

pub(crate) async fn notify(
    chat: &Chat,
    asker: &Asker,
    request: SetNotify,
) -> Result<Nothing, Failure> {
    let room = request.room.as_str();
    names::check_room(room)?;
    asker.allow("join", room)?;
    let memberships = names::memberships(asker.id());
    let mut attempts = Attempts::default();
    while attempts.another().await {
        let found = stored::get(chat, &memberships, room).await?;
        let member = match &found {
            Some(document) => Some(records::read::<MembershipRecord>(document)?),
            None => None,
        };
        let (Some(document), Some(before)) =
            (found, member.filter(|kept| kept.invited_by.is_none()))
        else {
            return Err(Failure::new("not_member", "join the room first"));
        };
        let after = MembershipRecord {
            notify: request.notify,
            ..before
        };
        let value = records::to_bytes(&after)?;
        let condition = Condition::Version(document.version);
        let batch = Batch::new(chat.now_ms()).put(&memberships, room, value, condition, None);
        match chat.0.store.write(batch).await {
            Ok(_) => return Ok(Nothing {}),
            Err(lakh_hub::store::WriteError::Conflict { .. }) => {}
            Err(error) => return Err(stored::not_written(&error)),
        }
    }
    Err(busy())
}
