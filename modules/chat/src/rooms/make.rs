//! Making a room.

use lakh_hub::Failure;
use lakh_hub::store::{Batch, Condition, WriteError};

use crate::asker::Asker;
use crate::permissions::{Kind, Role};
use crate::records::{self, MemberRecord, MembershipRecord, Notify, RoomRecord, Settings};
use crate::rooms::{Counts, shape};
use crate::{Chat, names, standing, stored, told};

/// Whether a room of this name belongs to something outside.
pub(super) fn is_thing(chat: &Chat, room: &str) -> bool {
    let mut things = chat.0.config.things.iter();
    things.any(|thing| thing.fits(room, None))
}

/// The room that is made when somebody comes into one that isn't there.
pub(super) fn on_first_use(chat: &Chat, asker: &Asker, room: &str) -> Result<RoomRecord, Failure> {
    if names::is_direct(room) {
        return Err(standing::no_room());
    }
    let is_thing = is_thing(chat, room);
    Ok(RoomRecord {
        kind: if is_thing { Kind::Thing } else { Kind::Public },
        name: room.to_owned(),
        topic: None,
        picture: None,
        data: None,
        created_at: chat.now_ms(),
        created_by: (!is_thing).then(|| asker.id().to_owned()),
        archived: false,
        settings: Settings::default(),
    })
}

/// Writes a new room with whoever made it as its owner; a thing has none. `false`: somebody else was faster.
pub(super) async fn make(
    chat: &Chat,
    asker: &Asker,
    room: &str,
    record: &RoomRecord,
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
    if record.kind != Kind::Thing && !asker.is_system() {
        batch = put_member(batch, room, asker, Role::Owner, Condition::Absent)?;
    }
    match chat.0.store.write(batch).await {
        Ok(_) => {}
        Err(WriteError::Conflict { .. }) => return Ok(false),
        Err(error) => return Err(stored::not_written(&error)),
    }
    let members = u64::from(record.kind != Kind::Thing);
    let news = shape(
        room,
        record,
        1,
        Counts {
            members,
            ..Counts::default()
        },
    );
    if record.kind == Kind::Public
        && let Err(error) = chat.0.namespace.emit("room:new", &news)
    {
        tracing::warn!(room, %error, "the server was too busy to tell of a new room");
    }
    told::made(chat, asker, room, &news);
    Ok(true)
}

/// Adds what makes somebody a member.
pub(super) fn put_member(
    batch: Batch,
    room: &str,
    asker: &Asker,
    role: Role,
    condition: Condition,
) -> Result<Batch, Failure> {
    let joined_at = batch.now_ms();
    let member = records::to_bytes(&MemberRecord {
        role,
        name: asker.who().name.clone(),
        joined_at,
        invited_by: None,
        muted_until: None,
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
    Ok(batch
        .put(&names::members(room), asker.id(), member, condition, None)
        .put(
            &names::memberships(asker.id()),
            room,
            membership,
            Condition::Any,
            None,
        )
        .set_score(&names::members(room), asker.id(), score))
}
