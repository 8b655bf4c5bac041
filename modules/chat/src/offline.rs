//! Who is away is reminded of what they have not read: a backend is told once, and again only of later messages.
//!
//! When a message comes, something is due for each member who is away, `offline_after_s` later; what comes meanwhile is
//! counted in with it. Then it's looked at anew: whoever has come back or has read is left in peace.

use std::collections::BTreeMap;

use lakh_hub::store::{Answer, Batch, Condition, Document, Query, Range, ScoreRange, WriteError};
use lakh_hub::{Failure, Person, What};
use serde::{Deserialize, Serialize};

use crate::permissions::Role;
use crate::receipts::{self, Tally};
use crate::records::{self, DueRecord, MemberRecord, MembershipRecord, Notify};
use crate::shapes::Message;
use crate::unread::Reader;
use crate::{Chat, due, messages, names, presence, stored, told};

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

/// Adds to a batch what forgets that somebody is to be reminded of a room, and of what they were.
pub(crate) fn forget(batch: Batch, room: &str, person: &str) -> Batch {
    batch
        .delete(&planned(room), person, Condition::Any)
        .delete(&planned(room), &format!("{person}\nt"), Condition::Any)
        .delete(&told_of(room), person, Condition::Any)
}

/// Whether anybody wants to know who is away. Cheap.
pub(crate) fn is_wanted(chat: &Chat) -> bool {
    let namespace = &chat.0.namespace;
    chat.0.config.offline_after_s > 0 && namespace.hub().is_watched(What::Module, namespace.name())
}

/// Sees to it that those of them are reminded who are away. `only_mentioned` is for crowds.
pub(crate) async fn plan(
    chat: &Chat,
    room: &str,
    readers: &[Reader],
    only_mentioned: bool,
) -> Result<(), Failure> {
    let wanting = readers
        .iter()
        .filter(|reader| !reader.is_reminded && wants(reader.notify, only_mentioned, reader.tally));
    let mut plans = Vec::new();
    for reader in wanting {
        if !presence::is_anywhere(chat, &reader.person.id).await {
            plans.push(Plan::of(room, &reader.person.id, None));
        }
    }
    write_all(chat, &plans).await
}

/// The same for those whom replies mention; each is told of the newest such reply.
pub(crate) async fn plan_replies(
    chat: &Chat,
    room: &str,
    readers: &[Reader],
    replies: &BTreeMap<String, (u64, u64)>,
) -> Result<(), Failure> {
    let mut plans = Vec::new();
    for reader in readers {
        let id = &reader.person.id;
        if reader.notify != Notify::None && !presence::is_anywhere(chat, id).await {
            plans.push(Plan::of(room, id, replies.get(id).copied()));
        }
    }
    write_all(chat, &plans).await
}

/// Whether somebody wants to be told of what they have not read.
fn wants(notify: Notify, only_mentioned: bool, tally: Tally) -> bool {
    match notify {
        Notify::All if !only_mentioned => tally.unread > 0,
        Notify::All | Notify::Mentions => tally.mentions > 0,
        Notify::None => false,
    }
}

/// Somebody who is to be reminded.
struct Plan<'a> {
    room: &'a str,
    person: &'a str,
    /// The reply of which they are to be told; otherwise it's what they have not read.
    reply: Option<(u64, u64)>,
}

impl<'a> Plan<'a> {
    fn of(room: &'a str, person: &'a str, reply: Option<(u64, u64)>) -> Self {
        Self {
            room,
            person,
            reply,
        }
    }

    /// Where it stands that they are to be reminded.
    fn key(&self) -> String {
        match self.reply {
            None => self.person.to_owned(),
            // No id has a control character.
            Some(_) => format!("{}\nt", self.person),
        }
    }

    fn add(&self, batch: Batch, at_ms: u64) -> Result<Batch, Failure> {
        let value = records::to_bytes(&PlannedRecord { at: at_ms })?;
        let gone = Some(at_ms + PLANNED_MS);
        let (planned, key) = (planned(self.room), self.key());
        let batch = batch.put(&planned, &key, value, Condition::Absent, gone);
        let record = DueRecord::Remind {
            room: self.room.to_owned(),
            person: self.person.to_owned(),
            reply: self.reply,
        };
        due::put(batch, at_ms, &due_id(&[self.room, &key]), &record)
    }
}

