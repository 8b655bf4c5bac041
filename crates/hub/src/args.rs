//! Typed arguments: Rust values to the argument list of an event, and back.
//!
//! A tuple is a list of arguments, `()` is none, and anything else is one argument. Binary values travel as
//! attachments; a [`Binary`] anywhere inside a value becomes one.

use std::cell::RefCell;

use bytes::Bytes;
use lakh_wire::socketio::split_args;
use serde::de::{self, DeserializeOwned, Deserializer};
use serde::ser::{self, Serialize, SerializeStruct, Serializer};
use thiserror::Error;

use crate::payload::Payload;

/// Why arguments could not be turned into the type asked for, or a value not into arguments.
#[derive(Debug, Error)]
#[error("the arguments don't fit: {0}")]
pub struct ArgsError(String);

impl ArgsError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl From<serde_json::Error> for ArgsError {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

thread_local! {
    /// The attachments of the value that is being encoded or decoded on this thread; `None` outside of that.
    /// serde gives a value no other way to hand bytes past the text.
    static ATTACHMENTS: RefCell<Option<Vec<Bytes>>> = const { RefCell::new(None) };
}

/// Sets the attachments for the time of a call, and gives back what is in them afterwards.
fn with_attachments<R>(attachments: Vec<Bytes>, work: impl FnOnce() -> R) -> (R, Vec<Bytes>) {
    let outer = ATTACHMENTS.with_borrow_mut(|slot| slot.replace(attachments));
    let result = work();
    let inner = ATTACHMENTS.with_borrow_mut(|slot| std::mem::replace(slot, outer));
    (result, inner.unwrap_or_default())
}

/// A binary value in the arguments of an event: what a `Buffer` or `ArrayBuffer` is in JavaScript.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binary(pub Bytes);

impl From<Vec<u8>> for Binary {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl Serialize for Binary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number = ATTACHMENTS.with_borrow_mut(|slot| {
            slot.as_mut().map(|attachments| {
                attachments.push(self.0.clone());
                attachments.len() - 1
            })
        });
        let Some(number) = number else {
            return serializer.serialize_bytes(&self.0);
        };
        let mut placeholder = serializer.serialize_struct("Placeholder", 2)?;
        placeholder.serialize_field("_placeholder", &true)?;
        placeholder.serialize_field("num", &number)?;
        placeholder.end()
    }
}

impl<'de> de::Deserialize<'de> for Binary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        struct Placeholder {
            _placeholder: bool,
            num: usize,
        }
        let placeholder = Placeholder::deserialize(deserializer)?;
        let bytes = ATTACHMENTS.with_borrow(|slot| {
            slot.as_ref()
                .and_then(|attachments| attachments.get(placeholder.num).cloned())
        });
        bytes
            .map(Self)
            .ok_or_else(|| de::Error::custom("a binary value is missing its attachment"))
    }
}

/// The argument list `["event", …args]`, or `[…args]` for an acknowledgement.
pub(crate) fn encode<T: Serialize + ?Sized>(
    event: Option<&str>,
    args: &T,
) -> Result<Payload, ArgsError> {
    let mut text = Vec::with_capacity(128);
    text.push(b'[');
    if let Some(event) = event {
        serde_json::to_writer(&mut text, event)?;
    }
    let start = text.len();
    let shape = shape_of_value(args);
    let attachments = if shape == Shape::None {
        Vec::new()
    } else {
        if event.is_some() {
            text.push(b',');
        }
        let begin = text.len();
        let (written, attachments) =
            with_attachments(Vec::new(), || serde_json::to_writer(&mut text, args));
        written?;
        if shape == Shape::List {
            // A tuple came out as `[a,b]`: its elements are the arguments.
            text.pop();
            text.remove(begin);
            if text.len() == begin && event.is_some() {
                text.truncate(start);
            }
        }
        attachments
    };
    text.push(b']');
    let text = String::from_utf8(text).map_err(|_| ArgsError::new("not UTF-8"))?;
    Ok(Payload {
        text: text.into(),
        attachments,
    })
}

