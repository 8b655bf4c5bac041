//! `message:search`.
//!
//! Where the store has an index of words (SQLite), it's asked; elsewhere (Redis) the newest messages are looked through, a
//! bounded number of them. Both tell words apart in the same way: [`lakh_hub::store::search`].

mod through;

use std::collections::BTreeMap;

use lakh_hub::Failure;
use lakh_hub::store::search::{Term, marks, terms};
use lakh_hub::store::{Answer, MAX_SEARCHED_LOGS, Query, Scan, SearchCursor};
use serde::{Deserialize, Serialize};

use crate::asker::Asker;
use crate::messages::{self, At, read_all};
use crate::permissions::{Right, Role};
use crate::records::{self, MembershipRecord};
use crate::shapes::{Message, Said};
use crate::{Chat, names, standing, stored};

/// Hits in a page when the client names no number, and at most.
const PAGE: usize = 20;
const MAX_PAGE: usize = 50;
/// Rooms of a person that are searched.
const MAX_ROOMS: usize = 1_000;
/// Logs of rooms and threads that are searched.
const MAX_LOGS: usize = 5_000;
/// Questions in one read of the store.
const AT_ONCE: usize = 100;
/// Hits that are looked at for a page, where some don't count.
const MAX_HITS: usize = 500;
/// The words by which a message can be found: its own, and the names of its files.
pub(crate) fn text_of(said: &Said) -> Option<String> {
    let names = said.attachments.iter();
    let names = names.filter_map(|file| file.get("name")?.as_str());
    let mut text = said.text.clone();
    for name in names {
        text.push('\n');
        text.push_str(name);
    }
    (!text.is_empty()).then_some(text)
}

#[derive(Deserialize)]
pub(crate) struct AskSearch {
    words: String,
    room: Option<String>,
    from: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize)]
pub(crate) struct Found {
    /// The newest first.
    hits: Vec<Hit>,
    /// For the next page; null after the last.
    cursor: Option<String>,
    /// Whether everything was looked at that might have had a hit.
    complete: bool,
}

#[derive(Serialize)]
struct Hit {
    message: Message,
    /// Where in the text the words stand: first and end, in UTF-16 code units.
    marks: Vec<(usize, usize)>,
}

impl Found {
    fn messages_mut(&mut self) -> impl Iterator<Item = &mut Message> {
        self.hits.iter_mut().map(|hit| &mut hit.message)
    }
}

pub(crate) async fn search(
    chat: &Chat,
    asker: &Asker,
    request: AskSearch,
) -> Result<Found, Failure> {
    let wanted =
        terms(&request.words).map_err(|error| Failure::bad_request(format!("words: {error}")))?;
    if wanted.is_empty() {
        return Err(Failure::bad_request("words has no letter or digit"));
    }
    let limit = match request.limit.unwrap_or(PAGE) {
        0 => return Err(Failure::bad_request(format!("limit is 1 to {MAX_PAGE}"))),
        limit => limit.min(MAX_PAGE),
    };
    if let Some(from) = &request.from {
        names::check_people("from", [from])?;
    }
    let before = request.cursor.as_deref().map(read_cursor).transpose()?;
    let (rooms, all_rooms) = match &request.room {
        Some(room) => {
            names::check_room(room)?;
            asker.allow("search", room)?;
            let standing = standing::of(chat, asker, room).await?;
            standing.need_sight(chat)?;
            standing.need(chat, Right::Read)?;
            (vec![room.clone()], true)
        }
        None if asker.is_system() => return Err(Failure::bad_request("say in which room")),
        None => own_rooms(chat, asker).await?,
    };
    let wish = Wish {
        words: &request.words,
        terms: &wanted,
        from: request.from.as_deref(),
        one_room: request.room.is_some(),
        limit,
    };
    let mut found = match chat.0.store.can_search() {
        true => indexed(chat, asker, &rooms, &wish, before).await?,
        false => through::looked_through(chat, asker, &rooms, &wish, before).await?,
    };
    found.complete &= all_rooms;
    Ok(found)
}

/// What is looked for.
struct Wish<'a> {
    words: &'a str,
    terms: &'a [Term],
    from: Option<&'a str>,
    one_room: bool,
    limit: usize,
}

impl Wish<'_> {
    /// Whether a message that has the words counts.
    fn takes(&self, message: &Message) -> bool {
        message.overlay.deleted.is_none()
            && self.from.is_none_or(|from| message.said.from.id == from)
    }

    fn hit(&self, message: Message) -> Hit {
        let text = &message.said.text;
        let marks = in_utf16(text, &marks(text, self.terms));
        Hit { message, marks }
    }
}

