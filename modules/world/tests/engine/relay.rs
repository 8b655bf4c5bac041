//! A world as another node has it: what is shown there is what is shown where the world is.

use std::collections::BTreeMap;

use lakh_world::{
    Audience, EntityId, Mirror, RelayError, Seen, Source, Spawn, Tiers, View, Viewer,
};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::support::{ALL_NEAR, Client, SIDE, Scene, all};

const PLENTY: u32 = 50_000_000;

const TIERS: Tiers = Tiers {
    nearest: [12, 40],
    every: [1, 4, 16],
};

/// A world with something of everything in it, and ships that sail.
struct Sea {
    scene: Scene,
    ships: Vec<EntityId>,
}

impl Sea {
    fn new(seed: u64, dims: u8, tiers: Tiers, ships: usize) -> Self {
        let mut scene = Scene::new(seed, dims, 200, tiers);
        let ships = (0..ships)
            .map(|_| {
                let at = scene.seeded.place(dims);
                scene.ship(at)
            })
            .collect();
        Self { scene, ships }
    }

    fn live(&mut self) {
        let scene = &mut self.scene;
        for &ship in &self.ships {
            let unit = scene.seeded.unit();
            match scene.seeded.below(10) {
                0 => {
                    let velocity = [unit * 60.0 - 30.0, 12.0, -3.0];
                    scene.world.set_velocity(ship, velocity).unwrap();
                }
                1 => scene.random_field(ship),
                2..=4 => {
                    let mut at = scene.world.position(ship).unwrap();
                    scene.seeded.step(&mut at, scene.dims, 5.0);
                    scene.world.place(ship, at).unwrap();
                }
                5 => scene.world.turn(ship, [unit, 0.5, -0.1, unit]).unwrap(),
                _ => {}
            }
        }
        scene.live();
    }

    fn client(&self, radius: f64, groups: &[u32], bytes_a_second: u32) -> Client {
        Client::new(&self.scene, radius, groups, bytes_a_second)
    }

    /// One of each sort.
    fn clients(&self) -> Vec<Client> {
        vec![
            self.client(60.0, &[], PLENTY),
            self.client(150.0, &[2, 1], PLENTY),
            self.client(SIDE * 2.0, &[1], PLENTY),
            self.client(SIDE * 2.0, &[2], 20_000),
        ]
    }
}

fn walk(client: &mut Client, sea: &mut Sea) {
    let dims = sea.scene.dims;
    if sea.scene.seeded.chance(0.02) {
        client.at = sea.scene.seeded.place(dims);
    } else {
        sea.scene.seeded.step(&mut client.at, dims, 10.0);
    }
}

/// Whether the other node takes nothing in this tick.
fn skips(sea: &mut Sea, tick: u32) -> bool {
    match tick / 50 {
        0 => false,
        1 => sea.scene.seeded.chance(0.5),
        2 => !tick.is_multiple_of(17),
        _ => tick != 190,
    }
}

fn message(source: &mut Source, view: &View) -> Vec<u8> {
    let mut message = Vec::new();
    assert!(source.compose(view, &mut message));
    message
}

/// All that a client has. When it was told is left out: a node that came late knows less of that.
fn seen(client: &Client) -> BTreeMap<EntityId, Seen> {
    let get = |id: &EntityId| Seen {
        told: 0,
        ..client.replica.get(*id).unwrap()
    };
    client.known.iter().map(|id| (*id, get(id))).collect()
}

