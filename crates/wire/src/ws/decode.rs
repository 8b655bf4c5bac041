//! Frames in, messages out.
//!
//! Invariants: between messages nothing is buffered, so an idle connection costs the size of [`Decoder`]; what is
//! buffered never passes the bound on messages, and grows only with bytes that have come, never with a length that
//! a header claims.
//!
//! A frame that lies whole in the caller's buffer is unmasked there and handed out without a copy. Anything else
//! (a part of a frame, a fragment, a compressed message) is put together in a box that goes away afterwards.

use super::deflate::inflate;
use super::frame::{Header, MAX_HEADER, Opcode, apply_mask};

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole text message.
    Text(&'a str),
    /// A whole binary message.
    Binary(&'a [u8]),
    /// A ping: answer with a pong that carries the same bytes.
    Ping(&'a [u8]),
    /// A pong.
    Pong(&'a [u8]),
    /// The peer closes: answer with a close frame, then close. Nothing after it means anything.
    Close {
        /// The peer's code; `None` if its frame was empty.
        code: Option<u16>,
        /// The peer's reason, often empty.
        reason: &'a str,
    },
}

/// Why the connection has to be failed: send a close frame with [`WsError::close_code`] and close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WsError {
    /// An opcode that RFC 6455 keeps for later.
    #[error("a frame has a reserved opcode")]
    ReservedOpcode,
    /// A reserved bit is set that no extension gives a meaning to.
    #[error("a frame has a reserved bit set")]
    ReservedBits,
    /// A client must mask, a server must not.
    #[error("a frame is masked where it must not be, or not masked where it must be")]
    WrongMask,
    /// A control frame is fragmented or longer than 125 bytes.
    #[error("a control frame is fragmented or longer than 125 bytes")]
    BadControlFrame,
    /// A length is not in its shortest form, or its highest bit is set.
    #[error("a frame's length is not in its shortest form")]
    LongLength,
    /// A continuation with nothing to continue.
    #[error("a continuation frame continues nothing")]
    UnexpectedContinuation,
    /// A new message before the last one was finished.
    #[error("a message began before the last one was finished")]
    UnfinishedMessage,
    /// A close frame of one byte, or with a code that must not be sent.
    #[error("a close frame has no valid code")]
    BadCloseCode,
    /// Text, or a close reason, that is not UTF-8.
    #[error("text is not valid UTF-8")]
    NotUtf8,
    /// A compressed message that is no deflate data.
    #[error("a compressed message is not valid deflate data")]
    BadDeflate,
    /// A message is larger than the server takes, compressed or not.
    #[error("a message is larger than the limit")]
    TooLarge,
}

impl WsError {
    /// The code for the close frame: 1002, 1007 or 1009 (RFC 6455, 7.4.1).
    #[must_use]
    pub const fn close_code(self) -> u16 {
        match self {
            WsError::NotUtf8 | WsError::BadDeflate => 1007,
            WsError::TooLarge => 1009,
            _ => 1002,
        }
    }
}

/// Decodes the frames of one connection. 16 bytes while idle.
#[derive(Debug)]
pub struct Decoder {
    partial: Option<Box<Partial>>,
    rules: Rules,
}

/// What holds for the whole connection.
#[derive(Clone, Copy, Debug)]
struct Rules {
    max_message_bytes: u32,
    deflate: bool,
    masked: bool,
}

/// A frame or message under way.
#[derive(Debug, Default)]
struct Partial {
    /// The bytes of a header that is not whole yet.
    head: [u8; MAX_HEADER],
    head_len: u8,
    /// The frame whose payload is being read, and how much of it is missing.
    frame: Option<Header>,
    missing: u64,
    /// The payload of a control frame; it may stand between the fragments of a message.
    control: Vec<u8>,
    /// The first opcode of the message under way; `None` between messages.
    kind: Option<Opcode>,
    compressed: bool,
    message: Vec<u8>,
    /// What was handed out by the last call and can go now.
    spent: Option<Done>,
}

/// Something is whole and can be handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    Control(Opcode),
    Message(Opcode),
}

impl Decoder {
    /// A decoder for the server's side: frames must be masked. `deflate` says that permessage-deflate is in use.
    /// The bound holds for messages as they come and as they are after inflating.
    #[must_use]
    pub fn new(max_message_bytes: usize, deflate: bool) -> Decoder {
        Decoder::with_role(max_message_bytes, deflate, true)
    }

    pub(super) fn with_role(max_message_bytes: usize, deflate: bool, masked: bool) -> Decoder {
        Decoder {
            partial: None,
            rules: Rules {
                max_message_bytes: u32::try_from(max_message_bytes).unwrap_or(u32::MAX),
                deflate,
                masked,
            },
        }
    }

    /// Consumes a prefix of `buf` (and may change it) and returns its length, with an event once one is whole. Call
    /// again with the rest of the bytes, even if none are left, until there is no event: then all bytes are
    /// consumed, and the memory of the last event is freed.
    ///
    /// # Errors
    /// [`WsError`]: fail the connection; the decoder must not be used again.
    pub fn decode<'a>(
        &'a mut self,
        buf: &'a mut [u8],
    ) -> Result<(usize, Option<Event<'a>>), WsError> {
        self.free_spent();
        if self.partial.is_none() {
            if buf.is_empty() {
                return Ok((0, None));
            }
            if let Some(header) = Header::parse(buf, self.rules.masked, self.rules.deflate)? {
                self.rules.check(&header, None, 0)?;
                let end = header.len as u64 + header.payload_len;
                if header.fin && !header.compressed && end <= buf.len() as u64 {
                    let end = end as usize;
                    let payload = &mut buf[header.len..end];
                    apply_mask(payload, header.mask, 0);
                    return Ok((end, Some(event(header.opcode, payload)?)));
                }
            }
        }
        let partial = self.partial.get_or_insert_default();
        let (used, done) = partial.feed(buf, self.rules)?;
        let event = match done {
            None => None,
            Some(Done::Control(opcode)) => Some(event(opcode, &partial.control)?),
            Some(Done::Message(opcode)) => {
                if partial.compressed {
                    partial.message =
                        inflate(&partial.message, self.rules.max_message_bytes as usize)?;
                }
                Some(event(opcode, &partial.message)?)
            }
        };
        Ok((used, event))
    }

    /// Bytes that this decoder holds on the heap now.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| {
            size_of::<Partial>() + partial.message.capacity() + partial.control.capacity()
        })
    }

    fn free_spent(&mut self) {
        let Some(partial) = &mut self.partial else {
            return;
        };
        match partial.spent.take() {
            Some(Done::Control(_)) if partial.kind.is_some() => partial.control = Vec::new(),
            Some(_) => self.partial = None,
            None => {}
        }
    }
}

