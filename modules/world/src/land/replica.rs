//! The client's end: what it has of the land, from the sections of its frames.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::cells::Cells;
use super::chunk::read_part;
use super::plan::{Coords, LandPlan};
use super::record;
use crate::engine::bits::{TooShort, take_varint, unzigzag};

/// Chunks that a client is shown at most: more than the farthest reach has.
const MAX_CHUNKS: usize = 4096;
/// Longest thing that comes in pieces.
const MAX_TOTAL: usize = 1 << 24;

/// Why a section was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SectionError {
    /// It ends too early, or holds no number where one must be.
    #[error("the section can't be read to its end")]
    TooShort,
    /// It speaks of cells, chunks or layers that are not there.
    #[error("the section speaks of what is not there")]
    Unknown,
    /// There are more chunks than are ever shown.
    #[error("the section tells of too many chunks")]
    TooMany,
}

impl From<TooShort> for SectionError {
    fn from(_: TooShort) -> Self {
        Self::TooShort
    }
}

/// What a section came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LandApplied {
    /// Chunks whose cells came or changed, each as often as it was told.
    pub cells: Vec<Coords>,
    /// Chunks and the layers of them that came or changed.
    pub layers: Vec<(Coords, u8)>,
    /// Chunks that are out of reach.
    pub gone: Vec<Coords>,
}

/// Something opaque, as a client has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenPart {
    /// How often it was changed.
    pub version: u32,
    /// What it is.
    pub kind: String,
    /// Empty: it was taken away.
    pub bytes: Vec<u8>,
}

#[derive(Debug, Default)]
struct Seen {
    cells: Option<(u32, Cells)>,
    parts: FxHashMap<u8, SeenPart>,
}

/// What comes in pieces.
#[derive(Debug)]
struct Coming {
    chunk: Coords,
    layer: u8,
    version: u32,
    total: usize,
    bytes: Vec<u8>,
}

/// The land as a client has it.
#[derive(Debug)]
pub struct LandReplica {
    plan: Arc<LandPlan>,
    chunks: FxHashMap<Coords, Seen>,
    coming: Option<Coming>,
}

impl LandReplica {
    /// Nothing is known.
    #[must_use]
    pub fn new(plan: Arc<LandPlan>) -> Self {
        Self {
            plan,
            chunks: FxHashMap::default(),
            coming: None,
        }
    }

    /// The value of a cell; `None`: it's not known.
    #[must_use]
    pub fn value(&self, cell: Coords) -> Option<u16> {
        let (chunk, index) = self.plan.place(cell)?;
        let (_, cells) = self.chunks.get(&chunk)?.cells.as_ref()?;
        Some(cells.get(index))
    }

    /// The version of a chunk's cells; `None`: they are not known.
    #[must_use]
    pub fn version(&self, chunk: Coords) -> Option<u32> {
        let cells = self.chunks.get(&chunk)?.cells.as_ref();
        cells.map(|(version, _)| *version)
    }

    /// What is in a layer of a chunk, if there ever was something.
    #[must_use]
    pub fn part(&self, chunk: Coords, layer: u8) -> Option<&SeenPart> {
        self.chunks.get(&chunk)?.parts.get(&layer)
    }

