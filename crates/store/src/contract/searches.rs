//! What is promised of finding entries by their words. A backend that can't says so, and takes the texts all the same.

use super::{NOW, behaviours, block_on, entry};
use crate::{
    Batch, Entry, MAX_SEARCHED_LOGS, MAX_TEXT_BYTES, Query, Range, ReadError, Store, Trim,
    WriteError, search,
};

behaviours![
    entries_are_found_by_their_words,
    a_backend_that_cannot_search_says_so,
    what_is_found_comes_newest_first_in_pages,
    a_search_keeps_to_its_logs,
    amended_trimmed_and_removed_entries_are_found_no_more,
    a_duplicate_and_a_refused_batch_leave_no_words,
    any_words_are_harmless,
    texts_and_searches_have_bounds,
    what_is_found_is_what_the_folding_says,
];

fn said(text: &str) -> Entry {
    entry("v").text(Some(text.to_owned()))
}

async fn found(store: &Store, words: &str) -> Vec<u64> {
    let page = store
        .search(vec!["l".to_owned()], words, None, 1000)
        .await
        .unwrap();
    let mut seqs: Vec<u64> = page.hits.iter().map(|hit| hit.seq).collect();
    seqs.sort_unstable();
    seqs
}

async fn entries_are_found_by_their_words(store: Store) {
    let texts = [
        "The quick brown fox",
        "A quick, clever Fox!",
        "Crème brûlée",
        "foxes are quick",
    ];
    store.append("l", texts.map(said).into()).await.unwrap();
    store.append("l", vec![entry("fox")]).await.unwrap();
    let page = store.range("l", Range::from(1, 10)).await.unwrap();
    assert_eq!(
        (page.entries.len(), &page.entries[0].value[..]),
        (5, &b"v"[..])
    );
    if !store.can_search() {
        return;
    }
    assert_eq!(found(&store, "FOX quick").await, [1, 2]);
    assert_eq!(found(&store, "fox*").await, [1, 2, 4]);
    assert_eq!(found(&store, "\"quick brown\"").await, [1]);
    assert_eq!(found(&store, "\"quick fox\"").await, [0; 0]);
    assert_eq!(found(&store, "\"quick bro\"*").await, [1]);
    assert_eq!(found(&store, "creme").await, [3]);
    assert_eq!(found(&store, "fox nothing").await, [0; 0]);
    assert_eq!(found(&store, " - ").await, [0; 0]);
}

async fn a_backend_that_cannot_search_says_so(store: Store) {
    let queries = vec![
        Query::Log {
            log: "l".to_owned(),
        },
        Query::Search {
            logs: vec!["l".to_owned()],
            words: "a".to_owned(),
            before: None,
            limit: 1,
        },
    ];
    let outcome = store.read(NOW, queries).await;
    assert_eq!(outcome.is_ok(), store.can_search());
    assert!(matches!(outcome, Ok(_) | Err(ReadError::Unsupported)));
}

