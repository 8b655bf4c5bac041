//! The other end: a view of a world that is elsewhere.
//!
//! Nothing here trusts the bytes more than a client does: what a message can make it keep is in proportion to its
//! length, and no message makes a view that can't be composed from.

use std::sync::Arc;

use crate::engine::bits::{TooShort, take_varint};
use crate::engine::decode::{self, Whole};
use crate::engine::entities::Audience;
use crate::engine::frame::{FrameError, take_byte};
use crate::engine::parcel::Parcel;
use crate::engine::schema::Layout;
use crate::engine::view::{Head, View};
use crate::engine::world::{Pace, Tiers};

use super::records::{Mirroring, Moves};
use super::{CHANGED, CLOSED, ENDED, FRESH, FULL, MOST_BACK, NEW, SAME, VERSION};

/// Parcels of a world, at most: as many as it may have entities, as many empty ones, and some.
const MAX_NUMBERS: usize = 3 << 20;
/// Ticks end somewhere before their number does.
const MAX_TICK: u32 = 1 << 31;

/// Why a message was not taken. The node is to ask for all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelayError {
    /// It doesn't follow what is here: another was lost, or the world was begun anew. What is here stays.
    #[error("the message does not follow the last one")]
    Behind,
    /// It can't be read; nothing is known any more.
    #[error("the message can't be read: {0}")]
    Unreadable(#[from] FrameError),
}

impl From<TooShort> for RelayError {
    fn from(short: TooShort) -> Self {
        Self::Unreadable(short.into())
    }
}

/// A world that is on another node.
#[derive(Debug)]
pub struct Mirror {
    layout: Arc<Layout>,
    view: Option<Arc<View>>,
}

/// What a message begins with.
struct Start {
    full: bool,
    tick: u32,
    back: u32,
    epoch: u64,
    pace: Pace,
    tiers: Tiers,
    entries: u32,
}

impl Mirror {
    /// One that knows nothing yet, of a world whose entities are laid out like this.
    #[must_use]
    pub fn new(layout: Arc<Layout>) -> Self {
        Self { layout, view: None }
    }

    /// The world as of the last message; `None` until there was one.
    #[must_use]
    pub fn view(&self) -> Option<Arc<View>> {
        self.view.clone()
    }

    /// Takes a message. As with [`crate::World::step`], nothing is copied if nobody holds the last view any more.
    ///
    /// # Errors
    /// If it's not the next one, or can't be read.
    pub fn apply(&mut self, message: &[u8]) -> Result<Arc<View>, RelayError> {
        let mut bytes = message;
        let start = Start::read(&mut bytes).inspect_err(|_| self.view = None)?;
        let mut view = if start.full {
            let mut view = View::new(Arc::clone(&self.layout), start.tiers);
            view.origin = (start.epoch, start.tick);
            Arc::new(view)
        } else {
            let follows = |view: &&Arc<View>| {
                view.epoch() == start.epoch && view.tick.checked_add(start.back) == Some(start.tick)
            };
            if self.view.as_ref().filter(follows).is_none() {
                return Err(RelayError::Behind);
            }
            self.view.take().ok_or(RelayError::Behind)?
        };
        // If it fails halfway, what there is by then is not to be seen.
        self.view = None;
        if Arc::get_mut(&mut view).is_none() {
            view = Arc::new(view.fork());
        }
        let changing = Arc::get_mut(&mut view).expect("a view just made is nobody else's");
        changing.begin_at(start.tick);
        (changing.pace, changing.tiers) = (start.pace, start.tiers);
        let layout = Arc::clone(&self.layout);
        let mut taking = Taking {
            view: changing,
            layout: &layout,
            start: &start,
            opened: Vec::new(),
            moves: Moves::default(),
            next: 0,
        };
        for _ in 0..start.entries {
            taking.entry(message, &mut bytes)?;
        }
        if !bytes.is_empty() {
            return Err(FrameError::Unknown.into());
        }
        taking.open()?;
        let moves = taking.moves;
        changing.bytes.extend_from_slice(message);
        if start.back == 1 {
            moves.shorten(changing);
        }
        self.view = Some(Arc::clone(&view));
        Ok(view)
    }
}

