//! `room:list` of one's own rooms: the one where something was said last comes first.
//!
//! Nothing is written a message and member for it: the last message of each of one's rooms is looked at when the first page is
//! asked for. So the list is of [`MOST`] rooms at most. For the pages behind it the order is kept for a while: each of them
//! costs as much as its rooms do, however many there are.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use lakh_hub::Failure;
use lakh_hub::store::{Answer, Query, Range, Scan};

use super::enter::start_watching;
use super::list::{Filter, Listed, Summary, summaries};
use super::{marks, mine};
use crate::asker::Asker;
use crate::people;
use crate::records::{self, MembershipRecord, RoomRecord};
use crate::standing;
use crate::{Chat, names, stored};

/// Rooms of one person that are looked at.
const MOST: usize = 5_000;
/// Rooms that are looked at in one read.
const AT_ONCE: usize = 200;
/// Rooms looked through for a page; where few fit, it's short and has a cursor.
const LOOKED_AT: usize = 1_000;
/// How long an order is kept for its next page.
const KEEP_MS: u64 = 30_000;
/// Rooms in all orders that are kept; with more, all are forgotten, and read anew where they are wanted.
const MOST_KEPT: usize = 50_000;

/// Rooms with when something was last said in them, the latest first.
type Order = Arc<[(u64, String)]>;

/// The orders of people who ask for page after page.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    rooms: usize,
    of: HashMap<Box<str>, (u64, Order)>,
}

impl Orders {
    fn find(&self, person: &str, now_ms: u64) -> Option<Order> {
        let (at_ms, order) = self.of.get(person)?;
        (now_ms < at_ms.saturating_add(KEEP_MS)).then(|| Arc::clone(order))
    }

    fn keep(&mut self, person: &str, now_ms: u64, order: &Order) {
        self.rooms += order.len();
        if self.rooms > MOST_KEPT {
            self.of.clear();
            self.rooms = order.len();
        }
        let before = self.of.insert(person.into(), (now_ms, Arc::clone(order)));
        if let Some((_, before)) = before {
            self.rooms = self.rooms.saturating_sub(before.len());
        }
    }
}

/// A room of one's own.
struct Own {
    id: String,
    /// When something was last said in it.
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
    let order = order(chat, asker.id(), after.is_some()).await?;
    let from = match after {
        Some(after) => order.partition_point(|(at, id)| key(*at, id) <= key(after.0, after.1)),
        None => 0,
    };
    let (own, cursor) = page(chat, asker, filter, &order[from..], limit).await?;
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

fn key(at: u64, id: &str) -> (Reverse<u64>, &str) {
    (Reverse(at), id)
}

fn cursor_at(at: u64, id: &str) -> String {
    format!("{at} {id}")
}

fn read_cursor(cursor: &str) -> Result<(u64, &str), Failure> {
    let parts = cursor.split_once(' ');
    let parts = parts.and_then(|(at, id)| Some((at.parse().ok()?, id)));
    parts.ok_or_else(names::no_cursor)
}

/// All rooms of somebody in their order; as it was for the page before, if this is a next one.
async fn order(chat: &Chat, person: &str, is_next: bool) -> Result<Order, Failure> {
    let now_ms = chat.now_ms();
    let kept = match is_next {
        true => chat.0.orders.lock().find(person, now_ms),
        false => None,
    };
    if let Some(order) = kept {
        return Ok(order);
    }
    let order: Order = read_order(chat, person).await?.into();
    // Fewer are read in one go.
    if order.len() > AT_ONCE {
        chat.0.orders.lock().keep(person, now_ms, &order);
    }
    Ok(order)
}

async fn read_order(chat: &Chat, person: &str) -> Result<Vec<(u64, String)>, Failure> {
    let memberships = names::memberships(person);
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let scan = Scan::default().limit(AT_ONCE).after(cursor);
        let page = stored::scan(chat, &memberships, scan).await?;
        let ids: Vec<String> = page.items.into_iter().map(|(id, _)| id).collect();
        all.extend(times(chat, ids).await?);
        cursor = page.next;
        if cursor.is_none() || all.len() >= MOST {
            break;
        }
    }
    all.sort_by(|(a, one), (b, other)| key(*a, one).cmp(&key(*b, other)));
    Ok(all)
}