fn makes_the_same_frames(seed: u64, dims: u8, near: bool) -> Result<(), TestCaseError> {
    let mut sea = Sea::new(seed, dims, if near { ALL_NEAR } else { TIERS }, 30);
    let (mut source, mut mirror) = (Source::new(), Mirror::new(sea.scene.world.layout().clone()));
    let (mut here, mut there) = (sea.clients(), sea.clients());
    for tick in 0..150 {
        sea.live();
        let view = sea.scene.world.view();
        // Now and then the other node still reads the last tick.
        let held = sea.scene.seeded.chance(0.3).then(|| mirror.view());
        let mirrored = mirror.apply(&message(&mut source, &view)).unwrap();
        drop(held);
        prop_assert_eq!(mirrored.tick(), view.tick());
        for (index, (here, there)) in here.iter_mut().zip(&mut there).enumerate() {
            walk(here, &mut sea);
            there.at = here.at;
            if index == 1 && tick / 30 % 2 == 1 {
                continue;
            }
            let (a, b) = (
                here.take_from(&sea.scene, &view),
                there.take_from(&sea.scene, &mirrored),
            );
            prop_assert!(a == b, "tick {}: frames of client {} differ", tick, index);
        }
    }
    Ok(())
}

#[test]
fn who_has_little_to_spend_is_made_the_same_frames() {
    makes_the_same_frames(14_360_015_603_469_635_819, 2, false).unwrap();
}

/// What was made in a tick does not name it, and so is of no use in the next.
#[test]
fn what_is_asked_for_a_tick_later_there_is_the_same() {
    makes_the_same_frames(11_345_282_259_402_577_678, 3, true).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_node_that_had_every_tick_makes_the_very_same_frames(seed: u64, dims in 2_u8..=3, near: bool) {
        makes_the_same_frames(seed, dims, near)?;
    }

    #[test]
    fn a_node_that_came_late_and_is_slow_shows_the_same(seed: u64, dims in 2_u8..=3) {
        let mut sea = Sea::new(seed, dims, ALL_NEAR, 30);
        for _ in 0..40 {
            sea.live();
        }
        let (mut source, mut mirror) = (Source::new(), Mirror::new(sea.scene.world.layout().clone()));
        let (mut here, mut there) = (sea.clients(), sea.clients());
        // What a small budget leaves for later depends on how long records are, and these are longer there.
        here.truncate(3);
        there.truncate(3);
        for tick in 0..200 {
            sea.live();
            if skips(&mut sea, tick) {
                continue;
            }
            let view = sea.scene.world.view();
            let mirrored = mirror.apply(&message(&mut source, &view)).unwrap();
            for (here, there) in here.iter_mut().zip(&mut there) {
                walk(here, &mut sea);
                there.at = here.at;
                here.take_from(&sea.scene, &view);
                there.take_from(&sea.scene, &mirrored);
                let (here, there) = (seen(here), seen(there));
                let differ: Vec<_> = here.keys().chain(there.keys()).filter(|id| here.get(*id) != there.get(*id)).collect();
                prop_assert!(differ.is_empty(), "tick {}: {:?}", tick, differ);
            }
        }
    }

    /// Whoever came late is not told what parcels say again of the time before, so who sees what when is not always the
    /// same where some are told of less often. But it's as soon.
    #[test]
    fn a_node_that_came_late_shows_all_within_the_time_of_the_last_tier(seed: u64, dims in 2_u8..=3) {
        let mut sea = Sea::new(seed, dims, TIERS, 0);
        for _ in 0..40 {
            sea.live();
        }
        sea.scene.reach = 1.0;
        let (mut source, mut mirror) = (Source::new(), Mirror::new(sea.scene.world.layout().clone()));
        let mut clients = sea.clients();
        clients.truncate(3);
        for _ in 0..160 {
            sea.live();
            let mirrored = mirror.apply(&message(&mut source, &sea.scene.world.view())).unwrap();
            for client in &mut clients {
                walk(client, &mut sea);
                client.take_from(&sea.scene, &mirrored);
                client.misses_nothing(&sea.scene, 16);
                client.sees_nothing_hidden(&sea.scene, 64);
            }
        }
    }

    #[test]
    fn a_node_that_lost_all_starts_anew_and_nobody_there_blinks(seed: u64, dims in 2_u8..=3) {
        let mut sea = Sea::new(seed, dims, ALL_NEAR, 0);
        let layout = sea.scene.world.layout().clone();
        let (mut source, mut mirror) = (Source::new(), Mirror::new(layout.clone()));
        let mut clients = sea.clients();
        for client in &mut clients {
            client.at = [50.0, 80.0, 0.0];
        }
        for tick in 0..120 {
            sea.live();
            let view = sea.scene.world.view();
            let mut bytes = message(&mut source, &view);
            match tick {
                // A message was lost: the next one is not taken, and all of it is asked for.
                30 => {
                    sea.live();
                    let next = message(&mut source, &sea.scene.world.view());
                    prop_assert_eq!(mirror.apply(&next).err(), Some(RelayError::Behind));
                    prop_assert_eq!(mirror.view().map(|view| view.tick()), Some(view.tick() - 1));
                    source.start_over();
                    bytes = message(&mut source, &sea.scene.world.view());
                }
                // One came with a byte wrong at its end.
                60 => {
                    let mut wrong = bytes.clone();
                    wrong.push(0);
                    prop_assert!(matches!(mirror.apply(&wrong), Err(RelayError::Unreadable(_))));
                    prop_assert!(mirror.view().is_none());
                    prop_assert_eq!(mirror.apply(&bytes).err(), Some(RelayError::Behind));
                    source.start_over();
                    bytes = message(&mut source, &view);
                }
                // Another node took over here.
                90 => {
                    mirror = Mirror::new(layout.clone());
                    source = Source::new();
                    bytes = message(&mut source, &view);
                }
                _ => {}
            }
            let mirrored = mirror.apply(&bytes).unwrap();
            for client in &mut clients {
                // It says that nobody enters twice or leaves without having been there.
                client.take_from(&sea.scene, &mirrored);
                if client.radius > SIDE {
                    continue;
                }
                client.misses_nothing(&sea.scene, 0);
                client.sees_nothing_hidden(&sea.scene, 0);
            }
        }
    }
}

