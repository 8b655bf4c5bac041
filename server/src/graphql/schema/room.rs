//! One room: how many are in it, who, and what was said.

use async_graphql::{Context, Json, Object, Result, SimpleObject};
use serde_json::Value;

use super::types::{Long, PersonPresent, RoomPresence, long};
use super::{asked, count, error, page};
use crate::service::history::{History, HistoryFilter, PastEvent};
use crate::service::rooms::{PresencePage, RoomInfo};

/// A room by name. One that nobody is in is a room all the same.
pub(super) struct Room {
    pub namespace: String,
    pub room: String,
    /// How many are in it, where that was told with its name.
    pub known: Option<usize>,
}

impl From<RoomInfo> for Room {
    fn from(room: RoomInfo) -> Self {
        Self {
            namespace: room.namespace,
            room: room.room,
            known: Some(room.occupancy),
        }
    }
}

/// An event that was published in a room.
#[derive(SimpleObject)]
struct PastRoomEvent {
    /// Its number in the room.
    seq: Long,
    /// When, in milliseconds since 1970.
    time: Long,
    event: String,
    /// Its data. A binary value is `{"$binary": "<base64>"}`.
    data: Json<Value>,
    /// Who sent it where, as members read it.
    meta: Json<Value>,
}

impl From<PastEvent> for PastRoomEvent {
    fn from(past: PastEvent) -> Self {
        Self {
            seq: Long(past.seq),
            time: Long(past.time),
            event: past.event,
            data: Json(past.data),
            meta: Json(past.meta),
        }
    }
}

/// Part of a room's history.
#[derive(SimpleObject)]
struct RoomHistory {
    /// In the order of their numbers.
    events: Vec<PastRoomEvent>,
    /// Number of the room's last event.
    seq: Long,
    /// There are more: they are `before` this number, or `after` it if the oldest came first.
    next: Option<Long>,
    /// Nothing of what was asked for has gone out of the history yet.
    complete: bool,
}

impl From<History> for RoomHistory {
    fn from(history: History) -> Self {
        Self {
            events: history
                .events
                .into_iter()
                .map(PastRoomEvent::from)
                .collect(),
            seq: Long(history.seq),
            next: history.next.map(Long),
            complete: history.complete,
        }
    }
}

#[Object]
impl Room {
    /// The namespace.
    async fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The name that clients know.
    async fn room(&self) -> &str {
        &self.room
    }

    /// Sockets in it, on all nodes.
    #[graphql(complexity = 5)]
    async fn occupancy(&self, context: &Context<'_>) -> Result<Long> {
        if let Some(known) = self.known {
            return Ok(long(known));
        }
        let (service, caller) = asked(context)?;
        let room = service.room(&caller, &self.namespace, &self.room).await;
        Ok(long(room.map_err(error)?.occupancy))
    }

    /// Number of its last event, in rooms of `/`.
    #[graphql(complexity = 5)]
    async fn seq(&self, context: &Context<'_>) -> Result<Option<Long>> {
        let (service, caller) = asked(context)?;
        let room = service.room(&caller, &self.namespace, &self.room).await;
        Ok(room.map_err(error)?.seq.map(Long))
    }

    /// Who is in it.
    #[graphql(complexity = "20 + page(limit) * child_complexity")]
    async fn presence(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Where the page before ended: its `next`.")] cursor: Option<String>,
        #[graphql(desc = "How many people at most, 1 to 1000; 50 if it isn't given.")]
        limit: Option<i32>,
    ) -> Result<RoomPresence> {
        let (service, caller) = asked(context)?;
        let page = PresencePage {
            cursor,
            limit: limit.map(count),
        };
        let presence = service
            .presence(&caller, &self.namespace, &self.room, &page)
            .await
            .map_err(error)?;
        Ok(RoomPresence {
            occupancy: long(presence.occupancy),
            total: long(presence.people),
            people: presence
                .members
                .into_iter()
                .map(PersonPresent::from)
                .collect(),
            complete: presence.complete,
            next: presence.next,
            missing: presence.missing.into(),
        })
    }

    /// What was published in it, where rooms of its kind keep that.
    #[graphql(complexity = "20 + page(limit) * child_complexity")]
    #[expect(clippy::too_many_arguments, reason = "they are those of the field")]
    async fn history(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only numbers above this one.")] after: Option<Long>,
        #[graphql(desc = "Only numbers below this one.")] before: Option<Long>,
        #[graphql(desc = "Only from this time on, in milliseconds since 1970.")] since: Option<
            Long,
        >,
        #[graphql(desc = "Only events of this name.")] event: Option<String>,
        #[graphql(
            default,
            desc = "From the oldest that fits up, instead of from the newest that fits down."
        )]
        oldest_first: bool,
        #[graphql(desc = "How many at most, 1 to 1000; 50 if it isn't given.")] limit: Option<i32>,
    ) -> Result<RoomHistory> {
        let (service, caller) = asked(context)?;
        let filter = HistoryFilter {
            namespace: self.namespace.clone(),
            after: after.map(|number| number.0),
            before: before.map(|number| number.0),
            since: since.map(|time| time.0),
            event,
            oldest_first,
            limit: limit.map(count),
        };
        let history = service.history(&caller, &self.room, &filter).await;
        Ok(history.map_err(error)?.into())
    }
}