/// Places in characters as places in UTF-16 code units.
fn in_utf16(text: &str, marks: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let mut places = Vec::with_capacity(marks.len());
    let mut ends = marks
        .iter()
        .flat_map(|(start, end)| [*start, *end])
        .peekable();
    let mut units = 0;
    let lengths = text.chars().map(char::len_utf16).chain([0]);
    for (at, length) in lengths.enumerate() {
        while ends.next_if(|end| *end <= at).is_some() {
            places.push(units);
        }
        units += length;
    }
    places.chunks(2).map(|pair| (pair[0], pair[1])).collect()
}

fn write_cursor(cursor: &SearchCursor) -> String {
    format!("{}.{}.{}", cursor.time_ms, cursor.seq, cursor.log)
}

fn read_cursor(text: &str) -> Result<SearchCursor, Failure> {
    let read = || {
        let mut parts = text.splitn(3, '.');
        Some(SearchCursor {
            time_ms: parts.next()?.parse().ok()?,
            seq: parts.next()?.parse().ok()?,
            log: parts.next()?.to_owned(),
        })
    };
    let fits = |cursor: &SearchCursor| {
        !cursor.log.is_empty() && cursor.log.len() <= lakh_hub::store::MAX_NAME_BYTES
    };
    read().filter(fits).ok_or_else(names::no_cursor)
}

/// The rooms that whoever asks is a member of, and whether these are all.
async fn own_rooms(chat: &Chat, asker: &Asker) -> Result<(Vec<String>, bool), Failure> {
    let scan = Scan::default().limit(MAX_ROOMS);
    let collection = names::memberships(asker.id());
    let page = stored::scan(chat, &collection, scan).await?;
    let mut rooms = Vec::with_capacity(page.items.len());
    for (room, document) in page.items {
        let membership: MembershipRecord = records::read(&document)?;
        if membership.role > Role::Guest && asker.may("search", &room) {
            rooms.push(room);
        }
    }
    Ok((rooms, page.next.is_none()))
}

/// Whether whoever asks may still read rooms that hits are in: asked once for each.
struct Readable<'a> {
    chat: &'a Chat,
    asker: &'a Asker,
    known: BTreeMap<String, bool>,
}

impl Readable<'_> {
    async fn has(&mut self, room: &str) -> Result<bool, Failure> {
        if let Some(known) = self.known.get(room) {
            return Ok(*known);
        }
        let standing = standing::find(self.chat, self.asker, room).await?;
        let may = standing.is_some_and(|standing| standing.may(self.chat, Right::Read));
        self.known.insert(room.to_owned(), may);
        Ok(may)
    }
}

/// The logs of rooms and their threads, and whether these are all.
async fn logs(chat: &Chat, rooms: &[String], most: usize) -> Result<(Vec<String>, bool), Failure> {
    let mut logs: Vec<String> = rooms.iter().map(|room| names::log(room)).collect();
    let mut is_all = true;
    for some in rooms.chunks(AT_ONCE) {
        let mut open: Vec<(String, Option<String>)> = some
            .iter()
            .map(|room| (format!("{}\n", names::log(room)), None))
            .collect();
        while !open.is_empty() {
            if logs.len() >= most {
                is_all = false;
                break;
            }
            let queries = open.iter().map(|(prefix, after)| Query::Logs {
                scan: Scan::prefix(prefix)
                    .limit(MAX_SEARCHED_LOGS)
                    .after(after.clone()),
            });
            let answers = stored::read(chat, queries.collect()).await?;
            let mut rest = Vec::new();
            for ((prefix, _), answer) in open.into_iter().zip(answers) {
                let Answer::Logs(page) = answer else {
                    return Err(stored::unexpected(Some(&answer)));
                };
                logs.extend(page.items.into_iter().map(|(log, _)| log));
                if page.next.is_some() {
                    rest.push((prefix, page.next));
                }
            }
            open = rest;
        }
    }
    if logs.len() > most {
        logs.truncate(most);
        is_all = false;
    }
    Ok((logs, is_all))
}

/// The room and thread of a log.
fn place(log: &str) -> Option<(&str, Option<u64>)> {
    let name = log.strip_prefix("chat:")?;
    match name.split_once('\n') {
        Some((room, root)) => Some((room, Some(root.parse().ok()?))),
        None => Some((name, None)),
    }
}

