//! An event as it stands in the log of those that wait for an endpoint, and as a request holds it.

use lakh_hub::Bytes;
use lakh_hub::store::{Entry, LogEntry};
use serde::Deserialize;

use super::config::Order;
use super::sign::number_of;

/// What waits for an endpoint, as it stands in its log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stored {
    /// Its number in the log.
    pub at: u64,
    /// The event's id.
    pub id: Box<str>,
    /// What it must stay in order with.
    pub lane: u64,
    /// The number that it has in its room.
    pub seq: Option<u64>,
    /// When it was stored, in milliseconds since 1970.
    pub stored_ms: u64,
    /// The event.
    pub json: Bytes,
}

#[derive(Deserialize)]
struct Head {
    id: Box<str>,
    namespace: Box<str>,
    room: Option<Box<str>>,
    socket: Option<Box<str>>,
    seq: Option<u64>,
}

/// What is appended to a log for an event. The same event is appended once.
pub(crate) fn entry(id: &str, now_ms: u64, json: Bytes) -> Entry {
    Entry::new(now_ms, json).dedupe(id)
}

impl Stored {
    /// Reads an entry of a log; `None` if nothing here wrote it.
    pub(crate) fn read(entry: &LogEntry, order: Order) -> Option<Self> {
        let head: Head = serde_json::from_slice(&entry.value).ok()?;
        let lane = match (order, &head.room, &head.socket) {
            (Order::All, ..) => 0,
            (Order::None, ..) => number_of(&[&head.id]),
            (Order::Room, Some(room), _) => number_of(&["room", &head.namespace, room]),
            (Order::Room, None, Some(socket)) => number_of(&["socket", &head.namespace, socket]),
            (Order::Room, None, None) => number_of(&["namespace", &head.namespace]),
        };
        Some(Self {
            at: entry.seq,
            id: head.id,
            lane,
            seq: head.room.and(head.seq),
            stored_ms: entry.time_ms,
            json: Bytes::clone(&entry.value),
        })
    }
}

/// The body of a request: its id, and the events as they are stored.
pub(crate) fn body<'a>(id: &str, events: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut body = format!("{{\"id\":\"{id}\",\"events\":[").into_bytes();
    for (index, event) in events.enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(event);
    }
    body.extend_from_slice(b"]}");
    body
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A panic is how a test fails.
mod tests {
    use lakh_hub::{Occurrence, What};
    use serde_json::{Value, json};

    use super::*;
    use crate::told::encode;

    fn stored(occurrence: &Occurrence, id: &str, order: Order) -> Stored {
        let value = encode(occurrence, id, "n1").unwrap();
        let entry = LogEntry {
            seq: 7,
            time_ms: 9,
            dedupe: None,
            value,
        };
        Stored::read(&entry, order).unwrap()
    }

    #[test]
    fn what_must_stay_in_order_is_in_one_lane() {
        let in_room = |room: &str| Occurrence::new(What::Join, "/", "rooms", 0).in_room(room);
        let lane = |occurrence: &Occurrence, id, order| stored(occurrence, id, order).lane;
        let (a, b) = (in_room("a"), in_room("b"));
        assert_eq!(lane(&a, "1", Order::Room), lane(&a, "2", Order::Room));
        assert_ne!(lane(&a, "1", Order::Room), lane(&b, "2", Order::Room));
        assert_eq!(lane(&a, "1", Order::All), lane(&b, "2", Order::All));
        assert_ne!(lane(&a, "1", Order::None), lane(&a, "2", Order::None));
        let mut connect = Occurrence::new(What::Connect, "/", "", 0);
        connect.socket = Some("a".into());
        assert_ne!(lane(&connect, "1", Order::Room), lane(&a, "1", Order::Room));
        let read = stored(&a, "x", Order::Room);
        assert_eq!((read.at, &*read.id, read.stored_ms), (7, "x", 9));
    }

    #[test]
    fn a_body_holds_the_events_as_they_are() {
        let events: [&[u8]; 2] = [b"{\"id\":\"a\"}", b"{\"id\":\"b\"}"];
        let body: Value = serde_json::from_slice(&body("msg_1", events.into_iter())).unwrap();
        assert_eq!(
            body,
            json!({"id": "msg_1", "events": [{"id": "a"}, {"id": "b"}]})
        );
    }
}
