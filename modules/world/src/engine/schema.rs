//! What the entities of a world have, as it's declared, and as it's laid out in bits.
//!
//! A [`Schema`] is what people write (and what clients are given, as JSON); a [`Layout`] is the same, checked and with
//! all widths computed. A kind's state is its position and then its **channels**: velocity, rotation and fields, in
//! this order. A channel is a number of a fixed width, or a short text.

use serde::{Deserialize, Serialize};

use super::bits::bits_for;

/// Kinds in a world.
const MAX_KINDS: usize = 64;
/// Fields of a kind.
const MAX_FIELDS: usize = 32;
/// Bytes of a text.
const MAX_TEXT_BYTES: u8 = 64;
/// Names of an enum.
const MAX_NAMES: usize = 256;
/// Characters of a name of a kind, a field or an enum's value.
const MAX_NAME_CHARS: usize = 64;
/// Entities in a parcel.
const MAX_SLOTS: u32 = 64;
/// About the most that all entities of a parcel may take, so that one parcel never takes a client's budget for long.
const PARCEL_BYTES: u32 = 4096;
/// The largest number that a double holds exactly with all below it.
const EXACT: i64 = 1 << 53;

/// What the entities of a world have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// 2 or 3.
    pub dims: u8,
    /// Units of the world in a step of a position.
    pub precision: f64,
    /// Ticks a second.
    pub hz: u8,
    /// The kinds, by their number.
    pub kinds: Vec<Kind>,
}

/// A kind of entity. All have a position.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kind {
    /// What it's called.
    pub name: String,
    /// Whether it has a velocity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub velocity: Option<Velocity>,
    /// Whether it has a rotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    /// What else it has.
    #[serde(default)]
    pub fields: Vec<Field>,
}

/// A velocity, in units of the world a second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Velocity {
    /// The largest along an axis.
    pub max: f64,
    /// Bits an axis, 2 to 16.
    pub bits: u8,
    /// How far a position may be off before it's sent again, when clients go on by the velocity between. Without it
    /// each change of the position is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<f64>,
}

/// How a rotation is given.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Rotation {
    /// Around the axis that points up: parts of a turn. 1 to 16 bits.
    Turn {
        /// Bits of a turn.
        bits: u8,
    },
    /// A quaternion: its three smallest parts. 4 to 15 bits each.
    Quaternion {
        /// Bits of each.
        bits: u8,
    },
}

/// A field of a kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// What it's called.
    pub name: String,
    /// What it holds.
    #[serde(flatten)]
    pub holds: FieldType,
}

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FieldType {
    /// True or false.
    Bool,
    /// A whole number.
    Int {
        /// The least.
        min: i64,
        /// The greatest, at most 2³² − 1 above.
        max: i64,
    },
    /// A number in steps.
    Float {
        /// The least.
        min: f64,
        /// The greatest.
        max: f64,
        /// The difference of neighbours.
        step: f64,
    },
    /// One of some names, by its number.
    Enum {
        /// They.
        names: Vec<String>,
    },
    /// A short text.
    Text {
        /// The most bytes of UTF-8, at most 64.
        max: u8,
    },
}

