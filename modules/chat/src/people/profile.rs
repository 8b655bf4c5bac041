//! `me:get`, `me:set`, `person:get`.

use std::collections::BTreeSet;

use lakh_hub::store::{Batch, Condition, WriteError};
use lakh_hub::{Attempts, Failure, Person, Room};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::shown;
use crate::asker::Asker;
use crate::presence::{self, Seen};
use crate::records::{self, PersonRecord};
use crate::rooms::busy;
use crate::rooms::fields::{Given, check_data, check_name, check_picture, given};
use crate::{Chat, names, stored};

/// People asked for at once, at most.
const MAX_PEOPLE: usize = 100;

/// Somebody, as others see them.
#[derive(Serialize)]
pub(super) struct Profile {
    id: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<u64>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    seen: Option<Seen>,
}

impl Profile {
    pub(super) fn new(id: String, record: PersonRecord) -> Self {
        Self {
            id,
            name: record.name,
            picture: record.picture,
            data: record.data,
            updated_at: Some(record.updated_at).filter(|at| *at > 0),
            seen: None,
        }
    }
}

/// Anything a request may carry: some have no fields.
#[derive(Deserialize)]
pub(crate) struct Ask {}

#[derive(Serialize)]
pub(crate) struct Me {
    person: Profile,
}

pub(crate) async fn me(chat: &Chat, asker: &Asker, _: Ask) -> Result<Me, Failure> {
    asker.allow("profile", asker.id())?;
    names::check_person(asker.id())?;
    let found = super::profiles(chat, &[asker.id().to_owned()]).await?;
    let record = found.into_iter().next().flatten();
    let record = record.unwrap_or_else(|| unknown(asker));
    let seen = presence::seen_by(chat, asker, &[asker.id().to_owned()]).await?;
    Ok(Me {
        person: Profile {
            seen: seen.first().copied(),
            ..Profile::new(asker.id().to_owned(), record)
        },
    })
}

/// Somebody of whom nothing is kept.
fn unknown(asker: &Asker) -> PersonRecord {
    PersonRecord {
        name: asker.who().name.clone(),
        ..PersonRecord::default()
    }
}

#[derive(Deserialize)]
pub(crate) struct SetMe {
    name: Option<String>,
    #[serde(default, deserialize_with = "given")]
    picture: Given<String>,
    #[serde(default, deserialize_with = "given")]
    data: Given<Map<String, Value>>,
}

impl SetMe {
    fn check(&self) -> Result<(), Failure> {
        if let Some(name) = &self.name {
            check_name(name)?;
        }
        if let Some(Some(picture)) = &self.picture {
            check_picture(picture)?;
        }
        match &self.data {
            Some(Some(data)) => check_data(data),
            _ => Ok(()),
        }
    }

    fn over(&self, before: PersonRecord) -> PersonRecord {
        let mut after = before;
        if let Some(name) = &self.name {
            after.name.clone_from(name);
            after.chosen = true;
        }
        if let Some(picture) = &self.picture {
            after.picture = picture.clone().filter(|picture| !picture.is_empty());
        }
        if let Some(data) = &self.data {
            after.data.clone_from(data);
        }
        after
    }
}

pub(crate) async fn set_me(chat: &Chat, asker: &Asker, request: SetMe) -> Result<Me, Failure> {
    request.check()?;
    names::check_person(asker.id())?;
    asker.allow("profile", asker.id())?;
    if asker.is_system() {
        return Err(Failure::bad_request(
            "the server itself has no profile; say as whom you ask",
        ));
    }
    let id = asker.id();
    let mut attempts = Attempts::default();
    while attempts.another().await {
        let now_ms = chat.now_ms();
        let getting = chat.0.store.get(now_ms, names::PEOPLE, id);
        let found = getting.await.map_err(|error| stored::not_read(&error))?;
        let (before, condition) = match &found {
            Some(document) => (
                Some(records::read::<PersonRecord>(document)?),
                Condition::Version(document.version),
            ),
            None => (None, Condition::Absent),
        };
        let base = before.clone().unwrap_or_else(|| unknown(asker));
        let mut after = request.over(base.clone());
        if after == base {
            return Ok(Me {
                person: Profile::new(id.to_owned(), base),
            });
        }
        after.updated_at = now_ms;
        let batch = shown::put(Batch::new(now_ms), id, before.as_ref(), &after, condition)?;
        match chat.0.store.write(batch).await {
            Ok(_) => {
                tell(chat, id, &base, &after).await;
                return Ok(Me {
                    person: Profile::new(id.to_owned(), after),
                });
            }
            Err(WriteError::Conflict { .. }) => {}
            Err(error) => return Err(stored::not_written(&error)),
        }
    }
    Err(busy())
}

/// Shows somebody under their new name, and tells those who share a watched room with them, and their own devices.
async fn tell(chat: &Chat, id: &str, before: &PersonRecord, after: &PersonRecord) {
    if before.name != after.name {
        let person = Person {
            id: id.to_owned(),
            name: after.name.clone(),
        };
        shown::show(chat, &person).await;
    }
    if (&before.name, &before.picture) == (&after.name, &after.picture) {
        return;
    }
    let own = Person::room_of(id);
    let namespace = &chat.0.namespace;
    let sockets = namespace.in_(own.clone()).fetch_sockets().await;
    let rooms: BTreeSet<Room> = sockets
        .iter()
        .flat_map(|socket| socket.rooms.iter())
        .filter(|room| names::chat_room(room).is_some())
        .cloned()
        .collect();
    let mut to = namespace.to(own);
    for room in rooms {
        to = to.to(room);
    }
    let mut user = json!({ "id": id, "name": after.name });
    if let Some(picture) = &after.picture {
        user["picture"] = picture.as_str().into();
    }
    if let Err(error) = to.emit("person:changed", &user) {
        tracing::warn!(%error, "others find out later what somebody is called now");
    }
}

#[derive(Deserialize)]
pub(crate) struct Get {
    people: Vec<String>,
}

#[derive(Serialize)]
pub(crate) struct People {
    people: Vec<Profile>,
}

pub(crate) async fn get(chat: &Chat, asker: &Asker, request: Get) -> Result<People, Failure> {
    let mut ids = request.people;
    if ids.is_empty() || ids.len() > MAX_PEOPLE {
        return Err(Failure::bad_request(format!(
            "people is a list of 1 to {MAX_PEOPLE} ids"
        )));
    }
    names::check_people("people", &ids)?;
    // Who may not be seen isn't there.
    ids.retain(|id| asker.may("profile", id));
    let profiles = super::profiles(chat, &ids).await?;
    let seen = presence::seen_by(chat, asker, &ids).await?;
    let known = ids.into_iter().zip(profiles).zip(seen);
    let people = known.filter_map(|((id, record), seen)| {
        Some(Profile {
            seen: Some(seen),
            ..Profile::new(id, record?)
        })
    });
    Ok(People {
        people: people.collect(),
    })
}
