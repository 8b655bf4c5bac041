//! What goes wrong around the store: each gives a clear error and leaves a store that says how it is.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use bytes::Bytes;
use lakh_store::contract::block_on;
use lakh_store::{
    Batch, Condition, Entry, Health, OpenError, Range, ReadError, SqliteOptions, Store, WriteError,
};
use rusqlite::Connection;
use tempfile::TempDir;

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data").join("lakh.db");
    (folder, path)
}

fn open(path: &Path) -> Result<Store, OpenError> {
    Store::sqlite(path, &SqliteOptions::default())
}

/// An error whose message names the file and says something to do.
fn refused(path: &Path) -> OpenError {
    let error = open(path).map(drop).unwrap_err();
    assert!(
        error.to_string().contains(&path.display().to_string()),
        "{error}"
    );
    error
}

fn put(store: &Store, key: &str, size: usize) -> Result<u64, WriteError> {
    let value = Bytes::from(vec![7; size]);
    block_on(store.put(0, "c", key, value, Condition::Any, None))
}

fn append(store: &Store) -> Result<u64, WriteError> {
    let appended = block_on(store.append("l", vec![Entry::new(0, "v")]));
    appended.map(|appended| appended.first_seq())
}

fn small_file(path: &Path) -> Store {
    let options = SqliteOptions {
        max_file_bytes: Some(400 << 10),
        ..SqliteOptions::default()
    };
    Store::sqlite(path, &options).unwrap()
}

#[test]
fn a_full_disk_fails_the_write_and_passes_when_there_is_space_again() {
    let (_folder, path) = place();
    let store = small_file(&path);
    let mut stored = 0;
    let error = loop {
        match put(&store, &stored.to_string(), 8 << 10) {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, WriteError::DiskFull);
    assert!(stored > 10);
    assert!(matches!(store.health(), Health::Impaired(_)));
    assert!(store.stats().last_error.is_some());
    assert!(
        block_on(store.get(0, "c", "0")).unwrap().is_some(),
        "what is there can be read"
    );
    for key in 0..stored {
        block_on(store.delete(0, "c", &key.to_string(), Condition::Any)).unwrap();
    }
    put(&store, "new", 8 << 10).unwrap();
    assert_eq!(store.health(), Health::Ok);
    block_on(store.close()).unwrap();
}

#[test]
fn a_batch_that_meets_a_full_disk_midway_leaves_nothing_and_spares_its_neighbours() {
    let (_folder, path) = place();
    let store = small_file(&path);
    append(&store).unwrap();
    let too_much = Batch::new(0).append("l", vec![Entry::new(0, "half")]).put(
        "c",
        "k",
        vec![0; 2 << 20],
        Condition::Any,
        None,
    );
    let before: Vec<_> = (0..5)
        .map(|_| store.append("l", vec![Entry::new(0, "a")]))
        .collect();
    let failing = store.write(too_much);
    let after: Vec<_> = (0..5)
        .map(|_| store.append("l", vec![Entry::new(0, "b")]))
        .collect();
    assert_eq!(block_on(failing), Err(WriteError::DiskFull));
    let seqs: Vec<u64> = before
        .into_iter()
        .chain(after)
        .map(|write| block_on(write).unwrap().first_seq())
        .collect();
    assert_eq!(seqs, (2..=11).collect::<Vec<_>>());
    let page = block_on(store.range("l", Range::from(1, 100))).unwrap();
    assert!(page.entries.iter().all(|entry| entry.value != "half"));
    block_on(store.close()).unwrap();
}

#[test]
fn a_file_that_is_no_database_is_said_to_be_damaged() {
    let (_folder, path) = place();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(
        &path,
        "these are my notes, not a database at all ".repeat(200),
    )
    .unwrap();
    assert!(matches!(refused(&path), OpenError::Corrupt { .. }));
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(
        kept.starts_with("these are my notes"),
        "it is left as it was"
    );
}

/// A file with a few hundred documents, closed.
fn filled(path: &Path) {
    let store = open(path).unwrap();
    for n in 0..200 {
        put(&store, &n.to_string(), 1000).unwrap();
    }
    block_on(store.close()).unwrap();
}

#[test]
fn a_file_whose_pages_are_lost_is_said_to_be_damaged() {
    let (_folder, path) = place();
    filled(&path);
    let mut bytes = std::fs::read(&path).unwrap();
    // All but the first page, which holds the header and the list of tables.
    bytes[4096..].fill(0xEE);
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(refused(&path), OpenError::Corrupt { .. }));
}

