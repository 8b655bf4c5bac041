//! Files in messages: each goes into one message, in its room, and goes with it.

use lakh_hub::store::{Batch, Condition, Entry, Scan};
use lakh_hub::{Attempts, Failure};
use serde_json::Value;

use super::arrive::UNSENT_MS;
use super::record::{
    self, BlobRecord, FileRecord, Found, State, find, no_file, no_random, use_more,
};
use super::{names, tidy};
use crate::asker::Asker;
use crate::records::to_bytes;
use crate::rooms::busy;
use crate::{Chat, stored};

/// How long a message may take from its files to the store: after it whatever took them has failed.
const TAKING_MS: u64 = 60_000;
/// Files let go in a step.
const AT_ONCE: usize = 200;

/// Files of whoever asks that are to go with a message, as messages show them. A message that isn't written then is to
/// [`give_back`] them.
///
/// # Errors
/// `not_found` if one of them isn't there, or not theirs, or for another room; `conflict` if it was sent already.
pub(crate) async fn take(
    chat: &Chat,
    asker: &Asker,
    room: &str,
    ids: &[String],
) -> Result<Vec<Value>, Failure> {
    let twice = |(at, id): (usize, &String)| ids[..at].contains(id);
    if ids.iter().enumerate().any(twice) {
        return Err(Failure::bad_request("attachments names a file twice"));
    }
    let mut attempts = Attempts::default();
    while attempts.another().await {
        let found = find(chat, ids).await?;
        let now_ms = chat.now_ms();
        let (mut batch, mut shown) = (Batch::new(now_ms), Vec::with_capacity(ids.len()));
        let mut fewer = 0;
        for (id, found) in ids.iter().zip(found) {
            let Found {
                record, version, ..
            } = check(asker, room, id, found, now_ms)?;
            fewer += u64::from(record.state == State::Ready && record.counted);
            shown.push(record.shown(id));
            let taken = FileRecord {
                state: State::Taken { taken_at: now_ms },
                ..record
            };
            batch = taken.put(batch, id, version)?;
        }
        let batch = waiting(chat, batch, asker.id(), |waiting| {
            waiting.saturating_sub(fewer)
        })
        .await?;
        if stored::try_write(chat, batch).await?.is_some() {
            return Ok(shown);
        }
    }
    Err(busy())
}

/// Changes how many files of a person wait for their message.
async fn waiting(
    chat: &Chat,
    batch: Batch,
    person: &str,
    change: impl FnOnce(u64) -> u64,
) -> Result<Batch, Failure> {
    use_more(chat, batch, person, |mut usage| {
        usage.waiting = change(usage.waiting);
        Ok(usage)
    })
    .await
}

fn check(
    asker: &Asker,
    room: &str,
    id: &str,
    found: Option<Found>,
    now_ms: u64,
) -> Result<Found, Failure> {
    let found = found.ok_or_else(|| no_file(id))?;
    let record = &found.record;
    let is_theirs = record.owner == asker.id() && record.room == room && !found.is_gone;
    if !is_theirs || record.state == State::Reserved {
        return Err(no_file(id));
    }
    if found.is_sent || is_being_taken(record, now_ms).is_some() {
        return Err(Failure::new(
            "conflict",
            format!("the file `{id}` was sent already; each goes into one message"),
        ));
    }
    Ok(found)
}

/// Until when a message may be about to have it, if one is.
pub(super) fn is_being_taken(record: &FileRecord, now_ms: u64) -> Option<u64> {
    let State::Taken { taken_at } = record.state else {
        return None;
    };
    let until = taken_at.saturating_add(TAKING_MS);
    (now_ms < until).then_some(until)
}

/// A message with these files was not written: they can be sent with another.
pub(crate) async fn give_back(chat: &Chat, asker: &Asker, ids: &[String]) {
    if let Err(failure) = try_give_back(chat, asker, ids).await {
        // They come back by themselves, only later.
        tracing::debug!(%failure.message, "files of a message that was refused are not given back yet");
    }
}

async fn try_give_back(chat: &Chat, asker: &Asker, ids: &[String]) -> Result<(), Failure> {
    let mut attempts = Attempts::default();
    while attempts.another().await {
        let (mut batch, mut more) = (Batch::new(chat.now_ms()), 0);
        for (id, found) in ids.iter().zip(find(chat, ids).await?) {
            let is_taken = |found: &Found| {
                matches!(found.record.state, State::Taken { .. })
                    && found.record.owner == asker.id()
                    && !found.is_sent
            };
            if let Some(found) = found.filter(is_taken) {
                more += u64::from(found.record.counted);
                let ready = FileRecord {
                    state: State::Ready,
                    ..found.record
                };
                batch = ready.put(batch, id, found.version)?;
            }
        }
        if batch.ops().is_empty() {
            return Ok(());
        }
        let batch = waiting(chat, batch, asker.id(), |waiting| waiting + more).await?;
        if stored::try_write(chat, batch).await?.is_some() {
            return Ok(());
        }
    }
    Err(busy())
}

fn ids(attachments: &[Value]) -> impl Iterator<Item = &str> {
    attachments.iter().filter_map(|shown| shown["id"].as_str())
}

/// Has a new message's entry say that its files were sent.
pub(crate) fn note(entry: Entry, attachments: &[Value]) -> Entry {
    ids(attachments).fold(entry, |entry, id| {
        entry.note(names::SENT, &names::sent(id), "{}", None)
    })
}

/// Adds to a batch what lets go of files whose message goes.
pub(crate) fn release(attachments: &[Value], batch: Batch) -> Batch {
    ids(attachments).fold(batch, let_go)
}