impl Rules {
    /// Whether this frame may come now: `kind` is the message under way, of which there are `so_far` bytes.
    fn check(self, header: &Header, kind: Option<Opcode>, so_far: usize) -> Result<(), WsError> {
        if header.opcode.is_control() {
            return Ok(());
        }
        match (header.opcode, kind) {
            (Opcode::Continuation, None) => return Err(WsError::UnexpectedContinuation),
            (Opcode::Text | Opcode::Binary, Some(_)) => return Err(WsError::UnfinishedMessage),
            _ => {}
        }
        let most = u64::from(self.max_message_bytes).saturating_sub(so_far as u64);
        if header.payload_len > most {
            return Err(WsError::TooLarge);
        }
        Ok(())
    }
}

impl Partial {
    /// Reads frames until something is whole or `buf` is used up.
    fn feed(&mut self, buf: &mut [u8], rules: Rules) -> Result<(usize, Option<Done>), WsError> {
        let mut used = 0;
        loop {
            if self.frame.is_none() {
                used += self.read_header(&buf[used..], rules)?;
            }
            let Some(header) = self.frame else {
                return Ok((used, None));
            };
            used += self.read_payload(&header, &mut buf[used..]);
            if self.missing > 0 {
                return Ok((used, None));
            }
            self.frame = None;
            self.spent = match self.kind {
                _ if header.opcode.is_control() => Some(Done::Control(header.opcode)),
                Some(kind) if header.fin => {
                    self.kind = None;
                    Some(Done::Message(kind))
                }
                _ => None,
            };
            if self.spent.is_some() {
                return Ok((used, self.spent));
            }
        }
    }

    /// Collects a header; sets `frame` once it is whole.
    fn read_header(&mut self, buf: &[u8], rules: Rules) -> Result<usize, WsError> {
        let had = usize::from(self.head_len);
        let took = buf.len().min(MAX_HEADER - had);
        self.head[had..had + took].copy_from_slice(&buf[..took]);
        let Some(header) = Header::parse(&self.head[..had + took], rules.masked, rules.deflate)?
        else {
            self.head_len = (had + took) as u8;
            return Ok(took);
        };
        rules.check(&header, self.kind, self.message.len())?;
        self.head_len = 0;
        self.missing = header.payload_len;
        self.frame = Some(header);
        if matches!(header.opcode, Opcode::Text | Opcode::Binary) {
            self.kind = Some(header.opcode);
            self.compressed = header.compressed;
        }
        // More than the header may have been copied: the rest is payload, and stays in the caller's buffer.
        Ok(header.len - had)
    }

    fn read_payload(&mut self, header: &Header, buf: &mut [u8]) -> usize {
        let took = usize::try_from(self.missing).map_or(buf.len(), |left| left.min(buf.len()));
        let bytes = &mut buf[..took];
        apply_mask(bytes, header.mask, header.payload_len - self.missing);
        if header.opcode.is_control() {
            self.control.extend_from_slice(bytes);
        } else {
            self.message.extend_from_slice(bytes);
        }
        self.missing -= took as u64;
        took
    }
}

fn event(opcode: Opcode, payload: &[u8]) -> Result<Event<'_>, WsError> {
    Ok(match opcode {
        Opcode::Text => Event::Text(text(payload)?),
        // A continuation is never handed out by itself.
        Opcode::Binary | Opcode::Continuation => Event::Binary(payload),
        Opcode::Ping => Event::Ping(payload),
        Opcode::Pong => Event::Pong(payload),
        Opcode::Close => close(payload)?,
    })
}

fn text(payload: &[u8]) -> Result<&str, WsError> {
    simdutf8::basic::from_utf8(payload).map_err(|_| WsError::NotUtf8)
}

fn close(payload: &[u8]) -> Result<Event<'_>, WsError> {
    let &[high, low, ref reason @ ..] = payload else {
        return match payload {
            [] => Ok(Event::Close {
                code: None,
                reason: "",
            }),
            _ => Err(WsError::BadCloseCode),
        };
    };
    let code = u16::from_be_bytes([high, low]);
    // 1004, 1005, 1006 and 1015 must not be sent; 3000 to 4999 are for libraries and applications (7.4.2).
    match code {
        1000..=1003 | 1007..=1014 | 3000..=4999 => Ok(Event::Close {
            code: Some(code),
            reason: text(reason)?,
        }),
        _ => Err(WsError::BadCloseCode),
    }
}