async fn write_all(chat: &Chat, plans: &[Plan<'_>]) -> Result<(), Failure> {
    if plans.is_empty() || write(chat, plans).await? {
        return Ok(());
    }
    // Some of them are planned already.
    for plan in plans {
        write(chat, std::slice::from_ref(plan)).await?;
    }
    Ok(())
}

/// `false`: one of them is planned already.
async fn write(chat: &Chat, plans: &[Plan<'_>]) -> Result<bool, Failure> {
    let now_ms = chat.now_ms();
    let at_ms = now_ms + chat.0.config.offline_after_s * 1_000;
    let mut batch = Batch::new(now_ms);
    for plan in plans {
        batch = plan.add(batch, at_ms)?;
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
    lakh_files::hex(&hash.finalize()[..16])
}

/// The time has come to remind somebody, if they are still away and have not read.
pub(crate) async fn remind(
    chat: &Chat,
    (room, person): (&str, &str),
    reply: Option<(u64, u64)>,
    key: &str,
    document: &Document,
) -> Result<(), Failure> {
    // From here on a new message makes a plan of its own; and if this node dies, another one goes on.
    let lease = chat.now_ms() + LEASE_MS;
    let plan = Plan::of(room, person, reply).key();
    let claimed = due::move_to(chat, key, document, lease, |batch| {
        batch.delete(&planned(room), &plan, Condition::Any)
    });
    let Some((key, version)) = claimed.await? else {
        return Ok(());
    };
    let mut batch = Batch::new(chat.now_ms()).delete(names::DUE, &key, Condition::Version(version));
    if let Some(unread) = find(chat, room, person, reply).await?
        && !presence::is_anywhere(chat, person).await
    {
        if reply.is_none() {
            let seq = unread.message.seq;
            let value = records::to_bytes(&ToldRecord { seq })?;
            let gone = Some(chat.now_ms() + TOLD_MS);
            batch = batch.put(&told_of(room), person, value, Condition::Any, gone);
        }
        told::unread(chat, room, &unread);
    }
    stored::try_write(chat, batch).await.map(drop)
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

/// Somebody who may be reminded.
struct Away {
    name: String,
    notify: Notify,
    tally: Tally,
    /// Number of the message of which they were told last.
    told: u64,
    /// Too many are in the room.
    is_crowd: bool,
}

/// What somebody is in a room; `None` if they are no member.
async fn read(chat: &Chat, room: &str, id: &str) -> Result<Option<Away>, Failure> {
    let mut queries = vec![
        get(names::members(room), id),
        get(names::memberships(id), room),
        get(told_of(room), id),
        Query::Count {
            ranking: names::members(room),
            scores: ScoreRange::ALL,
        },
    ];
    queries.extend(receipts::queries(room, id));
    let answers = stored::read(chat, queries).await?;
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
    let told: Option<ToldRecord> = told.as_ref().map(records::read).transpose()?;
    Ok(Some(Away {
        name: member.name,
        notify: membership.map_or(Notify::default(), |membership| membership.notify),
        tally,
        told: told.unwrap_or_default().seq,
        is_crowd: members > chat.0.config.unread_max_members,
    }))
}

/// What somebody has not read and was not told of.
async fn find(
    chat: &Chat,
    room: &str,
    id: &str,
    reply: Option<(u64, u64)>,
) -> Result<Option<Unread>, Failure> {
    let Some(away) = read(chat, room, id).await? else {
        return Ok(None);
    };
    let message = match reply {
        Some((thread, seq)) if away.notify != Notify::None => {
            let range = Range {
                to: seq,
                ..Range::from(seq, 1)
            };
            newest(chat, room, Some(thread), range, |message| {
                message
                    .said
                    .mentions
                    .iter()
                    .any(|mentioned| mentioned == id)
            })
            .await?
        }
        None if wants(away.notify, away.is_crowd, away.tally) => {
            let only_mentioned = away.is_crowd || away.notify == Notify::Mentions;
            let range = Range {
                from: away.tally.read.max(away.told) + 1,
                ..Range::before(u64::MAX, NEWEST)
            };
            newest(chat, room, None, range, |message| {
                let mut mentions = message.said.mentions.iter();
                let is_own = message.said.from.id == id;
                !is_own
                    && (!only_mentioned
                        || mentions.any(|mentioned| mentioned == id || mentioned == "*"))
            })
            .await?
        }
        _ => None,
    };
    Ok(message.map(|message| Unread {
        room: room.to_owned(),
        person: Person {
            id: id.to_owned(),
            name: away.name,
        },
        unread: away.tally.unread,
        mentions: away.tally.mentions,
        message,
    }))
}

/// The newest message of which somebody may be told.
async fn newest(
    chat: &Chat,
    room: &str,
    thread: Option<u64>,
    range: Range,
    wanted: impl Fn(&Message) -> bool,
) -> Result<Option<Message>, Failure> {
    let (pages, _) = messages::read_pages(chat, room, thread, &[range]).await?;
    let mut messages = pages.into_iter().flat_map(|page| page.messages).rev();
    Ok(messages.find(|message| {
        !message.said.silent && message.overlay.deleted.is_none() && wanted(message)
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
