//! A room's state as this node has it, and changes in the making.
//!
//! What always holds: the version grows by one with each change and never goes back, over all lives of a room: it begins
//! with the milliseconds since 1970 at which the room's state was made, and a room that was forgotten is silent for
//! longer than it could have been ahead of the clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::entry::{By, Change, Commit, Entry, Why};

/// Bytes of the newest changes that are kept for `state:since`.
const RECENT_BYTES: usize = 256 << 10;
/// How many of them.
const RECENT: usize = 1_000;

/// What stands under the keys of a room.
#[derive(Debug)]
pub(crate) struct Replica {
    entries: BTreeMap<Arc<str>, Arc<Entry>>,
    expiries: BTreeSet<(u64, Arc<str>)>,
    /// Entries that go with somebody.
    owned: usize,
    version: u64,
    bytes: usize,
    recent: VecDeque<Arc<Commit>>,
    recent_bytes: usize,
    /// The version of the room's head in the store; 0 if there is none.
    pub head: u64,
}

impl Replica {
    /// Empty, at a version. The next change has the number behind it.
    pub(crate) fn new(version: u64) -> Self {
        Self {
            entries: BTreeMap::new(),
            expiries: BTreeSet::new(),
            owned: 0,
            version,
            bytes: 0,
            recent: VecDeque::new(),
            recent_bytes: 0,
            head: 0,
        }
    }

    /// As it was read.
    pub(crate) fn load(
        version: u64,
        head: u64,
        entries: impl IntoIterator<Item = (Arc<str>, Arc<Entry>)>,
    ) -> Self {
        let mut replica = Self::new(version);
        replica.head = head;
        for (key, entry) in entries {
            replica.put(key, Some(entry));
        }
        replica
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Arc<Entry>> {
        self.entries.get(key)
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<Entry>)> {
        self.entries.iter()
    }

    /// Entries whose keys begin so.
    pub(crate) fn with_prefix(
        &self,
        prefix: &str,
    ) -> impl Iterator<Item = (&Arc<str>, &Arc<Entry>)> {
        let from = (
            std::ops::Bound::Included(prefix),
            std::ops::Bound::Unbounded,
        );
        let prefix = prefix.to_owned();
        let range = self.entries.range::<str, _>(from);
        range.take_while(move |(key, _)| key.starts_with(&prefix))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// When the next entry expires.
    pub(crate) fn next_expiry(&self) -> Option<u64> {
        self.expiries.first().map(|(at, _)| *at)
    }

    /// Whether any entry goes with somebody.
    pub(crate) fn has_owners(&self) -> bool {
        self.owned > 0
    }

    fn put(&mut self, key: Arc<str>, entry: Option<Arc<Entry>>) {
        let old = match &entry {
            Some(entry) => {
                self.bytes += entry.bytes(&key);
                self.owned += usize::from(entry.owner.is_some());
                if let Some(at) = entry.expires_at {
                    self.expiries.insert((at, Arc::clone(&key)));
                }
                self.entries.insert(Arc::clone(&key), Arc::clone(entry))
            }
            None => self.entries.remove(&key),
        };
        let Some(old) = old else { return };
        self.bytes -= old.bytes(&key);
        self.owned -= usize::from(old.owner.is_some());
        let kept = entry.and_then(|entry| entry.expires_at);
        if let Some(at) = old.expires_at.filter(|at| kept != Some(*at)) {
            self.expiries.remove(&(at, key));
        }
    }

    /// Takes changes in, if they come next. What is there already is passed over: an entry may have been read after the
    /// change that made it. Gives what stood there before each change. `false`: something before them is missing.
    pub(crate) fn apply(&mut self, commit: &Arc<Commit>) -> Option<Vec<Option<Arc<Entry>>>> {
        if commit.last() <= self.version {
            return Some(Vec::new());
        }
        if commit.first() > self.version + 1 {
            return None;
        }
        let mut before = Vec::with_capacity(commit.changes.len());
        for change in &commit.changes {
            before.push(self.entries.get(&change.key).cloned());
            self.put(Arc::clone(&change.key), change.entry.clone());
        }
        self.version = commit.last();
        self.head = commit.head;
        self.remember(commit);
        Some(before)
    }

    /// Keeps a commit for those who ask what has changed since.
    pub(crate) fn remember(&mut self, commit: &Arc<Commit>) {
        self.recent_bytes += commit.bytes();
        self.recent.push_back(Arc::clone(commit));
        while self.recent.len() > RECENT
            || self.recent_bytes > RECENT_BYTES && self.recent.len() > 1
        {
            let gone = self.recent.pop_front();
            self.recent_bytes -= gone.map_or(0, |gone| gone.bytes());
        }
    }

    /// What has changed since a version. `None`, if that is too long ago, or never was.
    pub(crate) fn since(&self, version: u64) -> Option<Vec<Change>> {
        if version == self.version {
            return Some(Vec::new());
        }
        let reaches = self.recent.front().map_or(u64::MAX, |first| first.first());
        if version > self.version || version + 1 < reaches {
            return None;
        }
        let changes = self.recent.iter().flat_map(|commit| &commit.changes);
        let newer = changes.filter(|change| change.version > version);
        Some(newer.cloned().collect())
    }

    /// Whether this commit is among the newest.
    pub(crate) fn knows(&self, id: &str) -> bool {
        self.recent.iter().any(|commit| *commit.id == *id)
    }
}

/// Changes that are about to be made to a room, one after the other, each seeing those before it.
pub(crate) struct Draft<'a> {
    base: &'a Replica,
    over: BTreeMap<Arc<str>, Option<Arc<Entry>>>,
    changes: Vec<Change>,
    keys: usize,
    bytes: usize,
    now_ms: u64,
}

/// What a room may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub max_keys: usize,
    pub max_bytes: usize,
}

