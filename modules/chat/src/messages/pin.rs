//! `message:pin` and `pin:list`. What is pinned in a room stands in one document, so that its bound is kept whoever pins
//! what at the same time.

use lakh_hub::store::{Answer as Found, Condition, Op, Query};
use lakh_hub::{Failure, Person};
use serde::{Deserialize, Serialize};

use super::change::{At, Plan, Present, change};
use super::{Answer, gone, order, pace, view};
use crate::asker::Asker;
use crate::permissions::Right;
use crate::records::{self, PinRecord, PinsRecord};
use crate::shapes::{Done, InRoom, Message};
use crate::{Chat, names, standing, stored};

/// Messages that are pinned in a room at most.
const MOST: usize = 100;

#[derive(Deserialize)]
pub(crate) struct AskPin {
    room: String,
    seq: u64,
    thread: Option<u64>,
    pinned: bool,
}

pub(crate) async fn pin(chat: &Chat, asker: &Asker, request: AskPin) -> Result<Answer, Failure> {
    let room = request.room.as_str();
    names::check_room(room)?;
    asker.allow("send", room)?;
    let at = At {
        room,
        thread: request.thread,
        seq: request.seq,
    };
    let order = order(asker, room);
    let _order = chat.0.sending.take(&order).await?;
    let standing = standing::of(chat, asker, room).await?;
    standing.need_to_write(chat, Right::Pin)?;
    pace(chat, asker, room)?;
    let done = Done {
        by: Person::clone(asker.who()),
        at: chat.now_ms(),
    };
    let pins = [pins_of(room)];
    let pinned = request.pinned.then_some(done);
    // Pins of different messages meet in that one document.
    let list = format!("{room}\npins");
    let _turn = chat.0.turns.take(&list).await?;
    let changed = change(chat, at, "pin", Some(asker.who()), &pins, |present| {
        plan(at, present, pinned.clone())
    })
    .await?;
    let mut message = changed.message;
    view::fill(chat, asker, [&mut message]).await?;
    Ok(Answer { message })
}

fn pins_of(room: &str) -> Query {
    Query::get(names::PINS, room)
}

fn plan(at: At<'_>, present: &Present, pinned: Option<Done>) -> Result<Option<Plan>, Failure> {
    if present.is_deleted() {
        return Err(gone(at.seq));
    }
    if present.kept.overlay.pinned.is_some() == pinned.is_some() {
        return Ok(None);
    }
    let document = present.document();
    let mut record: PinsRecord = document.map(records::read).transpose()?.unwrap_or_default();
    record
        .pins
        .retain(|pin| (pin.thread, pin.seq) != (at.thread, at.seq));
    if pinned.is_some() {
        if record.pins.len() >= MOST {
            return Err(Failure::new(
                "too_many",
                format!("{MOST} messages are pinned here; take one down first"),
            ));
        }
        record.pins.push(PinRecord {
            seq: at.seq,
            thread: at.thread,
        });
    }
    let put = Op::Put {
        collection: names::PINS.to_owned(),
        key: at.room.to_owned(),
        value: records::to_bytes(&record)?.into(),
        condition: document.map_or(Condition::Absent, |document| {
            Condition::Version(document.version)
        }),
        expires_at_ms: None,
    };
    let mut kept = present.kept.clone();
    kept.overlay.pinned = pinned;
    Ok(Some(Plan {
        kept,
        said: None,
        ops: vec![put],
    }))
}

#[derive(Serialize)]
pub(crate) struct Pins {
    pins: Vec<Message>,
}

/// What is pinned, the newest pin first.
pub(crate) async fn pins(chat: &Chat, asker: &Asker, request: InRoom) -> Result<Pins, Failure> {
    let room = request.room.as_str();
    names::check_room(room)?;
    asker.allow("history", room)?;
    let standing = standing::of(chat, asker, room).await?;
    standing.need(chat, Right::Read)?;
    let mut answers = stored::read(chat, vec![pins_of(room)]).await?;
    let record: PinsRecord = match answers.pop() {
        Some(Found::Document(document)) => document
            .as_ref()
            .map(records::read)
            .transpose()?
            .unwrap_or_default(),
        other => return Err(stored::unexpected(other.as_ref())),
    };
    let pins = record.pins.iter().rev();
    let which: Vec<_> = pins.map(|pin| (pin.thread, pin.seq)).collect();
    let mut messages = view::read_some(chat, room, &which).await?;
    // One may have been taken down since the list was read, or gone with the oldest messages.
    messages.retain(|message| message.overlay.pinned.is_some());
    view::fill(chat, asker, &mut messages).await?;
    Ok(Pins { pins: messages })
}
