//! An event as receivers see it: one JSON object, made once and kept in the store as it is sent.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use lakh_hub::store::{Entry, LogEntry};
use lakh_hub::{Bytes, Occurrence, Person};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use super::config::Order;
use super::sign::number_of;

/// Largest event. The store takes 16 MiB in a value.
pub(crate) const MAX_BYTES: usize = 12 << 20;

#[derive(Serialize)]
struct Event<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    what: &'a str,
    time: u64,
    node: &'a str,
    namespace: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    module: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    socket: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a Person>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
}

/// The event for an occurrence; `None` if it can't be written, or is too large.
pub(crate) fn encode(occurrence: &Occurrence, id: &str, node: &str) -> Option<Bytes> {
    let filled = match occurrence.attachments.is_empty() {
        true => None,
        false => Some(with_binary(occurrence)?),
    };
    let event = Event {
        id,
        what: occurrence.what.word(),
        time: occurrence.time_ms,
        node,
        namespace: &occurrence.namespace,
        module: occurrence.module,
        room: occurrence.room.as_deref(),
        socket: occurrence.socket.as_deref(),
        user: occurrence.user.as_ref(),
        event: occurrence.event.as_deref(),
        data: filled.as_deref().or(occurrence.data.as_deref()),
        seq: occurrence.seq,
    };
    let json = serde_json::to_vec(&event).ok()?;
    (json.len() <= MAX_BYTES).then(|| json.into())
}

/// The data with each binary value in its place, as `{"_base64":"…"}`.
fn with_binary(occurrence: &Occurrence) -> Option<Box<RawValue>> {
    let mut data = serde_json::from_str(occurrence.data.as_ref()?.get()).ok()?;
    fill(&mut data, &occurrence.attachments);
    to_raw_value(&data).ok()
}

/// Depth is bounded by what the parser of `serde_json` takes.
fn fill(value: &mut Value, attachments: &[Bytes]) {
    if let Some(number) = placeholder(value) {
        let bytes = usize::try_from(number)
            .ok()
            .and_then(|at| attachments.get(at));
        if let Some(bytes) = bytes {
            let mut filled = Map::new();
            filled.insert("_base64".to_owned(), BASE64_STANDARD.encode(bytes).into());
            *value = Value::Object(filled);
        }
        return;
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| fill(item, attachments)),
        Value::Object(fields) => fields
            .values_mut()
            .for_each(|field| fill(field, attachments)),
        _ => {}
    }
}

/// The number of a placeholder of a binary value.
pub(crate) fn placeholder(value: &Value) -> Option<u64> {
    let fields = value.as_object()?;
    let is_one = fields.get("_placeholder").and_then(Value::as_bool) == Some(true);
    fields.get("num").and_then(Value::as_u64).filter(|_| is_one)
}

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
    use lakh_hub::What;
    use serde_json::json;

    use super::*;

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
    fn binary_values_stand_in_their_places() {
        let mut occurrence = Occurrence::new(What::Message, "/", "rooms", 5).in_room("r");
        occurrence.data = to_raw_value(&json!({
            "a": [{"_placeholder": true, "num": 1}],
            "b": {"_placeholder": true, "num": 0},
            "c": {"_placeholder": false, "num": 0},
            "d": {"_placeholder": true, "num": 9}
        }))
        .ok();
        occurrence.attachments = vec![Bytes::from_static(b"\x01"), Bytes::from_static(b"abc")];
        occurrence.event = Some("e".into());
        occurrence.seq = Some(3);
        let json: Value =
            serde_json::from_slice(&encode(&occurrence, "evt_1", "n1").unwrap()).unwrap();
        assert_eq!(
            json,
            json!({
                "id": "evt_1", "type": "message", "time": 5, "node": "n1", "namespace": "/", "module": "rooms",
                "room": "r", "event": "e", "seq": 3,
                "data": {
                    "a": [{"_base64": "YWJj"}], "b": {"_base64": "AQ=="},
                    "c": {"_placeholder": false, "num": 0}, "d": {"_placeholder": true, "num": 9}
                }
            })
        );
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
