//! `data:erase`: a person goes, and what they said with them.
//!
//! The erasure stands in the store until it's over. Each round puts its document anew on condition that nobody else has; so
//! one node is at it, and a node that has died is followed by another. What is done is found by indexes from which it's
//! taken, so whoever goes on begins where the last one was.

use lakh_hub::store::{Applied, Batch, Condition, DeleteRange, REMOVE_AT_ONCE, Scan, WriteError};
use lakh_hub::{Attempts, Failure, Person};
use serde::{Deserialize, Serialize};

use super::place;
use crate::asker::Asker;
use crate::messages::{self, At};
use crate::records::RoomRecord;
use crate::shapes::{InRoom, Nothing};
use crate::{
    Chat, attachments, moderation, names, offline, people, reactions, records, rooms, schedule,
    standing, stored,
};

/// What is done between two looks at whether this node is still the one.
const ROUND: usize = 50;
/// An erasure without a round for so long has lost its node.
const LOST_MS: u64 = 30_000;
/// Erasures that are gone on with at a time.
const AT_ONCE: usize = 20;

/// A person who is being erased: `chat_erasures`, key: the person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ErasureRecord {
    /// When the last round began.
    at: u64,
    /// By which id what is left of them goes.
    id: String,
}

#[derive(Deserialize)]
pub(crate) struct AskErase {
    person: Option<String>,
}

pub(crate) async fn erase(
    chat: &Chat,
    asker: &Asker,
    request: AskErase,
) -> Result<Nothing, Failure> {
    let person = match (request.person, asker.is_system()) {
        (Some(person), true) => person,
        (Some(person), false) if person == asker.id() => person,
        (Some(_), false) => {
            return Err(Failure::new(
                "forbidden",
                "only the server's backend erases other people",
            ));
        }
        (None, true) => return Err(Failure::bad_request("say whom: person")),
        (None, false) => asker.id().to_owned(),
    };
    names::check_person(&person)?;
    asker.allow("data", &person)?;
    let Some(erasure) = begin(chat, &person).await? else {
        // It's under way already, and goes to its end.
        return Ok(Nothing {});
    };
    let chat = chat.clone();
    // As a task of its own: it goes on when whoever asked is gone.
    let erasing = tokio::spawn(async move { run(&chat, &person, erasure).await });
    match erasing.await {
        Ok(done) => done.map(|()| Nothing {}),
        Err(error) => {
            tracing::warn!(%error, "an erasure was cut off; it is gone on with later");
            Ok(Nothing {})
        }
    }
}

async fn begin(chat: &Chat, person: &str) -> Result<Option<(ErasureRecord, u64)>, Failure> {
    let hub = chat.0.namespace.hub();
    let id: String = (0..4).map(|_| format!("{:08x}", hub.random())).collect();
    let record = ErasureRecord {
        at: chat.now_ms(),
        id: format!("{}{id}", people::ERASED_PREFIX),
    };
    let value = records::to_bytes(&record)?;
    let putting = chat.0.store.put(
        record.at,
        names::ERASURES,
        person,
        value.into(),
        Condition::Absent,
        None,
    );
    match putting.await {
        Ok(version) => Ok(Some((record, version))),
        Err(WriteError::Conflict { .. }) => Ok(None),
        Err(error) => Err(stored::not_written(&error)),
    }
}

/// Erases somebody, as long as no other node does.
async fn run(
    chat: &Chat,
    person: &str,
    (mut record, mut version): (ErasureRecord, u64),
) -> Result<(), Failure> {
    let now = Person {
        id: record.id.clone(),
        name: people::ERASED_NAME.to_owned(),
    };
    while round(chat, person, &now).await? {
        record.at = chat.now_ms();
        let value = records::to_bytes(&record)?;
        let condition = Condition::Version(version);
        let batch = Batch::new(record.at).put(names::ERASURES, person, value, condition, None);
        match chat.0.store.write(batch).await {
            Ok(applied) => match applied.first() {
                Some(Applied::Put { version: next }) => version = *next,
                _ => return Err(stored::unexpected(None)),
            },
            Err(WriteError::Conflict { .. }) => return Ok(()),
            Err(error) => return Err(stored::not_written(&error)),
        }
    }
    let condition = Condition::Version(version);
    let deleting = chat
        .0
        .store
        .delete(chat.now_ms(), names::ERASURES, person, condition);
    match deleting.await {
        Ok(_) | Err(WriteError::Conflict { .. }) => Ok(()),
        Err(error) => Err(stored::not_written(&error)),
    }
}

/// Goes on with erasures whose node is gone.
pub(super) async fn go_on(chat: &Chat) -> Result<(), Failure> {
    let now_ms = chat.now_ms();
    let scan = Scan::default().limit(AT_ONCE);
    let scanning = chat.0.store.scan(now_ms, names::ERASURES, scan);
    let page = scanning.await.map_err(|error| stored::not_read(&error))?;
    for (person, document) in page.items {
        let record: ErasureRecord = records::read(&document)?;
        if record.at.saturating_add(LOST_MS) > now_ms {
            continue;
        }
        let taken = ErasureRecord {
            at: now_ms,
            ..record
        };
        let value = records::to_bytes(&taken)?;
        let condition = Condition::Version(document.version);
        let putting = chat.0.store.put(
            now_ms,
            names::ERASURES,
            &person,
            value.into(),
            condition,
            None,
        );
        match putting.await {
            Ok(version) => {
                tracing::info!("going on with an erasure whose node is gone");
                run(chat, &person, (taken, version)).await?;
            }
            Err(WriteError::Conflict { .. }) => {}
            Err(error) => return Err(stored::not_written(&error)),
        }
    }
    Ok(())
}

