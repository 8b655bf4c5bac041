//! `receipt:delivered`, `receipt:read`, `receipt:unread`, `receipt:read_all`, `unread:get`.

use lakh_hub::Failure;
use lakh_hub::store::{Answer, Batch, Scan, WriteError};
use serde::{Deserialize, Serialize};

use super::marks::{Marks, Move};
use super::tally::{Found, Tally, of_answers, queries};
use super::{moves, telling};
use crate::asker::Asker;
use crate::permissions::Role;
use crate::records::{self, MembershipRecord};
use crate::{Chat, names, standing, stored};

/// Rooms that are looked at in one step.
const PAGE: usize = 100;
/// Rooms with something unread that are listed; the totals are of all.
const MOST_LISTED: usize = 1_000;

#[derive(Deserialize)]
pub(crate) struct Mark {
    room: String,
    seq: u64,
}

pub(crate) async fn delivered(chat: &Chat, asker: &Asker, request: Mark) -> Result<Tally, Failure> {
    mark(chat, asker, &request.room, Move::Delivered(request.seq)).await
}

pub(crate) async fn read(chat: &Chat, asker: &Asker, request: Mark) -> Result<Tally, Failure> {
    mark(chat, asker, &request.room, Move::Read(request.seq)).await
}

pub(crate) async fn unread(chat: &Chat, asker: &Asker, request: Mark) -> Result<Tally, Failure> {
    if request.seq == 0 {
        return Err(Failure::bad_request(
            "seq is the number of a message, from 1",
        ));
    }
    mark(chat, asker, &request.room, Move::Unread(request.seq)).await
}

async fn mark(chat: &Chat, asker: &Asker, room: &str, how: Move) -> Result<Tally, Failure> {
    need_member(chat, asker, room).await?;
    moves::by(chat, asker, room, how).await
}

/// Marks are for members.
pub(super) async fn need_member(chat: &Chat, asker: &Asker, room: &str) -> Result<(), Failure> {
    names::check_room(room)?;
    asker.allow("receipts", room)?;
    let standing = standing::of(chat, asker, room).await?;
    match standing.is_member() {
        true => Ok(()),
        false => Err(Failure::new(
            "not_member",
            "only members have marks of what they have read; join the room first",
        )),
    }
}

#[derive(Deserialize)]
pub(crate) struct Everywhere {}

/// The answer to `receipt:read_all`.
#[derive(Serialize)]
pub(crate) struct ReadAll {
    /// Rooms in which something was unread.
    rooms: usize,
}

pub(crate) async fn read_all(
    chat: &Chat,
    asker: &Asker,
    _: Everywhere,
) -> Result<ReadAll, Failure> {
    let (mut rooms, mut after) = (0, None);
    loop {
        let (page, next) = own_rooms(chat, asker, after).await?;
        rooms += read_page(chat, asker, &page).await?;
        match next {
            Some(next) => after = Some(next),
            None => return Ok(ReadAll { rooms }),
        }
    }
}

/// Rooms of which whoever asks is a member, and where the next page begins.
async fn own_rooms(
    chat: &Chat,
    asker: &Asker,
    after: Option<String>,
) -> Result<(Vec<String>, Option<String>), Failure> {
    let scan = Scan::default().limit(PAGE).after(after);
    let memberships = names::memberships(asker.id());
    let page = stored::scan(chat, &memberships, scan).await?;
    let mut rooms = Vec::with_capacity(page.items.len());
    for (room, document) in page.items {
        let membership: MembershipRecord = records::read(&document)?;
        if membership.role > Role::Guest && asker.may("receipts", &room) {
            rooms.push(room);
        }
    }
    Ok((rooms, page.next))
}

/// Reads some rooms to their ends, in one step if nobody interferes. Gives how many were not.
async fn read_page(chat: &Chat, asker: &Asker, rooms: &[String]) -> Result<usize, Failure> {
    let queries = rooms.iter().flat_map(|room| {
        let mut queries = Vec::from(queries(room, asker.id()));
        queries.push(moves::count_query(room));
        queries
    });
    let answers = stored::read(chat, queries.collect()).await?;
    let mut answers = answers.into_iter();
    let mut batch = Batch::new(chat.now_ms());
    let mut changed: Vec<(&str, Found, Marks, u64)> = Vec::new();
    for room in rooms {
        let found = Found::of(&mut answers)?;
        let Some(Answer::Count(members)) = answers.next() else {
            return Err(stored::unexpected(None));
        };
        let marks = found.marks.after(Move::Read(u64::MAX), found.log.last_seq);
        if marks != found.marks {
            batch = moves::with_marks(batch, room, asker.id(), &found, marks)?;
            changed.push((room, found, marks, members));
        }
    }
    if changed.is_empty() {
        return Ok(0);
    }
    match chat.0.store.write(batch).await {
        Ok(_) => {}
        Err(WriteError::Conflict { .. }) => {
            for (room, ..) in &changed {
                moves::by(chat, asker, room, Move::Read(u64::MAX)).await?;
            }
            return Ok(changed.len());
        }
        Err(error) => return Err(stored::not_written(&error)),
    }
    for (room, found, marks, members) in &changed {
        let is_crowd = *members > chat.0.config.unread_max_members;
        let (both, tally) = ((found.marks, *marks), found.tally(*marks));
        telling::moved(chat, asker, room, both, tally, is_crowd);
    }
    Ok(changed.len())
}

/// The answer to `unread:get`.
#[derive(Serialize, Default)]
pub(crate) struct Totals {
    unread: u64,
    mentions: u64,
    /// Rooms with something unread.
    rooms: Vec<InRoom>,
    /// All of them are listed.
    complete: bool,
}

#[derive(Serialize)]
struct InRoom {
    room: String,
    #[serde(flatten)]
    tally: Tally,
}

pub(crate) async fn totals(chat: &Chat, asker: &Asker, _: Everywhere) -> Result<Totals, Failure> {
    let mut after = None;
    let mut totals = Totals {
        complete: true,
        ..Totals::default()
    };
    loop {
        let (rooms, next) = own_rooms(chat, asker, after).await?;
        let queries = rooms.iter().flat_map(|room| queries(room, asker.id()));
        let answers = stored::read(chat, queries.collect()).await?;
        let mut answers = answers.into_iter();
        for room in rooms {
            let tally = of_answers(chat, &room, asker.id(), &mut answers)?;
            totals.unread += tally.unread;
            totals.mentions += tally.mentions;
            if tally.unread > 0 && totals.rooms.len() < MOST_LISTED {
                totals.rooms.push(InRoom { room, tally });
            } else if tally.unread > 0 {
                totals.complete = false;
            }
        }
        match next {
            Some(next) => after = Some(next),
            None => return Ok(totals),
        }
    }
}
