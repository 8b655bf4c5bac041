//! Documents: values under a collection and a key, each with a version.
//!
//! Versions grow with every put and are never given twice in a store, so a compare-and-set can't be fooled by a document that
//! was deleted and made anew in between.

use bytes::Bytes;

use crate::limits::REMOVE_AT_ONCE;

/// A stored value as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The bytes that were put.
    pub value: Bytes,
    /// Changes with every put; to be given back in [`Condition::Version`]. Says nothing about how often it changed.
    pub version: u64,
    /// Milliseconds since 1970 from which the document is gone; `None` stays.
    pub expires_at_ms: Option<u64>,
}

impl Document {
    /// The value, where it is a number in decimal digits.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        std::str::from_utf8(&self.value).ok()?.parse().ok()
    }
}

/// What must hold for a put or delete to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    Any,
    /// There is no such document (an expired one is none).
    Absent,
    /// The document is there and at this version.
    Version(u64),
}

impl Condition {
    /// Whether it holds for a document at `current`.
    pub(crate) fn holds(self, current: Option<u64>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => current.is_none(),
            Self::Version(wanted) => current == Some(wanted),
        }
    }
}

/// Which way a page goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Smallest key, sequence number or score first.
    #[default]
    Ascending,
    /// Largest first.
    Descending,
}

/// Which names to list, in order of their bytes.
#[derive(Clone, Debug)]
pub struct Scan {
    /// Only names that begin so; empty for all.
    pub prefix: String,
    /// Only names at or after this one.
    pub from: Option<String>,
    /// Only names before this one.
    pub to: Option<String>,
    /// Go on after this name: the `next` of the page before.
    pub after: Option<String>,
    /// Most items in the page, at most [`MAX_PAGE`](crate::MAX_PAGE).
    pub limit: usize,
    /// Which way.
    pub order: Order,
}

impl Default for Scan {
    fn default() -> Self {
        Self {
            prefix: String::new(),
            from: None,
            to: None,
            after: None,
            limit: 100,
            order: Order::Ascending,
        }
    }
}

impl Scan {
    /// All names with a prefix, in pages of 100, ascending.
    #[must_use]
    pub fn prefix(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            ..Self::default()
        }
    }

    /// Sets the size of a page.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Sets the direction.
    #[must_use]
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Goes on after the page whose `next` this is.
    #[must_use]
    pub fn after(mut self, cursor: Option<String>) -> Self {
        self.after = cursor;
        self
    }

    /// The names meant, as one half-open range: at or after the first, before the second.
    ///
    /// The name that follows `x` at once in byte order is `x\0`, so "after x" is "at or after x\0".
    pub(crate) fn bounds(&self) -> (String, Option<String>) {
        let mut lower = self.prefix.clone();
        let mut upper = after_prefix(&self.prefix);
        if let Some(from) = &self.from {
            lower = lower.max(from.clone());
        }
        if let Some(to) = &self.to {
            upper = sooner(upper, to.clone());
        }
        match (&self.after, self.order) {
            (Some(after), Order::Ascending) => lower = lower.max(format!("{after}\0")),
            (Some(after), Order::Descending) => upper = sooner(upper, after.clone()),
            (None, _) => {}
        }
        (lower, upper)
    }
}

/// Which documents to delete, in order of their keys' bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteRange {
    /// Only keys that begin so; empty for the whole collection.
    pub prefix: String,
    /// Only keys at or after this one.
    pub from: Option<String>,
    /// Only keys before this one.
    pub to: Option<String>,
    /// Most documents, from 1 to [`REMOVE_AT_ONCE`](crate::REMOVE_AT_ONCE).
    pub limit: usize,
}

impl DeleteRange {
    /// All keys with a prefix, as many as one operation takes.
    #[must_use]
    pub fn prefix(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            from: None,
            to: None,
            limit: REMOVE_AT_ONCE,
        }
    }

    pub(crate) fn most(&self) -> usize {
        self.limit.clamp(1, REMOVE_AT_ONCE)
    }

    /// At or after the first, before the second.
    pub(crate) fn bounds(&self) -> (String, Option<String>) {
        self.scan().bounds()
    }

    pub(crate) fn scan(&self) -> Scan {
        Scan {
            prefix: self.prefix.clone(),
            from: self.from.clone(),
            to: self.to.clone(),
            ..Scan::default()
        }
    }

    pub(crate) fn takes(&self, key: &str) -> bool {
        let (lower, upper) = self.bounds();
        *key >= *lower && upper.is_none_or(|upper| *key < *upper)
    }
}

/// What deleting a range did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeletedRange {
    /// How many documents went. (One that has expired is none, and is left to the purges.)
    pub removed: u64,
    /// The range holds more; delete again.
    pub more: bool,
}

fn sooner(upper: Option<String>, other: String) -> Option<String> {
    Some(match upper {
        Some(upper) => upper.min(other),
        None => other,
    })
}

/// The first name after all names that begin with `prefix`, if there is one. UTF-8 sorts as its code points do, so it is
/// the prefix with its last character moved up by one (past the gap of the surrogates).
fn after_prefix(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        let next = match last {
            '\u{D7FF}' => Some('\u{E000}'),
            other => char::from_u32(other as u32 + 1),
        };
        if let Some(next) = next {
            end.push(next);
            return Some(end);
        }
    }
    None
}

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, in the order asked for.
    pub items: Vec<T>,
    /// To be given as [`Scan::after`] for the next page; `None` when this was the last.
    pub next: Option<String>,
}

/// Gathers a page: knows when it is full, and whether anything is left behind it.
pub(crate) struct Gather<T> {
    items: Vec<T>,
    limit: usize,
    bytes: usize,
    more: bool,
}

impl<T> Gather<T> {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            items: Vec::new(),
            limit: crate::limits::page(limit),
            bytes: 0,
            more: false,
        }
    }

    /// Whether an item of `bytes` finds room; if not, the page is over and `more` is known.
    pub(crate) fn has_room(&mut self, bytes: usize) -> bool {
        let full = self.items.len() >= self.limit;
        let heavy = !self.items.is_empty() && self.bytes + bytes > crate::limits::PAGE_BYTES;
        self.more = full || heavy;
        !self.more
    }

    pub(crate) fn add(&mut self, item: T, bytes: usize) {
        self.bytes += bytes;
        self.items.push(item);
    }

    pub(crate) fn into_items(self) -> (Vec<T>, bool) {
        (self.items, self.more)
    }
}

impl<T> Gather<(String, T)> {
    pub(crate) fn into_page(self) -> Page<(String, T)> {
        let next = match self.items.last() {
            Some((name, _)) if self.more => Some(name.clone()),
            _ => None,
        };
        Page {
            items: self.items,
            next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_is_the_next_character() {
        assert_eq!(after_prefix("room:"), Some("room;".to_owned()));
        assert_eq!(after_prefix("a\u{D7FF}"), Some("a\u{E000}".to_owned()));
        assert_eq!(after_prefix("a\u{10FFFF}"), Some("b".to_owned()));
        assert_eq!(after_prefix("\u{10FFFF}"), None);
        assert_eq!(after_prefix(""), None);
    }

    #[test]
    fn a_cursor_narrows_the_range_on_the_side_it_comes_from() {
        let scan = Scan::prefix("k").after(Some("k5".to_owned()));
        assert_eq!(scan.bounds(), ("k5\0".to_owned(), Some("l".to_owned())));
        let scan = scan.order(Order::Descending);
        assert_eq!(scan.bounds(), ("k".to_owned(), Some("k5".to_owned())));
    }
}
