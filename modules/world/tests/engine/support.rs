//! A world with random walkers in it, and what clients should see of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use lakh_world::{
    Ask, Audience, EntityId, Field, FieldType, Kind, Query, Replica, Rotation, Schema, Setup,
    Sight, Spawn, Tiers, Value, Velocity, View, Viewer, World,
};

pub(crate) const PRECISION: f64 = 0.25;
pub(crate) const SIDE: f64 = 600.0;
/// How long positions are remembered.
const REMEMBERED: usize = 140;

/// Numbers that are the same for the same seed.
pub(crate) struct Seeded(pub u64);

impl Seeded {
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn below(&mut self, most: usize) -> usize {
        (self.bits() % most as u64) as usize
    }

    pub(crate) fn chance(&mut self, part: f64) -> bool {
        self.unit() < part
    }

    pub(crate) fn place(&mut self, dims: u8) -> [f64; 3] {
        let mut at = [0.0; 3];
        for x in &mut at[..usize::from(dims)] {
            *x = self.unit() * SIDE - SIDE / 3.0;
        }
        at
    }

    pub(crate) fn step(&mut self, at: &mut [f64; 3], dims: u8, reach: f64) {
        for x in &mut at[..usize::from(dims)] {
            *x = (*x + (self.unit() * 2.0 - 1.0) * reach).clamp(-SIDE / 3.0, SIDE * 2.0 / 3.0);
        }
    }
}

/// Three kinds: with a field, with nothing but a position, with everything.
pub(crate) fn schema(dims: u8) -> Schema {
    let field = |name: &str, holds| Field {
        name: name.into(),
        holds,
    };
    let rotation = if dims == 2 {
        Rotation::Turn { bits: 8 }
    } else {
        Rotation::Quaternion { bits: 9 }
    };
    Schema {
        dims,
        precision: PRECISION,
        hz: 20,
        kinds: vec![
            Kind {
                name: "person".into(),
                fields: vec![field("health", FieldType::Int { min: -5, max: 100 })],
                ..Kind::default()
            },
            Kind {
                name: "ball".into(),
                ..Kind::default()
            },
            Kind {
                name: "ship".into(),
                velocity: Some(Velocity {
                    max: 40.0,
                    bits: 10,
                    error: Some(0.5),
                }),
                rotation: Some(rotation),
                fields: vec![
                    field("name", FieldType::Text { max: 12 }),
                    field(
                        "fuel",
                        FieldType::Float {
                            min: 0.0,
                            max: 1.0,
                            step: 0.01,
                        },
                    ),
                    field("on", FieldType::Bool),
                    field(
                        "sort",
                        FieldType::Enum {
                            names: vec!["tug".into(), "ferry".into(), "liner".into()],
                        },
                    ),
                    field("motto", FieldType::Text { max: 20 }),
                ],
            },
        ],
    }
}

pub(crate) fn setup(dims: u8) -> Setup {
    Setup {
        cell_bits: 10,
        split: 8,
        join: 3,
        max_entities: 5000,
        ..Setup::new(schema(dims))
    }
}

/// An entity as it is.
pub(crate) struct Being {
    pub(crate) kind: u8,
    pub(crate) at: [f64; 3],
    pub(crate) fields: Vec<Value>,
    pub(crate) audience: Audience,
    pub(crate) always: bool,
    /// Where it was, the newest last; only of while it was shown to the same as now.
    pub(crate) was: VecDeque<[f64; 3]>,
}

pub(crate) fn quantised(at: [f64; 3]) -> [f64; 3] {
    at.map(|x| (x / PRECISION + 0.5).floor() * PRECISION)
}

pub(crate) struct Scene {
    pub(crate) seeded: Seeded,
    pub(crate) world: World,
    pub(crate) dims: u8,
    /// How far one goes in a tick along each axis.
    pub(crate) reach: f64,
    pub(crate) beings: BTreeMap<EntityId, Being>,
    /// When entities were taken away or shown to others only, and to whom they were shown before.
    pub(crate) hidden: BTreeMap<EntityId, Vec<(u32, Audience)>>,
}

