//! What logs promise.

use bytes::Bytes;

use super::{NOW, behaviours, entries, entry, seqs};
use crate::{
    ENTRY_OVERHEAD_BYTES, Entry, LogInfo, Order, PAGE_BYTES, Placed, REMOVE_AT_ONCE, Range, Scan,
    Store, Trim, WriteError,
};

behaviours![
    numbers_start_at_one_and_have_no_holes,
    an_entry_reads_back_as_it_was_appended,
    range_reads_both_ways_and_knows_of_more,
    range_keeps_to_its_ends,
    a_page_of_entries_ends_at_the_byte_bound,
    a_dedupe_key_is_appended_once,
    a_dedupe_key_is_known_within_its_log_alone,
    a_dedupe_key_is_forgotten_with_its_entry,
    trim_removes_from_the_front_by_each_bound,
    trim_takes_the_furthest_of_several_bounds,
    trim_of_everything_keeps_the_numbering,
    trim_stops_at_the_first_entry_that_is_young_enough,
    trim_and_purge_work_in_bounded_steps,
    a_removed_log_starts_at_one_and_its_entries_stay_gone,
    logs_are_listed_by_prefix_in_pages,
    an_empty_append_is_refused,
];

async fn filled(store: &Store, log: &str, count: usize) {
    store.append(log, entries(count)).await.unwrap();
}

async fn read_all(store: &Store, log: &str) -> Vec<u64> {
    seqs(
        &store
            .range(log, Range::from(0, 1000))
            .await
            .unwrap()
            .entries,
    )
}

async fn numbers_start_at_one_and_have_no_holes(store: Store) {
    assert_eq!(store.last_seq("l").await, Ok(0));
    for first in [1, 4, 7] {
        let appended = store.append("l", entries(3)).await.unwrap();
        let placed: Vec<u64> = appended.entries.iter().map(|placed| placed.seq).collect();
        assert_eq!(placed, [first, first + 1, first + 2]);
        assert_eq!(
            (appended.first_seq(), appended.any_duplicate()),
            (first, false)
        );
    }
    assert_eq!(store.append("m", entries(1)).await.unwrap().first_seq(), 1);
    assert_eq!(store.last_seq("l").await, Ok(9));
    assert_eq!(read_all(&store, "l").await, (1..=9).collect::<Vec<_>>());
}

async fn an_entry_reads_back_as_it_was_appended(store: Store) {
    let appended = vec![
        Entry::new(NOW, &b"\0\xff"[..]).dedupe("key"),
        Entry::new(NOW - 5, Bytes::new()),
        Entry::new(i64::MAX as u64, "text"),
    ];
    store.append("l", appended.clone()).await.unwrap();
    let page = store.range("l", Range::from(1, 10)).await.unwrap();
    let read = page.entries.into_iter().map(|entry| Entry {
        time_ms: entry.time_ms,
        dedupe: entry.dedupe,
        value: entry.value,
        notes: Vec::new(),
        text: None,
    });
    assert_eq!(read.collect::<Vec<_>>(), appended);
    let bytes = 2 + 3 + 4 + 3 * ENTRY_OVERHEAD_BYTES;
    let info = LogInfo {
        first_seq: 1,
        last_seq: 3,
        bytes,
    };
    assert_eq!(page.info, info);
    assert_eq!(store.log_info("l").await, Ok(info));
}

async fn range_reads_both_ways_and_knows_of_more(store: Store) {
    filled(&store, "l", 10).await;
    let page = store.range("l", Range::from(4, 3)).await.unwrap();
    assert_eq!((seqs(&page.entries), page.more), (vec![4, 5, 6], true));
    let page = store.range("l", Range::from(8, 3)).await.unwrap();
    assert_eq!((seqs(&page.entries), page.more), (vec![8, 9, 10], false));
    let page = store.range("l", Range::before(4, 2)).await.unwrap();
    assert_eq!((seqs(&page.entries), page.more), (vec![3, 2], true));
    let page = store.range("l", Range::before(3, 2)).await.unwrap();
    assert_eq!((seqs(&page.entries), page.more), (vec![2, 1], false));
    let page = store.range("l", Range::before(u64::MAX, 2)).await.unwrap();
    assert_eq!((seqs(&page.entries), page.more), (vec![10, 9], true));
}

async fn range_keeps_to_its_ends(store: Store) {
    filled(&store, "l", 10).await;
    let read = async |from, to, order| {
        let range = Range {
            from,
            to,
            limit: 100,
            order,
        };
        let page = store.range("l", range).await.unwrap();
        assert!(!page.more);
        seqs(&page.entries)
    };
    assert_eq!(read(3, 5, Order::Ascending).await, [3, 4, 5]);
    assert_eq!(read(3, 5, Order::Descending).await, [5, 4, 3]);
    assert_eq!(read(9, u64::MAX, Order::Ascending).await, [9, 10]);
    assert_eq!(read(0, 0, Order::Ascending).await, [0; 0]);
    assert_eq!(read(11, 20, Order::Ascending).await, [0; 0]);
    assert_eq!(read(5, 3, Order::Descending).await, [0; 0]);
    let nowhere = store.range("nowhere", Range::from(1, 10)).await.unwrap();
    assert_eq!(
        (
            nowhere.entries.len(),
            nowhere.info.first_seq,
            nowhere.info.last_seq
        ),
        (0, 1, 0)
    );
}

