//! Files of each published format are opened and read by this version. `data/vN.sql` is such a file as `sqlite3 .dump` writes it,
//! made when the format was published, and is never changed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use lakh_store::contract::block_on;
use lakh_store::{Condition, Entry, Order, Range, Scan, ScoreRange, SqliteOptions, Store};
use rusqlite::Connection;
use tempfile::TempDir;

const V1: &str = include_str!("data/v1.sql");
const V2: &str = include_str!("data/v2.sql");
const V3: &str = include_str!("data/v3.sql");

fn pinned(dump: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lakh.db");
    Connection::open(&path)
        .unwrap()
        .execute_batch(dump)
        .unwrap();
    (folder, path)
}

fn open(path: &Path) -> Store {
    let options = SqliteOptions {
        verify_on_open: true,
        ..SqliteOptions::default()
    };
    Store::sqlite(path, &options).unwrap()
}

#[test]
fn a_file_of_format_1_is_read_in_full() {
    is_read_in_full(V1);
}

/// It holds what the one of format 1 holds.
#[test]
fn a_file_of_format_2_is_read_in_full() {
    is_read_in_full(V2);
}

#[test]
fn a_file_of_format_3_is_read_in_full() {
    is_read_in_full(V3);
}

fn is_read_in_full(dump: &str) {
    let (_folder, path) = pinned(dump);
    let store = open(&path);
    let rooms = block_on(store.scan(5000, "rooms", Scan::default())).unwrap();
    let rooms: Vec<_> = rooms
        .items
        .iter()
        .map(|(key, room)| {
            (
                key.as_str(),
                &room.value[..],
                room.version,
                room.expires_at_ms,
            )
        })
        .collect();
    assert_eq!(
        rooms,
        [
            ("lobby", &b"{\"name\":\"Lobby\"}"[..], 1, None),
            ("passing", b"\x00\xff", 2, Some(9000)),
        ]
    );
    let page = block_on(store.range("chat:lobby", Range::from(0, 100))).unwrap();
    assert_eq!(
        (page.info.first_seq, page.info.last_seq, page.info.bytes),
        (2, 4, 71)
    );
    let entries: Vec<_> = page
        .entries
        .iter()
        .map(|entry| {
            (
                entry.seq,
                entry.time_ms,
                entry.dedupe.as_deref(),
                &entry.value[..],
            )
        })
        .collect();
    assert_eq!(
        entries,
        [
            (2, 1001, Some("ada:2"), &b"two"[..]),
            (3, 1002, None, b"\x00"),
            (4, 1003, Some("bob:1"), "चार".as_bytes()),
        ]
    );
    let ranked = block_on(store.by_rank("scores", 0, 10, Order::Descending)).unwrap();
    let ranked: Vec<_> = ranked
        .iter()
        .map(|ranked| (ranked.member.as_str(), ranked.score))
        .collect();
    assert_eq!(ranked, [("bob", 7.5), ("eve", -1.0), ("ada", -1.0)]);
    assert_eq!(block_on(store.count("scores", ScoreRange::ALL)), Ok(3));
}

#[test]
fn a_file_of_format_1_is_written_on() {
    is_written_on(V1);
}

#[test]
fn a_file_of_format_2_is_written_on() {
    is_written_on(V2);
}

#[test]
fn a_file_of_format_3_is_written_on() {
    is_written_on(V3);
}

fn is_written_on(dump: &str) {
    let (_folder, path) = pinned(dump);
    let store = open(&path);
    let again = vec![
        Entry::new(2000, "again").dedupe("bob:1"),
        Entry::new(2000, "five"),
    ];
    let appended = block_on(store.append("chat:lobby", again)).unwrap();
    assert!(appended.entries[0].duplicate);
    assert_eq!(appended.entries[1].seq, 5);
    let version = block_on(store.put(
        0,
        "rooms",
        "lobby",
        "new".into(),
        Condition::Version(1),
        None,
    ))
    .unwrap();
    assert!(version > 2, "the file's versions are not given again");
    assert!(block_on(store.add_score("scores", "ada", 10.0)).is_ok());
    block_on(store.close()).unwrap();
    assert_eq!(block_on(open(&path).last_seq("chat:lobby")), Ok(5));
}

fn found(store: &Store, words: &str) -> Vec<u64> {
    let page = block_on(store.search(vec!["chat:lobby".to_owned()], words, None, 10)).unwrap();
    page.hits.iter().map(|hit| hit.seq).collect()
}

#[test]
fn entries_of_format_1_have_no_words_and_new_ones_have() {
    let (_folder, path) = pinned(V1);
    let store = open(&path);
    assert_eq!(found(&store, "two"), [0; 0]);
    let said = Entry::new(2000, "five").text(Some("Two more".to_owned()));
    block_on(store.append("chat:lobby", vec![said])).unwrap();
    let amended = store.amend("chat:lobby", 2, "2".into(), Some("two".to_owned()));
    assert_eq!(block_on(amended), Ok(true));
    assert_eq!(found(&store, "two"), [5, 2]);
}

#[test]
fn words_of_format_2_are_found() {
    let (_folder, path) = pinned(V2);
    let store = open(&path);
    assert_eq!(found(&store, "Café"), [2]);
    assert_eq!(found(&store, "c*"), [4, 2]);
    block_on(store.amend("chat:lobby", 2, "2".into(), None)).unwrap();
    assert_eq!(found(&store, "c*"), [4]);
}

#[test]
fn words_of_format_3_are_found_before_they_are_indexed_and_after() {
    let (_folder, path) = pinned(V3);
    let store = open(&path);
    assert_eq!(
        (found(&store, "wait*"), found(&store, "c*")),
        (vec![3], vec![4, 2])
    );
    block_on(store.close()).unwrap();
    let waiting = |path: &Path| {
        let count = "SELECT count(*) FROM unindexed";
        let conn = Connection::open(path).unwrap();
        conn.query_row(count, [], |row| row.get::<_, i64>(0))
    };
    assert_eq!(waiting(&path), Ok(0));
    assert_eq!(found(&open(&path), "wait*"), [3]);
}

/// A published format stays as it is: a new file has the very tables of the newest pinned one, and so has one
/// that was brought to it from the format before.
#[test]
fn a_new_file_has_the_tables_of_the_newest_pinned_one() {
    let (_folder, path) = pinned(V3);
    let folder = tempfile::tempdir().unwrap();
    let new = folder.path().join("lakh.db");
    block_on(open(&new).close()).unwrap();
    let tables = |path: &Path| {
        let conn = Connection::open(path).unwrap();
        let mut statement = conn
            .prepare("SELECT coalesce(sql, name) FROM sqlite_schema ORDER BY name")
            .unwrap();
        let rows = statement
            .query_map([], |row| row.get::<_, String>(0))
            .unwrap();
        rows.collect::<Result<Vec<_>, _>>().unwrap()
    };
    assert_eq!(tables(&new), tables(&path));
    for dump in [V1, V2] {
        let (_folder, older) = pinned(dump);
        block_on(open(&older).close()).unwrap();
        assert_eq!(tables(&older), tables(&path));
    }
}
