//! Packets in: told apart, checked, and put together with their attachments.
//!
//! Invariants: what comes out is valid and bounded, so it can be passed on unparsed; between packets nothing is
//! buffered. Checks are those of socket.io-parser 4.2 (`isPayloadValid`), for both parsers, and ours on top: a payload
//! where one is due, nesting, total size. Any error ends the connection with a parse error.

use std::borrow::Cow;

use bytes::Bytes;

use super::{Data, Kind, Packet, Parser};
use crate::Limits;

mod json;
mod msgpack;

/// Why bytes are no Socket.IO packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The type is unknown.
    #[error("a packet has an unknown type: send a digit from 0 to 6 first")]
    UnknownType,
    /// The number of attachments is malformed.
    #[error("a binary packet does not say how many attachments follow")]
    BadAttachmentCount,
    /// More attachments than [`Limits::max_attachments`].
    #[error("a packet has more attachments than the server takes")]
    TooManyAttachments,
    /// The namespace is missing or no text.
    #[error("a packet has no valid namespace")]
    BadNamespace,
    /// The id is no whole number, or too large.
    #[error("a packet has an acknowledgement id that is no whole number")]
    BadId,
    /// The payload is not JSON, or not msgpack.
    #[error("a packet's payload is malformed")]
    Malformed,
    /// The payload is nested beyond [`Limits::max_depth`].
    #[error("a packet's payload is nested too deeply")]
    TooDeep,
    /// The payload is missing, or not of the shape that the packet's type asks for.
    #[error("a packet's payload does not fit its type: events need an array with a name first")]
    BadPayload,
    /// The event has a reserved name.
    #[error("an event has a reserved name, such as `connect` or `disconnect`")]
    ReservedEvent,
    /// A placeholder without its attachment.
    #[error("a placeholder refers to no attachment")]
    BadPlaceholder,
    /// Text came while attachments were due, or from a client that speaks msgpack.
    #[error("text came where binary data was due")]
    UnexpectedText,
    /// Binary data came while none was due.
    #[error("binary data came where none was due")]
    UnexpectedBinary,
    /// More bytes than [`Limits::max_payload_bytes`], attachments counted.
    #[error("a packet and its attachments are larger than the server takes")]
    TooLarge,
}

/// Decodes the packets of one connection. 16 bytes while no packet waits for attachments.
#[derive(Debug, Default)]
pub struct Decoder {
    waiting: Option<Box<Waiting>>,
    parser: Option<Parser>,
}

/// A packet whose attachments have not all come.
#[derive(Debug)]
struct Waiting {
    kind: Kind,
    nsp: String,
    id: Option<u64>,
    text: String,
    attachments: Vec<Bytes>,
    wanted: usize,
    bytes: usize,
}

impl Decoder {
    /// A decoder for clients of this parser, or for whichever the client's first packet shows.
    #[must_use]
    pub fn new(parser: Option<Parser>) -> Decoder {
        Decoder {
            waiting: None,
            parser,
        }
    }

    /// The parser that the client speaks, once it is known.
    #[must_use]
    pub fn parser(&self) -> Option<Parser> {
        self.parser
    }

    /// Whether a packet waits for attachments.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Takes the text of an Engine.IO message. `None` if attachments have to come first.
    ///
    /// # Errors
    /// [`DecodeError`]: close the connection with a parse error; the decoder must not be used again.
    pub fn text<'a>(
        &mut self,
        text: &'a str,
        limits: &Limits,
    ) -> Result<Option<Packet<'a>>, DecodeError> {
        if self.waiting.is_some() || self.parser == Some(Parser::Msgpack) {
            return Err(DecodeError::UnexpectedText);
        }
        if text.len() > limits.max_payload_bytes {
            return Err(DecodeError::TooLarge);
        }
        let head = json::parse(text, limits)?;
        self.parser = Some(Parser::Json);
        if head.attachments == 0 {
            return Ok(Some(head.into_packet()));
        }
        self.waiting = Some(Box::new(Waiting {
            kind: head.kind,
            nsp: head.nsp.to_owned(),
            id: head.id,
            text: head.payload.unwrap_or_default().to_owned(),
            // At most `max_attachments`; grows as they come.
            attachments: Vec::new(),
            wanted: head.attachments,
            bytes: text.len(),
        }));
        Ok(None)
    }

    /// Takes the data of a binary Engine.IO message: an attachment, or a msgpack packet. `None` if more attachments
    /// have to come.
    ///
    /// # Errors
    /// [`DecodeError`]: close the connection with a parse error; the decoder must not be used again.
    pub fn binary<'a>(
        &mut self,
        data: &'a [u8],
        limits: &Limits,
    ) -> Result<Option<Packet<'a>>, DecodeError> {
        let Some(mut waiting) = self.waiting.take() else {
            if self.parser == Some(Parser::Json) {
                return Err(DecodeError::UnexpectedBinary);
            }
            if data.len() > limits.max_payload_bytes {
                return Err(DecodeError::TooLarge);
            }
            let packet = msgpack::parse(data, limits)?;
            self.parser = Some(Parser::Msgpack);
            return Ok(Some(packet));
        };
        waiting.bytes = waiting.bytes.saturating_add(data.len());
        if waiting.bytes > limits.max_payload_bytes {
            return Err(DecodeError::TooLarge);
        }
        waiting.attachments.push(Bytes::copy_from_slice(data));
        if waiting.attachments.len() < waiting.wanted {
            self.waiting = Some(waiting);
            return Ok(None);
        }
        Ok(Some(waiting.into_packet()))
    }
}

impl Waiting {
    fn into_packet(self) -> Packet<'static> {
        Packet {
            kind: self.kind,
            nsp: Cow::Owned(self.nsp),
            id: self.id,
            event: None,
            data: Data::Json {
                text: Cow::Owned(self.text),
                attachments: self.attachments,
            },
        }
    }
}

#[cfg(test)]
mod tests;