async fn indexed(
    chat: &Chat,
    asker: &Asker,
    rooms: &[String],
    wish: &Wish<'_>,
    mut before: Option<SearchCursor>,
) -> Result<Found, Failure> {
    let (logs, complete) = logs(chat, rooms, MAX_LOGS).await?;
    let mut readable = Readable {
        chat,
        asker,
        known: BTreeMap::new(),
    };
    let mut hits: Vec<Hit> = Vec::new();
    let mut looked_at = 0;
    let cursor = 'pages: loop {
        let mut page = some_hits(chat, &logs, wish, before.take()).await?;
        let more = page.len() > wish.limit;
        page.truncate(wish.limit);
        looked_at += page.len();
        let messages = messages(chat, &page).await?;
        for (cursor, message) in page.iter().zip(messages) {
            before = Some(cursor.clone());
            let Some(message) = message.filter(|message| wish.takes(message)) else {
                continue;
            };
            if readable.has(&message.room).await? {
                hits.push(wish.hit(message));
            }
            if hits.len() == wish.limit {
                let is_last = !more && page.last() == Some(cursor);
                break 'pages before.filter(|_| !is_last);
            }
        }
        if !more {
            break None;
        }
        if looked_at >= MAX_HITS {
            break before;
        }
    };
    let mut found = Found {
        hits,
        cursor: cursor.as_ref().map(write_cursor),
        complete,
    };
    messages::fill(chat, asker, found.messages_mut()).await?;
    Ok(found)
}

/// One more than a page of hits, the newest first.
async fn some_hits(
    chat: &Chat,
    logs: &[String],
    wish: &Wish<'_>,
    before: Option<SearchCursor>,
) -> Result<Vec<SearchCursor>, Failure> {
    let mut hits = Vec::new();
    for some in logs.chunks(MAX_SEARCHED_LOGS) {
        let searching =
            chat.0
                .store
                .search(some.to_vec(), wish.words, before.clone(), wish.limit + 1);
        let page = searching.await.map_err(|error| stored::not_read(&error))?;
        hits.extend(page.hits.into_iter().map(|hit| SearchCursor {
            time_ms: hit.time_ms,
            log: hit.log,
            seq: hit.seq,
        }));
    }
    hits.sort_unstable_by(|a, b| b.cmp(a));
    hits.truncate(wish.limit + 1);
    Ok(hits)
}

/// The messages of hits, as they are now.
async fn messages(chat: &Chat, hits: &[SearchCursor]) -> Result<Vec<Option<Message>>, Failure> {
    let which = hits.iter().filter_map(|hit| {
        let (room, thread) = place(&hit.log)?;
        let seq = hit.seq;
        Some(At { room, thread, seq })
    });
    let which: Vec<At<'_>> = which.collect();
    let mut read: BTreeMap<_, _> = read_all(chat, &which)
        .await?
        .into_iter()
        .map(|message| {
            (
                (names::log_of(&message.room, message.thread), message.seq),
                message,
            )
        })
        .collect();
    let found = hits
        .iter()
        .map(|hit| read.remove(&(hit.log.clone(), hit.seq)));
    Ok(found.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_as_javascript_does() {
        let text = "🦀 café 🦀café";
        let marks = marks(text, &terms("cafe").expect("terms"));
        let utf16: Vec<u16> = text.encode_utf16().collect();
        let places = in_utf16(text, &marks);
        assert_eq!(places, [(3, 7), (10, 14)]);
        for (start, end) in places {
            assert_eq!(String::from_utf16_lossy(&utf16[start..end]), "café");
        }
        assert_eq!(in_utf16("ab", &[(0, 1), (1, 2)]), [(0, 1), (1, 2)]);
        assert!(in_utf16("ab", &[]).is_empty());
    }

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        let cursor = SearchCursor {
            time_ms: 17,
            log: "chat:a.b\n3".into(),
            seq: 9,
        };
        assert_eq!(read_cursor(&write_cursor(&cursor)).ok(), Some(cursor));
        for text in ["", "1", "1.2", "1.2.", "x.2.chat:a", "1.-2.chat:a"] {
            assert!(read_cursor(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_log_leads_back_to_its_room() {
        for (room, thread) in [("a", None), ("a:b", Some(7))] {
            assert_eq!(place(&names::log_of(room, thread)), Some((room, thread)));
        }
        assert_eq!(place("chat_changes:a"), None);
    }
}
