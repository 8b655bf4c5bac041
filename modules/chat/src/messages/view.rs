//! Messages as they are now: what the log has of them, and what has come to them since.

use lakh_hub::Failure;
use lakh_hub::store::{Answer, Document, LogEntry, LogInfo, LogPage, Order, Query, Range, Scan};

use super::change::At;
use super::{no_message, quote};
use crate::asker::Asker;
use crate::records::{self, GivenRecord};
use crate::shapes::{Deleted, Message, Overlay, Said};
use crate::{Chat, names, stored};

/// The message of a log's entry, without what has come to it.
pub(crate) fn of_entry(
    room: &str,
    thread: Option<u64>,
    entry: &LogEntry,
) -> Result<Message, Failure> {
    let said: Said =
        serde_json::from_slice(&entry.value).map_err(|error| stored::unreadable(&error))?;
    Ok(Message {
        room: room.to_owned(),
        thread,
        seq: entry.seq,
        said,
        time: entry.time_ms,
        overlay: Overlay::default(),
    })
}

/// Some messages of a room or a thread, ascending.
#[derive(Debug)]
pub(crate) struct View {
    pub messages: Vec<Message>,
    /// There are more in the direction that was asked for.
    pub more: bool,
    /// How far the log reaches.
    pub info: LogInfo,
}

/// Reads messages as they are now, and how far the room's changes go: the log, what has come to its messages and the changes
/// from one snapshot.
///
/// So a page with `rev` holds the changes up to that number, and none is missed by whoever listens from before: a later one
/// is told.
pub(crate) async fn read_pages(
    chat: &Chat,
    room: &str,
    thread: Option<u64>,
    ranges: &[Range],
) -> Result<(Vec<View>, u64), Failure> {
    let mut queries = vec![Query::Log {
        log: names::changes(room),
    }];
    for range in ranges {
        queries.push(Query::Range {
            log: names::log_of(room, thread),
            range: *range,
        });
        queries.push(Query::Scan {
            collection: names::overlay(room, thread),
            scan: overlays_of(range),
        });
    }
    let mut answers = stored::read(chat, queries).await?.into_iter();
    let rev = match answers.next() {
        Some(Answer::Log(info)) => info.last_seq,
        other => return Err(stored::unexpected(other.as_ref())),
    };
    let mut views = Vec::with_capacity(ranges.len());
    for range in ranges {
        let (page, overlays) = match (answers.next(), answers.next()) {
            (Some(Answer::Entries(page)), Some(Answer::Documents(overlays))) => (page, overlays),
            (other, _) => return Err(stored::unexpected(other.as_ref())),
        };
        views.push(view(chat, room, thread, range, page, overlays).await?);
    }
    Ok((views, rev))
}

/// Refuses what is asked of a message that isn't there, where nothing was found. Deleted ones are.
pub(crate) async fn need_message(
    chat: &Chat,
    room: &str,
    (thread, seq): (Option<u64>, u64),
) -> Result<(), Failure> {
    let log = names::log_of(room, thread);
    let range = Range {
        to: seq,
        ..Range::from(seq, 1)
    };
    let mut answers = stored::read(chat, vec![Query::Range { log, range }]).await?;
    match answers.pop() {
        Some(Answer::Entries(page)) if !page.entries.is_empty() => Ok(()),
        Some(Answer::Entries(_)) => Err(no_message(seq)),
        other => Err(stored::unexpected(other.as_ref())),
    }
}

/// As many overlays as messages, from the same end.
pub(super) fn overlays_of(range: &Range) -> Scan {
    Scan {
        from: (range.from > 0).then(|| names::seq_key(range.from)),
        to: (range.to < u64::MAX).then(|| names::seq_key(range.to.saturating_add(1))),
        limit: range.limit,
        order: range.order,
        ..Scan::default()
    }
}

/// Lays what was read of a range together.
pub(super) async fn view(
    chat: &Chat,
    room: &str,
    thread: Option<u64>,
    range: &Range,
    page: LogPage,
    overlays: lakh_hub::store::Page<(String, Document)>,
) -> Result<View, Failure> {
    let read = page
        .entries
        .iter()
        .map(|entry| of_entry(room, thread, entry));
    let mut messages = read.collect::<Result<Vec<_>, _>>()?;
    if range.order == Order::Descending {
        messages.reverse();
    }
    lay_over(&mut messages, &overlays.items)?;
    // Only very long overlays don't fit into one page. Those of the next one are newer than the snapshot, which is as good:
    // whoever is told a later change again has it already.
    let mut next = overlays.next.filter(|_| overlays.items.len() < range.limit);
    while let Some(after) = next {
        let rest = overlays_of(range).after(Some(after));
        let collection = names::overlay(room, thread);
        let page = stored::scan(chat, &collection, rest).await?;
        lay_over(&mut messages, &page.items)?;
        next = page.next.filter(|_| !page.items.is_empty());
    }
    expired(chat, &mut messages);
    Ok(View {
        more: page.more,
        messages,
        info: page.info,
    })
}

