//! What documents promise.

use bytes::Bytes;

use super::{NOW, behaviours, keys};
use crate::{
    Condition, Document, MAX_NAME_BYTES, MAX_PAGE, MAX_VALUE_BYTES, Order, PAGE_BYTES, Scan, Store,
    WriteError,
};

behaviours![
    a_document_reads_back_as_it_was_put,
    versions_grow_and_are_never_given_twice,
    put_absent_conflicts_with_a_document_that_is_there,
    put_at_a_version_conflicts_when_the_document_has_moved_on,
    delete_obeys_its_condition,
    an_expired_document_is_invisible_at_once,
    touch_changes_the_expiry_and_not_the_version,
    purge_frees_expired_documents_in_bounded_steps_and_no_others,
    scan_pages_through_keys_both_ways,
    scan_keeps_to_prefix_and_bounds,
    scan_sorts_by_bytes_and_finds_prefixes_of_any_script,
    a_page_of_documents_ends_at_the_byte_bound,
    collections_are_apart,
    names_values_and_times_have_bounds,
];

async fn put(store: &Store, key: &str, expires_at_ms: Option<u64>) -> u64 {
    let value = Bytes::copy_from_slice(key.as_bytes());
    store
        .put(NOW, "c", key, value, Condition::Any, expires_at_ms)
        .await
        .unwrap()
}

async fn a_document_reads_back_as_it_was_put(store: Store) {
    assert_eq!(store.get(NOW, "c", "k").await.unwrap(), None);
    for value in [&b""[..], b"\0\xff\xfe", b"text"] {
        let value = Bytes::copy_from_slice(value);
        let expires_at_ms = Some(NOW + 1);
        let version = store
            .put(NOW, "c", "k", value.clone(), Condition::Any, expires_at_ms)
            .await
            .unwrap();
        let expected = Document {
            value,
            version,
            expires_at_ms,
        };
        assert_eq!(store.get(NOW, "c", "k").await.unwrap(), Some(expected));
    }
    put(&store, "k", None).await;
    let document = store.get(NOW, "c", "k").await.unwrap().unwrap();
    assert_eq!(
        document.expires_at_ms, None,
        "a put without expiry takes an older one away"
    );
}

async fn versions_grow_and_are_never_given_twice(store: Store) {
    let first = put(&store, "a", None).await;
    let other = put(&store, "b", None).await;
    let second = put(&store, "a", None).await;
    assert!(first > 0 && first < other && other < second);
    assert!(store.delete(NOW, "c", "a", Condition::Any).await.unwrap());
    let third = put(&store, "a", None).await;
    assert!(
        third > second,
        "a document made anew has a version that no older copy had"
    );
}

async fn put_absent_conflicts_with_a_document_that_is_there(store: Store) {
    let put_absent =
        |value: &'static str| store.put(NOW, "c", "k", value.into(), Condition::Absent, None);
    let version = put_absent("first").await.unwrap();
    let conflict = WriteError::Conflict {
        op: 0,
        current: Some(version),
    };
    assert_eq!(put_absent("second").await, Err(conflict));
    assert_eq!(
        store.get(NOW, "c", "k").await.unwrap().unwrap().value,
        "first"
    );
}

async fn put_at_a_version_conflicts_when_the_document_has_moved_on(store: Store) {
    let put_at = |version| store.put(NOW, "c", "k", "v".into(), Condition::Version(version), None);
    let missing = WriteError::Conflict {
        op: 0,
        current: None,
    };
    assert_eq!(put_at(1).await, Err(missing));
    let first = put(&store, "k", None).await;
    let second = put_at(first).await.unwrap();
    let conflict = WriteError::Conflict {
        op: 0,
        current: Some(second),
    };
    assert_eq!(put_at(first).await, Err(conflict.clone()));
    assert_eq!(put_at(u64::MAX).await, Err(conflict));
}

async fn delete_obeys_its_condition(store: Store) {
    let delete = |condition| store.delete(NOW, "c", "k", condition);
    assert_eq!(delete(Condition::Any).await, Ok(false));
    assert_eq!(delete(Condition::Absent).await, Ok(false));
    let version = put(&store, "k", None).await;
    let conflict = WriteError::Conflict {
        op: 0,
        current: Some(version),
    };
    assert_eq!(
        delete(Condition::Version(version + 1)).await,
        Err(conflict.clone())
    );
    assert_eq!(delete(Condition::Absent).await, Err(conflict));
    assert_eq!(delete(Condition::Version(version)).await, Ok(true));
    assert_eq!(store.get(NOW, "c", "k").await.unwrap(), None);
}