async fn what_is_found_comes_newest_first_in_pages(store: Store) {
    if !store.can_search() {
        return;
    }
    // Within a second and across, times that go back, equal times in several logs, and times past all seconds.
    let times = [
        NOW,
        NOW + 5,
        NOW + 2,
        NOW - 5000,
        NOW + 5,
        NOW + 7000,
        0,
        i64::MAX as u64,
        i64::MAX as u64 - 1,
        NOW,
    ];
    let mut expected = Vec::new();
    for log in ["b", "a", "c"] {
        let entries = times.map(|time| Entry::new(time, "v").text(Some("word".to_owned())));
        store.append(log, entries.into()).await.unwrap();
        expected.extend(
            (1..)
                .zip(times)
                .map(|(seq, time)| (time, log.to_owned(), seq)),
        );
    }
    expected.sort_unstable();
    expected.reverse();
    let logs = ["a", "b", "c"].map(str::to_owned).to_vec();
    for limit in [1, 2, 7, 30, 100] {
        let (mut all, mut before) = (Vec::new(), None);
        loop {
            let page = store
                .search(logs.clone(), "word", before, limit)
                .await
                .unwrap();
            assert!(page.hits.len() == limit || page.next.is_none());
            all.extend(
                page.hits
                    .into_iter()
                    .map(|hit| (hit.time_ms, hit.log, hit.seq)),
            );
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(all, expected, "pages of {limit}");
    }
}

async fn a_search_keeps_to_its_logs(store: Store) {
    if !store.can_search() {
        return;
    }
    for log in ["l", "1", "2", "3"] {
        store.append(log, vec![said("word 1 2 3 4")]).await.unwrap();
    }
    let search = async |logs: Vec<String>| {
        let page = store.search(logs, "word 1", None, 1000).await.unwrap();
        page.hits.into_iter().map(|hit| hit.log).collect::<Vec<_>>()
    };
    assert_eq!(search(vec!["2".to_owned()]).await, ["2"]);
    assert_eq!(
        search(vec!["3".to_owned(), "l".to_owned(), "3".to_owned()]).await,
        ["l", "3"]
    );
    assert_eq!(search(vec!["nowhere".to_owned()]).await, [""; 0]);
    assert_eq!(search(Vec::new()).await, [""; 0]);
    let append = |batch: Batch, n| batch.append(&format!("many{n}"), vec![said("word 1")]);
    store
        .write((0..MAX_SEARCHED_LOGS).fold(Batch::new(NOW), append))
        .await
        .unwrap();
    let many = (0..MAX_SEARCHED_LOGS).map(|n| format!("many{n}")).collect();
    assert_eq!(search(many).await.len(), MAX_SEARCHED_LOGS);
}

async fn amended_trimmed_and_removed_entries_are_found_no_more(store: Store) {
    let texts = ["one old", "two old", "three old", "four old", "five old"];
    store.append("l", texts.map(said).into()).await.unwrap();
    store.append("l", vec![entry("silent")]).await.unwrap();
    store
        .amend("l", 2, "w".into(), Some("two new".to_owned()))
        .await
        .unwrap();
    store.amend("l", 3, "w".into(), None).await.unwrap();
    store
        .amend("l", 6, "w".into(), Some("six new".to_owned()))
        .await
        .unwrap();
    let trim = Trim {
        before_seq: Some(2),
        ..Trim::default()
    };
    if store.can_search() {
        assert_eq!(found(&store, "old").await, [1, 4, 5]);
        assert_eq!(found(&store, "new").await, [2, 6]);
        assert_eq!(found(&store, "three").await, [0; 0]);
    }
    store.trim("l", trim).await.unwrap();
    if store.can_search() {
        assert_eq!(found(&store, "old").await, [4, 5]);
    }
    store.remove_log("l").await.unwrap();
    if store.can_search() {
        assert_eq!(found(&store, "old").await, [0; 0]);
    }
    store
        .append("l", vec![said("one young"), said("two young")])
        .await
        .unwrap();
    while store.purge(NOW, 2).await.unwrap().more {}
    if store.can_search() {
        assert_eq!(found(&store, "old").await, [0; 0]);
        assert_eq!(
            found(&store, "young").await,
            [1, 2],
            "a purge frees the old log and not the new one"
        );
    }
}

async fn a_duplicate_and_a_refused_batch_leave_no_words(store: Store) {
    if !store.can_search() {
        return;
    }
    store
        .append("l", vec![said("first").dedupe("k")])
        .await
        .unwrap();
    store
        .append("l", vec![said("second").dedupe("k")])
        .await
        .unwrap();
    let refused = Batch::new(NOW)
        .append("l", vec![said("third")])
        .amend("l", 1, "w", Some("fourth".to_owned()))
        .trim(
            "l",
            Trim {
                max_entries: Some(0),
                ..Trim::default()
            },
        )
        .put("c", "k", "v", crate::Condition::Version(1), None);
    assert!(store.write(refused).await.is_err());
    assert_eq!(found(&store, "first").await, [1]);
    for words in ["second", "third", "fourth"] {
        assert_eq!(found(&store, words).await, [0; 0], "{words}");
    }
}

async fn any_words_are_harmless(store: Store) {
    if !store.can_search() {
        return;
    }
    store
        .append("l", vec![said("text log a NOT AND OR NEAR 1")])
        .await
        .unwrap();
    for words in [
        "NOT",
        "AND",
        "OR",
        "text AND",
        "NEAR(text log)",
        "text:a",
        "log:1",
        "{text log}: a",
        "-text",
        "^text",
        "text + a",
        "\"",
        "\"text",
        "a\"",
        "\"\"",
        "*",
        "a**",
        "'",
        "''; DROP TABLE words; --",
        "\\",
        "a\0text",
        "(",
        ")",
        "rank",
        "words",
        "$1 ?1 :a @a",
    ] {
        let terms = search::terms(words).unwrap();
        let expected = search::matches("text log a NOT AND OR NEAR 1", &terms);
        assert_eq!(!found(&store, words).await.is_empty(), expected, "{words}");
    }
}

async fn texts_and_searches_have_bounds(store: Store) {
    let long = "word ".repeat(MAX_TEXT_BYTES / 5);
    store.append("l", vec![said(&long)]).await.unwrap();
    let refused = store.append("l", vec![said(&format!("{long}word "))]).await;
    assert!(matches!(refused, Err(WriteError::Invalid { op: 0, .. })));
    let refused = store
        .amend("l", 1, "v".into(), Some(format!("{long}word ")))
        .await;
    assert!(matches!(refused, Err(WriteError::Invalid { op: 0, .. })));
    if !store.can_search() {
        return;
    }
    assert_eq!(found(&store, "word").await, [1]);
    for (logs, words) in [
        (1, "a ".repeat(search::MAX_TERMS + 1)),
        (1, "a".repeat(search::MAX_SEARCH_CHARS + 1)),
        (MAX_SEARCHED_LOGS + 1, "a".to_owned()),
    ] {
        let refused = store
            .search(vec!["l".to_owned(); logs], &words, None, 1)
            .await;
        assert!(
            matches!(refused, Err(ReadError::Invalid { query: 0, .. })),
            "{refused:?}"
        );
    }
    let none = store
        .search(vec!["l".to_owned()], "word", None, 0)
        .await
        .unwrap();
    assert!(none.hits.is_empty());
}

/// Texts in several scripts, and words of each that are looked for in all of them.
const TEXTS: [&str; 16] = [
    "Straße nach Łódź, Ørsted & Œuvre",
    "ISTANBUL İstanbul ısparta",
    "Ёлка, ёжик и ЩУКА",
    "ΟΔΥΣΣΕΎΣ και Οδυσσεύς",
    "שָׁלוֹם עולם",
    "مُحَمَّد ذهب إلى المدرسة",
    "नमस्ते दुनिया, क्या हाल है",
    "我在东京塔，你呢？",
    "東京タワーへ行きました",
    "ｶﾞﾗｽ ガラス からす",
    "กินข้าวหรือยัง",
    "한국어 대화 \u{1112}\u{1161}\u{11AB}",
    "ﬁne ＡＢＣ① x² ½ ㎏",
    "don't co-operate a_b c.d 3.14",
    "e\u{301}te\u{301} été ETE",
    "🎉 party\u{200d}time so\u{ad}ft \u{feff}bom",
];

async fn what_is_found_is_what_the_folding_says(store: Store) {
    if !store.can_search() {
        return;
    }
    store.append("l", TEXTS.map(said).into()).await.unwrap();
    let mut looked = 0;
    for text in TEXTS {
        let whole = text.replace(',', " ");
        let parts = whole.split_whitespace();
        for words in parts.flat_map(|word| {
            [
                word.to_owned(),
                word.to_uppercase(),
                format!("{}*", word.chars().next().unwrap()),
            ]
        }) {
            let terms = search::terms(&words).unwrap();
            let expected = (1..)
                .zip(TEXTS)
                .filter(|(_, text)| search::matches(text, &terms));
            let expected: Vec<u64> = expected.map(|(seq, _)| seq).collect();
            assert_eq!(
                block_on(store.search(vec!["l".to_owned()], &words, None, 100))
                    .unwrap()
                    .hits
                    .len(),
                expected.len()
            );
            assert_eq!(found(&store, &words).await, expected, "{words}");
            looked += expected.len();
        }
    }
    assert!(looked > 100, "{looked}");
}
