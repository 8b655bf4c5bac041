//! Changes on conditions, one request after another, before anybody sees them: what is written to the store together.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::chunk::{Chunk, Part};
use super::plan::{Coords, LandPlan};

/// What must be so for a cell to be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Anything.
    Any,
    /// It has this value.
    Value(u16),
    /// It wasn't set after this version of its chunk.
    Version(u32),
}

/// A cell to be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetCell {
    /// Which.
    pub at: Coords,
    /// To what.
    pub value: u16,
    /// If this holds.
    pub expect: Expect,
}

/// A cell that is not as it was expected to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct There {
    /// Which.
    pub at: Coords,
    /// What it is.
    pub value: u16,
    /// Since when.
    pub version: u32,
}

/// Why nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSet {
    /// There is no such cell, chunk or layer, or no such value.
    #[error(
        "there is no such cell, chunk or layer in this land, or the value is greater than land.most"
    )]
    Outside,
    /// A chunk has not been looked up.
    #[error("the chunk has to be read first")]
    Missing(Coords),
    /// Something is not as it was expected.
    #[error("what is there is not what was expected")]
    Conflict(Vec<There>),
    /// A layer is not at the version that was expected, but at this.
    #[error("the layer is at version {0}")]
    OtherVersion(u32),
    /// It was changed as often as can be counted.
    #[error("this was changed too often")]
    Worn,
}

/// What is to become of some chunks.
#[derive(Debug)]
pub struct Draft {
    plan: Arc<LandPlan>,
    base: FxHashMap<Coords, Arc<Chunk>>,
    changed: FxHashMap<Coords, Changed>,
}

/// A chunk that was changed, and which of its parts.
#[derive(Debug)]
pub struct Changed {
    /// As it is to be.
    pub chunk: Chunk,
    /// Its version before.
    pub since: u32,
    /// Layers that were changed; 0 are the cells.
    pub layers: Vec<u8>,
}

impl Draft {
    /// Of these chunks, as they are.
    #[must_use]
    pub fn new(plan: Arc<LandPlan>, base: FxHashMap<Coords, Arc<Chunk>>) -> Self {
        Self {
            plan,
            base,
            changed: FxHashMap::default(),
        }
    }

    fn chunk(&self, at: Coords) -> Option<&Chunk> {
        match self.changed.get(&at) {
            Some(changed) => Some(&changed.chunk),
            None => self.base.get(&at).map(AsRef::as_ref),
        }
    }

    fn begin(&mut self, at: Coords, layer: u8) -> Option<&mut Chunk> {
        let base = self.base.get(&at)?;
        let changed = self.changed.entry(at).or_insert_with(|| Changed {
            chunk: base.copy(),
            since: base.version(),
            layers: Vec::new(),
        });
        if !changed.layers.contains(&layer) {
            changed.layers.push(layer);
        }
        Some(&mut changed.chunk)
    }

    /// Sets cells, all of them or none. Gives the version of each. A cell that has the value already stays as it is.
    ///
    /// # Errors
    /// See [`NotSet`].
    pub fn set(&mut self, cells: &[SetCell]) -> Result<Vec<u32>, NotSet> {
        let mut others = Vec::new();
        for cell in cells {
            let (at, index) = self.plan.place(cell.at).ok_or(NotSet::Outside)?;
            if cell.value > self.plan.most {
                return Err(NotSet::Outside);
            }
            let chunk = self.chunk(at).ok_or(NotSet::Missing(at))?;
            if chunk.version() == u32::MAX {
                return Err(NotSet::Worn);
            }
            let there = There {
                at: cell.at,
                value: chunk.value(index),
                version: chunk.version_of(index),
            };
            let holds = match cell.expect {
                Expect::Any => true,
                Expect::Value(value) => value == there.value,
                Expect::Version(version) => there.version <= version,
            };
            if !holds {
                others.push(there);
            }
        }
        if !others.is_empty() {
            return Err(NotSet::Conflict(others));
        }
        let plan = Arc::clone(&self.plan);
        // One request is one version of each chunk that it changes.
        let mut now: FxHashMap<Coords, u32> = FxHashMap::default();
        let set = cells.iter().map(|cell| {
            let (at, index) = plan.place(cell.at).ok_or(NotSet::Outside)?;
            let chunk = self.chunk(at).ok_or(NotSet::Missing(at))?;
            if chunk.value(index) == cell.value {
                return Ok(chunk.version_of(index));
            }
            let version = *now.entry(at).or_insert(chunk.version() + 1);
            if let Some(chunk) = self.begin(at, 0) {
                chunk.set(index, cell.value, version, plan.cells());
            }
            Ok(version)
        });
        set.collect()
    }

