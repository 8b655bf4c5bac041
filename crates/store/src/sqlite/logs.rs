//! Logs: a row of `logs` says how far each reaches, `entries` holds what is kept of it.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};

use super::documents::upper_end;
use super::fault::{Fault, int, uint};
use super::{texts, wiping};
use crate::documents::{Gather, Order, Page, Scan};
use crate::limits::REMOVE_AT_ONCE;
use crate::logs::{
    Appended, Entry, LogEntry, LogInfo, LogPage, Placed, Range, Trim, Trimmed, entry_bytes,
};

struct Log {
    id: i64,
    info: LogInfo,
}

fn open(conn: &Connection, name: &str) -> rusqlite::Result<Option<Log>> {
    conn.prepare_cached("SELECT id, first_seq, last_seq, bytes FROM logs WHERE name = ?1")?
        .query_row([name], |row| {
            let info = LogInfo {
                first_seq: uint(row.get(1)?),
                last_seq: uint(row.get(2)?),
                bytes: uint(row.get(3)?),
            };
            Ok(Log {
                id: row.get(0)?,
                info,
            })
        })
        .optional()
}

fn create(conn: &Connection, name: &str) -> rusqlite::Result<Log> {
    let info = LogInfo::EMPTY;
    conn.prepare_cached(
        "INSERT INTO logs (name, first_seq, last_seq, bytes) VALUES (?1, ?2, ?3, 0)",
    )?
    .execute(params![name, int(info.first_seq), int(info.last_seq)])?;
    Ok(Log {
        id: conn.last_insert_rowid(),
        info,
    })
}

fn save(conn: &Connection, log: &Log) -> rusqlite::Result<()> {
    let LogInfo {
        first_seq,
        last_seq,
        bytes,
    } = log.info;
    conn.prepare_cached("UPDATE logs SET first_seq = ?2, last_seq = ?3, bytes = ?4 WHERE id = ?1")?
        .execute(params![log.id, int(first_seq), int(last_seq), int(bytes)])?;
    Ok(())
}

fn seq_of(conn: &Connection, log: i64, dedupe: &str) -> rusqlite::Result<Option<u64>> {
    conn.prepare_cached("SELECT seq FROM entries WHERE log = ?1 AND dedupe = ?2")?
        .query_row(params![log, dedupe], |row| Ok(uint(row.get(0)?)))
        .optional()
}

/// The number of the entry that was appended with a dedupe key.
pub(crate) fn find(conn: &Connection, name: &str, dedupe: &str) -> rusqlite::Result<Option<u64>> {
    match open(conn, name)? {
        Some(log) => seq_of(conn, log.id, dedupe),
        None => Ok(None),
    }
}

pub(crate) fn append(conn: &Connection, name: &str, entries: &[Entry]) -> Result<Appended, Fault> {
    let mut log = match open(conn, name)? {
        Some(log) => log,
        None => create(conn, name)?,
    };
    let before = log.info.last_seq;
    let mut placed = Vec::with_capacity(entries.len());
    for entry in entries {
        placed.push(append_one(conn, &mut log, entry)?);
    }
    if log.info.last_seq > before {
        save(conn, &log)?;
    }
    Ok(Appended { entries: placed })
}

fn append_one(conn: &Connection, log: &mut Log, entry: &Entry) -> Result<Placed, Fault> {
    if let Some(dedupe) = &entry.dedupe
        && let Some(seq) = seq_of(conn, log.id, dedupe)?
    {
        return Ok(Placed {
            seq,
            duplicate: true,
        });
    }
    let seq = log.info.last_seq + 1;
    conn.prepare_cached(
        "INSERT INTO entries (log, seq, time_ms, dedupe, value) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        log.id,
        int(seq),
        int(entry.time_ms),
        entry.dedupe,
        &entry.value[..]
    ])?;
    if let Some(text) = &entry.text {
        texts::add(conn, (log.id, seq), entry.time_ms, text)?;
    }
    log.info.last_seq = seq;
    log.info.bytes += entry.bytes();
    Ok(Placed {
        seq,
        duplicate: false,
    })
}

