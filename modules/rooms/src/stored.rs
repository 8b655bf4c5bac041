//! Histories in the store: a document for each event.
//!
//! Collection `rooms_history`; the key is the hub's name of the room, a separator, and the event's number in 20 digits. The
//! number was given before, so it doesn't matter which node writes, in which order, or how often. A value:
//!
//! ```text
//! 1 · time u64 · attachments u16 · for each: length u32, bytes · the argument list
//! ```
//! Numbers are big-endian; the first byte is the format. Events expire by their age; the one that is `max_entries` older goes
//! with each that is written; and whoever has written a part of `max_bytes` looks how many bytes there are.

use std::sync::Arc;

use lakh_hub::store::{Batch, Condition, Op, Order, Scan};
use lakh_hub::{Bytes, Failure, Once, Room};

use crate::Inner;
use crate::options::HistoryOptions;
use crate::tail::Kept;

const COLLECTION: &str = "rooms_history";
/// Numbers of events that are published once, as text.
const ONCE: &str = "rooms_once";
const FORMAT: u8 = 1;
/// Stands between room and number.
const MARK: char = '\u{1f}';
/// Events read at once.
const PAGE: usize = 256;
/// Events removed at once.
const REMOVED: usize = 1_000;

fn key(room: &str, seq: u64) -> String {
    format!("{room}{MARK}{seq:020}")
}

fn encode(kept: &Kept) -> Bytes {
    let mut out = Vec::with_capacity(kept.bytes());
    out.push(FORMAT);
    out.extend(kept.time_ms.to_be_bytes());
    // A packet has far fewer attachments, and none is longer than a packet may be.
    out.extend(
        u16::try_from(kept.attachments.len())
            .unwrap_or(u16::MAX)
            .to_be_bytes(),
    );
    for bytes in &kept.attachments {
        out.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(bytes);
    }
    out.extend_from_slice(kept.text.as_bytes());
    out.into()
}

/// `None` if it was written by nobody who knows how.
fn decode(seq: u64, bytes: &Bytes) -> Option<Kept> {
    let (&format, rest) = bytes.split_first()?;
    let (time, rest) = rest.split_first_chunk::<8>()?;
    let (count, mut rest) = rest.split_first_chunk::<2>()?;
    if format != FORMAT {
        return None;
    }
    let mut attachments = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, behind) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (data, behind) = behind.split_at_checked(length)?;
        attachments.push(bytes.slice_ref(data));
        rest = behind;
    }
    Some(Kept {
        seq,
        time_ms: u64::from_be_bytes(*time),
        text: std::str::from_utf8(rest).ok()?.into(),
        attachments,
    })
}

fn unavailable(what: &str, error: impl std::fmt::Display) -> Failure {
    tracing::warn!(%error, "a history can't be {what}");
    Failure::new(
        "unavailable",
        format!("the history can't be {what} now; try again later"),
    )
}

fn once_key(once: &Once) -> String {
    format!("{}#{}", once.scope, once.id)
}

/// The number of an event that is to be published once, if it was.
pub(crate) async fn before(rooms: &Inner, once: &Once) -> Result<Option<u64>, Failure> {
    let now_ms = rooms.hub.wall_ms();
    let found = rooms.store.get(now_ms, ONCE, &once_key(once)).await;
    let found = found.map_err(|error| unavailable("read", error))?;
    Ok(found.and_then(|found| found.number()))
}

/// Keeps an event, and notes that if it is to be published once. It's done when the store has both.
pub(crate) async fn write(
    rooms: &Inner,
    room: &Room,
    history: &HistoryOptions,
    kept: &Kept,
    once: Option<&Once>,
) -> Result<(), Failure> {
    let now_ms = rooms.hub.wall_ms();
    let mut batch = Batch::new(now_ms).op(Op::Put {
        collection: COLLECTION.to_owned(),
        key: key(room, kept.seq),
        value: encode(kept),
        condition: Condition::Any,
        expires_at_ms: Some(kept.time_ms.saturating_add(history.max_age_ms)),
    });
    let old = kept.seq.checked_sub(history.max_entries as u64);
    if let Some(old) = old.filter(|old| *old > 0) {
        batch = batch.op(remove(key(room, old)));
    }
    if let Some(once) = once {
        batch = batch.op(Op::Put {
            collection: ONCE.to_owned(),
            key: once_key(once),
            value: kept.seq.to_string().into(),
            condition: Condition::Any,
            expires_at_ms: Some(now_ms.saturating_add(once.keep_ms)),
        });
    }
    let written = rooms.store.write(batch).await;
    if let Err(error) = written {
        tracing::warn!(%error, "an event was delivered but not stored");
        return Err(Failure::new(
            "not_stored",
            "the event was delivered, but could not be stored; who comes later won't see it",
        ));
    }
    if rooms
        .numbers
        .stored(room, kept.bytes(), history.max_bytes / 4)
    {
        trim(rooms, room, history).await?;
    }
    Ok(())
}

