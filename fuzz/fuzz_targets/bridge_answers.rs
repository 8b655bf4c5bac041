//! What backends answer to hooks, and what brokers bring: no answer gets more through than it may, and no entry becomes
//! data that readers can't take.
#![no_main]

use lakh_bridge::flows::{Data, Format, Mapping, Pick};
use lakh_bridge::fuzzing::{Entry, On, changed};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use serde_json::value::RawValue;

const ASKED: &str = r#"{"file":{"_placeholder":true,"num":0}}"#;

/// Numbers that no double holds, such as 1e999, are JSON and are passed on; only a `Value` can't have them.
fn parsed(text: &str) -> Value {
    let _: &RawValue = serde_json::from_str(text).expect("JSON");
    serde_json::from_str(text).unwrap_or_default()
}

fn placeholders(value: &Value, found: &mut Vec<u64>) {
    match value {
        Value::Object(fields) if fields.get("_placeholder") == Some(&Value::Bool(true)) => {
            found.push(fields.get("num").and_then(Value::as_u64).expect("a number"));
        }
        Value::Object(fields) => fields.values().for_each(|field| placeholders(field, found)),
        Value::Array(items) => items.iter().for_each(|item| placeholders(item, found)),
        _ => {}
    }
}

fuzz_target!(|data: &[u8]| {
    // With the frame given, the fuzzer tries what is changed.
    let framed = [b"{\"change\":{\"data\":".as_slice(), data, b"}}"].concat();
    for answer in [data, framed.as_slice()] {
        for on in [On::Connect, On::Subscribe, On::Publish] {
            let Some(text) = changed(answer, on, ASKED) else {
                continue;
            };
            assert!(on != On::Subscribe, "a join can't be changed");
            let mut found = Vec::new();
            if on == On::Publish {
                placeholders(&parsed(&text), &mut found);
            }
            assert!(found.is_empty() || found == [0], "{text}");
        }
    }

    let entry = Entry {
        id: "1-0".to_owned(),
        fields: vec![
            ("room".to_owned(), data.to_vec().into()),
            ("event".to_owned(), b"e".to_vec().into()),
        ],
        key: String::from_utf8_lossy(data).into_owned(),
        body: data.to_vec().into(),
    };
    for (room, source, format) in [
        ("fixed:r", "body", Format::Json),
        ("fixed:r", "body", Format::Text),
        ("field:room", "fields", Format::Json),
        ("json:a.0.b", "json:data", Format::Json),
        ("key:2", "field:room", Format::Binary),
    ] {
        let mapping = Mapping {
            room: room.parse::<Pick>().expect("a pick"),
            data: source.parse::<Data>().expect("a place"),
            format,
            ..Mapping::default()
        };
        let _ = mapping.id(&entry);
        if let Ok(event) = mapping.event(&entry) {
            let mut found = Vec::new();
            placeholders(&parsed(event.data.get()), &mut found);
            assert!(
                found.len() <= event.attachments.len(),
                "{}",
                event.data.get()
            );
            assert!(event.room.len() <= 512 && event.event.len() <= 512);
        }
    }
});
