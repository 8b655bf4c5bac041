//! What is to be done at a time: messages that expire, messages that are sent later, people who are reminded.
//!
//! It stands in the store, by its time, and each node has one task that looks at what comes next: in time at what this node
//! put there itself, a moment later at what others did, should they be gone. Each deed takes its document away in the same
//! step, on condition that it's still there; so it's done once, whoever is at it, and after a death by another node.

use std::collections::BTreeSet;
use std::time::Duration;

use lakh_hub::Failure;
use lakh_hub::store::{Batch, Condition, Document, Scan, WriteError};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::messages::{self, At};
use crate::records::{self, DueRecord};
use crate::{Chat, names, offline, receipts, schedule, stored, unread};

/// Documents in one turn.
const TURN: usize = 32;
/// How often it's looked for what other nodes have put there.
const LOOK_MS: u64 = 2_000;
/// The clock of the hub may be moved: so long is slept at most while something of this node's own waits.
const OWN_LOOK_MS: u64 = 500;
/// What another node has put there is left to it for so long.
const OTHERS_MS: u64 = 1_000;
/// When something is tried again that could not be done.
const AGAIN_MS: u64 = 5_000;
/// When something is looked at again that only a later version can read.
const UNREADABLE_MS: u64 = 3_600_000;
/// Own times that are known; what is later than these waits as if another node had put it there.
const MOST: usize = 10_000;

/// What this node knows of what is due.
#[derive(Default)]
pub(crate) struct Due {
    known: Mutex<Known>,
    more: Notify,
}

#[derive(Default)]
struct Known {
    /// When something is due that this node has put there.
    own: BTreeSet<u64>,
    /// Until when the task sleeps.
    wakes_at: u64,
}

/// Starts what works by itself: this, and what tells of receipts and unread messages.
pub(crate) fn install(chat: &Chat) {
    let module = chat.clone();
    let started = chat.0.namespace.hub().run_on(0, move |_| {
        tokio::task::spawn_local(run(module.clone()));
        tokio::task::spawn_local(receipts::run_updates(module.clone()));
        tokio::task::spawn_local(receipts::run_sent(module.clone()));
        tokio::task::spawn_local(unread::run(module));
    });
    if let Err(error) = started {
        tracing::error!(%error, "nothing of what is due will be done by this node");
    }
}

/// Something was put there that is due at a time.
pub(crate) fn soon(chat: &Chat, at_ms: u64) {
    let due = &chat.0.due;
    let mut known = due.known.lock();
    known.own.insert(at_ms);
    if known.own.len() > MOST {
        known.own.pop_last();
    }
    let wake = at_ms < known.wakes_at;
    drop(known);
    if wake {
        due.more.notify_one();
    }
}

/// Works for as long as the loop does.
pub(crate) async fn run(chat: Chat) {
    loop {
        let wait_ms = match turn(&chat).await {
            Ok(wait_ms) => wait_ms,
            Err(failure) => {
                tracing::debug!(%failure.message, "what is due is looked at later");
                AGAIN_MS
            }
        };
        if wait_ms > 0 {
            let sleep = Duration::from_millis(wait_ms);
            drop(timeout(sleep, chat.0.due.more.notified()).await);
        } else {
            tokio::task::yield_now().await;
        }
    }
}

/// Does what is due, a part of it. Gives how long nothing is to be done.
async fn turn(chat: &Chat) -> Result<u64, Failure> {
    let now_ms = chat.now_ms();
    let scan = Scan::default().limit(TURN);
    let scanning = chat.0.store.scan(now_ms, names::DUE, scan);
    let page = scanning.await.map_err(|error| stored::not_read(&error))?;
    let mut next = now_ms.saturating_add(LOOK_MS);
    let mut work = JoinSet::new();
    for (key, document) in page.items {
        let at_ms = time_of(&key).unwrap_or(0);
        let is_own = chat.0.due.known.lock().own.contains(&at_ms);
        let from = if is_own { at_ms } else { at_ms + OTHERS_MS };
        if from <= now_ms {
            let chat = chat.clone();
            work.spawn_local(async move { perform(&chat, &key, &document).await });
        } else {
            next = next.min(from);
        }
        if at_ms > now_ms {
            break;
        }
    }
    let worked = !work.is_empty();
    let mut failed = Ok(());
    while let Some(done) = work.join_next().await {
        if let Ok(Err(failure)) = done {
            failed = Err(failure);
        }
    }
    failed?;
    let mut known = chat.0.due.known.lock();
    // What stands there still is as good as another's now.
    let late = now_ms.saturating_sub(OTHERS_MS);
    while known.own.first().is_some_and(|at_ms| *at_ms < late) {
        known.own.pop_first();
    }
    if worked {
        known.wakes_at = 0;
        return Ok(0);
    }
    if let Some(at_ms) = known.own.range(now_ms + 1..).next() {
        next = next.min(*at_ms).min(now_ms + OWN_LOOK_MS);
    }
    known.wakes_at = next;
    Ok(next.saturating_sub(now_ms).max(1))
}

