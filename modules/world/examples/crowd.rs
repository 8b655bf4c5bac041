//! Crowds that walk, and what it costs to show each what it sees.
//!
//! `cargo run --release -p lakh-world --example crowd -- [SCENE…]`, of: `uniform` (2,000 walk at random waypoints, about
//! 60 in sight of each), `reckoned` (the same, with velocities), `hotspot` (5,000 within one cell), `churn` (fast
//! crossing), `crossing` (the same, with velocities), `slow` (one in ten takes a frame in eight). One thread does all. An
//! update counts if a client has the entity within its error bound after the frame, and the entity is in its sight; this is
//! looked at for some of the clients. Nanoseconds are of all ticks; behind them, those of the median tick, in which what
//! else the machine does counts little. Under `valgrind --tool=callgrind --toggle-collect='*counted_ticks*'` the same is
//! counted in instructions.

use std::time::{Duration, Instant};

use lakh_testkit::Noise;
use lakh_world::{EntityId, Kind, Replica, Schema, Setup, Sight, Spawn, Velocity, Viewer, World};

const HZ: u8 = 20;
const PRECISION: f64 = 1.0 / 32.0;
/// What a client's position may be off with velocities.
const ERROR: f64 = 0.1;
/// One client in so many is decoded and compared with the truth.
const LOOKED_AT: usize = 21;

struct Scene {
    name: &'static str,
    people: usize,
    /// The edge of the square they walk in.
    side: f64,
    sight: f64,
    speeds: (f64, f64),
    reckoned: bool,
    /// So many in ten take only a frame in eight.
    slow: usize,
}

const UNIFORM: Scene = Scene {
    name: "uniform",
    people: 2000,
    // 60 in a circle of 40 m, on average.
    side: 409.0,
    sight: 40.0,
    speeds: (1.0, 6.0),
    reckoned: false,
    slow: 0,
};

const SCENES: [Scene; 6] = [
    UNIFORM,
    Scene {
        name: "reckoned",
        reckoned: true,
        ..UNIFORM
    },
    Scene {
        name: "hotspot",
        people: 5000,
        side: 60.0,
        ..UNIFORM
    },
    Scene {
        name: "churn",
        speeds: (20.0, 40.0),
        ..UNIFORM
    },
    Scene {
        name: "crossing",
        speeds: (20.0, 40.0),
        reckoned: true,
        ..UNIFORM
    },
    Scene {
        name: "slow",
        slow: 1,
        ..UNIFORM
    },
];

struct Walker {
    id: EntityId,
    at: [f64; 3],
    to: [f64; 3],
    speed: f64,
}

struct Crowd {
    scene: &'static Scene,
    noise: Noise,
    world: World,
    walkers: Vec<Walker>,
    viewers: Vec<Viewer>,
    replicas: Vec<Option<Replica>>,
    frames: Vec<Vec<u8>>,
}

#[derive(Default)]
struct Figures {
    ticks: Vec<Duration>,
    step: Duration,
    bytes: usize,
    /// Of the clients that were looked at.
    looked_at_bytes: usize,
    updates: usize,
    decoded: usize,
    in_sight: usize,
    late: u64,
}

impl Crowd {
    fn new(scene: &'static Scene) -> Self {
        let velocity = Velocity {
            max: 48.0,
            bits: 12,
            error: Some(ERROR),
        };
        let kind = Kind {
            name: "walker".into(),
            velocity: scene.reckoned.then_some(velocity),
            ..Kind::default()
        };
        let schema = Schema {
            dims: 2,
            precision: PRECISION,
            hz: HZ,
            kinds: vec![kind],
        };
        let mut world = World::new(Setup::new(schema)).expect("the schema is sound");
        let mut noise = Noise::new(7);
        let mut place = || [noise.unit(), noise.unit(), 0.0].map(|x| x * scene.side);
        let walkers: Vec<Walker> = (0..scene.people)
            .map(|_| {
                let (at, to) = (place(), place());
                let id = world
                    .spawn(&Spawn {
                        position: at,
                        ..Spawn::default()
                    })
                    .expect("there is room");
                Walker {
                    id,
                    at,
                    to,
                    speed: scene.speeds.0,
                }
            })
            .collect();
        let layout = std::sync::Arc::clone(world.layout());
        let viewer =
            Viewer::new(&layout, &Sight::around(scene.sight), 64 * 1024).expect("a sight is sound");
        Self {
            viewers: vec![viewer; scene.people],
            replicas: (0..scene.people)
                .map(|index| (index % LOOKED_AT == 0).then(|| Replica::new(layout.clone())))
                .collect(),
            frames: vec![Vec::new(); scene.people],
            scene,
            noise,
            world,
            walkers,
        }
    }

