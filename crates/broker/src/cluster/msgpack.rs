//! MessagePack as far as envelopes need it: values are found and stepped over, not built.
//!
//! Nothing recurses and nothing is allocated by a length that a sender states: a value is a slice of the message, maps
//! and arrays are walked in place. Writing gives the bytes of notepack 3 and of @msgpack/msgpack, which agree on all
//! that envelopes hold.

use bytes::Bytes;
use rmp::Marker;
use smallvec::SmallVec;

use super::limits::{DecodeError, Limits};
use super::message::{Flags, Opts};
use crate::Room;

const CUT: DecodeError = DecodeError::Msgpack("it ends too early");

/// One value, and what follows it is not looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value<'a> {
    bytes: &'a [u8],
}

/// What a head says of the value behind it.
enum Head {
    /// That many bytes of payload.
    Flat(usize),
    /// That many values.
    Items(u64),
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], DecodeError> {
    let (taken, left) = rest.split_at_checked(count).ok_or(CUT)?;
    *rest = left;
    Ok(taken)
}

fn number(rest: &mut &[u8], width: usize) -> Result<u64, DecodeError> {
    let bytes = take(rest, width)?;
    Ok(bytes
        .iter()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

fn length(rest: &mut &[u8], width: usize) -> Result<usize, DecodeError> {
    usize::try_from(number(rest, width)?).map_err(|_| CUT)
}

/// Reads the marker and the length behind it.
fn head(rest: &mut &[u8]) -> Result<(Marker, Head), DecodeError> {
    let marker = Marker::from_u8(take(rest, 1)?[0]);
    let head = match marker {
        Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => {
            Head::Flat(0)
        }
        Marker::U8 | Marker::I8 => Head::Flat(1),
        Marker::U16 | Marker::I16 => Head::Flat(2),
        Marker::U32 | Marker::I32 | Marker::F32 => Head::Flat(4),
        Marker::U64 | Marker::I64 | Marker::F64 => Head::Flat(8),
        Marker::FixStr(len) => Head::Flat(len.into()),
        Marker::Str8 | Marker::Bin8 => Head::Flat(length(rest, 1)?),
        Marker::Str16 | Marker::Bin16 => Head::Flat(length(rest, 2)?),
        Marker::Str32 | Marker::Bin32 => Head::Flat(length(rest, 4)?),
        // An extension's type takes one byte more.
        Marker::FixExt1 => Head::Flat(2),
        Marker::FixExt2 => Head::Flat(3),
        Marker::FixExt4 => Head::Flat(5),
        Marker::FixExt8 => Head::Flat(9),
        Marker::FixExt16 => Head::Flat(17),
        Marker::Ext8 => Head::Flat(length(rest, 1)? + 1),
        Marker::Ext16 => Head::Flat(length(rest, 2)? + 1),
        Marker::Ext32 => Head::Flat(length(rest, 4)?.saturating_add(1)),
        Marker::FixArray(len) => Head::Items(len.into()),
        Marker::Array16 => Head::Items(number(rest, 2)?),
        Marker::Array32 => Head::Items(number(rest, 4)?),
        Marker::FixMap(len) => Head::Items(u64::from(len) * 2),
        Marker::Map16 => Head::Items(number(rest, 2)? * 2),
        Marker::Map32 => Head::Items(number(rest, 4)? * 2),
        Marker::Reserved => return Err(DecodeError::Msgpack("a reserved marker")),
    };
    Ok((marker, head))
}

/// Steps over one value and returns its bytes.
fn step<'a>(rest: &mut &'a [u8], max_depth: usize) -> Result<&'a [u8], DecodeError> {
    let start = *rest;
    // How many values are still to come, on each level that is open.
    let mut open: SmallVec<[u64; 16]> = SmallVec::new();
    loop {
        match head(rest)?.1 {
            Head::Flat(len) => {
                take(rest, len)?;
            }
            Head::Items(0) => {}
            Head::Items(count) => {
                if open.len() >= max_depth {
                    return Err(DecodeError::TooDeep);
                }
                open.push(count + 1);
            }
        }
        while let Some(left) = open.last_mut() {
            *left -= 1;
            if *left > 0 {
                break;
            }
            open.pop();
        }
        if open.is_empty() {
            return Ok(&start[..start.len() - rest.len()]);
        }
    }
}