#[test]
fn damage_is_found_at_opening_when_that_is_asked_for() {
    let (_folder, path) = place();
    filled(&path);
    damage_table(&path, "documents");
    let options = SqliteOptions {
        verify_on_open: true,
        ..SqliteOptions::default()
    };
    let error = Store::sqlite(&path, &options).map(drop).unwrap_err();
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
}

#[test]
fn damage_found_while_reading_fails_the_store_for_good() {
    let (_folder, path) = place();
    filled(&path);
    damage_table(&path, "documents");
    let store = open(&path).unwrap();
    let read = block_on(store.get(0, "c", "1"));
    assert!(matches!(read, Err(ReadError::Failed(_))), "{read:?}");
    assert!(matches!(store.health(), Health::Failed(_)));
    assert!(matches!(append(&store), Err(WriteError::Failed(_))));
    block_on(store.close()).unwrap();
}

#[test]
fn damage_found_while_writing_fails_the_store_for_good() {
    let (_folder, path) = place();
    filled(&path);
    damage_table(&path, "documents");
    let store = open(&path).unwrap();
    append(&store).unwrap();
    let error = put(&store, "100", 1).unwrap_err();
    assert!(matches!(error, WriteError::Failed(_)), "{error}");
    assert!(matches!(store.health(), Health::Failed(_)));
    assert!(
        matches!(append(&store), Err(WriteError::Failed(_))),
        "it writes no more"
    );
    // Closing still works, and what was acknowledged is in the file.
    block_on(store.close()).unwrap();
    let store = open(&path).unwrap();
    assert_eq!(block_on(store.last_seq("l")), Ok(1));
}

/// Overwrites the root page of one table.
fn damage_table(path: &Path, table: &str) {
    let conn = Connection::open(path).unwrap();
    let root: usize = conn
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = ?1",
            [table],
            |row| row.get::<_, i64>(0),
        )
        .unwrap()
        .try_into()
        .unwrap();
    drop(conn);
    let mut bytes = std::fs::read(path).unwrap();
    bytes[(root - 1) * 4096..root * 4096].fill(0xEE);
    std::fs::write(path, bytes).unwrap();
}

