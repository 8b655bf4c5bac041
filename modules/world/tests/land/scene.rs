//! Land that is changed, somebody who walks on it, and the store behind it: a table of records.

use std::collections::HashMap;
use std::sync::Arc;

use lakh_world::{
    Chunk, Coords, Draft, Expect, Land, LandApplied, LandComposed, LandPlan, LandReplica,
    LandViewer, Part, SetCell,
};

pub(crate) struct Scene {
    pub(crate) plan: Arc<LandPlan>,
    pub(crate) land: Land,
    /// As the store has them: records with a version.
    stored: HashMap<Coords, Vec<u8>>,
    stored_parts: HashMap<(Coords, u8), Vec<u8>>,
    writes: u64,
}

impl Scene {
    pub(crate) fn new(plan: LandPlan, cache_bytes: usize) -> Self {
        plan.check(plan.dims).unwrap();
        let plan = Arc::new(plan);
        Self {
            land: Land::new(Arc::clone(&plan), cache_bytes),
            plan,
            stored: HashMap::new(),
            stored_parts: HashMap::new(),
            writes: 0,
        }
    }

    /// A chunk as the store has it.
    pub(crate) fn truth(&self, at: Coords) -> Chunk {
        let record = self.stored.get(&at);
        let mut chunk = record.map_or_else(
            || Chunk::new(&self.plan),
            |record| Chunk::read(&self.plan, record, self.writes).unwrap(),
        );
        for layer in 1..=self.plan.layers.len() as u8 {
            if let Some(record) = self.stored_parts.get(&(at, layer)) {
                chunk.put_part(layer, Part::read(record, self.writes).unwrap());
            }
        }
        chunk
    }

    pub(crate) fn load(&mut self, wanted: &[Coords]) {
        for at in wanted {
            let chunk = self.truth(*at);
            self.land.put(*at, Arc::new(chunk));
        }
    }

    fn draft(&self, chunks: impl Iterator<Item = Coords>) -> Draft {
        let base = chunks.map(|at| (at, Arc::new(self.truth(at)))).collect();
        Draft::new(Arc::clone(&self.plan), base)
    }

    fn commit(&mut self, draft: Draft) {
        self.writes += 1;
        for (at, changed) in draft.finish() {
            for layer in &changed.layers {
                match layer {
                    0 => drop(self.stored.insert(at, changed.chunk.record())),
                    _ => {
                        let part = changed.chunk.part(*layer).unwrap();
                        self.stored_parts.insert((at, *layer), part.record());
                    }
                }
            }
            self.land.put(at, Arc::new(changed.chunk));
        }
    }

    pub(crate) fn set(&mut self, cells: &[(Coords, u16)]) {
        let edge = i32::from(self.plan.edge);
        let chunk = |at: Coords| at.map(|c| c.div_euclid(edge));
        let mut draft = self.draft(cells.iter().map(|(at, _)| chunk(*at)));
        let cells: Vec<_> = cells
            .iter()
            .map(|&(at, value)| SetCell {
                at,
                value,
                expect: Expect::Any,
            })
            .collect();
        draft.set(&cells).unwrap();
        self.commit(draft);
    }

    pub(crate) fn put(&mut self, at: Coords, layer: u8, bytes: Vec<u8>) {
        let mut draft = self.draft(std::iter::once(at));
        draft
            .put(at, layer, ("image/png".into(), bytes), None)
            .unwrap();
        self.commit(draft);
    }
}

/// A client and its state at the server's end.
pub(crate) struct Client {
    pub(crate) viewer: LandViewer,
    pub(crate) replica: LandReplica,
    pub(crate) at: [f64; 3],
}

impl Client {
    pub(crate) fn new(scene: &Scene) -> Self {
        Self {
            viewer: LandViewer::new(&scene.plan, f64::INFINITY),
            replica: LandReplica::new(Arc::clone(&scene.plan)),
            at: [0.0; 3],
        }
    }

    /// A frame: the section, what composing came to, and what the client made of it.
    pub(crate) fn frame(
        &mut self,
        scene: &mut Scene,
        budget: usize,
    ) -> (Vec<u8>, LandComposed, Option<LandApplied>) {
        let mut out = vec![0xaa];
        let composed = self.viewer.compose(&scene.land, self.at, budget, &mut out);
        assert_eq!(out[0], 0xaa, "what stood before is left alone");
        let section = out.split_off(1);
        assert_eq!(section.len(), composed.bytes);
        assert!(composed.bytes <= budget, "{} of {budget}", composed.bytes);
        scene.load(&composed.wanted);
        let applied = (!section.is_empty()).then(|| {
            let inner = inner(&section);
            self.replica.apply(inner).unwrap()
        });
        (section, composed, applied)
    }
}

/// What stands in a section, behind its number and length.
pub(crate) fn inner(section: &[u8]) -> &[u8] {
    assert_eq!(section[0], lakh_world::LAND_SECTION);
    let head = 1
        + section[1..]
            .iter()
            .position(|byte| byte & 0x80 == 0)
            .unwrap()
        + 1;
    &section[head..]
}
