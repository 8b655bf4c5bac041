//! Bits and varints. The first bit is the lowest of the first byte; a number's lowest bit comes first.

/// What was to be read is longer than what is there, or a number is longer than its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes end too early")]
pub struct TooShort;

/// How many bits the numbers up to `most` need.
pub(crate) const fn bits_for(most: u64) -> u32 {
    u64::BITS - most.leading_zeros()
}

/// Appends bits to bytes. What is not a whole byte at the end is filled up by [`BitWriter::finish`].
pub(crate) struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    hold: u64,
    held: u32,
}

impl<'a> BitWriter<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        Self {
            out,
            hold: 0,
            held: 0,
        }
    }

    /// At most 32 bits; `value` has no others.
    #[inline]
    pub(crate) fn put(&mut self, value: u32, width: u32) {
        debug_assert!(width <= 32 && u64::from(value) >> width == 0);
        self.hold |= u64::from(value) << self.held;
        self.held += width;
        if self.held >= 32 {
            // The lower half: what is kept is shifted down.
            self.out
                .extend_from_slice(&(self.hold as u32).to_le_bytes());
            self.hold >>= 32;
            self.held -= 32;
        }
    }

    pub(crate) fn flag(&mut self, value: bool) {
        self.put(u32::from(value), 1);
    }

    /// Up to 64 bits, the lower 32 first.
    pub(crate) fn put_long(&mut self, value: u64, width: u32) {
        if width > 32 {
            self.put(value as u32, 32);
            self.put((value >> 32) as u32, width - 32);
        } else {
            self.put(value as u32, width);
        }
    }

    /// Five bits that say how many follow (less one), then these.
    pub(crate) fn sized(&mut self, value: u32) {
        let width = bits_for(u64::from(value)).max(1);
        self.put(width - 1, 5);
        self.put(value, width);
    }

    pub(crate) fn finish(self) {
        let bytes = self.held.div_ceil(8) as usize;
        self.out
            .extend_from_slice(&self.hold.to_le_bytes()[..bytes]);
    }
}

/// Reads what [`BitWriter`] wrote, and never past the end.
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    /// In bits.
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    #[inline]
    pub(crate) fn take(&mut self, width: u32) -> Result<u32, TooShort> {
        debug_assert!(width <= 32);
        let end = self.at + width as usize;
        if end > self.bytes.len() * 8 {
            return Err(TooShort);
        }
        let from = self.at / 8;
        let word = match self.bytes.get(from..from + 8) {
            Some(word) => u64::from_le_bytes([
                word[0], word[1], word[2], word[3], word[4], word[5], word[6], word[7],
            ]),
            None => {
                let mut word = [0; 8];
                let rest = &self.bytes[from..];
                word[..rest.len()].copy_from_slice(rest);
                u64::from_le_bytes(word)
            }
        };
        let value = (word >> (self.at % 8)) & ((1 << width) - 1);
        self.at = end;
        Ok(value as u32)
    }

    pub(crate) fn flag(&mut self) -> Result<bool, TooShort> {
        Ok(self.take(1)? == 1)
    }

    pub(crate) fn take_long(&mut self, width: u32) -> Result<u64, TooShort> {
        if width <= 32 {
            return Ok(u64::from(self.take(width)?));
        }
        let low = u64::from(self.take(32)?);
        Ok(low | u64::from(self.take(width - 32)?) << 32)
    }

    pub(crate) fn sized(&mut self) -> Result<u32, TooShort> {
        let width = self.take(5)? + 1;
        self.take(width)
    }

    /// How many bytes were read, the last perhaps in part.
    pub(crate) fn bytes_read(&self) -> usize {
        self.at.div_ceil(8)
    }
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// How long a varint is.
pub(crate) const fn varint_len(value: u32) -> usize {
    let bits = bits_for(value as u64);
    if bits == 0 {
        1
    } else {
        bits.div_ceil(7) as usize
    }
}

pub(crate) fn take_varint(bytes: &mut &[u8]) -> Result<u32, TooShort> {
    let mut value = 0_u32;
    for shift in [0, 7, 14, 21, 28] {
        let (first, rest) = bytes.split_first().ok_or(TooShort)?;
        *bytes = rest;
        let part = u32::from(first & 0x7f);
        if shift == 28 && part > 0xf {
            return Err(TooShort);
        }
        value |= part << shift;
        if first & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(TooShort)
}

/// Small numbers of either sign become small numbers.
pub(crate) const fn zigzag(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

pub(crate) const fn unzigzag(value: u32) -> i32 {
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_was_written_is_read(numbers in prop::collection::vec((any::<u64>(), 0_u32..=64), 0..80)) {
            let masked: Vec<(u64, u32)> = numbers
                .iter()
                .map(|&(value, width)| (value & (u64::MAX.checked_shr(64 - width).unwrap_or(0)), width))
                .collect();
            let mut out = Vec::new();
            let mut writer = BitWriter::new(&mut out);
            for &(value, width) in &masked {
                writer.put_long(value, width);
                writer.sized(value as u32);
            }
            writer.finish();
            let mut reader = BitReader::new(&out);
            for &(value, width) in &masked {
                prop_assert_eq!(reader.take_long(width), Ok(value));
                prop_assert_eq!(reader.sized(), Ok(value as u32));
            }
            prop_assert_eq!(reader.bytes_read(), out.len());
            prop_assert!(reader.take(8).is_err());
        }

        #[test]
        fn varints_are_as_long_as_they_say(value in any::<u32>(), shift in 0_u32..32) {
            let value = value >> shift;
            let mut out = Vec::new();
            put_varint(&mut out, value);
            prop_assert_eq!(out.len(), varint_len(value));
            let mut rest = &out[..];
            prop_assert_eq!(take_varint(&mut rest), Ok(value));
            prop_assert!(rest.is_empty());
            prop_assert_eq!(unzigzag(zigzag(value as i32)), value as i32);
        }
    }

    #[test]
    fn a_varint_longer_than_its_type_is_refused() {
        for bytes in [
            &[0x80, 0x80, 0x80, 0x80, 0x10][..],
            &[0x80; 6],
            &[0x80],
            &[],
        ] {
            let mut rest = bytes;
            assert_eq!(take_varint(&mut rest), Err(TooShort));
        }
    }
}
