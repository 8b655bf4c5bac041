//! The other doors: hooks to backends, and events from and to message brokers.

pub mod flows;
pub mod hooks;
pub mod lease;
mod told;

/// The parsers of what backends and brokers send, for the fuzz targets.
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::flows::Entry;
    pub use crate::hooks::{On, changed};
}
