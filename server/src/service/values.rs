//! Values of events as callers write them: JSON, in which `{"$binary":"<base64>"}` is a binary value.
//!
//! Both ways: into the text that travels, where a placeholder stands for each binary value, and back for answers.
//! Everything else stays what it was, the order of an object's keys too.

use std::fmt;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lakh_hub::{Binary, Bytes, Limits, Payload};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::problem::{Kind, Problem};

/// The one key of an object that is a binary value.
const BINARY: &str = "$binary";
/// What stands for a binary value in the text that travels.
const PLACEHOLDER: &str = "_placeholder";

/// Arguments of an event.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Arguments {
    /// Each as JSON text.
    pub texts: Vec<String>,
    /// The binary values of all of them.
    pub attachments: Vec<Bytes>,
}

impl Arguments {
    /// Reads what a caller wrote.
    pub(super) fn read(values: &[&RawValue], limits: &Limits) -> Result<Self, Problem> {
        let mut arguments = Self::default();
        for value in values {
            let text = value.get();
            if depth(text) > limits.max_depth {
                let most = limits.max_depth;
                let message = format!("lists and objects are nested deeper than {most}");
                return Err(Problem::bad(message));
            }
            let text = match text.contains(BINARY) {
                true => arguments.fill(text)?,
                false => text.to_owned(),
            };
            arguments.texts.push(text);
        }
        let found = arguments.attachments.len();
        if found > limits.max_attachments {
            let most = limits.max_attachments;
            let message = format!("there are {found} binary values; {most} are allowed");
            return Err(Problem::new(Kind::TooLarge, "too_large", message));
        }
        let stands_for_others = |text: &String| text.contains(PLACEHOLDER);
        if found == 0 && arguments.texts.iter().any(stands_for_others) {
            // Nobody could tell it from a binary value that got lost.
            let message = format!("{PLACEHOLDER:?} is the protocol's own; rename the key");
            return Err(Problem::bad(message));
        }
        Ok(arguments)
    }

    fn fill(&mut self, text: &str) -> Result<String, Problem> {
        let mut out = String::with_capacity(text.len());
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let fill = Fill {
            out: &mut out,
            attachments: &mut self.attachments,
        };
        fill.deserialize(&mut deserializer)
            .map_err(|error| Problem::bad(error.to_string()))?;
        Ok(out)
    }

    /// The argument list of an event.
    pub(super) fn payload(&self, event: &str) -> Payload {
        // A name is text, and text can always be written.
        let name = serde_json::to_string(event).unwrap_or_default();
        let mut list = format!("[{name}");
        for text in &self.texts {
            list.push(',');
            list.push_str(text);
        }
        list.push(']');
        Payload::from_raw(list, self.attachments.clone())
    }
}

/// How deep lists and objects are nested in a JSON text.
fn depth(text: &str) -> usize {
    let (mut now, mut most, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'{' => {
                now += 1;
                most = most.max(now);
            }
            b']' | b'}' => now = now.saturating_sub(1),
            _ => {}
        }
    }
    most
}

/// Copies a value, with placeholders for its binary values.
struct Fill<'a> {
    out: &'a mut String,
    attachments: &'a mut Vec<Bytes>,
}

impl Fill<'_> {
    fn again(&mut self) -> Fill<'_> {
        Fill {
            out: self.out,
            attachments: self.attachments,
        }
    }

    fn put(self, value: &(impl Serialize + ?Sized)) {
        // Numbers and text can always be written.
        self.out
            .push_str(&serde_json::to_string(value).unwrap_or_default());
    }
}

impl<'de> DeserializeSeed<'de> for Fill<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Fill<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.out.push_str("null");
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.put(&value);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.put(&value);
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.put(&value);
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.put(&value);
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.put(value);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        self.out.push('[');
        let begin = self.out.len();
        loop {
            let before = self.out.len();
            if before > begin {
                self.out.push(',');
            }
            if list.next_element_seed(self.again())?.is_none() {
                self.out.truncate(before);
                break;
            }
        }
        self.out.push(']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut key = map.next_key::<String>()?;
        if key.as_deref() == Some(BINARY) {
            let encoded: String = map.next_value()?;
            if map.next_key::<String>()?.is_some() {
                let message = format!("an object with {BINARY:?} has no other keys");
                return Err(A::Error::custom(message));
            }
            let bytes = STANDARD
                .decode(encoded)
                .map_err(|error| A::Error::custom(format!("{BINARY:?} is no base64: {error}")))?;
            let number = self.attachments.len();
            self.attachments.push(bytes.into());
            // Writing to a string can't fail.
            let _ = write!(self.out, r#"{{"{PLACEHOLDER}":true,"num":{number}}}"#);
            return Ok(());
        }
        self.out.push('{');
        let mut first = true;
        while let Some(name) = key {
            if name == BINARY || name == PLACEHOLDER {
                let message = format!("an object with {name:?} among other keys can't be sent");
                return Err(A::Error::custom(message));
            }
            if !std::mem::take(&mut first) {
                self.out.push(',');
            }
            self.again().put(&name);
            self.out.push(':');
            map.next_value_seed(self.again())?;
            key = map.next_key()?;
        }
        self.out.push('}');
        Ok(())
    }
}