    fn walk(&mut self) {
        let Scene { side, speeds, .. } = *self.scene;
        for walker in &mut self.walkers {
            let way = [walker.to[0] - walker.at[0], walker.to[1] - walker.at[1]];
            let left = way[0].hypot(way[1]);
            let reach = walker.speed / f64::from(HZ);
            if left <= reach {
                walker.at = walker.to;
                walker.to = [self.noise.unit(), self.noise.unit(), 0.0].map(|x| x * side);
                walker.speed = self.noise.between(speeds.0, speeds.1);
            } else {
                walker.at[0] += way[0] / left * reach;
                walker.at[1] += way[1] / left * reach;
            }
            self.world.place(walker.id, walker.at).expect("it's there");
            if self.scene.reckoned {
                let v = [
                    way[0] / left.max(1e-9) * walker.speed,
                    way[1] / left.max(1e-9) * walker.speed,
                    0.0,
                ];
                self.world.set_velocity(walker.id, v).expect("it has one");
            }
        }
    }

    fn compare(&mut self, figures: &mut Figures) {
        for (index, replica) in self.replicas.iter_mut().enumerate() {
            let Some(replica) = replica else { continue };
            let frame = &self.frames[index];
            if !frame.is_empty() {
                replica.apply(frame).expect("it was just written");
            }
            replica.advance(self.world.view().tick());
            figures.looked_at_bytes += frame.len();
            let own = self.walkers[index].at;
            for walker in &self.walkers {
                let (x, y) = (walker.at[0] - own[0], walker.at[1] - own[1]);
                let near = x.hypot(y) <= self.scene.sight;
                figures.in_sight += usize::from(near);
                let Some(seen) = replica.get(walker.id) else {
                    continue;
                };
                let off = (seen.position[0] - walker.at[0]).hypot(seen.position[1] - walker.at[1]);
                let bound = if self.scene.reckoned {
                    ERROR
                } else {
                    PRECISION
                };
                figures.decoded += usize::from(off <= bound);
                figures.updates += usize::from(near && off <= bound);
            }
        }
    }

    fn run(&mut self, ticks: usize, figures: &mut Figures) {
        for tick in 0..ticks {
            self.walk();
            for (viewer, walker) in self.viewers.iter_mut().zip(&self.walkers) {
                viewer.stand(walker.at, self.world.layout());
            }
            let late = counted_ticks(self, tick, figures);
            figures.late += u64::from(late);
            figures.bytes += self.frames.iter().map(Vec::len).sum::<usize>();
            self.compare(figures);
        }
    }
}

/// What is measured: a step, and a frame for each client.
#[inline(never)]
fn counted_ticks(crowd: &mut Crowd, tick: usize, figures: &mut Figures) -> u32 {
    let start = Instant::now();
    let view = crowd.world.step();
    figures.step += start.elapsed();
    let mut late = 0;
    for (index, (viewer, frame)) in crowd.viewers.iter_mut().zip(&mut crowd.frames).enumerate() {
        frame.clear();
        if index % 10 < crowd.scene.slow && !(tick + index).is_multiple_of(8) {
            continue;
        }
        late += viewer.compose(&view, frame).late;
    }
    figures.ticks.push(start.elapsed());
    late
}

fn main() {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let ticks: usize = std::env::var("TICKS")
        .ok()
        .and_then(|ticks| ticks.parse().ok())
        .unwrap_or(100);
    for scene in SCENES
        .iter()
        .filter(|scene| names.is_empty() || names.iter().any(|name| name == scene.name))
    {
        let mut crowd = Crowd::new(scene);
        crowd.run(20, &mut Figures::default());
        let mut figures = Figures::default();
        crowd.run(ticks, &mut figures);
        report(&crowd, figures);
    }
}

fn report(crowd: &Crowd, mut figures: Figures) {
    let scene = crowd.scene;
    let ticks = figures.ticks.len();
    let looked_at = crowd.replicas.iter().flatten().count();
    // What was found for some clients stands for all.
    let all = scene.people as f64 / looked_at as f64;
    let updates = figures.updates as f64 * all;
    let decoded = figures.decoded as f64 * all;
    figures.ticks.sort_unstable();
    let ns = figures.ticks.iter().sum::<Duration>().as_nanos() as f64;
    let median = figures.ticks[ticks / 2].as_nanos() as f64 * ticks as f64;
    println!(
        "{:9} {} people, {:.1} in sight, {} parcels: {:.1} ns (median {:.1}) and {:.2} bytes an update ({:.1} ns, {:.2} bytes of all decoded), {:.2} % complete; \
         tick p50 {:.2} ms, p99 {:.2} ms, of that the step {:.2} ms; {:.1} KB/s a client; {:.2} late a client",
        scene.name,
        scene.people,
        figures.in_sight as f64 / looked_at as f64 / ticks as f64,
        crowd.world.view().parcels(),
        ns / updates,
        median / updates,
        figures.looked_at_bytes as f64 / figures.updates as f64,
        ns / decoded,
        figures.looked_at_bytes as f64 / figures.decoded as f64,
        figures.updates as f64 / figures.in_sight as f64 * 100.0,
        figures.ticks[ticks / 2].as_secs_f64() * 1e3,
        figures.ticks[ticks * 99 / 100].as_secs_f64() * 1e3,
        figures.step.as_secs_f64() * 1e3 / ticks as f64,
        figures.bytes as f64 / ticks as f64 * f64::from(HZ) / scene.people as f64 / 1024.0,
        figures.late as f64 / ticks as f64 / scene.people as f64,
    );
}
