//! Typed arguments: Rust values to the argument list of an event, and back.
//!
//! A tuple is a list of arguments, `()` is none, and anything else is one argument. Binary values travel as
//! attachments; a [`Binary`] anywhere inside a value becomes one.

mod read;
mod shape;

use std::cell::{Cell, RefCell};

use bytes::Bytes;
use serde::de::{self, Deserializer};
use serde::ser::{Serialize, SerializeStruct, Serializer};
use thiserror::Error;

use shape::{Shape, shape_of_value};

use crate::payload::Payload;

pub(crate) use read::decode;

/// Why arguments could not be turned into the type asked for, or a value not into arguments.
#[derive(Debug, Error)]
#[error("{prefix}{0}", prefix = Self::PREFIX)]
pub struct ArgsError(String);

impl ArgsError {
    pub(crate) const PREFIX: &str = "the arguments don't fit: ";

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
    /// How many of them were read into a [`Binary`].
    static TAKEN: Cell<usize> = const { Cell::new(0) };
}

/// Does something, and tells how many attachments were read in it.
pub(crate) fn counting_taken<R>(work: impl FnOnce() -> R) -> (R, usize) {
    TAKEN.set(0);
    let result = work();
    (result, TAKEN.get())
}

/// Sets the attachments for the time of a call, and gives back what is in them afterwards.
fn with_attachments<R>(attachments: Vec<Bytes>, work: impl FnOnce() -> R) -> (R, Vec<Bytes>) {
    /// Sets back what was there, also when the value's own code panics: another value's bytes are none of its
    /// business.
    struct Outer(Option<Vec<Bytes>>);
    impl Drop for Outer {
        fn drop(&mut self) {
            let outer = self.0.take();
            ATTACHMENTS.with_borrow_mut(|slot| *slot = outer);
        }
    }
    let _outer = Outer(ATTACHMENTS.with_borrow_mut(|slot| slot.replace(attachments)));
    let result = work();
    let inner = ATTACHMENTS.with_borrow_mut(Option::take);
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
        TAKEN.set(TAKEN.get() + 1);
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
    Ok(Payload { text, attachments })
}

#[cfg(test)]
mod tests;