/// When something was last said in rooms; where nothing is kept, when they were made.
async fn times(chat: &Chat, ids: Vec<String>) -> Result<Vec<(u64, String)>, Failure> {
    let last = |id: &String| Query::Range {
        log: names::log(id),
        range: Range::before(u64::MAX, 1),
    };
    let (mut said, mut silent) = (Vec::with_capacity(ids.len()), Vec::new());
    let answers = stored::read(chat, ids.iter().map(last).collect()).await?;
    for (id, answer) in ids.into_iter().zip(answers) {
        let Answer::Entries(last) = answer else {
            return Err(stored::unexpected(Some(&answer)));
        };
        match last.entries.first() {
            Some(entry) => said.push((entry.time_ms, id)),
            None => silent.push(id),
        }
    }
    let answers = stored::read(chat, silent.iter().map(|id| room_query(id)).collect()).await?;
    for (id, answer) in silent.into_iter().zip(answers) {
        match answer {
            Answer::Document(Some(document)) => {
                let record: RoomRecord = records::read(&document)?;
                said.push((record.created_at, id));
            }
            // It's being deleted.
            Answer::Document(None) => {}
            other => return Err(stored::unexpected(Some(&other))),
        }
    }
    Ok(said)
}

fn room_query(id: &str) -> Query {
    Query::get(names::ROOMS, id)
}

/// The first rooms of an order that are wanted, and the cursor for those behind them.
async fn page(
    chat: &Chat,
    asker: &Asker,
    filter: &Filter,
    order: &[(u64, String)],
    limit: usize,
) -> Result<(Vec<Own>, Option<String>), Failure> {
    let (mut own, mut looked_at) = (Vec::new(), 0);
    // One more, to know whether there is one.
    while own.len() <= limit && looked_at < order.len().min(LOOKED_AT) {
        let more = match filter.is_narrow() {
            true => AT_ONCE,
            false => (limit + 1).min(AT_ONCE),
        };
        let some = &order[looked_at..(looked_at + more).min(order.len())];
        looked_at += some.len();
        own.extend(look_at(chat, asker, filter, some).await?);
    }
    if own.len() > limit {
        own.truncate(limit);
        let cursor = own.last().map(|last| cursor_at(last.at, &last.id));
        return Ok((own, cursor));
    }
    let last = order[..looked_at].last();
    let last = last.filter(|_| looked_at < order.len());
    Ok((own, last.map(|(at, id)| cursor_at(*at, id))))
}

async fn look_at(
    chat: &Chat,
    asker: &Asker,
    filter: &Filter,
    some: &[(u64, String)],
) -> Result<Vec<Own>, Failure> {
    let some = some.iter().filter(|(_, id)| asker.may("list", id));
    let some: Vec<&(u64, String)> = some.collect();
    let memberships = names::memberships(asker.id());
    let queries = some.iter().flat_map(|(_, id)| {
        let membership = Query::get(memberships.clone(), id.clone());
        [room_query(id), membership]
    });
    let answers = stored::read(chat, queries.collect()).await?;
    let mut own = Vec::with_capacity(some.len());
    for ((at, id), answers) in some.into_iter().zip(answers.chunks(2)) {
        let [Answer::Document(room), Answer::Document(membership)] = answers else {
            return Err(stored::unexpected(answers.first()));
        };
        // They have left meanwhile, or the room is being deleted.
        if let (Some(room), Some(membership)) = (room, membership) {
            own.push(Own {
                id: id.clone(),
                at: *at,
                version: room.version,
                record: records::read(room)?,
                membership: records::read(membership)?,
            });
        }
    }
    let people = match filter.searches() {
        true => people::named(chat, own.iter().flat_map(|room| &room.record.people)).await?,
        false => HashMap::new(),
    };
    own.retain(|room| {
        let names = room.record.people.iter().filter_map(|id| people.get(id));
        filter.takes(&room.id, &room.record, names.map(|person| &*person.name))
    });
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
    let standings = standing::of_rooms(chat, asker, &found).await?;
    let rooms = summaries(chat, asker, found).await?;
    let seqs = rooms.iter();
    let seqs: Vec<_> = seqs
        .map(|summary| (&*summary.room.id, summary.room.seq))
        .collect();
    let marks = marks(chat, asker, &seqs).await?;
    let mut shown = Vec::with_capacity(rooms.len());
    let theirs = memberships.iter().zip(&standings).zip(marks);
    for (mut summary, ((membership, standing), marks)) in rooms.into_iter().zip(theirs) {
        summary.room.mine = mine(chat, standing, membership, Some(marks));
        if !standing.is_member() {
            // Who is only invited sees what room it is.
            summary.last = None;
        }
        shown.push(summary);
    }
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_kept_for_a_while_and_not_too_many() {
        let mut orders = Orders::default();
        let order = |rooms: usize| (0..rooms).map(|n| (0, n.to_string())).collect::<Order>();
        orders.keep("ada", 0, &order(20_000));
        orders.keep("ada", 10, &order(30_000));
        assert_eq!(orders.rooms, 30_000);
        assert!(orders.find("ada", 10 + KEEP_MS - 1).is_some());
        assert!(orders.find("ada", 10 + KEEP_MS).is_none());
        orders.keep("ben", 20, &order(20_000));
        assert_eq!((orders.rooms, orders.of.len()), (50_000, 2));
        orders.keep("cy", 20, &order(1));
        assert_eq!((orders.rooms, orders.of.len()), (1, 1));
    }
}