/// Reads a value from an argument list, passing over its first `skip` elements. Missing arguments read as null,
/// surplus ones are ignored: so it is in JavaScript.
pub(crate) fn decode<T: DeserializeOwned>(
    list: &str,
    skip: usize,
    attachments: &[Bytes],
) -> Result<T, ArgsError> {
    let all = split_args(list);
    let args = all.get(skip..).unwrap_or_default();
    let text = match shape_of_type::<T>() {
        Shape::None => "null".to_owned(),
        Shape::One => args.first().copied().unwrap_or("null").to_owned(),
        Shape::List => {
            let count = list_len::<T>();
            let given = (0..count).map(|i| args.get(i).copied().unwrap_or("null"));
            format!("[{}]", given.collect::<Vec<_>>().join(","))
        }
    };
    let (value, _) = with_attachments(attachments.to_vec(), || serde_json::from_str(&text));
    Ok(value?)
}

/// How a value stands in an argument list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shape {
    None,
    One,
    List,
}

/// Carries the answer out of a probe as its error; no probe gets as far as a value.
#[derive(Debug)]
struct Found(Shape, usize);

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Found {}

impl de::Error for Found {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Self(Shape::One, 1)
    }
}

impl ser::Error for Found {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Self(Shape::One, 1)
    }
}

fn shape_of_type<T: DeserializeOwned>() -> Shape {
    T::deserialize(TypeProbe)
        .err()
        .map_or(Shape::None, |found| found.0)
}

fn list_len<T: DeserializeOwned>() -> usize {
    T::deserialize(TypeProbe).err().map_or(0, |found| found.1)
}

struct TypeProbe;

macro_rules! one_argument {
    ($($method:ident)*) => {
        $(fn $method<V: de::Visitor<'de>>(self, _: V) -> Result<V::Value, Found> { Err(Found(Shape::One, 1)) })*
    };
}

impl<'de> Deserializer<'de> for TypeProbe {
    type Error = Found;

    one_argument! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf
        deserialize_option deserialize_seq deserialize_map deserialize_identifier deserialize_ignored_any
    }

    fn deserialize_unit<V: de::Visitor<'de>>(self, _: V) -> Result<V::Value, Found> {
        Err(Found(Shape::None, 0))
    }

    fn deserialize_tuple<V: de::Visitor<'de>>(self, len: usize, _: V) -> Result<V::Value, Found> {
        Err(Found(Shape::List, len))
    }

    fn deserialize_unit_struct<V: de::Visitor<'de>>(
        self,
        _: &'static str,
        _: V,
    ) -> Result<V::Value, Found> {
        Err(Found(Shape::One, 1))
    }

    fn deserialize_newtype_struct<V: de::Visitor<'de>>(
        self,
        _: &'static str,
        _: V,
    ) -> Result<V::Value, Found> {
        Err(Found(Shape::One, 1))
    }

    fn deserialize_tuple_struct<V: de::Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        _: V,
    ) -> Result<V::Value, Found> {
        Err(Found(Shape::One, 1))
    }

    fn deserialize_struct<V: de::Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Found> {
        Err(Found(Shape::One, 1))
    }

    fn deserialize_enum<V: de::Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Found> {
        Err(Found(Shape::One, 1))
    }
}

fn shape_of_value<T: Serialize + ?Sized>(value: &T) -> Shape {
    match value.serialize(ValueProbe) {
        // JSON's null is written as `()` is, but it's one argument: only `()` has no size.
        Err(Found(Shape::None, _)) if size_of_val(value) > 0 => Shape::One,
        Err(found) => found.0,
        Ok(()) => Shape::One,
    }
}

struct ValueProbe;

macro_rules! one_value {
    ($($method:ident($($arg:ty),*))*) => {
        $(fn $method(self, $(_: $arg),*) -> Result<Self::Ok, Found> { Err(Found(Shape::One, 1)) })*
    };
}

type Never = ser::Impossible<(), Found>;

impl Serializer for ValueProbe {
    type Ok = ();
    type Error = Found;
    type SerializeSeq = Never;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = Never;
    type SerializeStruct = Never;
    type SerializeStructVariant = Never;

