//! Bytes a second, and that nobody starves of them.

use lakh_world::{EntityId, LEAST_BYTES_A_SECOND, Tiers, View};
use proptest::prelude::*;

use super::support::{ALL_NEAR, Client, SIDE, Scene};

const HZ: usize = 20;

/// A tick in which everybody goes a little.
fn stir(scene: &mut Scene, ids: &[EntityId]) {
    for id in ids {
        let mut at = scene.world.position(*id).unwrap();
        scene.seeded.step(&mut at, 2, 2.0);
        scene.world.place(*id, at).unwrap();
    }
    scene.world.step();
}

fn crowd(scene: &mut Scene, count: usize) -> Vec<EntityId> {
    let mut ball = || {
        let at = scene.seeded.place(2);
        scene.ball(at)
    };
    (0..count).map(|_| ball()).collect()
}

/// What one that may have as much as it likes gets for all of it, in bytes.
fn size_of_all(scene: &Scene) -> usize {
    let mut client = Client::new(scene, SIDE * 3.0, &[], u32::MAX / 2);
    client.take(scene);
    client.bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_second_has_more_than_it_may_and_all_comes_in_time(
        seed: u64,
        people in 300_usize..1500,
        rate in LEAST_BYTES_A_SECOND..20_000,
        tiered: bool,
    ) {
        let tiers = if tiered { Tiers { nearest: [100, 300], every: [1, 4, 16] } } else { ALL_NEAR };
        let mut scene = Scene::new(seed, 2, 0, tiers);
        let ids = crowd(&mut scene, people);
        stir(&mut scene, &ids);
        let all = size_of_all(&scene);
        // Of the last tier each is told within sixteen times what it takes to send all of it (see docs/world.md), and
        // whole parcels go before deltas.
        let seconds = 17.0 * all as f64 / f64::from(rate) + 2.0;
        let bound = (seconds * HZ as f64) as u32 + 16;
        let mut client = Client::new(&scene, SIDE * 3.0, &[], rate);
        let (mut spent, mut told) = (Vec::new(), vec![0; ids.len()]);
        for tick in 0..(bound as usize + 100).min(700) {
            stir(&mut scene, &ids);
            let before = client.bytes;
            client.take(&scene);
            spent.push(client.bytes - before);
            let second: usize = spent.iter().rev().take(HZ).sum();
            prop_assert!(second <= rate as usize, "{} bytes in the second before tick {}", second, tick);
            let now = scene.world.view().tick();
            for (id, told) in ids.iter().zip(&mut told) {
                if let Some(seen) = client.replica.get(*id) {
                    *told = seen.told;
                }
                prop_assert!(now - *told <= bound, "{} was told at {}, the bound is {} before {}", id, told, bound, now);
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_counted_and_comes_with_the_next_frames() {
    let mut scene = Scene::new(4, 2, 0, ALL_NEAR);
    let ids = crowd(&mut scene, 3000);
    stir(&mut scene, &ids);
    let mut client = Client::new(&scene, SIDE * 3.0, &[], LEAST_BYTES_A_SECOND);
    client.viewer.stand([0.0; 3], scene.world.layout());
    let compose = |client: &mut Client, view: &View| {
        let mut frame = Vec::new();
        let composed = client.viewer.compose(view, &mut frame);
        let applied = (!frame.is_empty()).then(|| client.replica.apply(&frame).unwrap());
        (composed, applied)
    };
    let (composed, applied) = compose(&mut client, &scene.world.view());
    let applied = applied.unwrap();
    assert!(composed.late > 20 && applied.late == composed.late && !applied.settled);
    assert!(client.replica.len() < 3000);
    // Nobody moves any more: it all comes, and then it's said that it's all there.
    let mut ticks = 0;
    while client.replica.len() < 3000 {
        scene.world.step();
        compose(&mut client, &scene.world.view());
        ticks += 1;
        assert!(ticks < 200, "{} came", client.replica.len());
    }
    scene.world.step();
    let mut last = Default::default();
    for _ in 0..30 {
        scene.world.step();
        if let (_, Some(applied)) = compose(&mut client, &scene.world.view()) {
            last = applied;
        }
    }
    assert!(last.settled && last.late == 0, "{last:?}");
}

#[test]
fn less_than_a_parcel_needs_is_not_given() {
    let mut scene = Scene::new(4, 2, 0, ALL_NEAR);
    let ids = crowd(&mut scene, 100);
    stir(&mut scene, &ids);
    let mut client = Client::new(&scene, SIDE * 3.0, &[], 1);
    for _ in 0..20 {
        scene.world.step();
        client.take(&scene);
    }
    assert_eq!(client.known.len(), 100);
}

#[test]
fn at_a_lower_pace_the_far_are_told_of_less_often_and_the_near_are_not() {
    let tiers = Tiers {
        nearest: [20, 30],
        every: [1, 2, 4],
    };
    let told = |ease: u8| {
        let mut scene = Scene::new(8, 2, 0, tiers);
        let ids = crowd(&mut scene, 400);
        scene
            .world
            .set_pace(lakh_world::Pace { dilation: 96, ease });
        let mut client = Client::new(&scene, SIDE * 3.0, &[], 50_000_000);
        let mut first = 0;
        for _ in 0..40 {
            stir(&mut scene, &ids);
            client.take(&scene);
            first = if first == 0 { client.bytes } else { first };
        }
        let mut frame = Vec::new();
        scene.world.step();
        client.viewer.answer(1, None);
        client.viewer.compose(&scene.world.view(), &mut frame);
        assert_eq!(client.replica.apply(&frame).unwrap().dilation, 96);
        client.bytes - first
    };
    let (at_ease, at_once) = (told(2), told(0));
    assert!(at_ease * 2 < at_once, "{at_ease} and {at_once} bytes");
}
