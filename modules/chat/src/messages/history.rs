//! `message:history` and `message:get`.

use lakh_hub::Failure;
use lakh_hub::store::{Answer as Found, Query, Range};
use serde::{Deserialize, Serialize};

use super::view::{self, View};
use super::{Answer, no_message};
use crate::asker::Asker;
use crate::permissions::Right;
use crate::shapes::{Message, OfMessage};
use crate::{Chat, names, standing, stored};

/// Entries that are looked at in one step of the search for a time. A million messages take five steps.
const PROBES: u64 = 16;

#[derive(Deserialize)]
pub(crate) struct AskHistory {
    room: String,
    thread: Option<u64>,
    before: Option<u64>,
    after: Option<u64>,
    around: Option<u64>,
    time: Option<u64>,
    limit: Option<usize>,
}

#[derive(Serialize)]
pub(crate) struct History {
    messages: Vec<Message>,
    /// There are more in the direction that was asked for.
    more: bool,
    more_before: bool,
    more_after: bool,
    /// Number of the first message that is kept.
    first: u64,
    /// Number of the last message.
    seq: u64,
    /// Number of the last change in the room.
    rev: u64,
}

/// What is asked for.
enum From {
    Before(u64),
    After(u64),
    Around(u64),
}

pub(crate) async fn history(
    chat: &Chat,
    asker: &Asker,
    request: AskHistory,
) -> Result<History, Failure> {
    let (room, thread) = (request.room.as_str(), request.thread);
    names::check_room(room)?;
    asker.allow("history", room)?;
    let standing = standing::of(chat, asker, room).await?;
    standing.need(chat, Right::Read)?;
    let limit = limit(chat, request.limit)?;
    let from = match (request.before, request.after, request.around, request.time) {
        (before, None, None, None) => From::Before(before.unwrap_or(u64::MAX)),
        (None, Some(after), None, None) => From::After(after),
        (None, None, Some(around), None) => From::Around(around),
        (None, None, None, Some(time)) => {
            From::After(first_since(chat, room, thread, time).await? - 1)
        }
        _ => {
            return Err(Failure::bad_request(
                "give one of before, after, around and time",
            ));
        }
    };
    let ranges = match from {
        From::Before(before) => vec![Range::before(before, limit)],
        From::After(after) => vec![Range::from(after.saturating_add(1), limit)],
        From::Around(seq) => match limit / 2 {
            0 => vec![Range::from(seq, limit)],
            half => vec![Range::before(seq, half), Range::from(seq, limit - half)],
        },
    };
    let (views, rev) = view::read_pages(chat, room, thread, &ranges).await?;
    let is_backwards = matches!(from, From::Before(_));
    let mut page = together(views, rev, is_backwards);
    if let Some(root) = thread.filter(|_| page.seq == 0) {
        view::need_message(chat, room, (None, root)).await?;
    }
    if page.messages.is_empty() {
        // What was asked for lies behind one end or the other.
        let is_behind = matches!(from, From::Before(seq) if seq <= page.seq);
        page.more_after = is_behind && page.seq > 0;
        page.more_before = !is_backwards && page.seq > 0;
    }
    view::fill(chat, asker, &mut page.messages).await?;
    Ok(page)
}

/// How many messages a page holds.
pub(super) fn limit(chat: &Chat, wanted: Option<usize>) -> Result<usize, Failure> {
    let config = &chat.0.config;
    match wanted.unwrap_or(config.history_limit) {
        0 => Err(Failure::bad_request(format!(
            "limit is 1 to {}",
            config.history_max_limit
        ))),
        limit => Ok(limit.min(config.history_max_limit)),
    }
}

/// One page of views that follow each other.
fn together(views: Vec<View>, rev: u64, is_backwards: bool) -> History {
    // Of one snapshot: each says the same.
    let (first_seq, seq) = views
        .first()
        .map_or((1, 0), |view| (view.info.first_seq, view.info.last_seq));
    let messages: Vec<_> = views.into_iter().flat_map(|view| view.messages).collect();
    let first = messages.first().map(|message: &Message| message.seq);
    let last = messages.last().map(|message| message.seq);
    let more_before = first.is_some_and(|first| first > first_seq);
    let more_after = last.is_some_and(|last| last < seq);
    History {
        messages,
        more: if is_backwards {
            more_before
        } else {
            more_after
        },
        more_before,
        more_after,
        first: first_seq,
        seq,
        rev,
    }
}

/// The number of the first message that is as young as that, or the next number if none is. Times follow the numbers as
/// closely as the clocks of the nodes do each other.
async fn first_since(
    chat: &Chat,
    room: &str,
    thread: Option<u64>,
    time_ms: u64,
) -> Result<u64, Failure> {
    let log = names::log_of(room, thread);
    let info = match stored::read(chat, vec![Query::Log { log: log.clone() }])
        .await?
        .pop()
    {
        Some(Found::Log(info)) => info,
        other => return Err(stored::unexpected(other.as_ref())),
    };
    // Older than `low` is too old, `high` and younger is young enough.
    let (mut low, mut high) = (info.first_seq.max(1), info.last_seq + 1);
    while low < high {
        let step = (high - low).div_ceil(PROBES);
        let probes: Vec<u64> = (low..high)
            .step_by(usize::try_from(step).unwrap_or(usize::MAX))
            .collect();
        let queries = probes.iter().map(|seq| Query::Range {
            log: log.clone(),
            range: Range {
                to: *seq,
                ..Range::from(*seq, 1)
            },
        });
        for (seq, found) in probes
            .iter()
            .zip(stored::read(chat, queries.collect()).await?)
        {
            let entry = match found {
                Found::Entries(page) => page.entries.into_iter().next(),
                other => return Err(stored::unexpected(Some(&other))),
            };
            match entry {
                Some(entry) if entry.time_ms >= time_ms => {
                    high = *seq;
                    break;
                }
                // One that has gone meanwhile was an old one.
                _ => low = seq + 1,
            }
        }
    }
    Ok(low)
}

pub(crate) async fn get(chat: &Chat, asker: &Asker, request: OfMessage) -> Result<Answer, Failure> {
    let room = request.room.as_str();
    names::check_room(room)?;
    asker.allow("history", room)?;
    let standing = standing::of(chat, asker, room).await?;
    standing.need(chat, Right::Read)?;
    let mut messages = view::read_some(chat, room, &[(request.thread, request.seq)]).await?;
    view::fill(chat, asker, &mut messages).await?;
    let message = messages.pop().ok_or_else(|| no_message(request.seq))?;
    Ok(Answer { message })
}