impl Start {
    fn read(bytes: &mut &[u8]) -> Result<Self, RelayError> {
        let first = take_byte(bytes)?;
        if first & 0xf != VERSION {
            return Err(FrameError::Version.into());
        }
        let (full, tick, back) = (first & FULL != 0, take_varint(bytes)?, take_varint(bytes)?);
        let epoch = u64::from_le_bytes(take(bytes)?);
        let [dilation, ease] = take(bytes)?;
        let nearest = [take_varint(bytes)?, take_varint(bytes)?];
        let every: [u8; 3] = take(bytes)?;
        let entries = u32::from_le_bytes(take(bytes)?);
        let sound = (1..=MAX_TICK).contains(&tick)
            && (full || (1..=MOST_BACK).contains(&back))
            && ease <= 3
            && every
                .iter()
                .all(|every| every.is_power_of_two() && *every <= 64);
        if !sound {
            return Err(FrameError::Unknown.into());
        }
        Ok(Self {
            full,
            tick,
            back,
            epoch,
            pace: Pace { dilation, ease },
            tiers: Tiers { nearest, every },
            entries,
        })
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], TooShort> {
    let (first, rest) = bytes.split_first_chunk::<N>().ok_or(TooShort)?;
    *bytes = rest;
    Ok(*first)
}

/// A message while it's read.
struct Taking<'a> {
    view: &'a mut View,
    layout: &'a Layout,
    start: &'a Start,
    /// New parcels, which come into their cells when all that makes room for them is read.
    opened: Vec<u32>,
    moves: Moves,
    /// Entries come in the order of their numbers, each once: the least that the next may have.
    next: u32,
}