#[test]
fn who_is_seen_before_and_after_all_is_told_anew_neither_leaves_nor_enters() {
    let mut scene = Scene::new(5, 2, 0, ALL_NEAR);
    let layout = scene.world.layout().clone();
    let spawn = |scene: &mut Scene, n: u32| {
        let spawn = Spawn {
            kind: 1,
            position: [f64::from(n), 5.0, 0.0],
            ..Spawn::default()
        };
        scene.world.spawn(&spawn).unwrap()
    };
    let ids: Vec<_> = (0..300).map(|n| spawn(&mut scene, n)).collect();
    let mut viewer = Viewer::new(&layout, &all(), PLENTY).unwrap();
    let mut replica = lakh_world::Replica::new(layout.clone());
    let mut show = |view: &View| {
        let mut frame = Vec::new();
        viewer.compose(view, &mut frame);
        replica.apply(&frame).unwrap()
    };
    scene.world.begin(7, 1000);
    let view = scene.world.step();
    assert_eq!((view.epoch(), view.tick()), (7, 1001));
    assert_eq!(show(&view).entered, ids);
    // One goes, and one comes, while the client's node has no world to show.
    scene.world.despawn(ids[3]).unwrap();
    let new = spawn(&mut scene, 7);
    let mut bytes = Vec::new();
    Source::new().compose(&scene.world.step(), &mut bytes);
    let mut mirror = Mirror::new(layout);
    let applied = show(&mirror.apply(&bytes).unwrap());
    assert_eq!((applied.entered, applied.left), (vec![new], vec![ids[3]]));
    assert!(applied.settled);
    // The node takes the world over, and has none of it but one.
    let mut world = Scene::new(5, 2, 0, ALL_NEAR).world;
    world.begin(8, 1002);
    let only = world
        .spawn(&Spawn {
            kind: 1,
            ..Spawn::default()
        })
        .unwrap();
    assert_eq!(only, ids[0], "ids are given out as they were");
    let applied = show(&world.step());
    assert_eq!(applied.tick, 1003);
    assert!(applied.entered.is_empty());
    assert_eq!(applied.left.len(), 299);
}

