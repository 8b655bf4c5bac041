//! A chunk: its cells, the version of each, and what is opaque. It's never changed but replaced, so what was encoded of
//! it holds for as long as it does, and is shared by all clients.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use super::cells::Cells;
use super::plan::LandPlan;
use crate::engine::bits::{TooShort, put_varint, take_varint};

/// What a stored record begins with.
const FORMAT: u8 = 1;
/// Longest type of something opaque, in bytes.
pub const MAX_TYPE_BYTES: usize = 64;

/// Something opaque in a chunk: a picture, heights.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// How often it was changed; 0 if it was never there.
    pub version: u32,
    /// What it is, for those who read it: `image/png`.
    pub kind: String,
    /// Empty: it was taken away.
    pub bytes: Vec<u8>,
    /// What the store calls this version.
    pub stored: Option<u64>,
}

impl Part {
    /// As it's sent and stored.
    fn write(&self, out: &mut Vec<u8>) {
        put_varint(out, self.kind.len() as u32);
        out.extend_from_slice(self.kind.as_bytes());
        out.extend_from_slice(&self.bytes);
    }

    /// What it's kept as in the store.
    #[must_use]
    pub fn record(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        put_varint(&mut out, self.version);
        self.write(&mut out);
        out
    }

    /// Reads what was stored.
    ///
    /// # Errors
    /// If it's something else.
    pub fn read(record: &[u8], stored: u64) -> Result<Self, TooShort> {
        let mut rest = format(record)?;
        let version = take_varint(&mut rest)?;
        let (kind, bytes) = read_part(rest)?;
        Ok(Self {
            version,
            kind,
            bytes: bytes.to_vec(),
            stored: Some(stored),
        })
    }
}

/// The type and the bytes of something opaque.
pub(crate) fn read_part(mut bytes: &[u8]) -> Result<(String, &[u8]), TooShort> {
    let len = take_varint(&mut bytes)? as usize;
    if len > MAX_TYPE_BYTES || len > bytes.len() {
        return Err(TooShort);
    }
    let (kind, bytes) = bytes.split_at(len);
    let kind = std::str::from_utf8(kind).map_err(|_| TooShort)?;
    Ok((kind.to_owned(), bytes))
}

fn format(record: &[u8]) -> Result<&[u8], TooShort> {
    match record.split_first() {
        Some((&FORMAT, rest)) => Ok(rest),
        _ => Err(TooShort),
    }
}

/// Some of the land.
#[derive(Debug)]
pub struct Chunk {
    version: u32,
    cells: Cells,
    /// Of each cell; `None`: it's 0 everywhere.
    versions: Option<Box<[u32]>>,
    /// By the number of the layer, less one.
    parts: Vec<Option<Arc<Part>>>,
    /// What the store calls this version of the cells.
    stored: Option<u64>,
    /// What was sent of it: the cells, and each layer.
    sent: OnceLock<Arc<[u8]>>,
    sent_parts: Vec<OnceLock<Arc<[u8]>>>,
    /// What changed since the version before: by how much a client lags that has all but the last change.
    step: Option<(u32, Box<[u8]>)>,
}

impl Chunk {
    /// A chunk in which nothing was ever set.
    #[must_use]
    pub fn new(plan: &LandPlan) -> Self {
        Self {
            version: 0,
            cells: Cells::Uniform(plan.fill),
            versions: None,
            parts: vec![None; plan.layers.len()],
            stored: None,
            sent: OnceLock::new(),
            sent_parts: (0..plan.layers.len()).map(|_| OnceLock::new()).collect(),
            step: None,
        }
    }

    /// The version of its last change; 0 before any.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The value of a cell.
    #[must_use]
    pub fn value(&self, index: usize) -> u16 {
        self.cells.get(index)
    }

    /// The version of the chunk in which a cell was set last.
    #[must_use]
    pub fn version_of(&self, index: usize) -> u32 {
        self.versions.as_ref().map_or(0, |versions| versions[index])
    }