    /// Puts something opaque into a layer of a chunk, or takes it away. Gives its version.
    ///
    /// # Errors
    /// See [`NotSet`].
    pub fn put(
        &mut self,
        at: Coords,
        layer: u8,
        (kind, bytes): (String, Vec<u8>),
        expect: Option<u32>,
    ) -> Result<u32, NotSet> {
        if !self.plan.has(at) || layer == 0 || usize::from(layer) > self.plan.layers.len() {
            return Err(NotSet::Outside);
        }
        let chunk = self.chunk(at).ok_or(NotSet::Missing(at))?;
        let before = chunk.part(layer);
        let version = before.map_or(0, |part| part.version);
        if expect.is_some_and(|expect| expect != version) {
            return Err(NotSet::OtherVersion(version));
        }
        let part = Part {
            version: version.checked_add(1).ok_or(NotSet::Worn)?,
            kind,
            bytes,
            stored: before.and_then(|part| part.stored),
        };
        let version = part.version;
        if let Some(chunk) = self.begin(at, layer) {
            chunk.put_part(layer, part);
        }
        Ok(version)
    }

    /// What has become of them.
    #[must_use]
    pub fn finish(mut self) -> FxHashMap<Coords, Changed> {
        for changed in self.changed.values_mut() {
            if changed.layers.contains(&0) {
                changed.chunk.note_step(changed.since);
            }
        }
        self.changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> Draft {
        let plan = Arc::new(LandPlan {
            layers: vec!["map".into()],
            ..LandPlan::default()
        });
        let chunks = [[0, 0, 0], [-1, 0, 0]];
        let base = chunks.map(|at| (at, Arc::new(Chunk::new(&plan))));
        Draft::new(plan, base.into_iter().collect())
    }

    fn cell(x: i32, value: u16, expect: Expect) -> SetCell {
        SetCell {
            at: [x, 0, 0],
            value,
            expect,
        }
    }

    #[test]
    fn a_request_is_done_whole_or_not_at_all() {
        let mut draft = draft();
        assert_eq!(
            draft.set(&[
                cell(0, 3, Expect::Any),
                cell(-1, 4, Expect::Value(0)),
                cell(1, 0, Expect::Any)
            ]),
            Ok(vec![1, 1, 0]),
            "what has the value already is not set"
        );
        let there = There {
            at: [0, 0, 0],
            value: 3,
            version: 1,
        };
        assert_eq!(
            draft.set(&[cell(2, 9, Expect::Any), cell(0, 5, Expect::Version(0))]),
            Err(NotSet::Conflict(vec![there]))
        );
        assert_eq!(draft.set(&[cell(0, 5, Expect::Version(1))]), Ok(vec![2]));
        assert_eq!(
            draft.set(&[cell(0, 256, Expect::Any)]),
            Err(NotSet::Outside)
        );
        assert_eq!(
            draft.set(&[cell(16, 1, Expect::Any)]),
            Err(NotSet::Missing([1, 0, 0]))
        );
        let changed = draft.finish();
        assert_eq!(changed.len(), 2);
        let chunk = &changed[&[0, 0, 0]].chunk;
        assert_eq!((chunk.version(), chunk.value(0), chunk.value(2)), (2, 5, 0));
    }

    #[test]
    fn a_layer_is_put_on_condition_of_its_version() {
        let mut draft = draft();
        let picture = || ("image/png".to_owned(), vec![1, 2]);
        assert_eq!(draft.put([0, 0, 0], 1, picture(), Some(0)), Ok(1));
        assert_eq!(
            draft.put([0, 0, 0], 1, picture(), Some(0)),
            Err(NotSet::OtherVersion(1))
        );
        assert_eq!(
            draft.put([0, 0, 0], 1, (String::new(), Vec::new()), None),
            Ok(2)
        );
        assert_eq!(
            draft.put([0, 0, 0], 2, picture(), None),
            Err(NotSet::Outside)
        );
        let changed = draft.finish();
        assert_eq!(changed[&[0, 0, 0]].layers, [1]);
        assert_eq!(changed[&[0, 0, 0]].chunk.version(), 0);
    }
}
