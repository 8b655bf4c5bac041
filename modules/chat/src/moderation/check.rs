//! What is looked at before a message is sent or edited: slow mode, the room's pace, and words.

use lakh_hub::store::{Answer, Condition, Query, WriteError};
use lakh_hub::{Attempts, Failure};
use serde::{Deserialize, Serialize};

use super::words::{self, Words, WordsAction};
use crate::asker::Asker;
use crate::permissions::Right;
use crate::records::RoomRecord;
use crate::shapes::Said;
use crate::standing::Standing;
use crate::{Chat, names, records, stored, told};

/// Somebody's place in a slow room: the version of the document that holds it.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Held(Option<u64>);

/// When somebody last sent something in a slow room: `chat_slow:<room>`, key: the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SentRecord {
    at: u64,
}

/// Passes a new message, changes it, or refuses it. It has not been through the gate. Whoever can't send it after all gives back what
/// is held ([`let_go`]).
///
/// # Errors
/// `blocked_word`, `rate_limited`, `slow_mode`.
pub(crate) async fn check(
    chat: &Chat,
    asker: &Asker,
    standing: &Standing,
    room: &str,
    said: &mut Said,
) -> Result<Held, Failure> {
    if asker.is_system() {
        return Ok(Held::default());
    }
    check_words(chat, standing, said)?;
    pace(chat, asker, room)?;
    let seconds = standing.room.settings.slow_mode_s;
    if seconds == 0 || standing.may(chat, Right::SlowModeFree) {
        return Ok(Held::default());
    }
    hold(chat, asker, room, u64::from(seconds) * 1_000).await
}

/// The same for what a message is to say after an edit, by its author or somebody else. Nobody has to wait for an edit.
///
/// # Errors
/// `blocked_word`.
pub(crate) fn check_edit(
    chat: &Chat,
    asker: &Asker,
    standing: &Standing,
    said: &mut Said,
) -> std::future::Ready<Result<(), Failure>> {
    std::future::ready(match asker.is_system() {
        true => Ok(()),
        false => check_words(chat, standing, said),
    })
}

fn check_words(chat: &Chat, standing: &Standing, said: &mut Said) -> Result<(), Failure> {
    let own = &standing.room.settings.words;
    if (chat.0.words.is_empty() && own.is_empty()) || said.text.is_empty() {
        return Ok(());
    }
    let own = Words::new(own);
    let lists = [&chat.0.words, &own];
    match chat.0.config.words_action {
        WordsAction::Reject if words::has(&said.text, &lists) => Err(Failure::new(
            "blocked_word",
            "the message has a word that isn't allowed here; say it in another way",
        )),
        WordsAction::Reject => Ok(()),
        WordsAction::Mask => {
            if let Some(masked) = words::masked(&said.text, &lists) {
                said.text = masked;
            }
            Ok(())
        }
    }
}

/// Holds the room to its pace, on this node.
fn pace(chat: &Chat, asker: &Asker, room: &str) -> Result<(), Failure> {
    if chat.0.config.room_messages_per_second == 0 {
        return Ok(());
    }
    let now_ms = chat.now_ms();
    let paced = {
        let mut table = chat.0.table.lock();
        table.pacing.room(&chat.0.config, room, now_ms)
    };
    paced.inspect_err(|_| told::limited(asker, room, "room_messages_per_second"))
}

/// Takes a place in a slow room. It stands in the store, so that it holds over all devices and nodes; the message itself is
/// another write, so it's taken before and given back if nothing comes of the message.
async fn hold(chat: &Chat, asker: &Asker, room: &str, every_ms: u64) -> Result<Held, Failure> {
    let collection = names::slow(room);
    let mut attempts = Attempts::default();
    while attempts.another().await {
        let now_ms = chat.now_ms();
        let getting = chat.0.store.get(now_ms, &collection, asker.id());
        let found = getting.await.map_err(|error| stored::not_read(&error))?;
        let condition = match &found {
            None => Condition::Absent,
            Some(found) => {
                let sent: SentRecord = records::read(found)?;
                let next = sent.at.saturating_add(every_ms);
                if next > now_ms {
                    told::limited(asker, room, "slow_mode_s");
                    return Err(slow(next - now_ms));
                }
                Condition::Version(found.version)
            }
        };
        let value = records::to_bytes(&SentRecord { at: now_ms })?;
        let putting = chat.0.store.put(
            now_ms,
            &collection,
            asker.id(),
            value.into(),
            condition,
            Some(now_ms.saturating_add(every_ms)),
        );
        match putting.await {
            Ok(version) => return Ok(Held(Some(version))),
            Err(WriteError::Conflict { .. }) => {}
            Err(error) => return Err(stored::not_written(&error)),
        }
    }
    Err(slow(every_ms))
}

/// When somebody may send something in a room again, as far as its slow mode goes: milliseconds since 1970, in the past if
/// they may now.
pub(crate) async fn free_at(chat: &Chat, room: &str, person: &str) -> Result<u64, Failure> {
    let get = |collection: &str, key: &str| Query::get(collection, key);
    let queries = vec![get(names::ROOMS, room), get(&names::slow(room), person)];
    let answers = stored::read(chat, queries).await?;
    let [Answer::Document(room), Answer::Document(sent)] = answers.as_slice() else {
        return Err(stored::unexpected(answers.first()));
    };
    let (Some(room), Some(sent)) = (room, sent) else {
        return Ok(0);
    };
    let (room, sent): (RoomRecord, SentRecord) = (records::read(room)?, records::read(sent)?);
    let every_ms = u64::from(room.settings.slow_mode_s) * 1_000;
    Ok(sent.at.saturating_add(every_ms))
}

fn slow(wait_ms: u64) -> Failure {
    Failure::new(
        "slow_mode",
        format!("this room is slow: wait {wait_ms} ms before your next message"),
    )
}

/// Gives back what was held for a message that wasn't sent. Where that fails, its sender waits for nothing.
pub(crate) async fn let_go(chat: &Chat, asker: &Asker, room: &str, held: Held) {
    let Some(version) = held.0 else { return };
    let condition = Condition::Version(version);
    let deleting = chat
        .0
        .store
        .delete(chat.now_ms(), &names::slow(room), asker.id(), condition);
    match deleting.await {
        Ok(_) | Err(WriteError::Conflict { .. }) => {}
        Err(error) => tracing::debug!(%error, "a place in a slow room was not given back"),
    }
}
