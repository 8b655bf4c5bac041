//! Bots: entities of the world's own that walk about, so that there is somebody to see.
//!
//! Each walks to a place, rests there for a while, and walks on. Nothing is decided in between, so hundreds of them cost
//! little more than that they move. They are of no owner and don't last.

use fastrand::Rng;
use lakh_hub::Failure;
use serde_json::json;

use super::{Being, Core};
use crate::engine::entities::EntityId;
use crate::play::acts::State;
use crate::play::shapes::Fields;

/// The kind that bots are.
pub(crate) const KIND: &str = "bot";
/// Each has so much ground, in units squared: many of them are not nearer to each other than few.
const GROUND: f64 = 30.0;
/// They keep this far from where newcomers come in, at least, and walk no farther than this at a time.
const NEAREST: f64 = 14.0;
const FARTHEST_WALK: f64 = 26.0;
/// Units a second.
const SLOWEST: f64 = 1.2;
const FASTEST: f64 = 4.5;
/// Seconds at one place, at most.
const LONGEST_REST: f64 = 4.0;
/// What they are coloured by, where their kind has a colour.
const COLORS: [u32; 8] = [
    0x16_838c, 0xe5_8f1d, 0xdb_5a45, 0xcf_5c91, 0x75_60c4, 0x4a_97d6, 0x4d_9147, 0x8a_3f66,
];

#[derive(Debug)]
struct Bot {
    entity: u32,
    /// The tick at which it decides what to do next.
    next: u32,
    walks: bool,
}

/// All bots of a world.
#[derive(Debug)]
pub(super) struct Bots {
    all: Vec<Bot>,
    chance: Rng,
}

impl Default for Bots {
    /// Written out: they are the same in each world, and a default `Rng` begins anywhere.
    fn default() -> Self {
        Self {
            all: Vec::new(),
            chance: Rng::with_seed(0),
        }
    }
}

fn between(chance: &mut Rng, least: f64, most: f64) -> f64 {
    least + (most - least) * chance.f64()
}

impl Core {
    /// From now on so many bots walk about; how many there are.
    ///
    /// # Errors
    /// `bad_request` if the world knows no bots, `full` if there is no room for them.
    pub(super) fn set_bots(&mut self, count: Option<u32>) -> Result<u32, Failure> {
        self.bots
            .all
            .retain(|bot| self.beings.contains_key(&bot.entity));
        let Some(count) = count else {
            return Ok(self.bots.all.len() as u32);
        };
        let kind = self.plan.kind_named(KIND)?;
        if self.plan.kind(kind).velocity.is_none() {
            return Err(Failure::bad_request("bots of this world have no velocity"));
        }
        let count = count.min(self.config.max_bots) as usize;
        while self.bots.all.len() > count {
            if let Some(bot) = self.bots.all.pop() {
                self.take_away(bot.entity);
            }
        }
        while self.bots.all.len() < count {
            let entity = self.make_bot(kind, count)?;
            let next = self.tick_number() + 1;
            self.bots.all.push(Bot {
                entity,
                next,
                walks: false,
            });
        }
        Ok(count as u32)
    }

    fn make_bot(&mut self, kind: u8, count: usize) -> Result<u32, Failure> {
        let number = self.bots.all.len() + 1;
        let reach = NEAREST + (count as f64 * GROUND / std::f64::consts::PI).sqrt();
        let turn = between(&mut self.bots.chance, 0.0, std::f64::consts::TAU);
        // As many on each part of the ground.
        let far = reach * self.bots.chance.f64().sqrt();
        let mut at = self.plan.spawn();
        at[0] += far * turn.cos();
        at[1] += far * turn.sin();
        let at = self.plan.within(at);
        let color = COLORS[self.bots.chance.usize(..COLORS.len())];
        let looks = [
            ("name", json!(format!("Bot {number}"))),
            ("color", json!(color)),
        ];
        let known = &self.plan.kind(kind).fields;
        let fields: Fields = looks
            .into_iter()
            .filter(|(name, _)| known.iter().any(|field| field.name == *name))
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let state = |fields| State {
            at: Some(at),
            fields,
            ..State::default()
        };
        let being = || Being {
            kind,
            ..Being::default()
        };
        // Fields of these names may hold something else: then it goes about without.
        self.spawn(None, being(), state(fields))
            .or_else(|_| self.spawn(None, being(), state(Fields::new())))
    }

    /// Lets those decide whose time has come.
    pub(super) fn steer_bots(&mut self) {
        let tick = self.tick_number();
        let mut bots = std::mem::take(&mut self.bots);
        for bot in bots.all.iter_mut().filter(|bot| bot.next <= tick) {
            self.steer_bot(bot, &mut bots.chance, tick);
        }
        self.bots = bots;
    }