fn with_sql(path: &Path, sql: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn a_file_of_a_newer_version_is_left_alone() {
    let (_folder, path) = place();
    let store = open(&path).unwrap();
    append(&store).unwrap();
    block_on(store.close()).unwrap();
    with_sql(&path, "PRAGMA user_version = 99");
    let before = std::fs::read(&path).unwrap();
    let error = refused(&path);
    assert!(
        matches!(
            error,
            OpenError::NewerFormat {
                found: 99,
                supported: 3,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_database_of_another_program_is_left_alone() {
    for sql in [
        "CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)",
        "PRAGMA application_id = 5; PRAGMA user_version = 1",
    ] {
        let (_folder, path) = place();
        with_sql(&path, sql);
        let before = std::fs::read(&path).unwrap();
        assert!(matches!(refused(&path), OpenError::Foreign { .. }));
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}

#[test]
fn a_file_is_open_once() {
    let (_folder, path) = place();
    let store = open(&path).unwrap();
    append(&store).unwrap();
    assert!(matches!(refused(&path), OpenError::Locked { .. }));
    assert_eq!(append(&store), Ok(2), "the first one is not disturbed");
    block_on(store.close()).unwrap();
    let store = open(&path).unwrap();
    assert_eq!(append(&store), Ok(3));
}

#[test]
fn another_program_that_holds_the_write_lock_is_waited_for_and_then_named() {
    let (_folder, path) = place();
    let options = SqliteOptions {
        busy_timeout_ms: 1,
        ..SqliteOptions::default()
    };
    let store = Store::sqlite(&path, &options).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(append(&store), Err(WriteError::Locked));
    assert!(matches!(store.health(), Health::Impaired(_)));
    assert_eq!(block_on(store.last_seq("l")), Ok(0), "reads go on");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(append(&store), Ok(1));
    assert_eq!(store.health(), Health::Ok);
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_written_is_named() {
    // The system's own folder: nobody may make files there, the superuser neither.
    let error = refused(Path::new("/sys/lakh.db"));
    assert!(matches!(error, OpenError::ReadOnly { .. }), "{error}");
}

#[cfg(unix)]
#[test]
fn the_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, path) = place();
    let store = open(&path).unwrap();
    append(&store).unwrap();
    let mut files = 0;
    for file in std::fs::read_dir(path.parent().unwrap()).unwrap() {
        let mode = file.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
        files += 1;
    }
    assert!(files >= 3, "the database, its write-ahead log, the lock");
}

#[test]
fn a_folder_that_is_a_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("data"), "x").unwrap();
    let error = refused(&folder.path().join("data").join("lakh.db"));
    assert!(matches!(error, OpenError::Io { .. }), "{error}");
}

/// Settings of a store that waits for another program's lock for as long as a test takes.
fn patient() -> SqliteOptions {
    SqliteOptions {
        busy_timeout_ms: 60_000,
        ..SqliteOptions::default()
    }
}

/// A store whose writer is held up by another program's lock, until that is dropped.
fn held_up(path: &Path, options: &SqliteOptions) -> (Store, Connection) {
    let store = Store::sqlite(path, options).unwrap();
    let other = Connection::open(path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    (store, other)
}

#[test]
fn writes_past_the_queue_are_turned_away_and_the_others_are_done() {
    let (_folder, path) = place();
    let options = SqliteOptions {
        write_queue: 3,
        ..patient()
    };
    let (store, lock) = held_up(&path, &options);
    let writes: Vec<_> = (0..5)
        .map(|_| store.append("l", vec![Entry::new(0, "v")]))
        .collect();
    assert_eq!(
        (store.stats().write_queue, store.stats().writes_busy),
        (3, 2)
    );
    drop(lock);
    let outcomes: Vec<_> = writes.into_iter().map(block_on).collect();
    assert!(outcomes[..3].iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(
        outcomes[3..],
        [Err(WriteError::Busy), Err(WriteError::Busy)]
    );
    assert_eq!(append(&store), Ok(4));
    assert_eq!(store.stats().write_queue_bytes, 0);
}

#[test]
fn the_queue_is_bounded_in_bytes() {
    let (_folder, path) = place();
    let options = SqliteOptions {
        write_queue_bytes: 10_000,
        ..patient()
    };
    let (store, lock) = held_up(&path, &options);
    let heavy = || store.append("l", vec![Entry::new(0, vec![0; 6000])]);
    let (first, second) = (heavy(), heavy());
    assert_eq!(block_on(second), Err(WriteError::Busy));
    drop(lock);
    block_on(first).unwrap();
}

#[test]
fn closing_leaves_one_file_without_a_write_ahead_log() {
    let (_folder, path) = place();
    let store = open(&path).unwrap();
    append(&store).unwrap();
    assert!(store.stats().wal_bytes > 0);
    block_on(store.close()).unwrap();
    assert_eq!(
        (store.stats().wal_bytes, store.stats().file_bytes % 4096),
        (0, 0)
    );
    let conn = Connection::open(&path).unwrap();
    let entries: i64 = conn
        .query_row("SELECT count(*) FROM entries", [], |row| row.get(0))
        .unwrap();
    assert_eq!(entries, 1);
}

#[test]
fn a_group_commits_what_waited_together() {
    let (_folder, path) = place();
    let (store, lock) = held_up(&path, &patient());
    let writes: Vec<_> = (0..100)
        .map(|_| store.append("l", vec![Entry::new(0, "v")]))
        .collect();
    drop(lock);
    for write in writes {
        block_on(write).unwrap();
    }
    let stats = store.stats();
    assert_eq!(stats.batches, 100);
    assert!(
        stats.commits <= 2,
        "the first may have been taken alone: {stats:?}"
    );
}
