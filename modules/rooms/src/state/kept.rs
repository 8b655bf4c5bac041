//! State in the store: heads, entries and the newest changes, and how they are read and written.
//!
//! | collection | key | value |
//! |---|---|---|
//! | `rooms.heads` | `s:` or `l:` (state or locks) and the room | `{"version"}` of the room |
//! | `rooms.state:ROOM`, `rooms.locks:ROOM` | the entry's key | the entry |
//! | `rooms.changes:s:ROOM`, `rooms.changes:l:ROOM` | 20 digits of the last version of a commit | the commit |
//!
//! Whoever writes puts the head anew on the condition that nobody else has since it was read: so all nodes make their
//! changes one after the other, and a batch is a commit. Commits expire; the head of an empty room does after a day.

use std::sync::Arc;

use lakh_hub::store::{
    Answer, Applied, Batch, Condition, Document, Page, Query, ReadError, Scan, Store, WriteError,
};
use serde::{Deserialize, Serialize};

use super::entry::{Commit, Entry};
use super::replica::Replica;
use super::{Kind, SpaceKey};

/// How long the head of a room without entries is kept: longer than its version can be ahead of the clock.
const EMPTY_MS: u64 = 86_400_000;
/// Documents in a page.
const PAGE: usize = 1_000;
const HEADS: &str = "rooms.heads";

/// The one document of a room that all its writers put.
#[derive(Serialize, Deserialize)]
struct Head {
    version: u64,
}

/// A head as it was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// The document's version in the store.
    pub head: u64,
    /// The room's version.
    pub version: u64,
}

/// What was read of the changes since a version.
pub(super) struct Newer {
    pub found: Option<Found>,
    pub commits: Vec<Arc<Commit>>,
}

impl SpaceKey {
    fn head(&self) -> String {
        format!("{}:{}", self.letter(), self.room)
    }

    fn entries(&self) -> String {
        let kind = match self.kind {
            Kind::State => "state",
            Kind::Locks => "locks",
        };
        format!("rooms.{kind}:{}", self.room)
    }

    fn changes(&self) -> String {
        format!("rooms.changes:{}:{}", self.letter(), self.room)
    }
}

/// A number whose order is that of its text.
fn digits(version: u64) -> String {
    format!("{version:020}")
}

fn unreadable(what: &str, error: &serde_json::Error) -> ReadError {
    ReadError::Failed(format!("{what} of a room can't be read: {error}").into())
}

fn head_of(answer: Option<Answer>) -> Result<Option<Found>, ReadError> {
    let Some(Answer::Document(document)) = answer else {
        return Err(ReadError::Failed("the store gave another answer".into()));
    };
    let found = |document: Document| {
        let head: Head = serde_json::from_slice(&document.value)?;
        Ok(Found {
            head: document.version,
            version: head.version,
        })
    };
    document
        .map(found)
        .transpose()
        .map_err(|error| unreadable("the head", &error))
}

fn page_of(answer: Option<Answer>) -> Result<Page<(String, Document)>, ReadError> {
    match answer {
        Some(Answer::Documents(page)) => Ok(page),
        _ => Err(ReadError::Failed("the store gave another answer".into())),
    }
}

fn commits_of(page: Page<(String, Document)>) -> Result<Vec<Arc<Commit>>, ReadError> {
    let read = |(_, document): (String, Document)| serde_json::from_slice(&document.value);
    let commits: Result<Vec<_>, _> = page.items.into_iter().map(read).collect();
    commits.map_err(|error| unreadable("a change", &error))
}

/// The head, and commits behind a version: of one moment.
pub(super) async fn newer(
    store: &Store,
    now_ms: u64,
    key: &SpaceKey,
    version: u64,
) -> Result<Newer, ReadError> {
    let scan = Scan {
        from: Some(digits(version + 1)),
        limit: PAGE,
        ..Scan::default()
    };
    let mut answers = store
        .read(now_ms, vec![get_head(key), changes(key, scan)])
        .await?;
    let commits = commits_of(page_of(answers.pop())?)?;
    Ok(Newer {
        found: head_of(answers.pop())?,
        commits,
    })
}

fn get_head(key: &SpaceKey) -> Query {
    Query::Get {
        collection: HEADS.to_owned(),
        key: key.head(),
    }
}