fn remove(key: String) -> Op {
    Op::Delete {
        collection: COLLECTION.to_owned(),
        key,
        condition: Condition::Any,
    }
}

/// Removes the oldest events of a room past its bytes, and all past the number that it may keep.
async fn trim(rooms: &Inner, room: &Room, history: &HistoryOptions) -> Result<(), Failure> {
    let (mut bytes, mut events) = (0, 0);
    let mut before = u64::MAX;
    let mut old = Vec::new();
    while old.len() < REMOVED {
        let page = page(rooms, room, 1, before, Order::Descending).await?;
        let Some(last) = page.last() else { break };
        before = last.seq;
        for kept in &page {
            bytes += kept.bytes();
            events += 1;
            if bytes > history.max_bytes || events > history.max_entries {
                old.push(remove(key(room, kept.seq)));
            }
        }
    }
    if old.is_empty() {
        return Ok(());
    }
    let batch = old
        .into_iter()
        .fold(Batch::new(rooms.hub.wall_ms()), Batch::op);
    let trimmed = rooms.store.write(batch).await;
    trimmed
        .map(drop)
        .map_err(|error| unavailable("trimmed", error))
}

/// Some events from `from` on and before `to`, from one end.
pub(crate) async fn page(
    rooms: &Inner,
    room: &Room,
    from: u64,
    to: u64,
    order: Order,
) -> Result<Vec<Arc<Kept>>, Failure> {
    let prefix = format!("{room}{MARK}");
    let scan = Scan {
        from: Some(key(room, from)),
        to: Some(key(room, to)),
        ..Scan::prefix(&prefix).limit(PAGE).order(order)
    };
    let read = rooms
        .store
        .scan(rooms.hub.wall_ms(), COLLECTION, scan)
        .await;
    let page = read.map_err(|error| unavailable("read", error))?;
    let read = page.items.iter().filter_map(|(key, document)| {
        let seq = key.strip_prefix(&prefix)?.parse().ok()?;
        Some(Arc::new(decode(seq, &document.value)?))
    });
    Ok(read.collect())
}

/// Number of the newest event.
pub(crate) async fn last(rooms: &Inner, room: &Room) -> Result<u64, Failure> {
    let newest = page(rooms, room, 1, u64::MAX, Order::Descending).await?;
    Ok(newest.first().map_or(0, |kept| kept.seq))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_back_as_they_were_and_what_is_cut_off_is_not_read() {
        for attachments in [vec![], vec![Bytes::from_static(b"\x00\xff"), Bytes::new()]] {
            let kept = Kept {
                seq: 7,
                time_ms: 1_767_225_600_000,
                text: r#"["e","é",{"seq":7}]"#.into(),
                attachments,
            };
            let bytes = encode(&kept);
            let read = decode(7, &bytes).expect("readable");
            assert_eq!(
                (read.time_ms, read.text, &read.attachments),
                (kept.time_ms, kept.text.clone(), &kept.attachments)
            );
            let head = bytes.len() - kept.text.len();
            for cut in 0..head {
                assert!(decode(7, &bytes.slice(..cut)).is_none(), "{cut}");
            }
            assert!(decode(7, &Bytes::from_static(&[2; 40])).is_none());
        }
    }

    #[test]
    fn keys_are_in_the_order_of_numbers() {
        assert!(key("a", 9) < key("a", 10) && key("a", 10) < key("a", u64::MAX));
    }
}
