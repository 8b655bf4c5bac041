//! Land: chunks of tiles or blocks, shown by distance and changed on conditions.
//!
//! A world's land is a grid of cells, each with a value and the version of its last change, cut into chunks. A chunk's
//! version is the highest of its cells'; so what changed since a version is found in the chunk itself, and a client
//! that has any older version of it is told the difference, also when the chunk was away from memory in between.
//!
//! What needs no socket, no clock and no store:
//!
//! - `plan`: what land a world has, and which chunk a place is in. `cells`: values, and how they become bytes.
//! - `chunk`: a chunk, what is stored of it, and what is opaque in it. `draft`: changes on conditions.
//! - `cache`: what a node has in memory ([`Land`]). `viewer`: one client's part of it, a section of its frames.
//! - `replica`: the client's end.
//!
//! And what does: `ground`, a world's land on this node, read from the store; `writing`, how it's changed there; `requests`.

pub(crate) mod cache;
pub(crate) mod cells;
pub(crate) mod chunk;
pub(crate) mod draft;
pub(crate) mod ground;
pub(crate) mod plan;
pub(crate) mod reach;
pub(crate) mod replica;
mod requests;
pub(crate) mod transfer;
pub(crate) mod viewer;
mod writing;

pub(crate) use requests::{land, put_chunk, remove, set};

/// Which section of a frame the land is.
pub const SECTION: u8 = 1;

/// What a record of the section is: the lowest two bits of its first number.
pub(crate) mod record {
    /// The chunk is out of reach.
    pub(crate) const GONE: u32 = 0;
    /// Some cells have changed.
    pub(crate) const CHANGES: u32 = 1;
    /// All cells, or all of what is opaque.
    pub(crate) const WHOLE: u32 = 2;
    /// A part of the bytes of that.
    pub(crate) const PIECE: u32 = 3;
}