    one_value! {
        serialize_bool(bool) serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64) serialize_f32(f32)
        serialize_f64(f64) serialize_char(char) serialize_str(&str) serialize_bytes(&[u8]) serialize_none()
        serialize_unit_struct(&'static str) serialize_unit_variant(&'static str, u32, &'static str)
    }

    fn serialize_unit(self) -> Result<(), Found> {
        Err(Found(Shape::None, 0))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<(), Found> {
        Err(Found(Shape::One, 1))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: &T,
    ) -> Result<(), Found> {
        Err(Found(Shape::One, 1))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Found> {
        Err(Found(Shape::One, 1))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Never, Found> {
        Err(Found(Shape::One, 1))
    }

    fn serialize_tuple(self, len: usize) -> Result<Never, Found> {
        Err(Found(Shape::List, len))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Never, Found> {
        Err(Found(Shape::One, 1))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Never, Found> {
        Err(Found(Shape::One, 1))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Never, Found> {
        Err(Found(Shape::One, 1))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Never, Found> {
        Err(Found(Shape::One, 1))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Never, Found> {
        Err(Found(Shape::One, 1))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn text<T: Serialize>(args: &T) -> String {
        encode(Some("e"), args)
            .map(|payload| payload.text.into())
            .unwrap_or_default()
    }

    fn answer<T: Serialize>(args: &T) -> String {
        encode(None, args)
            .map(|payload| payload.text.into())
            .unwrap_or_default()
    }

    #[test]
    fn a_tuple_is_a_list_of_arguments_and_anything_else_is_one() {
        assert_eq!(text(&()), r#"["e"]"#);
        assert_eq!(text(&"x"), r#"["e","x"]"#);
        assert_eq!(text(&("x", 1, [true])), r#"["e","x",1,[true]]"#);
        assert_eq!(text(&vec![1, 2]), r#"["e",[1,2]]"#);
        assert_eq!(text(&json!({"a": 1})), r#"["e",{"a":1}]"#);
        assert_eq!(text(&None::<u8>), r#"["e",null]"#);
        assert_eq!(text(&Value::Null), r#"["e",null]"#);
        assert_eq!(answer(&Value::Null), "[null]");
        assert_eq!(answer(&("x", 2)), r#"["x",2]"#);
        assert_eq!(answer(&()), "[]");
    }

    #[test]
    fn arguments_are_read_as_javascript_would() -> Result<(), ArgsError> {
        let list = r#"["e", "x", 1, {"a":[1]}]"#;
        assert_eq!(decode::<String>(list, 1, &[])?, "x");
        assert_eq!(decode::<(String, u8)>(list, 1, &[])?, ("x".to_owned(), 1));
        let (_, _, _, missing) = decode::<(String, u8, Value, Option<u8>)>(list, 1, &[])?;
        assert_eq!(missing, None);
        assert_eq!(decode::<Option<String>>(r#"["e"]"#, 1, &[])?, None);
        decode::<()>(list, 1, &[])?;
        assert!(decode::<u8>(list, 1, &[]).is_err());
        Ok(())
    }

    #[test]
    fn binary_values_travel_as_attachments() -> Result<(), ArgsError> {
        let sent = (
            Binary(Bytes::from_static(b"one")),
            json!(5),
            vec![Binary(Bytes::from_static(b"two"))],
        );
        let payload = encode(Some("e"), &sent)?;
        assert_eq!(
            &*payload.text,
            r#"["e",{"_placeholder":true,"num":0},5,[{"_placeholder":true,"num":1}]]"#
        );
        let back: (Binary, Value, Vec<Binary>) = decode(&payload.text, 1, &payload.attachments)?;
        assert_eq!(back, sent);
        Ok(())
    }

    #[test]
    fn a_placeholder_without_its_attachment_is_an_error() {
        assert!(decode::<Binary>(r#"["e",{"_placeholder":true,"num":3}]"#, 1, &[]).is_err());
    }
}
