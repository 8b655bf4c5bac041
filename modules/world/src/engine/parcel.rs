//! A parcel: the entities of one cell, kind and audience, as clients are to know them.
//!
//! What is kept for each slot is what deltas are made of: when it was taken, when it was left and for where, when its
//! position and each of its channels changed last. A parcel is read-only once its tick is made; the next tick changes it
//! in place if nobody reads that tick any more, and else a copy.

use std::sync::{Arc, OnceLock};

use super::schema::Channel;
use super::space::{Place, Steps};

/// In place of a parcel's number: none.
pub(crate) const NOWHERE: u32 = u32::MAX;

/// What a parcel's bytes were made for: the exact last change, what is older by 2, 4, … 64 ticks, and all of it.
pub(crate) const CLASSES: usize = 8;
pub(crate) const RECENT: usize = 0;
pub(crate) const WHOLE: usize = CLASSES - 1;

/// An entity's place in a parcel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    /// The entity, if the slot is occupied.
    pub(crate) id: u32,
    /// Its position, as it was sent last.
    pub(crate) q: Steps,
    /// Its position before the tick of `moved`.
    pub(crate) before: Steps,
    /// The tick at which the position was set.
    pub(crate) moved: u32,
    /// The tick at which it came.
    pub(crate) joined: u32,
    /// The parcel in which it was before that tick; `NOWHERE` if it was in none.
    pub(crate) from: u32,
    /// Who had all of that parcel at this tick, or later, knows it, but for what changed in the tick in which it came.
    pub(crate) known: u32,
    /// The tick at which any of its channels changed.
    pub(crate) changed: u32,
    /// The tick at which the last one left the slot, 0 if none did.
    pub(crate) left: u32,
    /// For which parcel it left; `NOWHERE` if it's gone for good.
    pub(crate) to: u32,
}

impl Slot {
    /// One that was never used.
    pub(crate) const VACANT: Self = Self {
        id: 0,
        q: [0; 3],
        before: [0; 3],
        moved: 0,
        joined: 0,
        from: NOWHERE,
        known: 0,
        changed: 0,
        left: 0,
        to: NOWHERE,
    };
}

/// The state of one entity, as a slot takes it.
pub(crate) struct State<'a> {
    pub(crate) id: u32,
    pub(crate) q: Steps,
    pub(crate) values: &'a [u64],
    pub(crate) texts: &'a [Arc<str>],
}

#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) number: u32,
    /// The tick of the last change.
    pub(crate) version: u32,
    /// The tick of the change before that.
    pub(crate) prev: u32,
    pub(crate) kind: u8,
    pub(crate) place: Place,
    /// A bit for each slot that is taken.
    pub(crate) occupied: u64,
    pub(crate) slots: Vec<Slot>,
    /// Channels of a slot.
    pub(crate) channels: usize,
    /// Texts of a slot.
    pub(crate) texts_each: usize,
    /// For each slot, its channels. Those of texts hold nothing.
    pub(crate) values: Vec<u64>,
    /// For each slot and channel, when it changed.
    pub(crate) stamps: Vec<u32>,
    /// For each slot, its texts.
    pub(crate) texts: Vec<Arc<str>>,
    /// Bytes made for readers of this version, by class: in the tick of the version, which they then need not name, and later.
    pub(crate) made: [[OnceLock<Box<[u8]>>; CLASSES]; 2],
}

impl Clone for Parcel {
    fn clone(&self) -> Self {
        Self {
            slots: self.slots.clone(),
            values: self.values.clone(),
            stamps: self.stamps.clone(),
            texts: self.texts.clone(),
            // A copy is made to be changed.
            made: Default::default(),
            ..*self
        }
    }
}

