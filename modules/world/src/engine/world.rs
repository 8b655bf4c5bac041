//! A world: its entities, and the ticks made of them.
//!
//! Changes are taken as they come and cost little; [`World::step`] brings them into parcels. Only what changed is
//! touched, and what readers of the last tick still hold is copied first.

use std::sync::Arc;

use super::entities::{
    self, Audience, Entities, Entity, EntityId, GONE, MAX_ENTITIES, MOVED, SHOWN_ANEW, Spawn,
};
use super::quantise::{self, Raw, Value};
use super::schema::{Layout, Schema, SchemaError};
use super::step::{Step, Works};
use super::view::View;

/// What a world is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What its entities have.
    pub schema: Schema,
    /// The edge of the largest cells is 2 to this power steps; 8 to 16.
    pub cell_bits: u8,
    /// A cell with more entities of a kind is divided.
    pub split: usize,
    /// Cells with fewer in all of them together are joined again; less than half of `split`, so that none does both all
    /// the time.
    pub join: usize,
    /// Entities, at most; no more than 2^20.
    pub max_entities: usize,
    /// How often who sees what.
    pub tiers: Tiers,
}

impl Setup {
    /// Everything but the schema as it's best for most.
    #[must_use]
    pub fn new(schema: Schema) -> Self {
        Self {
            schema,
            cell_bits: 12,
            split: 24,
            join: 10,
            max_entities: 100_000,
            tiers: Tiers::default(),
        }
    }
}

/// How often entities are refreshed, by how many others are nearer.
#[derive(Clone, Copy, Debug)]
pub struct Tiers {
    /// So many are of the first tier, and so many more of the second.
    pub nearest: [u32; 2],
    /// Each tier is told every so many ticks: 1, 2, 4, … 64.
    pub every: [u8; 3],
}

impl Default for Tiers {
    fn default() -> Self {
        Self {
            nearest: [100, 900],
            every: [1, 4, 16],
        }
    }
}

/// How a world runs that has more to do than it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How fast its time passes: 128 is real time.
    pub dilation: u8,
    /// The second and third tier are told half as often for each of these; at most 3.
    pub ease: u8,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            dilation: 128,
            ease: 0,
        }
    }
}

/// Why something can't be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such entity, or not any more.
    #[error("there is no such entity")]
    NoSuchEntity,
    /// The schema has no kind of that number.
    #[error("there is no such kind")]
    NoSuchKind,
    /// A world is 2^29 steps of its precision wide to each side.
    #[error("the position is outside of what a world can hold")]
    OutOfWorld,
    /// A velocity or rotation of NaN or infinity, or a quaternion without length.
    #[error("a velocity or rotation is no number")]
    NotANumber,
    /// The kind has other fields, or a value doesn't fit.
    #[error("the fields are not those of the kind")]
    WrongFields,
    /// The world holds no more entities.
    #[error("the world is full")]
    Full,
}

/// A world.
#[derive(Debug)]
pub struct World {
    setup: Setup,
    layout: Arc<Layout>,
    entities: Entities,
    queue: Vec<u32>,
    rolling: Vec<u32>,
    works: Works,
    pace: Pace,
    view: Arc<View>,
}

impl World {
    /// An empty world.
    ///
    /// # Errors
    /// If the schema can't be.
    pub fn new(mut setup: Setup) -> Result<Self, SchemaError> {
        let layout = Arc::new(Layout::new(&setup.schema, setup.cell_bits)?);
        setup.max_entities = setup.max_entities.min(MAX_ENTITIES);
        setup.split = setup.split.max(2);
        setup.join = setup.join.min(setup.split / 2);
        for every in &mut setup.tiers.every {
            // The power of two below: what is told more often than asked for is no wrong.
            *every = 1 << (*every).clamp(1, 64).ilog2();
        }
        Ok(Self {
            view: Arc::new(View::new(Arc::clone(&layout), setup.tiers)),
            layout,
            setup,
            entities: Entities::default(),
            queue: Vec::new(),
            rolling: Vec::new(),
            works: Works::default(),
            pace: Pace::default(),
        })
    }

