//! A node put together: sockets, hub, store and modules, made from the settings.
//!
//! What must hold: whatever can be wrong in the settings is found by [`Prepared::new`], which binds nothing and writes
//! nothing; `check-config` calls it too.

mod backing;
mod descriptors;
mod door;
mod fleet;
mod flows;
mod hooks;
mod host;
mod modules;
mod names;
mod neighbours;
mod observed;
mod policy;
mod prepare;
mod stored;

#[cfg(test)]
mod effect_tests;

pub use backing::Backing;
pub use descriptors::raise as raise_descriptor_limit;
pub use door::{DoorOptions, Revocations, RevokeError, guard, serve_revocations};
pub use fleet::{FleetLink, FleetPlan};
pub use flows::{leases, start_flows};
pub use hooks::start_hooks;
pub use host::service;
pub use modules::{Served, install, namespace};
pub use names::{NoRandom, random_name};
pub use neighbours::Neighbours;
pub use observed::Node;
pub use policy::{RuleError, unknown as unknown_right};
pub use prepare::{PrepareError, Prepared};
pub use stored::{FILE, tidy, tidy_chat};
