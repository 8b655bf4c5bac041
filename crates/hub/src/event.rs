//! An event as handlers, middlewares and catch-all listeners see it.

use std::borrow::Cow;

use bytes::Bytes;
use lakh_wire::socketio::event_name;
use serde::de::DeserializeOwned;

use crate::ack::Ack;
use crate::args::{self, ArgsError};
use crate::payload::{Incoming, Payload};
use crate::socket::Socket;

/// An event with its arguments undecoded.
#[derive(Clone, Debug)]
pub struct Event {
    pub(crate) name: Box<str>,
    pub(crate) payload: Payload,
    pub(crate) ack: Option<u64>,
}

impl Event {
    /// The event's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All arguments: a tuple type for a list of them, any other type for the first.
    ///
    /// # Errors
    /// If the arguments are of another type.
    pub fn args<T: DeserializeOwned>(&self) -> Result<T, ArgsError> {
        args::decode(&self.payload.text, 1, &self.payload.attachments)
    }

    /// The arguments as they came, the event's name first.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// Whether the client waits for an answer.
    #[must_use]
    pub fn wants_ack(&self) -> bool {
        self.ack.is_some()
    }
}

/// An event that just arrived, borrowed where it was read.
pub struct EventRef<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) args: &'a Incoming<'a>,
    pub(crate) ack: Option<u64>,
}

impl<'a> EventRef<'a> {
    /// `None` if the arguments are no event's. `name` is theirs, if it's known already.
    pub(crate) fn new(
        name: Option<Cow<'a, str>>,
        args: &'a Incoming<'a>,
        ack: Option<u64>,
    ) -> Option<Self> {
        Some(Self {
            name: name.or_else(|| event_name(args.text()))?,
            args,
            ack,
        })
    }

    /// The raw text of the argument list, the event's name first.
    #[must_use]
    pub fn text(&self) -> &str {
        self.args.text()
    }

    /// The binary values.
    #[must_use]
    pub fn attachments(&self) -> &[Bytes] {
        self.args.attachments()
    }

    pub(crate) fn to_event(&self) -> Event {
        Event {
            name: self.name.as_ref().into(),
            payload: self.args.to_payload(),
            ack: self.ack,
        }
    }
}

/// What a handler can take as its argument besides the socket: any type that serde reads (a tuple for a list of
/// arguments), a whole [`Event`] (for handlers that answer bad arguments themselves), or an [`Ack`].
pub trait FromEvent: Sized {
    /// Reads the argument.
    ///
    /// # Errors
    /// If the event's arguments are of another type.
    fn from_event(socket: &Socket, event: &EventRef<'_>) -> Result<Self, ArgsError>;
}

impl<T: DeserializeOwned> FromEvent for T {
    fn from_event(_: &Socket, event: &EventRef<'_>) -> Result<Self, ArgsError> {
        event.args.decode(1)
    }
}

impl FromEvent for Event {
    fn from_event(_: &Socket, event: &EventRef<'_>) -> Result<Self, ArgsError> {
        Ok(event.to_event())
    }
}

impl FromEvent for Ack {
    fn from_event(socket: &Socket, event: &EventRef<'_>) -> Result<Self, ArgsError> {
        Ok(Self {
            socket: socket.clone(),
            id: event.ack,
        })
    }
}
