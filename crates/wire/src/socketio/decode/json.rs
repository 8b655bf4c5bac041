//! The text of a packet: `<type>[<attachments>-][<namespace>,][<id>][<JSON>]`.

use std::borrow::Cow;

use super::DecodeError;
use crate::Limits;
use crate::json::{JsonError, Placeholder, Scanner, Token, containers, finish, unescape};
use crate::socketio::{Data, Kind, Packet, is_reserved_event};

/// A packet's text, taken apart and checked.
pub(super) struct Head<'a> {
    /// Never a binary kind.
    pub(super) kind: Kind,
    /// How many follow.
    pub(super) attachments: usize,
    pub(super) nsp: &'a str,
    pub(super) id: Option<u64>,
    /// The name of an event, unless it's a number.
    event: Option<Cow<'a, str>>,
    pub(super) payload: Option<&'a str>,
}

impl<'a> Head<'a> {
    pub(super) fn into_packet(self) -> Packet<'a> {
        Packet {
            kind: self.kind,
            nsp: Cow::Borrowed(self.nsp),
            id: self.id,
            event: self.event,
            data: self.payload.map_or(Data::None, |text| Data::Json {
                text: Cow::Borrowed(text),
                attachments: Vec::new(),
            }),
        }
    }
}

pub(super) fn parse<'a>(text: &'a str, limits: &Limits) -> Result<Head<'a>, DecodeError> {
    let first = text.as_bytes().first().ok_or(DecodeError::UnknownType)?;
    let kind = Kind::from_u8(first.wrapping_sub(b'0')).ok_or(DecodeError::UnknownType)?;
    let rest = &text[1..];
    let (kind, attachments, rest) = match kind {
        Kind::BinaryEvent | Kind::BinaryAck => {
            let (count, rest) = attachment_count(rest, limits)?;
            let plain = if kind == Kind::BinaryEvent {
                Kind::Event
            } else {
                Kind::Ack
            };
            (plain, count, rest)
        }
        _ => (kind, 0, rest),
    };
    let (nsp, rest) = namespace(rest);
    let (id, rest) = ack_id(rest)?;
    let payload = (!rest.is_empty()).then_some(rest);
    let event = check_payload(kind, payload, limits)?;
    if attachments > 0 {
        check_placeholders(rest, attachments, limits)?;
    }
    Ok(Head {
        kind,
        attachments,
        nsp,
        id,
        event,
        payload,
    })
}

fn attachment_count<'a>(text: &'a str, limits: &Limits) -> Result<(usize, &'a str), DecodeError> {
    let (digits, rest) = text
        .split_once('-')
        .ok_or(DecodeError::BadAttachmentCount)?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(DecodeError::BadAttachmentCount);
    }
    // What no usize holds is too many as well.
    match digits.parse() {
        Ok(count) if count <= limits.max_attachments => Ok((count, rest)),
        _ => Err(DecodeError::TooManyAttachments),
    }
}

/// The namespace ends at a comma or with the text; without one it is the main one.
fn namespace(text: &str) -> (&str, &str) {
    if !text.starts_with('/') {
        return ("/", text);
    }
    text.split_once(',').unwrap_or((text, ""))
}

fn ack_id(text: &str) -> Result<(Option<u64>, &str), DecodeError> {
    let end = text
        .bytes()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(text.len());
    if end == 0 {
        return Ok((None, text));
    }
    let (digits, rest) = text.split_at(end);
    let id = digits.parse().map_err(|_| DecodeError::BadId)?;
    Ok((Some(id), rest))
}

/// Gives the name, if it's an event.
fn check_payload<'a>(
    kind: Kind,
    payload: Option<&'a str>,
    limits: &Limits,
) -> Result<Option<Cow<'a, str>>, DecodeError> {
    let Some(text) = payload else {
        return match kind {
            Kind::Connect | Kind::Disconnect => Ok(None),
            _ => Err(DecodeError::BadPayload),
        };
    };
    let mut scanner = Scanner::new(text, limits.max_depth);
    let first = scanner.next()?;
    let fits = match kind {
        Kind::Connect => first == Some(Token::ObjectStart),
        Kind::ConnectError => matches!(first, Some(Token::ObjectStart | Token::Str { .. })),
        Kind::Event | Kind::BinaryEvent | Kind::Ack | Kind::BinaryAck => {
            first == Some(Token::ArrayStart)
        }
        Kind::Disconnect => false,
    };
    if !fits {
        return Err(DecodeError::BadPayload);
    }
    let name = match kind {
        Kind::Event => check_name(&mut scanner)?,
        _ => None,
    };
    finish(&mut scanner)?;
    Ok(name)
}

fn check_name<'a>(scanner: &mut Scanner<'a>) -> Result<Option<Cow<'a, str>>, DecodeError> {
    let name = match scanner.next()? {
        Some(Token::Number) => return Ok(None),
        Some(Token::Str { escaped: false }) => Cow::Borrowed(scanner.span()),
        Some(Token::Str { escaped: true }) => unescape(scanner.span()),
        _ => return Err(DecodeError::BadPayload),
    };
    if is_reserved_event(&name) {
        return Err(DecodeError::ReservedEvent);
    }
    Ok(Some(name))
}

fn check_placeholders(text: &str, attachments: usize, limits: &Limits) -> Result<(), DecodeError> {
    let all_there =
        containers(text, limits.max_depth)?
            .iter()
            .all(|container| match container.placeholder {
                Placeholder::No => true,
                Placeholder::Attachment(number) => (number as usize) < attachments,
                Placeholder::Bad => false,
            });
    if all_there {
        Ok(())
    } else {
        Err(DecodeError::BadPlaceholder)
    }
}

impl From<JsonError> for DecodeError {
    fn from(error: JsonError) -> Self {
        match error {
            JsonError::Syntax => DecodeError::Malformed,
            JsonError::TooDeep => DecodeError::TooDeep,
        }
    }
}
