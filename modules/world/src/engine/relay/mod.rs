//! All of a world for another node, once a tick: its viewers compose from that as they would where the world is.
//!
//! The world's node keeps a [`Source`] for each other node with people in the world. A message brings what changed since
//! the node's last one: of each parcel the very bytes that clients get, so that they're made once for all nodes, and
//! taken apart there but not made again. The other node keeps a [`Mirror`], whose [`View`] has parcels with the same
//! numbers, slots and ticks; what a viewer shows from it is the same.
//!
//! A node that is slow to take its messages is sent none; what it missed is merged into its next one. One that was away
//! too long, or that can't read what it got, starts anew with all of it, and its viewers do, too, by themselves.
//!
//! A message:
//!
//! | | |
//! |---|---|
//! | `u8` | the version in the lower half; 16: *full*, everything before is to be forgotten |
//! | `varint` × 2 | the tick; how many ticks before it the last message was (0 if *full*) |
//! | `u64` | the world's epoch, lowest byte first |
//! | `u8` × 2, `varint` × 2, `u8` × 3 | pace (dilation, ease) and tiers (nearest, every) |
//! | `u32` | how many entries follow, lowest byte first |
//!
//! An entry is a `u8` (the lowest two bits: 0 *ended*, 1 *same*, 2 *changed*, 3 *new*; 4: closed; 8: fresh). For *ended*
//! and *same* the parcel's number follows as a `varint`. Unless it *ended*: if fresh, `varint` how many ticks ago. If
//! *new*: `varint` how many ticks ago it was made, and changed; `varint` 0, or 1 and its group as another. If *changed* and
//! the last message was not of the tick before: `varint` how many ticks ago it changed, and how many before that. If
//! *changed* or *new*: a record as in a frame, whole if it's *new*. Numbers ascend; one that was never used follows the
//! last one that was.

mod mirror;
mod records;
mod source;

pub use mirror::{Mirror, RelayError};
pub use source::Source;

const VERSION: u8 = 1;
const FULL: u8 = 16;

const ENDED: u8 = 0;
const SAME: u8 = 1;
const CHANGED: u8 = 2;
const NEW: u8 = 3;
const CLOSED: u8 = 4;
const FRESH: u8 = 8;

/// Further back nothing is merged: a parcel's bytes would be all of it.
const MOST_BACK: u32 = 64;
