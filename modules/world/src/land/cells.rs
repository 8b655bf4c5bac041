//! The values of a chunk's cells, and how they become bytes: in four forms, of which the shortest is taken.

use crate::engine::bits::{
    BitReader, BitWriter, TooShort, bits_for, put_varint, take_varint, varint_len,
};

/// All have one value.
const UNIFORM: u8 = 0;
/// Runs of one value each.
const RUNS: u8 = 1;
/// Numbers into a list of values.
const PALETTE: u8 = 2;
/// The values themselves.
const PACKED: u8 = 3;
/// Longest list of values.
const MAX_PALETTE: usize = 256;

/// A value a cell.
#[derive(Clone, Debug)]
pub(crate) enum Cells {
    /// They all have the same.
    Uniform(u16),
    Each(Box<[u16]>),
}

impl Cells {
    pub(crate) fn get(&self, index: usize) -> u16 {
        match self {
            Self::Uniform(value) => *value,
            Self::Each(values) => values[index],
        }
    }

    pub(crate) fn set(&mut self, index: usize, value: u16, cells: usize) {
        if let Self::Uniform(all) = self {
            if *all == value {
                return;
            }
            *self = Self::Each(vec![*all; cells].into_boxed_slice());
        }
        if let Self::Each(values) = self {
            values[index] = value;
        }
    }

    /// What it takes in memory beside itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Uniform(_) => 0,
            Self::Each(values) => values.len() * 2,
        }
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let values = match self {
            Self::Uniform(value) => return write_uniform(*value, out),
            Self::Each(values) => values,
        };
        let (runs, runs_len) = count_runs(values);
        if runs == 1 {
            return write_uniform(values[0], out);
        }
        let palette = palette(values);
        let palette_len = palette.as_ref().map_or(usize::MAX, |palette| {
            let list: usize = palette
                .iter()
                .map(|value| varint_len(u32::from(*value)))
                .sum();
            let width = bits_for(palette.len() as u64 - 1) as usize;
            varint_len(palette.len() as u32) + list + (values.len() * width).div_ceil(8)
        });
        let width = bits_for(values.iter().copied().max().unwrap_or(0).into());
        let packed_len = 1 + (values.len() * width as usize).div_ceil(8);
        let least = runs_len.min(palette_len).min(packed_len);
        match palette {
            _ if least == runs_len => write_runs(values, out),
            Some(palette) if least == palette_len => write_palette(values, &palette, out),
            _ => {
                out.extend([PACKED, width as u8]);
                let mut bits = BitWriter::new(out);
                for value in values {
                    bits.put(u32::from(*value), width);
                }
                bits.finish();
            }
        }
    }

    /// Reads as many cells as a chunk has. What they allot is no more than that.
    pub(crate) fn read(bytes: &mut &[u8], cells: usize) -> Result<Self, TooShort> {
        let (form, rest) = bytes.split_first().ok_or(TooShort)?;
        *bytes = rest;
        match *form {
            UNIFORM => Ok(Self::Uniform(take_value(bytes)?)),
            RUNS => read_runs(bytes, cells),
            PALETTE => {
                let len = take_varint(bytes)? as usize;
                if !(2..=MAX_PALETTE).contains(&len) {
                    return Err(TooShort);
                }
                let palette = (0..len)
                    .map(|_| take_value(bytes))
                    .collect::<Result<Vec<_>, _>>()?;
                read_bits(bytes, cells, bits_for(len as u64 - 1), |number| {
                    palette.get(number as usize).copied()
                })
            }
            PACKED => {
                let (width, rest) = bytes.split_first().ok_or(TooShort)?;
                *bytes = rest;
                if *width > 16 {
                    return Err(TooShort);
                }
                read_bits(bytes, cells, u32::from(*width), |value| Some(value as u16))
            }
            _ => Err(TooShort),
        }
    }
}

fn write_uniform(value: u16, out: &mut Vec<u8>) {
    out.push(UNIFORM);
    put_varint(out, u32::from(value));
}

/// How many runs there are, and how many bytes they take.
fn count_runs(values: &[u16]) -> (usize, usize) {
    let (mut runs, mut bytes) = (0, 0);
    for run in values.chunk_by(|a, b| a == b) {
        runs += 1;
        bytes += varint_len(u32::from(run[0])) + varint_len(run.len() as u32 - 1);
    }
    (runs, bytes)
}

