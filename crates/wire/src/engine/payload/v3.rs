//! The two forms of a revision 3 body, read.

use std::ops::ControlFlow;

use super::{PayloadError, decode_binary, decode_text, text};
use crate::Limits;
use crate::engine::{Packet, Version};

/// `<length in UTF-16 units>:<packet>`, again and again. A length of 0 is skipped, as in Node.
pub(super) fn decode_text_form(
    mut rest: &str,
    limits: &Limits,
    mut f: impl FnMut(Packet<'_>) -> ControlFlow<()>,
) -> Result<(), PayloadError> {
    if rest.is_empty() {
        return Err(PayloadError::BadLength);
    }
    let mut packets = 0;
    while !rest.is_empty() {
        packets += 1;
        if packets > limits.max_packets_per_payload {
            return Err(PayloadError::TooManyPackets);
        }
        let (digits, after) = rest.split_once(':').ok_or(PayloadError::BadLength)?;
        let units = parse_length(digits.bytes().map(|b| b.wrapping_sub(b'0')), after.len())?;
        let end = offset_of_unit(after, units).ok_or(PayloadError::BadLength)?;
        let (packet, next) = after.split_at(end);
        rest = next;
        if !packet.is_empty() && f(decode_text(Version::V3, packet)?).is_break() {
            break;
        }
    }
    Ok(())
}

/// `<0 text, 1 binary><length in bytes, a byte a digit><0xff><packet>`, again and again.
pub(super) fn decode_binary_form(
    mut rest: &[u8],
    limits: &Limits,
    mut f: impl FnMut(Packet<'_>) -> ControlFlow<()>,
) -> Result<(), PayloadError> {
    let mut packets = 0;
    while let Some((kind, after)) = rest.split_first() {
        packets += 1;
        if packets > limits.max_packets_per_payload {
            return Err(PayloadError::TooManyPackets);
        }
        let mark = after
            .iter()
            .position(|b| *b == 0xff)
            .ok_or(PayloadError::BadLength)?;
        let (digits, after) = (&after[..mark], &after[mark + 1..]);
        let length = parse_length(digits.iter().copied(), after.len())?;
        let (packet, next) = after.split_at(length);
        rest = next;
        let packet = match kind {
            0 => decode_text(Version::V3, text(packet)?)?,
            1 => decode_binary(Version::V3, packet)?,
            _ => return Err(PayloadError::BadLength),
        };
        if f(packet).is_break() {
            break;
        }
    }
    Ok(())
}

/// Reads a decimal length that may not exceed `most`.
fn parse_length(digits: impl Iterator<Item = u8>, most: usize) -> Result<usize, PayloadError> {
    let mut length = None;
    for digit in digits {
        if digit > 9 {
            return Err(PayloadError::BadLength);
        }
        let next = length
            .unwrap_or(0usize)
            .checked_mul(10)
            .and_then(|n| n.checked_add(usize::from(digit)))
            .filter(|n| *n <= most)
            .ok_or(PayloadError::BadLength)?;
        length = Some(next);
    }
    length.ok_or(PayloadError::BadLength)
}

/// The byte offset after `units` UTF-16 units of `text`; `None` if the text is shorter, or that would split a
/// character.
fn offset_of_unit(text: &str, units: usize) -> Option<usize> {
    // The common case: so many bytes are ASCII, and a byte is a unit.
    if text.as_bytes().get(..units)?.is_ascii() {
        return Some(units);
    }
    let mut left = units;
    for (at, character) in text.char_indices() {
        if left == 0 {
            return Some(at);
        }
        left = left.checked_sub(character.len_utf16())?;
    }
    (left == 0).then_some(text.len())
}
