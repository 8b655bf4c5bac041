//! What happened as one JSON object, the same for hooks and sinks: made once, and kept in the store as it is sent.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use lakh_hub::{Bytes, Keeping, Occurrence, Person};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use tokio::sync::watch;

/// Largest event. The store takes 16 MiB in a value.
const MAX_BYTES: usize = 12 << 20;

/// Until so many stand in the store. `None`: they do.
pub(crate) fn until(stored: &watch::Sender<u64>, number: u64) -> Option<Keeping> {
    if *stored.borrow() >= number {
        return None;
    }
    let mut stored = stored.subscribe();
    Some(Box::pin(async move {
        // The sender lives as long as the hub, which has its owner as a watcher.
        let _ = stored.wait_for(|stored| *stored >= number).await;
    }))
}

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

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A panic is how a test fails.
mod tests {
    use lakh_hub::What;
    use serde_json::json;

    use super::*;

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
}
