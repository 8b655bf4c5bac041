//! The truth of one world: its entities with whom they belong to, who is in, and what is to be stored of it.
//!
//! It's changed under one lock and knows no clock but the ticks; the time of day comes as an argument. What those who look
//! on must learn beside the frames comes out as [`News`], in the tick in which it happened.

mod bots;
mod fleet;
mod groups;
mod lasting;
mod perform;
mod stays;

use std::sync::Arc;

use lakh_hub::Failure;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

pub(crate) use lasting::Record;

use self::bots::Bots;
use self::groups::Groups;
use self::stays::Stay;
use super::acts::{News, Seen};
use super::plan;
use crate::Config;
use crate::engine::entities::EntityId;
use crate::engine::quantise::Value;
use crate::engine::view::View;
use crate::engine::world::{Pace, Refused, World};

/// Seconds for which somebody who says nothing more is moved on by the velocity that they said last.
const COAST_S: u32 = 1;

/// What is known of an entity beside what the engine knows.
#[derive(Clone, Debug, Default)]
struct Being {
    kind: u8,
    lasting: bool,
    always: bool,
    /// It's among those that move on.
    moving: bool,
    audience: Seen,
    group: Option<u32>,
    /// Whose it is: see [`super::acts::Actor::key`].
    owner: Option<Arc<str>>,
    /// The stay of the client whose own entity this is.
    session: Option<Arc<str>>,
    velocity: [f64; 3],
    rotation: [f64; 4],
    fields: Vec<Value>,
    /// The tick of the last input.
    input_at: u32,
}

/// A change that a client has made to its own entity, and that was found to be in order.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Move {
    pub(crate) entity: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<[f64; 3]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) velocity: Option<[f64; 3]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rotation: Option<[f64; 4]>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) fields: Vec<(u8, Value)>,
}

/// Places that people are to come back to.
pub(crate) type Places = FxHashMap<String, [f64; 3]>;

/// A world as it truly is.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) plan: plan::Shared,
    config: Arc<Config>,
    world: World,
    beings: FxHashMap<u32, Being>,
    stays: FxHashMap<Arc<str>, Stay>,
    /// Entities of each owner, those of stays not counted.
    counts: FxHashMap<Arc<str>, u32>,
    groups: Groups,
    moving: Vec<u32>,
    bots: Bots,
    /// Lasting entities of which the store has something else.
    unsaved: FxHashSet<u32>,
    /// Those that are being stored now.
    saving: FxHashSet<u32>,
    /// Places that the store doesn't have yet, and those that are being stored now.
    places: Places,
    saving_places: Places,
    news: Vec<News>,
}

impl Core {
    /// An empty world.
    ///
    /// # Errors
    /// If its plan can't be, which was looked at when it was made.
    pub(crate) fn new(plan: plan::Shared, config: Arc<Config>) -> Result<Self, Failure> {
        let world = World::new(plan.setup(&config))
            .map_err(|error| Failure::bad_request(format!("schema: {error}")))?;
        Ok(Self {
            plan,
            config,
            world,
            beings: FxHashMap::default(),
            stays: FxHashMap::default(),
            counts: FxHashMap::default(),
            groups: Groups::default(),
            moving: Vec::new(),
            bots: Bots::default(),
            unsaved: FxHashSet::default(),
            saving: FxHashSet::default(),
            places: Places::default(),
            saving_places: Places::default(),
            news: Vec::new(),
        })
    }

    /// Says which of its lives this is, and after which tick it goes on.
    pub(crate) fn begin(&mut self, epoch: u64, tick: u32) {
        self.world.begin(epoch, tick);
    }

    /// The last tick.
    pub(crate) fn view(&self) -> Arc<View> {
        self.world.view()
    }

    pub(crate) fn entities(&self) -> usize {
        self.world.entities()
    }

    /// Takes what clients did, moves on what moves, and makes a tick of it.
    pub(crate) fn tick(
        &mut self,
        moves: &mut Vec<Move>,
        pace: Pace,
        now_ms: u64,
    ) -> (Arc<View>, Vec<News>) {
        for one in moves.drain(..) {
            self.apply(&one);
        }
        self.steer_bots();
        self.move_on();
        self.end_stays(now_ms);
        self.world.set_pace(pace);
        let view = self.world.step();
        (view, std::mem::take(&mut self.news))
    }

    fn tick_number(&self) -> u32 {
        self.world.tick()
    }

