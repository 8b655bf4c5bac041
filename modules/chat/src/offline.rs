//! Who is away is reminded of what they have not read: a backend is told once, and again only of later messages.
//!
//! When a message comes, something is due for each member who is away, `offline_after_s` later; what comes meanwhile is
//! counted in with it. Then it's looked at anew: whoever has come back or has read is left in peace.

use lakh_hub::store::{Answer, Batch, Condition, Document, Order, Query, Range, WriteError};
use lakh_hub::{Failure, Person, What};
use serde::{Deserialize, Serialize};

use crate::permissions::Role;
use crate::receipts::{self, Tally};
use crate::records::{self, DueRecord, MemberRecord, MembershipRecord, Notify};
use crate::shapes::Message;
use crate::unread::Reader;
use crate::{Chat, due, messages, names, stored, told};

/// A node that is at it has so long for it; then another one may.
const LEASE_MS: u64 = 30_000;
/// How long it's known of which message somebody was told last: 30 days.
const TOLD_MS: u64 = 30 * 24 * 3_600_000;
/// How long it's known that a reminder is due. It goes with the reminder; this is for one that got lost.
const PLANNED_MS: u64 = 3_600_000;
/// Newest messages among which the one is looked for that is told.
const NEWEST: usize = 50;

/// That somebody is to be reminded of a room.
#[derive(Debug, Serialize, Deserialize)]
struct PlannedRecord {
    at: u64,
}

/// Of which message somebody was told last.
#[derive(Debug, Default, Serialize, Deserialize)]
struct ToldRecord {
    seq: u64,
}

fn planned(room: &str) -> String {
    format!("chat_away:{room}")
}

fn told_of(room: &str) -> String {
    format!("chat_reminded:{room}")
}

/// What is to be asked whether somebody is to be reminded already.
pub(crate) fn query(room: &str, person: &str) -> Query {
    get(planned(room), person)
}

fn get(collection: String, key: &str) -> Query {
    Query::Get {
        collection,
        key: key.to_owned(),
    }
}

/// Whether anybody wants to know who is away. Cheap.
pub(crate) fn is_wanted(chat: &Chat) -> bool {
    let namespace = &chat.0.namespace;
    chat.0.config.offline_after_s > 0 && namespace.hub().is_watched(What::Module, namespace.name())
}

/// Whether any socket of a person is here, on any node.
async fn is_anywhere(chat: &Chat, person: &str) -> bool {
    let sockets = chat.0.namespace.in_(Person::room_of(person));
    !sockets.fetch_sockets().await.is_empty()
}

/// The same, of this node only.
async fn is_here(chat: &Chat, person: &str) -> bool {
    let sockets = chat.0.namespace.in_(Person::room_of(person)).local();
    !sockets.fetch_sockets().await.is_empty()
}

/// Sees to it that those of them are reminded who are away. `only_mentioned` is for crowds.
pub(crate) async fn plan(
    chat: &Chat,
    room: &str,
    readers: &[Reader],
    only_mentioned: bool,
) -> Result<(), Failure> {
    let mut away = Vec::new();
    for reader in readers {
        let wants = wants(reader.notify, only_mentioned, reader.tally);
        if wants && !reader.is_reminded && !is_here(chat, &reader.person.id).await {
            away.push(&reader.person);
        }
    }
    if away.is_empty() {
        return Ok(());
    }
    if !write_plans(chat, room, &away).await? {
        // Another node was faster with some of them.
        for person in away {
            write_plans(chat, room, &[person]).await?;
        }
    }
    Ok(())
}

/// Whether somebody wants to be told of what they have not read.
fn wants(notify: Notify, only_mentioned: bool, tally: Tally) -> bool {
    match notify {
        Notify::All if !only_mentioned => tally.unread > 0,
        Notify::All | Notify::Mentions => tally.mentions > 0,
        Notify::None => false,
    }
}

/// `false`: for one of them it's planned already.
async fn write_plans(chat: &Chat, room: &str, people: &[&Person]) -> Result<bool, Failure> {
    let now_ms = chat.now_ms();
    let at_ms = now_ms + chat.0.config.offline_after_s * 1_000;
    let mut batch = Batch::new(now_ms);
    for person in people {
        let value = records::to_bytes(&PlannedRecord { at: at_ms })?;
        let gone = Some(at_ms + PLANNED_MS);
        batch = batch.put(&planned(room), &person.id, value, Condition::Absent, gone);
        let record = DueRecord::Remind {
            room: room.to_owned(),
            person: person.id.clone(),
        };
        let id = due_id(&[room, &person.id]);
        batch = due::put(batch, at_ms, &id, &record)?;
    }
    match chat.0.store.write(batch).await {
        Ok(_) => {
            due::soon(chat, at_ms);
            Ok(true)
        }
        Err(WriteError::Conflict { .. }) => Ok(false),
        Err(error) => Err(stored::not_written(&error)),
    }
}

/// A short name for something that has a long one.
pub(crate) fn due_id(parts: &[&str]) -> String {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        // None of them has a control character.
        hash.update(b"\n");
    }
    let hash = hash.finalize();
    hash.iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The time has come to remind somebody, if they are still away and have not read.
