//! The name under which others see somebody: what they have chosen, or what their sign-in says.
//!
//! It's put on each socket at CONNECT, one read, and on all sockets of the person, on all nodes, when it changes: so what a
//! message needs stands with its sender's socket.

use std::sync::Arc;

use lakh_hub::store::{Batch, Condition};
use lakh_hub::{Failure, Person, ServerEvent, Socket};

use crate::records::{self, FoundRecord, PersonRecord};
use crate::{Chat, names, presence, stored};

/// The event between servers by which they learn what somebody is called now.
const SHOWN: &str = "chat:shown";
/// Sockets of one person on a node that are looked through.
const MAX_SOCKETS: usize = 10_000;

pub(crate) fn install(chat: &Chat) {
    let module = chat.clone();
    chat.0.namespace.use_connect(async move |socket: Socket| {
        if let Some(person) = socket.get::<Person>() {
            welcome(&module, &socket, &person).await;
        }
        Ok(())
    });
    let module = chat.clone();
    chat.0.namespace.on_connect(async move |socket: Socket| {
        // Who takes up an earlier session isn't checked anew, and may have got another name meanwhile.
        if let Some(person) = socket.get::<Person>().filter(|_| socket.recovered()) {
            welcome(&module, &socket, &person).await;
        }
    });
    let module = chat.clone();
    let namespace = &chat.0.namespace;
    namespace.on_server_event(SHOWN, async move |event: ServerEvent| {
        match event.args::<(Person,)>() {
            Ok((person,)) => show_here(&module, &person).await,
            Err(error) => tracing::warn!(%error, "what somebody is called now was not understood"),
        }
    });
}

/// Shows somebody who comes under their name. If the store can't be read, their sign-in's name has to do.
async fn welcome(chat: &Chat, socket: &Socket, person: &Arc<Person>) {
    match known_as(chat, person).await {
        Ok(Some(name)) => socket.show_as(Person {
            id: person.id.clone(),
            name,
        }),
        Ok(None) => {}
        Err(failure) => tracing::debug!(code = failure.code, "a profile was not read"),
    }
}

/// What somebody is called, if it isn't what their sign-in says. Notes them if they are new, or called something else now.
async fn known_as(chat: &Chat, person: &Person) -> Result<Option<String>, Failure> {
    if names::check_person(&person.id).is_err() {
        return Ok(None);
    }
    let now_ms = chat.now_ms();
    let getting = chat.0.store.get(now_ms, names::PEOPLE, &person.id);
    let found = getting.await.map_err(|error| stored::not_read(&error))?;
    let before = match &found {
        Some(document) => Some(records::read::<PersonRecord>(document)?),
        None => None,
    };
    if let Some(before) = &before {
        if before.chosen {
            return Ok(Some(before.name.clone()).filter(|name| *name != person.name));
        }
        if before.name == person.name {
            return Ok(None);
        }
    }
    let record = PersonRecord {
        name: person.name.clone(),
        updated_at: now_ms,
        ..before.clone().unwrap_or_default()
    };
    let condition = match &found {
        Some(document) => Condition::Version(document.version),
        None => Condition::Absent,
    };
    let batch = put(
        Batch::new(now_ms),
        &person.id,
        before.as_ref(),
        &record,
        condition,
    )?;
    match chat.0.store.write(batch).await {
        // Another of their sockets was faster, with the same.
        Ok(_) | Err(lakh_hub::store::WriteError::Conflict { .. }) => Ok(None),
        Err(error) => Err(stored::not_written(&error)),
    }
}

/// Adds what puts a profile, and by what its person is found.
pub(super) fn put(
    batch: Batch,
    id: &str,
    before: Option<&PersonRecord>,
    after: &PersonRecord,
    condition: Condition,
) -> Result<Batch, Failure> {
    let mut batch = batch.put(
        names::PEOPLE,
        id,
        records::to_bytes(after)?,
        condition,
        None,
    );
    let by_id = super::find::key(id, id);
    if let Some(before) = before {
        let old = super::find::key(&before.name, id);
        if old != by_id {
            batch = batch.delete(names::FOUND_BY, &old, Condition::Any);
        }
    }
    let by = |by: FoundRecord| records::to_bytes(&by);
    let by_name = super::find::key(&after.name, id);
    Ok(batch
        .put(
            names::FOUND_BY,
            &by_id,
            by(FoundRecord::Id)?,
            Condition::Any,
            None,
        )
        .put(
            names::FOUND_BY,
            &by_name,
            by(FoundRecord::Name)?,
            Condition::Any,
            None,
        ))
}

/// Shows somebody under another name from now on, on all nodes.
pub(super) async fn show(chat: &Chat, person: &Person) {
    if let Err(error) = chat.0.namespace.server_side_emit(SHOWN, &(person,)) {
        tracing::warn!(%error, "other nodes were not told what somebody is called now");
    }
    show_here(chat, person).await;
}

/// The same on this node.
async fn show_here(chat: &Chat, person: &Person) {
    let namespace = &chat.0.namespace;
    let sockets = namespace
        .members(Person::room_of(&person.id), MAX_SOCKETS)
        .await;
    let shared = Arc::new(person.clone());
    for socket in sockets {
        socket.show_as(person.clone());
        let rooms = socket.rooms().await;
        presence::renamed(chat, &socket, &rooms, &shared);
    }
}
