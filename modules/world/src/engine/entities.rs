//! The entities of a world, as they truly are.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::parcel::NOWHERE;
use super::quantise::{self, Raw, Value};
use super::schema::{Channel, KindLayout, Layout};
use super::space::Steps;
use super::world::Refused;

/// Bits of an id that say where the entity is kept; the others tell those apart that were kept there before.
const INDEX_BITS: u32 = 20;
/// Entities in a world, at most.
pub(crate) const MAX_ENTITIES: usize = 1 << INDEX_BITS;

/// An entity. Ids are used again only after all others were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntityId(pub u32);

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl EntityId {
    /// Where the entity is kept: what is restored comes in this order.
    #[must_use]
    pub fn place(self) -> usize {
        self.index()
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize & (MAX_ENTITIES - 1)
    }
}

/// Who may see an entity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Audience {
    /// Everyone who is near.
    #[default]
    Everyone,
    /// Viewers of this group, and nobody else ever learns of it.
    Group(u32),
    /// Nobody.
    Nobody,
}

/// What a new entity is made of.
#[derive(Clone, Debug, Default)]
pub struct Spawn {
    /// The number of its kind.
    pub kind: u8,
    /// Where it is. In two dimensions the third is nothing.
    pub position: [f64; 3],
    /// How it moves, if its kind has a velocity.
    pub velocity: [f64; 3],
    /// How it's turned, if its kind has a rotation: radians in the first for a turn, else a quaternion (x, y, z, w);
    /// all zeros stand for not turned.
    pub rotation: [f64; 4],
    /// All of its fields.
    pub fields: Vec<Value>,
    /// Who may see it.
    pub audience: Audience,
    /// Whether it's seen wherever it is.
    pub always: bool,
}

/// Channels of an entity have a bit each; this one says that its position was set.
pub(crate) const MOVED: u64 = 1 << 63;
/// It was not in any parcel, or must leave the one it's in without saying where for.
pub(crate) const SHOWN_ANEW: u64 = 1 << 62;
pub(crate) const GONE: u64 = 1 << 61;

#[derive(Debug)]
pub(crate) struct Entity {
    generation: u32,
    pub(crate) kind: u8,
    pub(crate) always: bool,
    pub(crate) audience: Audience,
    pub(crate) position: [f64; 3],
    pub(crate) q: Steps,
    /// What was told last: where it was, and when.
    pub(crate) sent: Steps,
    pub(crate) sent_velocity: u64,
    pub(crate) sent_at: u32,
    pub(crate) parcel: u32,
    pub(crate) slot: u8,
    /// What changed since the last tick. It's in the queue if anything did.
    pub(crate) dirty: u64,
    /// Whether it's looked at each tick because clients move it on.
    pub(crate) rolling: bool,
    pub(crate) values: Box<[u64]>,
    pub(crate) texts: Box<[Arc<str>]>,
}

impl Entity {
    fn new(spawn: &Spawn, kind: &KindLayout, layout: &Layout) -> Result<Self, Refused> {
        let (values, texts) = channels(spawn, kind)?;
        let q = position(spawn.position, layout)?;
        Ok(Self {
            generation: 0,
            kind: spawn.kind,
            always: spawn.always,
            audience: spawn.audience,
            position: spawn.position,
            q,
            sent: q,
            sent_velocity: 0,
            sent_at: 0,
            parcel: NOWHERE,
            slot: 0,
            dirty: 0,
            rolling: false,
            values,
            texts,
        })
    }