fn changes(key: &SpaceKey, scan: Scan) -> Query {
    Query::Scan {
        collection: key.changes(),
        scan,
    }
}

/// Reads a room. Pages after the first may be newer than the head: what has changed since then is read behind them, and
/// taken in where it's missing.
pub(super) async fn load(store: &Store, now_ms: u64, key: &SpaceKey) -> Result<Replica, ReadError> {
    let scan = |after| Query::Scan {
        collection: key.entries(),
        scan: Scan::default().limit(PAGE).after(after),
    };
    let recent = Scan::default().limit(PAGE);
    let queries = vec![get_head(key), changes(key, recent), scan(None)];
    let mut answers = store.read(now_ms, queries).await?;
    let mut page = page_of(answers.pop())?;
    let recent = commits_of(page_of(answers.pop())?)?;
    let Some(found) = head_of(answers.pop())? else {
        return Ok(Replica::new(now_ms));
    };
    let mut entries = Vec::new();
    loop {
        for (name, document) in page.items {
            let entry: Entry = serde_json::from_slice(&document.value)
                .map_err(|error| unreadable("an entry", &error))?;
            entries.push((Arc::from(name), Arc::new(entry)));
        }
        let Some(next) = page.next else { break };
        page = page_of(store.read(now_ms, vec![scan(Some(next))]).await?.pop())?;
    }
    let mut replica = Replica::load(found.version, found.head, entries);
    for commit in recent {
        if commit.last() <= found.version {
            replica.remember(&commit);
        }
    }
    Ok(replica)
}

/// What a commit writes.
pub(super) struct Writing<'a> {
    pub key: &'a SpaceKey,
    pub commit: &'a Commit,
    /// The head that it's written behind; 0 if there is none.
    pub head: u64,
    /// Nothing is left in the room.
    pub empty: bool,
    /// How long the commit itself is kept.
    pub kept_ms: u64,
    pub now_ms: u64,
}

impl Writing<'_> {
    fn batch(&self) -> Result<Batch, serde_json::Error> {
        let now_ms = self.now_ms;
        let condition = match self.head {
            0 => Condition::Absent,
            version => Condition::Version(version),
        };
        let version = self.commit.last();
        let head = serde_json::to_vec(&Head { version })?;
        let expires = self.empty.then(|| now_ms + EMPTY_MS);
        let mut batch = Batch::new(now_ms);
        batch = batch.put(HEADS, &self.key.head(), head, condition, expires);
        let entries = self.key.entries();
        for change in &self.commit.changes {
            batch = match &change.entry {
                Some(entry) => {
                    let value = serde_json::to_vec(&**entry)?;
                    batch.put(&entries, &change.key, value, Condition::Any, None)
                }
                None => batch.delete(&entries, &change.key, Condition::Any),
            };
        }
        let value = serde_json::to_vec(self.commit)?;
        let expires = Some(now_ms + self.kept_ms);
        let name = digits(version);
        Ok(batch.put(&self.key.changes(), &name, value, Condition::Any, expires))
    }

    /// Writes it, and gives the new head.
    pub(super) async fn write(self, store: &Store) -> Result<u64, WriteError> {
        let batch = self
            .batch()
            .map_err(|error| WriteError::Failed(error.to_string().into()))?;
        match store.write(batch).await?.first() {
            Some(Applied::Put { version }) => Ok(*version),
            _ => Err(WriteError::Failed("the store gave another result".into())),
        }
    }
}

/// Lives of nodes that look after entries.
const NODES: &str = "rooms.nodes";

/// Says that this node lives, for so long.
pub(super) async fn beat(
    store: &Store,
    now_ms: u64,
    node: &str,
    lasts_ms: u64,
) -> Result<(), WriteError> {
    let value = Vec::new().into();
    let put = store.put(
        now_ms,
        NODES,
        node,
        value,
        Condition::Any,
        Some(now_ms + lasts_ms),
    );
    put.await.map(drop)
}

/// Nodes that live. There are as many as the fleet has, and a page holds a thousand.
pub(super) async fn living(store: &Store, now_ms: u64) -> Result<Vec<String>, ReadError> {
    let page = store
        .scan(now_ms, NODES, Scan::default().limit(PAGE))
        .await?;
    Ok(page.items.into_iter().map(|(name, _)| name).collect())
}