impl Parcel {
    pub(crate) fn new(number: u32, tick: u32, kind: u8, place: Place) -> Self {
        Self {
            number,
            version: tick,
            prev: 0,
            kind,
            place,
            occupied: 0,
            slots: Vec::new(),
            channels: 0,
            texts_each: 0,
            values: Vec::new(),
            stamps: Vec::new(),
            texts: Vec::new(),
            made: Default::default(),
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.occupied.count_ones() as usize
    }

    /// To be called before anything is changed in a tick. Whether it's the first time.
    pub(crate) fn touch(&mut self, tick: u32) -> bool {
        if self.version == tick {
            return false;
        }
        self.prev = self.version;
        self.version = tick;
        self.made = Default::default();
        true
    }

    /// A slot for a newcomer: one that was never used or has long been left, so that what is told of who left stays
    /// true; else a new one; else the one left the longest ago, but none that was left in this tick: who was there is
    /// looked up in it.
    pub(crate) fn vacancy(&self, tick: u32, most: usize) -> Option<usize> {
        let vacant = || (0..self.slots.len()).filter(|slot| self.occupied >> slot & 1 == 0);
        let stale = |slot: &usize| self.slots[*slot].left + (1 << (CLASSES - 2)) < tick;
        vacant().find(stale).or_else(|| {
            if self.slots.len() < most {
                return Some(self.slots.len());
            }
            let oldest = vacant().min_by_key(|slot| self.slots[*slot].left);
            oldest.filter(|slot| self.slots[*slot].left < tick)
        })
    }

    pub(crate) fn occupy(&mut self, slot: usize, state: &State<'_>, tick: u32) {
        self.channels = state.values.len();
        self.texts_each = state.texts.len();
        let (left, to) = self
            .slots
            .get(slot)
            .map_or((0, NOWHERE), |slot| (slot.left, slot.to));
        let new = Slot {
            id: state.id,
            q: state.q,
            before: state.q,
            moved: tick,
            joined: tick,
            from: NOWHERE,
            known: tick,
            changed: tick,
            left,
            to,
        };
        if slot == self.slots.len() {
            self.slots.push(new);
            self.values.extend_from_slice(state.values);
            self.stamps.resize(self.values.len(), tick);
            self.texts.extend_from_slice(state.texts);
        } else {
            self.slots[slot] = new;
            let from = slot * self.channels;
            self.values[from..from + self.channels].copy_from_slice(state.values);
            self.stamps[from..from + self.channels].fill(tick);
            let from = slot * self.texts_each;
            self.texts[from..from + self.texts_each].clone_from_slice(state.texts);
        }
        self.occupied |= 1 << slot;
    }

    /// Says that one which has just come into a slot was in another parcel's before, and when its channels changed: who
    /// knows it from there needs to learn no more of it.
    pub(crate) fn comes_from(
        &mut self,
        slot: usize,
        source: &Self,
        old: usize,
        channels: &[Channel],
    ) {
        let (was, tick) = (&source.slots[old], self.slots[slot].joined);
        // It may go through several in one tick: known is where it was before.
        let (from, mut known) = if was.joined == tick {
            (was.from, was.known)
        } else {
            (source.number, was.joined)
        };
        if from == self.number {
            return;
        }
        let (new, old_values) = (slot * self.channels, old * self.channels);
        let (new_texts, old_texts) = (slot * self.texts_each, old * self.texts_each);
        for (channel, layout) in channels.iter().enumerate() {
            let same = match *layout {
                Channel::Text { index, .. } => {
                    let index = usize::from(index);
                    self.texts[new_texts + index] == source.texts[old_texts + index]
                }
                _ => self.values[new + channel] == source.values[old_values + channel],
            };
            if same {
                let since = source.stamps[old_values + channel];
                self.stamps[new + channel] = since;
                if since != tick {
                    known = known.max(since);
                }
            }
        }
        (self.slots[slot].from, self.slots[slot].known) = (from, known);
    }

    pub(crate) fn vacate(&mut self, slot: usize, to: u32, tick: u32) {
        self.occupied &= !(1 << slot);
        self.slots[slot].left = tick;
        self.slots[slot].to = to;
    }

    #[inline]
    pub(crate) fn set_position(&mut self, slot: usize, q: Steps, tick: u32) {
        let slot = &mut self.slots[slot];
        if slot.moved != tick {
            slot.before = slot.q;
            slot.moved = tick;
        }
        slot.q = q;
    }

    pub(crate) fn set_value(&mut self, slot: usize, channel: usize, value: u64, tick: u32) {
        let at = slot * self.channels + channel;
        self.values[at] = value;
        self.stamps[at] = tick;
        self.slots[slot].changed = tick;
    }

    pub(crate) fn set_text(
        &mut self,
        slot: usize,
        channel: usize,
        index: usize,
        text: &Arc<str>,
        tick: u32,
    ) {
        self.texts[slot * self.texts_each + index] = Arc::clone(text);
        self.stamps[slot * self.channels + channel] = tick;
        self.slots[slot].changed = tick;
    }
}