async fn a_page_of_entries_ends_at_the_byte_bound(store: Store) {
    let third = Bytes::from(vec![7; PAGE_BYTES / 3 + 1]);
    for _ in 0..3 {
        store
            .append("l", vec![Entry::new(NOW, third.clone())])
            .await
            .unwrap();
    }
    let page = store.range("l", Range::from(1, 10)).await.unwrap();
    assert_eq!((seqs(&page.entries), page.more), (vec![1, 2], true));
    let page = store.range("l", Range::from(3, 10)).await.unwrap();
    assert_eq!((seqs(&page.entries), page.more), (vec![3], false));
}

async fn a_dedupe_key_is_appended_once(store: Store) {
    let once = async |key: &str| {
        let appended = store
            .append("l", vec![entry("v").dedupe(key)])
            .await
            .unwrap();
        (appended.entries[0].seq, appended.entries[0].duplicate)
    };
    assert_eq!(once("a").await, (1, false));
    assert_eq!(once("b").await, (2, false));
    assert_eq!(once("a").await, (1, true));
    assert_eq!(store.find("l", "b").await, Ok(Some(2)));
    assert_eq!(store.find("l", "c").await, Ok(None));
    let mixed = vec![
        entry("x"),
        entry("x").dedupe("b"),
        entry("x").dedupe("c"),
        entry("x").dedupe("c"),
    ];
    let appended = store.append("l", mixed).await.unwrap();
    let placed = |seq, duplicate| Placed { seq, duplicate };
    let expected = [
        placed(3, false),
        placed(2, true),
        placed(4, false),
        placed(4, true),
    ];
    assert_eq!(appended.entries, expected);
    assert_eq!(read_all(&store, "l").await, [1, 2, 3, 4]);
}

async fn a_dedupe_key_is_known_within_its_log_alone(store: Store) {
    for log in ["l", "m"] {
        let appended = store
            .append(log, vec![entry("v").dedupe("key")])
            .await
            .unwrap();
        assert!(!appended.any_duplicate());
    }
    assert_eq!(store.find("n", "key").await, Ok(None));
}

async fn a_dedupe_key_is_forgotten_with_its_entry(store: Store) {
    store
        .append("l", vec![entry("v").dedupe("key"), entry("w")])
        .await
        .unwrap();
    let trim = Trim {
        before_seq: Some(2),
        ..Trim::default()
    };
    store.trim("l", trim).await.unwrap();
    assert_eq!(store.find("l", "key").await, Ok(None));
    let again = store
        .append("l", vec![entry("v").dedupe("key")])
        .await
        .unwrap();
    assert_eq!((again.first_seq(), again.any_duplicate()), (3, false));
}

/// A trim of ten entries of ten bytes, at `NOW + 1` to `NOW + 10`, and the number that is the first one kept then.
fn trims() -> Vec<(Trim, u64)> {
    let cost = 10 + ENTRY_OVERHEAD_BYTES;
    let before_seq = |seq| Trim {
        before_seq: Some(seq),
        ..Trim::default()
    };
    let max_entries = |most| Trim {
        max_entries: Some(most),
        ..Trim::default()
    };
    let max_bytes = |most| Trim {
        max_bytes: Some(most),
        ..Trim::default()
    };
    let before_time_ms = |time| Trim {
        before_time_ms: Some(time),
        ..Trim::default()
    };
    vec![
        (Trim::default(), 1),
        (before_seq(4), 4),
        (before_seq(99), 11),
        (max_entries(3), 8),
        (max_entries(10), 1),
        (max_bytes(2 * cost), 9),
        (max_bytes(2 * cost - 1), 10),
        (before_time_ms(NOW + 3), 3),
    ]
}

async fn trim_removes_from_the_front_by_each_bound(store: Store) {
    let cost = 10 + ENTRY_OVERHEAD_BYTES;
    for (index, (trim, first_seq)) in trims().into_iter().enumerate() {
        let log = format!("l{index}");
        let ten = (1..=10).map(|n| Entry::new(NOW + n, vec![0; 10])).collect();
        store.append(&log, ten).await.unwrap();
        let trimmed = store.trim(&log, trim).await.unwrap();
        assert_eq!(
            (trimmed.removed, trimmed.first_seq, trimmed.more),
            (first_seq - 1, first_seq, false),
            "{trim:?}"
        );
        assert_eq!(
            read_all(&store, &log).await,
            (first_seq..=10).collect::<Vec<_>>()
        );
        let info = store.log_info(&log).await.unwrap();
        assert_eq!(
            (info.first_seq, info.last_seq, info.bytes),
            (first_seq, 10, info.entries() * cost)
        );
    }
}

