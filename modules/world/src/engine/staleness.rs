//! How old what a client shows may be, held against what docs/world.md says of it.

#![allow(clippy::unwrap_used)] // A panic is how a test fails.

use std::collections::BTreeMap;

use lakh_testkit::Noise;
use proptest::prelude::*;

use super::budget::LEAST_BYTES_A_SECOND;
use super::entities::{EntityId, Spawn};
use super::interest::Standing;
use super::parcel::NOWHERE;
use super::replica::Replica;
use super::schema::{Kind, Schema};
use super::space::Steps;
use super::viewer::{Sight, Viewer};
use super::world::{Setup, Tiers, World};

const SIDE: f64 = 600.0;
const PLENTY: u32 = 50_000_000;

fn step(noise: &mut Noise, at: &mut [f64; 3], reach: f64) {
    for x in &mut at[..2] {
        *x = (*x + noise.between(-reach, reach)).clamp(0.0, SIDE);
    }
}

/// Where an entity was at each tick, and in which parcel.
type Past = BTreeMap<EntityId, Vec<(Steps, u32)>>;

struct Scene {
    noise: Noise,
    world: World,
    ids: Vec<EntityId>,
    past: Past,
}

impl Scene {
    fn new(seed: u64, people: usize, tiers: Tiers) -> Self {
        let kind = Kind {
            name: "ball".into(),
            ..Kind::default()
        };
        let schema = Schema {
            dims: 2,
            precision: 1.0 / 64.0,
            hz: 20,
            kinds: vec![kind],
        };
        let setup = Setup {
            split: 8,
            join: 3,
            tiers,
            ..Setup::new(schema)
        };
        let (mut noise, mut world) = (Noise::new(seed), World::new(setup).unwrap());
        let spawn = |_| {
            let position = [noise.between(0.0, SIDE), noise.between(0.0, SIDE), 0.0];
            world.spawn(&Spawn {
                position,
                ..Spawn::default()
            })
        };
        let ids = (0..people).map(spawn).collect::<Result<_, _>>().unwrap();
        Self {
            noise,
            world,
            ids,
            past: Past::new(),
        }
    }

    /// Everybody goes a little, each a way of their own.
    fn live(&mut self, reach: f64) {
        for id in &self.ids {
            let mut at = self.world.position(*id).unwrap();
            step(&mut self.noise, &mut at, reach);
            self.world.place(*id, at).unwrap();
        }
        let view = self.world.step();
        for parcel in view.parcels.iter().flatten() {
            for slot in super::delta::bits_of(parcel.occupied) {
                let slot = &parcel.slots[slot];
                let past = self.past.entry(EntityId(slot.id)).or_default();
                past.resize(view.tick as usize + 1, ([0; 3], NOWHERE));
                past[view.tick as usize] = (slot.q, parcel.number);
            }
        }
    }

    /// The last tick at which it was where it's shown, and how often it has changed its parcel since.
    fn age(&self, id: EntityId, shown: [f64; 3]) -> Option<(u32, u32)> {
        let layout = self.world.layout();
        let past = &self.past[&id];
        let is = |(q, _): &(Steps, u32)| {
            (0..2).all(|axis| f64::from(q[axis]) * layout.precision == shown[axis])
        };
        let back = past.iter().rev().position(is)?;
        let since = &past[past.len() - 1 - back..];
        let changes = since.windows(2).filter(|two| two[0].1 != two[1].1).count();
        Some((back as u32, changes as u32))
    }
}

struct Client {
    viewer: Viewer,
    replica: Replica,
    at: [f64; 3],
    radius: f64,
}

impl Client {
    fn new(scene: &Scene, radius: f64, budget: u32) -> Self {
        let layout = scene.world.layout();
        Self {
            viewer: Viewer::new(layout, &Sight::around(radius), budget).unwrap(),
            replica: Replica::new(layout.clone()),
            at: [SIDE / 2.0, SIDE / 2.0, 0.0],
            radius,
        }
    }

    fn take(&mut self, scene: &Scene) -> usize {
        let view = scene.world.view();
        self.viewer.stand(self.at, scene.world.layout());
        let mut frame = Vec::new();
        self.viewer.compose(&view, &mut frame);
        if !frame.is_empty() {
            self.replica.apply(&frame).unwrap();
        }
        self.replica.advance(view.tick);
        frame.len()
    }

