//! `room:list`: public rooms by id, or one's own by their last message.

use lakh_hub::Failure;
use lakh_hub::store::{Answer, Query, Range, Scan};
use serde::{Deserialize, Serialize};

use super::mine;
use crate::asker::Asker;
use crate::people::{self, fold};
use crate::permissions::Kind;
use crate::records::{self, RoomRecord};
use crate::rooms::{Counts, count_queries, counts, shape};
use crate::shapes::{Message, Room};
use crate::{Chat, crowd, messages, names, stored};

/// Rooms in a page when the client names no number.
const PAGE: usize = 50;
/// Rooms in a page at most.
const MAX_PAGE: usize = 100;
/// Rooms that are looked through for a page; where few fit, it's short and has a cursor.
const LOOKED_AT: usize = 2_000;
/// Longest search, in characters.
const MAX_SEARCH_CHARS: usize = 64;

#[derive(Deserialize)]
pub(crate) struct List {
    #[serde(default, deserialize_with = "lakh_hub::or_default")]
    mine: bool,
    #[serde(default, deserialize_with = "lakh_hub::or_default")]
    watch: bool,
    kind: Option<Kind>,
    #[serde(default, deserialize_with = "lakh_hub::or_default")]
    archived: bool,
    search: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

/// Which rooms are wanted.
pub(super) struct Filter {
    kind: Option<Kind>,
    archived: bool,
    /// Folded.
    search: String,
}

impl Filter {
    /// Whether a room is wanted; between people who are called so.
    pub(super) fn takes<'a>(
        &self,
        id: &str,
        room: &RoomRecord,
        mut people: impl Iterator<Item = &'a str>,
    ) -> bool {
        let has = |text: &str| fold(text).contains(&self.search);
        !room.deleted
            && self.kind.is_none_or(|kind| kind == room.kind)
            && room.archived == self.archived
            && (self.search.is_empty()
                || has(&room.name)
                || room.topic.as_deref().is_some_and(has)
                || (room.people.is_empty() && has(id))
                || people.any(has))
    }

    /// Whether some of one's rooms may not be wanted.
    pub(super) fn is_narrow(&self) -> bool {
        self.searches() || self.kind.is_some() || self.archived
    }

    pub(super) fn searches(&self) -> bool {
        !self.search.is_empty()
    }
}

/// A room of a list.
#[derive(Serialize)]
pub(super) struct Summary {
    #[serde(flatten)]
    pub room: Room,
    /// People who watch it now.
    pub online: usize,
    pub last: Option<Message>,
}

#[derive(Serialize)]
pub(crate) struct Listed {
    pub(super) rooms: Vec<Summary>,
    pub(super) cursor: Option<String>,
}

pub(crate) async fn list(chat: &Chat, asker: &Asker, request: List) -> Result<Listed, Failure> {
    let limit = request.limit.unwrap_or(PAGE).min(MAX_PAGE);
    if limit == 0 {
        return Err(Failure::bad_request(format!("limit is 1 to {MAX_PAGE}")));
    }
    let search = request.search.as_deref().unwrap_or_default();
    if search.chars().nth(MAX_SEARCH_CHARS).is_some() {
        return Err(Failure::bad_request(format!(
            "search is at most {MAX_SEARCH_CHARS} characters"
        )));
    }
    let filter = Filter {
        kind: request.kind,
        archived: request.archived,
        search: fold(search),
    };
    match (request.mine, request.watch) {
        (true, watch) => mine::list(chat, asker, &filter, request.cursor, limit, watch).await,
        (false, true) => Err(Failure::bad_request(
            "watch goes with mine: what isn't one's own is watched by room:watch",
        )),
        (false, false) => public(chat, asker, &filter, request.cursor, limit).await,
    }
}

