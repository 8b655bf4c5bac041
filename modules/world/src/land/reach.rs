//! Which chunks are within reach of a place. They come a little before they are within, and go a good deal behind: so who
//! walks along an edge is not told of the same chunks over and over, and nothing has to be worked out at each step.

use super::plan::{Coords, FARTHEST, LandPlan};

/// Parts of a chunk's edge that one walks until it's worked out anew; chunks come by so much too early.
const STEP: f64 = 0.5;
/// Parts of a chunk's edge beyond the reach at which chunks go.
const BEYOND: f64 = 1.0;

/// Where one stands, and how far chunks are shown.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    pub(crate) units: f64,
    /// Where one stood when it was worked out last.
    at: Option<[f64; 3]>,
}

impl Reach {
    pub(crate) fn new(units: f64) -> Self {
        Self { units, at: None }
    }

    pub(crate) fn set(&mut self, units: f64) {
        self.units = units;
        self.at = None;
    }

    pub(crate) fn forget(&mut self) {
        self.at = None;
    }

    /// Whether it has to be worked out anew; then from here.
    pub(crate) fn moved(&mut self, plan: &LandPlan, at: [f64; 3]) -> bool {
        let step = plan.chunk_units() * STEP;
        let near = self.at.is_some_and(|before| {
            let axes = before.iter().zip(at).take(plan.axes());
            axes.map(|(a, b)| (a - b) * (a - b)).sum::<f64>() < step * step
        });
        // A place that is none leaves it where it was.
        if near || at.iter().any(|x| !x.is_finite()) {
            return false;
        }
        self.at = Some(at);
        true
    }

    /// Whether a chunk that a client has is to be dropped.
    pub(crate) fn is_beyond(&self, plan: &LandPlan, chunk: Coords) -> bool {
        let far = self.units + plan.chunk_units() * BEYOND;
        self.at
            .is_none_or(|at| plan.square_distance(at, chunk) > far * far)
    }

    /// The chunks within reach that are not left out, the farthest first.
    pub(crate) fn chunks(&self, plan: &LandPlan, left_out: impl Fn(Coords) -> bool) -> Vec<Coords> {
        let Some(at) = self.at else {
            return Vec::new();
        };
        let edge = plan.chunk_units();
        let far = self.units + edge * STEP;
        let mut ranges = [(0, 0); 3];
        for (range, x) in ranges.iter_mut().zip(at).take(plan.axes()) {
            let chunk = |x: f64| ((x / edge).floor() as i32).clamp(-FARTHEST, FARTHEST - 1);
            *range = (chunk(x - far), chunk(x + far));
        }
        let mut found = Vec::new();
        let [(x0, x1), (y0, y1), (z0, z1)] = ranges;
        for z in z0..=z1 {
            for y in y0..=y1 {
                for x in x0..=x1 {
                    let square = plan.square_distance(at, [x, y, z]);
                    if square <= far * far && !left_out([x, y, z]) {
                        found.push((square, [x, y, z]));
                    }
                }
            }
        }
        found.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)));
        found.into_iter().map(|(_, chunk)| chunk).collect()
    }
}
