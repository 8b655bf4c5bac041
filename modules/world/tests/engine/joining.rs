//! Coming late, going on, and going through parcels: it's the same to a client.

use lakh_world::{Audience, Spawn, Viewer};
use proptest::prelude::*;

use super::support::{ALL_NEAR, Client, SIDE, Scene, all};

const PLENTY: u32 = 50_000_000;

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_snapshot_equals_the_deltas_from_the_start(seed: u64, dims in 2_u8..=3) {
        let mut scene = Scene::new(seed, dims, 200, ALL_NEAR);
        let ships: Vec<_> = (0..40).map(|_| {
            let at = scene.seeded.place(dims);
            scene.ship(at)
        }).collect();
        let mut first = Client::new(&scene, SIDE, &[1], PLENTY);
        first.viewer.look(&all(), scene.world.layout()).unwrap();
        for tick in 0..120 {
            for ship in &ships {
                sail(&mut scene, *ship);
            }
            scene.live();
            first.take(&scene);
            if tick % 10 == 9 {
                let mut late = Client::new(&scene, SIDE, &[1], PLENTY);
                late.viewer.look(&all(), scene.world.layout()).unwrap();
                late.take(&scene);
                prop_assert_eq!(&late.known, &first.known);
                for id in &late.known {
                    // When it was told is what they don't share.
                    let seen = |client: &Client| client.replica.get(*id).map(|seen| lakh_world::Seen { told: 0, ..seen });
                    prop_assert_eq!(seen(&late), seen(&first), "tick {}: {}", tick, id);
                }
            }
        }
    }
}

/// A ship does something.
fn sail(scene: &mut Scene, ship: lakh_world::EntityId) {
    let unit = scene.seeded.unit();
    match scene.seeded.below(12) {
        0 => {
            let velocity = [unit * 60.0 - 30.0, 12.0, -3.0];
            scene.world.set_velocity(ship, velocity).unwrap();
        }
        1 => scene
            .world
            .turn(ship, [unit * 7.0 - 3.0, 0.5, -0.1, unit])
            .unwrap(),
        2 => scene.random_field(ship),
        3..=6 => {
            let mut at = scene.world.position(ship).unwrap();
            scene.seeded.step(&mut at, scene.dims, 3.0);
            scene.world.place(ship, at).unwrap();
        }
        _ => {}
    }
}

#[test]
fn walking_through_cells_is_neither_leaving_nor_entering() {
    let mut scene = Scene::new(5, 2, 0, ALL_NEAR);
    // Enough others that cells are divided, and joined again as they go.
    let others: Vec<_> = (0..60)
        .map(|n| scene.ball([f64::from(n) * 4.0, 30.0, 0.0]))
        .collect();
    let walker = scene.ball([0.0, 30.0, 0.0]);
    let mut client = Client::new(&scene, 2000.0, &[], PLENTY);
    scene.world.step();
    client.take(&scene);
    assert_eq!(client.known.len(), 61);
    let mut most = 0;
    for step in 0..400 {
        scene
            .world
            .place(walker, [f64::from(step), 30.0, 0.0])
            .unwrap();
        if step % 4 == 0
            && let Some(other) = others.get(step as usize / 4)
        {
            scene
                .world
                .place(*other, [1000.0, f64::from(step), 0.0])
                .unwrap();
        }
        scene.world.step();
        most = most.max(scene.world.view().parcels());
        // `take` would say that someone enters twice or leaves.
        client.take(&scene);
        assert_eq!(client.known.len(), 61, "step {step}");
        assert_eq!(
            client.replica.get(walker).unwrap().position,
            [f64::from(step), 30.0, 0.0]
        );
    }
    assert!(most > 4, "cells were not divided");
}

#[test]
fn more_than_a_parcel_holds_may_stand_in_one_place() {
    let mut scene = Scene::new(5, 3, 0, ALL_NEAR);
    let ids: Vec<_> = (0..500).map(|_| scene.ball([1.0, 1.0, 1.0])).collect();
    let always: Vec<_> = (0..200)
        .map(|n| {
            let position = [-90_000.0 + f64::from(n), 7.0, 0.0];
            let spawn = Spawn {
                kind: 1,
                position,
                always: true,
                ..Spawn::default()
            };
            scene.world.spawn(&spawn).unwrap()
        })
        .collect();
    let mut client = Client::new(&scene, 10.0, &[], PLENTY);
    scene.world.step();
    client.take(&scene);
    assert_eq!(client.known.len(), 700);
    for id in ids.iter().step_by(2) {
        scene.world.despawn(*id).unwrap();
    }
    for id in always.iter().step_by(3) {
        scene.world.show(*id, Audience::Nobody, true).unwrap();
    }
    scene.world.step();
    client.take(&scene);
    assert_eq!(client.known.len(), 250 + 133);
    assert_eq!(
        client.replica.get(always[1]).unwrap().position,
        [-89_999.0, 7.0, 0.0]
    );
}

#[test]
fn what_is_still_costs_nothing_but_a_heartbeat() {
    let mut scene = Scene::new(5, 2, 300, ALL_NEAR);
    let mut client = Client::new(&scene, 200.0, &[], PLENTY);
    scene.world.step();
    client.take(&scene);
    let (before, mut frames) = (client.bytes, 0);
    for _ in 0..100 {
        scene.world.step();
        let was = client.bytes;
        client.take(&scene);
        frames += usize::from(client.bytes != was);
    }
    assert_eq!(frames, 5, "one a second");
    assert!(client.bytes - before <= 5 * 8);
}

#[test]
fn inputs_and_corrections_are_answered_once() {
    let mut scene = Scene::new(5, 2, 10, ALL_NEAR);
    let layout = scene.world.layout().clone();
    let mut viewer = Viewer::new(&layout, &all(), PLENTY).unwrap();
    let mut replica = lakh_world::Replica::new(layout);
    let own = lakh_world::Own {
        id: lakh_world::EntityId(3),
        position: [0.1, -7.3, 0.0],
        velocity: [1e-9, 0.5, 0.0],
    };
    let mut told = Vec::new();
    for tick in 0..4 {
        scene.world.step();
        if tick == 1 {
            viewer.answer(77, Some(own));
        }
        let mut frame = Vec::new();
        viewer.compose(&scene.world.view(), &mut frame);
        if !frame.is_empty() {
            let applied = replica.apply(&frame).unwrap();
            told.push((applied.tick, applied.input, applied.own));
        }
    }
    assert_eq!(told, [(1, 0, None), (2, 77, Some(own))]);
}
