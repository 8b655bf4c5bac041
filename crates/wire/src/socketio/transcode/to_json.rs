//! msgpack in, JSON and attachments out, as `JSON.stringify` would write what notepack reads: dates as ISO strings,
//! numbers that are none as null, `undefined` left out of objects and null in arrays, bytes as placeholders.

use std::fmt::Write as _;

use bytes::Bytes;

use super::date::{self, Date};
use crate::Limits;
use crate::json;
use crate::msgpack::{Reader, Value, check};
use crate::socketio::DecodeError;

/// A msgpack value as JSON and its attachments.
///
/// # Errors
/// [`DecodeError::Malformed`] and [`DecodeError::TooDeep`] if `data` is not one valid value, which that of a decoded
/// packet is; [`DecodeError::TooManyAttachments`] if it holds more bytes values than clients with the JSON parser take;
/// [`DecodeError::BadPlaceholder`] if beside bytes values it holds an object that a client would take for a placeholder.
pub fn msgpack_to_json(data: &[u8], limits: &Limits) -> Result<(String, Vec<Bytes>), DecodeError> {
    // Checked first, so that writing meets no surprise; it is much the cheaper half.
    check(data, limits.max_depth)?;
    let mut writer = Writer {
        out: String::with_capacity(data.len() + data.len() / 4 + 16),
        attachments: Vec::new(),
        max_attachments: limits.max_attachments,
        open: Vec::new(),
        false_placeholder: false,
    };
    let mut reader = Reader::new(data);
    writer.value(reader.value()?)?;
    while let Some(open) = writer.open.last_mut() {
        if open.left == 0 {
            writer.close();
            continue;
        }
        open.left -= 1;
        if open.map {
            writer.pair(&mut reader)?;
        } else {
            writer.comma();
            writer.value(reader.value()?)?;
        }
    }
    // In a packet with attachments, a client with the JSON parser would put one in place of this object, or drop its
    // connection if there is none with that number.
    if writer.false_placeholder && !writer.attachments.is_empty() {
        return Err(DecodeError::BadPlaceholder);
    }
    Ok((writer.out, writer.attachments))
}

struct Open {
    left: u32,
    map: bool,
    empty: bool,
}

struct Writer {
    out: String,
    attachments: Vec<Bytes>,
    max_attachments: usize,
    open: Vec<Open>,
    /// The value has an object with `_placeholder: true` of its own.
    false_placeholder: bool,
}

impl Writer {
    fn comma(&mut self) {
        if let Some(open) = self.open.last_mut() {
            if !open.empty {
                self.out.push(',');
            }
            open.empty = false;
        }
    }

    fn close(&mut self) {
        if let Some(open) = self.open.pop() {
            self.out.push(if open.map { '}' } else { ']' });
        }
    }

    fn pair(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        let key = reader.value()?;
        let value = reader.value()?;
        if value.is_undefined() {
            return Ok(());
        }
        if let (Value::Str("_placeholder"), Value::Bool(true)) = (key, value) {
            self.false_placeholder = true;
        }
        self.comma();
        self.out.push('"');
        match key {
            Value::Str(text) => json::escape(&mut self.out, text),
            // JavaScript turns every key into text.
            Value::Float(number) if !number.is_finite() => {
                self.out.push_str(match number {
                    f64::INFINITY => "Infinity",
                    f64::NEG_INFINITY => "-Infinity",
                    _ => "NaN",
                });
            }
            other => self.value(other)?,
        }
        self.out.push_str("\":");
        self.value(value)
    }

    fn value(&mut self, value: Value<'_>) -> Result<(), DecodeError> {
        match value {
            Value::Nil => self.out.push_str("null"),
            Value::Bool(true) => self.out.push_str("true"),
            Value::Bool(false) => self.out.push_str("false"),
            // Writing to a String can't fail, here and below.
            Value::Int(number) => drop(write!(self.out, "{number}")),
            Value::Uint(number) => drop(write!(self.out, "{number}")),
            Value::Float(number) => self.float(number),
            Value::Str(text) => self.quoted(text),
            Value::Bin(data) => self.attachment(data)?,
            Value::Array(length) => self.start(length, false),
            Value::Map(pairs) => self.start(pairs, true),
            undefined if undefined.is_undefined() => self.out.push_str("null"),
            Value::Ext { kind, data, fixed } => self.ext(kind, data, fixed)?,
        }
        Ok(())
    }

    fn start(&mut self, left: u32, map: bool) {
        self.out.push(if map { '{' } else { '[' });
        self.open.push(Open {
            left,
            map,
            empty: true,
        });
    }

    fn quoted(&mut self, text: &str) {
        self.out.push('"');
        json::escape(&mut self.out, text);
        self.out.push('"');
    }

    /// The shortest decimal that reads back the same, as JavaScript writes it but for the exponent's range.
    fn float(&mut self, number: f64) {
        let size = number.abs();
        if !number.is_finite() {
            self.out.push_str("null");
        } else if size != 0.0 && !(1e-6..1e21).contains(&size) {
            let _ = write!(self.out, "{number:e}");
        } else {
            // Adding zero turns −0 into 0, which is what JavaScript writes for both.
            let _ = write!(self.out, "{}", number + 0.0);
        }
    }

    fn attachment(&mut self, data: &[u8]) -> Result<(), DecodeError> {
        let number = self.attachments.len();
        if number >= self.max_attachments {
            return Err(DecodeError::TooManyAttachments);
        }
        self.attachments.push(Bytes::copy_from_slice(data));
        let _ = write!(self.out, "{{\"_placeholder\":true,\"num\":{number}}}");
        Ok(())
    }

    fn ext(&mut self, kind: i8, data: &[u8], fixed: bool) -> Result<(), DecodeError> {
        match (date::read(kind, data, fixed), kind) {
            (Some(Date::Valid(ms)), _) => {
                self.out.push('"');
                date::write_iso(&mut self.out, ms);
                self.out.push('"');
            }
            (Some(Date::Invalid), _) => self.out.push_str("null"),
            // An ArrayBuffer of notepack 2.
            (None, 0) if !fixed => self.attachment(data)?,
            // notepack gives types that it does not know as `[type, bytes]`.
            (None, _) => {
                let _ = write!(self.out, "[{kind},");
                self.attachment(data)?;
                self.out.push(']');
            }
        }
        Ok(())
    }
}
