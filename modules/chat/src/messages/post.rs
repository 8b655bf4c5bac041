//! Writing a new message and telling it.

use lakh_hub::store::{Answer, Applied, Batch, Entry, Op, Query};
use lakh_hub::{Failure, Passed, What};

use super::{mention, quote, reply, view};
use crate::asker::Asker;
use crate::changes::placed;
use crate::ordered::{self, Told};
use crate::permissions::Kind;
use crate::records::{self, DueRecord};
use crate::shapes::{Message, Overlay, Said, event};
use crate::turns::Turn;
use crate::{Chat, attachments, names, receipts, search, stored, told};

/// A message that is sent again is told again while it's younger than this, where there are other nodes: the one that stored
/// it may have died before it could tell. Who has it passes over it, by its number. A node that is alone has told it, or lost
/// all who listened.
const TELL_AGAIN_MS: u64 = 60_000;

/// A message to be written.
#[derive(Clone, Debug)]
pub(super) struct Post {
    pub room: String,
    pub thread: Option<u64>,
    pub kind: Kind,
    pub said: Said,
    /// What else is written in the same step.
    pub also: Vec<Op>,
}

/// What a message has before those behind it, until it has its place.
#[derive(Default)]
pub(super) struct Ahead<'a> {
    pub passed: Passed,
    pub turn: Option<Turn<'a>>,
}

/// A message that is written.
#[derive(Debug)]
pub(super) struct Posted {
    pub message: Message,
    /// It was there before.
    pub duplicate: bool,
}

impl Post {
    /// The log's entry, with what is to be found by it.
    pub(super) fn entry(
        &self,
        chat: &Chat,
        asker: &Asker,
        time: u64,
        reached: &[String],
    ) -> Result<Entry, Failure> {
        let entry = Entry::new(time, records::to_bytes(&*quote::stored(&self.said))?)
            .dedupe(&names::dedupe(asker.id(), &self.said.key));
        let (room, thread) = (self.room.as_str(), self.thread);
        let entry = match chat.0.store.can_search() {
            true => entry.text(search::text_of(&self.said)),
            false => entry,
        };
        let written = names::written(&self.said.from.id);
        let entry = entry.note(&written, &names::in_room(room, thread), "", None);
        let entry = mention::note(entry, room, thread, reached, &self.said)?;
        let entry = attachments::note(entry, &self.said.attachments);
        let Some(at_ms) = self.said.expires_at else {
            return Ok(entry);
        };
        let due = records::to_bytes(&DueRecord::Expire {
            room: room.to_owned(),
            thread,
            seq: None,
        })?;
        let prefix = DueRecord::prefix(at_ms, &names::in_room(room, thread));
        Ok(entry.note(names::DUE, &prefix, due, None))
    }

    pub(super) fn message(self, seq: u64, time: u64) -> Message {
        Message {
            room: self.room,
            thread: self.thread,
            seq,
            said: self.said,
            time,
            overlay: Overlay::default(),
        }
    }
}

/// Writes a message and tells the room. Where it was written before, it's the one that is there.
pub(super) async fn post(
    chat: &Chat,
    asker: &Asker,
    post: Post,
    ahead: Ahead<'_>,
) -> Result<Posted, Failure> {
    let reached = match post.said.mentions.is_empty() {
        true => Vec::new(),
        false => mention::reached(chat, &post.room, post.kind, &post.said).await?,
    };
    let posted = match post.thread {
        None => in_room(chat, asker, post, &reached, ahead).await?,
        Some(root) => reply::in_thread(chat, asker, post, root, &reached, ahead).await?,
    };
    if !posted.duplicate {
        chat.0.counters.stored(posted.message.thread.is_some());
        mention::tell(chat, asker, &posted.message, &reached);
        receipts::stored(chat, &posted.message);
    }
    Ok(posted)
}

async fn in_room(
    chat: &Chat,
    asker: &Asker,
    post: Post,
    reached: &[String],
    ahead: Ahead<'_>,
) -> Result<Posted, Failure> {
    let time = chat.now_ms();
    let entry = post.entry(chat, asker, time, reached)?;
    let batch = Batch::new(time).append(&names::log(&post.room), vec![entry]);
    let batch = post.also.iter().cloned().fold(batch, Batch::op);
    let (turn, writing) = ordered::submit(chat, &post.room, batch)?;
    // It has its place, and those behind it may go on.
    drop(ahead);
    let applied = writing.await.map_err(|error| stored::not_written(&error))?;
    let Some(placed) = placed(applied.first()) else {
        return Err(stored::unexpected(None));
    };
    if placed.duplicate {
        drop(turn);
        return again(chat, asker, &post.room, None, placed.seq).await;
    }
    let message = post.message(placed.seq, time);
    turn.tell(news(chat, asker, &message).into_iter().collect());
    // Whoever's turn it was has told it. The answer says that it can't be lost any more.
    ordered::heard(chat).await?;
    Ok(Posted {
        message,
        duplicate: false,
    })
}

/// How a new message is told.
pub(super) fn news(chat: &Chat, asker: &Asker, message: &Message) -> Option<Told> {
    let payload = event("message:new", message)?;
    let occurrence = told::message(chat, asker, message);
    Some(Told {
        payload: Some(payload),
        occurrence: occurrence.map(|occurrence| (What::Message, occurrence)),
    })
}

/// The message that is there already. Its age decides whether it's told again.
pub(super) async fn again(
    chat: &Chat,
    asker: &Asker,
    room: &str,
    thread: Option<u64>,
    seq: u64,
) -> Result<Posted, Failure> {
    let mut message = view::read_one(chat, room, thread, seq).await?;
    quote::fill(chat, [&mut message]).await?;
    let is_young = chat.now_ms().saturating_sub(message.time) < TELL_AGAIN_MS;
    if is_young && chat.0.namespace.hub().cluster_state().is_some() {
        // Backends have heard of it, or will by what the hub keeps for them.
        let payload = event("message:new", &message);
        let to = chat.0.namespace.to(names::hub_room(room));
        if let Some(payload) = payload
            && let Err(error) = to.emit_raw(payload)
        {
            tracing::warn!(room, %error, "the server was too busy to tell a message again");
        }
        ordered::heard(chat).await?;
    }
    view::fill_mine(chat, asker, [&mut message]).await?;
    Ok(Posted {
        message,
        duplicate: true,
    })
}

/// A message by the key that its sender gave it.
pub(super) async fn find(
    chat: &Chat,
    asker: &Asker,
    room: &str,
    thread: Option<u64>,
    key: &str,
) -> Result<Option<Message>, Failure> {
    let query = Query::Find {
        log: names::log_of(room, thread),
        dedupe: names::dedupe(asker.id(), key),
    };
    let mut answers = stored::read(chat, vec![query]).await?;
    match answers.pop() {
        Some(Answer::Seq(None)) => Ok(None),
        Some(Answer::Seq(Some(seq))) => {
            let posted = again(chat, asker, room, thread, seq).await?;
            Ok(Some(posted.message))
        }
        other => Err(stored::unexpected(other.as_ref())),
    }
}

/// Where a new entry is, and whether it was there before.
pub(super) fn place(applied: &[Applied]) -> Option<(u64, bool)> {
    placed(applied.first()).map(|placed| (placed.seq, placed.duplicate))
}