    fn steer_bot(&mut self, bot: &mut Bot, chance: &mut Rng, tick: u32) {
        if !self.beings.contains_key(&bot.entity) {
            // Somebody who may has taken it away.
            bot.next = u32::MAX;
            return;
        }
        let hz = f64::from(self.plan.schema.hz);
        let seconds = if bot.walks {
            self.go(bot.entity, [0.0; 3]);
            between(chance, 0.3, LONGEST_REST)
        } else {
            self.walk_bot(bot.entity, chance)
        };
        bot.walks = !bot.walks;
        bot.next = tick + ((seconds * hz) as u32).max(1);
    }

    /// Sends it somewhere; how many seconds it takes.
    fn walk_bot(&mut self, entity: u32, chance: &mut Rng) -> f64 {
        let at = self.at(entity);
        let home = self.plan.spawn();
        let turn = between(chance, 0.0, std::f64::consts::TAU);
        let far = between(chance, 3.0, FARTHEST_WALK);
        let reach = NEAREST + (f64::from(self.config.max_bots) * GROUND).sqrt();
        let mut to = [at[0] + far * turn.cos(), at[1] + far * turn.sin(), at[2]];
        if (to[0] - home[0]).hypot(to[1] - home[1]) > reach {
            // Back into the middle, lest all end at the edge of the world.
            to = [(at[0] + home[0]) / 2.0, (at[1] + home[1]) / 2.0, at[2]];
        }
        let to = self.plan.within(to);
        let (dx, dy) = (to[0] - at[0], to[1] - at[1]);
        let way = dx.hypot(dy);
        let speed = between(chance, SLOWEST, FASTEST).min(self.plan.max_speed);
        if way < 0.1 {
            return 1.0;
        }
        self.go(entity, [dx / way * speed, dy / way * speed, 0.0]);
        let heading = [dy.atan2(dx), 0.0, 0.0, 0.0];
        // A kind that can't turn does without.
        let _ = self.world.turn(EntityId(entity), heading);
        way / speed
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::Core;
    use crate::Config;
    use crate::engine::world::Pace;
    use crate::play::plan::{Plan, Wishes};

    fn world(wishes: serde_json::Value) -> Core {
        let config = Arc::new(Config::default());
        let wishes: Wishes = serde_json::from_value(wishes).unwrap();
        let plan = Plan::new("x", wishes, &config).unwrap();
        Core::new(Arc::new(plan), config).unwrap()
    }

    #[test]
    fn bots_walk_about_within_the_world_and_go_again() {
        let bounds = serde_json::json!({"bounds": {"min": [-40, -40], "max": [40, 40]}});
        let mut core = world(bounds);
        assert_eq!(core.set_bots(None).unwrap(), 0);
        assert_eq!(core.set_bots(Some(200)).unwrap(), 200);
        assert_eq!(core.beings.len(), 200);
        let first: Vec<_> = core
            .beings
            .keys()
            .map(|&entity| (entity, core.at(entity)))
            .collect();
        for tick in 0..400 {
            core.tick(&mut Vec::new(), Pace::default(), tick * 50);
        }
        let moved = first.iter().filter(|(entity, at)| core.at(*entity) != *at);
        assert!(moved.count() > 190);
        assert!(
            first
                .iter()
                .all(|(entity, _)| core.plan.holds(core.at(*entity)))
        );
        assert_eq!(core.set_bots(Some(30)).unwrap(), 30);
        assert_eq!(core.beings.len(), 30);
        assert_eq!(core.set_bots(Some(u32::MAX)).unwrap(), 500);
        assert_eq!(core.set_bots(Some(0)).unwrap(), 0);
        assert_eq!(core.beings.len(), 0);
    }

    #[test]
    fn a_bot_that_was_taken_away_is_not_counted() {
        let mut core = world(serde_json::json!({}));
        core.set_bots(Some(3)).unwrap();
        let one = *core.beings.keys().next().unwrap();
        core.take_away(one);
        for tick in 0..100 {
            core.tick(&mut Vec::new(), Pace::default(), tick * 50);
        }
        assert_eq!(core.set_bots(None).unwrap(), 2);
        assert_eq!(core.set_bots(Some(3)).unwrap(), 3);
    }

    #[test]
    fn a_world_without_bots_says_so() {
        let schema = serde_json::json!({
            "dims": 3, "precision": 0.25, "hz": 20, "kinds": [{"name": "ball"}],
        });
        let mut core = world(serde_json::json!({"schema": schema}));
        assert_eq!(core.set_bots(Some(1)).unwrap_err().code, "bad_request");
    }
}