/// A value to be put, or nothing.
pub(crate) struct Put {
    pub key: Arc<str>,
    pub entry: Option<Entry>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(base: &'a Replica, now_ms: u64) -> Self {
        Self {
            base,
            over: BTreeMap::new(),
            changes: Vec::new(),
            keys: base.entries.len(),
            bytes: base.bytes,
            now_ms,
        }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// The number that the next change gets.
    pub(crate) fn next_version(&self) -> u64 {
        self.base.version + self.changes.len() as u64 + 1
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Arc<Entry>> {
        match self.over.get(key) {
            Some(changed) => changed.as_ref(),
            None => self.base.entries.get(key),
        }
    }

    /// All keys that are there now.
    pub(crate) fn keys(&self) -> Vec<Arc<str>> {
        let of_base = self.base.entries.keys();
        let kept = of_base.filter(|key| !self.over.contains_key(*key)).cloned();
        let changed = self.over.iter().filter(|(_, entry)| entry.is_some());
        kept.chain(changed.map(|(key, _)| Arc::clone(key)))
            .collect()
    }

    /// Keys whose time is over, in the order of their times.
    pub(crate) fn due(&self) -> Vec<Arc<str>> {
        let due = self.base.expiries.iter();
        let due = due.take_while(|(at, _)| *at <= self.now_ms);
        due.map(|(_, key)| Arc::clone(key)).collect()
    }

    /// Whether all this finds room, together.
    pub(crate) fn fits(&self, puts: &[Put], bounds: Bounds) -> Result<(), String> {
        let (mut keys, mut bytes) = (self.keys, self.bytes);
        let mut grows = false;
        for Put { key, entry } in puts {
            let old = self.get(key).map(|old| old.bytes(key));
            keys -= usize::from(old.is_some());
            bytes -= old.unwrap_or(0);
            if let Some(entry) = entry {
                grows = true;
                keys += 1;
                bytes += entry.bytes(key);
            }
        }
        if grows && keys > bounds.max_keys {
            return Err(format!(
                "the room would have {keys} keys; {} are allowed",
                bounds.max_keys
            ));
        }
        if grows && bytes > bounds.max_bytes {
            let most = bounds.max_bytes;
            return Err(format!(
                "the room would have {bytes} bytes; {most} are allowed"
            ));
        }
        Ok(())
    }

    /// Makes one change. Removing what isn't there is none. Gives its number.
    pub(crate) fn put(&mut self, put: Put, by: Option<&Arc<By>>, why: Option<Why>) -> Option<u64> {
        let Put { key, entry } = put;
        let old = self.get(&key).map(|old| old.bytes(&key));
        if old.is_none() && entry.is_none() {
            return None;
        }
        let version = self.next_version();
        let entry = entry.map(|mut entry| {
            entry.version = version;
            Arc::new(entry)
        });
        self.keys -= usize::from(old.is_some());
        self.bytes -= old.unwrap_or(0);
        if let Some(entry) = &entry {
            self.keys += 1;
            self.bytes += entry.bytes(&key);
        }
        self.over.insert(Arc::clone(&key), entry.clone());
        self.changes.push(Change {
            key,
            version,
            entry,
            by: by.cloned(),
            why,
        });
        Some(version)
    }

    /// The changes, and whether nothing is left behind them.
    pub(crate) fn into_changes(self) -> (Vec<Change>, bool) {
        (self.changes, self.keys == 0)
    }
}
