//! Reading: one value at a time; containers give only their size, so nothing recurses.

use smallvec::SmallVec;

use super::MsgpackError;
use crate::json::MOST_DEPTH;

/// One value, or the head of a container.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Nil,
    Bool(bool),
    Int(i64),
    /// Beyond the range of `i64`.
    Uint(u64),
    Float(f64),
    Str(&'a str),
    Bin(&'a [u8]),
    /// So many values follow.
    Array(u32),
    /// So many pairs follow.
    Map(u32),
    /// `fixed` tells the forms without a length from those with one: notepack gives them different meanings.
    Ext {
        kind: i8,
        data: &'a [u8],
        fixed: bool,
    },
}

impl Value<'_> {
    /// notepack 2's `undefined`.
    pub(crate) fn is_undefined(&self) -> bool {
        matches!(
            self,
            Value::Ext {
                kind: 0,
                data: [_],
                fixed: true
            }
        )
    }
}

/// A cursor over msgpack.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Reader<'a> {
        Reader { data, at: 0 }
    }

    /// Bytes read so far.
    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    /// Whether all bytes are read.
    pub(crate) fn is_done(&self) -> bool {
        self.at == self.data.len()
    }

    /// Reads one value, or the head of a container.
    pub(crate) fn value(&mut self) -> Result<Value<'a>, MsgpackError> {
        let prefix = self.bytes(1)?[0];
        Ok(match prefix {
            0x00..=0x7f => Value::Int(i64::from(prefix)),
            0x80..=0x8f => Value::Map(u32::from(prefix & 0x0f)),
            0x90..=0x9f => Value::Array(u32::from(prefix & 0x0f)),
            0xa0..=0xbf => self.str(usize::from(prefix & 0x1f))?,
            0xc0 => Value::Nil,
            0xc2 => Value::Bool(false),
            0xc3 => Value::Bool(true),
            0xc4..=0xc6 => {
                let length = self.length(prefix - 0xc4)?;
                Value::Bin(self.bytes(length)?)
            }
            0xc7..=0xc9 => {
                let length = self.length(prefix - 0xc7)?;
                self.ext(length, false)?
            }
            0xca => Value::Float(f64::from(f32::from_be_bytes(self.array()?))),
            0xcb => Value::Float(f64::from_be_bytes(self.array()?)),
            0xcc => Value::Int(i64::from(u8::from_be_bytes(self.array()?))),
            0xcd => Value::Int(i64::from(u16::from_be_bytes(self.array()?))),
            0xce => Value::Int(i64::from(u32::from_be_bytes(self.array()?))),
            0xcf => {
                let number = u64::from_be_bytes(self.array()?);
                i64::try_from(number).map_or(Value::Uint(number), Value::Int)
            }
            0xd0 => Value::Int(i64::from(i8::from_be_bytes(self.array()?))),
            0xd1 => Value::Int(i64::from(i16::from_be_bytes(self.array()?))),
            0xd2 => Value::Int(i64::from(i32::from_be_bytes(self.array()?))),
            0xd3 => Value::Int(i64::from_be_bytes(self.array()?)),
            0xd4..=0xd8 => self.ext(1 << (prefix - 0xd4), true)?,
            0xd9..=0xdb => {
                let length = self.length(prefix - 0xd9)?;
                self.str(length)?
            }
            0xdc => Value::Array(u32::from(u16::from_be_bytes(self.array()?))),
            0xdd => Value::Array(u32::from_be_bytes(self.array()?)),
            0xde => Value::Map(u32::from(u16::from_be_bytes(self.array()?))),
            0xdf => Value::Map(u32::from_be_bytes(self.array()?)),
            0xe0..=0xff => Value::Int(i64::from(prefix as i8)),
            0xc1 => return Err(MsgpackError::Syntax),
        })
    }

    /// Passes one whole value, and checks it: its nesting, and that keys are names (text, or numbers and words that
    /// JavaScript turns into text).
    pub(crate) fn skip(&mut self, max_depth: usize) -> Result<(), MsgpackError> {
        // For each open container how many values are missing, and whether every second one is a key.
        let mut open: SmallVec<[(u64, bool); 16]> = SmallVec::new();
        loop {
            let is_key = open.last().is_some_and(|(left, map)| *map && left % 2 == 0);
            let value = self.value()?;
            if is_key && !is_name(&value) {
                return Err(MsgpackError::Syntax);
            }
            if let Some((left, _)) = open.last_mut() {
                *left -= 1;
            }
            if let Value::Array(_) | Value::Map(_) = value {
                if open.len() >= max_depth.min(MOST_DEPTH) {
                    return Err(MsgpackError::TooDeep);
                }
                open.push(match value {
                    Value::Map(pairs) => (u64::from(pairs) * 2, true),
                    Value::Array(values) => (u64::from(values), false),
                    _ => (0, false),
                });
            }
            while let Some((0, _)) = open.last() {
                open.pop();
            }
            if open.is_empty() {
                return Ok(());
            }
        }
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8], MsgpackError> {
        let end = self.at.checked_add(count).ok_or(MsgpackError::Syntax)?;
        let bytes = self.data.get(self.at..end).ok_or(MsgpackError::Syntax)?;
        self.at = end;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], MsgpackError> {
        let bytes = self.bytes(N)?;
        bytes.try_into().map_err(|_| MsgpackError::Syntax)
    }

    /// A length of 1, 2 or 4 bytes (`size` 0, 1, 2).
    fn length(&mut self, size: u8) -> Result<usize, MsgpackError> {
        Ok(match size {
            0 => usize::from(u8::from_be_bytes(self.array()?)),
            1 => usize::from(u16::from_be_bytes(self.array()?)),
            _ => u32::from_be_bytes(self.array()?) as usize,
        })
    }

    fn str(&mut self, length: usize) -> Result<Value<'a>, MsgpackError> {
        simdutf8::basic::from_utf8(self.bytes(length)?)
            .map(Value::Str)
            .map_err(|_| MsgpackError::Syntax)
    }

    fn ext(&mut self, length: usize, fixed: bool) -> Result<Value<'a>, MsgpackError> {
        let kind = i8::from_be_bytes(self.array()?);
        let data = self.bytes(length)?;
        Ok(Value::Ext { kind, data, fixed })
    }
}

fn is_name(value: &Value<'_>) -> bool {
    match value {
        Value::Nil | Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::Float(_) => true,
        Value::Str(_) => true,
        Value::Bin(_) | Value::Array(_) | Value::Map(_) | Value::Ext { .. } => false,
    }
}

/// Checks that `data` is exactly one value.
pub(crate) fn check(data: &[u8], max_depth: usize) -> Result<(), MsgpackError> {
    let mut reader = Reader::new(data);
    reader.skip(max_depth)?;
    if reader.is_done() {
        Ok(())
    } else {
        Err(MsgpackError::Syntax)
    }
}