async fn trim_takes_the_furthest_of_several_bounds(store: Store) {
    filled(&store, "l", 10).await;
    let trim = Trim {
        before_seq: Some(3),
        max_entries: Some(4),
        max_bytes: Some(u64::MAX),
        before_time_ms: Some(0),
    };
    assert_eq!(store.trim("l", trim).await.unwrap().first_seq, 7);
}

async fn trim_of_everything_keeps_the_numbering(store: Store) {
    filled(&store, "l", 5).await;
    let trim = Trim {
        max_entries: Some(0),
        ..Trim::default()
    };
    assert_eq!(store.trim("l", trim).await.unwrap().removed, 5);
    let info = store.log_info("l").await.unwrap();
    assert_eq!(
        (info.first_seq, info.last_seq, info.bytes, info.entries()),
        (6, 5, 0, 0)
    );
    assert_eq!(store.append("l", entries(1)).await.unwrap().first_seq(), 6);
    let nowhere = store.trim("nowhere", trim).await.unwrap();
    assert_eq!(
        (nowhere.removed, nowhere.first_seq, nowhere.more),
        (0, 1, false)
    );
}

async fn trim_stops_at_the_first_entry_that_is_young_enough(store: Store) {
    let times = [5, 9, 6];
    let entries = times.map(|time| Entry::new(NOW + time, "v")).to_vec();
    store.append("l", entries).await.unwrap();
    let trim = Trim {
        before_time_ms: Some(NOW + 7),
        ..Trim::default()
    };
    store.trim("l", trim).await.unwrap();
    assert_eq!(
        read_all(&store, "l").await,
        [2, 3],
        "an old entry behind a young one stays: no holes"
    );
}

async fn trim_and_purge_work_in_bounded_steps(store: Store) {
    let chunk = REMOVE_AT_ONCE / 4;
    for _ in 0..5 {
        filled(&store, "l", chunk).await;
    }
    let trim = Trim {
        max_entries: Some(0),
        ..Trim::default()
    };
    let first = store.trim("l", trim).await.unwrap();
    assert_eq!((first.removed, first.more), (REMOVE_AT_ONCE as u64, true));
    let rest = store.trim("l", trim).await.unwrap();
    assert_eq!((rest.removed, rest.more), (chunk as u64, false));
}

async fn a_removed_log_starts_at_one_and_its_entries_stay_gone(store: Store) {
    assert_eq!(store.remove_log("l").await, Ok(false));
    for round in 0..2 {
        let appended = store
            .append("l", vec![entry("v").dedupe("key"), entry("w")])
            .await
            .unwrap();
        assert_eq!(
            (appended.first_seq(), appended.any_duplicate()),
            (1, false),
            "round {round}"
        );
        assert_eq!(store.remove_log("l").await, Ok(true));
        assert_eq!(read_all(&store, "l").await, [0; 0]);
        assert_eq!(store.find("l", "key").await, Ok(None));
    }
    assert!(store.logs(Scan::default()).await.unwrap().items.is_empty());
    filled(&store, "l", 3).await;
    while store.purge(NOW, 1).await.unwrap().more {}
    assert_eq!(
        read_all(&store, "l").await,
        [1, 2, 3],
        "a purge frees the old log and not the new one"
    );
}

async fn logs_are_listed_by_prefix_in_pages(store: Store) {
    for log in ["room:b", "room:a", "room:c", "other"] {
        filled(&store, log, 2).await;
    }
    let first = store.logs(Scan::prefix("room:").limit(2)).await.unwrap();
    let names: Vec<&str> = first.items.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["room:a", "room:b"]);
    assert_eq!(first.items[0].1.last_seq, 2);
    let last = store
        .logs(Scan::prefix("room:").after(first.next))
        .await
        .unwrap();
    assert_eq!((last.items.len(), last.next), (1, None));
    let page = store
        .logs(Scan::prefix("room:").order(Order::Descending))
        .await
        .unwrap();
    assert_eq!(page.items[0].0, "room:c");
}

async fn an_empty_append_is_refused(store: Store) {
    let refused = store.append("l", Vec::new()).await;
    assert!(matches!(refused, Err(WriteError::Invalid { op: 0, .. })));
    let refused = store.append("", entries(1)).await;
    assert!(matches!(refused, Err(WriteError::Invalid { op: 0, .. })));
    let refused = store.append("l", vec![entry("v").dedupe("")]).await;
    assert!(matches!(refused, Err(WriteError::Invalid { op: 0, .. })));
}
