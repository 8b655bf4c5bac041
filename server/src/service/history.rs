//! What was published in a room.

use lakh_rooms::HistoryRange;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::caller::{Caller, Thing, act};
use super::emit::root;
use super::problem::{Kind, Problem};
use super::sockets::page_of;
use super::{Service, values};

/// Which events are wanted. Without bounds, the newest.
#[derive(Clone, Debug, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct HistoryFilter {
    /// The namespace: `/`.
    pub namespace: String,
    /// Only numbers above this one.
    pub after: Option<u64>,
    /// Only numbers below this one.
    pub before: Option<u64>,
    /// Only from this time on, in milliseconds since 1970.
    pub since: Option<u64>,
    /// Only events of this name.
    pub event: Option<String>,
    /// From the oldest that fits up, instead of from the newest that fits down.
    pub oldest_first: bool,
    /// How many at most, 1 to 1000.
    pub limit: Option<usize>,
}

impl Default for HistoryFilter {
    fn default() -> Self {
        Self {
            namespace: root(),
            after: None,
            before: None,
            since: None,
            event: None,
            oldest_first: false,
            limit: None,
        }
    }
}

/// An event that was published in a room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PastEvent {
    /// Its number in the room.
    pub seq: u64,
    /// When, in milliseconds since 1970.
    pub time: u64,
    /// Its name.
    #[schema(example = "moved")]
    pub event: String,
    /// Its data; `{"$binary":"<base64>"}` is a binary value.
    pub data: Value,
    /// Who sent it where, as members read it.
    pub meta: Value,
}

/// Part of a room's history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct History {
    /// The room.
    #[schema(example = "board:7")]
    pub room: String,
    /// In the order of their numbers.
    pub events: Vec<PastEvent>,
    /// Number of the room's last event.
    pub seq: u64,
    /// There are more: they are `before` this number, or `after` it if the oldest came first.
    pub next: Option<u64>,
    /// Nothing of what was asked for has gone out of the history yet.
    pub complete: bool,
}

impl Service {
    /// What was published in a room of `/` that keeps its history.
    ///
    /// # Errors
    /// [`Problem`]: `unsupported` if nothing is kept of such rooms.
    pub async fn history(
        &self,
        caller: &Caller,
        room: &str,
        filter: &HistoryFilter,
    ) -> Result<History, Problem> {
        let namespace = &*filter.namespace;
        self.allow(caller, act::HISTORY, Thing::Room(namespace, room))?;
        self.namespace(namespace)?;
        let rooms = self.rooms().filter(|_| namespace == "/");
        let rooms = rooms.ok_or_else(|| {
            let message = "only rooms of `/` have a history here";
            Problem::new(Kind::Unprocessable, "unsupported", message)
        })?;
        let range = HistoryRange {
            after: filter.after,
            before: filter.before,
            since_ms: filter.since,
            event: filter.event.clone(),
            oldest_first: filter.oldest_first,
            limit: page_of(filter.limit)?,
        };
        let found = rooms.history(room, range).await?;
        let events = found.entries.into_iter().map(|entry| {
            let payload = values::shown(entry.payload.text(), entry.payload.attachments());
            let mut parts = match payload {
                Value::Array(parts) => parts.into_iter(),
                _ => Vec::new().into_iter(),
            };
            let event = parts.next();
            PastEvent {
                seq: entry.seq,
                time: entry.time_ms,
                event: event
                    .and_then(|name| Some(name.as_str()?.to_owned()))
                    .unwrap_or_default(),
                data: parts.next().unwrap_or_default(),
                meta: parts.next().unwrap_or_default(),
            }
        });
        Ok(History {
            room: room.to_owned(),
            events: events.collect(),
            seq: found.seq,
            next: found.next,
            complete: found.complete,
        })
    }
}
