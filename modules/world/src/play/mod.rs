//! The module on the hub: worlds by name, who is in them, what clients ask for, and the ticks.
//!
//! - `registry`, `plan`, `make`: which worlds there are, and what they are.
//! - `core`: the truth of one world; `acts`: what is done to it.
//! - `live`, `tick`, `load`: a world at work, its ticks, and what it does when it has too much to do.
//! - `seats`: who looks on, on which loop; their inputs looked at, their frames composed.
//! - `enter`, `input`, `things`, `bots`: the requests. `shapes`, `queries`: what they say, read.

mod acts;
mod bots;
mod core;
mod enter;
mod input;
mod live;
mod load;
mod make;
mod pacing;
mod plan;
mod queries;
pub(crate) mod registry;
mod saving;
mod seats;
mod shapes;
mod things;
mod tick;

pub(crate) use acts::{Act, Done, News};
pub(crate) use bots::bots;
pub(crate) use core::{Core, Move};
pub(crate) use enter::{enter, leave, look, world_of};
pub(crate) use input::{OnInput, input};
pub(crate) use live::Live;
pub(crate) use make::{create, delete, info, land_of, list};
pub(crate) use pacing::Pacing;
pub(crate) use plan::Bounds;
pub(crate) use registry::{Registry, restored};
pub(crate) use things::{change, entity, remove, spawn};

pub use input::Moved;

use lakh_hub::Socket;

use crate::Worlds;

/// Notices who goes.
pub(crate) fn install(worlds: &Worlds) {
    let module = worlds.clone();
    worlds
        .0
        .namespace
        .on_disconnect(async move |socket: Socket, _| enter::lost(&module, &socket).await);
}
