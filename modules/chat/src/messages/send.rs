//! `message:send`.

use std::borrow::Cow;

use lakh_hub::store::{Batch, Entry};
use lakh_hub::{Failure, Passed, What, Wish};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::asker::Asker;
use crate::changes::placed;
use crate::ordered::{self, Told};
use crate::permissions::Right;
use crate::shapes::{Message, Overlay, Said, event};
use crate::standing::{self, Standing};
use crate::{Chat, messages, names, records, stored, sweep, told, typing};

#[derive(Deserialize)]
pub(crate) struct Send {
    room: String,
    key: String,
    #[serde(default)]
    text: String,
    data: Option<Map<String, Value>>,
}

#[derive(Serialize)]
pub(crate) struct Sent {
    message: Message,
    duplicate: bool,
}

pub(crate) async fn send(chat: &Chat, asker: &Asker, mut request: Send) -> Result<Sent, Failure> {
    check(chat, asker, &request).await?;
    pace(chat, asker, &request.room)?;
    let passed = pass(chat, asker, &mut request).await?;
    let Send {
        room,
        key,
        text,
        data,
    } = request;
    let said = Said {
        key,
        from: lakh_hub::Person::clone(asker.who()),
        text,
        data,
        mentions: Vec::new(),
        attachments: Vec::new(),
        reply_to: None,
        forwarded: None,
        silent: false,
        expires_at: None,
    };
    let time = chat.now_ms();
    let entry =
        Entry::new(time, records::to_bytes(&said)?).dedupe(&names::dedupe(asker.id(), &said.key));
    let batch = Batch::new(time).append(&names::log(&room), vec![entry]);
    let (turn, writing) = ordered::submit(chat, &room, batch)?;
    // It has its place, and those behind it may go on.
    drop(passed);
    let applied = writing.await.map_err(|error| stored::not_written(&error))?;
    let Some(placed) = placed(applied.first()) else {
        return Err(stored::unexpected(None));
    };
    let seq = placed.seq;
    if placed.duplicate {
        drop(turn);
        return Ok(Sent {
            message: messages::read_one(chat, &room, None, seq).await?,
            duplicate: true,
        });
    }
    let message = Message {
        room,
        thread: None,
        seq,
        said,
        time,
        overlay: Overlay::default(),
    };
    let occurrence = told::message(chat, asker, &message);
    let told = event("message:new", &message).map(|payload| Told {
        payload,
        occurrence: occurrence.map(|occurrence| (What::Message, occurrence)),
    });
    turn.tell(told.into_iter().collect());
    // Whoever's turn it was has told it. The answer says that it can't be lost any more.
    ordered::heard(chat).await?;
    typing::end(chat, asker, &message.room);
    sweep::watch(chat);
    Ok(Sent {
        message,
        duplicate: false,
    })
}

async fn check(chat: &Chat, asker: &Asker, request: &Send) -> Result<Standing, Failure> {
    names::check_room(&request.room)?;
    names::check_key(&request.key)?;
    check_text(chat, &request.text)?;
    asker.allow("send", &request.room)?;
    let standing = standing::of(chat, asker, &request.room).await?;
    standing.need(chat, Right::Send)?;
    standing.need_open()?;
    Ok(standing)
}

fn pace(chat: &Chat, asker: &Asker, room: &str) -> Result<(), Failure> {
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

fn check_text(chat: &Chat, text: &str) -> Result<(), Failure> {
    let most = chat.0.config.max_text_chars;
    if text.is_empty() {
        return Err(Failure::bad_request("a message needs a text"));
    }
    if text.chars().nth(most).is_some() {
        return Err(Failure::new(
            "too_large",
            format!("a message's text is at most {most} characters"),
        ));
    }
    Ok(())
}

/// What somebody outside may change about a message.
#[derive(Serialize, Deserialize)]
struct Content<'a> {
    text: Cow<'a, str>,
}

/// Lets a message through the gate, if there is one. The text may be another one then.
async fn pass(chat: &Chat, asker: &Asker, request: &mut Send) -> Result<Passed, Failure> {
    let Some(socket) = asker.socket().filter(|socket| socket.is_gated()) else {
        return Ok(Passed::default());
    };
    let content = Content {
        text: request.text.as_str().into(),
    };
    let data = serde_json::to_string(&content).map_err(|error| stored::unreadable(&error))?;
    let wish = Wish::Publish {
        room: &request.room,
        event: "message:send",
        data: &data,
    };
    let passed = socket.pass(wish).await?;
    if let Some(changed) = &passed.changed {
        let changed: Content<'_> = serde_json::from_str(changed.get()).map_err(|error| {
            tracing::warn!(%error, "a hook has changed a message into something without a text");
            Failure::new("unavailable", "the server's backend has spoilt the message")
        })?;
        check_text(chat, &changed.text)?;
        request.text = changed.text.into_owned();
    }
    Ok(passed)
}
