//! Documents in a map for each collection.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use bytes::Bytes;

use super::{Refusal, Undo};
use crate::batch::Purged;
use crate::documents::{Condition, DeleteRange, DeletedRange, Document, Gather, Order, Page, Scan};
use crate::limits::REMOVE_AT_ONCE;

pub(crate) type Stored = Document;

#[derive(Default)]
pub(crate) struct Documents {
    collections: HashMap<String, BTreeMap<String, Stored>>,
    versions: u64,
}

fn alive(document: &Stored, now_ms: u64) -> bool {
    document
        .expires_at_ms
        .is_none_or(|expires_at_ms| expires_at_ms > now_ms)
}

impl Documents {
    pub(crate) fn get(&self, collection: &str, key: &str, now_ms: u64) -> Option<Stored> {
        let document = self.collections.get(collection)?.get(key)?;
        alive(document, now_ms).then(|| document.clone())
    }

    /// The current version, if the condition holds for it.
    pub(crate) fn meets(
        &self,
        (collection, key): (&str, &str),
        condition: Condition,
        now_ms: u64,
    ) -> Result<Option<u64>, Refusal> {
        let current = self
            .get(collection, key, now_ms)
            .map(|document| document.version);
        if condition.holds(current) {
            Ok(current)
        } else {
            Err(Refusal::Conflict(current))
        }
    }

    pub(crate) fn put(
        &mut self,
        collection: &str,
        key: &str,
        value: Bytes,
        expires_at_ms: Option<u64>,
        undo: &mut Vec<Undo>,
    ) -> u64 {
        self.versions += 1;
        let document = Document {
            value,
            version: self.versions,
            expires_at_ms,
        };
        let before = self
            .collections
            .entry(collection.to_owned())
            .or_default()
            .insert(key.to_owned(), document);
        undo.push(Undo::Document(
            collection.to_owned(),
            key.to_owned(),
            before,
        ));
        self.versions
    }

    pub(crate) fn touch(
        &mut self,
        (collection, key): (&str, &str),
        now_ms: u64,
        expires_at_ms: Option<u64>,
        undo: &mut Vec<Undo>,
    ) -> bool {
        let Some(document) = self
            .collections
            .get_mut(collection)
            .and_then(|documents| documents.get_mut(key))
        else {
            return false;
        };
        if !alive(document, now_ms) {
            return false;
        }
        undo.push(Undo::Document(
            collection.to_owned(),
            key.to_owned(),
            Some(document.clone()),
        ));
        document.expires_at_ms = expires_at_ms;
        true
    }

    pub(crate) fn delete(&mut self, collection: &str, key: &str, undo: &mut Vec<Undo>) {
        let Some(documents) = self.collections.get_mut(collection) else {
            return;
        };
        let before = documents.remove(key);
        if documents.is_empty() {
            self.collections.remove(collection);
        }
        undo.push(Undo::Document(
            collection.to_owned(),
            key.to_owned(),
            before,
        ));
    }

    pub(crate) fn delete_range(
        &mut self,
        collection: &str,
        range: &DeleteRange,
        now_ms: u64,
        undo: &mut Vec<Undo>,
    ) -> DeletedRange {
        let Some(documents) = self.collections.get(collection) else {
            return DeletedRange {
                removed: 0,
                more: false,
            };
        };
        let live = within(documents, &range.scan()).filter(|(_, document)| alive(document, now_ms));
        let most = range.most();
        let keys: Vec<String> = live.map(|(key, _)| key.clone()).take(most + 1).collect();
        for key in keys.iter().take(most) {
            self.delete(collection, key, undo);
        }
        DeletedRange {
            removed: keys.len().min(most) as u64,
            more: keys.len() > most,
        }
    }

    pub(crate) fn restore(&mut self, collection: &str, key: &str, before: Option<Stored>) {
        match before {
            Some(document) => {
                let documents = self.collections.entry(collection.to_owned()).or_default();
                documents.insert(key.to_owned(), document);
            }
            None => self.delete(collection, key, &mut Vec::new()),
        }
    }

    pub(crate) fn purge(&mut self, now_ms: u64, limit: usize, undo: &mut Vec<Undo>) -> Purged {
        let limit = limit.clamp(1, REMOVE_AT_ONCE);
        let mut expired = Vec::new();
        for (collection, documents) in &self.collections {
            let dead = documents
                .iter()
                .filter(|(_, document)| !alive(document, now_ms));
            expired.extend(dead.map(|(key, _)| (collection.clone(), key.clone())));
        }
        expired.truncate(limit);
        for (collection, key) in &expired {
            self.delete(collection, key, undo);
        }
        Purged {
            removed: expired.len() as u64,
            more: expired.len() >= limit,
        }
    }

    pub(crate) fn scan(
        &self,
        collection: &str,
        scan: &Scan,
        now_ms: u64,
    ) -> Page<(String, Stored)> {
        let mut page = Gather::new(scan.limit);
        let Some(documents) = self.collections.get(collection) else {
            return page.into_page();
        };
        for (key, document) in within(documents, scan) {
            if !alive(document, now_ms) {
                continue;
            }
            if !page.has_room(document.value.len()) {
                break;
            }
            page.add((key.clone(), document.clone()), document.value.len());
        }
        page.into_page()
    }
}

/// The names that a scan means, in its order.
pub(crate) fn within<'a, T>(
    names: &'a BTreeMap<String, T>,
    scan: &Scan,
) -> Box<dyn Iterator<Item = (&'a String, &'a T)> + 'a> {
    let (lower, upper) = scan.bounds();
    // A map panics at a range that ends before it begins.
    if upper.as_ref().is_some_and(|upper| *upper <= lower) {
        return Box::new(std::iter::empty());
    }
    let upper = upper.map_or(Bound::Unbounded, Bound::Excluded);
    let range = names.range((Bound::Included(lower), upper));
    match scan.order {
        Order::Ascending => Box::new(range),
        Order::Descending => Box::new(range.rev()),
    }
}
