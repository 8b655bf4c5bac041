//! `message:edit` and `message:edits`.

use lakh_hub::Failure;
use lakh_hub::store::{Condition, Op, Query};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::change::{self, At, Plan, Present, change};
use super::{Answer, check_data, check_text, gate, gone, mention, nullable, order, pace, view};
use crate::asker::Asker;
use crate::permissions::Right;
use crate::records::{self, Edit, EditsRecord};
use crate::shapes::{OfMessage, Said};
use crate::standing::{self, Standing};
use crate::{Chat, moderation, names};

/// Earlier texts that are kept of a message.
const MOST_EDITS: usize = 20;

#[derive(Deserialize)]
pub(crate) struct AskEdit {
    room: String,
    seq: u64,
    thread: Option<u64>,
    text: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    data: Option<Option<Map<String, Value>>>,
    #[serde(default, deserialize_with = "nullable")]
    mentions: Option<Option<Vec<String>>>,
}

pub(crate) async fn edit(chat: &Chat, asker: &Asker, request: AskEdit) -> Result<Answer, Failure> {
    let room = request.room.clone();
    names::check_room(&room)?;
    asker.allow("send", &room)?;
    let at = At {
        room: &room,
        thread: request.thread,
        seq: request.seq,
    };
    if request.text.is_none() && request.data.is_none() && request.mentions.is_none() {
        return Err(Failure::bad_request("give text, data or mentions"));
    }
    let order = order(asker, &room);
    let _order = chat.0.sending.take(&order).await?;
    let standing = standing::of(chat, asker, &room).await?;
    standing.need(chat, Right::Read)?;
    let present = change::read(chat, at, &[]).await?;
    check(chat, asker, &standing, at, &present)?;
    pace(chat, asker, &room)?;
    let mut said = wanted(chat, &standing, request, &present.said)?;
    moderation::check_edit(chat, asker, &standing, &mut said).await?;
    let passed = gate::pass(chat, asker, &room, "message:edit", &mut said).await?;
    let reached = match said.mentions == present.said.mentions {
        true => Vec::new(),
        false => mention::reached(chat, &room, standing.room.kind, &said).await?,
    };
    let now_ms = chat.now_ms();
    let history = history_of(at);
    let mut new = Vec::new();
    let changed = change(chat, at, "edit", Some(asker.who()), &[history], |present| {
        check(chat, asker, &standing, at, present)?;
        let is_same = said.text == present.said.text
            && said.data == present.said.data
            && said.mentions == present.said.mentions;
        if is_same {
            return Ok(None);
        }
        let mut ops = vec![keep_old(at, present)?];
        let (mention_ops, mentioned) = mention_changes(at, present, &said, &reached)?;
        ops.extend(mention_ops);
        new = mentioned;
        let mut kept = present.kept.clone();
        kept.overlay.edited_at = Some(now_ms);
        kept.overlay.edits = Some(kept.overlay.edits.unwrap_or(0).saturating_add(1));
        Ok(Some(Plan {
            kept,
            said: Some(Said {
                text: said.text.clone(),
                data: said.data.clone(),
                mentions: said.mentions.clone(),
                ..present.said.clone()
            }),
            ops,
        }))
    })
    .await?;
    drop(passed);
    let mut message = changed.message;
    mention::tell(chat, asker, &message, &new);
    view::fill(chat, asker, [&mut message]).await?;
    Ok(Answer { message })
}

/// Whether whoever asks may edit it.
fn check(
    chat: &Chat,
    asker: &Asker,
    standing: &Standing,
    at: At<'_>,
    present: &Present,
) -> Result<(), Failure> {
    let is_own = present.said.from.id == asker.id() && standing.may(chat, Right::EditOwn);
    if !asker.is_system() && !is_own {
        let is_author = present.said.from.id == asker.id();
        standing.need(
            chat,
            if is_author {
                Right::EditOwn
            } else {
                Right::EditAny
            },
        )?;
    }
    standing.need_open()?;
    standing.need_voice(chat.now_ms())?;
    standing.need_goodwill()?;
    match present.is_deleted() {
        true => Err(gone(at.seq)),
        false => Ok(()),
    }
}

/// What the message is to say.
fn wanted(
    chat: &Chat,
    standing: &Standing,
    request: AskEdit,
    present: &Said,
) -> Result<Said, Failure> {
    let mut said = present.clone();
    if let Some(text) = request.text {
        check_text(chat, &text, !said.attachments.is_empty())?;
        said.text = text;
    }
    if let Some(data) = request.data {
        check_data(data.as_ref())?;
        said.data = data;
    }
    if let Some(mentions) = request.mentions {
        said.mentions = mention::check(chat, standing, mentions.unwrap_or_default())?;
    }
    Ok(said)
}

fn history_of(at: At<'_>) -> Query {
    Query::get(names::edits(at.room, at.thread), names::seq_key(at.seq))
}

fn kept_edits(present: &Present) -> Result<EditsRecord, Failure> {
    let record = present.document().map(records::read).transpose()?;
    Ok(record.unwrap_or_default())
}

/// Puts what the message says now to what it said before. The overlay's condition holds for this, too: whoever edits changes
/// both.
fn keep_old(at: At<'_>, present: &Present) -> Result<Op, Failure> {
    let mut record = kept_edits(present)?;
    record.edits.push(Edit {
        text: present.said.text.clone(),
        time: present.kept.overlay.edited_at.unwrap_or(present.time),
    });
    let old = record.edits.len().saturating_sub(MOST_EDITS);
    record.edits.drain(..old);
    Ok(Op::Put {
        collection: names::edits(at.room, at.thread),
        key: names::seq_key(at.seq),
        value: records::to_bytes(&record)?.into(),
        condition: Condition::Any,
        expires_at_ms: None,
    })
}

/// What follows for those who are mentioned now and weren't, or no longer; and the former, who are to be told.
fn mention_changes(
    at: At<'_>,
    present: &Present,
    said: &Said,
    reached: &[String],
) -> Result<(Vec<Op>, Vec<String>), Failure> {
    let (old, now) = (&present.said.mentions, &said.mentions);
    let gone = old.iter().filter(|id| !now.contains(id));
    let mut ops: Vec<Op> = gone.map(|id| mention::remove(at, id)).collect();
    let new: Vec<String> = reached
        .iter()
        .filter(|id| !old.contains(id))
        .cloned()
        .collect();
    for id in &new {
        ops.push(mention::put(at, id, present.time, &present.said)?);
    }
    Ok((ops, new))
}

#[derive(Serialize)]
pub(crate) struct Edits {
    edits: Vec<Edit>,
}

pub(crate) async fn edits(
    chat: &Chat,
    asker: &Asker,
    request: OfMessage,
) -> Result<Edits, Failure> {
    let room = request.room.as_str();
    names::check_room(room)?;
    asker.allow("history", room)?;
    let at = At {
        room,
        thread: request.thread,
        seq: request.seq,
    };
    let standing = standing::of(chat, asker, room).await?;
    standing.need(chat, Right::Read)?;
    let present = change::read(chat, at, &[history_of(at)]).await?;
    let is_author = present.said.from.id == asker.id() && !present.is_deleted();
    if !is_author && !asker.is_system() {
        standing.need(chat, Right::DeleteAny)?;
    }
    Ok(Edits {
        edits: kept_edits(&present)?.edits,
    })
}