/// Replaces an entry's value. What the old one took in the file is overwritten: amending is how personal data is erased.
pub(crate) fn amend(
    conn: &Connection,
    name: &str,
    seq: u64,
    value: &[u8],
    text: Option<&str>,
) -> Result<bool, Fault> {
    let Some(mut log) = open(conn, name)? else {
        return Ok(false);
    };
    let before = conn
        .prepare_cached(
            "SELECT octet_length(value), time_ms FROM entries WHERE log = ?1 AND seq = ?2",
        )?
        .query_row(params![log.id, int(seq)], |row| {
            Ok((uint(row.get(0)?), uint(row.get(1)?)))
        })
        .optional()?;
    let Some((before, time_ms)) = before else {
        return Ok(false);
    };
    wiping(conn, || {
        conn.prepare_cached("UPDATE entries SET value = ?3 WHERE log = ?1 AND seq = ?2")?
            .execute(params![log.id, int(seq), value])
    })?;
    log.info.bytes = (log.info.bytes + value.len() as u64).saturating_sub(before);
    save(conn, &log)?;
    texts::remove(conn, log.id, seq)?;
    if let Some(text) = text {
        texts::add(conn, (log.id, seq), time_ms, text)?;
    }
    Ok(true)
}

pub(crate) fn trim(conn: &Connection, name: &str, trim: &Trim) -> Result<Trimmed, Fault> {
    let Some(mut log) = open(conn, name)? else {
        return Ok(Trimmed {
            removed: 0,
            first_seq: LogInfo::EMPTY.first_seq,
            more: false,
        });
    };
    let before = log.info.first_seq;
    let more = pass_trimmed(conn, &mut log, trim)?;
    let removed = log.info.first_seq - before;
    if removed > 0 {
        conn.prepare_cached("DELETE FROM entries WHERE log = ?1 AND seq < ?2")?
            .execute(params![log.id, int(log.info.first_seq)])?;
        texts::remove_before(conn, log.id, log.info.first_seq)?;
        save(conn, &log)?;
    }
    Ok(Trimmed {
        removed,
        first_seq: log.info.first_seq,
        more,
    })
}

/// Moves the log's front past the entries that go. Reads one entry more than it passes, and says whether bounds remain.
fn pass_trimmed(conn: &Connection, log: &mut Log, trim: &Trim) -> rusqlite::Result<bool> {
    let mut statement = conn.prepare_cached(
        "SELECT seq, time_ms, octet_length(value), octet_length(dedupe) FROM entries WHERE log = ?1 ORDER BY seq",
    )?;
    let mut rows = statement.query([log.id])?;
    let mut passed = 0;
    while let Some(row) = rows.next()? {
        if !trim.takes(&log.info, uint(row.get(1)?)) {
            return Ok(false);
        }
        if passed == REMOVE_AT_ONCE {
            return Ok(true);
        }
        let value = uint(row.get(2)?);
        let dedupe = row.get::<_, Option<i64>>(3)?.map_or(0, uint);
        // Not just one more: a file saved from damage may lack entries.
        log.info.first_seq = uint(row.get(0)?) + 1;
        log.info.bytes = log.info.bytes.saturating_sub(entry_bytes(value, dedupe));
        passed += 1;
    }
    Ok(false)
}

/// Takes a log's name away; its entries go with the purges, so that removing a long log holds nobody up.
pub(crate) fn remove(conn: &Connection, name: &str) -> Result<bool, Fault> {
    let changed = conn
        .prepare_cached("UPDATE logs SET name = NULL WHERE name = ?1")?
        .execute([name])?;
    Ok(changed > 0)
}

