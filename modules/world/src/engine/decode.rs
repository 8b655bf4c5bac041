//! Reads a parcel's record; see `delta` for how it's written. What it's read into is a [`Taker`]: what a client holds of a
//! parcel, or the parcel itself, as another node mirrors it.

use super::bits::{BitReader, take_varint, unzigzag};
use super::delta::bits_of;
use super::frame::{FrameError, take_byte};
use super::schema::{Channel, KindLayout, Layout};
use super::space::{Place, Steps};

/// What is told of one who left a slot.
pub(crate) struct Leaving {
    pub(crate) slot: usize,
    /// When it left.
    pub(crate) at: u32,
    pub(crate) id: u32,
    /// The parcel that it left for. `None`: it's gone for good.
    pub(crate) to: Option<u32>,
}

/// What a record is read into.
pub(crate) trait Taker {
    /// A bit for each slot that is taken.
    fn occupied(&self) -> u64;
    /// Who is in a slot.
    fn occupant(&self, slot: usize) -> Option<u32>;
    /// One left a slot, or is known to have.
    fn leaves(&mut self, kind: &KindLayout, leaving: &Leaving) -> Result<(), FrameError>;
    /// One came into a slot, or is known to be in it. All of its state is told next.
    fn joins(&mut self, kind: &KindLayout, slot: usize, id: u32) -> Result<(), FrameError>;
    /// One came into a slot that is known from another parcel. Its channels stay as they are but for what is told next.
    fn joins_known(&mut self, kind: &KindLayout, slot: usize, id: u32) -> Result<(), FrameError>;
    /// Where positions are counted from, and their bits.
    fn frame(&self) -> (Steps, u32);
    fn position(&self, slot: usize) -> Steps;
    /// The position of a slot, and the tick that it's of.
    fn set_position(&mut self, slot: usize, q: Steps, at: u32) -> Result<(), FrameError>;
    fn set_value(&mut self, kind: &KindLayout, slot: usize, channel: usize, value: u64);
    fn set_text(&mut self, kind: &KindLayout, slot: usize, channel: usize, text: &str);
    /// Those in slots of this mask were told of, by what changed of them.
    fn tells(&mut self, slots: u64);
}

/// What a whole record begins with.
pub(crate) struct Whole {
    pub(crate) kind: usize,
    pub(crate) place: Place,
    /// If the kind has a velocity.
    pub(crate) version: Option<u32>,
}

impl Whole {
    pub(crate) fn read(layout: &Layout, bytes: &mut &[u8]) -> Result<Self, FrameError> {
        let word = take_varint(bytes)?;
        let number = (word >> 1) as usize;
        let kind = layout.kinds.get(number).ok_or(FrameError::Unknown)?;
        let place = if word & 1 == 1 {
            Place::EVERYWHERE
        } else {
            place(layout, bytes)?
        };
        let version = kind.has_velocity.then(|| take_varint(bytes)).transpose()?;
        Ok(Self {
            kind: number,
            place,
            version,
        })
    }
}

/// What is read with: the bits, and what they mean.
struct Reading<'a> {
    bits: BitReader<'a>,
    kind: &'a KindLayout,
    dims: usize,
    /// The tick that ages are counted back from.
    version: u32,
}

/// Reads what follows a whole record's beginning.
pub(crate) fn read_whole(
    taker: &mut impl Taker,
    layout: &Layout,
    kind: &KindLayout,
    version: u32,
    bytes: &mut &[u8],
) -> Result<(), FrameError> {
    let mut reading = Reading {
        bits: BitReader::new(bytes),
        kind,
        dims: layout.dims,
        version,
    };
    let recent = reading.bits.flag()?;
    for _ in 0..reading.bits.take(7)? {
        reading.newcomer(taker, recent)?;
    }
    *bytes = &bytes[reading.bits.bytes_read()..];
    Ok(())
}

/// Reads what follows the number in a record that is not whole, in a frame of a tick.
pub(crate) fn read_delta(
    taker: &mut impl Taker,
    layout: &Layout,
    kind: &KindLayout,
    tick: u32,
    bytes: &mut &[u8],
) -> Result<(), FrameError> {
    let mut reading = Reading {
        bits: BitReader::new(bytes),
        kind,
        dims: layout.dims,
        version: tick,
    };
    let recent = reading.bits.flag()?;
    if kind.has_velocity {
        reading.version()?;
    }
    if reading.bits.flag()? {
        if !kind.has_velocity {
            reading.version()?;
        }
        for _ in 0..=reading.bits.take(6)? {
            if let Some(leaving) = reading.leaving(taker, recent)? {
                taker.leaves(kind, &leaving)?;
            }
        }
    }
    let mut others = taker.occupied();
    if reading.bits.flag()? {
        for _ in 0..=reading.bits.take(6)? {
            let slot = reading.newcomer(taker, recent)?;
            others &= !(1 << slot);
        }
    }
    let mut told = reading.moves(taker, others, recent)?;
    if !kind.channels.is_empty() && reading.bits.flag()? {
        let changed = reading.mask(others)?;
        for slot in bits_of(changed) {
            reading.changes(taker, slot)?;
        }
        told |= changed;
    }
    taker.tells(told);
    *bytes = &bytes[reading.bits.bytes_read()..];
    Ok(())
}

