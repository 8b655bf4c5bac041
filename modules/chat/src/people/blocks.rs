//! `block:add`, `block:remove`, `block:list`: people of whom somebody wants to hear nothing.

use lakh_hub::store::{Answer, Batch, Condition, Query, Scan};
use lakh_hub::{Failure, Person};
use serde::{Deserialize, Serialize};

use crate::asker::Asker;
use crate::records::{self, BlockRecord};
use crate::shapes::Nothing;
use crate::{Chat, names, presence, rooms, standing, stored};

/// People whom one person may have blocked.
const MAX_BLOCKED: usize = 1_000;
/// Blocked people in a page.
const PAGE: usize = 100;

#[derive(Deserialize)]
pub(crate) struct Block {
    person: String,
}

pub(crate) async fn add(chat: &Chat, asker: &Asker, request: Block) -> Result<Nothing, Failure> {
    check(asker, &request.person)?;
    if request.person == asker.id() {
        return Err(Failure::bad_request("that's you"));
    }
    let (collection, at) = (names::blocks(asker.id()), chat.now_ms());
    let scan = Scan::default().limit(MAX_BLOCKED);
    let scanning = chat.0.store.scan(at, &collection, scan);
    let page = scanning.await.map_err(|error| stored::not_read(&error))?;
    let is_there = page.items.iter().any(|(id, _)| *id == request.person);
    if is_there {
        return Ok(Nothing {});
    }
    if page.items.len() >= MAX_BLOCKED {
        return Err(Failure::new(
            "too_large",
            format!("{MAX_BLOCKED} people may be blocked; unblock somebody first"),
        ));
    }
    let value = records::to_bytes(&BlockRecord { at })?;
    let batch = Batch::new(at).put(&collection, &request.person, value, Condition::Any, None);
    let written = chat.0.store.write(batch).await;
    written.map_err(|error| stored::not_written(&error))?;
    told(chat, asker.id(), &request.person);
    presence::hide(chat, asker.id(), &request.person).await;
    Ok(Nothing {})
}

pub(crate) async fn remove(chat: &Chat, asker: &Asker, request: Block) -> Result<Nothing, Failure> {
    check(asker, &request.person)?;
    let collection = names::blocks(asker.id());
    let batch = Batch::new(chat.now_ms()).delete(&collection, &request.person, Condition::Any);
    let written = chat.0.store.write(batch).await;
    written.map_err(|error| stored::not_written(&error))?;
    told(chat, asker.id(), &request.person);
    Ok(Nothing {})
}

fn check(asker: &Asker, person: &str) -> Result<(), Failure> {
    names::check_person(person)?;
    names::check_person(asker.id())?;
    asker.allow("profile", asker.id())
}

#[derive(Deserialize)]
pub(crate) struct List {
    cursor: Option<String>,
}

#[derive(Serialize)]
struct Blocked {
    #[serde(flatten)]
    person: Person,
    at: u64,
}

#[derive(Serialize)]
pub(crate) struct Blocks {
    people: Vec<Blocked>,
    cursor: Option<String>,
}

pub(crate) async fn list(chat: &Chat, asker: &Asker, request: List) -> Result<Blocks, Failure> {
    names::check_person(asker.id())?;
    asker.allow("profile", asker.id())?;
    names::check_person_cursor(request.cursor.as_ref())?;
    let scan = Scan::default().limit(PAGE).after(request.cursor);
    let page = stored::scan(chat, &names::blocks(asker.id()), scan).await?;
    let ids: Vec<String> = page.items.iter().map(|(id, _)| id.clone()).collect();
    let mut people = Vec::with_capacity(ids.len());
    let named = super::of_ids(chat, &ids).await?;
    for (person, (_, document)) in named.into_iter().zip(page.items) {
        let BlockRecord { at } = records::read(&document)?;
        people.push(Blocked { person, at });
    }
    Ok(Blocks {
        people,
        cursor: page.next,
    })
}

/// Refuses to reach out to somebody who has blocked whoever asks, or whom they have blocked.
///
/// # Errors
/// `blocked`; `unavailable`.
pub(crate) async fn not_blocked(
    chat: &Chat,
    asker: &Asker,
    others: &[String],
) -> Result<(), Failure> {
    if asker.is_system() {
        return Ok(());
    }
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    match is_any_blocked(chat, asker.id(), &others).await? {
        false => Ok(()),
        true => Err(blocked()),
    }
}

/// Whether one of two has blocked the other.
pub(crate) async fn is_blocked(chat: &Chat, one: &str, other: &str) -> Result<bool, Failure> {
    is_any_blocked(chat, one, &[other]).await
}

async fn is_any_blocked(chat: &Chat, one: &str, others: &[&str]) -> Result<bool, Failure> {
    if others.is_empty() {
        return Ok(false);
    }
    let get = |who: &str, whom: &str| Query::get(names::blocks(who), whom);
    let queries = others.iter();
    let queries = queries.flat_map(|other| [get(other, one), get(one, other)]);
    let answers = stored::read(chat, queries.collect()).await?;
    let is_there = |answer: &Answer| matches!(answer, Answer::Document(Some(_)));
    Ok(answers.iter().any(is_there))
}

/// The refusal of who has blocked somebody, or is blocked.
pub(crate) fn blocked() -> Failure {
    Failure::new(
        "blocked",
        "one of you has blocked the other; block:remove takes back what you blocked",
    )
}

/// What two are to each other has changed: nodes that know of the room between them read it anew.
fn told(chat: &Chat, one: &str, other: &str) {
    let room = rooms::between_two(one, other);
    for person in [one, other] {
        standing::changed(chat, &room, Some(person));
    }
}
