//! Amending is how personal data is erased: nothing of the old value stays in the file.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use lakh_store::contract::block_on;
use lakh_store::{Entry, SqliteOptions, Store};

/// Values that lie within a page, fill one, and need pages of their own.
const SIZES: [usize; 4] = [10, 900, 4000, 50_000];

#[test]
fn nothing_of_an_amended_value_stays_in_the_file() {
    for new in ["", "short", &"y".repeat(6000)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lakh.db");
        let store = Store::sqlite(&path, &SqliteOptions::default()).unwrap();
        let secrets: Vec<String> = SIZES
            .map(|size| format!("secret{}", "-x".repeat(size)))
            .into();
        for secret in &secrets {
            block_on(store.append(
                "l",
                vec![Entry::new(0, secret.clone()), Entry::new(0, "kept")],
            ))
            .unwrap();
        }
        for seq in (1..=2 * SIZES.len() as u64).step_by(2) {
            let amended = block_on(store.amend("l", seq, new.to_owned().into(), None));
            assert_eq!(amended, Ok(true));
        }
        block_on(store.close()).unwrap();
        let file = std::fs::read(&path).unwrap();
        let holds = |text: &str| file.windows(text.len()).any(|part| part == text.as_bytes());
        assert!(holds("kept"));
        assert!(
            !holds("secret") && !holds("-x-x-x"),
            "amended to {} bytes",
            new.len()
        );
    }
}

/// What docs/storage.md says to do for words that shall be gone at once.
#[test]
fn words_that_were_taken_back_leave_the_file_with_the_documented_command() {
    let documented = include_str!("../../../docs/storage.md");
    let command = "PRAGMA secure_delete = ON; INSERT INTO words (words) VALUES ('optimize')";
    assert!(documented.contains(command));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lakh.db");
    let store = Store::sqlite(&path, &SqliteOptions::default()).unwrap();
    let said = |text: &str| Entry::new(0, "v").text(Some(text.to_owned()));
    block_on(store.append("l", vec![said("secretword kept"), said("kept secretword")])).unwrap();
    let other = Some("other".to_owned());
    block_on(store.amend("l", 1, "v".into(), other)).unwrap();
    block_on(store.amend("l", 2, "v".into(), None)).unwrap();
    block_on(store.append("l", vec![said("words that stay")])).unwrap();
    block_on(store.close()).unwrap();
    let file = rusqlite::Connection::open(&path).unwrap();
    file.execute_batch(command).unwrap();
    file.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    drop(file);
    let bytes = std::fs::read(&path).unwrap();
    let holds = |text: &str| {
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    assert!(holds("stay"));
    assert!(!holds("secretword"));
    let store = Store::sqlite(&path, &SqliteOptions::default()).unwrap();
    let found = |words: &str| {
        let page = block_on(store.search(vec!["l".to_owned()], words, None, 10)).unwrap();
        page.hits.iter().map(|hit| hit.seq).collect::<Vec<_>>()
    };
    assert_eq!(
        (found("stay"), found("kept"), found("other")),
        (vec![3], vec![], vec![1])
    );
}
