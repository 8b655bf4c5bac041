//! The file's format: what its header says, its tables, and how an older file becomes a current one.
//!
//! The format is `PRAGMA user_version`; `MIGRATIONS[n]` leads from format n to n + 1, and all that a file needs run in one
//! transaction. A published step is never changed: tests open files made by each of them. docs/storage.md describes the tables.

use rusqlite::{Connection, TransactionBehavior};

/// "LAKH", in the header of each file (`PRAGMA application_id`).
pub(crate) const APPLICATION_ID: i64 = 0x4C41_4B48;

const MIGRATIONS: &[&str] = &[
    include_str!("v1.sql"),
    include_str!("v2.sql"),
    include_str!("v3.sql"),
];

/// Newest format that this version reads and writes.
pub(crate) const FORMAT: i64 = MIGRATIONS.len() as i64;

/// What the header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) application_id: i64,
    pub(crate) format: i64,
    /// The file holds no tables.
    pub(crate) empty: bool,
}

pub(crate) fn header(conn: &Connection) -> rusqlite::Result<Header> {
    let number = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0));
    Ok(Header {
        application_id: number("PRAGMA application_id")?,
        format: number("PRAGMA user_version")?,
        empty: number("SELECT count(*) FROM sqlite_schema")? == 0,
    })
}

/// Brings the file to the newest format, in one transaction.
pub(crate) fn migrate(conn: &mut Connection, from: i64) -> rusqlite::Result<()> {
    let known = usize::try_from(from).unwrap_or(0);
    if known >= MIGRATIONS.len() {
        return Ok(());
    }
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in &MIGRATIONS[known..] {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()
}
