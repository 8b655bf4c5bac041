//! Rooms: coming in, watching, leaving, making, listing.

mod enter;
mod list;
mod make;

pub(crate) use enter::{join, leave, unwatch, watch};
pub(crate) use list::list;

use lakh_hub::Failure;
use lakh_hub::store::{Answer, Query, ScoreRange};

use crate::asker::Asker;
use crate::records::{MembershipRecord, RoomRecord};
use crate::shapes::{Mine, Room};
use crate::standing::Standing;
use crate::{Chat, names, records, stored};

/// A room as clients are told of it, without what somebody is in it.
pub(crate) fn shape(id: &str, record: &RoomRecord, version: u64, counts: Counts) -> Room {
    let record = record.clone();
    Room {
        id: id.to_owned(),
        kind: record.kind,
        name: record.name,
        topic: record.topic,
        picture: record.picture,
        data: record.data,
        created_at: record.created_at,
        created_by: record.created_by,
        archived: record.archived,
        settings: record.settings,
        version,
        seq: counts.seq,
        rev: counts.rev,
        members: counts.members,
        mine: None,
    }
}

/// How far a room is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub seq: u64,
    pub rev: u64,
    pub members: u64,
}

/// A room with what whoever asks is in it, as of now.
pub(crate) async fn with_mine(
    chat: &Chat,
    asker: &Asker,
    id: &str,
    standing: &Standing,
) -> Result<Room, Failure> {
    let mut queries = vec![Query::Get {
        collection: names::memberships(asker.id()),
        key: id.to_owned(),
    }];
    queries.extend(count_queries(id));
    let reading = chat.0.store.read(chat.now_ms(), queries);
    let mut answers = reading.await.map_err(|error| stored::not_read(&error))?;
    let counts = counts(answers.split_off(1))?;
    let membership = match answers.pop() {
        Some(Answer::Document(document)) => document,
        other => return Err(stored::unexpected(other.as_ref())),
    };
    let membership: Option<MembershipRecord> =
        membership.as_ref().map(records::read).transpose()?;
    let room = shape(id, &standing.room, standing.version, counts);
    Ok(Room {
        mine: mine(standing, membership),
        ..room
    })
}

/// What somebody is in a room.
fn mine(standing: &Standing, membership: Option<MembershipRecord>) -> Option<Mine> {
    let (kept, membership) = (standing.kept.as_ref()?, membership?);
    let kept = &kept.0;
    Some(Mine {
        role: standing.role,
        joined_at: standing.is_member().then_some(kept.joined_at),
        invited_by: kept.invited_by.clone(),
        muted_until: kept.muted_until,
        notify: membership.notify,
        read: 0,
        delivered: 0,
        unread: 0,
        mentions: 0,
    })
}

/// What is to be asked for a room's [`Counts`].
pub(crate) fn count_queries(id: &str) -> [Query; 3] {
    [
        Query::Log {
            log: names::log(id),
        },
        Query::Log {
            log: names::changes(id),
        },
        Query::Count {
            ranking: names::members(id),
            scores: ScoreRange::ALL,
        },
    ]
}

/// The answers to [`count_queries`].
pub(crate) fn counts(answers: Vec<Answer>) -> Result<Counts, Failure> {
    match answers.as_slice() {
        [
            Answer::Log(log),
            Answer::Log(changes),
            Answer::Count(members),
        ] => Ok(Counts {
            seq: log.last_seq,
            rev: changes.last_seq,
            members: *members,
        }),
        other => Err(stored::unexpected(other.first())),
    }
}
