//! What a client has after any walk and any changes is what there is within its reach, and nothing from beyond.

use lakh_world::LandPlan;
use proptest::prelude::*;

use super::scene::{Client, Scene};

#[derive(Clone, Debug)]
enum Step {
    /// By so many units.
    Walk([f64; 3]),
    Jump([f64; 3]),
    /// Cells near where one stands, all to the same.
    Set(Vec<[i8; 3]>, u16),
    /// A layer of a chunk near by, of so many bytes.
    Put([i8; 3], u8, u16),
    /// Frames with so much budget.
    Frames(u8, u16),
    /// What is in memory is not sure any more.
    ForgetAll,
    /// The client comes anew, to the same viewer.
    Anew,
    Reach(f64),
}

fn place(far: f64) -> impl Strategy<Value = [f64; 3]> {
    [-far..far, -far..far, -far..far]
}

fn near() -> impl Strategy<Value = [i8; 3]> {
    [-20_i8..20, -20_i8..20, -20_i8..20]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => place(12.0).prop_map(Step::Walk),
        1 => place(4000.0).prop_map(Step::Jump),
        6 => (prop::collection::vec(near(), 1..30), 0_u16..9).prop_map(|(at, value)| Step::Set(at, value)),
        // Often the same chunk, so that it changes again while it is under way.
        5 => ([-5_i8..5, -5_i8..5, -5_i8..5], 1_u8..3, 0_u16..3000)
            .prop_map(|(at, layer, len)| Step::Put(at, layer, len)),
        6 => (1_u8..6, 0_u16..900).prop_map(|(count, budget)| Step::Frames(count, budget)),
        1 => Just(Step::ForgetAll),
        1 => Just(Step::Anew),
        1 => (1.0..30.0).prop_map(Step::Reach),
    ];
    prop::collection::vec(step, 1..60)
}

fn plan(dims: u8) -> LandPlan {
    LandPlan {
        dims,
        cell: 0.5,
        edge: if dims == 2 { 8 } else { 4 },
        most: 9,
        fill: 3,
        reach: if dims == 2 { 20.0 } else { 8.0 },
        layers: vec!["height".into(), "picture".into()],
    }
}

fn live(scene: &mut Scene, client: &mut Client, reach: &mut f64, step: &Step) {
    let axes = usize::from(scene.plan.dims);
    let cell = |at: [f64; 3], off: [i8; 3]| {
        let mut cell = [0; 3];
        for axis in 0..axes {
            cell[axis] = (at[axis] / scene.plan.cell).floor() as i32 + i32::from(off[axis]);
        }
        cell
    };
    match step {
        Step::Walk(by) => client.at = std::array::from_fn(|axis| client.at[axis] + by[axis]),
        Step::Jump(to) => client.at = *to,
        Step::Set(offs, value) => {
            let cells: Vec<_> = offs
                .iter()
                .map(|off| (cell(client.at, *off), *value))
                .collect();
            scene.set(&cells);
        }
        Step::Put(off, layer, len) => {
            let edge = i32::from(scene.plan.edge);
            let chunk = cell(client.at, *off).map(|c| c.div_euclid(edge));
            scene.put(chunk, *layer, (0..*len).map(|n| n as u8).collect());
        }
        Step::Frames(count, budget) => {
            for _ in 0..*count {
                client.frame(scene, usize::from(*budget));
            }
        }
        Step::ForgetAll => scene.land.forget_all(),
        Step::Anew => {
            client.viewer.start_over();
            *client = Client {
                viewer: client.viewer.clone(),
                at: client.at,
                ..Client::new(scene)
            };
        }
        Step::Reach(units) => {
            *reach = units.min(scene.plan.reach);
            client.viewer.set_reach(&scene.plan, *units);
        }
    }
}

/// Frames until there is nothing more to say.
fn settle(scene: &mut Scene, client: &mut Client, budget: usize) {
    for _ in 0..20_000 {
        let (_, composed, _) = client.frame(scene, budget);
        if composed.waiting == 0 && composed.bytes == 0 {
            return;
        }
    }
    panic!("it never comes to an end");
}

fn check(scene: &Scene, client: &Client, reach: f64) {
    let plan = &scene.plan;
    let edge = plan.cell * f64::from(plan.edge);
    let distance = |chunk: [i32; 3]| {
        let axes = (0..usize::from(plan.dims)).map(|axis| {
            let low = f64::from(chunk[axis]) * edge;
            let off = (low - client.at[axis]).max(client.at[axis] - low - edge);
            off.max(0.0).powi(2)
        });
        axes.sum::<f64>().sqrt()
    };
    for chunk in client.replica.chunks() {
        // The place at which it was worked out may be half an edge away.
        assert!(
            distance(chunk) <= reach + 1.51 * edge,
            "{chunk:?} is beyond reach"
        );
    }
    let around = (reach / edge).ceil() as i32 + 1;
    let here = client.at.map(|x| (x / edge).floor() as i32);
    let third = if plan.dims == 3 {
        -around..=around
    } else {
        -here[2]..=-here[2]
    };
    for z in third {
        for y in -around..=around {
            for x in -around..=around {
                let chunk = [here[0] + x, here[1] + y, here[2] + z];
                if distance(chunk) <= reach {
                    same(scene, client, chunk);
                }
            }
        }
    }
}