    /// The client's own loop has looked at all of it; what doesn't fit any more is for an entity that has gone.
    fn apply(&mut self, one: &Move) {
        let tick = self.tick_number();
        let Some(being) = self.beings.get_mut(&one.entity) else {
            return;
        };
        being.input_at = tick;
        let id = EntityId(one.entity);
        if let Some(at) = one.at {
            let _ = self.world.place(id, at);
        }
        if let Some(velocity) = one.velocity {
            self.go(one.entity, velocity);
        }
        if let Some(rotation) = one.rotation
            && self.world.turn(id, rotation).is_ok()
            && let Some(being) = self.beings.get_mut(&one.entity)
        {
            being.rotation = rotation;
        }
        for (field, value) in &one.fields {
            self.set(one.entity, *field, value);
        }
        self.touched(one.entity);
    }

    fn set(&mut self, entity: u32, field: u8, value: &Value) {
        let field = usize::from(field);
        if self.world.set(EntityId(entity), field, value).is_ok()
            && let Some(kept) = self
                .beings
                .get_mut(&entity)
                .and_then(|being| being.fields.get_mut(field))
        {
            *kept = value.clone();
        }
    }

    fn go(&mut self, entity: u32, velocity: [f64; 3]) {
        if self.world.set_velocity(EntityId(entity), velocity).is_err() {
            return;
        }
        let Some(being) = self.beings.get_mut(&entity) else {
            return;
        };
        being.velocity = velocity;
        if velocity != [0.0; 3] && !being.moving {
            being.moving = true;
            self.moving.push(entity);
        }
    }

    /// Whatever has a velocity goes on by it: a thing for as long as it has one, a client's own entity between its inputs.
    fn move_on(&mut self) {
        let (tick, hz) = (self.tick_number(), u32::from(self.plan.schema.hz));
        let mut moving = std::mem::take(&mut self.moving);
        moving.retain(|&entity| {
            let Some(being) = self.beings.get_mut(&entity) else {
                return false;
            };
            if being.velocity == [0.0; 3] {
                being.moving = false;
                return false;
            }
            let (velocity, steered) = (being.velocity, being.session.is_some());
            let since = tick - being.input_at;
            // What came in this tick says where it is in this tick.
            if steered && since == 0 {
                return true;
            }
            let Some(at) = self.world.position(EntityId(entity)) else {
                return false;
            };
            let next = std::array::from_fn(|axis| at[axis] + velocity[axis] / f64::from(hz));
            let there = self.plan.within(next);
            let tired = steered && since > COAST_S * hz;
            if there != next || tired {
                self.halt(entity);
            }
            if !tired {
                let _ = self.world.place(EntityId(entity), there);
            }
            self.touched(entity);
            true
        });
        moving.append(&mut self.moving);
        self.moving = moving;
    }

    fn halt(&mut self, entity: u32) {
        if let Some(being) = self.beings.get_mut(&entity) {
            being.velocity = [0.0; 3];
        }
        let _ = self.world.set_velocity(EntityId(entity), [0.0; 3]);
    }

    /// An entity has changed; what lasts is to be stored.
    fn touched(&mut self, entity: u32) {
        if self.beings.get(&entity).is_some_and(|being| being.lasting) {
            self.unsaved.insert(entity);
        }
    }

    fn at(&self, entity: u32) -> [f64; 3] {
        self.world.position(EntityId(entity)).unwrap_or_default()
    }

    /// An entity goes for good.
    fn take_away(&mut self, entity: u32) {
        let Some(being) = self.beings.remove(&entity) else {
            return;
        };
        let _ = self.world.despawn(EntityId(entity));
        if being.lasting {
            self.unsaved.insert(entity);
        }
        if let Some(group) = being.group {
            self.release(group);
        }
        if let Some(owner) = being.owner.filter(|_| being.session.is_none())
            && let Some(count) = self.counts.get_mut(&owner)
        {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&owner);
            }
        }
    }
}

/// What the engine refuses, for clients.
fn refused(refused: Refused) -> Failure {
    match refused {
        Refused::NoSuchEntity => no_entity(),
        Refused::Full => Failure::new(
            "full",
            "this world holds no more entities; some must go before others can come",
        ),
        other => Failure::bad_request(other.to_string()),
    }
}

fn no_entity() -> Failure {
    Failure::new("not_found", "there is no such entity in this world")
}
