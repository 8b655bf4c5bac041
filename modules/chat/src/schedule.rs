//! Messages that are to be sent later: `message:send` with `at`, `scheduled:list`, `scheduled:cancel`, `scheduled:change`.
//!
//! They stand in the store with their author and key. When the time has come, whichever node is first sends them: the
//! message is appended in the same step in which it goes from here, so it's sent once. Whether its author may is asked
//! again then.

use lakh_hub::store::{Batch, Condition, Document, Op, Scan, WriteError};
use lakh_hub::{Failure, Person};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::asker::Asker;
use crate::messages::{self, Send};
use crate::records::{self, DueRecord};
use crate::rooms::busy;
use crate::shapes::Nothing;
use crate::standing::{self, Standing};
use crate::{Chat, attachments, due, moderation, names, offline, stored};

/// How far ahead a message may be sent: 366 days.
const AHEAD_MS: u64 = 366 * 24 * 3_600_000;

/// How long a message waits at least that comes too soon after others.
const AGAIN_MS: u64 = 1_000;
/// Messages of somebody who is erased that are taken away at once.
const FORGOTTEN: usize = 200;

/// A message that is to be sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ScheduledRecord {
    /// Milliseconds since 1970.
    at: u64,
    made_at: u64,
    from: Person,
    /// When its room was made: another may have its name by then.
    #[serde(default)]
    room_made: u64,
    /// By the backend itself.
    #[serde(default, skip_serializing_if = "records::is_false")]
    is_system: bool,
    message: Send,
}

/// What its author sees of it.
#[derive(Serialize)]
struct Scheduled<'a> {
    id: &'a str,
    made_at: u64,
    #[serde(flatten)]
    message: &'a Send,
    at: u64,
}

impl ScheduledRecord {
    fn shown(&self, id: &str) -> Result<Value, Failure> {
        let shown = Scheduled {
            id,
            made_at: self.made_at,
            message: &self.message,
            at: self.at,
        };
        serde_json::to_value(shown).map_err(|error| stored::unreadable(&error))
    }

    fn asker(&self) -> Asker {
        match self.is_system {
            true => Asker::system(),
            false => Asker::person(self.from.clone()),
        }
    }
}

/// The collection of what a person will have sent.
fn collection(person: &str) -> String {
    names::scheduled(person)
}

fn due_of(person: &str, id: &str) -> String {
    format!("send\n{}", offline::due_id(&[person, id]))
}

/// Keeps a message until its time, `at_ms` milliseconds since 1970. Gives what whoever asks is told of it.
pub(crate) async fn put(
    chat: &Chat,
    asker: &Asker,
    standing: &Standing,
    request: &Send,
    at_ms: u64,
) -> Result<Value, Failure> {
    let now_ms = chat.now_ms();
    check_time(now_ms, at_ms)?;
    let thread = request.thread.unwrap_or(0).to_string();
    // The same key means the same message.
    let id = offline::due_id(&[asker.id(), &request.room, &thread, &request.key]);
    if let Some((kept, _)) = find(chat, asker.id(), &id).await? {
        return kept.shown(&id);
    }
    messages::foresee(chat, asker, standing, request).await?;
    let mut message = request.clone();
    message.at = None;
    messages::gate_request(chat, asker, &mut message).await?;
    let most = chat.0.config.max_scheduled;
    let scan = Scan::default().limit(most);
    let counting = chat.0.store.scan(now_ms, &collection(asker.id()), scan);
    let page = counting.await.map_err(|error| stored::not_read(&error))?;
    if page.items.len() >= most {
        return Err(Failure::new(
            "too_many",
            format!("you have {most} scheduled messages; cancel one first"),
        ));
    }
    // Before it's written: a message that waits has its files.
    attachments::hold(chat, asker, &message.room, &message.attachments, at_ms).await?;
    let record = ScheduledRecord {
        at: at_ms,
        made_at: now_ms,
        from: Person::clone(asker.who()),
        room_made: standing.room.created_at,
        is_system: asker.is_system(),
        message,
    };
    match write(chat, asker.id(), &id, &record, Condition::Absent, None).await? {
        true => record.shown(&id),
        false => match find(chat, asker.id(), &id).await? {
            Some((kept, _)) => kept.shown(&id),
            None => Err(busy()),
        },
    }
}

fn check_time(now_ms: u64, at_ms: u64) -> Result<(), Failure> {
    match at_ms <= now_ms.saturating_add(AHEAD_MS) {
        true => Ok(()),
        false => Err(Failure::bad_request(
            "at is milliseconds since 1970, at most 366 days from now",
        )),
    }
}

