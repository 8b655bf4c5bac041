//! Documents as rows of `documents`, and the counter that gives them versions.

use bytes::Bytes;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::fault::{Fault, int, uint};
use crate::documents::{Condition, DeleteRange, DeletedRange, Document, Gather, Order, Page, Scan};

/// Versions given out from a reserve: the file is told of every thousandth only, and a crash skips the rest of the reserve.
pub(crate) struct Versions {
    next: u64,
    reserved: u64,
}

const RESERVE: u64 = 1000;

impl Versions {
    pub(crate) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        let reserved = reserved(conn)?;
        Ok(Self {
            next: reserved,
            reserved,
        })
    }

    fn take(&mut self, conn: &Connection) -> rusqlite::Result<u64> {
        if self.next >= self.reserved {
            let reserved = self.next + RESERVE;
            conn.prepare_cached("UPDATE counters SET value = ?1 WHERE name = 'versions'")?
                .execute([int(reserved)])?;
            self.reserved = reserved;
        }
        self.next += 1;
        Ok(self.next - 1)
    }

    /// After a rollback the file may know of a smaller reserve; numbers given out are not given again all the same.
    pub(crate) fn rolled_back(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        self.reserved = reserved(conn)?;
        Ok(())
    }
}

fn reserved(conn: &Connection) -> rusqlite::Result<u64> {
    conn.prepare_cached("SELECT value FROM counters WHERE name = 'versions'")?
        .query_row([], |row| Ok(uint(row.get(0)?)))
}

fn current(
    conn: &Connection,
    collection: &str,
    key: &str,
    now_ms: u64,
) -> rusqlite::Result<Option<u64>> {
    conn.prepare_cached(
        "SELECT version FROM documents WHERE collection = ?1 AND key = ?2
         AND (expires_at_ms IS NULL OR expires_at_ms > ?3)",
    )?
    .query_row(params![collection, key, int(now_ms)], |row| {
        Ok(uint(row.get(0)?))
    })
    .optional()
}

/// Where a document is and when that is asked.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    pub(crate) collection: &'a str,
    pub(crate) key: &'a str,
    pub(crate) now_ms: u64,
}

fn meets(conn: &Connection, at: At<'_>, condition: Condition) -> Result<(), Fault> {
    if condition == Condition::Any {
        return Ok(());
    }
    let version = current(conn, at.collection, at.key, at.now_ms)?;
    if condition.holds(version) {
        Ok(())
    } else {
        Err(Fault::Conflict(version))
    }
}

pub(crate) fn put(
    conn: &Connection,
    versions: &mut Versions,
    at: At<'_>,
    value: &[u8],
    condition: Condition,
    expires_at_ms: Option<u64>,
) -> Result<u64, Fault> {
    meets(conn, at, condition)?;
    let version = versions.take(conn)?;
    conn.prepare_cached(
        "INSERT INTO documents (collection, key, version, expires_at_ms, value) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET version = ?3, expires_at_ms = ?4, value = ?5",
    )?
    .execute(params![at.collection, at.key, int(version), expires_at_ms.map(int), value])?;
    Ok(version)
}

pub(crate) fn touch(
    conn: &Connection,
    at: At<'_>,
    expires_at_ms: Option<u64>,
) -> Result<bool, Fault> {
    let changed = conn
        .prepare_cached(
            "UPDATE documents SET expires_at_ms = ?4 WHERE collection = ?1 AND key = ?2
             AND (expires_at_ms IS NULL OR expires_at_ms > ?3)",
        )?
        .execute(params![
            at.collection,
            at.key,
            int(at.now_ms),
            expires_at_ms.map(int)
        ])?;
    Ok(changed > 0)
}

pub(crate) fn delete(conn: &Connection, at: At<'_>, condition: Condition) -> Result<bool, Fault> {
    let version = current(conn, at.collection, at.key, at.now_ms)?;
    if !condition.holds(version) {
        return Err(Fault::Conflict(version));
    }
    conn.prepare_cached("DELETE FROM documents WHERE collection = ?1 AND key = ?2")?
        .execute(params![at.collection, at.key])?;
    Ok(version.is_some())
}

