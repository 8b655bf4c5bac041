//! The words by which entries can be found: an index of FTS5 (`words`), and which row of it is which entry (`texts`).

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::fault::{Fault, int, uint};
use crate::limits;
use crate::query::{FoundPage, SearchCursor};
use crate::search;

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

/// Makes an entry that has no text yet findable.
pub(crate) fn add(
    conn: &Connection,
    (log, seq): (i64, u64),
    time_ms: u64,
    text: &str,
) -> Result<(), Fault> {
    let words = search::folded(text);
    if words.is_empty() {
        return Ok(());
    }
    let (first, last) = ids(second(time_ms));
    let newest: Option<i64> = conn
        .prepare_cached("SELECT max(id) FROM texts WHERE id BETWEEN ?1 AND ?2")?
        .query_row([first, last], |row| row.get(0))?;
    let id = newest.map_or(first, |newest| newest + 1);
    if id > last {
        return Err(Fault::Invalid(
            "the store holds a thousand million texts of one second; spread their times".to_owned(),
        ));
    }
    conn.prepare_cached("INSERT INTO texts (id, log, seq, time_ms) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![id, log, int(seq), int(time_ms)])?;
    conn.prepare_cached("INSERT INTO words (rowid, log, text) VALUES (?1, ?2, ?3)")?
        .execute(params![id, log.to_string(), words])?;
    Ok(())
}

/// Makes an entry findable no more.
pub(crate) fn remove(conn: &Connection, log: i64, seq: u64) -> rusqlite::Result<()> {
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
    let any: Vec<String> = names.keys().map(|log| format!("\"{log}\"")).collect();
    let question = format!(
        "text : ({}) AND log : ({})",
        search::fts_query(&terms),
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
        most: limit + 1,
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
    Ok(FoundPage::of(found.found, limit))
}

/// The ids of logs that are there.
fn named<'a>(conn: &Connection, logs: &'a [String]) -> rusqlite::Result<HashMap<i64, &'a String>> {
    let mut statement = conn.prepare_cached("SELECT id FROM logs WHERE name = ?1")?;
    let mut names = HashMap::new();
    for log in logs {
        if let Some(id) = statement.query_row([log], |row| row.get(0)).optional()? {
            names.insert(id, log);
        }
    }
    Ok(names)
}
