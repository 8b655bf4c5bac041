//! Messages: sending, reading, and what becomes of them.
//!
//! What somebody said stands in the log of its room or thread and nowhere else, so that an edit or a deletion is the whole
//! truth at once. What came to it since (reactions, a pin, replies, that it was edited or deleted) stands in its overlay.
//! Every change of either is made on condition that the overlay is as it was read ([`change`]), and has a number in the room.

mod change;
mod delete;
mod edit;
mod forward;
mod gate;
mod history;
mod mention;
mod pin;
mod post;
mod quote;
mod reply;
mod send;
mod sync;
mod view;

pub(crate) use change::{At, Plan, Present, change};
pub(crate) use delete::{delete, erase, expire, pins_without, purge};
pub(crate) use edit::{edit, edits};
pub(crate) use forward::forward;
pub(crate) use history::{get, history};
pub(crate) use pin::{pin, pins};
pub(crate) use quote::fill as fill_quotes;
pub(crate) use send::{Send, foresee, gate_request, pace, send, send_due};
pub(crate) use sync::sync;
pub(crate) use view::{fill, fill_mine, need_message, of_entry, read_all, read_pages, read_some};

use lakh_hub::Failure;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::asker::Asker;
use crate::rooms::fields::check_depth;
use crate::shapes::Message;
use crate::{Chat, names};

/// Longest custom data of a message, in bytes of JSON.
const MAX_DATA_BYTES: usize = 8 << 10;
/// Characters of a message that are shown elsewhere, as in a quote.
const EXCERPT_CHARS: usize = 200;

/// The answer to a request that changes a message: the message as it is now.
#[derive(Serialize)]
pub(crate) struct Answer {
    pub message: Message,
}

/// Names what one person does in one room, which happens in the order in which they ask for it.
pub(crate) fn order(asker: &Asker, room: &str) -> String {
    format!("{room}\n{}", asker.id())
}

/// Tells a field that is null, which removes something, from one that isn't there.
fn nullable<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

pub(crate) fn check_text(chat: &Chat, text: &str, has_attachments: bool) -> Result<(), Failure> {
    let most = chat.0.config.max_text_chars;
    if !has_attachments && !text.chars().any(names::is_seen) {
        return Err(Failure::bad_request(
            "text has nothing that can be seen; a message needs some, or attachments",
        ));
    }
    // No character is longer than four bytes, so short texts aren't counted out.
    if text.len() > most && text.chars().nth(most).is_some() {
        return Err(Failure::new(
            "too_large",
            format!("a message's text is at most {most} characters"),
        ));
    }
    Ok(())
}

fn check_data(data: Option<&Map<String, Value>>) -> Result<(), Failure> {
    let Some(data) = data else { return Ok(()) };
    check_depth(data)?;
    let written = serde_json::to_string(data).map_err(|error| crate::stored::unreadable(&error))?;
    if written.len() > MAX_DATA_BYTES {
        return Err(Failure::new(
            "too_large",
            format!("a message's data is at most {MAX_DATA_BYTES} bytes of JSON"),
        ));
    }
    Ok(())
}

/// The beginning of a text.
pub(crate) fn excerpt(text: &str) -> String {
    text.chars().take(EXCERPT_CHARS).collect()
}

fn gone(seq: u64) -> Failure {
    Failure::new("not_found", format!("message {seq} was deleted"))
}

fn no_message(seq: u64) -> Failure {
    Failure::new(
        "not_found",
        format!("there is no message {seq} here, or none any more"),
    )
}