/// Does a bounded part; whether there is more.
async fn round(chat: &Chat, person: &str, now: &Person) -> Result<bool, Failure> {
    let more = written(chat, person, now).await?
        || reacted(chat, person).await?
        || memberships(chat, person, now).await?
        || moderation::erase_reports(chat, person, now).await?
        || schedule::forget(chat, person).await?
        || files(chat, person).await?
        || collections(chat, person).await?;
    if !more {
        people::forget(chat, person).await?;
    }
    Ok(more)
}

async fn some(chat: &Chat, collection: &str) -> Result<Vec<String>, Failure> {
    let scan = Scan::default().limit(ROUND);
    let page = stored::scan(chat, collection, scan).await?;
    Ok(page.items.into_iter().map(|(key, _)| key).collect())
}

async fn take_out(chat: &Chat, collection: &str, key: &str) -> Result<(), Failure> {
    let deleting = chat
        .0
        .store
        .delete(chat.now_ms(), collection, key, Condition::Any);
    deleting
        .await
        .map_err(|error| stored::not_written(&error))?;
    Ok(())
}

/// Makes tombstones of what they wrote.
async fn written(chat: &Chat, person: &str, now: &Person) -> Result<bool, Failure> {
    let index = names::written(person);
    let keys = some(chat, &index).await?;
    for key in &keys {
        if let Some((room, thread, seq)) = place(key) {
            let at = At { room, thread, seq };
            messages::erase(chat, at, person, now).await?;
        }
        take_out(chat, &index, key).await?;
    }
    Ok(!keys.is_empty())
}

/// Takes back what they reacted with.
async fn reacted(chat: &Chat, person: &str) -> Result<bool, Failure> {
    let index = names::reacted(person);
    let keys = some(chat, &index).await?;
    let asker = Asker::person(Person {
        id: person.to_owned(),
        name: people::ERASED_NAME.to_owned(),
    });
    for key in &keys {
        if let Some((room, thread, seq)) = place(key) {
            let at = At { room, thread, seq };
            reactions::take_back(chat, &asker, at).await?;
        }
        take_out(chat, &index, key).await?;
    }
    Ok(!keys.is_empty())
}

/// Takes them out of their rooms, with what they have read there.
async fn memberships(chat: &Chat, person: &str, now: &Person) -> Result<bool, Failure> {
    let collection = names::memberships(person);
    let own = some(chat, &collection).await?;
    let asker = Asker::person(Person {
        id: person.to_owned(),
        name: people::ERASED_NAME.to_owned(),
    });
    for room in &own {
        let leaving = InRoom { room: room.clone() };
        match rooms::leave(chat, &asker, leaving).await {
            Ok(_) => {}
            Err(failure) if failure.code == "not_found" => {}
            Err(failure) => return Err(failure),
        }
        forget_maker(chat, room, person, now).await?;
        // An invitation, or what a room that is gone has left.
        let batch = Batch::new(chat.now_ms())
            .delete(&collection, room, Condition::Any)
            .delete(&names::members(room), person, Condition::Any)
            .remove_member(&names::members(room), person)
            .delete(&names::marks(room), person, Condition::Any)
            .delete(&names::slow(room), person, Condition::Any);
        let batch = offline::forget(batch, room, person);
        stored::write(chat, batch).await?;
        standing::changed(chat, room, Some(person));
    }
    Ok(!own.is_empty())
}

/// Takes them out of what is kept of a room that they have made, or that is between them and others.
async fn forget_maker(chat: &Chat, room: &str, person: &str, now: &Person) -> Result<(), Failure> {
    let mut attempts = Attempts::default();
    while attempts.another().await {
        let Some(found) = stored::get(chat, names::ROOMS, room).await? else {
            return Ok(());
        };
        let before: RoomRecord = records::read(&found)?;
        let mut after = before.clone();
        after.created_by = after.created_by.filter(|id| id != person);
        for id in after.people.iter_mut().filter(|id| *id == person) {
            id.clone_from(&now.id);
        }
        if after == before {
            return Ok(());
        }
        let value = records::to_bytes(&after)?;
        let condition = Condition::Version(found.version);
        let batch = Batch::new(chat.now_ms()).put(names::ROOMS, room, value, condition, None);
        match chat.0.store.write(batch).await {
            Ok(_) => {
                standing::changed(chat, room, None);
                return Ok(());
            }
            Err(WriteError::Conflict { .. }) => {}
            Err(error) => return Err(stored::not_written(&error)),
        }
    }
    Err(rooms::busy())
}

/// Lets go of their files, those that no message has among them.
async fn files(chat: &Chat, person: &str) -> Result<bool, Failure> {
    let batch = Batch::new(chat.now_ms());
    let Some(batch) = attachments::release_of_person(chat, person, batch).await? else {
        return Ok(false);
    };
    stored::write(chat, batch).await?;
    Ok(true)
}

/// Clears what is theirs alone.
async fn collections(chat: &Chat, person: &str) -> Result<bool, Failure> {
    let mut more = false;
    for collection in [names::mentions(person), names::blocks(person)] {
        let range = DeleteRange {
            limit: REMOVE_AT_ONCE,
            ..DeleteRange::prefix("")
        };
        let deleting = chat.0.store.delete_range(chat.now_ms(), &collection, range);
        let deleted = deleting
            .await
            .map_err(|error| stored::not_written(&error))?;
        more |= deleted.more;
    }
    Ok(more)
}
