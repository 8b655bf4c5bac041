//! The stamp at the front of each payload: room, number and scheduled time in hexadecimal, of fixed width.
//!
//! Fixed width is what makes reading it cheap: no search, no parser, no allocation. Hexadecimal digits need no escapes
//! in JSON, so every server sends them on as they are.

const ROOM: usize = 6;
const NUMBER: usize = 8;
const TIME: usize = 12;

/// Bytes of a stamp, the least that a payload can have.
pub(crate) const LENGTH: usize = ROOM + NUMBER + TIME;

/// What stands at the front of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The room's number, or the sender's.
    pub room: u32,
    /// Counts from 0 for each room.
    pub number: u32,
    /// When it was due, in microseconds on the machine's monotonic clock.
    pub due_us: u64,
}

impl Stamp {
    /// Appends the stamp, and filler up to `length` bytes.
    pub(crate) fn append(&self, out: &mut Vec<u8>, length: usize) {
        let end = out.len() + length.max(LENGTH);
        hex(out, u64::from(self.room), ROOM);
        hex(out, u64::from(self.number), NUMBER);
        hex(out, self.due_us, TIME);
        out.resize(end, b'.');
    }

    /// Reads the stamp at the front of `payload`.
    #[inline]
    pub(crate) fn read(payload: &[u8]) -> Option<Self> {
        let digits: &[u8; LENGTH] = payload.get(..LENGTH)?.try_into().ok()?;
        Some(Self {
            room: value(&digits[..ROOM])? as u32,
            number: value(&digits[ROOM..ROOM + NUMBER])? as u32,
            due_us: value(&digits[ROOM + NUMBER..])?,
        })
    }
}

fn hex(out: &mut Vec<u8>, value: u64, digits: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for digit in (0..digits).rev() {
        out.push(DIGITS[(value >> (4 * digit)) as usize & 15]);
    }
}

/// The value of each byte as a hexadecimal digit; 0x80 for those that are none.
const VALUES: [u8; 256] = {
    let mut values = [0x80; 256];
    let mut at = 0;
    while at < 10 {
        values[b'0' as usize + at] = at as u8;
        at += 1;
    }
    while at < 16 {
        values[b'a' as usize + at - 10] = at as u8;
        at += 1;
    }
    values
};

/// The value of hexadecimal digits, at most 16 of them.
#[inline]
pub(crate) fn value(digits: &[u8]) -> Option<u64> {
    let mut value = 0;
    let mut seen = 0;
    for &digit in digits {
        let digit = VALUES[usize::from(digit)];
        seen |= digit;
        value = value << 4 | u64::from(digit & 15);
    }
    (seen & 0x80 == 0).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_reads_as_it_was_written_whatever_follows() {
        let stamp = Stamp {
            room: 0xab_cdef,
            number: 0xdead_beef,
            due_us: 0x1234_5678_9abc,
        };
        for length in [0, LENGTH, 64] {
            let mut out = Vec::new();
            stamp.append(&mut out, length);
            assert_eq!(out.len(), length.max(LENGTH));
            out.extend_from_slice(b"\",1]");
            assert_eq!(Stamp::read(&out), Some(stamp));
        }
    }

    #[test]
    fn what_is_no_stamp_is_not_read_as_one() {
        assert_eq!(Stamp::read(b"short"), None);
        assert_eq!(Stamp::read(&[b'g'; LENGTH]), None);
    }
}
