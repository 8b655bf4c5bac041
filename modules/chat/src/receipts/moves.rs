//! Moving marks: read, moved, and written on condition that nobody else has moved them.

use lakh_hub::store::{Answer, Batch, Condition, Query, ScoreRange, WriteError};
use lakh_hub::{Failure, Person};

use super::marks::{Marks, Move};
use super::tally::{Found, Tally, queries};
use super::telling;
use crate::asker::Asker;
use crate::permissions::Role;
use crate::records::{self, MemberRecord};
use crate::{Chat, names, stored};

/// How often what meets another's change is tried.
const TRIES: usize = 20;

/// Moves the marks of whoever asks, who is a member.
pub(super) async fn by(
    chat: &Chat,
    asker: &Asker,
    room: &str,
    how: Move,
) -> Result<Tally, Failure> {
    if matches!(how, Move::Unread(_)) {
        let key = (room.to_owned(), asker.id().to_owned());
        chat.0.receipts.sent.forget(&key);
    }
    let turn = turn(room, asker.id());
    let _turn = chat.0.turns.take(&turn).await?;
    for _ in 0..TRIES {
        let (found, more) = read(chat, room, asker.id(), count_query(room)).await?;
        let Answer::Count(members) = more else {
            return Err(stored::unexpected(Some(&more)));
        };
        let last = found.log.last_seq;
        let after = found.marks.after(how, last);
        if after == found.marks {
            return Ok(found.tally(super::with_sent(chat, room, asker.id(), after, last)));
        }
        if put(chat, room, asker.id(), &found, after).await? {
            let tally = found.tally(after);
            let is_crowd = members > chat.0.config.unread_max_members;
            telling::moved(chat, asker, room, (found.marks, after), tally, is_crowd);
            return Ok(tally);
        }
    }
    Err(busy())
}

/// Whoever has sent a message has read up to it, if they are a member.
pub(super) async fn sent(chat: &Chat, room: &str, person: &str, seq: u64) -> Result<(), Failure> {
    let turn = turn(room, person);
    let _turn = chat.0.turns.take(&turn).await?;
    for _ in 0..TRIES {
        let (found, more) = read(chat, room, person, member_query(room, person)).await?;
        let Answer::Document(member) = more else {
            return Err(stored::unexpected(Some(&more)));
        };
        let Some(member) = member else { return Ok(()) };
        let member: MemberRecord = records::read(&member)?;
        let after = found.marks.after(Move::Read(seq), found.log.last_seq);
        if member.role == Role::Guest || after == found.marks {
            return Ok(());
        }
        if put(chat, room, person, &found, after).await? {
            // Of their own message alone they need not be told.
            if found.marks.read + 1 < after.read {
                let person = Person {
                    id: person.to_owned(),
                    name: member.name,
                };
                telling::own(chat, None, room, &person, found.tally(after));
            }
            return Ok(());
        }
    }
    Err(busy())
}

/// Moves of one person in one room are made and told one after another.
fn turn(room: &str, person: &str) -> String {
    format!("marks\n{room}\n{person}")
}

pub(super) fn busy() -> Failure {
    Failure::new("unavailable", "this is being changed; try again")
}

pub(super) fn count_query(room: &str) -> Query {
    Query::Count {
        ranking: names::members(room),
        scores: ScoreRange::ALL,
    }
}

fn member_query(room: &str, person: &str) -> Query {
    Query::Get {
        collection: names::members(room),
        key: person.to_owned(),
    }
}

/// Marks with what they are counted by, and something else of the same snapshot.
async fn read(
    chat: &Chat,
    room: &str,
    person: &str,
    more: Query,
) -> Result<(Found, Answer), Failure> {
    let mut queries = Vec::from(queries(room, person));
    queries.push(more);
    let reading = chat.0.store.read(chat.now_ms(), queries);
    let answers = reading.await.map_err(|error| stored::not_read(&error))?;
    let mut answers = answers.into_iter();
    let found = Found::of(&mut answers)?;
    let more = answers.next().ok_or_else(|| stored::unexpected(None))?;
    Ok((found, more))
}

/// Adds to a batch by which somebody becomes a member that what was said before they came is not unread.
pub(crate) async fn begin(
    chat: &Chat,
    batch: Batch,
    room: &str,
    person: &str,
) -> Result<Batch, Failure> {
    let reading = chat
        .0
        .store
        .read(chat.now_ms(), queries(room, person).into());
    let answers = reading.await.map_err(|error| stored::not_read(&error))?;
    let found = Found::of(&mut answers.into_iter())?;
    let marks = found.marks.after(Move::Read(u64::MAX), found.log.last_seq);
    match marks == found.marks {
        true => Ok(batch),
        false => with_marks(batch, room, person, &found, marks),
    }
}

/// Adds marks to a batch, on condition that they are as they were read.
pub(super) fn with_marks(
    batch: Batch,
    room: &str,
    person: &str,
    found: &Found,
    marks: Marks,
) -> Result<Batch, Failure> {
    let condition = found.version.map_or(Condition::Absent, Condition::Version);
    let value = records::to_bytes(&marks)?;
    Ok(batch.put(&names::marks(room), person, value, condition, None))
}

/// `false`: somebody else was faster.
async fn put(
    chat: &Chat,
    room: &str,
    person: &str,
    found: &Found,
    marks: Marks,
) -> Result<bool, Failure> {
    let batch = with_marks(Batch::new(chat.now_ms()), room, person, found, marks)?;
    match chat.0.store.write(batch).await {
        Ok(_) => Ok(true),
        Err(WriteError::Conflict { .. }) => Ok(false),
        Err(error) => Err(stored::not_written(&error)),
    }
}
