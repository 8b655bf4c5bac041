//! Opening the file: lock, header, settings, migration; and what to say when one of them fails.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::schema::{self, APPLICATION_ID, FORMAT};
use super::{SqliteOptions, Synchronous};
use crate::error::OpenError;

/// Statements that are kept prepared on each connection: more than the crate has.
const PREPARED: usize = 80;

/// A file that was opened by this process alone.
pub(crate) struct Opened {
    pub(crate) writer: Connection,
    pub(crate) readers: Vec<Connection>,
    /// Held for as long as the store is open; the system lets go of it when the process ends, however it ends.
    pub(crate) lock: File,
}

pub(crate) fn open(path: &Path, options: &SqliteOptions) -> Result<Opened, OpenError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| io_error(path, &error))?;
    }
    let lock = lock(path)?;
    if !path.exists() {
        // SQLite takes an empty file for a new one, and gives the files beside it the same rights.
        private_file(path).map_err(|error| io_error(path, &error))?;
    }
    let explain = |error: rusqlite::Error| explain(path, &error);
    let mut writer = connect(path, options).map_err(explain)?;
    let header = schema::header(&writer).map_err(explain)?;
    check(path, header)?;
    if writer.is_readonly("main").map_err(explain)? {
        return Err(OpenError::ReadOnly {
            path: path.to_owned(),
            detail: "the file is read-only".to_owned(),
        });
    }
    prepare_writer(&mut writer, options, header.format).map_err(explain)?;
    if options.verify_on_open {
        verify(path, &writer)?;
    }
    let readers = (0..options.readers.max(1))
        .map(|_| reader(path, options))
        .collect::<rusqlite::Result<Vec<_>>>()
        .map_err(explain)?;
    Ok(Opened {
        writer,
        readers,
        lock,
    })
}

/// A lock of our own beside the file, so that the readers of this process and tools like `sqlite3` stay possible.
///
/// The lock is on a file of its own because closing any descriptor of the database would drop SQLite's locks on it.
fn lock(path: &Path) -> Result<File, OpenError> {
    let file = private_file(&beside(path, ".lock")).map_err(|error| io_error(path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(io_error(path, &error)),
    }
}

/// Opens a file to write, or makes it for this user alone: it holds what people wrote to each other.
fn private_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// The name of a file that goes with the database.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn connect(path: &Path, options: &SqliteOptions) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(Duration::from_millis(options.busy_timeout_ms))?;
    conn.set_prepared_statement_cache_capacity(PREPARED);
    // Without it a statement that a partial index may help is compiled anew whenever other values are bound to it: each
    // read of a document, by the time at which it expires. That was 43 % of what readers did in small rooms.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    let cache_kib = i64::try_from(options.cache_bytes / 1024).unwrap_or(i64::MAX);
    conn.pragma_update(None, "cache_size", -cache_kib)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(conn)
}

/// The header is looked at before anything is written, so that a file which isn't ours stays as it is.
fn check(path: &Path, header: schema::Header) -> Result<(), OpenError> {
    let fresh = header.empty && header.application_id == 0 && header.format == 0;
    if !fresh && header.application_id != APPLICATION_ID {
        return Err(OpenError::Foreign {
            path: path.to_owned(),
            found: header.application_id,
        });
    }
    if header.format > FORMAT {
        return Err(OpenError::NewerFormat {
            path: path.to_owned(),
            found: header.format,
            supported: FORMAT,
        });
    }
    Ok(())
}

fn prepare_writer(
    conn: &mut Connection,
    options: &SqliteOptions,
    format: i64,
) -> rusqlite::Result<()> {
    conn.pragma_update(None, "journal_mode", "WAL")?;
    let synchronous = match options.synchronous {
        Synchronous::Full => "FULL",
        Synchronous::Normal => "NORMAL",
    };
    conn.pragma_update(None, "synchronous", synchronous)?;
    // After a burst the write-ahead log gives its space back at the next checkpoint.
    conn.pragma_update(None, "journal_size_limit", 64 << 20)?;
    if let Some(bytes) = options.max_file_bytes {
        let page: i64 = conn.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        let pages = i64::try_from(bytes).unwrap_or(i64::MAX) / page;
        conn.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
    }
    schema::migrate(conn, format)
}

fn verify(path: &Path, conn: &Connection) -> Result<(), OpenError> {
    let corrupt = |detail| OpenError::Corrupt {
        path: path.to_owned(),
        detail,
    };
    let said: String = conn
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| corrupt(error.to_string()))?;
    if said == "ok" {
        Ok(())
    } else {
        Err(corrupt(said))
    }
}

fn reader(path: &Path, options: &SqliteOptions) -> rusqlite::Result<Connection> {
    let conn = connect(path, options)?;
    conn.pragma_update(None, "query_only", true)?;
    Ok(conn)
}

fn io_error(path: &Path, error: &std::io::Error) -> OpenError {
    let path = path.to_owned();
    let detail = error.to_string();
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            OpenError::ReadOnly { path, detail }
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => OpenError::DiskFull { path },
        _ => OpenError::Io { path, detail },
    }
}

pub(crate) fn explain(path: &Path, error: &rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    let detail = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            OpenError::Corrupt { path, detail }
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::Locked { path },
        Some(ErrorCode::DiskFull) => OpenError::DiskFull { path },
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            OpenError::ReadOnly { path, detail }
        }
        _ => OpenError::Io { path, detail },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_indexes_are_used_whatever_is_bound() {
        let folder = tempfile::tempdir().expect("a folder");
        let options = SqliteOptions::default();
        let mut conn = connect(&folder.path().join("a.db"), &options).expect("a database");
        schema::migrate(&mut conn, 0).expect("a schema");
        for (statement, index) in [
            (
                "SELECT key FROM documents WHERE expires_at_ms <= ?1 LIMIT 1",
                "documents_by_expiry",
            ),
            (
                "SELECT seq FROM entries WHERE log = ?1 AND dedupe = ?2",
                "entries_by_dedupe",
            ),
        ] {
            let plan = format!("EXPLAIN QUERY PLAN {statement}");
            let mut plan = conn.prepare(&plan).expect("a plan");
            let nothing = [None::<i64>; 2];
            let nothing = rusqlite::params_from_iter(&nothing[..plan.parameter_count()]);
            let step: String = plan.query_row(nothing, |row| row.get(3)).expect("a step");
            assert!(step.contains(index), "{step}");
        }
    }
}