/// Writes what is to be sent, and that it's due. `false`: somebody else was faster.
async fn write(
    chat: &Chat,
    person: &str,
    id: &str,
    record: &ScheduledRecord,
    condition: Condition,
    was_at: Option<u64>,
) -> Result<bool, Failure> {
    let value = records::to_bytes(record)?;
    let mut batch = Batch::new(chat.now_ms()).put(&collection(person), id, value, condition, None);
    if let Some(was_at) = was_at.filter(|was_at| *was_at != record.at) {
        let key = DueRecord::prefix(was_at, &due_of(person, id));
        batch = batch.delete(names::DUE, &key, Condition::Any);
    }
    let send = DueRecord::Send {
        person: person.to_owned(),
        id: id.to_owned(),
    };
    batch = due::put(batch, record.at, &due_of(person, id), &send)?;
    match chat.0.store.write(batch).await {
        Ok(_) => {
            due::soon(chat, record.at);
            Ok(true)
        }
        Err(WriteError::Conflict { .. }) => Ok(false),
        Err(error) => Err(stored::not_written(&error)),
    }
}

async fn find(
    chat: &Chat,
    person: &str,
    id: &str,
) -> Result<Option<(ScheduledRecord, Document)>, Failure> {
    match stored::get(chat, &collection(person), id).await? {
        Some(document) => Ok(Some((records::read(&document)?, document))),
        None => Ok(None),
    }
}

#[derive(Deserialize)]
pub(crate) struct List {
    room: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct Listed {
    scheduled: Vec<Value>,
}

/// `scheduled:list`: the next one first.
pub(crate) async fn list(chat: &Chat, asker: &Asker, request: List) -> Result<Listed, Failure> {
    let mut all = all(chat, asker.id()).await?;
    if let Some(room) = &request.room {
        names::check_room(room)?;
        all.retain(|(_, record)| record.message.room == *room);
    }
    all.sort_by(|(a, one), (b, other)| (one.at, a).cmp(&(other.at, b)));
    let shown = all.iter().map(|(id, record)| record.shown(id));
    Ok(Listed {
        scheduled: shown.collect::<Result<_, _>>()?,
    })
}

/// All that somebody has waiting.
async fn all(chat: &Chat, person: &str) -> Result<Vec<(String, ScheduledRecord)>, Failure> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let most = chat.0.config.max_scheduled;
        let scan = Scan::default().limit(most).after(after);
        let page = stored::scan(chat, &collection(person), scan).await?;
        for (id, document) in page.items {
            all.push((id, records::read(&document)?));
        }
        after = page.next;
        if after.is_none() {
            return Ok(all);
        }
    }
}

/// Takes away what somebody has waiting, some of it; whether there may be more.
pub(crate) async fn forget(chat: &Chat, person: &str) -> Result<bool, Failure> {
    let some = all(chat, person).await?;
    let batch =
        some.iter()
            .take(FORGOTTEN)
            .fold(Batch::new(chat.now_ms()), |batch, (id, record)| {
                let due = DueRecord::prefix(record.at, &due_of(person, id));
                batch
                    .delete(&collection(person), id, Condition::Any)
                    .delete(names::DUE, &due, Condition::Any)
            });
    if some.is_empty() {
        return Ok(false);
    }
    stored::write(chat, batch).await?;
    Ok(true)
}

#[derive(Deserialize)]
pub(crate) struct Cancel {
    id: String,
}

/// `scheduled:cancel`.
pub(crate) async fn cancel(
    chat: &Chat,
    asker: &Asker,
    request: Cancel,
) -> Result<Nothing, Failure> {
    let id = check_id(&request.id)?;
    let Some((record, document)) = find(chat, asker.id(), id).await? else {
        return Err(not_there());
    };
    let key = DueRecord::prefix(record.at, &due_of(asker.id(), id));
    let batch = Batch::new(chat.now_ms())
        .delete(
            &collection(asker.id()),
            id,
            Condition::Version(document.version),
        )
        .delete(names::DUE, &key, Condition::Any);
    match chat.0.store.write(batch).await {
        Ok(_) => {}
        Err(WriteError::Conflict { .. }) => return Err(not_there()),
        Err(error) => return Err(stored::not_written(&error)),
    }
    let mut files = record.message.attachments;
    if !files.is_empty() {
        // What another one waits for stays with it.
        let others = all(chat, asker.id()).await?;
        files.retain(|id| {
            let mut others = others.iter();
            !others.any(|(_, other)| other.message.attachments.contains(id))
        });
        attachments::let_loose(chat, &files).await;
    }
    Ok(Nothing {})
}