/// Adds what has come to messages.
fn lay_over(messages: &mut [Message], overlays: &[(String, Document)]) -> Result<(), Failure> {
    for (key, document) in overlays {
        let seq: u64 = key.parse().unwrap_or_default();
        if let Ok(at) = messages.binary_search_by_key(&seq, |message| message.seq) {
            messages[at].overlay = records::read(document)?;
        }
    }
    Ok(())
}

/// Nobody reads what has expired, even where nobody has come to take it away.
fn expired(chat: &Chat, messages: &mut [Message]) {
    let now_ms = chat.now_ms();
    for message in messages {
        let Some(at) = message.said.expires_at.filter(|at| *at <= now_ms) else {
            continue;
        };
        let key = std::mem::take(&mut message.said.key);
        message.said = Said::nothing(key, message.said.from.clone());
        message.overlay = Overlay {
            deleted: Some(Deleted {
                by: None,
                at,
                purged: true,
            }),
            replies: message.overlay.replies.take(),
            ..Overlay::default()
        };
    }
}

/// One message as it is now.
///
/// # Errors
/// `not_found` if there is none with this number, or none any more.
pub(super) async fn read_one(
    chat: &Chat,
    room: &str,
    thread: Option<u64>,
    seq: u64,
) -> Result<Message, Failure> {
    let mut messages = read_some(chat, room, &[(thread, seq)]).await?;
    messages.pop().ok_or_else(|| no_message(seq))
}

/// Messages of a room by thread and number, as they are now, in the order asked for. Those that aren't there are left out.
pub(crate) async fn read_some(
    chat: &Chat,
    room: &str,
    which: &[(Option<u64>, u64)],
) -> Result<Vec<Message>, Failure> {
    let which = which.iter();
    let which: Vec<At<'_>> = which
        .map(|&(thread, seq)| At { room, thread, seq })
        .collect();
    read_all(chat, &which).await
}

/// The same of any rooms.
pub(crate) async fn read_all(chat: &Chat, which: &[At<'_>]) -> Result<Vec<Message>, Failure> {
    let queries = which.iter().flat_map(|&At { room, thread, seq }| {
        let range = Range {
            to: seq,
            ..Range::from(seq, 1)
        };
        [
            Query::Range {
                log: names::log_of(room, thread),
                range,
            },
            Query::get(names::overlay(room, thread), names::seq_key(seq)),
        ]
    });
    let mut answers = stored::read(chat, queries.collect()).await?.into_iter();
    let mut messages = Vec::with_capacity(which.len());
    for &At { room, thread, .. } in which {
        let (page, overlay) = match (answers.next(), answers.next()) {
            (Some(Answer::Entries(page)), Some(Answer::Document(overlay))) => (page, overlay),
            (other, _) => return Err(stored::unexpected(other.as_ref())),
        };
        let Some(entry) = page.entries.first() else {
            continue;
        };
        let mut message = of_entry(room, thread, entry)?;
        if let Some(overlay) = &overlay {
            message.overlay = records::read(overlay)?;
        }
        messages.push(message);
    }
    expired(chat, &mut messages);
    Ok(messages)
}

/// Adds what doesn't stand with messages: what those say that they answer, and how many of the reactions are of whoever asks.
pub(crate) async fn fill<'a>(
    chat: &Chat,
    asker: &Asker,
    messages: impl IntoIterator<Item = &'a mut Message>,
) -> Result<(), Failure> {
    let mut messages: Vec<&mut Message> = messages.into_iter().collect();
    quote::fill(chat, messages.iter_mut().map(|message| &mut **message)).await?;
    fill_mine(chat, asker, messages).await
}

/// Says how many of the reactions are of whoever asks. Costs a read if there are any.
///
/// It may be newer than the counts beside it: then the event that tells of these is on its way.
pub(crate) async fn fill_mine<'a>(
    chat: &Chat,
    asker: &Asker,
    messages: impl IntoIterator<Item = &'a mut Message>,
) -> Result<(), Failure> {
    let with_reactions = |message: &&mut Message| !message.overlay.reactions.is_empty();
    let mut reacted: Vec<&mut Message> = messages.into_iter().filter(with_reactions).collect();
    if reacted.is_empty() {
        return Ok(());
    }
    let queries = reacted.iter().map(|message| {
        Query::get(
            names::reactions(&message.room, message.thread),
            format!("{}\n{}", names::seq_key(message.seq), asker.id()),
        )
    });
    let answers = stored::read(chat, queries.collect()).await?;
    for (message, answer) in reacted.iter_mut().zip(answers) {
        let given: GivenRecord = match answer {
            Answer::Document(document) => document
                .as_ref()
                .map(records::read)
                .transpose()?
                .unwrap_or_default(),
            other => return Err(stored::unexpected(Some(&other))),
        };
        for reaction in &mut message.overlay.reactions {
            let own = given.0.get(&reaction.emoji);
            reaction.mine = Some(own.map_or(0, |given| given.count));
        }
    }
    Ok(())
}