/// Deletes documents by key, as many as the range allows. One more is looked at, to know whether there is more.
pub(crate) fn delete_range(
    conn: &Connection,
    collection: &str,
    range: &DeleteRange,
    now_ms: u64,
) -> Result<DeletedRange, Fault> {
    let (lower, upper) = range.bounds();
    let mut statement = conn.prepare_cached(
        "SELECT key FROM documents WHERE collection = ?1 AND key >= ?2 AND key < ?3
         AND (expires_at_ms IS NULL OR expires_at_ms > ?4) ORDER BY key LIMIT ?5",
    )?;
    let most = range.most();
    let keys: Vec<String> = statement
        .query_map(
            params![
                collection,
                lower,
                upper_end(upper),
                int(now_ms),
                int(most as u64 + 1)
            ],
            |row| row.get(0),
        )?
        .collect::<rusqlite::Result<_>>()?;
    let mut delete =
        conn.prepare_cached("DELETE FROM documents WHERE collection = ?1 AND key = ?2")?;
    for key in keys.iter().take(most) {
        delete.execute(params![collection, key])?;
    }
    Ok(DeletedRange {
        removed: keys.len().min(most) as u64,
        more: keys.len() > most,
    })
}

/// Frees expired documents, at most `limit`.
pub(crate) fn purge(conn: &Connection, now_ms: u64, limit: usize) -> Result<usize, Fault> {
    let removed = conn
        .prepare_cached(
            "DELETE FROM documents WHERE (collection, key) IN
             (SELECT collection, key FROM documents WHERE expires_at_ms <= ?1 LIMIT ?2)",
        )?
        .execute(params![int(now_ms), int(limit as u64)])?;
    Ok(removed)
}

fn document(row: &Row<'_>, first: usize) -> rusqlite::Result<Document> {
    Ok(Document {
        version: uint(row.get(first)?),
        expires_at_ms: row.get::<_, Option<i64>>(first + 1)?.map(uint),
        value: Bytes::copy_from_slice(row.get_ref(first + 2)?.as_blob()?),
    })
}

pub(crate) fn get(conn: &Connection, at: At<'_>) -> rusqlite::Result<Option<Document>> {
    conn.prepare_cached(
        "SELECT version, expires_at_ms, value FROM documents WHERE collection = ?1 AND key = ?2
         AND (expires_at_ms IS NULL OR expires_at_ms > ?3)",
    )?
    .query_row(params![at.collection, at.key, int(at.now_ms)], |row| {
        document(row, 0)
    })
    .optional()
}

/// The upper end of a range of names. Without one it is an empty blob, which SQLite sorts after every text.
pub(crate) fn upper_end(upper: Option<String>) -> Value {
    upper.map_or_else(|| Value::Blob(Vec::new()), Value::Text)
}

pub(crate) fn scan(
    conn: &Connection,
    collection: &str,
    scan: &Scan,
    now_ms: u64,
) -> rusqlite::Result<Page<(String, Document)>> {
    let mut statement = conn.prepare_cached(match scan.order {
        Order::Ascending => {
            "SELECT key, version, expires_at_ms, value FROM documents WHERE collection = ?1 AND key >= ?2 AND key < ?3
             AND (expires_at_ms IS NULL OR expires_at_ms > ?4) ORDER BY key"
        }
        Order::Descending => {
            "SELECT key, version, expires_at_ms, value FROM documents WHERE collection = ?1 AND key >= ?2 AND key < ?3
             AND (expires_at_ms IS NULL OR expires_at_ms > ?4) ORDER BY key DESC"
        }
    })?;
    let (lower, upper) = scan.bounds();
    let mut rows = statement.query(params![collection, lower, upper_end(upper), int(now_ms)])?;
    let mut page = Gather::new(scan.limit);
    while let Some(row) = rows.next()? {
        let bytes = row.get_ref(3)?.as_blob()?.len();
        if !page.has_room(bytes) {
            break;
        }
        page.add((row.get(0)?, document(row, 1)?), bytes);
    }
    Ok(page.into_page())
}