    /// What is in a layer.
    #[must_use]
    pub fn part(&self, layer: u8) -> Option<&Arc<Part>> {
        self.parts.get(usize::from(layer).checked_sub(1)?)?.as_ref()
    }

    /// The version of a layer, or with 0 that of the cells.
    pub(crate) fn version_in(&self, layer: u8) -> u32 {
        match layer {
            0 => self.version,
            _ => self.part(layer).map_or(0, |part| part.version),
        }
    }

    /// How many layers there are beside the cells.
    pub(crate) fn layers(&self) -> u8 {
        self.parts.len() as u8
    }

    /// What the store calls this version of the cells; `None`: it has none of them.
    #[must_use]
    pub fn stored(&self) -> Option<u64> {
        self.stored
    }

    /// The store has this version of the cells, or of a layer, now.
    pub(crate) fn set_stored(&mut self, layer: u8, version: u64) {
        match usize::from(layer).checked_sub(1) {
            None => self.stored = Some(version),
            Some(place) => {
                if let Some(Some(part)) = self.parts.get_mut(place) {
                    Arc::make_mut(part).stored = Some(version);
                }
            }
        }
    }

    /// What it takes in memory, with what may be encoded of it.
    pub(crate) fn bytes(&self) -> usize {
        let parts = self.parts.iter().flatten();
        let opaque: usize = parts.map(|part| 2 * part.bytes.len() + 128).sum();
        let versions = self
            .versions
            .as_ref()
            .map_or(0, |versions| versions.len() * 4);
        let cells = self.cells.heap_bytes();
        size_of::<Self>() + cells * 2 + versions + opaque + self.parts.len() * 32 + 64
    }

    /// A copy to be changed: nothing is encoded of it.
    pub(crate) fn copy(&self) -> Self {
        Self {
            version: self.version,
            cells: self.cells.clone(),
            versions: self.versions.clone(),
            parts: self.parts.clone(),
            stored: self.stored,
            sent: OnceLock::new(),
            sent_parts: self.parts.iter().map(|_| OnceLock::new()).collect(),
            step: None,
        }
    }

    /// Sets a cell, at a version not below the chunk's.
    pub(crate) fn set(&mut self, index: usize, value: u16, version: u32, cells: usize) {
        self.version = version;
        self.cells.set(index, value, cells);
        let versions = &mut self.versions;
        versions.get_or_insert_with(|| vec![0; cells].into_boxed_slice())[index] = version;
    }

    /// Puts something into a layer; nothing happens if there is no such layer.
    pub fn put_part(&mut self, layer: u8, part: Part) {
        if let Some(place) = self.parts.get_mut(usize::from(layer).wrapping_sub(1)) {
            *place = Some(Arc::new(part));
        }
    }

    /// Encodes what changed since a version, for those many who have exactly that.
    pub(crate) fn note_step(&mut self, since: u32) {
        self.step = Some((since, self.changes_of(since).into_boxed_slice()));
    }

