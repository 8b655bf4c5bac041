//! People: their profiles, finding them, and whom they block.

mod blocks;
mod find;
mod profile;
mod shown;

pub(crate) use blocks::{
    add as block, blocked, is_blocked, list as blocks, not_blocked, remove as unblock,
};
pub(crate) use find::{find, fold};
pub(crate) use profile::{get, me, set_me};
pub(crate) use shown::install;

use std::collections::{BTreeSet, HashMap};

use lakh_hub::store::{Answer, Batch, Condition, Query};
use lakh_hub::{Failure, Person};

use crate::asker::Asker;
use crate::records::{self, PersonRecord};
use crate::{Chat, names, stored};

/// Profiles of people, in the order of their ids; `None` for whom nothing is known of.
pub(crate) async fn profiles(
    chat: &Chat,
    ids: &[String],
) -> Result<Vec<Option<PersonRecord>>, Failure> {
    let queries = ids.iter().map(|id| Query::get(names::PEOPLE, id.clone()));
    let answers = stored::read(chat, queries.collect()).await?;
    let read = answers.into_iter().map(|answer| match answer {
        Answer::Document(document) => document.as_ref().map(records::read).transpose(),
        other => Err(stored::unexpected(Some(&other))),
    });
    read.collect()
}

/// Stands before the id by which what is left of somebody goes who was erased.
pub(crate) const ERASED_PREFIX: &str = "deleted:";
/// What they are called.
pub(crate) const ERASED_NAME: &str = "Deleted person";

/// People as others see them. Of whom nothing is known their id is the name.
pub(crate) async fn of_ids(chat: &Chat, ids: &[String]) -> Result<Vec<Person>, Failure> {
    let profiles = profiles(chat, ids).await?;
    let people = ids.iter().zip(profiles).map(|(id, profile)| Person {
        id: id.clone(),
        name: match profile {
            Some(profile) => profile.name,
            None if id.starts_with(ERASED_PREFIX) => ERASED_NAME.to_owned(),
            None => id.clone(),
        },
    });
    Ok(people.collect())
}

/// The same of people who are named again and again, by their ids.
pub(crate) async fn named<'a>(
    chat: &Chat,
    ids: impl Iterator<Item = &'a String>,
) -> Result<HashMap<String, Person>, Failure> {
    let ids: Vec<String> = ids.collect::<BTreeSet<_>>().into_iter().cloned().collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let people = of_ids(chat, &ids).await?;
    Ok(ids.into_iter().zip(people).collect())
}

/// The same of one.
pub(crate) async fn of_id(chat: &Chat, id: &str) -> Result<Person, Failure> {
    let people = of_ids(chat, &[id.to_owned()]).await?;
    // As many as were asked for.
    people
        .into_iter()
        .next()
        .ok_or_else(|| stored::unexpected(None))
}

impl Chat {
    /// Whoever has this id, for whom a backend speaks, under the name that others know them by.
    ///
    /// # Errors
    /// `bad_request` if that is no id; `unavailable`.
    pub async fn person(&self, id: &str) -> Result<Asker, Failure> {
        names::check_person(id)?;
        Ok(Asker::person(of_id(self, id).await?))
    }
}

/// Takes a profile away, with what finds it.
pub(crate) async fn forget(chat: &Chat, id: &str) -> Result<(), Failure> {
    let known = profiles(chat, &[id.to_owned()]).await?.pop().flatten();
    let mut batch = Batch::new(chat.now_ms())
        .delete(names::PEOPLE, id, Condition::Any)
        .delete(names::SEEN, id, Condition::Any)
        .delete(names::FOUND_BY, &find::key(id, id), Condition::Any);
    if let Some(profile) = known {
        let by_name = find::key(&profile.name, id);
        batch = batch.delete(names::FOUND_BY, &by_name, Condition::Any);
    }
    stored::write(chat, batch).await?;
    Ok(())
}