impl Taking<'_> {
    fn entry(&mut self, message: &[u8], bytes: &mut &[u8]) -> Result<(), FrameError> {
        let flags = take_byte(bytes)?;
        let what = flags & 3;
        if what == ENDED {
            let number = take_varint(bytes)?;
            self.pass(number)?;
            return self.end(number);
        }
        let mut number = None;
        if what == SAME {
            let same = take_varint(bytes)?;
            self.pass(same)?;
            number = Some(same);
        }
        let tick = self.start.tick;
        let mut ago = || {
            tick.checked_sub(take_varint(bytes)?)
                .ok_or(FrameError::Unknown)
        };
        let fresh = (flags & FRESH != 0).then(&mut ago).transpose()?;
        if what == NEW {
            let (birth, version) = (ago()?, ago()?);
            if birth == 0 || version < birth {
                return Err(FrameError::Unknown);
            }
            number = Some(self.take_new(birth, version, bytes)?);
        } else if what == CHANGED {
            let mut changed = None;
            if self.start.back != 1 {
                let version = ago()?;
                let prev = version.checked_sub(take_varint(bytes)?);
                changed = Some((version, prev.ok_or(FrameError::Unknown)?));
            }
            let start = message.len() - bytes.len();
            let word = take_varint(bytes)?;
            if word & 1 == 1 {
                return Err(FrameError::Unknown);
            }
            self.pass(word >> 1)?;
            self.take_changed(word >> 1, changed, bytes)?;
            // It was just read: no more is left than there was.
            let head = &mut self.view.heads[(word >> 1) as usize];
            head.start = start as u32;
            head.len = (message.len() - bytes.len() - start) as u32;
            (head.sources, head.known) = (0, 0);
            number = Some(word >> 1);
        }
        let number = number.ok_or(FrameError::Unknown)?;
        self.mark(number, flags & CLOSED != 0, fresh)
    }

    fn pass(&mut self, number: u32) -> Result<(), FrameError> {
        if number < self.next {
            return Err(FrameError::Unknown);
        }
        self.next = number.saturating_add(1);
        Ok(())
    }

    /// What is said of a parcel besides what is in it.
    fn mark(&mut self, number: u32, closed: bool, fresh: Option<u32>) -> Result<(), FrameError> {
        let heads = &mut self.view.heads;
        let head = heads
            .get_mut(number as usize)
            .filter(|head| head.birth != 0);
        let head = head.ok_or(FrameError::Unknown)?;
        head.fresh = fresh.unwrap_or(head.fresh);
        if head.closed == closed {
            return Ok(());
        }
        // What is closed stays so, and who has none of it is not told of it.
        if head.closed || self.opened.last() == Some(&number) {
            return Err(FrameError::Unknown);
        }
        head.closed = true;
        self.shut(number);
        Ok(())
    }

    fn end(&mut self, number: u32) -> Result<(), FrameError> {
        let index = number as usize;
        if index == self.view.heads.len() {
            return self.add();
        }
        let head = self.view.heads.get(index).ok_or(FrameError::Unknown)?;
        if head.birth != 0 && !head.closed {
            self.shut(number);
        }
        self.view.heads[index] = Head::NONE;
        self.view.parcels[index] = None;
        Ok(())
    }

    /// One more number.
    fn add(&mut self) -> Result<(), FrameError> {
        if self.view.heads.len() >= MAX_NUMBERS {
            return Err(FrameError::TooMany);
        }
        self.view.heads.push(Head::NONE);
        self.view.parcels.push(None);
        Ok(())
    }

    /// Takes a parcel out of its cell.
    fn shut(&mut self, number: u32) {
        match self.view.place(number) {
            Some(place) if place.is_everywhere() => {
                self.view.everywhere.retain(|other| *other != number);
            }
            Some(place) => self.view.grid.shut(place, number),
            None => {}
        }
    }

    /// Puts the new parcels where they are looked for.
    fn open(&mut self) -> Result<(), FrameError> {
        for number in std::mem::take(&mut self.opened) {
            let place = self.view.place(number).ok_or(FrameError::Unknown)?;
            if place.is_everywhere() {
                self.view.everywhere.push(number);
            } else if !self.view.grid.open(place, number) {
                return Err(FrameError::Unknown);
            }
            if !self.start.full {
                self.view.born.push((self.start.tick, number));
            }
        }
        Ok(())
    }

    fn take_new(&mut self, birth: u32, version: u32, bytes: &mut &[u8]) -> Result<u32, FrameError> {
        let audience = match take_varint(bytes)? {
            0 => Audience::Everyone,
            1 => Audience::Group(take_varint(bytes)?),
            _ => return Err(FrameError::Unknown),
        };
        let word = take_varint(bytes)?;
        let number = word >> 1;
        if word & 1 == 0 {
            return Err(FrameError::Unknown);
        }
        self.pass(number)?;
        if number as usize == self.view.heads.len() {
            self.add()?;
        } else {
            self.end(number)?;
        }
        let whole = Whole::read(self.layout, bytes)?;
        if whole.version.is_some_and(|told| told != version) {
            return Err(FrameError::Unknown);
        }
        let kind = &self.layout.kinds[whole.kind];
        // There are at most 64 kinds.
        let mut parcel = Parcel::new(number, version, whole.kind as u8, whole.place);
        (parcel.channels, parcel.texts_each) = (kind.channels.len(), kind.texts);
        // Whoever has this view first lacks all of it, so it's the same when within it what changed.
        parcel.prev = version;
        // Where those came from that were in it before is not told.
        let (mut unknown, is_new) = (Moves::default(), birth == self.start.tick);
        let mut mirroring = Mirroring {
            moves: if is_new {
                &mut self.moves
            } else {
                &mut unknown
            },
            parcel: &mut parcel,
            frame: whole.place.frame(self.layout),
            dims: self.layout.dims,
            tick: version,
        };
        decode::read_whole(&mut mirroring, self.layout, kind, version, bytes)?;
        self.view.heads[number as usize] = Head {
            birth,
            version,
            prev: version,
            audience,
            kind: parcel.kind,
            count: parcel.count() as u8,
            ..Head::NONE
        };
        self.view.parcels[number as usize] = Some(Arc::new(parcel));
        self.opened.push(number);
        Ok(number)
    }

    fn take_changed(
        &mut self,
        number: u32,
        changed: Option<(u32, u32)>,
        bytes: &mut &[u8],
    ) -> Result<(), FrameError> {
        let slot = self.view.parcels.get_mut(number as usize);
        let parcel = slot.and_then(Option::as_mut).ok_or(FrameError::Unknown)?;
        let head = &mut self.view.heads[number as usize];
        let (tick, version) = (self.start.tick, parcel.version);
        let (version, prev) = changed.unwrap_or((tick, version));
        if parcel.version >= version || prev < parcel.version {
            return Err(FrameError::Unknown);
        }
        let parcel = Arc::make_mut(parcel);
        parcel.touch(version);
        parcel.prev = prev;
        let kind = &self.layout.kinds[usize::from(parcel.kind)];
        let mut mirroring = Mirroring {
            frame: parcel.place.frame(self.layout),
            dims: self.layout.dims,
            tick: version,
            moves: &mut self.moves,
            parcel,
        };
        decode::read_delta(&mut mirroring, self.layout, kind, tick, bytes)?;
        (head.version, head.prev) = (parcel.version, parcel.prev);
        head.count = parcel.count() as u8;
        Ok(())
    }
}
