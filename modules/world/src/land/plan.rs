//! What land a world has: its grid, and which chunk a place is in.

use serde::{Deserialize, Serialize};

/// The coordinates of a chunk, or of a cell; in two dimensions the third is 0.
pub type Coords = [i32; 3];

/// Chunks reach this far from 0, along each axis.
pub(crate) const FARTHEST: i32 = 1 << 24;
/// Cells of a chunk at most.
pub(crate) const MAX_CELLS: usize = 4096;
/// Opaque layers at most.
pub const MAX_LAYERS: usize = 8;
/// Longest name of a layer, in bytes.
const MAX_LAYER_BYTES: usize = 32;
/// Chunks along each axis from one in the middle, by dimensions: what a client holds at most is bounded by it.
const FARTHEST_SEEN: [f64; 4] = [0.0, 0.0, 15.0, 5.0];

/// What land a world has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LandPlan {
    /// 2 for tiles, 3 for blocks. Tiles in a world of three dimensions lie along its first two.
    pub dims: u8,
    /// How long the edge of a cell is, in units of the world.
    pub cell: f64,
    /// Cells along the edge of a chunk.
    pub edge: u8,
    /// The greatest value of a cell.
    pub most: u16,
    /// The value of cells that were never set.
    pub fill: u16,
    /// How far from where one stands chunks are shown, in units of the world.
    pub reach: f64,
    /// The names of what chunks may have beside cells: heights, pictures.
    pub layers: Vec<String>,
}

impl Default for LandPlan {
    fn default() -> Self {
        Self {
            dims: 2,
            cell: 1.0,
            edge: 16,
            most: 255,
            fill: 0,
            reach: 48.0,
            layers: Vec::new(),
        }
    }
}

/// Why there can't be such land.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LandError {
    /// It has other dimensions than its world.
    #[error("land.dims is 2, or 3 in a world of three dimensions")]
    Dims,
    /// A cell has no size.
    #[error("land.cell is 0.001 to 1000000 units")]
    Cell,
    /// A chunk has too few cells, or too many.
    #[error("land.edge is 4 to 64 cells in two dimensions, and 4 to 16 in three")]
    Edge,
    /// A value that is above the greatest.
    #[error("land.fill is at most land.most, and that at least 1")]
    Fill,
    /// Nothing would be seen, or too much.
    #[error("land.reach is more than 0, and at most {0} units with chunks of this size")]
    Reach(u64),
    /// A layer without a name, or too many of them.
    #[error(
        "land.layers are at most 8 different names of 1 to 32 bytes, without `/` or control characters"
    )]
    Layers,
}

impl LandPlan {
    /// Checks it for a world of so many dimensions.
    ///
    /// # Errors
    /// Says what can't be.
    pub fn check(&self, world_dims: u8) -> Result<(), LandError> {
        if !(2..=3).contains(&self.dims) || self.dims > world_dims {
            return Err(LandError::Dims);
        }
        // A NaN is in no range.
        if !(0.001..=1e6).contains(&self.cell) {
            return Err(LandError::Cell);
        }
        if self.edge < 4 || self.cells() > MAX_CELLS {
            return Err(LandError::Edge);
        }
        if self.most == 0 || self.fill > self.most {
            return Err(LandError::Fill);
        }
        if !(self.reach > 0.0 && self.reach <= self.farthest_reach()) {
            return Err(LandError::Reach(self.farthest_reach() as u64));
        }
        let is_name = |name: &String| {
            (1..=MAX_LAYER_BYTES).contains(&name.len())
                && !name.contains(|c: char| c == '/' || c.is_control())
        };
        let mut names = self.layers.clone();
        names.sort_unstable();
        names.dedup();
        if names.len() != self.layers.len()
            || names.len() > MAX_LAYERS
            || !names.iter().all(is_name)
        {
            return Err(LandError::Layers);
        }
        Ok(())
    }

    /// Along how many axes it lies.
    pub(crate) fn axes(&self) -> usize {
        usize::from(self.dims)
    }

