//! A client's end: frames in, a map of entities and what happened to it out.
//!
//! Nothing here trusts the bytes. What a frame can make it keep is bounded, and a frame that can't be read leaves a
//! replica that reads no more: the client enters the world anew.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::bits::take_varint;
use super::decode::{self, Leaving, Whole};
use super::entities::{EntityId, MAX_ENTITIES};
use super::frame::{FrameError, Head, Own, take_byte};
use super::held::{Held, Slot, Taking};
use super::quantise::{self, Value};
use super::reckon::reckoned;
use super::schema::{Channel, Layout};

/// Parcels that a client may be told of: twice what it's ever given.
pub(crate) const MAX_HELD: usize = 8192;

/// An entity between parcels.
#[derive(Clone, Debug)]
struct Lost {
    /// Where it went to, if that was said.
    to: Option<u32>,
    kind: usize,
    slot: Slot,
    values: Vec<u64>,
    texts: Vec<Arc<str>>,
}

/// What is kept of an entity, wherever that is.
struct Known<'a> {
    kind: usize,
    slot: &'a Slot,
    values: &'a [u64],
    texts: &'a [Arc<str>],
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Home {
    In(u32, u8),
    Lost,
}

/// What a frame came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Applied {
    /// The tick that the map is of now.
    pub tick: u32,
    /// The last input of this client that was taken.
    pub input: u32,
    /// Everything in sight is there.
    pub settled: bool,
    /// How fast time passes; 128 is real time.
    pub dilation: u8,
    /// How often the rates of farther tiers were halved, because the world has more to do than it can.
    pub ease: u8,
    /// Frames that were left out before this one, because this client had yet to take the last.
    pub merged: u8,
    /// How many parcels are later than they should be.
    pub late: u32,
    /// This client's own entity, if it's not where the client may have put it.
    pub own: Option<Own>,
    /// Who came into sight, ascending.
    pub entered: Vec<EntityId>,
    /// Who went out of sight or is no more, ascending.
    pub left: Vec<EntityId>,
    /// Of whom anything else was told, in no order.
    pub changed: Vec<EntityId>,
}

/// An entity as a client has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Its kind.
    pub kind: u8,
    /// Where it is at the replica's tick, moved on by its velocity if its kind is.
    pub position: [f64; 3],
    /// The tick at which its position was told for.
    pub told: u32,
    /// How it moves.
    pub velocity: Option<[f64; 3]>,
    /// How it's turned: radians in the first for a turn, else a quaternion.
    pub rotation: Option<[f64; 4]>,
    /// Its fields.
    pub fields: Vec<Value>,
}

/// A map of what a client sees.
#[derive(Clone, Debug)]
pub struct Replica {
    pub(crate) layout: Arc<Layout>,
    pub(crate) tick: u32,
    parcels: FxHashMap<u32, Held>,
    homes: FxHashMap<u32, Home>,
    lost: FxHashMap<u32, Lost>,
    /// Those whose being there may have changed in this frame, and whether they were there before it.
    touched: FxHashMap<u32, bool>,
    pub(crate) changed: Vec<EntityId>,
    broken: bool,
}

impl Replica {
    /// One that knows nothing yet.
    #[must_use]
    pub fn new(layout: Arc<Layout>) -> Self {
        Self {
            layout,
            tick: 0,
            parcels: FxHashMap::default(),
            homes: FxHashMap::default(),
            lost: FxHashMap::default(),
            touched: FxHashMap::default(),
            changed: Vec::new(),
            broken: false,
        }
    }