    fn sees(&self, at: [f64; 3]) -> bool {
        (at[0] - self.at[0]).hypot(at[1] - self.at[1]) <= self.radius
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() })]

    /// With a budget that suffices: a period for what stays where it is, and one more for each parcel that it comes into.
    #[test]
    fn what_is_shown_is_no_older_than_its_tier_allows(seed: u64, reach in 0.5..12.0_f64, radius in 60.0..300.0_f64) {
        let tiers = Tiers { nearest: [12, 40], every: [1, 4, 16] };
        let mut scene = Scene::new(seed, 250, tiers);
        let mut client = Client::new(&scene, radius, PLENTY);
        for _ in 0..150 {
            scene.live(reach);
            step(&mut scene.noise, &mut client.at, 8.0);
            client.take(&scene);
            let view = scene.world.view();
            for entry in &client.viewer.interest.entries {
                let head = &view.heads[entry.number as usize];
                // None of these is ever put off.
                prop_assert!(entry.standing == Standing::Held);
                let has_all = head.birth == entry.birth && head.version <= entry.since;
                prop_assert!(has_all || view.tick - entry.since <= u32::from(entry.mask));
            }
            for id in &scene.ids {
                if !client.sees(scene.world.position(*id).unwrap()) {
                    continue;
                }
                let Some(seen) = client.replica.get(*id) else {
                    // It's between two parcels, of which the first has told and the other has yet to.
                    let past = &scene.past[id];
                    let lately = &past[past.len().saturating_sub(33)..];
                    let changes = lately.windows(2).filter(|two| two[0].1 != two[1].1).count();
                    prop_assert!(changes > 0, "tick {}: {} is missing, and has long been where it is", view.tick, id);
                    continue;
                };
                let (age, changes) = scene.age(*id, seen.position).unwrap();
                prop_assert!(age <= 16 * (changes + 1),
                    "tick {}: {} is shown as {} ticks before, and changed its parcel {} times since", view.tick, id, age, changes);
            }
        }
    }

    /// Without: nobody starves. Everything takes its turn by weight: 16, 4 or 1.
    #[test]
    fn nobody_starves_however_small_the_budget_is(
        seed: u64,
        people in 300_usize..1200,
        rate in LEAST_BYTES_A_SECOND..20_000,
        reach in 0.5..4.0_f64,
        tiered: bool,
    ) {
        let nearest = if tiered { [100, 300] } else { [u32::MAX, 0] };
        let mut scene = Scene::new(seed, people, Tiers { nearest, every: [1, 4, 16] });
        scene.live(reach);
        let all = Client::new(&scene, SIDE * 3.0, PLENTY).take(&scene);
        // Where all are of the first tier, each takes its turn when all others had theirs.
        let turns = if tiered { 17.0 } else { 17.0 / 16.0 };
        let seconds = turns * all as f64 / f64::from(rate) + 2.0;
        let bound = (seconds * 20.0) as u32;
        let mut client = Client::new(&scene, SIDE * 3.0, rate);
        for tick in 0..(bound * 3 / 2).min(900) {
            scene.live(reach);
            client.take(&scene);
            if tick < bound {
                continue;
            }
            for id in &scene.ids {
                let late = client.viewer.late;
                let Some(seen) = client.replica.get(*id) else {
                    let past = &scene.past[id];
                    // If nothing is late, it's on its way for no longer than where there is budget enough.
                    let most = if late == 0 { 33 } else { 2 * bound as usize };
                    let lately = &past[past.len().saturating_sub(most)..];
                    let changes = lately.windows(2).filter(|two| two[0].1 != two[1].1).count();
                    prop_assert!(changes > 0, "{} is missing, and has long been where it is ({} late)", id, late);
                    continue;
                };
                let (age, changes) = scene.age(*id, seen.position).unwrap();
                prop_assert!(age <= bound * (changes + 1), "{} is shown as {} ticks before; the bound is {}, with {} changes", id, age, bound, changes);
            }
        }
    }
}
