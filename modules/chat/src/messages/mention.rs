//! Mentions: who is meant by a message, what is kept of it for them, and how they are told.

use lakh_hub::store::{Answer, Condition, Entry, Op, Query};
use lakh_hub::{Failure, Person};
use serde::Serialize;

use super::{At, excerpt};
use crate::asker::Asker;
use crate::permissions::{Kind, Right, Role};
use crate::records::{self, MemberRecord, MentionRecord};
use crate::shapes::{Message, Said};
use crate::standing::Standing;
use crate::{Chat, names, stored};

/// People that one message mentions at most.
const MOST: usize = 50;
/// Stands for everybody in the room.
const ALL: &str = "*";

/// The argument of `mention:new`.
#[derive(Serialize)]
struct MentionNew<'a> {
    room: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread: Option<u64>,
    seq: u64,
    from: &'a Person,
    text: String,
}

/// Checks who is mentioned, each once.
pub(super) fn check(
    chat: &Chat,
    standing: &Standing,
    mentions: Vec<String>,
) -> Result<Vec<String>, Failure> {
    if mentions.len() > MOST {
        return Err(Failure::new(
            "too_large",
            format!("a message mentions at most {MOST} people; `*` means all"),
        ));
    }
    names::check_people("mentions", &mentions)?;
    let mut checked: Vec<String> = Vec::with_capacity(mentions.len());
    for id in mentions {
        if id == ALL {
            standing.need(chat, Right::MentionAll)?;
        }
        if !checked.contains(&id) {
            checked.push(id);
        }
    }
    Ok(checked)
}

/// Those among the mentioned for whom it's kept and who are told: members, and at a thing everybody. Not whoever says it.
pub(super) async fn reached(
    chat: &Chat,
    room: &str,
    kind: Kind,
    said: &Said,
) -> Result<Vec<String>, Failure> {
    let ids = said.mentions.iter().filter(|id| **id != said.from.id);
    let ids: Vec<String> = ids.cloned().collect();
    if kind == Kind::Thing || ids.iter().all(|id| id == ALL) {
        return Ok(ids);
    }
    let members = names::members(room);
    let get = |key: &String| Query::get(members.clone(), key.clone());
    let answers = stored::read(chat, ids.iter().map(get).collect()).await?;
    let mut reached = Vec::with_capacity(ids.len());
    for (id, answer) in ids.into_iter().zip(answers) {
        let is_member = match answer {
            Answer::Document(Some(member)) => {
                records::read::<MemberRecord>(&member)?.role > Role::Guest
            }
            Answer::Document(None) => false,
            other => return Err(stored::unexpected(Some(&other))),
        };
        if is_member || id == ALL {
            reached.push(id);
        }
    }
    Ok(reached)
}

fn collection(id: &str) -> String {
    match id {
        ALL => names::MENTIONS_OF_ALL.to_owned(),
        id => names::mentions(id),
    }
}

/// Keeps with a new message whom it mentions.
pub(super) fn note(
    mut entry: Entry,
    room: &str,
    thread: Option<u64>,
    reached: &[String],
    said: &Said,
) -> Result<Entry, Failure> {
    for id in reached {
        let time = entry.time_ms;
        let value = records::to_bytes(&MentionRecord { time })?;
        let prefix = names::in_room(room, thread);
        entry = entry.note(&collection(id), &prefix, value, said.expires_at);
    }
    Ok(entry)
}

/// Keeps that a message mentions somebody from now on.
pub(super) fn put(at: At<'_>, id: &str, time: u64, said: &Said) -> Result<Op, Failure> {
    Ok(Op::Put {
        collection: collection(id),
        key: key(at),
        value: records::to_bytes(&MentionRecord { time })?.into(),
        condition: Condition::Any,
        expires_at_ms: said.expires_at,
    })
}

/// Forgets that a message mentions somebody.
pub(super) fn remove(at: At<'_>, id: &str) -> Op {
    Op::Delete {
        collection: collection(id),
        key: key(at),
        condition: Condition::Any,
    }
}

fn key(at: At<'_>) -> String {
    names::in_room(at.room, at.thread) + &names::seq_key(at.seq)
}

/// Tells people that they are mentioned, on all their devices. Whoever is meant by `*` finds out by the message itself.
pub(super) fn tell(chat: &Chat, asker: &Asker, message: &Message, reached: &[String]) {
    for id in reached.iter().filter(|id| *id != ALL) {
        let told = MentionNew {
            room: &message.room,
            thread: message.thread,
            seq: message.seq,
            from: asker.who(),
            text: excerpt(&message.said.text),
        };
        let to = chat.0.namespace.to(Person::room_of(id));
        if let Err(error) = to.emit("mention:new", &told) {
            tracing::warn!(%error, "the server was too busy to tell somebody of a mention; their list has it");
        }
    }
}