async fn an_expired_document_is_invisible_at_once(store: Store) {
    let end = NOW + 10;
    let version = put(&store, "k", Some(end)).await;
    assert!(store.get(end - 1, "c", "k").await.unwrap().is_some());
    assert_eq!(store.get(end, "c", "k").await.unwrap(), None);
    assert!(
        store
            .scan(end, "c", Scan::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
    assert_eq!(store.touch(end, "c", "k", None).await, Ok(false));
    let absent = Err(WriteError::Conflict {
        op: 0,
        current: None,
    });
    let stale = store.put(end, "c", "k", "v".into(), Condition::Version(version), None);
    assert_eq!(stale.await, absent);
    let anew = store.put(
        end,
        "c",
        "k",
        "new".into(),
        Condition::Absent,
        Some(end + 5),
    );
    anew.await.unwrap();
    assert_eq!(
        store.get(end, "c", "k").await.unwrap().unwrap().value,
        "new"
    );
    assert_eq!(
        store.delete(end + 5, "c", "k", Condition::Any).await,
        Ok(false)
    );
}

async fn touch_changes_the_expiry_and_not_the_version(store: Store) {
    assert_eq!(store.touch(NOW, "c", "k", None).await, Ok(false));
    let version = put(&store, "k", Some(NOW + 10)).await;
    assert_eq!(store.touch(NOW, "c", "k", Some(NOW + 20)).await, Ok(true));
    let document = store.get(NOW + 19, "c", "k").await.unwrap().unwrap();
    assert_eq!(
        (document.version, document.expires_at_ms),
        (version, Some(NOW + 20))
    );
    assert_eq!(store.touch(NOW + 19, "c", "k", None).await, Ok(true));
    assert!(store.get(NOW + 20, "c", "k").await.unwrap().is_some());
}

async fn purge_frees_expired_documents_in_bounded_steps_and_no_others(store: Store) {
    for n in 0..7 {
        put(&store, &format!("dead{n}"), Some(NOW + 1)).await;
        put(&store, &format!("live{n}"), Some(NOW + 100)).await;
    }
    put(&store, "stays", None).await;
    let now = NOW + 1;
    let mut steps = Vec::new();
    loop {
        let purged = store.purge(now, 3).await.unwrap();
        steps.push(purged.removed);
        if !purged.more {
            break;
        }
    }
    assert_eq!(steps, [3, 3, 1]);
    // Asked at an earlier time, a purged document would be visible again if it were still there.
    let page = store.scan(NOW, "c", Scan::prefix("dead")).await.unwrap();
    assert!(page.items.is_empty());
    assert_eq!(
        store
            .scan(now, "c", Scan::default())
            .await
            .unwrap()
            .items
            .len(),
        8
    );
}

async fn scan_pages_through_keys_both_ways(store: Store) {
    let all: Vec<String> = (0..10).map(|n| format!("k{n}")).collect();
    for key in &all {
        put(&store, key, None).await;
    }
    for order in [Order::Ascending, Order::Descending] {
        let mut expected = all.clone();
        if order == Order::Descending {
            expected.reverse();
        }
        for limit in [1, 3, 5, 10, 11, usize::MAX] {
            let mut seen = Vec::new();
            let mut cursor = None;
            loop {
                let scan = Scan::prefix("k").limit(limit).order(order).after(cursor);
                let page = store.scan(NOW, "c", scan).await.unwrap();
                assert!(page.items.len() <= limit.min(MAX_PAGE));
                seen.extend(page.items.into_iter().map(|(key, _)| key));
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(seen, expected, "limit {limit}");
        }
    }
}

async fn scan_keeps_to_prefix_and_bounds(store: Store) {
    for key in ["a", "b", "b:1", "b:2", "b:3", "c"] {
        put(&store, key, None).await;
    }
    let scan = Scan::prefix("b:");
    let page = store.scan(NOW, "c", scan.clone()).await.unwrap();
    assert_eq!(keys(&page.items), ["b:1", "b:2", "b:3"]);
    let bounded = Scan {
        from: Some("b:2".to_owned()),
        to: Some("b:3".to_owned()),
        ..scan
    };
    let page = store.scan(NOW, "c", bounded).await.unwrap();
    assert_eq!(keys(&page.items), ["b:2"], "from is included, to is not");
    let backwards = Scan {
        from: Some("z".to_owned()),
        to: Some("a".to_owned()),
        ..Scan::default()
    };
    assert!(
        store
            .scan(NOW, "c", backwards)
            .await
            .unwrap()
            .items
            .is_empty()
    );
    let nothing = store
        .scan(NOW, "c", Scan::default().limit(0))
        .await
        .unwrap();
    assert!(nothing.items.is_empty());
}

async fn scan_sorts_by_bytes_and_finds_prefixes_of_any_script(store: Store) {
    let sorted = [
        "Z",
        "a",
        "a\0",
        "ab",
        "é",
        "é1",
        "ल",
        "\u{10FFFF}",
        "\u{10FFFF}x",
    ];
    for key in sorted {
        put(&store, key, None).await;
    }
    let page = store.scan(NOW, "c", Scan::default()).await.unwrap();
    assert_eq!(keys(&page.items), sorted);
    let page = store.scan(NOW, "c", Scan::prefix("é")).await.unwrap();
    assert_eq!(keys(&page.items), ["é", "é1"]);
    let page = store
        .scan(NOW, "c", Scan::prefix("\u{10FFFF}"))
        .await
        .unwrap();
    assert_eq!(keys(&page.items), ["\u{10FFFF}", "\u{10FFFF}x"]);
}

async fn a_page_of_documents_ends_at_the_byte_bound(store: Store) {
    let third = Bytes::from(vec![7; PAGE_BYTES / 3 + 1]);
    for key in ["a", "b", "c", "d"] {
        store
            .put(NOW, "c", key, third.clone(), Condition::Any, None)
            .await
            .unwrap();
    }
    let page = store.scan(NOW, "c", Scan::default()).await.unwrap();
    assert_eq!(keys(&page.items), ["a", "b"]);
    let page = store
        .scan(NOW, "c", Scan::default().after(page.next))
        .await
        .unwrap();
    assert_eq!((keys(&page.items), page.next), (vec!["c", "d"], None));
    let large = Bytes::from(vec![7; PAGE_BYTES + 1]);
    store
        .put(NOW, "c", "a", large, Condition::Any, None)
        .await
        .unwrap();
    let page = store.scan(NOW, "c", Scan::default()).await.unwrap();
    assert_eq!(
        keys(&page.items),
        ["a"],
        "one item is given however large it is"
    );
}

async fn collections_are_apart(store: Store) {
    put(&store, "k", None).await;
    assert_eq!(store.get(NOW, "d", "k").await.unwrap(), None);
    assert!(
        store
            .scan(NOW, "d", Scan::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
    assert_eq!(store.delete(NOW, "d", "k", Condition::Any).await, Ok(false));
    assert!(store.get(NOW, "c", "k").await.unwrap().is_some());
}

async fn names_values_and_times_have_bounds(store: Store) {
    let put = |collection: &str, key: &str, size: usize, expires_at_ms| {
        let value = Bytes::from(vec![0; size]);
        store.put(NOW, collection, key, value, Condition::Any, expires_at_ms)
    };
    let longest = "n".repeat(MAX_NAME_BYTES);
    put(&longest, &longest, MAX_VALUE_BYTES, Some(i64::MAX as u64))
        .await
        .unwrap();
    let document = store.get(NOW, &longest, &longest).await.unwrap().unwrap();
    assert_eq!(document.value.len(), MAX_VALUE_BYTES);
    let longer = "n".repeat(MAX_NAME_BYTES + 1);
    for refused in [
        put("", "k", 0, None).await,
        put("c", "", 0, None).await,
        put(&longer, "k", 0, None).await,
        put("c", &longer, 0, None).await,
        put("c", "k", MAX_VALUE_BYTES + 1, None).await,
        put("c", "k", 0, Some(u64::MAX)).await,
    ] {
        assert!(
            matches!(refused, Err(WriteError::Invalid { op: 0, .. })),
            "{refused:?}"
        );
    }
}
