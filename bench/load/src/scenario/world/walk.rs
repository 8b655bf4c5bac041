//! Where everybody truly is: random waypoints, the same for the same seed, and what they were for some seconds.

use fastrand::Rng;

use crate::options::Scene;

/// Samples that are remembered: older than that, nothing counts as seen.
pub(super) const REMEMBERED: usize = 40;

fn between(rng: &mut Rng, (least, most): (f64, f64)) -> f64 {
    least + (most - least) * rng.f64()
}

/// Somebody's place at a moment, as it was said to the server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) at: [f64; 2],
    pub(super) ns: u64,
}

struct Walker {
    at: [f64; 2],
    to: [f64; 2],
    speed: f64,
    velocity: [f64; 2],
    /// The newest last.
    was: [Sample; REMEMBERED],
    samples: usize,
}

/// All who walk.
pub(super) struct Crowd {
    rng: Rng,
    walkers: Vec<Walker>,
    side: f64,
    speeds: (f64, f64),
    hz: f64,
}

impl Crowd {
    /// `side` is the edge of the square that they walk in.
    pub(super) fn new(people: usize, scene: Scene, side: f64, hz: u32) -> Self {
        // The same on every run.
        let mut rng = Rng::with_seed(7);
        let speeds = match scene {
            Scene::Churn => (20.0, 40.0),
            _ => (1.0, 6.0),
        };
        let range = (0.0, side);
        let none = Sample {
            at: [f64::NAN; 2],
            ns: 0,
        };
        let walkers = (0..people).map(|_| Walker {
            at: [between(&mut rng, range), between(&mut rng, range)],
            to: [between(&mut rng, range), between(&mut rng, range)],
            speed: between(&mut rng, speeds),
            velocity: [0.0; 2],
            was: [none; REMEMBERED],
            samples: 0,
        });
        let walkers = walkers.collect();
        Self {
            rng,
            walkers,
            side,
            speeds,
            hz: f64::from(hz),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.walkers.len()
    }

    pub(super) fn at(&self, who: usize) -> [f64; 2] {
        self.walkers[who].at
    }

    /// How they go on from where they are.
    pub(super) fn velocity(&self, who: usize) -> [f64; 2] {
        self.walkers[who].velocity
    }

    /// A step of one, and what is remembered of it. Where time passes more slowly, they go as slowly: `pace` is 1 in real time.
    pub(super) fn step(&mut self, who: usize, pace: f64, now_ns: u64) {
        let range = (0.0, self.side);
        let walker = &mut self.walkers[who];
        let reach = walker.speed / self.hz * pace;
        let way = [walker.to[0] - walker.at[0], walker.to[1] - walker.at[1]];
        let left = way[0].hypot(way[1]);
        if left <= reach {
            walker.at = walker.to;
            walker.to = [between(&mut self.rng, range), between(&mut self.rng, range)];
            walker.speed = between(&mut self.rng, self.speeds);
        } else {
            walker.at = [
                walker.at[0] + way[0] / left * reach,
                walker.at[1] + way[1] / left * reach,
            ];
        }
        let way = [walker.to[0] - walker.at[0], walker.to[1] - walker.at[1]];
        let left = way[0].hypot(way[1]).max(1e-9);
        walker.velocity = way.map(|x| x / left * walker.speed);
        let sample = Sample {
            at: walker.at,
            ns: now_ns,
        };
        walker.was[walker.samples % REMEMBERED] = sample;
        walker.samples += 1;
    }

    /// How old what is shown of one is: since when it was the truth at the latest. `None`: it was not within all that is
    /// remembered.
    pub(super) fn age_ns(
        &self,
        who: usize,
        shown: [f64; 2],
        bound: f64,
        now_ns: u64,
    ) -> Option<u64> {
        let walker = &self.walkers[who];
        let known = walker.samples.min(REMEMBERED);
        (1..=known).find_map(|back| {
            let sample = walker.was[(walker.samples - back) % REMEMBERED];
            let off = (sample.at[0] - shown[0]).hypot(sample.at[1] - shown[1]);
            (off <= bound).then(|| now_ns.saturating_sub(sample.ns))
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A panic is how a test fails.
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_as_old_as_when_it_was_true() {
        let mut crowd = Crowd::new(3, Scene::Churn, 1000.0, 20);
        let mut places = Vec::new();
        for tick in 0..60 {
            crowd.step(1, 1.0, tick * 50);
            places.push(crowd.at(1));
        }
        assert_eq!(crowd.age_ns(1, places[59], 0.01, 2950), Some(0));
        assert_eq!(crowd.age_ns(1, places[50], 0.01, 2950), Some(450));
        assert_eq!(crowd.age_ns(1, places[10], 0.01, 2950), None);
        assert_eq!(crowd.age_ns(1, [-50.0, 3.0], 0.01, 2950), None);
        // At 20 to 40 a second, nobody goes further than two in a twentieth of it.
        for two in places.windows(2) {
            assert!((two[0][0] - two[1][0]).hypot(two[0][1] - two[1][1]) <= 2.0 + 1e-9);
        }
    }
}
