//! `moderation:log`.

use lakh_hub::Failure;
use lakh_hub::store::Range;
use serde::{Deserialize, Serialize};

use super::Deed;
use crate::asker::Asker;
use crate::permissions::Right;
use crate::{Chat, names, standing, stored};

/// Deeds in a page.
const PAGE: usize = 50;

#[derive(Deserialize)]
pub(crate) struct AskLog {
    room: String,
    cursor: Option<u64>,
}

#[derive(Serialize)]
pub(crate) struct Log {
    /// The newest first.
    entries: Vec<Line>,
    cursor: Option<u64>,
}

#[derive(Serialize)]
struct Line {
    /// Its number in the room's log.
    id: u64,
    time: u64,
    #[serde(flatten)]
    deed: Deed,
}

pub(crate) async fn log(chat: &Chat, asker: &Asker, request: AskLog) -> Result<Log, Failure> {
    let room = request.room.as_str();
    names::check_room(room)?;
    asker.allow("report", room)?;
    let standing = standing::of(chat, asker, room).await?;
    standing.need_sight(chat)?;
    standing.need(chat, Right::SeeLog)?;
    let range = Range::before(request.cursor.unwrap_or(u64::MAX), PAGE);
    let reading = chat.0.store.range(&names::moderation(room), range);
    let page = reading.await.map_err(|error| stored::not_read(&error))?;
    let lines = page.entries.iter().map(|entry| {
        let deed = serde_json::from_slice(&entry.value);
        deed.map(|deed| Line {
            id: entry.seq,
            time: entry.time_ms,
            deed,
        })
    });
    let entries: Vec<Line> = lines
        .collect::<Result<_, _>>()
        .map_err(|error| stored::unreadable(&error))?;
    Ok(Log {
        cursor: entries.last().map(|line| line.id).filter(|_| page.more),
        entries,
    })
}
