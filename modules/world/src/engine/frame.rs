//! A frame's head, and what else is in it beside parcels. All of it is written down in docs/world.md.

use super::bits::{TooShort, put_varint, take_varint, varint_len};
use super::entities::EntityId;
use super::world::Pace;

/// The format, in the lower half of the first byte.
pub(crate) const VERSION: u8 = 1;
pub(crate) const SETTLED: u8 = 1 << 4;
pub(crate) const OWN: u8 = 1 << 5;
pub(crate) const PACED: u8 = 1 << 6;
pub(crate) const LATE: u8 = 1 << 7;

/// A client's own entity exactly as the server has it, for a client that predicts its moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Own {
    /// The entity.
    pub id: EntityId,
    /// Where it is, unrounded.
    pub position: [f64; 3],
    /// How it moves, unrounded.
    pub velocity: [f64; 3],
}

/// Why a frame can't be read. Whoever gets it has to enter the world anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// It ends in the middle.
    #[error("the frame ends too early")]
    TooShort,
    /// Its format is another.
    #[error("the frame is of another version")]
    Version,
    /// A parcel that was never sent, or a kind, place or slot that can't be.
    #[error("the frame speaks of what is not there")]
    Unknown,
    /// A text that is none.
    #[error("a text is not UTF-8")]
    Text,
    /// More entities or parcels than there may be.
    #[error("more is told of than fits")]
    TooMany,
    /// An earlier frame could not be read.
    #[error("an earlier frame could not be read")]
    Broken,
}

impl From<TooShort> for FrameError {
    fn from(_: TooShort) -> Self {
        Self::TooShort
    }
}

/// What stands before the parcels that are dropped and told of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Head {
    pub(crate) tick: u32,
    /// The last input of the client that was taken.
    pub(crate) input: u32,
    /// All parcels in sight are there.
    pub(crate) settled: bool,
    pub(crate) own: Option<Own>,
    pub(crate) pace: Pace,
    /// Frames that were left out since the last one because the client had yet to take that.
    pub(crate) merged: u8,
    /// How many parcels are later than they should be.
    pub(crate) late: u32,
}

impl Head {
    /// Whether it's not as it should be.
    fn is_paced(&self) -> bool {
        self.pace != Pace::default() || self.merged != 0
    }

    pub(crate) fn write(&self, dims: usize, out: &mut Vec<u8>) {
        let flag = |on: bool, flag: u8| if on { flag } else { 0 };
        out.push(
            VERSION
                | flag(self.settled, SETTLED)
                | flag(self.own.is_some(), OWN)
                | flag(self.is_paced(), PACED)
                | flag(self.late != 0, LATE),
        );
        put_varint(out, self.tick);
        put_varint(out, self.input);
        if let Some(own) = &self.own {
            put_varint(out, own.id.0);
            for list in [&own.position, &own.velocity] {
                for x in &list[..dims] {
                    out.extend_from_slice(&x.to_le_bytes());
                }
            }
        }
        if self.is_paced() {
            out.extend_from_slice(&[self.pace.dilation, self.pace.ease, self.merged]);
        }
        if self.late != 0 {
            put_varint(out, self.late);
        }
    }

    /// At most so many bytes, however many are late.
    pub(crate) fn len(&self, dims: usize) -> usize {
        let own = self.own.map_or(0, |own| varint_len(own.id.0) + 16 * dims);
        4 + varint_len(self.tick) + varint_len(self.input) + own + 5
    }

    pub(crate) fn read(bytes: &mut &[u8], dims: usize) -> Result<Self, FrameError> {
        let first = take_byte(bytes)?;
        if first & 0xf != VERSION {
            return Err(FrameError::Version);
        }
        let mut head = Self {
            tick: take_varint(bytes)?,
            input: take_varint(bytes)?,
            settled: first & SETTLED != 0,
            own: None,
            pace: Pace::default(),
            merged: 0,
            late: 0,
        };
        if first & OWN != 0 {
            let id = EntityId(take_varint(bytes)?);
            let mut lists = [[0.0; 3]; 2];
            for list in &mut lists {
                for x in &mut list[..dims] {
                    let (first, rest) = bytes.split_first_chunk::<8>().ok_or(TooShort)?;
                    *x = f64::from_le_bytes(*first);
                    *bytes = rest;
                }
            }
            let [position, velocity] = lists;
            head.own = Some(Own {
                id,
                position,
                velocity,
            });
        }
        if first & PACED != 0 {
            head.pace.dilation = take_byte(bytes)?;
            head.pace.ease = take_byte(bytes)?;
            head.merged = take_byte(bytes)?;
        }
        if first & LATE != 0 {
            head.late = take_varint(bytes)?;
        }
        Ok(head)
    }
}

pub(crate) fn take_byte(bytes: &mut &[u8]) -> Result<u8, TooShort> {
    let (first, rest) = bytes.split_first().ok_or(TooShort)?;
    *bytes = rest;
    Ok(*first)
}