    /// The cells that changed since a version: how many, and of each how far it is behind the one before, and its value.
    pub(crate) fn changes(&self, since: u32) -> Cow<'_, [u8]> {
        if let Some((from, bytes)) = &self.step
            && *from == since
        {
            return Cow::Borrowed(bytes);
        }
        Cow::Owned(self.changes_of(since))
    }

    fn changes_of(&self, since: u32) -> Vec<u8> {
        let changed = self.changed_since(since);
        let mut out = Vec::new();
        put_varint(&mut out, changed.clone().count() as u32);
        let mut next = 0;
        for index in changed {
            put_varint(&mut out, (index - next) as u32);
            put_varint(&mut out, u32::from(self.cells.get(index)));
            next = index + 1;
        }
        out
    }

    /// The cells that were set after a version.
    pub(crate) fn changed_since(&self, since: u32) -> impl Iterator<Item = usize> + Clone {
        let versions = self.versions.as_deref().unwrap_or_default().iter();
        let newer = versions
            .enumerate()
            .filter(move |(_, version)| **version > since);
        newer.map(|(index, _)| index)
    }

    /// All cells (layer 0) or all of a layer, as it's sent.
    pub(crate) fn whole(&self, layer: u8) -> Arc<[u8]> {
        let encoded = match usize::from(layer).checked_sub(1) {
            None => Some(&self.sent),
            Some(place) => self.sent_parts.get(place),
        };
        let encode = || {
            let mut out = Vec::new();
            match (layer, self.part(layer)) {
                (0, _) => self.cells.write(&mut out),
                (_, Some(part)) => part.write(&mut out),
                (_, None) => put_varint(&mut out, 0),
            }
            Arc::from(out)
        };
        encoded.map_or_else(encode, |encoded| Arc::clone(encoded.get_or_init(encode)))
    }

    /// What the cells are kept as in the store: with the version of each, in runs.
    #[must_use]
    pub fn record(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        put_varint(&mut out, self.version);
        self.cells.write(&mut out);
        for run in self
            .versions
            .as_deref()
            .unwrap_or_default()
            .chunk_by(|a, b| a == b)
        {
            put_varint(&mut out, self.version - run[0]);
            put_varint(&mut out, run.len() as u32 - 1);
        }
        out
    }

    /// Reads what was stored.
    ///
    /// # Errors
    /// If it's something else, or of another plan.
    pub fn read(plan: &LandPlan, record: &[u8], stored: u64) -> Result<Self, TooShort> {
        let cells = plan.cells();
        let mut rest = format(record)?;
        let mut chunk = Self::new(plan);
        chunk.version = take_varint(&mut rest)?;
        chunk.cells = Cells::read(&mut rest, cells)?;
        let mut versions = Vec::with_capacity(cells);
        while !rest.is_empty() {
            let age = take_varint(&mut rest)?;
            let version = chunk.version.checked_sub(age).ok_or(TooShort)?;
            let len = take_varint(&mut rest)? as usize;
            if len >= cells - versions.len() {
                return Err(TooShort);
            }
            versions.resize(versions.len() + len + 1, version);
        }
        match versions.len() {
            0 => {}
            len if len == cells => chunk.versions = Some(versions.into_boxed_slice()),
            _ => return Err(TooShort),
        }
        chunk.stored = Some(stored);
        Ok(chunk)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_stored_is_read_with_all_versions(
            changes in prop::collection::vec((0_usize..256, 0_u16..300, 1_u32..4), 0..60),
        ) {
            let plan = LandPlan { most: 300, layers: vec!["map".into()], ..LandPlan::default() };
            let mut chunk = Chunk::new(&plan);
            for (index, value, by) in changes {
                let version = chunk.version() + by;
                chunk.set(index, value, version, plan.cells());
            }
            let record = chunk.record();
            let read = Chunk::read(&plan, &record, 9).expect("it is there");
            prop_assert_eq!(read.version(), chunk.version());
            for index in 0..plan.cells() {
                prop_assert_eq!(read.value(index), chunk.value(index));
                prop_assert_eq!(read.version_of(index), chunk.version_of(index));
            }
            for cut in 0..record.len() {
                // Without any version it's a record of before the first change.
                if let Ok(cut) = Chunk::read(&plan, &record[..cut], 9) {
                    prop_assert!(cut.versions.is_none());
                }
            }
        }
    }

    #[test]
    fn opaque_bytes_are_stored_with_their_type() {
        let part = Part {
            version: 300,
            kind: "image/png".into(),
            bytes: vec![0, 1, 255],
            stored: Some(4),
        };
        assert_eq!(Part::read(&part.record(), 4), Ok(part));
        assert_eq!(Part::read(&[1, 1, 200, 1], 4), Err(TooShort));
        assert_eq!(Part::read(&[2, 1, 0], 4), Err(TooShort));
    }
}
