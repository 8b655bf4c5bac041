//! Messages: sending, reading, and what becomes of them.

mod history;
mod send;
mod view;

pub(crate) use history::history;
pub(crate) use send::send;
pub(crate) use view::{of_entry, read_one, read_page};
