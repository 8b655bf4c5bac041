//! Moving marks: read, moved, and written on condition that nobody else has moved them.

use lakh_hub::store::{Answer, Batch, Condition, Document, Query, ScoreRange, WriteError};
use lakh_hub::{Attempts, Failure, Person};

use super::marks::{Marks, Move};
use super::tally::{Found, QUERIES, Tally, queries};
use super::telling;
use crate::asker::Asker;
use crate::permissions::Role;
use crate::records::{self, MemberRecord};
use crate::rooms::busy;
use crate::{Chat, names, stored};

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
    let mut attempts = Attempts::default();
    while attempts.another().await {
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
    let mut attempts = Attempts::default();
    while attempts.another().await {
        let (found, more) = read(chat, room, person, member_query(room, person)).await?;
        let Answer::Document(member) = more else {
            return Err(stored::unexpected(Some(&more)));
        };
        let Some((after, name)) = after_sending(&found, member.as_ref(), seq)? else {
            return Ok(());
        };
        if put(chat, room, person, &found, after).await? {
            // Of their own message alone they need not be told.
            if found.marks.read + 1 < after.read {
                let id = person.to_owned();
                let person = Person { id, name };
                telling::own(chat, None, room, &person, found.tally(after));
            }
            return Ok(());
        }
    }
    Err(busy())
}

/// The same for many: one read, one write. `false` if it's not sure that all is done: each is then looked at alone.
pub(super) async fn sent_together(chat: &Chat, all: &[(telling::Key, u64)]) -> bool {
    // Others take one turn at a time, and another loop that does this takes its turns in the same order: nobody waits for
    // each other.
    let mut names: Vec<String> = all
        .iter()
        .map(|((room, person), _)| turn(room, person))
        .collect();
    names.sort_unstable();
    let mut turns = Vec::with_capacity(names.len());
    for name in &names {
        match chat.0.turns.take(name).await {
            Ok(turn) => turns.push(turn),
            Err(_) => return false,
        }
    }
    matches!(try_together(chat, all).await, Ok(true))
}

async fn try_together(chat: &Chat, all: &[(telling::Key, u64)]) -> Result<bool, Failure> {
    let mut asked = Vec::with_capacity(all.len() * (QUERIES + 1));
    for ((room, person), _) in all {
        asked.extend(queries(room, person));
        asked.push(member_query(room, person));
    }
    let answers = stored::read(chat, asked).await?;
    let mut answers = answers.into_iter();
    let (mut batch, mut told) = (Batch::new(chat.now_ms()), Vec::new());
    for ((room, person), seq) in all {
        let found = Found::of(&mut answers)?;
        let Some(Answer::Document(member)) = answers.next() else {
            return Err(stored::unexpected(None));
        };
        let Some((after, name)) = after_sending(&found, member.as_ref(), *seq)? else {
            continue;
        };
        batch = with_marks(batch, room, person, &found, after)?;
        // Of their own message alone they need not be told.
        if found.marks.read + 1 < after.read {
            let id = person.clone();
            told.push((room, Person { id, name }, found.tally(after)));
        }
    }
    if batch.ops().is_empty() {
        return Ok(true);
    }
    match chat.0.store.write(batch).await {
        Ok(_) => {}
        Err(WriteError::Conflict { .. }) => return Ok(false),
        Err(error) => return Err(stored::not_written(&error)),
    }
    for (room, person, tally) in told {
        telling::own(chat, None, room, &person, tally);
    }
    Ok(true)
}

/// Where the marks of somebody who has sent a message are then, and what they are called; `None` if they stay where they are.
fn after_sending(
    found: &Found,
    member: Option<&Document>,
    seq: u64,
) -> Result<Option<(Marks, String)>, Failure> {
    let Some(member) = member else {
        return Ok(None);
    };
    let member: MemberRecord = records::read(member)?;
    let after = found.marks.after(Move::Read(seq), found.log.last_seq);
    let moves = member.role > Role::Guest && after != found.marks;
    Ok(moves.then_some((after, member.name)))
}

/// Moves of one person in one room are made and told one after another.
fn turn(room: &str, person: &str) -> String {
    format!("marks\n{room}\n{person}")
}

pub(super) fn count_query(room: &str) -> Query {
    Query::Count {
        ranking: names::members(room),
        scores: ScoreRange::ALL,
    }
}

fn member_query(room: &str, person: &str) -> Query {
    Query::get(names::members(room), person)
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
    let answers = stored::read(chat, queries).await?;
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
    let answers = stored::read(chat, queries(room, person).into()).await?;
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
    Ok(stored::try_write(chat, batch).await?.is_some())
}