/// Why a schema can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// Something about all of it.
    #[error("{0}")]
    World(&'static str),
    /// Something about a kind.
    #[error("kind {0:?}: {1}")]
    Kind(String, &'static str),
    /// Something about a field.
    #[error("field {1:?} of kind {0:?}: {2}")]
    Field(String, String, &'static str),
}

/// A channel: a part of an entity's state behind its position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Channel {
    Velocity { step: f64, bits: u32, dims: u8 },
    Turn { bits: u32 },
    Quaternion { bits: u32 },
    Bool,
    Int { min: i64, most: u32 },
    Float { min: f64, step: f64, most: u32 },
    Enum { most: u32 },
    Text { max: u8, index: u8 },
}

impl Channel {
    /// Bits, without those of a text's bytes.
    pub(crate) fn width(self) -> u32 {
        match self {
            Self::Velocity { bits, dims, .. } => bits * u32::from(dims),
            Self::Turn { bits } => bits,
            Self::Quaternion { bits } => 2 + 3 * bits,
            Self::Bool => 1,
            Self::Int { most, .. } | Self::Float { most, .. } | Self::Enum { most } => {
                bits_for(u64::from(most))
            }
            Self::Text { max, .. } => bits_for(u64::from(max)),
        }
    }

    fn most_bits(self) -> u32 {
        match self {
            Self::Text { max, .. } => self.width() + 8 * u32::from(max),
            _ => self.width(),
        }
    }
}

/// A kind, laid out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KindLayout {
    pub(crate) channels: Vec<Channel>,
    /// How many of them are texts.
    pub(crate) texts: usize,
    /// Where its own fields begin among the channels.
    pub(crate) first_field: usize,
    /// Whether the first channel is a velocity.
    pub(crate) has_velocity: bool,
    /// How far a position may be off.
    pub(crate) error: Option<f64>,
    /// Where its rotation is among the channels.
    pub(crate) rotation: Option<usize>,
    /// Entities in a parcel.
    pub(crate) slots: usize,
}

/// A schema that was checked, and the widths of everything in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    pub(crate) dims: usize,
    pub(crate) precision: f64,
    pub(crate) hz: u32,
    pub(crate) kinds: Vec<KindLayout>,
    /// Bits of a base cell's edge, in steps.
    pub(crate) cell_bits: u32,
}

/// A base cell's edge has so many bits at most: 65,536 steps.
pub(crate) const MAX_CELL_BITS: u8 = 16;
/// No cell's edge is less than 2⁸ steps.
pub(crate) const MIN_CELL_BITS: u8 = 8;

impl Layout {
    /// Checks a schema and lays it out. `cell_bits` says how long the edge of the largest cells is: 2 to this power
    /// steps, 8 to 16.
    ///
    /// # Errors
    /// If something in the schema can't be.
    pub fn new(schema: &Schema, cell_bits: u8) -> Result<Self, SchemaError> {
        let world = SchemaError::World;
        if !matches!(schema.dims, 2 | 3) {
            return Err(world("dims must be 2 or 3"));
        }
        if !(schema.precision.is_finite() && schema.precision > 0.0) {
            return Err(world("precision must be more than 0"));
        }
        if !(1..=60).contains(&schema.hz) {
            return Err(world("hz must be 1 to 60"));
        }
        if !(MIN_CELL_BITS..=MAX_CELL_BITS).contains(&cell_bits) {
            return Err(world("the bits of a cell's edge must be 8 to 16"));
        }
        if schema.kinds.is_empty() || schema.kinds.len() > MAX_KINDS {
            return Err(world("there must be 1 to 64 kinds"));
        }
        let mut layout = Self {
            dims: usize::from(schema.dims),
            precision: schema.precision,
            hz: u32::from(schema.hz),
            kinds: Vec::new(),
            cell_bits: u32::from(cell_bits),
        };
        for (index, kind) in schema.kinds.iter().enumerate() {
            if schema.kinds[..index]
                .iter()
                .any(|other| other.name == kind.name)
            {
                return Err(SchemaError::Kind(kind.name.clone(), "is there twice"));
            }
            let laid_out = layout.kind(schema, kind)?;
            layout.kinds.push(laid_out);
        }
        Ok(layout)
    }