    /// Chunks of which something is known.
    pub fn chunks(&self) -> impl Iterator<Item = Coords> + '_ {
        self.chunks.keys().copied()
    }

    /// Takes in a section, without its number and length. After an error nothing is known any more.
    ///
    /// # Errors
    /// If it's none that a server sends.
    pub fn apply(&mut self, section: &[u8]) -> Result<LandApplied, SectionError> {
        let mut applied = LandApplied::default();
        let mut rest = section;
        while !rest.is_empty() {
            if let Err(error) = self.record(&mut rest, &mut applied) {
                self.chunks.clear();
                self.coming = None;
                return Err(error);
            }
        }
        Ok(applied)
    }

    fn record(&mut self, rest: &mut &[u8], applied: &mut LandApplied) -> Result<(), SectionError> {
        let head = take_varint(rest)?;
        let layer = u8::try_from(head >> 2).map_err(|_| SectionError::Unknown)?;
        let mut chunk = [0; 3];
        for c in &mut chunk[..self.plan.axes()] {
            *c = unzigzag(take_varint(rest)?);
        }
        if !self.plan.has(chunk) || usize::from(layer) > self.plan.layers.len() {
            return Err(SectionError::Unknown);
        }
        match head & 3 {
            record::GONE => {
                self.chunks.remove(&chunk);
                self.coming.take_if(|coming| coming.chunk == chunk);
                applied.gone.push(chunk);
                Ok(())
            }
            record::CHANGES => {
                self.changes(chunk, rest)?;
                applied.cells.push(chunk);
                Ok(())
            }
            record::WHOLE => {
                let version = take_varint(rest)?;
                let bytes = take_bytes(rest)?;
                self.whole(chunk, layer, version, bytes, applied)
            }
            _ => self.piece(chunk, layer, rest, applied),
        }
    }

    fn changes(&mut self, chunk: Coords, rest: &mut &[u8]) -> Result<(), SectionError> {
        let cells = self.plan.cells();
        let seen = self
            .chunks
            .get_mut(&chunk)
            .and_then(|seen| seen.cells.as_mut());
        let (known, values) = seen.ok_or(SectionError::Unknown)?;
        *known = take_varint(rest)?;
        let mut next = 0_usize;
        for _ in 0..take_varint(rest)? {
            let index = next.saturating_add(take_varint(rest)? as usize);
            let value = u16::try_from(take_varint(rest)?).map_err(|_| SectionError::Unknown)?;
            if index >= cells {
                return Err(SectionError::Unknown);
            }
            values.set(index, value, cells);
            next = index + 1;
        }
        Ok(())
    }

    fn whole(
        &mut self,
        chunk: Coords,
        layer: u8,
        version: u32,
        mut bytes: &[u8],
        applied: &mut LandApplied,
    ) -> Result<(), SectionError> {
        if self.chunks.len() >= MAX_CHUNKS && !self.chunks.contains_key(&chunk) {
            return Err(SectionError::TooMany);
        }
        if layer == 0 {
            let cells = Cells::read(&mut bytes, self.plan.cells())?;
            if !bytes.is_empty() {
                return Err(SectionError::Unknown);
            }
            self.chunks.entry(chunk).or_default().cells = Some((version, cells));
            applied.cells.push(chunk);
            return Ok(());
        }
        let (kind, bytes) = read_part(bytes)?;
        let part = SeenPart {
            version,
            kind,
            bytes: bytes.to_vec(),
        };
        let seen = self.chunks.entry(chunk).or_default();
        seen.parts.insert(layer, part);
        applied.layers.push((chunk, layer));
        Ok(())
    }

    fn piece(
        &mut self,
        chunk: Coords,
        layer: u8,
        rest: &mut &[u8],
        applied: &mut LandApplied,
    ) -> Result<(), SectionError> {
        let version = take_varint(rest)?;
        let total = take_varint(rest)? as usize;
        let offset = take_varint(rest)? as usize;
        let bytes = take_bytes(rest)?;
        if offset == 0 {
            if total > MAX_TOTAL {
                return Err(SectionError::TooMany);
            }
            self.coming = Some(Coming {
                chunk,
                layer,
                version,
                total,
                bytes: Vec::new(),
            });
        }
        let coming = self.coming.as_mut().ok_or(SectionError::Unknown)?;
        let is_it = (coming.chunk, coming.layer, coming.version, coming.total)
            == (chunk, layer, version, total);
        if !is_it || coming.bytes.len() != offset || offset + bytes.len() > total {
            return Err(SectionError::Unknown);
        }
        coming.bytes.extend_from_slice(bytes);
        if coming.bytes.len() < total {
            return Ok(());
        }
        let bytes = self
            .coming
            .take()
            .map(|coming| coming.bytes)
            .unwrap_or_default();
        self.whole(chunk, layer, version, &bytes, applied)
    }
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], TooShort> {
    let len = take_varint(rest)? as usize;
    if len > rest.len() {
        return Err(TooShort);
    }
    let (bytes, behind) = rest.split_at(len);
    *rest = behind;
    Ok(bytes)
}