impl<'a> Value<'a> {
    /// The one value that a message is. What stands behind it is an error.
    pub(crate) fn message(bytes: &'a [u8], limits: &Limits) -> Result<Self, DecodeError> {
        limits.size(bytes.len())?;
        let mut rest = bytes;
        let bytes = step(&mut rest, limits.max_depth)?;
        if !rest.is_empty() {
            return Err(DecodeError::Msgpack("more than one value"));
        }
        Ok(Self { bytes })
    }

    /// Its bytes, shared with the message it was found in.
    pub(crate) fn shared(self, message: &Bytes) -> Bytes {
        message.slice_ref(self.bytes)
    }

    pub(crate) fn is_nil(self) -> bool {
        self.bytes == [Marker::Null.to_u8()]
    }

    /// The values of an array, at most `limits.max_items`.
    pub(crate) fn array(self, limits: &Limits) -> Result<Vec<Value<'a>>, DecodeError> {
        let mut rest = self.bytes;
        match head(&mut rest)? {
            (Marker::FixArray(_) | Marker::Array16 | Marker::Array32, Head::Items(count)) => {
                values(&mut rest, count, limits)
            }
            _ => Err(DecodeError::Msgpack("no array where one must be")),
        }
    }

    /// The entries of a map whose keys are text; others are left out.
    pub(crate) fn map(self, limits: &Limits) -> Result<Map<'a>, DecodeError> {
        let mut rest = self.bytes;
        match head(&mut rest)? {
            (Marker::FixMap(_) | Marker::Map16 | Marker::Map32, Head::Items(count)) => {
                let flat = values(&mut rest, count, limits)?;
                let pairs = flat.chunks_exact(2);
                let entries = pairs.filter_map(|pair| Some((pair[0].text()?, pair[1])));
                Ok(Map(entries.collect()))
            }
            _ => Err(DecodeError::Msgpack("no map where one must be")),
        }
    }

    pub(crate) fn text(self) -> Option<&'a str> {
        let mut rest = self.bytes;
        match head(&mut rest).ok()? {
            (Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32, Head::Flat(_)) => {
                std::str::from_utf8(rest).ok()
            }
            _ => None,
        }
    }

    pub(crate) fn bool(self) -> Option<bool> {
        match Marker::from_u8(*self.bytes.first()?) {
            Marker::True => Some(true),
            Marker::False => Some(false),
            _ => None,
        }
    }

    /// A number, whatever its width.
    pub(crate) fn number(self) -> Option<f64> {
        let mut rest = self.bytes;
        let marker = Marker::from_u8(take(&mut rest, 1).ok()?[0]);
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_wrap)]
        // JavaScript has no other numbers than these either.
        Some(match marker {
            Marker::FixPos(small) => small.into(),
            Marker::FixNeg(small) => small.into(),
            Marker::U8 | Marker::U16 | Marker::U32 | Marker::U64 => {
                number(&mut rest, self.bytes.len() - 1).ok()? as f64
            }
            Marker::I8 => f64::from(i8::from_be_bytes(rest.try_into().ok()?)),
            Marker::I16 => f64::from(i16::from_be_bytes(rest.try_into().ok()?)),
            Marker::I32 => f64::from(i32::from_be_bytes(rest.try_into().ok()?)),
            Marker::I64 => i64::from_be_bytes(rest.try_into().ok()?) as f64,
            Marker::F32 => f64::from(f32::from_be_bytes(rest.try_into().ok()?)),
            Marker::F64 => f64::from_be_bytes(rest.try_into().ok()?),
            _ => return None,
        })
    }

    /// A count or a type: a number without sign and fraction.
    pub(crate) fn count(self) -> Option<u64> {
        whole(self.number()?)
    }

    /// A room's name: text, or a number as JavaScript writes it.
    pub(crate) fn room(self) -> Option<Room> {
        match self.text() {
            Some(name) => Some(name.into()),
            None => Some(number_as_text(self.number()?).into()),
        }
    }

    /// A list of rooms.
    pub(crate) fn rooms(self, limits: &Limits) -> Result<Vec<Room>, DecodeError> {
        let items = self.array(limits)?.into_iter();
        items
            .map(|item| item.room().ok_or(DecodeError::Field("rooms")))
            .collect()
    }

    /// `{rooms, except, flags}`; what is missing is empty.
    pub(crate) fn opts(self, limits: &Limits) -> Result<Opts, DecodeError> {
        let map = self.map(limits)?;
        let list = |key| match map.get(key) {
            Some(value) => value.rooms(limits),
            None => Ok(Vec::new()),
        };
        Ok(Opts {
            rooms: list("rooms")?,
            except: list("except")?,
            flags: match map.get("flags") {
                Some(value) => value.flags(limits)?,
                None => Flags::default(),
            },
        })
    }

    fn flags(self, limits: &Limits) -> Result<Flags, DecodeError> {
        let map = self.map(limits)?;
        let flag = |key| map.get(key).and_then(Value::bool);
        Ok(Flags {
            volatile: flag("volatile").unwrap_or_default(),
            compress: flag("compress"),
            local: flag("local").unwrap_or_default(),
            broadcast: flag("broadcast").unwrap_or_default(),
            binary: flag("binary"),
            expect_single_response: flag("expectSingleResponse").unwrap_or_default(),
            timeout_ms: map.get("timeout").and_then(Value::count),
        })
    }
}