    fn kind(&self, schema: &Schema, kind: &Kind) -> Result<KindLayout, SchemaError> {
        let wrong = |what| SchemaError::Kind(kind.name.clone(), what);
        if !named(&kind.name) {
            return Err(wrong("a name has 1 to 64 characters"));
        }
        if kind.fields.len() > MAX_FIELDS {
            return Err(wrong("at most 32 fields"));
        }
        let mut channels = Vec::new();
        if let Some(velocity) = kind.velocity {
            let channel = velocity_channel(schema, velocity).map_err(wrong)?;
            channels.push(channel);
        }
        let rotation = kind.rotation.map(|_| channels.len());
        match kind.rotation {
            Some(Rotation::Turn {
                bits: bits @ 1..=16,
            }) => {
                channels.push(Channel::Turn { bits: bits.into() });
            }
            Some(Rotation::Quaternion {
                bits: bits @ 4..=15,
            }) => {
                channels.push(Channel::Quaternion { bits: bits.into() });
            }
            Some(_) => {
                return Err(wrong(
                    "a turn has 1 to 16 bits, a quaternion's part 4 to 15",
                ));
            }
            None => {}
        }
        let first_field = channels.len();
        let mut texts = 0;
        for (index, field) in kind.fields.iter().enumerate() {
            let wrong = |what| SchemaError::Field(kind.name.clone(), field.name.clone(), what);
            if !named(&field.name) {
                return Err(wrong("a name has 1 to 64 characters"));
            }
            if kind.fields[..index]
                .iter()
                .any(|other| other.name == field.name)
            {
                return Err(wrong("is there twice"));
            }
            channels.push(field_channel(&field.holds, &mut texts).map_err(wrong)?);
        }
        // An id and its length, a slot, the age, and positions with a cell's margin.
        let bits = 5 + 32 + 6 + 6 + (self.cell_bits + 1) * u32::from(schema.dims);
        let bits = bits
            + channels
                .iter()
                .map(|channel| channel.most_bits())
                .sum::<u32>();
        Ok(KindLayout {
            has_velocity: kind.velocity.is_some(),
            error: kind.velocity.and_then(|velocity| velocity.error),
            rotation,
            first_field,
            texts: usize::from(texts),
            slots: (PARCEL_BYTES * 8 / bits).clamp(1, MAX_SLOTS) as usize,
            channels,
        })
    }
}

fn named(name: &str) -> bool {
    (1..=MAX_NAME_CHARS).contains(&name.chars().count())
}

fn velocity_channel(schema: &Schema, velocity: Velocity) -> Result<Channel, &'static str> {
    if !(velocity.max.is_finite() && velocity.max > 0.0) {
        return Err("a velocity's max must be more than 0");
    }
    if !(2..=16).contains(&velocity.bits) {
        return Err("a velocity has 2 to 16 bits");
    }
    // A position that was just sent is off by up to half a step along each axis.
    if velocity
        .error
        .is_some_and(|error| !(error.is_finite() && error >= schema.precision))
    {
        return Err("a velocity's error must be at least the precision");
    }
    let bits = u32::from(velocity.bits);
    let most = (1_u32 << (bits - 1)) - 1;
    Ok(Channel::Velocity {
        step: velocity.max / f64::from(most),
        bits,
        dims: schema.dims,
    })
}

fn field_channel(holds: &FieldType, texts: &mut u8) -> Result<Channel, &'static str> {
    match *holds {
        FieldType::Bool => Ok(Channel::Bool),
        FieldType::Int { min, max } => {
            if min < -EXACT || max > EXACT || min > max {
                return Err("min and max must be within 2^53 of zero, and min at most max");
            }
            let most = u32::try_from(max - min).map_err(|_| "max is at most 2^32 - 1 above min")?;
            Ok(Channel::Int { min, most })
        }
        FieldType::Float { min, max, step } => {
            let most = ((max - min) / step).round();
            if !(min.is_finite() && max.is_finite() && min <= max && step > 0.0) {
                return Err("min is at most max, and step more than 0");
            }
            if !(0.0..=f64::from(u32::MAX)).contains(&most) {
                return Err("at most 2^32 - 1 steps from min to max");
            }
            // In range, and whole: just looked at.
            Ok(Channel::Float {
                min,
                step,
                most: most as u32,
            })
        }
        FieldType::Enum { ref names } => {
            if names.is_empty() || names.len() > MAX_NAMES || !names.iter().all(|name| named(name))
            {
                return Err("1 to 256 names of 1 to 64 characters");
            }
            Ok(Channel::Enum {
                most: names.len() as u32 - 1,
            })
        }
        FieldType::Text { max } => {
            if !(1..=MAX_TEXT_BYTES).contains(&max) {
                return Err("a text's max must be 1 to 64 bytes");
            }
            *texts += 1;
            Ok(Channel::Text {
                max,
                index: *texts - 1,
            })
        }
    }
}