    /// How many entities are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.homes.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.homes.is_empty()
    }

    /// All that are known, in no order.
    pub fn entities(&self) -> impl Iterator<Item = EntityId> {
        self.homes.keys().copied().map(EntityId)
    }

    /// Says that time went on without a frame: what moves is moved on to this tick.
    pub fn advance(&mut self, tick: u32) {
        self.tick = self.tick.max(tick);
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// If it can't be read. Then nothing is known any more, and no further frame is read.
    pub fn apply(&mut self, frame: &[u8]) -> Result<Applied, FrameError> {
        if self.broken {
            return Err(FrameError::Broken);
        }
        let applied = self.read(frame);
        if applied.is_err() {
            // What was read halfway is not to be shown.
            *self = Self {
                broken: true,
                ..Self::new(Arc::clone(&self.layout))
            };
        }
        applied
    }

    fn read(&mut self, mut bytes: &[u8]) -> Result<Applied, FrameError> {
        let bytes = &mut bytes;
        let head = Head::read(bytes, self.layout.dims)?;
        self.tick = head.tick;
        self.touched.clear();
        self.changed.clear();
        for _ in 0..take_varint(bytes)? {
            let word = take_varint(bytes)?;
            self.drop_parcel(word >> 1, word & 1 == 1);
        }
        for _ in 0..take_varint(bytes)? {
            let word = take_varint(bytes)?;
            self.record(word >> 1, word & 1 == 1, bytes)?;
        }
        // What else there may be is of other parts of the house; only whether it's whole is looked at.
        while !bytes.is_empty() {
            take_byte(bytes)?;
            let len = take_varint(bytes)? as usize;
            *bytes = bytes.get(len..).ok_or(FrameError::TooShort)?;
        }
        self.settle(head.settled);
        Ok(self.applied(&head))
    }

    fn record(&mut self, number: u32, whole: bool, bytes: &mut &[u8]) -> Result<(), FrameError> {
        // It's taken out while it's changed: what happens to its entities goes to the other tables.
        let held = self.parcels.remove(&number);
        let mut held = match held {
            Some(held) if whole => {
                self.lose_all(number, &held);
                Held::default()
            }
            Some(held) => held,
            None if whole => Held::default(),
            None => return Err(FrameError::Unknown),
        };
        held.told = self.tick;
        self.read_record(number, &mut held, whole, bytes)?;
        if self.parcels.len() >= MAX_HELD {
            return Err(FrameError::TooMany);
        }
        self.parcels.insert(number, held);
        Ok(())
    }

    fn read_record(
        &mut self,
        number: u32,
        held: &mut Held,
        whole: bool,
        bytes: &mut &[u8],
    ) -> Result<(), FrameError> {
        let (layout, tick) = (Arc::clone(&self.layout), self.tick);
        if !whole {
            let kind = &layout.kinds[held.kind];
            let mut taking = Taking {
                replica: self,
                number,
                held,
            };
            return decode::read_delta(&mut taking, &layout, kind, tick, bytes);
        }
        let Whole {
            kind,
            place,
            version,
        } = Whole::read(&layout, bytes)?;
        held.kind = kind;
        held.frame = place.frame(&layout);
        let version = version.unwrap_or(tick);
        if version > tick {
            return Err(FrameError::Unknown);
        }
        let mut taking = Taking {
            replica: self,
            number,
            held,
        };
        decode::read_whole(&mut taking, &layout, &layout.kinds[kind], version, bytes)
    }

    fn drop_parcel(&mut self, number: u32, ended: bool) {
        let Some(held) = self.parcels.remove(&number) else {
            // It may have ended before it was ever sent.
            return;
        };
        if ended {
            return self.lose_all(number, &held);
        }
        for slot in super::delta::bits_of(held.occupied) {
            if !held.slots[slot].away {
                self.touch(held.slots[slot].id);
                self.homes.remove(&held.slots[slot].id);
            }
        }
    }

    /// All entities of a parcel that is no more are somewhere else, which may be told yet.
    fn lose_all(&mut self, number: u32, held: &Held) {
        for slot in super::delta::bits_of(held.occupied) {
            self.lose(number, held, slot, None);
        }
    }

    fn lose(&mut self, number: u32, held: &Held, slot: usize, to: Option<u32>) {
        let id = held.slots[slot].id;
        if held.slots[slot].away || self.homes.get(&id) != Some(&Home::In(number, slot as u8)) {
            return;
        }
        self.touch(id);
        let kind = &self.layout.kinds[held.kind];
        let (channels, texts) = (kind.channels.len(), kind.texts);
        let lost = Lost {
            to,
            kind: held.kind,
            slot: held.slots[slot],
            values: held.values[slot * channels..(slot + 1) * channels].to_vec(),
            texts: held.texts[slot * texts..(slot + 1) * texts].to_vec(),
        };
        self.homes.insert(id, Home::Lost);
        self.lost.insert(id, lost);
    }

    /// The channels and texts of an entity of a kind, wherever it is but in the parcel that is being read.
    pub(crate) fn channels_of(&self, id: u32, kind: usize) -> Option<(Vec<u64>, Vec<Arc<str>>)> {
        let known = self.known(id).filter(|known| known.kind == kind)?;
        Some((known.values.to_vec(), known.texts.to_vec()))
    }

    fn touch(&mut self, id: u32) {
        let there = self.homes.contains_key(&id);
        self.touched.entry(id).or_insert(there);
    }

    /// An entity has left a slot: for another parcel, or for good.
    pub(crate) fn leaves(&mut self, number: u32, held: &mut Held, leaving: &Leaving) {
        let &Leaving { slot, at, id, to } = leaving;
        // Where it went to may have told since, and not of it: then it has gone on from there.
        let goes_on =
            |to: &u32| *to == number || self.parcels.get(to).is_none_or(|to| to.told < at);
        let on = to.filter(goes_on);
        // It may be told again of what is known to have left.
        if held.occupied >> slot & 1 == 1 {
            if held.slots[slot].id != id {
                self.lose(number, held, slot, None);
            } else if to.is_some() {
                self.lose(number, held, slot, on);
            } else if !held.slots[slot].away {
                self.touch(id);
                self.homes.remove(&id);
            }
            held.occupied &= !(1 << slot);
        }
        // It was on its way here, and is gone on before this parcel could tell that it came.
        if let Some(lost) = self
            .lost
            .get_mut(&id)
            .filter(|lost| lost.to == Some(number))
        {
            lost.to = on;
            if to.is_none() {
                self.lost.remove(&id);
                self.touch(id);
                self.homes.remove(&id);
            }
        }
    }

    /// An entity has come into a slot.
    pub(crate) fn joins(
        &mut self,
        number: u32,
        held: &mut Held,
        slot: usize,
        id: u32,
    ) -> Result<(), FrameError> {
        if held.occupied >> slot & 1 == 1 && held.slots[slot].id != id {
            // Who was there left, and that was long ago.
            self.lose(number, held, slot, None);
        }
        held.occupied |= 1 << slot;
        self.touch(id);
        match self.homes.insert(id, Home::In(number, slot as u8)) {
            Some(Home::In(other, old)) if other != number => {
                if let Some(other) = self.parcels.get_mut(&other) {
                    other.slots[usize::from(old)].away = true;
                }
            }
            Some(Home::In(_, old)) if usize::from(old) != slot => {
                held.slots[usize::from(old)].away = true;
            }
            Some(Home::In(..)) => {}
            Some(Home::Lost) => {
                self.lost.remove(&id);
            }
            None if self.homes.len() > MAX_ENTITIES => return Err(FrameError::TooMany),
            None => {}
        }
        self.changed.push(EntityId(id));
        Ok(())
    }

    /// Of whom was between parcels those are out of sight that were not told of where they went.
    fn settle(&mut self, settled: bool) {
        if self.lost.is_empty() {
            return;
        }
        let Self {
            lost,
            parcels,
            homes,
            tick,
            touched,
            ..
        } = self;
        lost.retain(|id, lost| {
            let stays = match lost.to.and_then(|to| parcels.get(&to)) {
                // It was told of, and the entity is not in it, or no more.
                Some(held) => held.told != *tick,
                None => !settled,
            };
            if !stays {
                touched.entry(*id).or_insert(true);
                homes.remove(id);
            }
            stays
        });
    }

    fn applied(&mut self, head: &Head) -> Applied {
        let mut applied = Applied {
            tick: head.tick,
            input: head.input,
            settled: head.settled,
            dilation: head.pace.dilation,
            ease: head.pace.ease,
            merged: head.merged,
            late: head.late,
            own: head.own,
            changed: std::mem::take(&mut self.changed),
            ..Applied::default()
        };
        if self.touched.is_empty() && self.lost.is_empty() {
            return applied;
        }
        for (&id, &was) in &self.touched {
            match (was, self.homes.contains_key(&id)) {
                (false, true) => applied.entered.push(EntityId(id)),
                (true, false) => applied.left.push(EntityId(id)),
                _ => {}
            }
        }
        applied.entered.sort_unstable();
        applied.left.sort_unstable();
        applied.changed.sort_unstable();
        applied.changed.dedup();
        applied.changed.retain(|id| {
            self.homes.contains_key(&id.0) && self.touched.get(&id.0).is_none_or(|was| *was)
        });
        applied
    }

    fn known(&self, id: u32) -> Option<Known<'_>> {
        let known = match *self.homes.get(&id)? {
            Home::Lost => {
                let lost = self.lost.get(&id)?;
                Known {
                    kind: lost.kind,
                    slot: &lost.slot,
                    values: &lost.values,
                    texts: &lost.texts,
                }
            }
            Home::In(number, slot) => {
                let held = self.parcels.get(&number)?;
                let kind = &self.layout.kinds[held.kind];
                let (slot, channels, texts) = (usize::from(slot), kind.channels.len(), kind.texts);
                Known {
                    kind: held.kind,
                    slot: &held.slots[slot],
                    values: &held.values[slot * channels..(slot + 1) * channels],
                    texts: &held.texts[slot * texts..(slot + 1) * texts],
                }
            }
        };
        Some(known)
    }

    /// An entity, if it's known.
    #[must_use]
    pub fn get(&self, id: EntityId) -> Option<Seen> {
        let Known {
            kind: number,
            slot,
            values,
            texts,
        } = self.known(id.0)?;
        let kind = &self.layout.kinds[number];
        let velocity = kind.channels.first().and_then(|channel| match *channel {
            Channel::Velocity { step, bits, dims } => {
                Some(quantise::velocity_back(values[0], step, bits, dims))
            }
            _ => None,
        });
        let mut position = [0.0; 3];
        let ticks = self.tick.saturating_sub(slot.at);
        for axis in 0..self.layout.dims {
            let from = f64::from(slot.q[axis]);
            position[axis] = match velocity.filter(|_| kind.error.is_some()) {
                Some(velocity) => reckoned(from, velocity[axis], ticks, &self.layout),
                None => from * self.layout.precision,
            };
        }
        let rotation = kind.rotation.map(|channel| match kind.channels[channel] {
            Channel::Turn { bits } => [quantise::turn_back(values[channel], bits), 0.0, 0.0, 0.0],
            Channel::Quaternion { bits } => quantise::quaternion_back(values[channel], bits),
            _ => [0.0; 4],
        });
        let fields = (kind.first_field..kind.channels.len()).filter_map(|channel| {
            quantise::field_back(kind.channels[channel], values[channel], texts)
        });
        Some(Seen {
            kind: number as u8,
            position,
            told: slot.at,
            velocity,
            rotation,
            fields: fields.collect(),
        })
    }
}
