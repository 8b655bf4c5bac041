//! `room:list` of one's own rooms: the one where something was said last comes first.
//!
//! Nothing is written a message and member for it: the last message of each of one's rooms is looked at when the list is
//! asked for. So the list is of [`MOST`] rooms at most.

use std::cmp::Reverse;

use lakh_hub::store::{Answer, Query, Range, Scan};
use lakh_hub::{Failure, Person};

use super::enter::start_watching;
use super::list::{Filter, Listed, Summary, summaries};
use super::{marks, mine};
use crate::asker::Asker;
use crate::people;
use crate::records::{self, MembershipRecord, RoomRecord};
use crate::standing::{self, Standing};
use crate::{Chat, names, stored};

/// Rooms of one person that are looked at.
const MOST: usize = 5_000;
/// Rooms that are looked at in one read.
const AT_ONCE: usize = 200;

/// A room of one's own, and when something was last said in it.
struct Own {
    id: String,
    at: u64,
    version: u64,
    record: RoomRecord,
    membership: MembershipRecord,
}

pub(super) async fn list(
    chat: &Chat,
    asker: &Asker,
    filter: &Filter,
    cursor: Option<String>,
    limit: usize,
    watch: bool,
) -> Result<Listed, Failure> {
    let socket = match watch {
        true => Some(asker.need_socket()?),
        false => None,
    };
    names::check_person(asker.id())?;
    let after = cursor.as_deref().map(read_cursor).transpose()?;
    let mut own = own(chat, asker, filter).await?;
    own.sort_by(|a, b| key(a).cmp(&key(b)));
    if let Some((at, id)) = after {
        own.retain(|room| key(room) > (Reverse(at), id));
    }
    let more = own.len() > limit;
    own.truncate(limit);
    let cursor = own.last().filter(|_| more);
    let cursor = cursor.map(|last| format!("{} {}", last.at, last.id));
    if let Some(socket) = socket {
        // Before what is answered is read: what is said later is told to this socket.
        let members = own
            .iter()
            .filter(|room| room.membership.invited_by.is_none());
        for room in members.filter(|room| asker.may("history", &room.id)) {
            start_watching(socket, &room.id)?;
        }
    }
    Ok(Listed {
        rooms: with_mine(chat, asker, own).await?,
        cursor,
    })
}

fn key(room: &Own) -> (Reverse<u64>, &str) {
    (Reverse(room.at), &room.id)
}

fn read_cursor(cursor: &str) -> Result<(u64, &str), Failure> {
    let parts = cursor.split_once(' ');
    let parts = parts.and_then(|(at, id)| Some((at.parse().ok()?, id)));
    parts.ok_or_else(|| Failure::bad_request("this is no cursor of room:list with mine"))
}

/// All rooms of whoever asks that are wanted.
async fn own(chat: &Chat, asker: &Asker, filter: &Filter) -> Result<Vec<Own>, Failure> {
    let memberships = names::memberships(asker.id());
    let (mut found, mut looked_at, mut cursor) = (Vec::new(), 0, None);
    loop {
        let scan = Scan::default().limit(AT_ONCE).after(cursor);
        let scanning = chat.0.store.scan(chat.now_ms(), &memberships, scan);
        let page = scanning.await.map_err(|error| stored::not_read(&error))?;
        looked_at += page.items.len();
        let mut some = Vec::with_capacity(page.items.len());
        for (id, document) in page.items {
            if asker.may("list", &id) {
                some.push((id, records::read(&document)?));
            }
        }
        found.extend(look_at(chat, filter, some).await?);
        cursor = page.next;
        if cursor.is_none() || looked_at >= MOST {
            return Ok(found);
        }
    }
}

async fn look_at(
    chat: &Chat,
    filter: &Filter,
    memberships: Vec<(String, MembershipRecord)>,
) -> Result<Vec<Own>, Failure> {
    let queries = memberships.iter().flat_map(|(id, _)| {
        [
            Query::Get {
                collection: names::ROOMS.to_owned(),
                key: id.clone(),
            },
            Query::Range {
                log: names::log(id),
                range: Range::before(u64::MAX, 1),
            },
        ]
    });
    let reading = chat.0.store.read(chat.now_ms(), queries.collect());
    let answers = reading.await.map_err(|error| stored::not_read(&error))?;
    let mut own = Vec::new();
    for ((id, membership), answers) in memberships.into_iter().zip(answers.chunks(2)) {
        let [Answer::Document(document), Answer::Entries(last)] = answers else {
            return Err(stored::unexpected(answers.first()));
        };
        // It's being deleted.
        let Some(document) = document else { continue };
        let record: RoomRecord = records::read(document)?;
        let people = match filter.searches() {
            true => people::of_ids(chat, &record.people).await?,
            false => Vec::new(),
        };
        if filter.takes(
            &id,
            &record,
            people.iter().map(|person: &Person| &*person.name),
        ) {
            let last = last.entries.first();
            own.push(Own {
                at: last.map_or(record.created_at, |entry| entry.time_ms),
                version: document.version,
                id,
                record,
                membership,
            });
        }
    }
    Ok(own)
}

/// What is told of rooms, with what whoever asks is in them.
async fn with_mine(chat: &Chat, asker: &Asker, own: Vec<Own>) -> Result<Vec<Summary>, Failure> {
    let mut found = Vec::with_capacity(own.len());
    let mut memberships = Vec::with_capacity(own.len());
    for room in own {
        found.push((room.id, room.version, room.record));
        memberships.push(room.membership);
    }
    let rooms = summaries(chat, asker, found).await?;
    let seqs = rooms.iter();
    let seqs: Vec<_> = seqs
        .map(|summary| (&*summary.room.id, summary.room.seq))
        .collect();
    let marks = marks(chat, asker, &seqs).await?;
    let mut shown = Vec::with_capacity(rooms.len());
    for ((mut summary, membership), marks) in rooms.into_iter().zip(memberships).zip(marks) {
        let standing: Option<Standing> = standing::find(chat, asker, &summary.room.id).await?;
        if let Some(standing) = standing {
            summary.room.mine = mine(chat, &standing, &membership, Some(marks));
            if !standing.is_member() {
                // Who is only invited sees what room it is.
                summary.last = None;
            }
            shown.push(summary);
        }
    }
    Ok(shown)
}