pub(crate) async fn remind(
    chat: &Chat,
    room: &str,
    person: &str,
    key: &str,
    document: &Document,
) -> Result<(), Failure> {
    // From here on a new message makes a plan of its own; and if this node dies, another one goes on.
    let lease = chat.now_ms() + LEASE_MS;
    let claimed = due::move_to(chat, key, document, lease, |batch| {
        batch.delete(&planned(room), person, Condition::Any)
    });
    let Some((key, version)) = claimed.await? else {
        return Ok(());
    };
    let mut batch = Batch::new(chat.now_ms()).delete(names::DUE, &key, Condition::Version(version));
    if let Some(unread) = find(chat, room, person).await?
        && !is_anywhere(chat, person).await
    {
        let value = records::to_bytes(&ToldRecord {
            seq: unread.message.seq,
        })?;
        let gone = Some(chat.now_ms() + TOLD_MS);
        batch = batch.put(&told_of(room), person, value, Condition::Any, gone);
        told::unread(chat, room, &unread);
    }
    match chat.0.store.write(batch).await {
        Ok(_) | Err(WriteError::Conflict { .. }) => Ok(()),
        Err(error) => Err(stored::not_written(&error)),
    }
}

/// What somebody who is away is reminded of: the data of `message:unread`.
#[derive(Serialize)]
pub(crate) struct Unread {
    pub room: String,
    pub person: Person,
    pub unread: u64,
    pub mentions: u64,
    /// The newest of them.
    pub message: Message,
}

/// What somebody has not read and was not told of.
async fn find(chat: &Chat, room: &str, id: &str) -> Result<Option<Unread>, Failure> {
    let mut queries = vec![
        get(names::members(room), id),
        get(names::memberships(id), room),
        get(told_of(room), id),
        Query::Count {
            ranking: names::members(room),
            scores: lakh_hub::store::ScoreRange::ALL,
        },
    ];
    queries.extend(receipts::queries(room, id));
    let reading = chat.0.store.read(chat.now_ms(), queries);
    let answers = reading.await.map_err(|error| stored::not_read(&error))?;
    let mut answers = answers.into_iter();
    let all = (
        answers.next(),
        answers.next(),
        answers.next(),
        answers.next(),
    );
    let (
        Some(Answer::Document(member)),
        Some(Answer::Document(membership)),
        Some(Answer::Document(told)),
        Some(Answer::Count(members)),
    ) = all
    else {
        return Err(stored::unexpected(None));
    };
    let tally = receipts::of_answers(chat, room, id, &mut answers)?;
    let member: Option<MemberRecord> = member.as_ref().map(records::read).transpose()?;
    let Some(member) = member.filter(|member| member.role > Role::Guest) else {
        return Ok(None);
    };
    let membership: Option<MembershipRecord> =
        membership.as_ref().map(records::read).transpose()?;
    let notify = membership.map_or(Notify::default(), |membership| membership.notify);
    let told: ToldRecord = match &told {
        Some(told) => records::read(told)?,
        None => ToldRecord::default(),
    };
    let only_mentioned = members > chat.0.config.unread_max_members;
    if !wants(notify, only_mentioned, tally) {
        return Ok(None);
    }
    let mut range = Range::before(u64::MAX, NEWEST);
    range.from = tally.read.max(told.seq) + 1;
    range.order = Order::Descending;
    let (pages, _) = messages::read_pages(chat, room, None, &[range]).await?;
    let only_mentioned = only_mentioned || notify == Notify::Mentions;
    let message = pages
        .into_iter()
        .flat_map(|page| page.messages)
        .rev()
        .find(|message| {
            let said = &message.said;
            let mut mentions = said.mentions.iter();
            !said.silent
                && said.from.id != id
                && message.overlay.deleted.is_none()
                && (!only_mentioned
                    || mentions.any(|mentioned| mentioned == id || mentioned == "*"))
        });
    Ok(message.map(|message| Unread {
        room: room.to_owned(),
        person: Person {
            id: id.to_owned(),
            name: member.name,
        },
        unread: tally.unread,
        mentions: tally.mentions,
        message,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_reminded_depends_on_what_they_chose_and_on_the_size_of_the_room() {
        let tally = |unread, mentions| Tally {
            unread,
            mentions,
            ..Tally::default()
        };
        let cases = [
            (Notify::All, false, tally(1, 0), true),
            (Notify::All, false, tally(0, 0), false),
            (Notify::All, true, tally(1, 0), false),
            (Notify::All, true, tally(1, 1), true),
            (Notify::Mentions, false, tally(1, 0), false),
            (Notify::Mentions, false, tally(1, 1), true),
            (Notify::None, false, tally(1, 1), false),
        ];
        for (notify, only_mentioned, tally, expected) in cases {
            assert_eq!(
                wants(notify, only_mentioned, tally),
                expected,
                "{notify:?} {tally:?}"
            );
        }
    }

    #[test]
    fn what_is_due_has_one_short_name_for_each_of_its_long_ones() {
        let long = "x".repeat(400);
        assert_eq!(due_id(&[&long, "a"]).len(), 32);
        assert_ne!(due_id(&["a", "bc"]), due_id(&["ab", "c"]));
    }
}