fn write_runs(values: &[u16], out: &mut Vec<u8>) {
    out.push(RUNS);
    for run in values.chunk_by(|a, b| a == b) {
        put_varint(out, u32::from(run[0]));
        put_varint(out, run.len() as u32 - 1);
    }
}

/// The values that there are, if they are few.
fn palette(values: &[u16]) -> Option<Vec<u16>> {
    let mut palette: Vec<u16> = Vec::new();
    for run in values.chunk_by(|a, b| a == b) {
        if let Err(place) = palette.binary_search(&run[0]) {
            if palette.len() == MAX_PALETTE {
                return None;
            }
            palette.insert(place, run[0]);
        }
    }
    Some(palette)
}

fn write_palette(values: &[u16], palette: &[u16], out: &mut Vec<u8>) {
    out.push(PALETTE);
    put_varint(out, palette.len() as u32);
    for value in palette {
        put_varint(out, u32::from(*value));
    }
    let width = bits_for(palette.len() as u64 - 1);
    let mut bits = BitWriter::new(out);
    for value in values {
        // Each value is in the list that was made of them.
        let number = palette.binary_search(value).unwrap_or(0);
        bits.put(number as u32, width);
    }
    bits.finish();
}

fn take_value(bytes: &mut &[u8]) -> Result<u16, TooShort> {
    u16::try_from(take_varint(bytes)?).map_err(|_| TooShort)
}

fn read_runs(bytes: &mut &[u8], cells: usize) -> Result<Cells, TooShort> {
    let mut values = Vec::with_capacity(cells);
    while values.len() < cells {
        let value = take_value(bytes)?;
        let len = take_varint(bytes)? as usize;
        if len >= cells - values.len() {
            return Err(TooShort);
        }
        values.resize(values.len() + len + 1, value);
    }
    Ok(Cells::Each(values.into_boxed_slice()))
}

fn read_bits(
    bytes: &mut &[u8],
    cells: usize,
    width: u32,
    value: impl Fn(u32) -> Option<u16>,
) -> Result<Cells, TooShort> {
    let mut bits = BitReader::new(bytes);
    let values = (0..cells).map(|_| value(bits.take(width)?).ok_or(TooShort));
    let values = values.collect::<Result<Vec<_>, _>>()?;
    let read = bits.bytes_read();
    *bytes = &bytes[read..];
    Ok(Cells::Each(values.into_boxed_slice()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(values: &[u16]) -> Vec<u8> {
        let mut out = Vec::new();
        Cells::Each(values.into()).write(&mut out);
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_was_written_is_read(
            runs in prop::collection::vec((any::<u16>(), 1_usize..40), 1..60),
            shift in 0_u32..16,
        ) {
            let values: Vec<u16> = runs
                .iter()
                .flat_map(|(value, len)| std::iter::repeat_n(value >> shift, *len))
                .collect();
            let out = written(&values);
            let mut rest = &out[..];
            let read = Cells::read(&mut rest, values.len()).expect("it is there");
            prop_assert!(rest.is_empty());
            for (index, value) in values.iter().enumerate() {
                prop_assert_eq!(read.get(index), *value);
            }
            for cut in 0..out.len() {
                prop_assert!(Cells::read(&mut &out[..cut], values.len()).is_err());
            }
        }
    }

    #[test]
    fn the_shortest_form_is_taken() {
        assert_eq!(written(&[7; 256]), [UNIFORM, 7]);
        let halves: Vec<u16> = (0..256).map(|at| at / 128).collect();
        assert_eq!(written(&halves), [RUNS, 0, 127, 1, 127]);
        let mixed: Vec<u16> = (0..256).map(|at| 5000 + (at * 7 % 3)).collect();
        assert_eq!(written(&mixed)[0], PALETTE);
        let many: Vec<u16> = (0..1024).map(|at| at * 61 % 1024).collect();
        assert_eq!(written(&many)[0], PACKED);
        assert_eq!(written(&many).len(), 2 + 1024 * 10 / 8);
    }
}
