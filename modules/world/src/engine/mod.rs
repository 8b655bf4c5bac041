//! The engine: no IO, no clock, no randomness. Time is the number of a tick.
//!
//! Everything stands on **parcels** (`parcel`): the entities of one cell of the grid (`space`), of one kind and one
//! audience, at most 64. A parcel is a small replicated thing with a version, the tick of its last change. What it came
//! to since a tick is encoded once (`delta`) and shared by all clients that have it up to that tick; composing a
//! client's frame (`viewer`) is choosing parcels and copying bytes.
//!
//! - `schema`, `quantise`: what entities have, and how it becomes bits. `bits`: the bits.
//! - `world`, `entities`, `step`, `rebalance`, `reckon`: the truth, and how a tick brings it into parcels.
//! - `view`: what a tick left to be read, by many threads at once.
//! - `query`, `interest`, `budget`, `viewer`, `frame`: one client's part of it.
//! - `replica`, `held`, `decode`: the client's end.
//! - `relay`: all of a world for another node, whose viewers compose from that as they would here.

pub(crate) mod bits;
pub(crate) mod budget;
pub(crate) mod decode;
pub(crate) mod delta;
pub(crate) mod entities;
pub(crate) mod found;
pub(crate) mod frame;
pub(crate) mod held;
pub(crate) mod interest;
pub(crate) mod parcel;
pub(crate) mod quantise;
pub(crate) mod query;
pub(crate) mod rebalance;
pub(crate) mod reckon;
pub(crate) mod relay;
pub(crate) mod replica;
pub(crate) mod schema;
pub(crate) mod space;
#[cfg(test)]
mod staleness;
pub(crate) mod step;
pub(crate) mod view;
pub(crate) mod viewer;
pub(crate) mod world;
