//! What is promised of notes that go with entries, and of deleting a range of documents.

use super::{NOW, behaviours, entries, entry, keys};
use crate::{
    Applied, Batch, Condition, DeleteRange, MAX_BATCH_OPS, MAX_NAME_BYTES, MAX_NOTES,
    REMOVE_AT_ONCE, Scan, Store, WriteError,
};

behaviours![
    a_note_is_put_under_the_number_of_its_entry,
    a_duplicate_puts_no_notes,
    notes_replace_what_is_there_and_expire,
    operations_behind_a_note_see_it,
    a_refused_batch_leaves_no_notes,
    notes_have_bounds,
    a_range_of_documents_is_deleted_in_bounded_steps,
    a_deleted_range_keeps_to_its_ends_and_to_live_documents,
    operations_around_a_deleted_range_see_each_other,
    a_condition_behind_a_note_or_range_that_may_change_it_is_refused,
];

async fn documents(store: &Store, prefix: &str) -> Vec<(String, String)> {
    let page = store.scan(NOW, "c", Scan::prefix(prefix)).await.unwrap();
    let item = |(key, document): (String, crate::Document)| {
        (key, String::from_utf8_lossy(&document.value).into_owned())
    };
    page.items.into_iter().map(item).collect()
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

async fn a_note_is_put_under_the_number_of_its_entry(store: Store) {
    store.append("l", entries(8)).await.unwrap();
    let noted = vec![
        entry("9")
            .note("c", "thread/", "first", None)
            .note("c", "by:ann/", "", None),
        entry("10"),
        entry("11").note("c", "thread/", "second", None),
    ];
    store.append("l", noted).await.unwrap();
    let expected = [
        pair("thread/0000000000000009", "first"),
        pair("thread/0000000000000011", "second"),
    ];
    assert_eq!(documents(&store, "thread/").await, expected);
    assert_eq!(
        documents(&store, "by:ann/").await,
        [pair("by:ann/0000000000000009", "")]
    );
    let from = Scan {
        from: Some(format!("thread/{:016}", 10)),
        to: Some(format!("thread/{:016}", 12)),
        ..Scan::prefix("thread/")
    };
    let page = store.scan(NOW, "c", from).await.unwrap();
    assert_eq!(keys(&page.items), ["thread/0000000000000011"]);
    assert_eq!(store.last_seq("l").await, Ok(11));
    let other = store
        .append("m", vec![entry("v").note("with:colon", "", "v", None)])
        .await;
    assert_eq!(other.unwrap().first_seq(), 1);
    let found = store
        .get(NOW, "with:colon", "0000000000000001")
        .await
        .unwrap()
        .unwrap();
    assert_eq!((&found.value[..], found.expires_at_ms), (&b"v"[..], None));
    let version = store
        .put(NOW, "c", "k", "v".into(), Condition::Any, None)
        .await
        .unwrap();
    assert!(
        version > found.version,
        "a note takes a version like every put"
    );
}

async fn a_duplicate_puts_no_notes(store: Store) {
    let noted = |value: &str| {
        vec![
            entry("v")
                .dedupe("key")
                .note("c", "n", value.to_owned(), None),
        ]
    };
    store.append("l", noted("first")).await.unwrap();
    store.append("l", noted("second")).await.unwrap();
    let batch = Batch::new(NOW)
        .append("l", noted("third"))
        .unless_duplicate();
    store.write(batch).await.unwrap();
    assert_eq!(
        documents(&store, "n").await,
        [pair("n0000000000000001", "first")]
    );
}

async fn notes_replace_what_is_there_and_expire(store: Store) {
    let key = "n0000000000000001";
    store
        .put(NOW, "c", key, "old".into(), Condition::Any, Some(NOW + 5))
        .await
        .unwrap();
    store
        .append("l", vec![entry("v").note("c", "n", "new", Some(NOW + 9))])
        .await
        .unwrap();
    store
        .append("l", vec![entry("v").note("c", "n", "stays", None)])
        .await
        .unwrap();
    let found = store.get(NOW + 8, "c", key).await.unwrap().unwrap();
    assert_eq!(
        (&found.value[..], found.expires_at_ms),
        (&b"new"[..], Some(NOW + 9))
    );
    assert_eq!(store.get(NOW + 9, "c", key).await.unwrap(), None);
    while store.purge(NOW + 9, 10).await.unwrap().more {}
    assert_eq!(
        documents(&store, "").await,
        [pair("n0000000000000002", "stays")]
    );
}

async fn operations_behind_a_note_see_it(store: Store) {
    let key = |n: u64| format!("n{n:016}");
    let noted = |value: &str| entry("v").note("c", "n", value.to_owned(), Some(NOW + 50));
    let batch = Batch::new(NOW)
        .append("l", vec![noted("1"), noted("2"), noted("3"), noted("4")])
        .touch("c", &key(1), None)
        .delete("c", &key(2), Condition::Any)
        .put("c", &key(3), "put", Condition::Any, Some(NOW + 90))
        .touch("c", &key(7), None)
        .delete("c", &key(7), Condition::Any);
    let results = store.write(batch).await.unwrap();
    assert_eq!(results[1], Applied::Touched { existed: true });
    assert_eq!(results[2], Applied::Deleted { existed: true });
    assert_eq!(results[4], Applied::Touched { existed: false });
    assert_eq!(results[5], Applied::Deleted { existed: false });
    let expected = [pair(&key(1), "1"), pair(&key(3), "put"), pair(&key(4), "4")];
    assert_eq!(documents(&store, "n").await, expected);
    while store.purge(NOW + 60, 10).await.unwrap().more {}
    let left = store.scan(NOW, "c", Scan::default()).await.unwrap();
    assert_eq!(
        keys(&left.items),
        [key(1), key(3)],
        "each expires when it was last told"
    );
}

async fn a_refused_batch_leaves_no_notes(store: Store) {
    let batch = Batch::new(NOW)
        .append("l", vec![entry("v").note("c", "n", "v", None)])
        .put("c", "k", "v", Condition::Version(7), None);
    assert!(store.write(batch).await.is_err());
    assert!(documents(&store, "").await.is_empty());
    assert_eq!(store.last_seq("l").await, Ok(0));
}

async fn notes_have_bounds(store: Store) {
    let with = |count: usize| {
        (0..count).fold(entry("v"), |entry, n| {
            entry.note("c", &format!("{n}/"), "v", None)
        })
    };
    store.append("l", vec![with(MAX_NOTES)]).await.unwrap();
    let long = "x".repeat(MAX_NAME_BYTES - 16);
    store
        .append("l", vec![entry("v").note("c", &long, "v", None)])
        .await
        .unwrap();
    let many = MAX_BATCH_OPS / (MAX_NOTES + 1) + 1;
    for refused in [
        vec![with(MAX_NOTES + 1)],
        vec![entry("v").note("", "n", "v", None)],
        vec![entry("v").note("c", &format!("{long}x"), "v", None)],
        vec![entry("v").note("c", "n", vec![0; crate::MAX_VALUE_BYTES + 1], None)],
        vec![entry("v").note("c", "n", "v", Some(u64::MAX))],
        (0..many).map(|_| with(MAX_NOTES)).collect(),
    ] {
        let outcome = store.append("l", refused).await;
        assert!(
            matches!(outcome, Err(WriteError::Invalid { op: 0, .. })),
            "{outcome:?}"
        );
    }
    assert_eq!(store.last_seq("l").await, Ok(2));
}

async fn a_range_of_documents_is_deleted_in_bounded_steps(store: Store) {
    let mut batch = Batch::new(NOW);
    for n in 0..25 {
        batch = batch.put("c", &format!("k{n:02}"), "v", Condition::Any, None);
    }
    store
        .write(batch.put("d", "k00", "v", Condition::Any, None))
        .await
        .unwrap();
    let ten = DeleteRange {
        limit: 10,
        ..DeleteRange::prefix("k")
    };
    for (removed, more) in [(10, true), (10, true), (5, false), (0, false)] {
        let deleted = store.delete_range(NOW, "c", ten.clone()).await.unwrap();
        assert_eq!((deleted.removed, deleted.more), (removed, more));
        if removed == 10 && more {
            let left = store
                .scan(NOW, "c", Scan::default().limit(1))
                .await
                .unwrap();
            assert!(*left.items[0].0 >= *"k10", "the first keys went first");
        }
    }
    assert!(store.get(NOW, "d", "k00").await.unwrap().is_some());
    for part in 0..3 {
        let put =
            |batch: Batch, n| batch.put("c", &format!("{part}:{n}"), "v", Condition::Any, None);
        store
            .write((0..4000).fold(Batch::new(NOW), put))
            .await
            .unwrap();
    }
    let all = DeleteRange {
        limit: usize::MAX,
        ..DeleteRange::prefix("")
    };
    let deleted = store.delete_range(NOW, "c", all.clone()).await.unwrap();
    assert_eq!(
        (deleted.removed, deleted.more),
        (REMOVE_AT_ONCE as u64, true)
    );
    let deleted = store.delete_range(NOW, "c", all).await.unwrap();
    assert_eq!(
        (deleted.removed, deleted.more),
        (12_000 - REMOVE_AT_ONCE as u64, false)
    );
}

async fn a_deleted_range_keeps_to_its_ends_and_to_live_documents(store: Store) {
    let mut batch = Batch::new(NOW);
    for key in ["a", "ab", "b1", "b2", "b3", "é"] {
        batch = batch.put("c", key, key.to_owned(), Condition::Any, None);
    }
    batch = batch.put("c", "b0", "dead", Condition::Any, Some(NOW));
    store
        .write(batch.put("c", "b25", "dying", Condition::Any, Some(NOW + 1)))
        .await
        .unwrap();
    let range = |prefix: &str, from: Option<&str>, to: Option<&str>| DeleteRange {
        from: from.map(str::to_owned),
        to: to.map(str::to_owned),
        ..DeleteRange::prefix(prefix)
    };
    let delete = async |range| store.delete_range(NOW, "c", range).await.unwrap().removed;
    let left = async || {
        let page = store.scan(NOW, "c", Scan::default()).await.unwrap();
        keys(&page.items).join(" ")
    };
    assert_eq!(delete(range("b", Some("b2"), Some("b3"))).await, 2);
    assert_eq!(left().await, "a ab b1 b3 é");
    assert_eq!(delete(range("b", Some("c"), None)).await, 0);
    assert_eq!(delete(range("", Some("b"), Some("a"))).await, 0);
    assert_eq!(
        delete(range("b", None, None)).await,
        2,
        "what has expired doesn't count"
    );
    assert_eq!(delete(range("", Some("ab"), None)).await, 2);
    assert_eq!(left().await, "a");
    while store.purge(NOW + 1, 10).await.unwrap().more {}
    assert_eq!(left().await, "a");
    let refused = store.delete_range(NOW, "", range("", None, None)).await;
    assert!(matches!(refused, Err(WriteError::Invalid { op: 0, .. })));
}

async fn operations_around_a_deleted_range_see_each_other(store: Store) {
    store
        .put(NOW, "c", "old", "v".into(), Condition::Any, Some(NOW + 5))
        .await
        .unwrap();
    let batch = Batch::new(NOW)
        .put("c", "new", "v", Condition::Absent, Some(NOW + 5))
        .append("l", vec![entry("v").note("c", "n", "v", Some(NOW + 5))])
        .delete_range("c", DeleteRange::prefix(""))
        .put("c", "old", "again", Condition::Any, None)
        .touch("c", "new", None)
        .delete("c", "new", Condition::Any);
    let results = store.write(batch).await.unwrap();
    let Applied::DeletedRange(deleted) = results[2] else {
        panic!("{results:?}");
    };
    assert_eq!((deleted.removed, deleted.more), (3, false));
    assert_eq!(
        results[4..],
        [
            Applied::Touched { existed: false },
            Applied::Deleted { existed: false }
        ]
    );
    while store.purge(NOW + 9, 10).await.unwrap().more {}
    assert_eq!(documents(&store, "").await, [pair("old", "again")]);
}

async fn a_condition_behind_a_note_or_range_that_may_change_it_is_refused(store: Store) {
    let noted = || Batch::new(NOW).append("l", vec![entry("v").note("c", "n", "v", None)]);
    let key = format!("n{:016}", 1);
    let refused = store
        .write(noted().put("c", &key, "v", Condition::Absent, None))
        .await;
    assert!(
        matches!(refused, Err(WriteError::Invalid { op: 1, .. })),
        "{refused:?}"
    );
    let range = || Batch::new(NOW).delete_range("c", DeleteRange::prefix("k"));
    let refused = store
        .write(
            range()
                .touch("c", "k", None)
                .delete("c", "kk", Condition::Version(1)),
        )
        .await;
    assert!(
        matches!(refused, Err(WriteError::Invalid { op: 2, .. })),
        "{refused:?}"
    );
    let elsewhere = noted()
        .delete_range("c", DeleteRange::prefix("k"))
        .put("c", "n1", "v", Condition::Absent, None)
        .put("d", &key, "v", Condition::Absent, None)
        .put("c", "j", "v", Condition::Absent, None)
        .put("d", "k", "v", Condition::Absent, None);
    store.write(elsewhere).await.unwrap();
}
