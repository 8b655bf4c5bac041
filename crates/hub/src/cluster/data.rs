//! Payloads as nodes pass them on, and back.

use lakh_broker::cluster::{Data, Form};
use lakh_wire::socketio::{split_args, transcode};
use lakh_wire::{Bytes, Limits};
use serde_json::{Value, json};

use crate::payload::Payload;

/// A JSON value with its attachments, in a form that the link takes.
pub(super) fn encode(text: &str, attachments: &[Bytes], form: Form) -> Data {
    match form {
        Form::Msgpack => msgpack(text, attachments),
        Form::JsonUnlessBinary if !attachments.is_empty() => msgpack(text, attachments),
        Form::Json if !attachments.is_empty() => Data::Json(with_buffers(text, attachments)),
        Form::Json | Form::JsonUnlessBinary => Data::Json(text.to_owned()),
    }
}

fn msgpack(text: &str, attachments: &[Bytes]) -> Data {
    Data::Msgpack(transcode::json_to_msgpack(text, attachments).into())
}

/// Binary as Node's `JSON.stringify` writes it.
fn with_buffers(text: &str, attachments: &[Bytes]) -> String {
    let Ok(mut value) = serde_json::from_str::<Value>(text) else {
        return text.to_owned();
    };
    // The depth is bounded by what was decoded or serialized.
    fill(&mut value, attachments);
    value.to_string()
}

fn fill(value: &mut Value, attachments: &[Bytes]) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(|value| fill(value, attachments)),
        Value::Object(fields) => {
            let number = fields.get("num").and_then(Value::as_u64);
            let number = number.and_then(|number| usize::try_from(number).ok());
            let is_placeholder = fields.get("_placeholder") == Some(&Value::Bool(true));
            match number.and_then(|number| attachments.get(number)) {
                Some(bytes) if is_placeholder => {
                    *value = json!({"type": "Buffer", "data": &bytes[..]});
                }
                _ => fields
                    .values_mut()
                    .for_each(|value| fill(value, attachments)),
            }
        }
        _ => {}
    }
}

/// What another node sent: a value as JSON, with its attachments.
pub(super) fn decode(data: Data, limits: &Limits) -> Option<(String, Vec<Bytes>)> {
    match data {
        Data::Json(text) => Some((text, Vec::new())),
        Data::Msgpack(bytes) => transcode::msgpack_to_json(&bytes, limits).ok(),
    }
}

/// An event of another node.
pub(super) fn event(data: Data, limits: &Limits) -> Option<Payload> {
    let (text, attachments) = decode(data, limits)?;
    Some(Payload::from_raw(text, attachments))
}

/// The one value of an answer, as a list of arguments.
pub(super) fn answer(data: Option<Data>, limits: &Limits) -> Option<Payload> {
    let Some(data) = data else {
        return Some(Payload::from_raw("[]", Vec::new()));
    };
    let (text, attachments) = decode(data, limits)?;
    Some(Payload::from_raw(format!("[{text}]"), attachments))
}

/// The first argument of an answer.
pub(super) fn first(answer: &Payload, form: Form) -> Option<Data> {
    let first = split_args(answer.text()).first().copied()?;
    // Attachments are counted over all arguments, so those of the first come first; the others are not referred to.
    let binary = first.contains("\"_placeholder\"");
    let attachments = if binary { answer.attachments() } else { &[] };
    Some(encode(first, attachments, form))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attachments() -> Vec<Bytes> {
        vec![Bytes::from_static(&[1, 2])]
    }

    const EVENT: &str = r#"["e",{"a":{"_placeholder":true,"num":0}}]"#;

    #[test]
    fn binary_goes_as_msgpack_where_it_may_and_as_a_buffer_where_only_json_goes() {
        assert_eq!(
            encode(EVENT, &attachments(), Form::Json),
            Data::Json(r#"["e",{"a":{"data":[1,2],"type":"Buffer"}}]"#.to_owned())
        );
        let packed = encode(EVENT, &attachments(), Form::JsonUnlessBinary);
        assert_eq!(packed.form(), Form::Msgpack);
        let back = event(packed, &Limits::default());
        assert_eq!(back, Some(Payload::from_raw(EVENT, attachments())));
        assert_eq!(
            encode("[1]", &[], Form::JsonUnlessBinary),
            Data::Json("[1]".to_owned())
        );
    }

    #[test]
    fn an_answer_is_its_first_argument() {
        let payload = Payload::from_raw(r#"[{"a":1},2]"#, Vec::new());
        let data = first(&payload, Form::Json);
        assert_eq!(data, Some(Data::Json(r#"{"a":1}"#.to_owned())));
        let back = answer(data, &Limits::default());
        assert_eq!(back, Some(Payload::from_raw(r#"[{"a":1}]"#, Vec::new())));
        assert_eq!(
            first(&Payload::from_raw("[]", Vec::new()), Form::Json),
            None
        );
        let nothing = Some(Payload::from_raw("[]", Vec::new()));
        assert_eq!(answer(None, &Limits::default()), nothing);
    }
}