    /// Cells of a chunk.
    pub(crate) fn cells(&self) -> usize {
        usize::from(self.edge).pow(u32::from(self.dims))
    }

    /// How long the edge of a chunk is, in units.
    pub(crate) fn chunk_units(&self) -> f64 {
        self.cell * f64::from(self.edge)
    }

    /// The farthest that chunks may be shown, in units.
    pub(crate) fn farthest_reach(&self) -> f64 {
        FARTHEST_SEEN[self.axes()] * self.chunk_units()
    }

    /// The number of a layer; 0 are the cells themselves.
    #[must_use]
    pub fn layer(&self, name: &str) -> Option<u8> {
        let place = self.layers.iter().position(|layer| layer == name)?;
        Some(place as u8 + 1)
    }

    /// Whether there is such a chunk.
    #[must_use]
    pub fn has(&self, chunk: Coords) -> bool {
        let (on, off) = chunk.split_at(self.axes());
        on.iter().all(|c| (-FARTHEST..FARTHEST).contains(c)) && off.iter().all(|c| *c == 0)
    }

    /// The chunk that a cell is in, and the cell's place there: x first, then y, then z.
    pub(crate) fn place(&self, cell: Coords) -> Option<(Coords, usize)> {
        let edge = i32::from(self.edge);
        let chunk = cell.map(|c| c.div_euclid(edge));
        let inner = cell.map(|c| c.rem_euclid(edge) as usize);
        let edge = usize::from(self.edge);
        let index = inner[0] + edge * (inner[1] + edge * inner[2]);
        (self.has(chunk) && index < self.cells()).then_some((chunk, index))
    }

    /// The square of how far a place is from a chunk, in units; 0 within it.
    #[inline]
    pub(crate) fn square_distance(&self, at: [f64; 3], chunk: Coords) -> f64 {
        let edge = self.chunk_units();
        let off = |axis: usize| {
            let low = f64::from(chunk[axis]) * edge;
            let off = (low - at[axis]).max(at[axis] - low - edge).max(0.0);
            off * off
        };
        let flat = off(0) + off(1);
        if self.dims == 3 { flat + off(2) } else { flat }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_land_can_be_and_impossible_land_is_refused() {
        let usual = LandPlan::default();
        assert_eq!(usual.check(2), Ok(()));
        let three = LandPlan { dims: 3, ..usual };
        assert_eq!(three.check(3), Ok(()));
        assert_eq!(three.check(2), Err(LandError::Dims));
        let refused = |change: fn(&mut LandPlan)| {
            let mut plan = LandPlan::default();
            change(&mut plan);
            plan.check(3).expect_err("it can't be")
        };
        assert_eq!(refused(|plan| plan.cell = f64::NAN), LandError::Cell);
        assert_eq!(refused(|plan| plan.edge = 65), LandError::Edge);
        assert_eq!(refused(|plan| plan.fill = 256), LandError::Fill);
        assert_eq!(refused(|plan| plan.reach = 241.0), LandError::Reach(240));
        assert_eq!(
            refused(|plan| plan.layers = vec!["a".into(), "a".into()]),
            LandError::Layers
        );
        let read: LandPlan = serde_json::from_str(r#"{"edge":32}"#).expect("it is there");
        assert_eq!((read.edge, read.most), (32, 255));
    }

    #[test]
    fn cells_below_zero_are_in_chunks_below_zero() {
        let plan = LandPlan::default();
        assert_eq!(plan.place([0, 0, 0]), Some(([0, 0, 0], 0)));
        assert_eq!(plan.place([-1, 17, 0]), Some(([-1, 1, 0], 15 + 16)));
        assert_eq!(plan.place([0, 0, 1]), None, "there is no third axis");
        assert_eq!(plan.place([i32::MAX, 0, 0]), None);
        assert!((plan.square_distance([-3.0, 20.0, 0.0], [0, 0, 0]) - 25.0).abs() < 1e-12);
    }
}
