//! Subscriptions: what is said in a room, and who comes and goes.

use async_graphql::{Context, Json, Result, SimpleObject, Subscription};
use futures_util::{Stream, stream};
use lakh_hub::{Heard, Listener};
use serde_json::Value;

use super::types::{Long, PersonPresent, long};
use super::{asked, error, root};
use crate::service::hear::arguments;
use crate::service::presence;

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

/// Who came and went.
#[derive(SimpleObject)]
struct PresenceNews {
    /// Whether this tells anew who is there, all of them in `joined`: what was known before is out of date. So it is first, and
    /// after more was told than this subscription took.
    snapshot: bool,
    /// Who has come.
    joined: Vec<PersonPresent>,
    /// Who has gone.
    left: Vec<PersonPresent>,
    /// Who tells something else about themselves.
    updated: Vec<PersonPresent>,
    /// Sockets in the room now, on all nodes.
    occupancy: Long,
    /// People in it now, each once however many sockets they have.
    total: Long,
    /// Whether all are told by name. Not so in a crowd: there it's only said how many there are.
    complete: bool,
}

impl From<presence::PresenceNews> for PresenceNews {
    fn from(news: presence::PresenceNews) -> Self {
        let people = |list: Vec<_>| list.into_iter().map(PersonPresent::from).collect();
        Self {
            snapshot: news.snapshot,
            joined: people(news.joined),
            left: people(news.left),
            updated: people(news.updated),
            occupancy: long(news.occupancy),
            total: long(news.people),
            complete: news.complete,
        }
    }
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

    /// Who is in a room: first all who are there, then who comes and goes, on all nodes.
    async fn room_presence(
        &self,
        context: &Context<'_>,
        #[graphql(default_with = "root()")] namespace: String,
        room: String,
    ) -> Result<impl Stream<Item = PresenceNews> + use<>> {
        let (service, caller) = asked(context)?;
        let watch = service.watch_presence(&caller, &namespace, &room).await;
        let watch = watch.map_err(error)?;
        Ok(stream::unfold(watch, async |mut watch| {
            let news = watch.next().await;
            Some((PresenceNews::from(news), watch))
        }))
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