fn check_id(id: &str) -> Result<&str, Failure> {
    let is_one = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_one.then_some(id).ok_or_else(not_there)
}

fn not_there() -> Failure {
    Failure::new(
        "not_found",
        "you have no scheduled message with this id; it may have been sent",
    )
}

#[derive(Deserialize)]
pub(crate) struct Change {
    id: String,
    text: Option<String>,
    at: Option<u64>,
}

#[derive(Serialize)]
pub(crate) struct Changed {
    scheduled: Value,
}

/// `scheduled:change`.
pub(crate) async fn change(
    chat: &Chat,
    asker: &Asker,
    request: Change,
) -> Result<Changed, Failure> {
    let id = check_id(&request.id)?;
    let Some((mut record, document)) = find(chat, asker.id(), id).await? else {
        return Err(not_there());
    };
    let was_at = record.at;
    if let Some(at_ms) = request.at {
        check_time(chat.now_ms(), at_ms)?;
        record.at = at_ms;
        let Send {
            room, attachments, ..
        } = &record.message;
        attachments::hold(chat, asker, room, attachments, at_ms).await?;
    }
    if let Some(text) = request.text {
        messages::check_text(chat, &text, !record.message.attachments.is_empty())?;
        record.message.text = text;
        let standing = standing::of(chat, asker, &record.message.room).await?;
        messages::foresee(chat, asker, &standing, &record.message).await?;
        messages::gate_request(chat, asker, &mut record.message).await?;
    }
    let condition = Condition::Version(document.version);
    match write(chat, asker.id(), id, &record, condition, Some(was_at)).await? {
        true => Ok(Changed {
            scheduled: record.shown(id)?,
        }),
        // Sent or changed meanwhile.
        false => match find(chat, asker.id(), id).await? {
            Some(_) => Err(busy()),
            None => Err(not_there()),
        },
    }
}

/// The argument of `scheduled:failed`.
#[derive(Serialize)]
struct Failed<'a> {
    id: &'a str,
    scheduled: Value,
    error: Value,
}

/// The time of a message has come.
pub(crate) async fn send(
    chat: &Chat,
    person: &str,
    id: &str,
    key: &str,
    version: u64,
) -> Result<(), Failure> {
    let due = Op::Delete {
        collection: names::DUE.to_owned(),
        key: key.to_owned(),
        condition: Condition::Version(version),
    };
    let kept = find(chat, person, id).await?;
    let Some((record, document)) = kept.filter(|(record, _)| record.at <= chat.now_ms()) else {
        // It was cancelled, or put off: then it's due another time, too.
        return take_away(chat, vec![due]).await.map(drop);
    };
    let gone = vec![
        due,
        Op::Delete {
            collection: collection(person),
            key: id.to_owned(),
            condition: Condition::Version(document.version),
        },
    ];
    let message = (record.message.clone(), record.room_made);
    let sent = messages::send_due(chat, &record.asker(), message, gone.clone()).await;
    let failure = match sent {
        Ok(()) => return Ok(()),
        Err(failure) => failure,
    };
    if matches!(failure.code, "slow_mode" | "rate_limited") {
        // It waits until it may: its author isn't there to try again.
        let free_ms = moderation::free_at(chat, &record.message.room, person).await?;
        let now_ms = chat.now_ms();
        let at_ms = match free_ms > now_ms {
            true => free_ms,
            false => now_ms + AGAIN_MS,
        };
        return due::put_off(chat, key, version, at_ms).await;
    }
    if matches!(failure.code, "unavailable" | "internal") {
        // Perhaps because another node has sent it.
        let there = stored::get(chat, names::DUE, key).await?;
        let is_same = there.is_some_and(|there| there.version == version);
        return if is_same { Err(failure) } else { Ok(()) };
    }
    if take_away(chat, gone).await? {
        let failed = Failed {
            id,
            scheduled: record.shown(id)?,
            error: json!({"code": failure.code, "message": failure.message}),
        };
        let to = chat.0.namespace.to(Person::room_of(person));
        if let Err(error) = to.emit("scheduled:failed", &failed) {
            tracing::warn!(%error, "the server was too busy to tell of a message that could not be sent");
        }
    }
    Ok(())
}

/// `false`: another node was faster.
async fn take_away(chat: &Chat, ops: Vec<Op>) -> Result<bool, Failure> {
    let batch = ops.into_iter().fold(Batch::new(chat.now_ms()), Batch::op);
    Ok(stored::try_write(chat, batch).await?.is_some())
}
