//! A parcel as far as a client knows it, and how a record is read into it.

use std::sync::Arc;

use super::decode::{Leaving, Taker};
use super::delta::bits_of;
use super::entities::EntityId;
use super::frame::FrameError;
use super::replica::Replica;
use super::schema::{Channel, KindLayout};
use super::space::Steps;

/// An entity's place in a parcel.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slot {
    pub(crate) id: u32,
    pub(crate) q: Steps,
    /// The tick of the position.
    pub(crate) at: u32,
    /// Another parcel has told of it since; here it's only counted, until this parcel says that it left.
    pub(crate) away: bool,
}

/// A parcel as far as it's known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    pub(crate) kind: usize,
    /// Where positions are counted from, and their bits.
    pub(crate) frame: (Steps, u32),
    pub(crate) occupied: u64,
    pub(crate) slots: Vec<Slot>,
    pub(crate) values: Vec<u64>,
    pub(crate) texts: Vec<Arc<str>>,
    /// The tick of the frame that told of it last.
    pub(crate) told: u32,
}

/// A record, as it's read into what is held.
pub(crate) struct Taking<'a> {
    pub(crate) replica: &'a mut Replica,
    pub(crate) number: u32,
    pub(crate) held: &'a mut Held,
}

impl Taker for Taking<'_> {
    fn occupied(&self) -> u64 {
        self.held.occupied
    }

    fn occupant(&self, slot: usize) -> Option<u32> {
        let occupied = self.held.occupied >> slot & 1 == 1;
        occupied.then(|| self.held.slots[slot].id)
    }

    fn leaves(&mut self, _: &KindLayout, leaving: &Leaving) -> Result<(), FrameError> {
        self.replica.leaves(self.number, self.held, leaving);
        Ok(())
    }

    fn joins(&mut self, kind: &KindLayout, slot: usize, id: u32) -> Result<(), FrameError> {
        self.held.make_room(kind, slot);
        self.replica.joins(self.number, self.held, slot, id)?;
        self.held.slots[slot] = Slot {
            id,
            ..Slot::default()
        };
        Ok(())
    }

    fn joins_known(&mut self, kind: &KindLayout, slot: usize, id: u32) -> Result<(), FrameError> {
        let known = self.replica.channels_of(id, self.held.kind);
        let (values, texts) = known.ok_or(FrameError::Unknown)?;
        self.joins(kind, slot, id)?;
        let channels = kind.channels.len();
        self.held.values[slot * channels..(slot + 1) * channels].copy_from_slice(&values);
        if kind.texts != 0 {
            let own = slot * kind.texts..(slot + 1) * kind.texts;
            self.held.texts[own].clone_from_slice(&texts);
        }
        Ok(())
    }

    fn frame(&self) -> (Steps, u32) {
        self.held.frame
    }

    fn position(&self, slot: usize) -> Steps {
        self.held.slots[slot].q
    }

    fn set_position(&mut self, slot: usize, q: Steps, at: u32) -> Result<(), FrameError> {
        let slot = &mut self.held.slots[slot];
        (slot.q, slot.at) = (q, at);
        Ok(())
    }

    fn set_value(&mut self, kind: &KindLayout, slot: usize, channel: usize, value: u64) {
        self.held.values[slot * kind.channels.len() + channel] = value;
    }

    fn set_text(&mut self, kind: &KindLayout, slot: usize, channel: usize, text: &str) {
        if let Channel::Text { index, .. } = kind.channels[channel] {
            self.held.texts[slot * kind.texts + usize::from(index)] = Arc::from(text);
        }
    }

    fn tells(&mut self, slots: u64) {
        let slots = bits_of(slots).map(|slot| &self.held.slots[slot]);
        let here = slots.filter(|slot| !slot.away);
        let here = here.map(|slot| EntityId(slot.id));
        self.replica.changed.extend(here);
    }
}

impl Held {
    fn make_room(&mut self, kind: &KindLayout, slot: usize) {
        let slots = self.slots.len().max(slot + 1);
        self.slots.resize(slots, Slot::default());
        self.values.resize(slots * kind.channels.len(), 0);
        if kind.texts != 0 {
            self.texts.resize_with(slots * kind.texts, || Arc::from(""));
        }
    }
}
