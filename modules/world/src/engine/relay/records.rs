//! What a message tells of one parcel, brought into it; and who went from one parcel to another.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::engine::decode::{Leaving, Taker};
use crate::engine::frame::FrameError;
use crate::engine::parcel::{NOWHERE, Parcel, Slot};
use crate::engine::schema::{Channel, KindLayout};
use crate::engine::space::Steps;
use crate::engine::view::View;

/// Who went from parcel to parcel in a message, which is put together from where it tells that they left and came.
#[derive(Default)]
pub(super) struct Moves {
    /// Who left for another parcel, the parcel, and the slot in it.
    left: FxHashMap<u32, (u32, u8)>,
    /// Parcels that somebody came into, and the slots.
    came: Vec<(u32, u8)>,
}

impl Moves {
    /// Makes the deltas, as they are made where the world is, for clients that know those who came from where they were.
    pub(super) fn shorten(self, view: &mut View) {
        let layout = Arc::clone(&view.layout);
        let mut shorter = Vec::new();
        for &(number, slot) in &self.came {
            let slot = usize::from(slot);
            let Some(parcel) = &view.parcels[number as usize] else {
                continue;
            };
            let Some(&(from, old)) = self.left.get(&parcel.slots[slot].id) else {
                continue;
            };
            let both = [from as usize, number as usize];
            let both = view.parcels.get_disjoint_mut(both);
            if let Ok([Some(source), Some(parcel)]) = both
                && source.kind == parcel.kind
            {
                let channels = &layout.kinds[usize::from(parcel.kind)].channels;
                Arc::make_mut(parcel).comes_from(slot, source, old.into(), channels);
                shorter.push(number);
            }
        }
        shorter.dedup();
        for number in shorter {
            view.write_down(number);
        }
    }
}

/// A record, as it's read into a parcel.
pub(super) struct Mirroring<'a> {
    pub(super) parcel: &'a mut Parcel,
    pub(super) moves: &'a mut Moves,
    pub(super) frame: (Steps, u32),
    pub(super) dims: usize,
    /// The tick of what changed; of what is merged, of the last.
    pub(super) tick: u32,
}

impl Mirroring<'_> {
    fn make_room(&mut self, kind: &KindLayout, slot: usize) -> Result<(), FrameError> {
        if slot >= kind.slots {
            return Err(FrameError::Unknown);
        }
        let slots = self.parcel.slots.len().max(slot + 1);
        self.parcel.slots.resize(slots, Slot::VACANT);
        let channels = slots * self.parcel.channels;
        self.parcel.values.resize(channels, 0);
        self.parcel.stamps.resize(channels, 0);
        if kind.texts != 0 {
            let texts = slots * kind.texts;
            self.parcel.texts.resize_with(texts, || Arc::from(""));
        }
        Ok(())
    }
}

impl Taker for Mirroring<'_> {
    fn occupied(&self) -> u64 {
        self.parcel.occupied
    }

    fn occupant(&self, slot: usize) -> Option<u32> {
        let occupied = self.parcel.occupied >> slot & 1 == 1;
        occupied.then(|| self.parcel.slots[slot].id)
    }

    fn joins_known(&mut self, _: &KindLayout, _: usize, _: u32) -> Result<(), FrameError> {
        // Nodes are told of all that is in a parcel.
        Err(FrameError::Unknown)
    }

    fn leaves(&mut self, kind: &KindLayout, leaving: &Leaving) -> Result<(), FrameError> {
        self.make_room(kind, leaving.slot)?;
        if leaving.at > self.tick {
            return Err(FrameError::Unknown);
        }
        let seen = self.occupant(leaving.slot) == Some(leaving.id);
        if seen && leaving.to.is_some() {
            let place = (self.parcel.number, leaving.slot as u8);
            self.moves.left.insert(leaving.id, place);
        }
        self.parcel.occupied &= !(1 << leaving.slot);
        let slot = &mut self.parcel.slots[leaving.slot];
        if !seen {
            // It came since the last message.
            slot.joined = leaving.at;
        }
        (slot.id, slot.left) = (leaving.id, leaving.at);
        slot.to = leaving.to.unwrap_or(NOWHERE);
        Ok(())
    }

    fn joins(&mut self, kind: &KindLayout, slot: usize, id: u32) -> Result<(), FrameError> {
        self.make_room(kind, slot)?;
        self.parcel.occupied |= 1 << slot;
        self.moves.came.push((self.parcel.number, slot as u8));
        let tick = self.tick;
        let new = &mut self.parcel.slots[slot];
        (new.id, new.joined, new.from, new.changed) = (id, tick, NOWHERE, tick);
        let channels = self.parcel.channels;
        self.parcel.stamps[slot * channels..(slot + 1) * channels].fill(tick);
        Ok(())
    }

    fn frame(&self) -> (Steps, u32) {
        self.frame
    }

    fn position(&self, slot: usize) -> Steps {
        self.parcel.slots[slot].q
    }

    fn set_position(&mut self, slot: usize, q: Steps, at: u32) -> Result<(), FrameError> {
        let (from, width) = self.frame;
        let fits = |axis: usize| {
            let q = i64::from(q[axis]) - i64::from(from[axis]);
            (0..1_i64 << width).contains(&q)
        };
        if !(0..self.dims).all(fits) {
            return Err(FrameError::Unknown);
        }
        let slot = &mut self.parcel.slots[slot];
        slot.before = slot.q;
        // Of kinds that have no velocity it's not told, and stands for the tick of the message.
        (slot.q, slot.moved) = (q, at.min(self.tick));
        Ok(())
    }

    fn set_value(&mut self, _: &KindLayout, slot: usize, channel: usize, value: u64) {
        self.parcel.set_value(slot, channel, value, self.tick);
    }

    fn set_text(&mut self, kind: &KindLayout, slot: usize, channel: usize, text: &str) {
        if let Channel::Text { index, .. } = kind.channels[channel] {
            let text = Arc::from(text);
            self.parcel
                .set_text(slot, channel, usize::from(index), &text, self.tick);
        }
    }

    fn tells(&mut self, _: u64) {}
}