#[test]
fn what_is_the_same_is_told_in_a_few_bytes_and_once() {
    let mut scene = Scene::new(5, 2, 400, ALL_NEAR);
    scene.live();
    let mut source = Source::new();
    let whole = message(&mut source, &scene.world.view()).len();
    let mut out = Vec::new();
    assert!(!source.compose(&scene.world.view(), &mut out) && out.is_empty());
    for _ in 0..10 {
        scene.world.step();
        assert!(message(&mut source, &scene.world.view()).len() < 40);
    }
    assert!(whole > 2000);
    // Who was away too long is told all of it.
    for _ in 0..65 {
        scene.world.step();
    }
    let anew = message(&mut source, &scene.world.view()).len();
    assert!(anew > 2000);
}

/// Messages of a world with everything in it.
fn messages(seed: u64, dims: u8, ticks: usize) -> (Mirror, Vec<Vec<u8>>) {
    let mut sea = Sea::new(seed, dims, TIERS, 30);
    let mut source = Source::new();
    let mut messages = Vec::new();
    for _ in 0..ticks {
        sea.live();
        if sea.scene.seeded.chance(0.7) {
            messages.push(message(&mut source, &sea.scene.world.view()));
        }
    }
    (Mirror::new(sea.scene.world.layout().clone()), messages)
}

/// Whatever is made of it, it can be composed from.
fn compose_from(mut mirror: Mirror, messages: &[Vec<u8>]) {
    let mut viewers: Vec<Viewer> = Vec::new();
    let mut passed = 0;
    for message in messages {
        let Ok(view) = mirror.apply(message) else {
            passed += 1;
            continue;
        };
        if viewers.len() < 3 {
            let mut viewer = Viewer::new(view.layout(), &all(), PLENTY).unwrap();
            viewer.set_groups(&[1, 2]);
            viewers.push(viewer);
        }
        for (n, viewer) in viewers.iter_mut().enumerate() {
            if n == 0 || passed % 3 != n {
                viewer.compose(&view, &mut Vec::new());
            }
        }
        passed += 1;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_no_messages(mut bytes in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..8)) {
        let (mirror, _) = messages(1, 2, 1);
        compose_from(mirror, &bytes);
        for (n, message) in bytes.iter_mut().enumerate() {
            let full = if n == 0 { [17, 1, 0] } else { [1, n as u8 + 1, 1] };
            let start = [&full[..], &[0; 8], &[128, 0, 1, 1, 1, 4, 16, 9, 0, 0, 0]].concat();
            message.splice(0..0, start);
        }
        compose_from(messages(1, 2, 1).0, &bytes);
    }

    #[test]
    fn messages_with_wrong_bytes_are_taken_or_refused(
        seed in 0_u64..3, dims in 2_u8..=3,
        wrong in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let (mirror, mut messages) = messages(seed, dims, 14);
        for (message, at, byte) in wrong {
            let message = message.get_mut(&mut messages[..]);
            let at = at.index(message.len());
            match byte % 4 {
                0 => message.truncate(at),
                1 => { message.remove(at); }
                2 => message.insert(at, byte),
                _ => message[at] ^= byte | 1,
            }
            if message.is_empty() {
                message.push(byte);
            }
        }
        compose_from(mirror, &messages);
    }
}

#[test]
fn nothing_that_nobody_may_see_goes_to_another_node() {
    let mut scene = Scene::new(5, 2, 0, ALL_NEAR);
    let spawn = |audience| Spawn {
        kind: 1,
        audience,
        ..Spawn::default()
    };
    scene.world.spawn(&spawn(Audience::Nobody)).unwrap();
    scene.world.step();
    let empty = message(&mut Source::new(), &scene.world.view()).len();
    scene.world.spawn(&spawn(Audience::Group(9))).unwrap();
    scene.world.step();
    assert!(empty < 30 && message(&mut Source::new(), &scene.world.view()).len() > empty);
}