async fn public(
    chat: &Chat,
    asker: &Asker,
    filter: &Filter,
    mut cursor: Option<String>,
    limit: usize,
) -> Result<Listed, Failure> {
    if let Some(cursor) = &cursor {
        names::check_room(cursor).map_err(|_| names::no_cursor())?;
    }
    let (mut found, mut looked_at) = (Vec::new(), 0);
    let next = loop {
        let scan = Scan::default().limit(MAX_PAGE).after(cursor.take());
        let page = stored::scan(chat, names::ROOMS, scan).await?;
        looked_at += page.items.len();
        let mut items = page.items.into_iter().peekable();
        while let Some((id, document)) = items.next() {
            let record: RoomRecord = records::read(&document)?;
            // What somebody may not list isn't there for them; nobody asked for this very room, so it's no refusal.
            let fits = record.kind == Kind::Public
                && filter.takes(&id, &record, std::iter::empty())
                && asker.may("list", &id);
            if fits {
                found.push((id.clone(), document.version, record));
            }
            if found.len() == limit {
                let more = items.peek().is_some() || page.next.is_some();
                let next = more.then_some(id);
                return Ok(Listed {
                    rooms: summaries(chat, asker, found).await?,
                    cursor: next,
                });
            }
        }
        match page.next {
            // There may be very many of these in one place, and none is public.
            Some(next) if names::is_direct(&next) => cursor = Some(names::after_direct()),
            Some(next) if looked_at < LOOKED_AT => cursor = Some(next),
            next => break next,
        }
    };
    Ok(Listed {
        rooms: summaries(chat, asker, found).await?,
        cursor: next,
    })
}

/// Rooms with how far they are, who is there, and their last message.
pub(super) async fn summaries(
    chat: &Chat,
    asker: &Asker,
    found: Vec<(String, u64, RoomRecord)>,
) -> Result<Vec<Summary>, Failure> {
    let queries = found.iter().flat_map(|(id, ..)| {
        let last = Query::Range {
            log: names::log(id),
            range: Range::before(u64::MAX, 1),
        };
        std::iter::once(last).chain(count_queries(id))
    });
    let answers = stored::read(chat, queries.collect()).await?;
    let mut answers = answers.into_iter();
    let mut known = Vec::with_capacity(found.len());
    for (id, ..) in &found {
        let newest = answers.next();
        let counts: Counts = counts(&answers.by_ref().take(3).collect::<Vec<_>>())?;
        let Some(Answer::Entries(entries)) = newest else {
            return Err(stored::unexpected(newest.as_ref()));
        };
        let newest = entries.entries.into_iter().next();
        let newest = newest.filter(|_| asker.may("history", id));
        let last = newest.map(|entry| messages::of_entry(id, None, &entry));
        known.push((counts, last.transpose()?));
    }
    let last = known.iter_mut().filter_map(|(_, last)| last.as_mut());
    add_overlays(chat, last.collect()).await?;
    let last = known.iter_mut().filter_map(|(_, last)| last.as_mut());
    messages::fill_quotes(chat, last).await?;
    let between = found.iter().flat_map(|(_, _, record)| &record.people);
    let named = people::named(chat, between).await?;
    let mut rooms = Vec::with_capacity(found.len());
    for ((id, version, record), (counts, last)) in found.into_iter().zip(known) {
        let people = record.people.iter();
        let people = people.filter_map(|id| named.get(id).cloned()).collect();
        let (crowd, here) = crowd::with_occupancy(chat, &id);
        let online = here.people;
        let room = Room {
            people,
            watching: here.sockets,
            crowd,
            ..shape(&id, &record, version, counts)
        };
        rooms.push(Summary { room, online, last });
    }
    Ok(rooms)
}

/// Adds to messages what has come to them.
async fn add_overlays(chat: &Chat, mut last: Vec<&mut Message>) -> Result<(), Failure> {
    if last.is_empty() {
        return Ok(());
    }
    let queries = last.iter().map(|message| {
        Query::get(
            names::overlay(&message.room, None),
            names::seq_key(message.seq),
        )
    });
    let answers = stored::read(chat, queries.collect()).await?;
    for (message, answer) in last.iter_mut().zip(answers) {
        match answer {
            Answer::Document(Some(overlay)) => message.overlay = records::read(&overlay)?,
            Answer::Document(None) => {}
            other => return Err(stored::unexpected(Some(&other))),
        }
    }
    Ok(())
}
