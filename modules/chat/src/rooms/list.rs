//! `room:list`.

use lakh_hub::Failure;
use lakh_hub::store::{Answer, Query, Range, Scan};
use serde::{Deserialize, Serialize};

use crate::asker::Asker;
use crate::permissions::Kind;
use crate::records::{self, RoomRecord};
use crate::rooms::{count_queries, counts, shape};
use crate::shapes::{Message, Room};
use crate::{Chat, messages, names, stored};

/// Rooms in a page when the client names no number.
const PAGE: usize = 50;
/// Rooms in a page at most.
const MAX_PAGE: usize = 100;

#[derive(Deserialize)]
pub(crate) struct List {
    cursor: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct Summary {
    #[serde(flatten)]
    room: Room,
    online: usize,
    last: Option<Message>,
}

#[derive(Serialize)]
pub(crate) struct Listed {
    rooms: Vec<Summary>,
    cursor: Option<String>,
}

pub(crate) async fn list(chat: &Chat, asker: &Asker, request: List) -> Result<Listed, Failure> {
    if let Some(cursor) = &request.cursor {
        names::check_room(cursor)
            .map_err(|_| Failure::bad_request("this is no cursor of room:list"))?;
    }
    let limit = request.limit.unwrap_or(PAGE);
    if limit == 0 {
        return Err(Failure::bad_request(format!("limit is 1 to {MAX_PAGE}")));
    }
    let scan = Scan::default()
        .limit(limit.min(MAX_PAGE))
        .after(request.cursor);
    let now_ms = chat.now_ms();
    let scanning = chat.0.store.scan(now_ms, names::ROOMS, scan);
    let page = scanning.await.map_err(|error| stored::not_read(&error))?;
    let mut found = Vec::with_capacity(page.items.len());
    let mut queries = Vec::with_capacity(page.items.len() * 4);
    for (id, document) in page.items {
        let record: RoomRecord = records::read(&document)?;
        // What somebody may not list isn't there for them; nobody asked for this very room, so it's no refusal.
        if record.kind != Kind::Public || record.archived || !asker.may("list", &id) {
            continue;
        }
        queries.push(Query::Range {
            log: names::log(&id),
            range: Range::before(u64::MAX, 1),
        });
        queries.extend(count_queries(&id));
        found.push((id, document.version, record));
    }
    let reading = chat.0.store.read(now_ms, queries);
    let mut answers = reading
        .await
        .map_err(|error| stored::not_read(&error))?
        .into_iter();
    let mut rooms = Vec::with_capacity(found.len());
    for (id, version, record) in found {
        let newest = answers.next();
        let counts = counts(answers.by_ref().take(3).collect())?;
        let Some(Answer::Entries(entries)) = newest else {
            return Err(stored::unexpected(newest.as_ref()));
        };
        let newest = entries.entries.first();
        let newest = newest.filter(|_| asker.may("history", &id));
        let last = newest
            .map(|entry| messages::of_entry(&id, None, entry))
            .transpose()?;
        let online = chat.0.table.lock().online(&id);
        rooms.push(Summary {
            room: shape(&id, &record, version, counts),
            online,
            last,
        });
    }
    Ok(Listed {
        rooms,
        cursor: page.next,
    })
}