fn values<'a>(
    rest: &mut &'a [u8],
    count: u64,
    limits: &Limits,
) -> Result<Vec<Value<'a>>, DecodeError> {
    if count > limits.max_items as u64 {
        return Err(DecodeError::TooMany);
    }
    let mut values = Vec::new();
    for _ in 0..count {
        let bytes = step(rest, limits.max_depth)?;
        values.push(Value { bytes });
    }
    Ok(values)
}

/// The entries of a map.
#[derive(Debug)]
pub(crate) struct Map<'a>(SmallVec<[(&'a str, Value<'a>); 8]>);

impl<'a> Map<'a> {
    /// The value of a key, if it's there and not nil. Of doubles the last counts, as in JavaScript.
    pub(crate) fn get(&self, key: &str) -> Option<Value<'a>> {
        let found = self.0.iter().rev().find(|(name, _)| *name == key);
        found.map(|(_, value)| *value).filter(|one| !one.is_nil())
    }

    pub(crate) fn need(&self, key: &'static str) -> Result<Value<'a>, DecodeError> {
        self.get(key).ok_or(DecodeError::Field(key))
    }

    pub(crate) fn need_text(&self, key: &'static str) -> Result<&'a str, DecodeError> {
        self.need(key)?.text().ok_or(DecodeError::Field(key))
    }

    pub(crate) fn need_count(&self, key: &'static str) -> Result<u64, DecodeError> {
        self.need(key)?.count().ok_or(DecodeError::Field(key))
    }
}

/// A number without sign and fraction, as far as one is exact in JavaScript.
pub(crate) fn whole(number: f64) -> Option<u64> {
    let fits = (0.0..9_007_199_254_740_992.0).contains(&number) && number.fract() == 0.0;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    // It was just looked at.
    fits.then_some(number as u64)
}

/// A number as JavaScript's `String` writes it, for all that anyone names a room by.
pub(crate) fn number_as_text(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    format!("{number}")
}

/// Writing into a vector can't fail, so this drops the error that the crate's signatures carry.
fn sure<T, E>(written: &Result<T, E>) {
    debug_assert!(written.is_ok(), "a vector takes all that is written");
}

/// Bytes of a message under way.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn array(&mut self, len: usize) -> &mut Self {
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        sure(&rmp::encode::write_array_len(&mut self.0, len));
        self
    }

    pub(crate) fn map(&mut self, len: usize) -> &mut Self {
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        sure(&rmp::encode::write_map_len(&mut self.0, len));
        self
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        sure(&rmp::encode::write_str(&mut self.0, text));
        self
    }

    pub(crate) fn count(&mut self, count: u64) -> &mut Self {
        sure(&rmp::encode::write_uint(&mut self.0, count));
        self
    }

    pub(crate) fn bool(&mut self, value: bool) -> &mut Self {
        sure(&rmp::encode::write_bool(&mut self.0, value));
        self
    }

    pub(crate) fn nil(&mut self) -> &mut Self {
        sure(&rmp::encode::write_nil(&mut self.0));
        self
    }

    /// A value that is MessagePack already.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn rooms(&mut self, rooms: &[Room]) -> &mut Self {
        self.array(rooms.len());
        for room in rooms {
            self.text(room);
        }
        self
    }

    pub(crate) fn opts(&mut self, opts: &Opts) -> &mut Self {
        self.map(3).text("rooms").rooms(&opts.rooms);
        self.text("except").rooms(&opts.except);
        self.text("flags").flags(&opts.flags)
    }

    fn flags(&mut self, flags: &Flags) -> &mut Self {
        let switches = flags.switches();
        self.map(switches.len() + usize::from(flags.timeout_ms.is_some()));
        for (name, value) in switches {
            self.text(name).bool(value);
        }
        if let Some(timeout_ms) = flags.timeout_ms {
            self.text("timeout").count(timeout_ms);
        }
        self
    }

    pub(crate) fn finish(self) -> Bytes {
        self.0.into()
    }
}