impl Scene {
    pub(crate) fn new(seed: u64, dims: u8, beings: usize, tiers: Tiers) -> Self {
        let world = World::new(Setup {
            tiers,
            ..setup(dims)
        })
        .unwrap();
        let mut scene = Self {
            seeded: Seeded(seed),
            world,
            dims,
            reach: 8.0,
            beings: BTreeMap::new(),
            hidden: BTreeMap::new(),
        };
        for _ in 0..beings {
            scene.spawn();
        }
        scene
    }

    fn audience(&mut self) -> Audience {
        match self.seeded.below(10) {
            0 => Audience::Nobody,
            1 | 2 => Audience::Group(1 + self.seeded.below(2) as u32),
            _ => Audience::Everyone,
        }
    }

    fn field(&mut self, kind: u8, field: usize) -> Value {
        match (kind, field) {
            (0, _) => Value::Int(self.seeded.below(106) as i64 - 5),
            (_, 0 | 4) => {
                let text = "añ€𝄞bcdefghij";
                Value::Text(
                    text.chars()
                        .take(self.seeded.below(6))
                        .collect::<String>()
                        .into(),
                )
            }
            (_, 1) => Value::Float(self.seeded.below(101) as f64 * 0.01),
            (_, 2) => Value::Bool(self.seeded.chance(0.5)),
            _ => Value::Enum(self.seeded.below(3) as u16),
        }
    }

    pub(crate) fn spawn(&mut self) -> EntityId {
        // Ships are tried elsewhere: where they are is not where they were said to be last.
        let kind = self.seeded.below(2) as u8;
        let fields: Vec<Value> = (0..usize::from(kind == 0))
            .map(|field| self.field(kind, field))
            .collect();
        let spawn = Spawn {
            kind,
            position: self.seeded.place(self.dims),
            fields,
            audience: self.audience(),
            always: self.seeded.chance(0.02),
            ..Spawn::default()
        };
        let id = self.world.spawn(&spawn).unwrap();
        let being = Being {
            kind,
            at: spawn.position,
            fields: spawn.fields,
            audience: spawn.audience,
            always: spawn.always,
            was: VecDeque::new(),
        };
        assert!(
            self.beings.insert(id, being).is_none(),
            "an id that is in use is given out"
        );
        id
    }

    /// One of the kind that has nothing but a position; it stays where it's put.
    pub(crate) fn ball(&mut self, at: [f64; 3]) -> EntityId {
        self.world
            .spawn(&Spawn {
                kind: 1,
                position: at,
                ..Spawn::default()
            })
            .unwrap()
    }

    /// A ship, of the kind that has everything.
    pub(crate) fn ship(&mut self, at: [f64; 3]) -> EntityId {
        let fields = (0..5).map(|field| self.field(2, field)).collect();
        let unit = self.seeded.unit();
        let rotation = [unit, 0.2, -0.4, 0.7];
        self.world
            .spawn(&Spawn {
                kind: 2,
                position: at,
                rotation,
                fields,
                ..Spawn::default()
            })
            .unwrap()
    }

    pub(crate) fn random_field(&mut self, ship: EntityId) {
        let field = self.seeded.below(5);
        let value = self.field(2, field);
        self.world.set(ship, field, &value).unwrap();
    }

    /// Everything that may happen, at random, and a tick of it.
    pub(crate) fn live(&mut self) {
        let ids: Vec<EntityId> = self.beings.keys().copied().collect();
        for id in ids {
            self.live_one(id);
        }
        while self.seeded.chance(0.6) {
            self.spawn();
        }
        self.tick();
    }

