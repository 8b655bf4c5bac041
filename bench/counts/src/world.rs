//! A tick of a world: what changed is brought into parcels, and each client's frame is made.
//!
//! Three hundred walk on circles, each at a pace of their own, with about fifty in the sight of each. After a round all are
//! where they were before it.

use std::f64::consts::TAU;

use lakh_world::{EntityId, Kind, Schema, Setup, Sight, Spawn, Viewer, World};

use crate::cases::Round;

/// Who walks, and sees.
pub(crate) const PEOPLE: usize = 300;
/// Ticks of a round.
pub(crate) const TICKS: usize = 64;

/// The edge of the square that they are in, how far they see, and the widest circle.
const SIDE: f64 = 160.0;
const SIGHT: f64 = 40.0;
const RADIUS: f64 = 8.0;

struct Walker {
    id: EntityId,
    centre: [f64; 2],
    radius: f64,
    /// Times around in a round.
    times: f64,
    viewer: Viewer,
}

fn world() -> World {
    let kind = Kind {
        name: "walker".into(),
        ..Kind::default()
    };
    let schema = Schema {
        dims: 2,
        precision: 1.0 / 32.0,
        hz: 20,
        kinds: vec![kind],
    };
    World::new(Setup::new(schema)).expect("the schema is sound")
}

fn walker(index: usize, world: &mut World) -> Walker {
    // Spread evenly by two numbers that fit no grid.
    let spread = |part: f64| (index as f64 * part).fract() * SIDE;
    let centre = [spread(0.754_877_666), spread(0.569_840_291)];
    let spawn = Spawn {
        position: [centre[0], centre[1], 0.0],
        ..Spawn::default()
    };
    let layout = world.layout().clone();
    Walker {
        id: world.spawn(&spawn).expect("there is room"),
        centre,
        radius: RADIUS * (0.25 + (index % 4) as f64 / 4.0),
        times: (index % 3) as f64 - 1.5,
        viewer: Viewer::new(&layout, &Sight::around(SIGHT), 64 * 1024).expect("a sight is sound"),
    }
}

/// Ticks in which all walk; the results are frames.
pub(crate) fn ticks() -> Round {
    let mut world = world();
    let mut walkers: Vec<Walker> = (0..PEOPLE).map(|index| walker(index, &mut world)).collect();
    let layout = world.layout().clone();
    let mut frame = Vec::new();
    Box::new(move || {
        let mut frames = 0;
        for tick in 0..TICKS {
            let part = tick as f64 / TICKS as f64 * 2.0;
            for walker in &mut walkers {
                let (sin, cos) = (part * walker.times * TAU).sin_cos();
                let at = [
                    walker.centre[0] + cos * walker.radius,
                    walker.centre[1] + sin * walker.radius,
                    0.0,
                ];
                world.place(walker.id, at).expect("it's there");
                walker.viewer.stand(at, &layout);
            }
            let view = world.step();
            for walker in &mut walkers {
                frame.clear();
                frames += usize::from(walker.viewer.compose(&view, &mut frame).bytes != 0);
            }
        }
        frames
    })
}
