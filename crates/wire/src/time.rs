//! Time as a number that the caller passes in: milliseconds on a monotonic clock whose zero is arbitrary.

use std::ops::{Add, AddAssign};

/// A point in time, or a span of it, in milliseconds. Points come from one monotonic clock of the caller's
/// choosing; only their order and their differences mean anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// No time at all.
    pub const ZERO: Millis = Millis(0);

    /// This point moved on by `span`, stopping at the end of time instead of wrapping.
    #[must_use]
    pub const fn saturating_add(self, span: Millis) -> Millis {
        Millis(self.0.saturating_add(span.0))
    }

    /// The span from `earlier` to this point; zero if `earlier` is in fact later.
    #[must_use]
    pub const fn saturating_sub(self, earlier: Millis) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }

    /// A span of whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Millis {
        Millis(seconds.saturating_mul(1000))
    }
}

impl Add for Millis {
    type Output = Millis;

    /// Saturates, as [`Millis::saturating_add`].
    fn add(self, span: Millis) -> Millis {
        self.saturating_add(span)
    }
}

impl AddAssign for Millis {
    fn add_assign(&mut self, span: Millis) {
        *self = *self + span;
    }
}
