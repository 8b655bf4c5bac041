//! World: thousands move in one space, and each sees what matters, within a budget of bytes.
//!
//! `engine` is all of it that needs no socket, no clock and no store: time is the number of a tick, what goes out is bytes in
//! a buffer. A [`World`] is changed by one thread: entities come, move and go, and [`World::step`] makes a tick of it. A
//! step gives a [`View`], which many threads may read at once: each composes the frames of its own clients from it, one
//! [`Viewer`] a client. [`Replica`] is the other end. `land` is what one walks on.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

mod engine;
mod land;

pub use engine::bits::TooShort;
pub use engine::budget::LEAST_BYTES_A_SECOND;
pub use engine::entities::{Audience, EntityId, Spawn};
pub use engine::frame::{FrameError, Own};
pub use engine::quantise::Value;
pub use engine::query::{Ask, Centre, MAX_QUERY_PARTS, Query, QueryError, Shape};
pub use engine::relay::{Mirror, RelayError, Source};
pub use engine::replica::{Applied, Replica, Seen};
pub use engine::schema::{Field, FieldType, Kind, Layout, Rotation, Schema, SchemaError, Velocity};
pub use engine::view::View;
pub use engine::viewer::{Composed, MAX_GROUPS, Sight, Viewer};
pub use engine::world::{Pace, Refused, Setup, Tiers, World};
pub use land::SECTION as LAND_SECTION;
pub use land::cache::Land;
pub use land::chunk::{Chunk, MAX_TYPE_BYTES, Part};
pub use land::draft::{Changed, Draft, Expect, NotSet, SetCell, There};
pub use land::plan::{Coords, LandError, LandPlan, MAX_LAYERS};
pub use land::replica::{LandApplied, LandReplica, SectionError, SeenPart};
pub use land::viewer::{LandComposed, LandViewer};
