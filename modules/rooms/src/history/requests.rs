//! `history:get`, and how what was found is told: events of before, one after the other, with their binary values.

use lakh_hub::{Ack, Bytes, Failure, Namespace, Payload, Socket, answer};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Found, MAX_EVENTS, Want, read, supported};
use crate::server_side::HistoryRange;
use crate::tail::Kept;
use crate::{Inner, Rooms, enter, filter, names};

#[derive(Deserialize)]
struct Get {
    room: String,
    after: Option<u64>,
    before: Option<u64>,
    since: Option<u64>,
    event: Option<String>,
    #[serde(default)]
    oldest_first: bool,
    limit: Option<usize>,
    filter: Option<Value>,
}

pub(crate) fn install(namespace: &Namespace, rooms: &Rooms) {
    let rooms = rooms.clone();
    namespace.on(
        "history:get",
        async move |socket: Socket, event: lakh_hub::Event, ack: Ack| {
            let found = match event.args::<Get>() {
                Ok(request) => get(&rooms.0, &socket, request).await,
                Err(error) => Err(Failure::misread(&error)),
            };
            ack.send_raw(match found {
                Ok(found) => answer_with(&found),
                Err(failure) => answer::<()>(Err(failure)),
            });
        },
    );
}

async fn get(rooms: &Inner, socket: &Socket, request: Get) -> Result<Found, Failure> {
    let (room, kind) = (names::room(&request.room)?, rooms.kinds.of(&request.room));
    enter::may_see(rooms, socket, &request.room, &room).await?;
    supported(rooms, kind)?;
    let mut want = Want::new(HistoryRange {
        after: request.after,
        before: request.before,
        since_ms: request.since,
        event: request.event,
        oldest_first: request.oldest_first,
        limit: request.limit.unwrap_or(0),
    })?;
    if request.limit == Some(0) {
        return Err(Failure::bad_request(format!("limit is 1 to {MAX_EVENTS}")));
    }
    if let Some(filter) = &request.filter {
        want.filter = filter::read(filter)?.map(|text| rooms.filters.get(&text));
    }
    read(rooms, &room, kind, &want, |found| found).await
}

/// The fields of an answer that tell what was found.
pub(crate) fn push_found(text: &mut String, attachments: &mut Vec<Bytes>, found: &Found) {
    text.push_str(r#""events":["#);
    for (at, kept) in found.events.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        push_event(text, attachments, kept);
    }
    text.push_str(&format!(r#"],"complete":{}"#, found.complete));
    if let Some(next) = found.next {
        text.push_str(&format!(r#","next":{next}"#));
    }
}

fn answer_with(found: &Found) -> Payload {
    let mut attachments = Vec::new();
    let mut text = format!(r#"[{{"ok":true,"seq":{},"#, found.seq);
    push_found(&mut text, &mut attachments, found);
    text.push_str("}]");
    Payload::from_raw(text, attachments)
}

/// An event of before as one object: name and data beside what its second argument was.
fn push_event(text: &mut String, attachments: &mut Vec<Bytes>, kept: &Kept) {
    let parts = serde_json::from_str::<(&RawValue, &RawValue, &RawValue)>(&kept.text);
    let Ok((name, data, origin)) = parts else {
        // It was put together by this module; nothing else is kept.
        text.push_str("null");
        return;
    };
    let moved = match (kept.attachments.is_empty(), attachments.is_empty()) {
        (true, _) | (_, true) => None,
        // Binary values before this event's come first.
        _ => serde_json::from_str(data.get())
            .ok()
            .map(|mut data: Value| {
                move_holes(&mut data, attachments.len() as u64);
                data.to_string()
            }),
    };
    attachments.extend(kept.attachments.iter().cloned());
    text.push_str(r#"{"event":"#);
    text.push_str(name.get());
    text.push_str(r#","data":"#);
    text.push_str(moved.as_deref().unwrap_or(data.get()));
    text.push(',');
    text.push_str(origin.get().strip_prefix('{').unwrap_or("}"));
}

/// Adds to the numbers of the placeholders of binary values.
fn move_holes(value: &mut Value, by: u64) {
    match value {
        Value::Object(fields) if fields.get("_placeholder") == Some(&Value::Bool(true)) => {
            if let Some(number) = fields.get("num").and_then(Value::as_u64) {
                fields.insert("num".to_owned(), (number + by).into());
            }
        }
        Value::Object(fields) => fields.values_mut().for_each(|value| move_holes(value, by)),
        Value::Array(list) => list.iter_mut().for_each(|value| move_holes(value, by)),
        _ => {}
    }
}