/// The time that a key begins with.
fn time_of(key: &str) -> Option<u64> {
    key.get(..16)?.parse().ok()
}

async fn perform(chat: &Chat, key: &str, document: &Document) -> Result<(), Failure> {
    let record: DueRecord = match serde_json::from_slice(&document.value) {
        Ok(record) => record,
        Err(error) => {
            tracing::warn!(%error, "something is due that this version doesn't know");
            return postpone(chat, key, document, UNREADABLE_MS).await;
        }
    };
    let done = match record {
        DueRecord::Expire { room, thread, seq } => {
            let seq = seq.or_else(|| DueRecord::seq_of(key)).unwrap_or(0);
            let room = room.as_str();
            messages::expire(chat, At { room, thread, seq }, key).await
        }
        DueRecord::Send { person, id } => {
            schedule::send(chat, &person, &id, key, document.version).await
        }
        DueRecord::Remind {
            room,
            person,
            reply,
        } => offline::remind(chat, (&room, &person), reply, key, document).await,
    };
    match done {
        Ok(()) => Ok(()),
        Err(failure) => {
            tracing::debug!(%failure.message, "what is due is tried again");
            postpone(chat, key, document, AGAIN_MS).await
        }
    }
}

/// Sets a document to a later time; otherwise it would be in the way of those behind it.
async fn postpone(chat: &Chat, key: &str, document: &Document, by_ms: u64) -> Result<(), Failure> {
    move_to(chat, key, document, chat.now_ms() + by_ms, |batch| batch)
        .await
        .map(drop)
}

/// Sets what is due to a later time, if it's still as it was read. It's this node's own then.
pub(crate) async fn put_off(
    chat: &Chat,
    key: &str,
    version: u64,
    at_ms: u64,
) -> Result<(), Failure> {
    let found = stored::get(chat, names::DUE, key).await?;
    let Some(document) = found.filter(|found| found.version == version) else {
        return Ok(());
    };
    if move_to(chat, key, &document, at_ms, |batch| batch)
        .await?
        .is_some()
    {
        soon(chat, at_ms);
    }
    Ok(())
}

/// Sets a document to another time, and gives its new key and version. `None`: another node was faster.
pub(crate) async fn move_to(
    chat: &Chat,
    key: &str,
    document: &Document,
    at_ms: u64,
    more: impl FnOnce(Batch) -> Batch,
) -> Result<Option<(String, u64)>, Failure> {
    let id = key.get(17..).unwrap_or_default();
    let later = DueRecord::prefix(at_ms, id);
    let batch = Batch::new(chat.now_ms())
        .put(
            names::DUE,
            &later,
            document.value.clone(),
            Condition::Any,
            None,
        )
        .delete(names::DUE, key, Condition::Version(document.version));
    match chat.0.store.write(more(batch)).await {
        Ok(applied) => match applied.first() {
            Some(lakh_hub::store::Applied::Put { version }) => Ok(Some((later, *version))),
            _ => Err(stored::unexpected(None)),
        },
        Err(WriteError::Conflict { .. }) => Ok(None),
        Err(error) => Err(stored::not_written(&error)),
    }
}

/// Adds to a batch that something is due.
pub(crate) fn put(
    batch: Batch,
    at_ms: u64,
    id: &str,
    record: &DueRecord,
) -> Result<Batch, Failure> {
    let key = DueRecord::prefix(at_ms, id);
    let value = records::to_bytes(record)?;
    Ok(batch.put(names::DUE, &key, value, Condition::Any, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stand_in_the_order_of_their_times_and_lead_back_to_them() {
        let keys = [0, 999, 1_767_225_600_000].map(|at_ms| DueRecord::prefix(at_ms, "x\ny"));
        assert!(keys.is_sorted());
        assert_eq!(
            keys.map(|key| time_of(&key)),
            [Some(0), Some(999), Some(1_767_225_600_000)]
        );
        assert_eq!(time_of("x"), None);
        assert_eq!(time_of("é234567890123456"), None);
    }
}
