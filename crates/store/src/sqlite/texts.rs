//! The words by which entries can be found: an index of FTS5 (`words`), and which row of it is which entry (`texts`).
//!
//! New words stand in `unindexed` first, and go into the index many at a time: each transaction that touches the index writes a
//! segment of it, and merging those is most of what indexing costs (a third of all that a chat message costs the writer, one
//! at a time). A search looks through what is not indexed yet, so it finds everything all the same.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::fault::{int, uint};
use super::wiping;
use crate::batch::{Batch, Op};
use crate::limits;
use crate::query::{FoundPage, SearchCursor};
use crate::search::{self, Term};

/// Bits of an id that tell entries of one second apart.
const WITHIN: u32 = 30;
/// Times from here on (in the year 2242) share a second.
const LAST_SECOND: u64 = (1 << (63 - WITHIN)) - 1;

fn second(time_ms: u64) -> i64 {
    int((time_ms / 1000).min(LAST_SECOND))
}

/// The first and last id of a second.
fn ids(second: i64) -> (i64, i64) {
    let first = second << WITHIN;
    (first, first | ((1 << WITHIN) - 1))
}

/// What waits to be indexed, as far as the writer has to know.
#[derive(Debug, Default)]
pub(crate) struct Unindexed {
    rows: usize,
    bytes: usize,
}

/// So much waits at most, more or less: each search looks through it.
const MOST_UNINDEXED: Unindexed = Unindexed {
    rows: 128,
    bytes: 128 << 10,
};

impl Unindexed {
    pub(crate) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        conn.query_row(
            "SELECT count(*), coalesce(sum(octet_length(words)), 0) FROM unindexed",
            [],
            |row| {
                let rows: i64 = row.get(0)?;
                let bytes: i64 = row.get(1)?;
                Ok(Self {
                    rows: usize::try_from(rows).unwrap_or(0),
                    bytes: usize::try_from(bytes).unwrap_or(0),
                })
            },
        )
    }

    /// Counts what a batch may have added.
    pub(crate) fn count(&mut self, batch: &Batch) {
        for op in batch.ops() {
            match op {
                Op::Append { entries, .. } => {
                    let texts = entries.iter().filter_map(|entry| entry.text.as_deref());
                    texts.for_each(|text| self.add(text));
                }
                Op::Amend { text, .. } => text.iter().for_each(|text| self.add(text)),
                _ => {}
            }
        }
    }

    fn add(&mut self, text: &str) {
        self.rows += 1;
        self.bytes += text.len();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    pub(crate) fn is_due(&self) -> bool {
        self.rows >= MOST_UNINDEXED.rows || self.bytes >= MOST_UNINDEXED.bytes
    }
}

/// Makes an entry that has no text yet findable.
pub(crate) fn add(
    conn: &Connection,
    (log, seq): (i64, u64),
    time_ms: u64,
    text: &str,
) -> rusqlite::Result<()> {
    let words = search::folded(text);
    if words.is_empty() {
        return Ok(());
    }
    conn.prepare_cached(
        "INSERT INTO unindexed (log, seq, time_ms, words) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![log, int(seq), int(time_ms), words])?;
    Ok(())
}

/// Puts all that waits into the index.
pub(crate) fn index(conn: &Connection) -> rusqlite::Result<()> {
    let mut waiting =
        conn.prepare_cached("SELECT log, seq, time_ms, words FROM unindexed ORDER BY id")?;
    let mut rows = waiting.query([])?;
    while let Some(row) = rows.next()? {
        let words = row.get_ref(3)?.as_str()?;
        index_one(conn, (row.get(0)?, row.get(1)?), row.get(2)?, words)?;
    }
    drop(rows);
    // Or texts could be read in the file that were taken back long ago.
    wiping(conn, || {
        conn.prepare_cached("DELETE FROM unindexed")?.execute([])
    })?;
    Ok(())
}

fn index_one(
    conn: &Connection,
    (log, seq): (i64, i64),
    time_ms: i64,
    words: &str,
) -> rusqlite::Result<()> {
    let (first, last) = ids(second(uint(time_ms)));
    let newest: Option<i64> = conn
        .prepare_cached("SELECT max(id) FROM texts WHERE id BETWEEN ?1 AND ?2")?
        .query_row([first, last], |row| row.get(0))?;
    let id = newest.map_or(first, |newest| newest + 1);
    if id > last {
        // More than a thousand million texts of one second: those past that can't be found.
        return Ok(());
    }
    conn.prepare_cached("INSERT INTO texts (id, log, seq, time_ms) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![id, log, seq, time_ms])?;
    conn.prepare_cached("INSERT INTO words (rowid, log, text) VALUES (?1, ?2, ?3)")?
        .execute(params![id, log.to_string(), words])?;
    Ok(())
}

/// Makes an entry findable no more.
pub(crate) fn remove(conn: &Connection, log: i64, seq: u64) -> rusqlite::Result<()> {
    let waited = wiping(conn, || {
        conn.prepare_cached("DELETE FROM unindexed WHERE log = ?1 AND seq = ?2")?
            .execute(params![log, int(seq)])
    })?;
    if waited > 0 {
        return Ok(());
    }
    let id: Option<i64> = conn
        .prepare_cached("DELETE FROM texts WHERE log = ?1 AND seq = ?2 RETURNING id")?
        .query_row(params![log, int(seq)], |row| row.get(0))
        .optional()?;
    if let Some(id) = id {
        conn.prepare_cached("DELETE FROM words WHERE rowid = ?1")?
            .execute([id])?;
    }
    Ok(())
}

/// Makes the entries before a number findable no more.
pub(crate) fn remove_before(conn: &Connection, log: i64, seq: u64) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM unindexed WHERE log = ?1 AND seq < ?2")?
        .execute(params![log, int(seq)])?;
    let ids: Vec<i64> = conn
        .prepare_cached("SELECT id FROM texts WHERE log = ?1 AND seq < ?2")?
        .query_map(params![log, int(seq)], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    if ids.is_empty() {
        return Ok(());
    }
    let mut delete = conn.prepare_cached("DELETE FROM words WHERE rowid = ?1")?;
    for id in ids {
        delete.execute([id])?;
    }
    conn.prepare_cached("DELETE FROM texts WHERE log = ?1 AND seq < ?2")?
        .execute(params![log, int(seq)])?;
    Ok(())
}

/// Gathers hits, which come second by second from the newest, and in any order within one.
struct Found<'a> {
    before: Option<&'a SearchCursor>,
    most: usize,
    found: Vec<SearchCursor>,
    second: Vec<SearchCursor>,
}

impl Found<'_> {
    fn add(&mut self, hit: SearchCursor) {
        if self.before.is_some_and(|before| hit >= *before) {
            return;
        }
        self.second.push(hit);
        // A second may hold a great many: only the newest of them are kept.
        if self.second.len() >= 2 * self.most + 2 {
            self.second.sort_unstable_by(|a, b| b.cmp(a));
            self.second.truncate(self.most);
        }
    }

    /// The second is over. Says whether the page is full.
    fn end_second(&mut self) -> bool {
        self.second.sort_unstable_by(|a, b| b.cmp(a));
        self.found.append(&mut self.second);
        self.found.len() >= self.most
    }
}