    fn live_one(&mut self, id: EntityId) {
        let next = self.world.view().tick() + 1;
        let kind = self.beings[&id].kind;
        match self.seeded.below(300) {
            0 => {
                self.world.despawn(id).unwrap();
                assert!(self.world.despawn(id).is_err(), "it is gone at once");
                let being = self.beings.remove(&id).unwrap();
                self.hidden
                    .entry(id)
                    .or_default()
                    .push((next, being.audience));
            }
            1 | 2 => {
                let (audience, always) = (self.audience(), self.seeded.chance(0.2));
                self.world.show(id, audience, always).unwrap();
                let being = self.beings.get_mut(&id).unwrap();
                being.always = always;
                if being.audience != audience {
                    self.hidden
                        .entry(id)
                        .or_default()
                        .push((next, being.audience));
                    being.audience = audience;
                    being.was.clear();
                }
            }
            3 | 4 => self.place(id, None),
            5..=20 if kind == 0 => {
                let value = self.field(0, 0);
                self.world.set(id, 0, &value).unwrap();
                self.beings.get_mut(&id).unwrap().fields[0] = value;
            }
            21..=220 => {
                let mut at = self.beings[&id].at;
                self.seeded.step(&mut at, self.dims, self.reach);
                self.place(id, Some(at));
            }
            _ => {}
        }
    }

    /// Puts it somewhere, or anywhere.
    pub(crate) fn place(&mut self, id: EntityId, at: Option<[f64; 3]>) {
        let at = at.unwrap_or_else(|| self.seeded.place(self.dims));
        self.world.place(id, at).unwrap();
        self.beings.get_mut(&id).unwrap().at = at;
    }

    pub(crate) fn tick(&mut self) {
        self.world.step();
        for being in self.beings.values_mut() {
            being.was.push_back(being.at);
            if being.was.len() > REMEMBERED {
                being.was.pop_front();
            }
        }
    }
}

pub(crate) struct Client {
    pub(crate) viewer: Viewer,
    pub(crate) replica: Replica,
    pub(crate) radius: f64,
    pub(crate) groups: Vec<u32>,
    pub(crate) at: [f64; 3],
    /// Kept by events alone.
    pub(crate) known: BTreeSet<EntityId>,
    pub(crate) bytes: usize,
    /// Since when entities are in sight, as of when it was looked at.
    pub(crate) since: BTreeMap<EntityId, u32>,
    /// Since when what is in sight is missing.
    missing: BTreeMap<EntityId, u32>,
}

impl Client {
    pub(crate) fn new(scene: &Scene, radius: f64, groups: &[u32], bytes_a_second: u32) -> Self {
        let layout = scene.world.layout();
        let mut viewer = Viewer::new(layout, &Sight::around(radius), bytes_a_second).unwrap();
        viewer.set_groups(groups);
        Self {
            viewer,
            replica: Replica::new(layout.clone()),
            radius,
            groups: groups.to_vec(),
            at: [0.0; 3],
            known: BTreeSet::new(),
            bytes: 0,
            since: BTreeMap::new(),
            missing: BTreeMap::new(),
        }
    }

    /// Takes the frame of the tick, if there is one.
    pub(crate) fn take(&mut self, scene: &Scene) {
        self.take_from(scene, &scene.world.view());
    }

    /// Takes the frame of a tick out of a view of the scene. Gives the frame.
    pub(crate) fn take_from(&mut self, scene: &Scene, view: &View) -> Vec<u8> {
        self.viewer.stand(self.at, scene.world.layout());
        let mut frame = Vec::new();
        let composed = self.viewer.compose(view, &mut frame);
        assert_eq!(composed.bytes, frame.len());
        self.bytes += frame.len();
        if !frame.is_empty() {
            let applied = self.replica.apply(&frame).unwrap();
            assert_eq!(applied.tick, view.tick());
            for id in &applied.entered {
                assert!(self.known.insert(*id), "{id} enters twice");
            }
            for id in &applied.left {
                assert!(self.known.remove(id), "{id} leaves, and was not there");
            }
            for id in &applied.changed {
                assert!(self.known.contains(id) && !applied.entered.contains(id));
            }
        }
        self.replica.advance(view.tick());
        let there: BTreeSet<EntityId> = self.replica.entities().collect();
        let differ: Vec<_> = self.known.symmetric_difference(&there).collect();
        assert!(
            differ.is_empty(),
            "tick {}: events and map differ in {differ:?}",
            view.tick()
        );
        for (id, being) in &scene.beings {
            if self.in_sight(being) {
                self.since.entry(*id).or_insert(view.tick());
            } else {
                self.since.remove(id);
            }
        }
        for (id, hidden) in &scene.hidden {
            if hidden.iter().any(|(at, _)| *at == view.tick()) && self.since.contains_key(id) {
                self.since.insert(*id, view.tick());
            }
        }
        frame
    }

