//! `message:history`.

use lakh_hub::Failure;
use lakh_hub::store::Range;
use serde::{Deserialize, Serialize};

use crate::asker::Asker;
use crate::messages::read_page;
use crate::permissions::Right;
use crate::shapes::Message;
use crate::{Chat, names, standing};

#[derive(Deserialize)]
pub(crate) struct AskHistory {
    room: String,
    thread: Option<u64>,
    before: Option<u64>,
    after: Option<u64>,
    limit: Option<usize>,
}

#[derive(Serialize)]
pub(crate) struct History {
    messages: Vec<Message>,
    more: bool,
    /// Number of the last message.
    seq: u64,
}

pub(crate) async fn history(
    chat: &Chat,
    asker: &Asker,
    request: AskHistory,
) -> Result<History, Failure> {
    let room = request.room.as_str();
    names::check_room(room)?;
    asker.allow("history", room)?;
    let standing = standing::of(chat, asker, room).await?;
    standing.need(chat, Right::Read)?;
    let config = &chat.0.config;
    let limit = request
        .limit
        .unwrap_or(config.history_limit)
        .min(config.history_max_limit);
    if limit == 0 {
        return Err(Failure::bad_request(format!(
            "limit is 1 to {}",
            config.history_max_limit
        )));
    }
    let range = match (request.before, request.after) {
        (Some(_), Some(_)) => return Err(Failure::bad_request("give before or after, not both")),
        (None, Some(after)) => Range::from(after.saturating_add(1), limit),
        (before, None) => Range::before(before.unwrap_or(u64::MAX), limit),
    };
    let view = read_page(chat, room, request.thread, range).await?;
    Ok(History {
        messages: view.messages,
        more: view.more,
        seq: view.info.last_seq,
    })
}
