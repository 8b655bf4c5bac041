//! Messages as they are now: what the log has of them, and what has come to them since.

use lakh_hub::Failure;
use lakh_hub::store::{Answer, Document, LogEntry, LogInfo, Order, Query, Range, Scan};

use crate::records;
use crate::shapes::{Message, Overlay, Said};
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

/// Reads messages as they are now, the log and what has come to them from one snapshot.
pub(crate) async fn read_page(
    chat: &Chat,
    room: &str,
    thread: Option<u64>,
    range: Range,
) -> Result<View, Failure> {
    let is_ascending = range.order == Order::Ascending;
    let limit = range.limit;
    let scan = Scan {
        from: (range.from > 0).then(|| names::seq_key(range.from)),
        to: (range.to < u64::MAX).then(|| names::seq_key(range.to.saturating_add(1))),
        limit,
        order: range.order,
        ..Scan::default()
    };
    let collection = names::overlay(room, thread);
    let queries = vec![
        Query::Range {
            log: names::log_of(room, thread),
            range,
        },
        Query::Scan {
            collection: collection.clone(),
            scan: scan.clone(),
        },
    ];
    let reading = chat.0.store.read(chat.now_ms(), queries);
    let mut answers = reading
        .await
        .map_err(|error| stored::not_read(&error))?
        .into_iter();
    let (page, overlays) = match (answers.next(), answers.next()) {
        (Some(Answer::Entries(page)), Some(Answer::Documents(overlays))) => (page, overlays),
        (other, _) => return Err(stored::unexpected(other.as_ref())),
    };
    let read = page
        .entries
        .iter()
        .map(|entry| of_entry(room, thread, entry));
    let mut messages = read.collect::<Result<Vec<_>, _>>()?;
    if !is_ascending {
        messages.reverse();
    }
    lay_over(&mut messages, &overlays.items)?;
    // As many overlays were asked for as messages, from the same end; only very long ones don't fit into one page.
    let mut next = overlays.next.filter(|_| overlays.items.len() < limit);
    while let Some(after) = next {
        let rest = scan.clone().after(Some(after));
        let scanning = chat.0.store.scan(chat.now_ms(), &collection, rest);
        let page = scanning.await.map_err(|error| stored::not_read(&error))?;
        lay_over(&mut messages, &page.items)?;
        next = page.next.filter(|_| !page.items.is_empty());
    }
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

/// One message as it is now.
///
/// # Errors
/// `not_found` if there is none with this number, or none any more.
pub(crate) async fn read_one(
    chat: &Chat,
    room: &str,
    thread: Option<u64>,
    seq: u64,
) -> Result<Message, Failure> {
    let range = Range {
        to: seq,
        ..Range::from(seq, 1)
    };
    let view = read_page(chat, room, thread, range).await?;
    view.messages.into_iter().next().ok_or_else(|| {
        Failure::new(
            "not_found",
            format!("there is no message {seq} here, or none any more"),
        )
    })
}
