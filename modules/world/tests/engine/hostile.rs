//! Bytes that are none, or not quite.

use lakh_world::{FrameError, Replica, Tiers};
use proptest::prelude::*;

use super::support::{Client, Scene};

/// Frames of a client in a world with everything in it.
fn frames(seed: u64, dims: u8, ticks: usize) -> (Replica, Vec<Vec<u8>>) {
    let mut scene = Scene::new(
        seed,
        dims,
        80,
        Tiers {
            nearest: [20, 20],
            every: [1, 2, 4],
        },
    );
    let ships: Vec<_> = (0..20)
        .map(|_| {
            let at = scene.seeded.place(dims);
            scene.ship(at)
        })
        .collect();
    let mut client = Client::new(&scene, 250.0, &[1], 100_000);
    let mut frames = Vec::new();
    for _ in 0..ticks {
        for ship in &ships {
            scene.random_field(*ship);
            let v = scene.seeded.place(dims);
            scene.world.set_velocity(*ship, v).unwrap();
        }
        scene.live();
        scene.seeded.step(&mut client.at, dims, 20.0);
        client.viewer.stand(client.at, scene.world.layout());
        let mut frame = Vec::new();
        client.viewer.compose(&scene.world.view(), &mut frame);
        frames.push(frame);
    }
    (Replica::new(scene.world.layout().clone()), frames)
}

/// Reads frames until one can't be read; then no more are.
fn read(mut replica: Replica, frames: &[Vec<u8>]) {
    let (mut bytes, mut broken) = (0, false);
    for frame in frames {
        bytes += frame.len();
        let applied = replica.apply(frame);
        if broken {
            assert_eq!(applied, Err(FrameError::Broken));
        }
        broken |= applied.is_err();
        // An entity takes its slot, its id and two coordinates at least: more than three bytes.
        assert!(replica.len() <= bytes / 3);
        for id in replica.entities().collect::<Vec<_>>() {
            assert!(replica.get(id).is_some());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_no_frames(dims in 2_u8..=3, mut bytes in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..8)) {
        let (replica, _) = frames(1, dims, 1);
        read(replica.clone(), &bytes);
        for frame in &mut bytes {
            // With a sound beginning: the version, a tick, an input, nothing dropped.
            frame.splice(0..0, [1, 9, 0, 0]);
        }
        read(replica, &bytes);
    }

    #[test]
    fn frames_with_wrong_bytes_are_read_or_refused(
        seed in 0_u64..4, dims in 2_u8..=3,
        wrong in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let (replica, mut frames) = frames(seed, dims, 12);
        for (frame, at, byte) in wrong {
            let frame = frame.get(&frames).clone();
            let index = frames.iter().position(|other| *other == frame).unwrap_or(0);
            if !frame.is_empty() {
                let at = at.index(frame.len());
                match byte % 4 {
                    0 => frames[index].truncate(at),
                    1 => { frames[index].remove(at); }
                    2 => frames[index].insert(at, byte),
                    _ => frames[index][at] ^= byte | 1,
                }
            }
        }
        read(replica, &frames);
    }

    #[test]
    fn frames_out_of_order_are_read_or_refused(seed in 0_u64..4, mut order in prop::collection::vec(0_usize..12, 1..40)) {
        let (replica, frames) = frames(seed, 2, 12);
        order.insert(0, 0);
        let frames: Vec<Vec<u8>> = order.into_iter().map(|index| frames[index].clone()).collect();
        read(replica, &frames);
    }
}

#[test]
fn sections_of_others_are_passed_over_if_they_are_whole() {
    let (replica, frames) = frames(3, 2, 1);
    let with = |more: &[u8]| {
        let frame = [&frames[0][..], more].concat();
        replica
            .clone()
            .apply(&frame)
            .map(|applied| applied.entered.len())
    };
    let plain = with(&[]);
    assert!(plain.is_ok_and(|entered| entered > 5));
    assert_eq!(with(&[7, 3, 1, 2, 3, 9, 0]), plain);
    assert_eq!(with(&[7, 3, 1, 2]), Err(FrameError::TooShort));
    assert_eq!(with(&[7]), Err(FrameError::TooShort));
}

#[test]
fn another_version_is_refused() {
    let (mut replica, _) = frames(3, 2, 1);
    assert_eq!(replica.apply(&[2, 1, 0, 0, 0]), Err(FrameError::Version));
}