impl Flags {
    /// Those that are set, by Node's names; but for the time-out, which stands last.
    pub(crate) fn switches(&self) -> SmallVec<[(&'static str, bool); 6]> {
        let all = [
            ("volatile", self.volatile.then_some(true)),
            ("compress", self.compress),
            ("local", self.local.then_some(true)),
            ("broadcast", self.broadcast.then_some(true)),
            ("binary", self.binary),
            (
                "expectSingleResponse",
                self.expect_single_response.then_some(true),
            ),
        ];
        all.into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stated_lengths_and_depths_are_not_believed() {
        let limits = Limits::default();
        for bomb in [
            &b"\xdd\xff\xff\xff\xff"[..],
            b"\xdf\xff\xff\xff\xff\x01",
            b"\xc6\xff\xff\xff\xff\x00",
            b"\xc9\xff\xff\xff\xff\x00",
            b"\xdb\xff\xff\xff\xff",
            b"\x81\xa1a",
            b"",
        ] {
            assert_eq!(Value::message(bomb, &limits).err(), Some(CUT), "{bomb:x?}");
        }
        let deep = vec![0x91; 1 << 20];
        assert_eq!(
            Value::message(&deep, &limits).err(),
            Some(DecodeError::TooDeep)
        );
        assert!(Value::message(b"\xc1", &limits).is_err());
        assert!(Value::message(b"\x01\x02", &limits).is_err());
    }

    #[test]
    fn rooms_may_be_numbers() -> Result<(), DecodeError> {
        let limits = Limits::default();
        // [7, -1, 1.5, 300, "x"]
        let list = b"\x95\x07\xff\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\xcd\x01\x2c\xa1x";
        let rooms = Value::message(list, &limits)?.rooms(&limits)?;
        let names: Vec<&str> = rooms.iter().map(|room| &**room).collect();
        assert_eq!(names, ["7", "-1", "1.5", "300", "x"]);
        Ok(())
    }

    #[test]
    fn a_list_longer_than_its_bound_is_refused() -> Result<(), DecodeError> {
        let limits = Limits {
            max_items: 2,
            ..Limits::default()
        };
        let value = Value::message(b"\x93\x01\x02\x03", &limits)?;
        assert_eq!(value.array(&limits).err(), Some(DecodeError::TooMany));
        Ok(())
    }
}
