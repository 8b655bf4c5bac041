//! How long messages are kept: a room's `settings.retention_days`.
//!
//! Any node may look through the rooms, several at once too: each step takes away what is there, and twice is harmless. What
//! came to messages goes before them, so that nothing is left behind which nobody would find again.

use lakh_hub::Failure;
use lakh_hub::store::{
    Answer, Batch, Condition, DeleteRange, Op, Query, REMOVE_AT_ONCE, Range, Scan, Trim,
};

use crate::messages::{of_entry, pins_without};
use crate::records::{self, RoomRecord};
use crate::shapes::Message;
use crate::{Chat, attachments, names, stored};

const DAY_MS: u64 = 86_400_000;
/// Rooms looked at in one step.
const ROOMS: usize = 100;
/// Messages that go in one write at most.
const MESSAGES: usize = 200;
/// Operations of such a write, about: each message may have many mentions.
const OPS: usize = 2_000;
/// Threads looked at at once.
const THREADS: usize = 100;
/// Writes for one room in one step.
const WRITES: usize = 20;

/// After which room the next step goes on.
#[derive(Debug, Default)]
pub(crate) struct Place {
    after: Option<String>,
}

/// Looks through some rooms; whether there are more, or more is to go.
pub(crate) async fn step(chat: &Chat) -> Result<bool, Failure> {
    let after = chat.0.retention.lock().after.clone();
    let scan = Scan::default().limit(ROOMS).after(after);
    let page = stored::scan(chat, names::ROOMS, scan).await?;
    for (room, document) in &page.items {
        let record: RoomRecord = records::read(document)?;
        let days = u64::from(record.settings.retention_days);
        if days == 0 || record.deleted {
            continue;
        }
        let cutoff = chat.now_ms().saturating_sub(days.saturating_mul(DAY_MS));
        if !trim_room(chat, room, cutoff).await? {
            return Ok(true);
        }
    }
    let is_over = page.next.is_none();
    chat.0.retention.lock().after = page.next;
    Ok(!is_over)
}

/// Trims a room and its threads. `false` if there is more than a step takes.
async fn trim_room(chat: &Chat, room: &str, cutoff: u64) -> Result<bool, Failure> {
    let mut writes = WRITES;
    if !trim_log(chat, room, None, cutoff, &mut writes).await? {
        return Ok(false);
    }
    let prefix = format!("{}\n", names::log(room));
    let mut after = None;
    loop {
        let scan = Scan::prefix(&prefix).limit(THREADS).after(after);
        let logs = stored::read(chat, vec![Query::Logs { scan }]).await?.pop();
        let Some(Answer::Logs(page)) = logs else {
            return Err(stored::unexpected(logs.as_ref()));
        };
        let roots: Vec<u64> = page
            .items
            .iter()
            .filter(|(_, info)| info.entries() > 0)
            .filter_map(|(log, _)| log.strip_prefix(&prefix)?.parse().ok())
            .collect();
        let oldest = roots.iter().map(|root| Query::Range {
            log: names::log_of(room, Some(*root)),
            range: Range::from(0, 1),
        });
        for (root, answer) in roots
            .iter()
            .zip(stored::read(chat, oldest.collect()).await?)
        {
            let Answer::Entries(found) = answer else {
                return Err(stored::unexpected(Some(&answer)));
            };
            let is_old = found
                .entries
                .first()
                .is_some_and(|entry| entry.time_ms < cutoff);
            if is_old && !trim_log(chat, room, Some(*root), cutoff, &mut writes).await? {
                return Ok(false);
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(true);
        }
    }
}

/// Trims a log. `false` if the writes were used up.
async fn trim_log(
    chat: &Chat,
    room: &str,
    thread: Option<u64>,
    cutoff: u64,
    writes: &mut usize,
) -> Result<bool, Failure> {
    loop {
        let reading = chat
            .0
            .store
            .range(&names::log_of(room, thread), Range::from(0, MESSAGES));
        let page = reading.await.map_err(|error| stored::not_read(&error))?;
        let old = page
            .entries
            .iter()
            .take_while(|entry| entry.time_ms < cutoff);
        let old: Vec<Message> = old
            .map(|entry| of_entry(room, thread, entry))
            .collect::<Result<_, _>>()?;
        let Some(last) = old.last() else {
            return Ok(true);
        };
        if *writes == 0 {
            return Ok(false);
        }
        *writes -= 1;
        let end = last.seq + 1;
        clear(chat, room, thread, end).await?;
        if !forget(chat, room, thread, &old).await? {
            // Somebody has pinned something meanwhile: the next step reads it anew.
            return Ok(false);
        }
    }
}

/// Takes away what came to the messages before a number.
async fn clear(chat: &Chat, room: &str, thread: Option<u64>, end: u64) -> Result<(), Failure> {
    take_reactions(chat, room, thread, end).await?;
    let collections = [
        names::overlay(room, thread),
        names::edits(room, thread),
        names::reactors(room, thread),
    ];
    for collection in collections {
        loop {
            let range = DeleteRange {
                to: Some(names::seq_key(end)),
                limit: REMOVE_AT_ONCE,
                ..DeleteRange::prefix("")
            };
            let deleting = chat.0.store.delete_range(chat.now_ms(), &collection, range);
            let deleted = deleting
                .await
                .map_err(|error| stored::not_written(&error))?;
            if !deleted.more {
                break;
            }
        }
    }
    Ok(())
}

/// Takes reactions away, with what finds them by who gave them.
async fn take_reactions(
    chat: &Chat,
    room: &str,
    thread: Option<u64>,
    end: u64,
) -> Result<(), Failure> {
    let collection = names::reactions(room, thread);
    loop {
        let scan = Scan {
            to: Some(names::seq_key(end)),
            limit: MESSAGES,
            ..Scan::default()
        };
        let page = stored::scan(chat, &collection, scan).await?;
        if page.items.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new(chat.now_ms());
        for (key, _) in &page.items {
            batch = batch.delete(&collection, key, Condition::Any);
            if let Some((seq, person)) = key.split_once('\n') {
                let index = names::in_room(room, thread) + seq;
                batch = batch.delete(&names::reacted(person), &index, Condition::Any);
            }
        }
        stored::write(chat, batch).await?;
    }
}

/// Trims some messages off, and what points to them. `false` if something stood in the way.
async fn forget(
    chat: &Chat,
    room: &str,
    thread: Option<u64>,
    old: &[Message],
) -> Result<bool, Failure> {
    let mut batch = Batch::new(chat.now_ms());
    let mut end = 0;
    for message in old {
        if batch.ops().len() >= OPS {
            break;
        }
        end = message.seq + 1;
        let said = &message.said;
        let key = names::in_room(room, thread) + &names::seq_key(message.seq);
        batch = batch.delete(&names::written(&said.from.id), &key, Condition::Any);
        for id in &said.mentions {
            batch = batch.delete(&names::mentions_of(id), &key, Condition::Any);
        }
        batch = attachments::release(&said.attachments, batch);
    }
    let pins = stored::get(chat, names::PINS, room).await?;
    let is_gone = |of: Option<u64>, seq: u64| of == thread && seq < end;
    if let Some(op) = pins_without(room, pins.as_ref(), is_gone)? {
        batch = batch.op(op);
    }
    let trim = Trim {
        before_seq: Some(end),
        ..Trim::default()
    };
    let batch = batch.op(Op::Trim {
        log: names::log_of(room, thread),
        trim,
    });
    Ok(stored::try_write(chat, batch).await?.is_some())
}
