//! Writing the records of a section, within a budget; and what is too long for one frame, over several.

use std::sync::Arc;

use super::plan::Coords;
use super::record;
use crate::engine::bits::{put_varint, varint_len, zigzag};

/// A piece is not worth its head below this many bytes.
const LEAST_PIECE: usize = 48;

/// Something that goes out in pieces.
#[derive(Clone, Debug)]
pub(crate) struct Transfer {
    pub(crate) chunk: Coords,
    pub(crate) layer: u8,
    pub(crate) version: u32,
    bytes: Arc<[u8]>,
    done: usize,
}

/// Writes records until the budget ends.
pub(crate) struct Writer<'a> {
    pub(crate) out: &'a mut Vec<u8>,
    pub(crate) axes: usize,
    pub(crate) left: usize,
}

impl Writer<'_> {
    fn head_len(&self, chunk: Coords, layer: u8) -> usize {
        let axes = chunk.iter().take(self.axes);
        varint_len(u32::from(layer) << 2) + axes.map(|c| varint_len(zigzag(*c))).sum::<usize>()
    }

    fn head(&mut self, what: u32, chunk: Coords, layer: u8) {
        put_varint(self.out, what | u32::from(layer) << 2);
        for c in &chunk[..self.axes] {
            put_varint(self.out, zigzag(*c));
        }
    }

    /// The chunk is out of reach. `false`: it doesn't fit.
    pub(crate) fn gone(&mut self, chunk: Coords) -> bool {
        let Some(left) = self.left.checked_sub(self.head_len(chunk, 0)) else {
            return false;
        };
        self.left = left;
        self.head(record::GONE, chunk, 0);
        true
    }

    /// Some cells. `false`: they don't fit.
    pub(crate) fn changes(&mut self, chunk: Coords, version: u32, changes: &[u8]) -> bool {
        let len = self.head_len(chunk, 0) + varint_len(version) + changes.len();
        let Some(left) = self.left.checked_sub(len) else {
            return false;
        };
        self.left = left;
        self.head(record::CHANGES, chunk, 0);
        put_varint(self.out, version);
        self.out.extend_from_slice(changes);
        true
    }

    /// All of the cells or of a layer. `false`: it doesn't fit.
    pub(crate) fn whole(&mut self, chunk: Coords, layer: u8, version: u32, bytes: &[u8]) -> bool {
        let head = self.head_len(chunk, layer) + varint_len(version);
        let len = head + varint_len(bytes.len() as u32) + bytes.len();
        let Some(left) = self.left.checked_sub(len) else {
            return false;
        };
        self.left = left;
        self.head(record::WHOLE, chunk, layer);
        put_varint(self.out, version);
        put_varint(self.out, bytes.len() as u32);
        self.out.extend_from_slice(bytes);
        true
    }

    /// As much of what goes out in pieces as fits.
    pub(crate) fn piece(&mut self, transfer: &mut Transfer) {
        let (total, done) = (transfer.bytes.len(), transfer.done);
        let head = self.head_len(transfer.chunk, transfer.layer)
            + varint_len(transfer.version)
            + varint_len(total as u32)
            + varint_len(done as u32)
            // The length of the piece is at most the total.
            + varint_len(total as u32);
        let room = self.left.saturating_sub(head);
        let len = room.min(total - done);
        if len < LEAST_PIECE.min(total - done) {
            return;
        }
        self.left -= head + len;
        self.head(record::PIECE, transfer.chunk, transfer.layer);
        for number in [transfer.version, total as u32, done as u32, len as u32] {
            put_varint(self.out, number);
        }
        self.out
            .extend_from_slice(&transfer.bytes[done..done + len]);
        transfer.done += len;
    }
}

impl Transfer {
    pub(crate) fn new(chunk: Coords, layer: u8, version: u32, bytes: Arc<[u8]>) -> Self {
        Self {
            chunk,
            layer,
            version,
            bytes,
            done: 0,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done == self.bytes.len()
    }
}
