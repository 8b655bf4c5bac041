//! Rooms: making, coming in, watching, leaving, changing, deleting, listing.

mod delete;
mod enter;
pub(crate) mod fields;
mod leave;
mod list;
mod make;
mod mine;
mod remains;
mod set;

pub(crate) use delete::{delete, go_on};
pub(crate) use enter::{join, put_out, unwatch, watch};
pub(crate) use leave::leave;
pub(crate) use list::list;
pub(crate) use make::{between, between_two, create, direct, reach};
pub(crate) use mine::Orders;
pub(crate) use set::{archive, get, notify, set};

use lakh_hub::Failure;
use lakh_hub::store::{Answer, Query, ScoreRange};

use crate::asker::Asker;
use crate::crowd::{self, Crowd};
use crate::receipts::{self, Tally};
use crate::records::{self, MembershipRecord, RoomRecord};
use crate::shapes::{Mine, Room};
use crate::standing::Standing;
use crate::{Chat, names, stored};

/// What meets another's change again and again.
pub(crate) fn busy() -> Failure {
    Failure::new("unavailable", "this is being changed; try again")
}

pub(crate) fn install(chat: &Chat) {
    delete::install(chat);
}

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
        people: Vec::new(),
        version,
        seq: counts.seq,
        rev: counts.rev,
        members: counts.members,
        watching: 0,
        crowd: Crowd::None,
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
    let mut queries = vec![Query::get(names::memberships(asker.id()), id)];
    queries.extend(count_queries(id));
    let mut answers = stored::read(chat, queries).await?;
    let counts = counts(&answers.split_off(1))?;
    let membership = match answers.pop() {
        Some(Answer::Document(document)) => document,
        other => return Err(stored::unexpected(other.as_ref())),
    };
    let membership: Option<MembershipRecord> =
        membership.as_ref().map(records::read).transpose()?;
    let people = match standing.room.people.is_empty() {
        true => Vec::new(),
        false => between(chat, &standing.room).await?,
    };
    let mine = match membership {
        Some(membership) => {
            let marks = marks(chat, asker, &[(id, counts.seq)]).await?;
            mine(chat, standing, &membership, marks.first().copied())
        }
        None => None,
    };
    let (crowd, here) = crowd::with_occupancy(chat, id);
    Ok(Room {
        people,
        watching: here.sockets,
        crowd,
        mine,
        ..shape(id, &standing.room, standing.version, counts)
    })
}

/// How far whoever asks has read rooms, each given with the number of its last message.
pub(crate) async fn marks(
    chat: &Chat,
    asker: &Asker,
    rooms: &[(&str, u64)],
) -> Result<Vec<Tally>, Failure> {
    let rooms: Vec<&str> = rooms.iter().map(|(room, _)| *room).collect();
    receipts::of(chat, asker.id(), &rooms).await
}

/// What somebody is in a room.
fn mine(
    chat: &Chat,
    standing: &Standing,
    membership: &MembershipRecord,
    marks: Option<Tally>,
) -> Option<Mine> {
    let (kept, marks) = (&standing.kept.as_ref()?.0, marks.unwrap_or_default());
    Some(Mine {
        role: standing.role,
        joined_at: standing.is_member().then_some(kept.joined_at),
        invited_by: kept.invited_by.clone(),
        muted_until: kept.muted_until.filter(|until| *until > chat.now_ms()),
        notify: membership.notify,
        read: marks.read,
        delivered: marks.delivered,
        unread: marks.unread,
        mentions: marks.mentions,
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
pub(crate) fn counts(answers: &[Answer]) -> Result<Counts, Failure> {
    match answers {
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
