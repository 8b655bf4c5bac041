//! Rooms as the rest of the server sees them: what was said in one, who is there, and events from outside.
//!
//! Rights are not looked at here: whoever calls has decided.

use std::collections::BTreeMap;

use lakh_hub::{Bytes, Failure, Once, Payload, Person, Room};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

pub use lakh_hub::presence::{Occupancy, PresencePage, Present};

use crate::{Rooms, names};

/// Which events of a room are wanted. Without `before`, the newest that fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryRange {
    /// Only numbers above this one.
    pub after: Option<u64>,
    /// Only numbers below this one.
    pub before: Option<u64>,
    /// Only from this time on, milliseconds since 1970.
    pub since_ms: Option<u64>,
    /// Only events of this name.
    pub event: Option<String>,
    /// From the oldest that fits up, instead of from the newest that fits down.
    pub oldest_first: bool,
    /// At most so many; 0 stands for 100, and 1000 is the most.
    pub limit: usize,
}

/// One event that was kept.
#[derive(Clone, Debug)]
pub struct HistoryEntry {
    /// Its number in the room.
    pub seq: u64,
    /// Milliseconds since 1970.
    pub time_ms: u64,
    /// The event as its receivers got it: name, data, origin.
    pub payload: Payload,
}

/// What a room's history gives.
#[derive(Clone, Debug, Default)]
pub struct HistoryPage {
    /// In the order of their numbers.
    pub entries: Vec<HistoryEntry>,
    /// Number of the room's last event.
    pub seq: u64,
    /// There are more: they are `before` this number, or `after` it if the oldest came first.
    pub next: Option<u64>,
    /// Nothing of what was asked for has gone out of the history yet.
    pub complete: bool,
}

/// Which of those present are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PresenceRange {
    /// Go on behind this one: the `next` of the page before.
    pub after: Option<String>,
    /// At most so many; 0 stands for 100, and 1000 is the most.
    pub limit: usize,
}

/// An event that comes from outside.
#[derive(Clone, Debug, Default)]
pub struct Publish {
    /// The room.
    pub room: String,
    /// The event's name.
    pub event: String,
    /// The event's data as JSON, with placeholders for binary values; `None` is null.
    pub data: Option<Box<RawValue>>,
    /// The binary values.
    pub attachments: Vec<Bytes>,
    /// What filters look at.
    pub tags: BTreeMap<String, Value>,
    /// On whose behalf.
    pub user: Option<Person>,
    /// Who gets nothing: members of these rooms of the hub, or sockets by their ids.
    pub except: Vec<Room>,
    /// What members read as `from`; `server` if it isn't given.
    pub from: Option<String>,
    /// What tells it from others if it comes twice; members read it as `id`.
    pub id: Option<String>,
    /// If it was published with this before, it isn't again: noted with the event itself, in a log that outlives the process or
    /// in a history in the store. Of the latter [`Rooms::ready`] tells.
    pub once: Option<Once>,
    /// Whether watchers of the hub aren't told: a sink that sends on what a source brings would feed it.
    pub quietly: bool,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Published {
    /// Its number in the room.
    pub seq: u64,
    /// Milliseconds since 1970.
    #[serde(rename = "time")]
    pub time_ms: u64,
}

impl Rooms {
    /// What was said in a room.
    ///
    /// # Errors
    /// `bad_request`; `unsupported` if rooms of this kind keep nothing; `unavailable`.
    pub async fn history(&self, room: &str, range: HistoryRange) -> Result<HistoryPage, Failure> {
        crate::history::page(&self.0, room, range).await
    }

    /// Who is in a room, on all nodes.
    ///
    /// # Errors
    /// `bad_request`; `unsupported` if rooms of this kind have no presence.
    pub async fn presence(
        &self,
        room: &str,
        range: PresenceRange,
    ) -> Result<PresencePage, Failure> {
        crate::presence::page(self, room, range).await
    }

    /// What the hub calls the room in which this node tells who comes to a room and goes, by the events that clients get
    /// who subscribed to it: a listener there hears them, and a page that is read after it has begun to listen holds
    /// all that came before.
    ///
    /// # Errors
    /// As [`Rooms::presence`].
    pub fn presence_room(&self, room: &str) -> Result<Room, Failure> {
        crate::presence::told_in(&self.0, room)
    }

    /// How many are in a room, on all nodes.
    ///
    /// # Errors
    /// As [`Rooms::presence`].
    pub async fn occupancy(&self, room: &str) -> Result<Occupancy, Failure> {
        crate::presence::occupancy(self, room).await
    }

    /// Publishes an event from outside: it has its number in the room and is in its history, as if a member had sent it.
    ///
    /// # Errors
    /// `bad_request`, `too_large`, `unavailable`.
    pub async fn publish(&self, event: Publish) -> Result<Published, Failure> {
        crate::emit::from_outside(&self.0, event).await
    }

    /// To be awaited before events with `once` are published in their order: whether this one was published before, as far as
    /// [`Rooms::publish`] doesn't find that by itself. An event of this room takes its place as soon as its publishing is
    /// first polled then, and waits for nothing before.
    ///
    /// # Errors
    /// `bad_request`, `unavailable`.
    pub async fn ready(&self, room: &str, once: &Once) -> Result<bool, Failure> {
        crate::emit::ready(&self.0, room, once).await
    }

    /// Number of the last event of a room, by the name that clients know; 0 if it had none, or is forgotten.
    ///
    /// # Errors
    /// `bad_request` if it's no name of a room.
    pub async fn last_seq(&self, room: &str) -> Result<u64, Failure> {
        let own = self.0.numbers.of(&names::room(room)?).0;
        let of_fleet = self.0.hub.of("/").count_of(room).await;
        Ok(of_fleet.map_or(own, |of_fleet| of_fleet.max(own)))
    }

    /// What the hub calls a room that clients know by this name.
    ///
    /// # Errors
    /// `bad_request` if it's no name of a room.
    pub fn hub_room(name: &str) -> Result<Room, Failure> {
        names::room(name)
    }

    /// What clients call a room of the hub; `None` for rooms that are nobody's but the server's.
    #[must_use]
    pub fn client_room(room: &str) -> Option<&str> {
        names::name(room)
    }
}
