//! When people were last seen: stored when somebody goes offline, to the minute, by one of the nodes.
//!
//! However many go at once, they are written a few hundred at a time, one write after another.

use std::collections::BTreeMap;

use lakh_hub::presence::Whereabouts;
use lakh_hub::store::{Answer, Batch, Condition, Query, Store};
use lakh_hub::{Failure, Hub};
use serde::{Deserialize, Serialize};

use super::Teller;
use crate::{Chat, names, records, stored};

/// To what a time is rounded down.
const COARSE_MS: u64 = 60_000;
/// People in one write.
const AT_ONCE: usize = 500;
/// People who wait to be written; of more, it isn't kept.
const MOST_WAITING: usize = 100_000;

/// What is kept of somebody who is offline.
#[derive(Serialize, Deserialize)]
struct SeenRecord {
    at: u64,
}

/// A time as others are told it.
pub(super) fn coarse(now_ms: u64) -> u64 {
    now_ms - now_ms % COARSE_MS
}

/// Notes somebody who is gone.
pub(super) fn note(waiting: &mut BTreeMap<String, u64>, id: &str, at: u64) {
    if names::check_person(id).is_ok() && (waiting.len() < MOST_WAITING || waiting.contains_key(id))
    {
        waiting.insert(id.to_owned(), at);
    }
}

/// Stores what was noted, on the first loop, unless that is being done.
pub(super) fn store(whereabouts: &Whereabouts<Teller>) {
    {
        let mut known = whereabouts.lock();
        let teller = &mut known.teller;
        if teller.seen.is_empty() || std::mem::replace(&mut teller.is_storing, true) {
            return;
        }
    }
    let storing = Storing {
        whereabouts: whereabouts.clone(),
        is_over: false,
    };
    let hub: &Hub = whereabouts.namespace().hub();
    // If that loop is behind, dropping this lets the next one try.
    let sent = hub.run_on(0, move |_| {
        tokio::task::spawn_local(write(storing));
    });
    if let Err(error) = sent {
        tracing::debug!(%error, "when people were last seen is stored later");
    }
}

/// Lets another task be started when this one is cut off.
struct Storing {
    whereabouts: Whereabouts<Teller>,
    /// It has ended by itself, and the teller knows.
    is_over: bool,
}

impl Drop for Storing {
    fn drop(&mut self) {
        if !self.is_over {
            self.whereabouts.lock().teller.is_storing = false;
        }
    }
}

async fn write(mut storing: Storing) {
    let whereabouts = storing.whereabouts.clone();
    loop {
        let (some, store) = {
            let mut known = whereabouts.lock();
            let teller = &mut known.teller;
            let rest = teller.seen.keys().nth(AT_ONCE).cloned();
            let rest = rest.map(|first| teller.seen.split_off(&first));
            let some = std::mem::replace(&mut teller.seen, rest.unwrap_or_default());
            if some.is_empty() {
                // Under the same lock: what is noted from here on starts another.
                teller.is_storing = false;
                storing.is_over = true;
                return;
            }
            (some, teller.store().clone())
        };
        let now_ms = whereabouts.namespace().hub().wall_ms();
        let some = match known_of(&store, now_ms, some).await {
            Ok(known) => known,
            Err(failure) => {
                tracing::warn!(%failure.message, "when people were last seen was not stored");
                continue;
            }
        };
        let mut batch = Batch::new(now_ms);
        for (id, at) in &some {
            match records::to_bytes(&SeenRecord { at: *at }) {
                Ok(value) => batch = batch.put(names::SEEN, id, value, Condition::Any, None),
                Err(_) => continue,
            }
        }
        if batch.ops().is_empty() {
            continue;
        }
        if let Err(error) = store.write(batch).await {
            tracing::warn!(%error, people = some.len(), "when people were last seen was not stored");
        }
    }
}

/// Those of whom something is known: somebody who was erased and goes only then leaves nothing.
async fn known_of(
    store: &Store,
    now_ms: u64,
    people: BTreeMap<String, u64>,
) -> Result<BTreeMap<String, u64>, Failure> {
    let queries = people
        .keys()
        .map(|id| Query::get(names::PEOPLE, id.clone()));
    let reading = store.read(now_ms, queries.collect());
    let answers = reading.await.map_err(|error| stored::not_read(&error))?;
    let known = people.into_iter().zip(answers);
    let known = known.filter(|(_, answer)| matches!(answer, Answer::Document(Some(_))));
    Ok(known.map(|(person, _)| person).collect())
}

/// When people were last seen, in the order of their ids; `None` of whom nothing is kept.
pub(super) async fn read(chat: &Chat, ids: &[&str]) -> Result<Vec<Option<u64>>, Failure> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let queries = ids.iter().map(|id| Query::get(names::SEEN, *id));
    let answers = stored::read(chat, queries.collect()).await?;
    let at = answers.into_iter().map(|answer| match answer {
        Answer::Document(Some(document)) => {
            let SeenRecord { at } = records::read(&document)?;
            Ok(Some(at))
        }
        Answer::Document(None) => Ok(None),
        other => Err(stored::unexpected(Some(&other))),
    });
    at.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_bounded_and_each_person_stands_once() {
        let mut waiting = BTreeMap::new();
        for number in 0..MOST_WAITING + 10 {
            note(&mut waiting, &number.to_string(), 1);
        }
        assert_eq!(waiting.len(), MOST_WAITING);
        note(&mut waiting, "0", 2);
        assert_eq!((waiting.len(), waiting["0"]), (MOST_WAITING, 2));
        assert_eq!(coarse(119_999), 60_000);
    }
}