    /// A place in which nobody is yet.
    fn vacant() -> Self {
        Self {
            generation: 0,
            kind: 0,
            always: false,
            audience: Audience::Nobody,
            position: [0.0; 3],
            q: [0; 3],
            sent: [0; 3],
            sent_velocity: 0,
            sent_at: 0,
            parcel: NOWHERE,
            slot: 0,
            dirty: GONE,
            rolling: false,
            values: Box::default(),
            texts: Box::default(),
        }
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Entities {
    all: Vec<Entity>,
    free: VecDeque<u32>,
    pub(crate) alive: usize,
}

impl Entities {
    pub(crate) fn id(&self, index: usize) -> EntityId {
        EntityId(self.all[index].generation << INDEX_BITS | index as u32)
    }

    /// Where an entity is kept, if there is one of this id.
    pub(crate) fn find(&self, id: EntityId) -> Result<usize, Refused> {
        let index = id.index();
        let known = self.all.get(index).is_some_and(|entity| {
            entity.generation == id.0 >> INDEX_BITS && entity.dirty & GONE == 0
        });
        known.then_some(index).ok_or(Refused::NoSuchEntity)
    }

    pub(crate) fn at(&self, index: usize) -> &Entity {
        &self.all[index]
    }

    pub(crate) fn at_mut(&mut self, index: usize) -> &mut Entity {
        &mut self.all[index]
    }

    pub(crate) fn add(&mut self, spawn: &Spawn, layout: &Layout) -> Result<usize, Refused> {
        let kind = layout
            .kinds
            .get(usize::from(spawn.kind))
            .ok_or(Refused::NoSuchKind)?;
        let mut entity = Entity::new(spawn, kind, layout)?;
        self.alive += 1;
        if let Some(index) = self.free.pop_front() {
            let index = index as usize;
            entity.generation = self.all[index].generation;
            self.all[index] = entity;
            return Ok(index);
        }
        self.all.push(entity);
        Ok(self.all.len() - 1)
    }

    /// Whether nobody is kept where this one was.
    pub(crate) fn has_place_for(&self, id: EntityId) -> bool {
        id.index() >= self.all.len() || self.free.contains(&(id.index() as u32))
    }

    /// The same as [`Entities::add`], under a number of before, whose place nobody has.
    pub(crate) fn add_at(
        &mut self,
        id: EntityId,
        spawn: &Spawn,
        layout: &Layout,
    ) -> Result<usize, Refused> {
        let kind = layout
            .kinds
            .get(usize::from(spawn.kind))
            .ok_or(Refused::NoSuchKind)?;
        let entity = Entity {
            generation: id.0 >> INDEX_BITS,
            ..Entity::new(spawn, kind, layout)?
        };
        while self.all.len() < id.index() {
            self.free.push_back(self.all.len() as u32);
            self.all.push(Entity::vacant());
        }
        self.alive += 1;
        let index = id.index();
        if index < self.all.len() {
            self.free.retain(|free| *free as usize != index);
            self.all[index] = entity;
        } else {
            self.all.push(entity);
        }
        Ok(index)
    }

    /// Forgets an entity that no parcel has any more.
    pub(crate) fn remove(&mut self, index: usize) {
        let entity = &mut self.all[index];
        entity.generation = (entity.generation + 1) & (u32::MAX >> INDEX_BITS);
        entity.values = Box::default();
        entity.texts = Box::default();
        // Nobody finds it under its new generation before it's given out.
        entity.dirty = GONE;
        self.free.push_back(index as u32);
        self.alive -= 1;
    }
}

/// A position in steps, if a world can have it.
pub(crate) fn position(at: [f64; 3], layout: &Layout) -> Result<Steps, Refused> {
    let mut q = [0; 3];
    for axis in 0..layout.dims {
        q[axis] = quantise::steps(at[axis], layout.precision).ok_or(Refused::OutOfWorld)?;
    }
    Ok(q)
}

type Channels = (Box<[u64]>, Box<[Arc<str>]>);

fn channels(spawn: &Spawn, kind: &KindLayout) -> Result<Channels, Refused> {
    if spawn.fields.len() != kind.channels.len() - kind.first_field {
        return Err(Refused::WrongFields);
    }
    let mut values = vec![0; kind.channels.len()].into_boxed_slice();
    let mut texts = Vec::with_capacity(kind.texts);
    if kind.has_velocity {
        values[0] = velocity(kind, spawn.velocity)?;
    }
    if let Some(channel) = kind.rotation {
        values[channel] = rotation(kind, spawn.rotation)?;
    }
    for (channel, value) in (kind.first_field..).zip(&spawn.fields) {
        match quantise::field(kind.channels[channel], value).ok_or(Refused::WrongFields)? {
            Raw::Bits(bits) => values[channel] = bits,
            Raw::Text(text) => texts.push(text),
        }
    }
    Ok((values, texts.into_boxed_slice()))
}

/// A velocity as the number of its channel.
pub(crate) fn velocity(kind: &KindLayout, v: [f64; 3]) -> Result<u64, Refused> {
    match kind.channels.first() {
        Some(&Channel::Velocity { step, bits, dims }) => {
            quantise::velocity(v, step, bits, dims).ok_or(Refused::NotANumber)
        }
        _ => Err(Refused::WrongFields),
    }
}

/// A rotation as the number of its channel.
pub(crate) fn rotation(kind: &KindLayout, r: [f64; 4]) -> Result<u64, Refused> {
    let channel = kind.rotation.ok_or(Refused::WrongFields)?;
    let raw = match kind.channels[channel] {
        Channel::Turn { bits } => quantise::turn(r[0], bits),
        Channel::Quaternion { bits } if r == [0.0; 4] => {
            quantise::quaternion([0.0, 0.0, 0.0, 1.0], bits)
        }
        Channel::Quaternion { bits } => quantise::quaternion(r, bits),
        _ => return Err(Refused::WrongFields),
    };
    raw.ok_or(Refused::NotANumber)
}
