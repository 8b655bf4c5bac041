//! What SQLite finds is what the folding says, for any texts and any words, whether they are in the index yet or not.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use lakh_store::contract::block_on;
use lakh_store::{Entry, ReadError, SqliteOptions, Store, Synchronous, search};
use proptest::prelude::*;

/// Letters that fold into each other, signs that mean something to an index, and anything at all.
fn text() -> impl Strategy<Value = String> {
    let near =
        "[aAáÁbﬁßs ẞ\"*'():^+{}_0-9éE\u{301}\u{94d}\u{200d}京東ｶﾞがกิ한\u{1112}ΣςσИйİıŒ-]{0,12}";
    prop_oneof![3 => near, 1 => any::<String>(), 1 => "(NOT|AND|OR|NEAR|text|log|a| |\"|\\*|\\(){0,6}"]
}

fn open(folder: &tempfile::TempDir) -> Store {
    let options = SqliteOptions {
        synchronous: Synchronous::Normal,
        ..SqliteOptions::default()
    };
    Store::sqlite(folder.path().join("lakh.db"), &options).unwrap()
}

fn found(store: &Store, log: &str, words: &str) -> Result<Vec<u64>, ReadError> {
    let page = block_on(store.search(vec![log.to_owned()], words, None, 100))?;
    Ok(page.hits.iter().rev().map(|hit| hit.seq).collect())
}

#[test]
fn any_words_find_what_the_folding_says() {
    let config = ProptestConfig {
        cases: 150,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let hits = std::cell::Cell::new(0_usize);
    proptest!(config, |(texts in prop::collection::vec(text(), 1..8), asked in prop::collection::vec(text(), 1..8))| {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder);
        let entries = texts.iter().map(|text| Entry::new(1, "v").text(Some(text.clone())));
        block_on(store.append("l", entries.collect())).unwrap();
        let before: Vec<_> = texts.iter().chain(&asked).map(|words| found(&store, "l", words)).collect();
        // What waits is indexed when a store is closed.
        block_on(store.close()).unwrap();
        let store = open(&folder);
        for (words, before) in texts.iter().chain(&asked).zip(before) {
            let answer = found(&store, "l", words);
            prop_assert_eq!(&answer, &before, "{:?} in {:?}", words, texts);
            let Ok(terms) = search::terms(words) else {
                let refused = matches!(answer, Err(ReadError::Invalid { .. }));
                prop_assert!(refused);
                continue;
            };
            let found = answer.unwrap();
            let matching = (1..).zip(&texts).filter(|(_, text)| search::matches(text, &terms));
            let expected: Vec<u64> = matching.map(|(seq, _)| seq).collect();
            hits.set(hits.get() + found.len());
            prop_assert_eq!(found, expected, "{:?} in {:?}", words, texts);
            for text in &texts {
                let marks = search::marks(text, &terms);
                let chars = text.chars().count();
                prop_assert!(marks.iter().all(|(start, end)| start < end && *end <= chars));
                prop_assert!(marks.windows(2).all(|pair| pair[0].1 <= pair[1].0));
                prop_assert!(!search::matches(text, &terms) || !marks.is_empty());
            }
        }
    });
    assert!(hits.get() > 100, "the texts and the words meet");
}
