//! All entities of a view, as they were told: for a node that goes on with a world of which it has only a mirror.

use rustc_hash::FxHashMap;

use super::delta;
use super::quantise::{self, Value};
use super::schema::Channel;
use super::view::View;

/// An entity as a view has it.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) kind: u8,
    pub(crate) position: [f64; 3],
    pub(crate) velocity: [f64; 3],
    pub(crate) rotation: [f64; 4],
    pub(crate) fields: Vec<Value>,
}

impl View {
    /// All of them, by their numbers.
    pub(crate) fn entities(&self) -> FxHashMap<u32, Found> {
        let mut all = FxHashMap::default();
        for parcel in self.parcels.iter().flatten() {
            let kind = &self.layout.kinds[usize::from(parcel.kind)];
            let (channels, texts) = (kind.channels.len(), kind.texts);
            for at in delta::bits_of(parcel.occupied) {
                let slot = &parcel.slots[at];
                let values = &parcel.values[at * channels..(at + 1) * channels];
                let texts = &parcel.texts[at * texts..(at + 1) * texts];
                let mut found = Found {
                    kind: parcel.kind,
                    position: slot.q.map(|q| f64::from(q) * self.layout.precision),
                    velocity: [0.0; 3],
                    rotation: [0.0; 4],
                    fields: Vec::with_capacity(channels),
                };
                for (channel, raw) in kind.channels.iter().zip(values) {
                    match *channel {
                        Channel::Velocity { step, bits, dims } => {
                            found.velocity = quantise::velocity_back(*raw, step, bits, dims);
                        }
                        Channel::Turn { bits } => {
                            found.rotation[0] = quantise::turn_back(*raw, bits);
                        }
                        Channel::Quaternion { bits } => {
                            found.rotation = quantise::quaternion_back(*raw, bits);
                        }
                        channel => found
                            .fields
                            .extend(quantise::field_back(channel, *raw, texts)),
                    }
                }
                all.insert(slot.id, found);
            }
        }
        all
    }

    /// How fast time passes.
    pub(crate) fn pace(&self) -> super::world::Pace {
        self.pace
    }
}