    pub(crate) fn may_see(&self, audience: Audience) -> bool {
        match audience {
            Audience::Everyone => true,
            Audience::Group(group) => self.groups.contains(&group),
            Audience::Nobody => false,
        }
    }

    pub(crate) fn in_sight(&self, being: &Being) -> bool {
        let square: f64 = being
            .at
            .iter()
            .zip(self.at)
            .map(|(a, b)| (a - b).powi(2))
            .sum();
        self.may_see(being.audience) && (being.always || square <= self.radius * self.radius)
    }

    /// Everything in sight is there, and told of within so many ticks.
    pub(crate) fn misses_nothing(&mut self, scene: &Scene, ticks: usize) {
        let tick = scene.world.view().tick();
        for (id, being) in &scene.beings {
            if !self.in_sight(being) {
                self.missing.remove(id);
                continue;
            }
            let Some(seen) = self.replica.get(*id) else {
                // Where it came from has told, and where it is has yet to; perhaps it goes on before that.
                if *self.missing.entry(*id).or_insert(tick) + 2 * ticks as u32 > tick {
                    continue;
                }
                panic!(
                    "tick {tick}: {id} at {:?} is missing to who is at {:?}",
                    being.at, self.at
                );
            };
            self.missing.remove(id);
            if self
                .since
                .get(id)
                .is_some_and(|since| since + ticks as u32 > tick)
            {
                continue;
            }
            // Of what changes its parcel, the old one may tell last a period before, and the new one next a period after;
            // and at a border it may change it twice more in that time.
            let mut lately = being.was.iter().rev().take(4 * ticks + 1);
            assert!(
                lately.any(|was| quantised(*was) == seen.position),
                "tick {tick}: {id} is seen at {:?}, and was at {:?} in the last {ticks} ticks or before",
                seen.position,
                being.was.iter().rev().take(ticks + 1).collect::<Vec<_>>(),
            );
            if ticks == 0 {
                assert_eq!(seen.fields, being.fields, "tick {tick}: {id}");
                assert_eq!(seen.kind, being.kind);
            }
        }
    }

    /// Nothing is there that must not be seen, or has not been for longer than so many ticks.
    pub(crate) fn sees_nothing_hidden(&self, scene: &Scene, ticks: u32) {
        let tick = scene.world.view().tick();
        for id in self.replica.entities() {
            let now = scene.beings.get(&id).map(|being| being.audience);
            if now.is_some_and(|audience| self.may_see(audience)) {
                continue;
            }
            let hidden = scene
                .hidden
                .get(&id)
                .map(|hidden| &hidden[..])
                .unwrap_or_default();
            let last = hidden
                .iter()
                .filter(|(_, before)| self.may_see(*before))
                .map(|(at, _)| *at)
                .max();
            let Some(last) = last else {
                panic!("tick {tick}: {id} was never to be seen");
            };
            assert!(
                last + ticks >= tick,
                "tick {tick}: {id} is seen, and hidden since {last}"
            );
        }
    }
}

/// A sight of everything.
pub(crate) fn all() -> Sight {
    let query = Query::In(lakh_world::Shape::All);
    Sight {
        asks: vec![Ask { query, every: 1 }],
    }
}

/// Everything in the first tier.
pub(crate) const ALL_NEAR: Tiers = Tiers {
    nearest: [u32::MAX, 0],
    every: [1, 1, 1],
};
