//! What clients see, against a look at every entity there is.

use lakh_world::{Ask, Centre, Query, QueryError, Shape, Sight, Spawn, Tiers, Viewer};
use proptest::prelude::*;

use super::support::{ALL_NEAR, Client, SIDE, Scene, all};

const PLENTY: u32 = 50_000_000;

fn walk(client: &mut Client, scene: &mut Scene) {
    if scene.seeded.chance(0.02) {
        client.at = scene.seeded.place(scene.dims);
    } else {
        scene.seeded.step(&mut client.at, scene.dims, 10.0);
    }
}

fn clients(scene: &Scene) -> Vec<Client> {
    vec![
        Client::new(scene, 60.0, &[], PLENTY),
        Client::new(scene, 150.0, &[2, 1], PLENTY),
        Client::new(scene, 100.0, &[2], PLENTY),
        Client::new(scene, SIDE * 2.0, &[1], PLENTY),
    ]
}

fn sees_all_that_is_in_sight_and_nothing_else(seed: u64, dims: u8, tiers: Tiers, bound: u32) {
    let mut scene = Scene::new(seed, dims, 220, tiers);
    let mut clients = clients(&scene);
    // Nobody crosses several cells in the time of a tier. (Some jump; that is told at once.)
    scene.reach = if bound == 0 { 8.0 } else { 1.0 };
    for tick in 0..160 {
        scene.live();
        for (index, client) in clients.iter_mut().enumerate() {
            walk(client, &mut scene);
            // One reads now and then.
            if index == 2 && (tick / 30 % 2 == 1 || scene.seeded.chance(0.7)) {
                continue;
            }
            client.take(&scene);
            client.misses_nothing(&scene, bound as usize);
            // Where it was before may tell last that it left for where it was hidden.
            client.sees_nothing_hidden(&scene, 4 * bound);
        }
        if tick == 80 {
            clients[1].groups = vec![1];
            clients[1].viewer.set_groups(&[1]);
            // What only group 2 sees is hidden from this one from now on.
            let now = scene.world.view().tick() + 1;
            let ids: Vec<_> = scene.beings.keys().copied().collect();
            for id in ids {
                let hidden = scene.hidden.entry(id).or_default();
                hidden.push((now, lakh_world::Audience::Everyone));
            }
        }
    }
    scene.tick();
    // Nothing goes on any more: all come to see the same as is true, and as newcomers see.
    for _ in 0..70 {
        scene.tick();
        clients.iter_mut().for_each(|client| client.take(&scene));
    }
    for client in &mut clients {
        client.misses_nothing(&scene, 0);
        let mut late = Client::new(&scene, client.radius, &client.groups, PLENTY);
        late.at = client.at;
        late.take(&scene);
        late.misses_nothing(&scene, 0);
        for id in late.replica.entities() {
            let being = &scene.beings[&id];
            assert!(late.may_see(being.audience));
            if late.in_sight(being) {
                assert_eq!(
                    late.replica.get(id).unwrap().fields,
                    client.replica.get(id).unwrap().fields
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_tick_when_all_is_near(seed: u64, dims in 2_u8..=3) {
        sees_all_that_is_in_sight_and_nothing_else(seed, dims, ALL_NEAR, 0);
    }

    #[test]
    fn within_the_time_of_the_last_tier(seed: u64, dims in 2_u8..=3) {
        let tiers = Tiers { nearest: [12, 40], every: [1, 4, 16] };
        sees_all_that_is_in_sight_and_nothing_else(seed, dims, tiers, 16);
    }
}

#[test]
fn who_is_among_the_nearest_is_seen_each_tick() {
    let tiers = Tiers {
        nearest: [60, 100],
        every: [1, 16, 64],
    };
    let mut scene = Scene::new(3, 2, 0, tiers);
    // Ten that walk about the client, and many that walk farther off.
    let ids: Vec<_> = (0..310).map(|_| scene.spawn()).collect();
    for id in &ids {
        scene
            .world
            .show(*id, lakh_world::Audience::Everyone, false)
            .unwrap();
        let being = scene.beings.get_mut(id).unwrap();
        (being.audience, being.always) = (lakh_world::Audience::Everyone, false);
    }
    let mut client = Client::new(&scene, SIDE, &[], PLENTY);
    for tick in 0..100 {
        for (index, id) in ids.iter().enumerate() {
            let mut at = if index < 10 {
                [4.0, 4.0, 0.0]
            } else {
                [350.0, 350.0, 0.0]
            };
            scene
                .seeded
                .step(&mut at, 2, if index < 10 { 30.0 } else { 60.0 });
            scene.place(*id, Some(at));
        }
        scene.tick();
        client.take(&scene);
        for id in &ids[..10] {
            let at = scene.beings[id].at;
            assert_eq!(
                client.replica.get(*id).unwrap().position,
                super::support::quantised(at),
                "tick {tick}"
            );
        }
        client.misses_nothing(&scene, 64);
    }
}

#[test]
fn queries_choose_kinds_and_shapes_and_rates() {
    let mut scene = Scene::new(9, 2, 0, ALL_NEAR);
    let mut put = |kind: u8, x: f64| {
        let fields = if kind == 0 {
            vec![lakh_world::Value::Int(1)]
        } else {
            Vec::new()
        };
        scene
            .world
            .spawn(&Spawn {
                kind,
                position: [x, 5.0, 0.0],
                fields,
                ..Spawn::default()
            })
            .unwrap()
    };
    let near: [_; 2] = [put(0, 10.0), put(1, 10.0)];
    let far: [_; 2] = [put(0, 3000.0), put(1, 3000.0)];
    let around = |radius| {
        Query::In(Shape::Sphere {
            centre: Centre::Own,
            radius,
        })
    };
    let fixed = Query::In(Shape::Box {
        centre: Centre::At([3000.0, 0.0, 0.0]),
        half: [50.0, 50.0, 0.0],
    });
    let sight = Sight {
        asks: vec![
            Ask {
                query: Query::And(vec![around(40.0), Query::Kinds(vec![1])]),
                every: 1,
            },
            Ask {
                query: Query::And(vec![
                    fixed,
                    Query::Or(vec![Query::Kinds(vec![0]), Query::Kinds(vec![])]),
                ]),
                every: 8,
            },
        ],
    };
    let mut client = Client::new(&scene, 0.0, &[], PLENTY);
    client.viewer.look(&sight, scene.world.layout()).unwrap();
    scene.tick();
    client.take(&scene);
    assert_eq!(client.known, [near[1], far[0]].into());
    let mut told = 0;
    for step in 1..=32 {
        scene
            .world
            .place(far[0], [3000.0 + f64::from(step), 0.0, 0.0])
            .unwrap();
        scene.tick();
        let before = client.replica.get(far[0]);
        client.take(&scene);
        told += usize::from(before != client.replica.get(far[0]));
    }
    assert!(
        (4..=5).contains(&told),
        "every eighth tick, and not {told} times in 32"
    );
    client
        .viewer
        .look(&Sight::around(40.0), scene.world.layout())
        .unwrap();
    scene.tick();
    client.take(&scene);
    assert_eq!(client.known, near.into());
}

#[test]
fn queries_are_bounded_and_looked_at() {
    let scene = Scene::new(9, 2, 0, ALL_NEAR);
    let layout = scene.world.layout();
    let ask = |query| {
        Viewer::new(
            layout,
            &Sight {
                asks: vec![Ask { query, every: 1 }],
            },
            0,
        )
        .err()
    };
    let sphere = |radius| {
        Query::In(Shape::Sphere {
            centre: Centre::Own,
            radius,
        })
    };
    assert_eq!(ask(Query::Or(vec![sphere(1.0); 15])), None);
    assert_eq!(
        ask(Query::Or(vec![sphere(1.0); 16])),
        Some(QueryError::TooManyParts)
    );
    assert_eq!(ask(sphere(f64::NAN)), Some(QueryError::NotANumber));
    assert_eq!(ask(sphere(-1.0)), Some(QueryError::NotANumber));
    assert_eq!(ask(Query::Kinds(vec![3])), Some(QueryError::NoSuchKind));
    assert_eq!(ask(Query::And(Vec::new())), Some(QueryError::Empty));
    assert!(Viewer::new(layout, &Sight { asks: Vec::new() }, 0).is_err());
    assert!(Viewer::new(layout, &all(), 0).is_ok());
}
