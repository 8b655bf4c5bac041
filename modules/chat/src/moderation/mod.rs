//! Keeping order.

mod check;

pub(crate) use check::{check, check_edit};