/// What a client has answered, its binary values in the form for callers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer(pub Value);

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = Value::deserialize(deserializer)?;
        unfold(&mut value);
        Ok(Self(value))
    }
}

/// Puts binary values where their placeholders stand. The depth is bounded by what clients may send.
fn unfold(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(unfold),
        Value::Object(fields) => {
            if fields.get(PLACEHOLDER) == Some(&Value::Bool(true))
                && let Ok(Binary(bytes)) = Binary::deserialize(Value::Object(fields.clone()))
            {
                *value = binary(&bytes);
                return;
            }
            fields.values_mut().for_each(unfold);
        }
        _ => {}
    }
}

/// A binary value in the form for callers.
pub(super) fn binary(bytes: &[u8]) -> Value {
    serde_json::json!({ BINARY: STANDARD.encode(bytes) })
}

/// A value that travelled as text with placeholders, in the form for callers.
pub(super) fn shown(text: &str, attachments: &[Bytes]) -> Value {
    let mut value = serde_json::from_str(text).unwrap_or_default();
    if !attachments.is_empty() {
        put_back(&mut value, attachments);
    }
    value
}

fn put_back(value: &mut Value, attachments: &[Bytes]) {
    match value {
        Value::Array(list) => list
            .iter_mut()
            .for_each(|value| put_back(value, attachments)),
        Value::Object(fields) => {
            let number = fields.get("num").and_then(Value::as_u64);
            let number = number.and_then(|number| usize::try_from(number).ok());
            let is_placeholder = fields.get(PLACEHOLDER) == Some(&Value::Bool(true));
            match number.and_then(|number| attachments.get(number)) {
                Some(bytes) if is_placeholder => *value = binary(bytes),
                _ => fields
                    .values_mut()
                    .for_each(|value| put_back(value, attachments)),
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Arguments, Problem> {
        let raw: Box<RawValue> = serde_json::from_str(text).unwrap();
        Arguments::read(&[&raw], &Limits::default())
    }

    #[test]
    fn values_without_binary_are_the_text_that_came() {
        let text = r#"{"b":1, "a" : [1.0,1e2,"\u00e9🦀"],"b":2}"#;
        let payload = read(text).unwrap().payload("e\"1");
        assert_eq!(payload.text(), format!(r#"["e\"1",{text}]"#));
    }

    #[test]
    fn binary_values_become_attachments_wherever_they_stand() {
        let text =
            r#"{"z":[{"$binary":"AQI="},null,true,-1,2.5],"a":{"x":{"$binary":""}},"e":[],"o":{}}"#;
        let read = read(text).unwrap();
        let filled = r#"{"z":[{"_placeholder":true,"num":0},null,true,-1,2.5],"a":{"x":{"_placeholder":true,"num":1}},"e":[],"o":{}}"#;
        assert_eq!(read.texts, [filled]);
        assert_eq!(read.attachments[0][..], [1, 2]);
        assert_eq!(read.attachments[1].len(), 0);
        let back: Value = serde_json::from_str(text).unwrap();
        assert_eq!(shown(&read.texts[0], &read.attachments), back);
    }

    #[test]
    fn what_could_be_taken_for_something_else_is_refused() {
        let deep = format!("{}{}", "[".repeat(101), "]".repeat(101));
        let many = format!("[{}0]", r#"{"$binary":""},"#.repeat(11));
        for text in [
            r#"{"$binary":"?"}"#,
            r#"{"$binary":7}"#,
            r#"{"$binary":"","x":1}"#,
            r#"{"x":1,"$binary":""}"#,
            r#"{"_placeholder":true,"num":0}"#,
            r#"[{"$binary":""},{"_placeholder":true,"num":0}]"#,
            &deep,
            &many,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read(r#""a text with $binary in it""#).is_ok());
        assert_eq!(depth(r#"{"a":"[[[[\"[[","b":[1]}"#), 2);
    }
}