/// The tick with this lowest byte that is less than 256 ago.
fn lately(tick: u32, low: u32) -> u32 {
    tick.wrapping_sub(tick.wrapping_sub(low) & 0xff)
}

fn place(layout: &Layout, bytes: &mut &[u8]) -> Result<Place, FrameError> {
    let level = take_byte(bytes)?;
    let mut at: Steps = [0; 3];
    for at in &mut at[..layout.dims] {
        *at = unzigzag(take_varint(bytes)?);
    }
    let place = Place { level, at };
    place
        .is_sound(layout)
        .then_some(place)
        .ok_or(FrameError::Unknown)
}

impl Reading<'_> {
    /// It's the frame's tick unless another is told.
    fn version(&mut self) -> Result<(), FrameError> {
        if !self.bits.flag()? {
            self.version = lately(self.version, self.bits.take(8)?);
        }
        Ok(())
    }

    /// `None`: it's known to have left.
    fn leaving(&mut self, taker: &impl Taker, recent: bool) -> Result<Option<Leaving>, FrameError> {
        let slot = self.bits.take(6)? as usize;
        let age = if recent { 0 } else { self.bits.take(7)? };
        let at = self.version.saturating_sub(age);
        let id = if self.bits.flag()? {
            taker.occupant(slot)
        } else {
            Some(self.bits.sized()?)
        };
        let to = if self.bits.flag()? {
            Some(self.bits.sized()?)
        } else {
            None
        };
        Ok(id.map(|id| Leaving { slot, at, id, to }))
    }

    fn newcomer(&mut self, taker: &mut impl Taker, recent: bool) -> Result<usize, FrameError> {
        let slot = self.bits.take(6)? as usize;
        if slot >= self.kind.slots {
            return Err(FrameError::Unknown);
        }
        let id = self.bits.sized()?;
        if recent && self.bits.flag()? {
            taker.joins_known(self.kind, slot, id)?;
            self.spot(taker, slot, false)?;
            if !self.kind.channels.is_empty() && self.bits.flag()? {
                self.changes(taker, slot)?;
            }
            return Ok(slot);
        }
        taker.joins(self.kind, slot, id)?;
        self.spot(taker, slot, self.kind.has_velocity)?;
        for channel in 0..self.kind.channels.len() {
            self.channel(taker, slot, channel)?;
        }
        Ok(slot)
    }

    /// Where one is, and since when if that is told.
    fn spot(&mut self, taker: &mut impl Taker, slot: usize, aged: bool) -> Result<(), FrameError> {
        let (from, width) = taker.frame();
        let mut q: Steps = [0; 3];
        for (q, from) in q.iter_mut().zip(from).take(self.dims) {
            *q = from.wrapping_add(self.bits.take(width)? as i32);
        }
        let age = if aged { self.bits.take(6)? } else { 0 };
        taker.set_position(slot, q, self.version.saturating_sub(age))
    }

    fn channel(
        &mut self,
        taker: &mut impl Taker,
        slot: usize,
        channel: usize,
    ) -> Result<(), FrameError> {
        let layout = self.kind.channels[channel];
        let Channel::Text { max, .. } = layout else {
            let value = self.bits.take_long(layout.width())?;
            taker.set_value(self.kind, slot, channel, value);
            return Ok(());
        };
        let len = self.bits.take(layout.width())?;
        if len > u32::from(max) {
            return Err(FrameError::Text);
        }
        let mut bytes = [0; 64];
        let bytes = &mut bytes[..len as usize];
        for byte in bytes.iter_mut() {
            *byte = self.bits.take(8)? as u8;
        }
        let text = std::str::from_utf8(bytes).map_err(|_| FrameError::Text)?;
        taker.set_text(self.kind, slot, channel, text);
        Ok(())
    }

    fn mask(&mut self, among: u64) -> Result<u64, FrameError> {
        let mut mask = 0;
        for slot in bits_of(among) {
            mask |= u64::from(self.bits.flag()?) << slot;
        }
        Ok(mask)
    }

    fn moves(
        &mut self,
        taker: &mut impl Taker,
        others: u64,
        recent: bool,
    ) -> Result<u64, FrameError> {
        let moved = match self.bits.take(2)? {
            0 => return Ok(0),
            1 => others,
            2 => self.mask(others)?,
            _ => return Err(FrameError::Unknown),
        };
        if !recent {
            for slot in bits_of(moved) {
                self.spot(taker, slot, self.kind.has_velocity)?;
            }
            return Ok(moved);
        }
        let width = self.bits.take(5)? + 1;
        for slot in bits_of(moved) {
            let mut q = taker.position(slot);
            for q in &mut q[..self.dims] {
                *q = q.wrapping_add(unzigzag(self.bits.take(width)?));
            }
            taker.set_position(slot, q, self.version)?;
        }
        Ok(moved)
    }

    fn changes(&mut self, taker: &mut impl Taker, slot: usize) -> Result<(), FrameError> {
        let count = self.kind.channels.len();
        let mut channels = 1;
        if count > 1 {
            channels = self.bits.take_long(count as u32)?;
        }
        for channel in bits_of(channels) {
            self.channel(taker, slot, channel)?;
        }
        Ok(())
    }
}