    /// How entities are laid out: what a client's decoder needs.
    #[must_use]
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// What the entities have.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.setup.schema
    }

    /// How many entities there are.
    #[must_use]
    pub fn entities(&self) -> usize {
        self.entities.alive
    }

    /// The last tick.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.view)
    }

    /// Says which of its lives this is: another number after it was made anew, here or on another node. The next tick is
    /// after `tick`: for clients that were told of ticks of another life, time goes on.
    ///
    /// It's to be said before the first tick.
    pub fn begin(&mut self, epoch: u64, tick: u32) {
        if Arc::get_mut(&mut self.view).is_none() {
            self.view = Arc::new(self.view.fork());
        }
        let view = Arc::get_mut(&mut self.view).expect("a view just made is nobody else's");
        view.origin = (epoch, 0);
        view.tick = view.tick.max(tick);
    }

    /// How fast the next ticks pass.
    pub fn set_pace(&mut self, pace: Pace) {
        self.pace = Pace {
            ease: pace.ease.min(3),
            ..pace
        };
    }

    /// A new entity, there from the next tick on.
    ///
    /// # Errors
    /// If it doesn't fit its kind, or the world.
    pub fn spawn(&mut self, spawn: &Spawn) -> Result<EntityId, Refused> {
        if self.entities.alive >= self.setup.max_entities {
            return Err(Refused::Full);
        }
        let index = self.entities.add(spawn, &self.layout)?;
        self.note(index, SHOWN_ANEW);
        Ok(self.entities.id(index))
    }

    /// A new entity under a number that it had before; one whose place is taken or too far out gets another number. Of
    /// several those with the lowest places had better come first ([`EntityId::place`]): it's quicker.
    ///
    /// # Errors
    /// As [`World::spawn`].
    pub fn restore(&mut self, id: EntityId, spawn: &Spawn) -> Result<EntityId, Refused> {
        if id.place() >= self.setup.max_entities || !self.entities.has_place_for(id) {
            return self.spawn(spawn);
        }
        if self.entities.alive >= self.setup.max_entities {
            return Err(Refused::Full);
        }
        let index = self.entities.add_at(id, spawn, &self.layout)?;
        self.note(index, SHOWN_ANEW);
        Ok(self.entities.id(index))
    }

    /// The number of the last tick.
    #[must_use]
    pub fn tick(&self) -> u32 {
        self.view.tick()
    }

    /// Takes an entity away, with the next tick.
    ///
    /// # Errors
    /// If there is none.
    pub fn despawn(&mut self, id: EntityId) -> Result<(), Refused> {
        let index = self.entities.find(id)?;
        self.note(index, GONE);
        Ok(())
    }

    /// Says where an entity is now.
    ///
    /// # Errors
    /// If there is none, or a world doesn't reach there.
    pub fn place(&mut self, id: EntityId, position: [f64; 3]) -> Result<(), Refused> {
        let index = self.entities.find(id)?;
        let q = entities::position(position, &self.layout)?;
        let entity = self.entities.at_mut(index);
        entity.position = position;
        entity.q = q;
        self.note(index, MOVED);
        Ok(())
    }

    /// Says how an entity moves from now on. Where it is is said with [`World::place`]; a velocity only tells clients
    /// what to expect.
    ///
    /// # Errors
    /// If there is none, or its kind has no velocity.
    pub fn set_velocity(&mut self, id: EntityId, velocity: [f64; 3]) -> Result<(), Refused> {
        let (index, kind) = self.kind_of(id)?;
        let raw = entities::velocity(&self.layout.kinds[kind], velocity)?;
        self.set_raw(index, 0, raw);
        Ok(())
    }

    /// Turns an entity: radians in the first for a turn, else a quaternion.
    ///
    /// # Errors
    /// If there is none, or its kind has no rotation.
    pub fn turn(&mut self, id: EntityId, rotation: [f64; 4]) -> Result<(), Refused> {
        let (index, kind) = self.kind_of(id)?;
        let kind = &self.layout.kinds[kind];
        let raw = entities::rotation(kind, rotation)?;
        if let Some(channel) = kind.rotation {
            self.set_raw(index, channel, raw);
        }
        Ok(())
    }

    /// Sets a field.
    ///
    /// # Errors
    /// If there is no such entity or field, or the value doesn't fit.
    pub fn set(&mut self, id: EntityId, field: usize, value: &Value) -> Result<(), Refused> {
        let (index, kind) = self.kind_of(id)?;
        let kind = &self.layout.kinds[kind];
        let channel = kind.first_field + field;
        let laid_out = *kind.channels.get(channel).ok_or(Refused::WrongFields)?;
        match quantise::field(laid_out, value).ok_or(Refused::WrongFields)? {
            Raw::Bits(raw) => self.set_raw(index, channel, raw),
            Raw::Text(text) => {
                let super::schema::Channel::Text { index: at, .. } = laid_out else {
                    return Err(Refused::WrongFields);
                };
                let kept = &mut self.entities.at_mut(index).texts[usize::from(at)];
                if *kept != text {
                    *kept = text;
                    self.note(index, 1 << channel);
                }
            }
        }
        Ok(())
    }

    /// Says who may see an entity from the next tick on, and whether it's seen wherever it is.
    ///
    /// # Errors
    /// If there is none.
    pub fn show(&mut self, id: EntityId, audience: Audience, always: bool) -> Result<(), Refused> {
        let index = self.entities.find(id)?;
        let entity = self.entities.at_mut(index);
        if (entity.audience, entity.always) != (audience, always) {
            entity.audience = audience;
            entity.always = always;
            self.note(index, SHOWN_ANEW);
        }
        Ok(())
    }

    /// Where an entity is.
    #[must_use]
    pub fn position(&self, id: EntityId) -> Option<[f64; 3]> {
        let index = self.entities.find(id).ok()?;
        Some(self.entities.at(index).position)
    }

    fn kind_of(&self, id: EntityId) -> Result<(usize, usize), Refused> {
        let index = self.entities.find(id)?;
        Ok((index, usize::from(self.entities.at(index).kind)))
    }

    fn set_raw(&mut self, index: usize, channel: usize, raw: u64) {
        let kept = &mut self.entities.at_mut(index).values[channel];
        if *kept != raw {
            *kept = raw;
            self.note(index, 1 << channel);
        }
    }

    fn note(&mut self, index: usize, what: u64) {
        let entity: &mut Entity = self.entities.at_mut(index);
        if entity.dirty == 0 {
            self.queue.push(index as u32);
        }
        entity.dirty |= what;
    }

    /// Makes a tick of what changed since the last one. Where nobody holds that one's view any more nothing is copied;
    /// else the parcels that change are.
    pub fn step(&mut self) -> Arc<View> {
        if Arc::get_mut(&mut self.view).is_none() {
            self.view = Arc::new(self.view.fork());
        }
        let view = Arc::get_mut(&mut self.view).expect("a view just made is nobody else's");
        view.pace = self.pace;
        view.begin_at(view.tick + 1);
        Step {
            tick: view.tick,
            layout: &self.layout,
            setup: &self.setup,
            view,
            entities: &mut self.entities,
            works: &mut self.works,
            rolling: &mut self.rolling,
        }
        .run(&mut self.queue);
        Arc::clone(&self.view)
    }
}
