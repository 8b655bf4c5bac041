//! Subscriptions: what is said in a room, and who comes and goes.

use async_graphql::{Context, Json, Result, SimpleObject, Subscription};
use futures_util::{Stream, stream};
use lakh_hub::{Heard, Listener};
use serde_json::Value;

use super::ask::root;
use super::types::{Long, long};
use super::{asked, error};
use crate::service::hear::arguments;

/// What stands for everything that can be subscribed to.
#[derive(Debug)]
pub(crate) struct Subscription;

/// Something that was said in a room.
#[derive(SimpleObject)]
struct RoomEvent {
    /// The event's name; null where events were missed.
    event: Option<String>,
    /// Its arguments. Binary values are `{"$binary": "<base64>"}`.
    args: Vec<Json<Value>>,
    /// The event's number in its room, in rooms of `/`.
    seq: Option<Long>,
    /// So many events were dropped here because this subscription was read too slowly.
    missed: Long,
}

#[Subscription]
impl Subscription {
    /// What is said in a room from now on, on all nodes and in its order.
    async fn room_events(
        &self,
        context: &Context<'_>,
        #[graphql(default_with = "root()")] namespace: String,
        room: String,
        #[graphql(desc = "Only events of these names.")] events: Option<Vec<String>>,
    ) -> Result<impl Stream<Item = RoomEvent> + use<>> {
        let (service, caller) = asked(context)?;
        let listener = service
            .listen_to(&caller, &namespace, &room)
            .map_err(error)?;
        Ok(stream::unfold((listener, events), next))
    }
}

async fn next(
    (mut listener, events): (Listener, Option<Vec<String>>),
) -> Option<(RoomEvent, (Listener, Option<Vec<String>>))> {
    loop {
        let told = match listener.next().await {
            Heard::Missed(missed) => RoomEvent {
                event: None,
                args: Vec::new(),
                seq: None,
                missed: Long(missed),
            },
            Heard::Event(event) => {
                let wanted = |names: &Vec<String>| names.iter().any(|name| name == event.name());
                if !events.as_ref().is_none_or(wanted) {
                    continue;
                }
                let args = arguments(event.payload());
                let seq = args.get(1).and_then(|meta| meta.get("seq")?.as_u64());
                RoomEvent {
                    event: Some(event.name().to_owned()),
                    args: args.into_iter().map(Json).collect(),
                    seq: seq.map(Long),
                    missed: long(0),
                }
            }
        };
        return Some((told, (listener, events)));
    }
}
