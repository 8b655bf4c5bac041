//! `message:send`.
//!
//! A plain message costs one append and no read: what the sender is in the room stands in memory. A quote, mentions, a
//! thread each cost the read that they need.
//!
//! What one person says in one room is numbered in the order of their saying, from each of their connections: a message for
//! which something is read first keeps those behind it waiting until it has its place. A plain one goes through to the
//! store without waiting for anything, unless such a one is before it.

use lakh_hub::store::{Batch, Op};
use lakh_hub::{Failure, Person};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::post::{self, Ahead, Post, Posted};
use super::{At, change, check_data, check_text, gate, gone, mention, order, quote};
use crate::asker::Asker;
use crate::moderation::Held;
use crate::permissions::Right;
use crate::shapes::{Message, Said};
use crate::standing::{self, Standing};
use crate::{
    Chat, attachments, moderation, names, ordered, records, rooms, schedule, stored, sweep, told,
    typing,
};

/// Files in one message at most.
const MAX_ATTACHMENTS: usize = 10;
/// Longest life of a message that expires: a year of 366 days.
const MAX_EXPIRES_IN_S: u64 = 366 * 24 * 3_600;

/// What somebody asks to be sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Send {
    pub room: String,
    pub key: String,
    #[serde(default, deserialize_with = "lakh_hub::or_default")]
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Map<String, Value>>,
    #[serde(
        default,
        deserialize_with = "lakh_hub::or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub mentions: Vec<String>,
    #[serde(
        default,
        deserialize_with = "lakh_hub::or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub attachments: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<u64>,
    /// Milliseconds since 1970 at which it's to be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u64>,
    #[serde(
        default,
        deserialize_with = "lakh_hub::or_default",
        skip_serializing_if = "records::is_false"
    )]
    pub silent: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Sent {
    Now {
        message: Box<Message>,
        duplicate: bool,
    },
    Later {
        scheduled: Value,
    },
}

impl Send {
    /// Whether nothing has to be read before it can be sent.
    fn is_plain(&self) -> bool {
        self.mentions.is_empty()
            && self.attachments.is_empty()
            && self.reply_to.is_none()
            && self.thread.is_none()
            && self.at.is_none()
    }
}

pub(crate) async fn send(chat: &Chat, asker: &Asker, request: Send) -> Result<Sent, Failure> {
    names::check_room(&request.room)?;
    let order = || order(asker, &request.room);
    let known = standing::known(chat, asker, &request.room);
    let (standing, key);
    let mut ahead = Ahead::default();
    if let Some(known) = known
        && request.is_plain()
        && chat.0.sending.is_free(order)
    {
        standing = known;
    } else {
        key = order();
        ahead.turn = Some(chat.0.sending.take(&key).await?);
        standing = standing::of(chat, asker, &request.room).await?;
    }
    check(chat, &request)?;
    pace(chat, asker, &request.room)?;
    if let Err(failure) = may(chat, asker, &standing, &request) {
        return sent_before(chat, asker, &request, failure).await;
    }
    if let Some(at_ms) = request.at {
        standing.need(chat, Right::Schedule)?;
        let scheduled = schedule::put(chat, asker, &standing, &request, at_ms).await?;
        return Ok(Sent::Later { scheduled });
    }
    let posted = prepare_and_post(chat, asker, &standing, request, Vec::new(), ahead).await?;
    typing::end(chat, asker, &posted.message.room);
    sweep::watch(chat);
    ordered::noted(chat).await?;
    Ok(Sent::Now {
        message: Box::new(posted.message),
        duplicate: posted.duplicate,
    })
}

/// Sends a message whose time has come, into the room that was made at the time given. What is written with it goes away with
/// that: it's sent once, whoever is at it.
///
/// # Errors
/// What its author would be answered now.
pub(crate) async fn send_due(
    chat: &Chat,
    asker: &Asker,
    (request, room_made): (Send, u64),
    also: Vec<Op>,
) -> Result<(), Failure> {
    let order = format!("{}\n{}", request.room, asker.id());
    let ahead = Ahead {
        turn: Some(chat.0.sending.take(&order).await?),
        ..Ahead::default()
    };
    let standing = standing::of(chat, asker, &request.room).await?;
    if room_made > 0 && standing.room.created_at != room_made {
        // That room is gone, and another has its name.
        return Err(standing::no_room());
    }
    check(chat, &request)?;
    may(chat, asker, &standing, &request)?;
    standing.need(chat, Right::Schedule)?;
    let gone = also.clone();
    let posted = prepare_and_post(chat, asker, &standing, request, also, ahead).await?;
    if posted.duplicate {
        // It was sent otherwise, and what is due may still stand there.
        let batch = gone.into_iter().fold(Batch::new(chat.now_ms()), Batch::op);
        stored::try_write(chat, batch).await?;
    }
    Ok(())
}

/// Asks the gate about a message that is to be sent later: then nobody is there to be refused.
pub(crate) async fn gate_request(
    chat: &Chat,
    asker: &Asker,
    request: &mut Send,
) -> Result<(), Failure> {
    let mut said = Said {
        text: std::mem::take(&mut request.text),
        data: request.data.take(),
        mentions: request.mentions.clone(),
        silent: request.silent,
        ..Said::nothing(request.key.clone(), Person::clone(asker.who()))
    };
    drop(gate::pass(chat, asker, &request.room, "message:send", &mut said).await?);
    request.text = said.text;
    request.data = said.data;
    Ok(())
}

