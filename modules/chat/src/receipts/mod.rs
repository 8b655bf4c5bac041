//! Receipts: how far everybody has read. What is said here stands in the store before it's answered; others are told at most
//! once a second, one's own other devices at once.
//!
//! Whoever sends a message has read up to it. That is written a moment later, so that sending costs no read.

mod list;
mod marks;
mod moves;
mod requests;
mod tally;
mod telling;
mod throttle;

pub(crate) use list::list;
pub(crate) use marks::Marks;
pub(crate) use moves::begin;
pub(crate) use requests::{delivered, read, read_all, totals, unread};
pub(crate) use tally::{
    Tally, marks as marks_of, marks_query, mentions_query, of, of_answers, queries, seqs, tally,
};
pub(crate) use throttle::Throttle;

use std::time::Duration;

use lakh_hub::presence::Ms;

use crate::shapes::Message;
use crate::{Chat, due, unread};
use marks::Move;
use telling::{Key, Update};

/// How often others are told, and what somebody has sent is written down.
const EVERY: Ms = 1_000;
/// Marks of those who have sent something that are written in one step, and the rest between two such steps: in a lively
/// place each message would be followed by a commit of its own, as dear as that of the message.
const TOGETHER: usize = 200;
const REST: Duration = Duration::from_millis(250);
/// Pairs of a person and a room of which something is told within a second; more aren't told.
const MOST: usize = 20_000;

/// What waits to be told or written.
pub(crate) struct Receipts {
    updates: Throttle<Key, Update>,
    /// Number of the last message that somebody has sent.
    sent: Throttle<Key, u64>,
}

impl Receipts {
    pub(crate) fn new() -> Self {
        Self {
            updates: Throttle::new(EVERY, MOST),
            sent: Throttle::new(EVERY, MOST),
        }
    }
}

/// A message was stored. Takes note for what follows from that, and waits for nothing.
pub(crate) fn stored(chat: &Chat, message: &Message) {
    if let Some(at_ms) = message.said.expires_at {
        due::soon(chat, at_ms);
    }
    unread::note(chat, message);
    if message.thread.is_some() {
        return;
    }
    let key = (message.room.clone(), message.said.from.id.clone());
    let sent = &chat.0.receipts.sent;
    sent.put(chat.clock_ms(), key, message.seq, |old, new| {
        *old = new.max(*old);
    });
}

/// Marks, with what the person has sent just now on this node.
pub(crate) fn with_sent(chat: &Chat, room: &str, person: &str, marks: Marks, last: u64) -> Marks {
    let key = (room.to_owned(), person.to_owned());
    match chat.0.receipts.sent.peek(&key, |seq| *seq) {
        Some(seq) => marks.after(Move::Read(seq), last),
        None => marks,
    }
}

/// Works for as long as the loop does.
pub(crate) async fn run_updates(chat: Chat) {
    let (updates, hub) = (&chat.0.receipts.updates, chat.0.namespace.hub());
    updates
        .run(hub, async |key, update| {
            telling::tell_others(&chat, key, &update);
        })
        .await;
}

/// Works for as long as the loop does.
pub(crate) async fn run_sent(chat: Chat) {
    let (sent, hub) = (&chat.0.receipts.sent, chat.0.namespace.hub());
    sent.run_together(hub, TOGETHER, REST, async |all| {
        if moves::sent_together(&chat, &all).await {
            return;
        }
        for (key, seq) in all {
            let Err(failure) = moves::sent(&chat, &key.0, &key.1, seq).await else {
                continue;
            };
            tracing::debug!(room = key.0, %failure.message, "what somebody sent is not yet counted as read");
            if failure.code == "unavailable" {
                sent.put(hub.clock_ms(), key, seq, |later, old| {
                    *later = old.max(*later);
                });
            }
        }
    })
    .await;
}
