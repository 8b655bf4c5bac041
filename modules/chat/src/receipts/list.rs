//! `receipt:list`: how far the members of a room have read.

use lakh_hub::store::{Answer, Scan};
use lakh_hub::{Failure, Person};
use serde::{Deserialize, Serialize};

use super::requests::need_member;
use super::tally::{marks, marks_query};
use crate::asker::Asker;
use crate::permissions::Role;
use crate::records::{self, MemberRecord};
use crate::{Chat, names, stored};

/// People in a page when the client names no number, and at most.
const PAGE: usize = 100;

#[derive(Deserialize)]
pub(crate) struct List {
    room: String,
    cursor: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize)]
pub(crate) struct Listed {
    people: Vec<Reader>,
    cursor: Option<String>,
}

#[derive(Serialize)]
struct Reader {
    #[serde(flatten)]
    person: Person,
    read: u64,
    delivered: u64,
}

pub(crate) async fn list(chat: &Chat, asker: &Asker, request: List) -> Result<Listed, Failure> {
    let room = request.room.as_str();
    if !asker.is_system() {
        need_member(chat, asker, room).await?;
    }
    names::check_room(room)?;
    names::check_person_cursor(request.cursor.as_ref())?;
    let limit = request.limit.unwrap_or(PAGE);
    if limit == 0 {
        return Err(Failure::bad_request(format!("limit is 1 to {PAGE}")));
    }
    let scan = Scan::default().limit(limit.min(PAGE)).after(request.cursor);
    let now_ms = chat.now_ms();
    let scanning = chat.0.store.scan(now_ms, &names::members(room), scan);
    let page = scanning.await.map_err(|error| stored::not_read(&error))?;
    let mut people = Vec::with_capacity(page.items.len());
    for (id, document) in page.items {
        let member: MemberRecord = records::read(&document)?;
        if member.role > Role::Guest {
            let name = member.name;
            people.push(Person { id, name });
        }
    }
    let queries = people.iter().map(|person| marks_query(room, &person.id));
    let reading = chat.0.store.read(now_ms, queries.collect());
    let answers = reading.await.map_err(|error| stored::not_read(&error))?;
    let mut readers = Vec::with_capacity(people.len());
    for (person, answer) in people.into_iter().zip(answers) {
        let Answer::Document(document) = answer else {
            return Err(stored::unexpected(Some(&answer)));
        };
        let (marks, _) = marks(document.as_ref())?;
        readers.push(Reader {
            person,
            read: marks.read,
            delivered: marks.delivered,
        });
    }
    Ok(Listed {
        people: readers,
        cursor: page.next,
    })
}