fn same(scene: &Scene, client: &Client, chunk: [i32; 3]) {
    let truth = scene.truth(chunk);
    let (plan, replica) = (&scene.plan, &client.replica);
    assert_eq!(replica.version(chunk), Some(truth.version()), "{chunk:?}");
    let edge = usize::from(plan.edge);
    for index in 0..edge.pow(u32::from(plan.dims)) {
        let inner = [index % edge, index / edge % edge, index / edge / edge];
        let cell = std::array::from_fn(|axis| chunk[axis] * edge as i32 + inner[axis] as i32);
        assert_eq!(replica.value(cell), Some(truth.value(index)), "{cell:?}");
    }
    for layer in 1..=2 {
        let has = replica.part(chunk, layer);
        let part = truth.part(layer);
        assert_eq!(
            has.map(|part| (part.version, &part.kind, &part.bytes)),
            part.map(|part| (part.version, &part.kind, &part.bytes)),
            "{chunk:?} {layer}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_client_has_what_there_is(
        dims in 2_u8..=3,
        cache in 20_000_usize..200_000,
        budget in 90_usize..600,
        steps in steps(),
    ) {
        let mut scene = Scene::new(plan(dims), cache);
        let mut client = Client::new(&scene);
        let mut reach = scene.plan.reach;
        for step in &steps {
            live(&mut scene, &mut client, &mut reach, step);
        }
        settle(&mut scene, &mut client, budget);
        check(&scene, &client, reach);
        let all = client.replica.chunks().count();
        prop_assert_eq!(client.viewer.held(), all, "what is out of reach is dropped");
    }
}

#[test]
fn the_nearest_chunks_come_first_and_not_all_at_once() {
    let mut scene = Scene::new(plan(2), 1 << 20);
    let mut client = Client::new(&scene);
    client.at = [2.0, 2.0, 0.0];
    let (_, composed, _) = client.frame(&mut scene, 10_000);
    assert_eq!(composed.wanted[0], [0, 0, 0]);
    assert_eq!((composed.bytes, composed.wanted.len()), (0, 32));
    let (_, composed, applied) = client.frame(&mut scene, 10_000);
    let cells = applied.unwrap().cells;
    assert_eq!((cells[0], cells.len()), ([0, 0, 0], 16));
    assert!(composed.waiting > 16);
}

#[test]
fn painting_one_tile_takes_few_bytes_and_a_client_at_rest_none() {
    let mut scene = Scene::new(plan(2), 1 << 20);
    let mut client = Client::new(&scene);
    settle(&mut scene, &mut client, 10_000);
    scene.set(&[([1, 0, 0], 7)]);
    let (section, ..) = client.frame(&mut scene, 10_000);
    // Number, length; head, two coordinates, version; one cell: which, and its value.
    assert_eq!(section, [1, 7, 1, 0, 0, 1, 1, 1, 7]);
    let (section, composed, _) = client.frame(&mut scene, 10_000);
    assert_eq!((section.len(), composed.waiting), (0, 0));
}

#[test]
fn paint_goes_before_a_large_picture_that_is_under_way() {
    let mut scene = Scene::new(plan(2), 1 << 22);
    let mut client = Client::new(&scene);
    settle(&mut scene, &mut client, 10_000);
    scene.put([0, 0, 0], 2, vec![9; 20_000]);
    client.frame(&mut scene, 400);
    scene.set(&[([1, 0, 0], 7)]);
    let (_, _, applied) = client.frame(&mut scene, 400);
    assert_eq!(applied.unwrap().cells, [[0, 0, 0]]);
    assert_eq!(client.replica.value([1, 0, 0]), Some(7));
    settle(&mut scene, &mut client, 400);
    assert_eq!(
        client.replica.part([0, 0, 0], 2).unwrap().bytes.len(),
        20_000
    );
}

#[test]
fn what_changes_while_it_is_under_way_is_told_behind_it() {
    let mut scene = Scene::new(plan(2), 1 << 22);
    let mut client = Client::new(&scene);
    settle(&mut scene, &mut client, 10_000);
    scene.put([0, 0, 0], 2, vec![1; 2_000]);
    client.frame(&mut scene, 400);
    scene.put([0, 0, 0], 2, vec![2; 10]);
    client.frame(&mut scene, 400);
    assert!(
        client.replica.part([0, 0, 0], 2).is_none(),
        "the first is still under way"
    );
    settle(&mut scene, &mut client, 400);
    check(&scene, &client, scene.plan.reach);
}