pub(crate) fn search(
    conn: &Connection,
    logs: &[String],
    words: &str,
    before: Option<&SearchCursor>,
    limit: usize,
) -> rusqlite::Result<FoundPage> {
    let limit = limits::page(limit);
    let names = named(conn, logs)?;
    // What makes no terms was refused before.
    let terms = search::terms(words).unwrap_or_default();
    if terms.is_empty() || names.is_empty() {
        return Ok(FoundPage::of(Vec::new(), limit));
    }
    let most = limit + 1;
    let mut found = unindexed(conn, &names, &terms, before)?;
    found.append(&mut indexed(conn, &names, &terms, before, most)?);
    found.sort_unstable_by(|a, b| b.cmp(a));
    found.truncate(most);
    Ok(FoundPage::of(found, limit))
}

type Names<'a> = HashMap<i64, &'a String>;

/// What of it is not in the index yet.
fn unindexed(
    conn: &Connection,
    names: &Names<'_>,
    terms: &[Term],
    before: Option<&SearchCursor>,
) -> rusqlite::Result<Vec<SearchCursor>> {
    let mut statement = conn.prepare_cached("SELECT log, seq, time_ms, words FROM unindexed")?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let Some(log) = names.get(&row.get(0)?) else {
            continue;
        };
        let hit = SearchCursor {
            time_ms: uint(row.get(2)?),
            log: (*log).clone(),
            seq: uint(row.get(1)?),
        };
        let is_before = before.is_none_or(|before| hit < *before);
        if is_before && search::matches(row.get_ref(3)?.as_str()?, terms) {
            found.push(hit);
        }
    }
    Ok(found)
}

/// The newest of it that are in the index, `most` of them.
fn indexed(
    conn: &Connection,
    names: &Names<'_>,
    terms: &[Term],
    before: Option<&SearchCursor>,
    most: usize,
) -> rusqlite::Result<Vec<SearchCursor>> {
    let any: Vec<String> = names.keys().map(|log| format!("\"{log}\"")).collect();
    let question = format!(
        "text : ({}) AND log : ({})",
        search::fts_query(terms),
        any.join(" OR ")
    );
    let last = before.map_or(i64::MAX, |before| ids(second(before.time_ms)).1);
    let mut statement = conn.prepare_cached(
        "SELECT texts.log, texts.seq, texts.time_ms FROM words CROSS JOIN texts ON texts.id = words.rowid
         WHERE words MATCH ?1 AND words.rowid <= ?2 ORDER BY words.rowid DESC",
    )?;
    let mut rows = statement.query(params![question, last])?;
    let mut found = Found {
        before,
        most,
        found: Vec::new(),
        second: Vec::new(),
    };
    let mut now = None;
    while let Some(row) = rows.next()? {
        let Some(log) = names.get(&row.get(0)?) else {
            continue;
        };
        let time_ms = uint(row.get(2)?);
        let earlier = now
            .replace(second(time_ms))
            .is_some_and(|now| now != second(time_ms));
        if earlier && found.end_second() {
            break;
        }
        found.add(SearchCursor {
            time_ms,
            log: (*log).clone(),
            seq: uint(row.get(1)?),
        });
    }
    found.end_second();
    Ok(found.found)
}

/// The ids of logs that are there.
fn named<'a>(conn: &Connection, logs: &'a [String]) -> rusqlite::Result<Names<'a>> {
    let mut statement = conn.prepare_cached("SELECT id FROM logs WHERE name = ?1")?;
    let mut names = HashMap::new();
    for log in logs {
        if let Some(id) = statement.query_row([log], |row| row.get(0)).optional()? {
            names.insert(id, log);
        }
    }
    Ok(names)
}
