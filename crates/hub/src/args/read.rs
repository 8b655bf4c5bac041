//! Arguments read from where they lie, in one pass: no list of slices, no copy of the text.

use std::marker::PhantomData;

use bytes::Bytes;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor,
};
use serde_json::Value;
use serde_path_to_error::Segment;

use super::shape::{Shape, shape_of_type};
use super::{ATTACHMENTS, ArgsError, with_attachments};

/// Reads a value from an argument list, passing over its first `skip` elements. Missing arguments read as null,
/// surplus ones are ignored: so it is in JavaScript.
pub(crate) fn decode<T: DeserializeOwned>(
    list: &str,
    skip: usize,
    attachments: &[Bytes],
) -> Result<T, ArgsError> {
    let shape = shape_of_type::<T>();
    if shape == Shape::None {
        return Ok(T::deserialize(Value::Null)?);
    }
    let arguments = || Arguments {
        skip,
        shape,
        kind: PhantomData,
    };
    let read = || serde_json::Deserializer::from_str(list).deserialize_seq(arguments());
    let nothing_to_lend = attachments.is_empty() && ATTACHMENTS.with_borrow(Option::is_none);
    let value = match nothing_to_lend {
        true => read(),
        false => with_attachments(attachments.to_vec(), read).0,
    };
    value.map_err(|error| {
        let place = || place_of(list, arguments());
        let place = match nothing_to_lend {
            true => place(),
            false => with_attachments(attachments.to_vec(), place).0,
        };
        ArgsError(place + &error.to_string())
    })
}

/// Where in an argument a list can't be read. It's read once more for that, slower.
#[cold]
fn place_of<T: DeserializeOwned>(list: &str, arguments: Arguments<T>) -> String {
    let mut track = serde_path_to_error::Track::new();
    let mut text = serde_json::Deserializer::from_str(list);
    let tracked = serde_path_to_error::Deserializer::new(&mut text, &mut track);
    drop(tracked.deserialize_seq(arguments));
    // The first step is to the argument itself.
    let path = track.path();
    let steps = path
        .iter()
        .skip(1)
        .fold(String::new(), |path, step| match step {
            Segment::Seq { index } => format!("{path}[{index}]"),
            step if path.is_empty() => step.to_string(),
            step => format!("{path}.{step}"),
        });
    match steps.is_empty() {
        true => steps,
        false => format!("`{steps}`: "),
    }
}

/// Visits the list.
struct Arguments<T> {
    skip: usize,
    shape: Shape,
    kind: PhantomData<T>,
}

impl<'de, T: DeserializeOwned> Visitor<'de> for Arguments<T> {
    type Value = T;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of arguments")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<T, A::Error> {
        for _ in 0..self.skip {
            list.next_element::<IgnoredAny>()?;
        }
        let mut rest = Filled(list);
        let value = match self.shape {
            Shape::List => T::deserialize(&mut rest)?,
            // The first, or null.
            Shape::One | Shape::None => rest
                .next_element()?
                .ok_or_else(|| de::Error::custom("the arguments end too early"))?,
        };
        while rest.0.next_element::<IgnoredAny>()?.is_some() {}
        Ok(value)
    }
}

/// What is left of a list, and nulls behind its end.
struct Filled<A>(A);

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Filled<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        let mut seed = Some(seed);
        let element = self.0.next_element_seed(Once(&mut seed))?;
        match (element, seed) {
            (None, Some(seed)) => seed
                .deserialize(Value::Null)
                .map(Some)
                .map_err(de::Error::custom),
            (element, _) => Ok(element),
        }
    }
}

/// A seed that stays with its owner if there is no element to read.
struct Once<'a, S>(&'a mut Option<S>);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Once<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        match self.0.take() {
            Some(seed) => seed.deserialize(deserializer),
            None => Err(de::Error::custom("an argument is read twice")),
        }
    }
}

/// A tuple reads as many elements as it has.
impl<'de, A: SeqAccess<'de>> Deserializer<'de> for &mut Filled<A> {
    type Error = A::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_seq(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