/// Frees entries of removed logs, at most `limit`.
pub(crate) fn purge(conn: &Connection, limit: usize) -> Result<usize, Fault> {
    let mut removed = 0;
    while removed < limit {
        let next = conn
            .prepare_cached("SELECT id FROM logs WHERE name IS NULL LIMIT 1")?
            .query_row([], |row| row.get::<_, i64>(0))
            .optional()?;
        let Some(log) = next else { break };
        let most = int((limit - removed) as u64);
        let passed: Option<i64> = conn
            .prepare_cached("SELECT max(seq) FROM (SELECT seq FROM entries WHERE log = ?1 ORDER BY seq LIMIT ?2)")?
            .query_row([log, most], |row| row.get(0))?;
        texts::remove_before(conn, log, passed.map_or(0, |seq| uint(seq) + 1))?;
        let rows = conn
            .prepare_cached(
                "DELETE FROM entries WHERE log = ?1 AND seq IN (SELECT seq FROM entries WHERE log = ?1 ORDER BY seq LIMIT ?2)",
            )?
            .execute([log, most])?;
        removed += rows;
        if removed < limit {
            conn.prepare_cached("DELETE FROM logs WHERE id = ?1")?
                .execute([log])?;
            // The log's own row counts too, so that a great many empty logs don't make one purge long.
            removed += 1;
        }
    }
    Ok(removed)
}

pub(crate) fn info(conn: &Connection, name: &str) -> rusqlite::Result<LogInfo> {
    Ok(open(conn, name)?.map_or(LogInfo::EMPTY, |log| log.info))
}

pub(crate) fn range(conn: &Connection, name: &str, range: &Range) -> rusqlite::Result<LogPage> {
    let Some(log) = open(conn, name)? else {
        return Ok(LogPage {
            entries: Vec::new(),
            more: false,
            info: LogInfo::EMPTY,
        });
    };
    let mut statement = conn.prepare_cached(match range.order {
        Order::Ascending => {
            "SELECT seq, time_ms, dedupe, value FROM entries WHERE log = ?1 AND seq BETWEEN ?2 AND ?3 ORDER BY seq"
        }
        Order::Descending => {
            "SELECT seq, time_ms, dedupe, value FROM entries WHERE log = ?1 AND seq BETWEEN ?2 AND ?3 ORDER BY seq DESC"
        }
    })?;
    let mut rows = statement.query(params![log.id, int(range.from), int(range.to)])?;
    let mut page = Gather::new(range.limit);
    while let Some(row) = rows.next()? {
        let value = row.get_ref(3)?.as_blob()?;
        if !page.has_room(value.len()) {
            break;
        }
        let entry = LogEntry {
            seq: uint(row.get(0)?),
            time_ms: uint(row.get(1)?),
            dedupe: row.get(2)?,
            value: Bytes::copy_from_slice(value),
        };
        page.add(entry, value.len());
    }
    let (entries, more) = page.into_items();
    Ok(LogPage {
        entries,
        more,
        info: log.info,
    })
}

pub(crate) fn list(conn: &Connection, scan: &Scan) -> rusqlite::Result<Page<(String, LogInfo)>> {
    let mut statement = conn.prepare_cached(match scan.order {
        Order::Ascending => {
            "SELECT name, first_seq, last_seq, bytes FROM logs WHERE name >= ?1 AND name < ?2 ORDER BY name"
        }
        Order::Descending => {
            "SELECT name, first_seq, last_seq, bytes FROM logs WHERE name >= ?1 AND name < ?2 ORDER BY name DESC"
        }
    })?;
    let (lower, upper) = scan.bounds();
    let mut rows = statement.query(params![lower, upper_end(upper)])?;
    let mut page = Gather::new(scan.limit);
    while let Some(row) = rows.next()? {
        if !page.has_room(0) {
            break;
        }
        let info = LogInfo {
            first_seq: uint(row.get(1)?),
            last_seq: uint(row.get(2)?),
            bytes: uint(row.get(3)?),
        };
        page.add((row.get(0)?, info), 0);
    }
    Ok(page.into_page())
}