/// From then on nobody fetches it; the rest is done when it's looked after.
fn let_go(batch: Batch, id: &str) -> Batch {
    let due = names::due(batch.now_ms(), id);
    batch.put(names::GONE, id, "{}", Condition::Any, None).put(
        names::DUE,
        &due,
        "{}",
        Condition::Any,
        None,
    )
}

/// Adds to a batch what lets go of some files of a room that is deleted. `None`: there are no more.
pub(crate) async fn release_of_room(
    chat: &Chat,
    room: &str,
    batch: Batch,
) -> Result<Option<Batch>, Failure> {
    release_all(chat, &names::of_room(room), batch).await
}

/// Adds to a batch what lets go of some files of a person who is erased. `None`: there are no more.
pub(crate) async fn release_of_person(
    chat: &Chat,
    person: &str,
    batch: Batch,
) -> Result<Option<Batch>, Failure> {
    release_all(chat, &names::of_person(person), batch).await
}

async fn release_all(chat: &Chat, index: &str, batch: Batch) -> Result<Option<Batch>, Failure> {
    let page = stored::scan(chat, index, Scan::default().limit(AT_ONCE)).await?;
    if page.items.is_empty() {
        return Ok(None);
    }
    let batch = page.items.iter().fold(batch, |batch, (id, _)| {
        let_go(batch, id).delete(index, id, Condition::Any)
    });
    Ok(Some(batch))
}

/// Keeps files of whoever asks for a message that is sent at a time: until a day after it.
///
/// # Errors
/// As [`take`].
pub(crate) async fn hold(
    chat: &Chat,
    asker: &Asker,
    room: &str,
    ids: &[String],
    at_ms: u64,
) -> Result<(), Failure> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut attempts = Attempts::default();
    while attempts.another().await {
        let now_ms = chat.now_ms();
        let mut batch = Batch::new(now_ms);
        for (id, found) in ids.iter().zip(find(chat, ids).await?) {
            let Found {
                mut record,
                version,
                ..
            } = check(asker, room, id, found, now_ms)?;
            record.until = record.until.max(at_ms.saturating_add(UNSENT_MS));
            batch = put_until(batch, id, &record, version)?;
        }
        if stored::try_write(chat, batch).await?.is_some() {
            return Ok(());
        }
    }
    Err(busy())
}

fn put_until(batch: Batch, id: &str, record: &FileRecord, version: u64) -> Result<Batch, Failure> {
    let due = names::due(record.until, id);
    let batch = record.put(batch, id, version)?;
    Ok(batch.put(names::DUE, &due, "{}", Condition::Any, None))
}

/// No message that is sent at a time needs these files any more: they are kept for a day, as any that wait for their message.
pub(crate) async fn let_loose(chat: &Chat, ids: &[String]) {
    if let Err(failure) = try_let_loose(chat, ids).await {
        // They go all the same, at the time that they were held for.
        tracing::debug!(%failure.message, "files of a message that isn't sent are kept longer than they must");
    }
}

async fn try_let_loose(chat: &Chat, ids: &[String]) -> Result<(), Failure> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut attempts = Attempts::default();
    while attempts.another().await {
        let until = chat.now_ms().saturating_add(UNSENT_MS);
        let mut batch = Batch::new(chat.now_ms());
        for (id, found) in ids.iter().zip(find(chat, ids).await?) {
            let is_held = |found: &Found| {
                found.record.state == State::Ready && found.record.until > until && !found.is_gone
            };
            if let Some(mut found) = found.filter(is_held) {
                found.record.until = until;
                batch = put_until(batch, id, &found.record, found.version)?;
            }
        }
        if batch.ops().is_empty() || stored::try_write(chat, batch).await?.is_some() {
            return Ok(());
        }
    }
    Err(busy())
}

/// Files of a message for another message, in another room: the same bytes. They are whoever's who forwards it, and don't
/// count for them.
///
/// # Errors
/// `not_found` if one of them is gone meanwhile.
pub(crate) async fn copy(
    chat: &Chat,
    asker: &Asker,
    room: &str,
    attachments: &[Value],
) -> Result<Vec<Value>, Failure> {
    let mut copies = Vec::with_capacity(attachments.len());
    for id in ids(attachments) {
        copies.push(copy_one(chat, asker, room, id).await?);
    }
    Ok(copies)
}

async fn copy_one(chat: &Chat, asker: &Asker, room: &str, id: &str) -> Result<Value, Failure> {
    let mut attempts = Attempts::default();
    while attempts.another().await {
        let found = record::find_one(chat, id).await?;
        let original = found.filter(|found| !found.is_gone);
        let original = original.ok_or_else(|| no_file(id))?.record;
        let Some(blob) = &original.blob else {
            return Err(no_file(id));
        };
        let known = record::record::<BlobRecord>(chat, names::BLOBS, &blob.hash).await?;
        let (Some(bytes), condition) = known else {
            return Err(no_file(id));
        };
        let copy_id = lakh_files::random_word().ok_or_else(no_random)?;
        let now_ms = chat.now_ms();
        let copy = FileRecord {
            room: room.to_owned(),
            owner: asker.id().to_owned(),
            state: State::Taken { taken_at: now_ms },
            until: now_ms + UNSENT_MS,
            counted: false,
            secret: String::new(),
            ..original.clone()
        };
        let more = to_bytes(&tidy::with_one_more(&bytes))?;
        let batch = Batch::new(now_ms).put(names::BLOBS, &blob.hash, more, condition, None);
        if stored::try_write(chat, copy.put_new(batch, &copy_id)?)
            .await?
            .is_some()
        {
            return Ok(copy.shown(&copy_id));
        }
    }
    Err(busy())
}
