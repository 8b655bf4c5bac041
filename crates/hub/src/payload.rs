//! The arguments of an event, kept as the bytes they came in.
//!
//! JSON arguments are the text of the whole array with placeholders for binary attachments; arguments of a client with
//! the msgpack parser are the raw array. Whoever needs the other form has it made once.

use std::borrow::Cow;

use bytes::Bytes;
use lakh_wire::Limits;
use lakh_wire::socketio::{Data, split_args, transcode};
use serde::de::DeserializeOwned;

use crate::args::{self, ArgsError};

/// The arguments of an event or acknowledgement as they stand on the wire.
#[derive(Clone, Debug, PartialEq)]
pub struct Payload {
    /// The whole array; for an event its first element is the event's name.
    pub(crate) text: String,
    /// Binary values, which `{"_placeholder":true,"num":n}` in the text stands for.
    pub(crate) attachments: Vec<Bytes>,
}

impl Payload {
    /// From the text of a JSON array and its attachments. The text must be valid JSON; it's sent on as it is.
    #[must_use]
    pub fn from_raw(text: impl Into<String>, attachments: Vec<Bytes>) -> Self {
        Self {
            text: text.into(),
            attachments,
        }
    }

    /// The text of the JSON array, the event's name first.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The binary values.
    #[must_use]
    pub fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }

    /// The same arguments under another event's name, without reading them.
    #[must_use]
    pub fn renamed(&self, event: &str) -> Self {
        // A name is text, and text can always be written.
        let name = serde_json::to_string(event).unwrap_or_default();
        self.with_first(&name)
    }

    /// The same arguments without the event's name: those of an acknowledgement.
    #[must_use]
    pub fn without_name(&self) -> Self {
        self.with_first("")
    }

    /// Puts the number in whose place a 0 stands, as the last value of the last argument, an object.
    pub(crate) fn put_number(&mut self, number: u64) {
        if let Some(text) = self.text.strip_suffix("0}]") {
            self.text = format!("{text}{number}}}]");
        }
    }

    fn with_first(&self, first: &str) -> Self {
        let all = split_args(&self.text);
        let rest = all.get(1..).unwrap_or_default();
        let list: Vec<&str> = (!first.is_empty())
            .then_some(first)
            .into_iter()
            .chain(rest.iter().copied())
            .collect();
        Self {
            text: format!("[{}]", list.join(",")),
            attachments: self.attachments.clone(),
        }
    }

    /// Bytes that this payload weighs in queues and logs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.text.len() + self.attachments.iter().map(Bytes::len).sum::<usize>()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

/// Arguments that just arrived, borrowed from the buffer they were read into.
#[derive(Debug)]
pub(crate) struct Incoming<'a> {
    text: Cow<'a, str>,
    attachments: Vec<Bytes>,
}

impl<'a> Incoming<'a> {
    /// `None` for a packet without data.
    pub(crate) fn new(data: Data<'a>, limits: &Limits) -> Option<Self> {
        match data {
            Data::None => None,
            Data::Json { text, attachments } => Some(Self { text, attachments }),
            Data::Msgpack(raw) => {
                // The decoder has checked it; the same limits hold again here.
                let (text, attachments) = transcode::msgpack_to_json(&raw, limits).ok()?;
                Some(Self {
                    text: Cow::Owned(text),
                    attachments,
                })
            }
        }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }

    pub(crate) fn decode<T: DeserializeOwned>(&self, skip: usize) -> Result<T, ArgsError> {
        args::decode(&self.text, skip, &self.attachments)
    }

    pub(crate) fn to_payload(&self) -> Payload {
        Payload {
            text: self.text.as_ref().into(),
            attachments: self.attachments.clone(),
        }
    }
}

impl<'a> From<&'a Payload> for Incoming<'a> {
    fn from(payload: &'a Payload) -> Self {
        Self {
            text: Cow::Borrowed(&payload.text),
            attachments: payload.attachments.clone(),
        }
    }
}
