//! Objects that clients send, read; and what is wrong with one, said to whoever sent it rather than to who wrote the server.

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, MapDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, MapAccess, Unexpected, Visitor};
use serde_json::value::RawValue;

use crate::args::ArgsError;
use crate::request::Failure;

/// Reads a request's object.
///
/// # Errors
/// `bad_request`, with the field that is wrong.
pub fn read_object<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    match serde_json::from_str(text) {
        Ok(Fields::<T>(fields)) => Ok(fields),
        Err(error) => Err(Failure::misread(&place_of::<T>(text, &error))),
    }
}

/// Read once more, slower: where it's wrong.
fn place_of<T: DeserializeOwned>(text: &str, error: &serde_json::Error) -> String {
    let mut again = serde_json::Deserializer::from_str(text);
    match serde_path_to_error::deserialize::<_, Fields<T>>(&mut again) {
        Err(found) => placed(&found),
        Ok(_) => error.to_string(),
    }
}

impl Failure {
    /// `bad_request` for what could not be read: the words of serde, without those that only Rust has.
    #[must_use]
    pub fn misread(error: &dyn fmt::Display) -> Self {
        Self::bad_request(in_words(&error.to_string()))
    }
}

fn in_words(error: &str) -> String {
    let error = error.strip_prefix(ArgsError::PREFIX).unwrap_or(error);
    // The text was cut out of a packet: its lines and columns mean nothing to who sent it.
    let said = match error.rfind(" at line ") {
        Some(end) if error[end..].contains(" column ") => &error[..end],
        _ => error,
    };
    let Some((before, wanted)) = said.rsplit_once("expected ") else {
        return said.to_owned();
    };
    let wanted = match wanted {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "an object",
        wanted if wanted.starts_with("struct ") => "an object",
        wanted => wanted,
    };
    let before = before.replace("invalid type: map,", "invalid type: object,");
    let before = before.replace("invalid type: sequence,", "invalid type: list,");
    format!("{before}expected {wanted}")
}

/// A request's object. By itself serde would also take a list for it, whose elements are the fields. With `BARE`, null or
/// nothing at all is an object without fields.
#[derive(Debug)]
pub struct Fields<T, const BARE: bool = false>(pub T);

impl<'de, T: Deserialize<'de>, const BARE: bool> Deserialize<'de> for Fields<T, BARE> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldsOf(PhantomData))
    }
}

/// Reads a field that may be left out, and for which null is as good as that. Beside `#[serde(default)]`.
///
/// # Errors
/// Those of the field.
pub fn or_default<'de, T, D>(field: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    Option::deserialize(field).map(Option::unwrap_or_default)
}

/// An object whose fields are those of two types. As `serde(flatten)`, which forgets what field it was that could not be read.
#[derive(Debug)]
pub struct Beside<A, B>(pub A, pub B);

impl<'de, A: DeserializeOwned, B: DeserializeOwned> Deserialize<'de> for Beside<A, B> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = HashMap::deserialize(deserializer)?;
        Ok(Self(some_of(&fields)?, some_of(&fields)?))
    }
}

fn some_of<T: DeserializeOwned, E: de::Error>(
    fields: &HashMap<String, Box<RawValue>>,
) -> Result<T, E> {
    let named = fields.iter().map(|(name, value)| (&**name, &**value));
    let object = MapDeserializer::<_, serde_json::Error>::new(named);
    serde_path_to_error::deserialize(object).map_err(|error| E::custom(placed(&error)))
}

/// What is wrong, with its place if it isn't the object itself (`.`).
fn placed(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    match error.path().iter().len() {
        0 => error.inner().to_string(),
        _ => format!("`{}`: {}", error.path(), error.inner()),
    }
}

struct FieldsOf<T, const BARE: bool>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const BARE: bool> Visitor<'de> for FieldsOf<T, BARE> {
    type Value = Fields<T, BARE>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one object with the request's fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(fields)).map(Fields)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        if !BARE {
            return Err(E::invalid_type(Unexpected::Unit, &self));
        }
        let none = MapDeserializer::new(std::iter::empty::<(&str, &str)>());
        T::deserialize(none).map(Fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only read")]
    struct Page {
        room: String,
        limit: Option<usize>,
        at: Option<Vec<f64>>,
        of: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        on: bool,
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place_and_in_words() {
        for (text, said) in [
            ("{}", "missing field `room`"),
            (
                r#"{"room":1}"#,
                "`room`: invalid type: integer `1`, expected a string",
            ),
            (
                r#"{"room":"a","limit":-1}"#,
                "`limit`: invalid value: integer `-1`, expected a whole number, 0 or more",
            ),
            (
                r#"{"room":"a","at":[1,"x"]}"#,
                "`at[1]`: invalid type: string \"x\", expected a number",
            ),
            (
                r#"{"room":"a","of":{"on":{}}}"#,
                "`of.on`: invalid type: object, expected true or false",
            ),
            (
                r#"{"room":"a","of":3}"#,
                "`of`: invalid type: integer `3`, expected an object",
            ),
            (
                "[]",
                "invalid type: list, expected one object with the request's fields",
            ),
            (
                "null",
                "invalid type: null, expected one object with the request's fields",
            ),
        ] {
            let refused = read_object::<Page>(text).expect_err("it's wrong");
            assert_eq!(
                (refused.code, refused.message.as_str()),
                ("bad_request", said),
                "{text}"
            );
        }
        assert!(read_object::<Page>(r#"{"room":"a","more":1}"#).is_ok());
    }

    #[test]
    fn of_two_types_in_one_object_each_has_its_fields_and_says_which_is_wrong() {
        type Both = Beside<Page, Inner>;
        let both: Both =
            read_object(r#"{"limit":3,"room":"a","on":true,"more":{}}"#).expect("both");
        assert_eq!(
            (both.0.room.as_str(), both.0.limit, both.1.on),
            ("a", Some(3), true)
        );
        for (text, said) in [
            (r#"{"room":"a"}"#, "missing field `on`"),
            (
                r#"{"room":"a","on":1}"#,
                "`on`: invalid type: integer `1`, expected true or false",
            ),
            (
                r#"{"room":"a","on":true,"of":{"on":[]}}"#,
                "`of.on`: invalid type: list, expected true or false",
            ),
            (
                "[]",
                "invalid type: list, expected one object with the request's fields",
            ),
        ] {
            let refused = read_object::<Both>(text).expect_err("it's wrong");
            assert_eq!(refused.message, said, "{text}");
        }
    }

    #[test]
    fn nothing_at_all_is_an_object_without_fields_only_where_that_is_meant() {
        #[derive(Debug, Deserialize)]
        struct Look {
            view: Option<f64>,
        }
        let bare: Fields<Look, true> = serde_json::from_str("null").expect("nothing is enough");
        assert_eq!(bare.0.view, None);
        assert!(serde_json::from_str::<Fields<Look>>("null").is_err());
    }
}
