//! The search where the store has no index of words: the newest messages are looked through, a bounded number of them.

use std::collections::BTreeMap;

use lakh_hub::Failure;
use lakh_hub::store::search::matches;
use lakh_hub::store::{Answer, Order, Query, Range, SearchCursor};

use super::{AT_ONCE, Found, Readable, Wish, logs, messages, place, text_of, write_cursor};
use crate::asker::Asker;
use crate::messages::{fill, of_entry};
use crate::shapes::Message;
use crate::{Chat, names, stored};

/// Messages of one room that are looked through.
const LOOKED_THROUGH: u64 = 10_000;
/// Messages of each of several logs that are looked through.
const LOOKED_THROUGH_EACH: u64 = 500;
/// Logs that are looked through.
const LOOKED_INTO: usize = 50;
/// Messages looked through in one step.
const STEP: usize = 100;

/// Looks the newest messages through.
pub(super) async fn looked_through(
    chat: &Chat,
    asker: &Asker,
    rooms: &[String],
    wish: &Wish<'_>,
    before: Option<SearchCursor>,
) -> Result<Found, Failure> {
    let (logs, mut complete) = newest_logs(chat, rooms, wish.one_room).await?;
    let mut readable = Readable {
        chat,
        asker,
        known: BTreeMap::new(),
    };
    // The newest, one more than a page.
    let mut hits: BTreeMap<SearchCursor, Message> = BTreeMap::new();
    for (index, log) in logs.iter().enumerate() {
        let Some((room, thread)) = place(log) else {
            continue;
        };
        if !readable.has(room).await? {
            continue;
        }
        let most = match wish.one_room && index == 0 {
            true => LOOKED_THROUGH,
            false => LOOKED_THROUGH_EACH,
        };
        let mut looked_at = 0;
        let mut next = u64::MAX;
        loop {
            let reading = chat.0.store.range(log, Range::before(next, STEP));
            let page = reading.await.map_err(|error| stored::not_read(&error))?;
            for entry in &page.entries {
                looked_at += 1;
                next = entry.seq;
                let at = SearchCursor {
                    time_ms: entry.time_ms,
                    log: log.clone(),
                    seq: entry.seq,
                };
                if before.as_ref().is_some_and(|before| at >= *before) {
                    continue;
                }
                let message = of_entry(room, thread, entry)?;
                let text = text_of(&message.said).unwrap_or_default();
                let is_from = wish.from.is_none_or(|from| message.said.from.id == from);
                if is_from && matches(&text, wish.terms) {
                    hits.insert(at, message);
                    if hits.len() > wish.limit + 1 {
                        hits.pop_first();
                    }
                }
            }
            if page.entries.is_empty() || !page.more {
                break;
            }
            if looked_at >= most {
                complete = false;
                break;
            }
        }
    }
    let more = hits.len() > wish.limit;
    let found: Vec<SearchCursor> = hits.into_keys().rev().take(wish.limit).collect();
    let messages = messages(chat, &found).await?;
    let shown = messages.into_iter().flatten();
    let shown = shown.filter(|message| wish.takes(message));
    let mut page = Found {
        hits: shown.map(|message| wish.hit(message)).collect(),
        cursor: found.last().filter(|_| more).map(write_cursor),
        complete,
    };
    fill(chat, asker, page.messages_mut()).await?;
    Ok(page)
}

/// Which logs are looked through, and whether these are all: those of one room and its threads, or those of the rooms in
/// which something was said last.
async fn newest_logs(
    chat: &Chat,
    rooms: &[String],
    one_room: bool,
) -> Result<(Vec<String>, bool), Failure> {
    if one_room {
        return logs(chat, rooms, LOOKED_INTO).await;
    }
    let mut last: Vec<(u64, &String)> = Vec::with_capacity(rooms.len());
    for some in rooms.chunks(AT_ONCE) {
        let queries = some.iter().map(|room| Query::Range {
            log: names::log(room),
            range: Range {
                order: Order::Descending,
                ..Range::before(u64::MAX, 1)
            },
        });
        for (room, answer) in some
            .iter()
            .zip(stored::read(chat, queries.collect()).await?)
        {
            match answer {
                Answer::Entries(page) => {
                    last.extend(page.entries.first().map(|entry| (entry.time_ms, room)));
                }
                other => return Err(stored::unexpected(Some(&other))),
            }
        }
    }
    last.sort_unstable_by(|a, b| b.cmp(a));
    let is_all = last.len() <= LOOKED_INTO;
    last.truncate(LOOKED_INTO);
    let rooms: Vec<String> = last.into_iter().map(|(_, room)| room.clone()).collect();
    let (logs, has_all_threads) = logs(chat, &rooms, LOOKED_INTO).await?;
    Ok((logs, is_all && has_all_threads))
}
