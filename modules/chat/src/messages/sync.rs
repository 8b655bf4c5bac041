//! `message:sync`: exactly what somebody missed.
//!
//! A client has all messages up to `seq` and all changes up to `rev`, and listens again before it asks. Then nothing is missed:
//!
//! * New messages, the changes behind `rev` and how far both go are read from one snapshot.
//! * What a changed message is like now is read after that. It holds all changes up to the answer's `rev`; if it holds later
//!   ones, too, they are told as well, and each tells what fields are from then on, not how they change.
//! * Where the answer doesn't hold everything (`more`), its `seq` and `rev` say how far it goes in both, and the next one
//!   begins there. A message that is new in one answer is whole as of then; what changes later has a number behind that
//!   answer's `rev`, or stood in that message already.
//! * What was written behind the snapshot is told to whoever listens.

use lakh_hub::Failure;
use lakh_hub::store::{Answer, LogPage, Query, Range};
use serde::{Deserialize, Serialize};

use super::history::limit;
use super::view;
use crate::asker::Asker;
use crate::changes::Change;
use crate::permissions::Right;
use crate::shapes::Message;
use crate::{Chat, names, standing, stored};

/// Changes that are looked through for each message that an answer may hold.
const CHANGES_EACH: usize = 4;

#[derive(Deserialize)]
pub(crate) struct AskSync {
    room: String,
    thread: Option<u64>,
    seq: u64,
    rev: u64,
    /// That of the room which the numbers are of.
    created_at: Option<u64>,
    limit: Option<usize>,
}

#[derive(Serialize)]
pub(crate) struct Missed {
    /// Those behind the number that was given.
    messages: Vec<Message>,
    /// Those up to it that were changed, as they are now.
    changed: Vec<Message>,
    /// How far `messages` goes.
    seq: u64,
    /// How far `changed` goes.
    rev: u64,
    more: bool,
    /// The changes of that time aren't kept any more, or the numbers aren't this room's: what the client has is of no use.
    reset: bool,
}

pub(crate) async fn sync(chat: &Chat, asker: &Asker, request: AskSync) -> Result<Missed, Failure> {
    let (room, thread) = (request.room.as_str(), request.thread);
    names::check_room(room)?;
    asker.allow("history", room)?;
    let standing = standing::of(chat, asker, room).await?;
    standing.need(chat, Right::Read)?;
    let limit = limit(chat, request.limit)?;
    let range = Range::from(request.seq.saturating_add(1), limit);
    let changes = Range::from(request.rev.saturating_add(1), limit * CHANGES_EACH);
    let queries = vec![
        Query::Range {
            log: names::log_of(room, thread),
            range,
        },
        Query::Scan {
            collection: names::overlay(room, thread),
            scan: view::overlays_of(&range),
        },
        Query::Range {
            log: names::changes(room),
            range: changes,
        },
    ];
    let mut answers = stored::read(chat, queries).await?.into_iter();
    let (new, changes) = match (answers.next(), answers.next(), answers.next()) {
        (
            Some(Answer::Entries(page)),
            Some(Answer::Documents(overlays)),
            Some(Answer::Entries(changes)),
        ) => {
            let new = view::view(chat, room, thread, &range, page, overlays).await?;
            (new, changes)
        }
        (other, ..) => return Err(stored::unexpected(other.as_ref())),
    };
    let (seq, rev) = (new.info.last_seq, changes.info.last_seq);
    let is_trimmed = request.rev < rev && request.rev + 1 < changes.info.first_seq;
    let is_other = request
        .created_at
        .is_some_and(|at| at != standing.room.created_at);
    if is_other || is_trimmed || request.seq > seq || request.rev > rev {
        return Ok(Missed {
            messages: Vec::new(),
            changed: Vec::new(),
            seq,
            rev,
            more: false,
            reset: true,
        });
    }
    if let Some(root) = thread.filter(|_| seq == 0) {
        view::need_message(chat, room, (None, root)).await?;
    }
    let touched = touched(&changes, &request, limit)?;
    let mut changed = view::read_some(chat, room, &touched.which).await?;
    let mut messages = new.messages;
    view::fill(chat, asker, messages.iter_mut().chain(&mut changed)).await?;
    let last = messages.last().map(|message| message.seq);
    Ok(Missed {
        seq: if new.more {
            last.unwrap_or(request.seq)
        } else {
            seq
        },
        rev: touched.rev,
        more: new.more || touched.rev < rev,
        reset: false,
        messages,
        changed,
    })
}

/// Messages that were changed.
struct Touched {
    which: Vec<(Option<u64>, u64)>,
    /// Up to this change.
    rev: u64,
}

/// Finds out which messages are to be given whole, as far as they fit.
fn touched(changes: &LogPage, request: &AskSync, limit: usize) -> Result<Touched, Failure> {
    let mut which: Vec<(Option<u64>, u64)> = Vec::new();
    let mut rev = request.rev;
    for entry in &changes.entries {
        let change: Change =
            serde_json::from_slice(&entry.value).map_err(|error| stored::unreadable(&error))?;
        if let Some(seq) = change.seq
            && is_asked_for(request, change.thread, seq)
            && !which.contains(&(change.thread, seq))
        {
            if which.len() >= limit {
                return Ok(Touched { which, rev });
            }
            which.push((change.thread, seq));
        }
        rev = entry.seq;
    }
    // Changes of other things may be all there is behind.
    Ok(Touched {
        which,
        rev: if changes.more {
            rev
        } else {
            changes.info.last_seq
        },
    })
}

/// Whether a changed message is one that the client may have. Of threads it says only how far it has the one that it asks
/// for; in the room's own messages those of all threads are looked after.
fn is_asked_for(request: &AskSync, thread: Option<u64>, seq: u64) -> bool {
    match (request.thread, thread) {
        (None, Some(_)) => true,
        (asked, thread) => asked == thread && seq <= request.seq,
    }
}
