//! Sources and sinks on this node: their leases, and the door by which sources publish.

use std::sync::Arc;

use futures_util::FutureExt as _;
use lakh_bridge::flows::{Event, Flows, Known, Publish, PublishError, Publishing};
use lakh_bridge::lease::{Leases, Time};
use lakh_hub::{Failure, Hub, Once, Payload};
use lakh_rooms::Rooms;

use super::backing::Backing;
use super::names::random_name;
use crate::config::Settings;
use crate::http::health::Check;

/// Where the module rooms stands.
const ROOMS: &str = "/";

/// The leases by which this process does what one node does for all that have its store.
pub fn leases(backing: &Backing, wall_ms: fn() -> u64) -> anyhow::Result<Leases> {
    let run = random_name()? + &random_name()?;
    let instant = tokio::time::Instant::now;
    let (store, shared) = (backing.store().clone(), backing.store_is_shared());
    Ok(Leases::new(store, &run, shared, Time { wall_ms, instant }))
}

/// Starts them, if there are any. To be called on the runtime that they live on.
pub fn start_flows(
    hub: &Hub,
    rooms: Option<Rooms>,
    leases: &Leases,
    settings: &Settings,
    node: &str,
) -> anyhow::Result<Option<Arc<Flows>>> {
    let config = settings.bridge.config();
    if config.sources.is_empty() && config.sinks.is_empty() {
        return Ok(None);
    }
    let door: Arc<dyn Publish> = Arc::new(Door {
        hub: hub.clone(),
        rooms,
    });
    let flows = Flows::start(hub, config, leases, node, &door);
    Ok(Some(Arc::new(flows)))
}

/// How they are: without one the node goes on, and says so.
pub(super) fn check(flows: &Flows) -> Check {
    let named = |kind: &'static str| move |figures: lakh_bridge::flows::Figures| (kind, figures);
    let sources = flows.sources().into_iter().map(named("source"));
    let all = sources.chain(flows.sinks().into_iter().map(named("sink")));
    let wrong = all.filter_map(|(kind, figures)| match figures.state {
        lakh_bridge::flows::State::Down(reason) => {
            Some(format!("{kind} `{}`: {reason}", figures.name))
        }
        _ => None,
    });
    let wrong: Vec<_> = wrong.collect();
    Check::of_a_help("bridge", (!wrong.is_empty()).then(|| wrong.join("; ")))
}

/// By which sources publish.
struct Door {
    hub: Hub,
    rooms: Option<Rooms>,
}

/// By which an event is published once: what was published and not noted any more comes again, after a kill between the two.
fn once(event: &Event) -> Option<Once> {
    (!event.id.is_empty()).then(|| Once {
        scope: format!("source:{}", event.source).into(),
        id: event.id.as_str().into(),
        keep_ms: event.dedupe.as_millis().try_into().unwrap_or(u64::MAX),
    })
}

impl Publish for Door {
    fn known(&self, event: &Event) -> Known {
        let rooms = self.rooms.clone().filter(|_| &*event.namespace == ROOMS);
        let Some((rooms, once)) = rooms.zip(once(event)) else {
            return Box::pin(async { Ok(false) });
        };
        let room = event.room.clone();
        Box::pin(async move { rooms.ready(&room, &once).await.map_err(refusal) })
    }

    fn publish(&self, event: Event) -> Result<Publishing, PublishError> {
        match &self.rooms {
            Some(rooms) if &*event.namespace == ROOMS => {
                let rooms = rooms.clone();
                let once = once(&event);
                let event = lakh_rooms::Publish {
                    once,
                    room: event.room.into(),
                    event: event.event.into(),
                    data: Some(event.data),
                    attachments: event.attachments,
                    from: Some(format!("source:{}", event.source)),
                    id: (!event.id.is_empty()).then_some(event.id),
                    quietly: true,
                    ..lakh_rooms::Publish::default()
                };
                let mut publishing: Publishing = Box::pin(async move {
                    let published = rooms.publish(event).await;
                    published
                        .map(|published| Some(published.seq))
                        .map_err(refusal)
                });
                // Its place in the order is taken when it is first polled.
                match (&mut publishing).now_or_never() {
                    Some(done) => {
                        let seq = done?;
                        Ok(Box::pin(async move { Ok(seq) }))
                    }
                    None => Ok(publishing),
                }
            }
            _ => self.broadcast(event),
        }
    }
}

impl Door {
    /// To a room of any namespace, as a handler would: no number, no log but the namespace's own.
    fn broadcast(&self, event: Event) -> Result<Publishing, PublishError> {
        let namespaces = self.hub.namespaces();
        let namespace = namespaces
            .iter()
            .find(|known| known.name() == &*event.namespace);
        let Some(namespace) = namespace else {
            let name = &event.namespace;
            return Err(PublishError::Refused(format!(
                "there is no namespace `{name}`"
            )));
        };
        let name = serde_json::to_string(&*event.event);
        let name = name.map_err(|error| PublishError::Refused(error.to_string()))?;
        let text = format!("[{name},{}]", event.data.get());
        let payload = Payload::from_raw(text, event.attachments);
        let sent = namespace.to(&*event.room).emit_raw(payload);
        sent.map_err(|error| PublishError::Unavailable(error.to_string()))?;
        Ok(Box::pin(async { Ok(None) }))
    }
}

fn refusal(failure: Failure) -> PublishError {
    match failure.code {
        "unavailable" => PublishError::Unavailable(failure.message),
        _ => PublishError::Refused(failure.message),
    }
}