async fn prepare_and_post(
    chat: &Chat,
    asker: &Asker,
    standing: &Standing,
    request: Send,
    also: Vec<Op>,
    mut ahead: Ahead<'_>,
) -> Result<Posted, Failure> {
    let (room, thread, key) = (request.room.clone(), request.thread, request.key.clone());
    let mut held = Held::default();
    let files = request.attachments.clone();
    let ready = async {
        let mut said = prepare(chat, asker, standing, request).await?;
        held = moderation::check(chat, asker, standing, &room, &mut said).await?;
        ahead.passed = gate::pass(chat, asker, &room, "message:send", &mut said).await?;
        rooms::reach(chat, asker, &room, standing).await?;
        let post = Post {
            room: room.clone(),
            thread,
            kind: standing.room.kind,
            said,
            also,
        };
        post::post(chat, asker, post, ahead).await
    };
    let posted = ready.await;
    if !posted.as_ref().is_ok_and(|posted| !posted.duplicate) {
        moderation::let_go(chat, asker, &room, held).await;
    }
    match posted {
        Ok(posted) => Ok(posted),
        // What it quotes may be gone since it was sent, or the room be slower. It's the same message all the same.
        Err(failure) => match post::find(chat, asker, &room, thread, &key).await? {
            Some(message) => Ok(Posted {
                message,
                duplicate: true,
            }),
            None => {
                attachments::give_back(chat, asker, &files).await;
                Err(failure)
            }
        },
    }
}

/// Somebody may not say this, or no more: if it was said before that, this is the same message.
async fn sent_before(
    chat: &Chat,
    asker: &Asker,
    request: &Send,
    refused: Failure,
) -> Result<Sent, Failure> {
    if request.at.is_some() {
        return Err(refused);
    }
    let found = post::find(chat, asker, &request.room, request.thread, &request.key).await?;
    let message = found.ok_or(refused)?;
    Ok(Sent::Now {
        message: Box::new(message),
        duplicate: true,
    })
}

/// What would be refused now about a message that is to be sent later is told now. It's looked at again then.
pub(crate) async fn foresee(
    chat: &Chat,
    asker: &Asker,
    standing: &Standing,
    request: &Send,
) -> Result<(), Failure> {
    let (room, thread) = (request.room.as_str(), request.thread);
    mention::check(chat, standing, request.mentions.clone())?;
    if let Some(root) = thread {
        let at = At {
            room,
            thread: None,
            seq: root,
        };
        if change::read(chat, at, &[]).await?.is_deleted() {
            return Err(gone(root));
        }
    }
    if let Some(seq) = request.reply_to {
        quote::of(chat, room, thread, seq).await?;
    }
    let mut said = Said {
        text: request.text.clone(),
        ..Said::nothing(request.key.clone(), Person::clone(asker.who()))
    };
    moderation::check_edit(chat, asker, standing, &mut said).await
}

/// Whether a message has the form of one.
fn check(chat: &Chat, request: &Send) -> Result<(), Failure> {
    names::check_key(&request.key)?;
    check_text(chat, &request.text, !request.attachments.is_empty())?;
    check_data(request.data.as_ref())?;
    if request.attachments.len() > MAX_ATTACHMENTS {
        return Err(Failure::new(
            "too_large",
            format!("a message has at most {MAX_ATTACHMENTS} files"),
        ));
    }
    if let Some(seconds) = request.expires_in_s
        && !(1..=MAX_EXPIRES_IN_S).contains(&seconds)
    {
        return Err(Failure::bad_request(format!(
            "expires_in_s is 1 to {MAX_EXPIRES_IN_S}"
        )));
    }
    Ok(())
}

/// Whether it may be sent, as far as that is known without a read.
fn may(chat: &Chat, asker: &Asker, standing: &Standing, request: &Send) -> Result<(), Failure> {
    asker.allow("send", &request.room)?;
    let right = match request.thread {
        Some(_) => Right::Reply,
        None => Right::Send,
    };
    standing.need_to_write(chat, right)?;
    if !request.attachments.is_empty() {
        standing.need(chat, Right::Attach)?;
    }
    Ok(())
}

/// What the log is to keep of it.
async fn prepare(
    chat: &Chat,
    asker: &Asker,
    standing: &Standing,
    request: Send,
) -> Result<Said, Failure> {
    let room = request.room.as_str();
    let reply_to = match request.reply_to {
        Some(seq) => Some(quote::of(chat, room, request.thread, seq).await?),
        None => None,
    };
    let attachments = match request.attachments.is_empty() {
        true => Vec::new(),
        false => attachments::take(chat, asker, room, &request.attachments).await?,
    };
    Ok(Said {
        mentions: mention::check(chat, standing, request.mentions)?,
        key: request.key,
        from: Person::clone(asker.who()),
        text: request.text,
        data: request.data,
        attachments,
        reply_to,
        forwarded: None,
        silent: request.silent,
        expires_at: request
            .expires_in_s
            .map(|seconds| chat.now_ms() + seconds * 1_000),
    })
}

/// Holds people to their pace.
pub(crate) fn pace(chat: &Chat, asker: &Asker, room: &str) -> Result<(), Failure> {
    if asker.is_system() {
        return Ok(());
    }
    let now_ms = chat.now_ms();
    let paced = {
        let mut table = chat.0.table.lock();
        table.pacing.message(&chat.0.config, asker.id(), now_ms)
    };
    paced.inspect_err(|_| told::limited(asker, room, "messages_per_second"))
}
