//! What is promised of entries whose value is replaced.

use bytes::Bytes;

use super::{NOW, behaviours, entries, entry, seqs};
use crate::{
    Applied, Batch, Condition, DeleteRange, ENTRY_OVERHEAD_BYTES, Entry, Order, PAGE_BYTES, Range,
    Store, Trim, WriteError,
};

behaviours![
    an_amended_entry_keeps_its_place_time_and_dedupe_key,
    an_entry_that_is_not_there_is_not_amended,
    amended_entries_are_read_both_ways_in_pages,
    a_page_of_amended_entries_ends_at_the_byte_bound,
    amended_entries_are_trimmed_and_removed_like_others,
    every_bound_of_a_trim_counts_amended_bytes,
    a_refused_batch_takes_its_amendments_back,
    an_entry_that_the_batch_appends_can_be_amended_in_it,
];

async fn values(store: &Store, log: &str, range: Range) -> Vec<String> {
    let page = store.range(log, range).await.unwrap();
    let text = |value: &Bytes| String::from_utf8_lossy(value).into_owned();
    page.entries
        .iter()
        .map(|entry| text(&entry.value))
        .collect()
}

async fn an_amended_entry_keeps_its_place_time_and_dedupe_key(store: Store) {
    let appended = vec![
        Entry::new(NOW, "one").dedupe("a b"),
        Entry::new(NOW + 1, "two"),
        Entry::new(NOW + 2, "three").dedupe("c"),
    ];
    store.append("l", appended).await.unwrap();
    assert_eq!(
        store
            .amend("l", 1, Bytes::from_static(b"\0 \xff "), None)
            .await,
        Ok(true)
    );
    assert_eq!(store.amend("l", 2, Bytes::new(), None).await, Ok(true));
    let page = store.range("l", Range::from(0, 10)).await.unwrap();
    let read: Vec<_> = page
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
    let expected: [(u64, u64, Option<&str>, &[u8]); 3] = [
        (1, NOW, Some("a b"), b"\0 \xff "),
        (2, NOW + 1, None, b""),
        (3, NOW + 2, Some("c"), b"three"),
    ];
    assert_eq!(read, expected);
    assert_eq!(page.info.bytes, 4 + 3 + 5 + 1 + 3 * ENTRY_OVERHEAD_BYTES);
    assert_eq!(store.find("l", "a b").await, Ok(Some(1)));
    let again = store
        .append("l", vec![entry("x").dedupe("a b")])
        .await
        .unwrap();
    assert_eq!((again.first_seq(), again.any_duplicate()), (1, true));
    // And once more: the second amendment replaces the first.
    assert_eq!(store.amend("l", 1, "last".into(), None).await, Ok(true));
    assert_eq!(values(&store, "l", Range::from(1, 1)).await, ["last"]);
    assert_eq!(
        store.log_info("l").await.unwrap().bytes,
        4 + 3 + 5 + 1 + 3 * ENTRY_OVERHEAD_BYTES
    );
    assert_eq!(store.append("l", entries(1)).await.unwrap().first_seq(), 4);
}

async fn an_entry_that_is_not_there_is_not_amended(store: Store) {
    assert_eq!(store.amend("l", 1, "x".into(), None).await, Ok(false));
    assert_eq!(
        store.log_info("l").await.unwrap().last_seq,
        0,
        "no log is made"
    );
    store.append("l", entries(4)).await.unwrap();
    let trim = Trim {
        before_seq: Some(3),
        ..Trim::default()
    };
    store.trim("l", trim).await.unwrap();
    let before = store.range("l", Range::from(0, 10)).await.unwrap();
    for seq in [0, 2, 5, u64::MAX] {
        assert_eq!(
            store.amend("l", seq, "x".into(), None).await,
            Ok(false),
            "{seq}"
        );
    }
    assert_eq!(store.range("l", Range::from(0, 10)).await.unwrap(), before);
    let refused = store.amend("", 1, "x".into(), None).await;
    assert!(matches!(refused, Err(WriteError::Invalid { op: 0, .. })));
}

/// e1 to e20, of which the multiples of three and the last three are amended to a3, a6 …
async fn amended(store: &Store) {
    store.append("l", entries(20)).await.unwrap();
    let batch = (1..=20_u64)
        .filter(|seq| seq.is_multiple_of(3) || *seq > 17)
        .fold(Batch::new(NOW), |batch, seq| {
            batch.amend("l", seq, format!("a{seq}"), None)
        });
    store.write(batch).await.unwrap();
}

fn expected(seqs: impl Iterator<Item = u64>) -> Vec<String> {
    let value = |seq: u64| {
        let kind = if seq.is_multiple_of(3) || seq > 17 {
            'a'
        } else {
            'e'
        };
        format!("{kind}{seq}")
    };
    seqs.map(value).collect()
}

async fn amended_entries_are_read_both_ways_in_pages(store: Store) {
    amended(&store).await;
    for limit in [1, 2, 5, 20, 1000] {
        let (mut from, mut back) = (1, u64::MAX);
        let (mut up, mut down) = (Vec::new(), Vec::new());
        loop {
            let page = store.range("l", Range::from(from, limit)).await.unwrap();
            up.extend(page.entries);
            from = up.last().map_or(0, |entry: &crate::LogEntry| entry.seq + 1);
            if !page.more {
                break;
            }
        }
        loop {
            let page = store.range("l", Range::before(back, limit)).await.unwrap();
            down.extend(page.entries);
            back = down.last().map_or(0, |entry: &crate::LogEntry| entry.seq);
            if !page.more {
                break;
            }
        }
        assert_eq!(seqs(&up), (1..=20).collect::<Vec<_>>(), "pages of {limit}");
        down.reverse();
        assert_eq!(up, down, "pages of {limit}");
    }
    assert_eq!(
        values(&store, "l", Range::from(1, 100)).await,
        expected(1..=20)
    );
    let part = Range {
        from: 3,
        to: 9,
        limit: 100,
        order: Order::Descending,
    };
    assert_eq!(values(&store, "l", part).await, expected((3..=9).rev()));
    store.append("l", entries(1)).await.unwrap();
    assert_eq!(
        values(&store, "l", Range::from(20, 10)).await,
        ["a20", "e1"]
    );
}

async fn a_page_of_amended_entries_ends_at_the_byte_bound(store: Store) {
    store.append("l", entries(3)).await.unwrap();
    let third = Bytes::from(vec![7; PAGE_BYTES / 3 + 1]);
    for seq in [1, 3, 2] {
        store.amend("l", seq, third.clone(), None).await.unwrap();
    }
    let page = store.range("l", Range::from(1, 10)).await.unwrap();
    assert_eq!((seqs(&page.entries), page.more), (vec![1, 2], true));
    let page = store.range("l", Range::before(u64::MAX, 10)).await.unwrap();
    assert_eq!((seqs(&page.entries), page.more), (vec![3, 2], true));
    store.amend("l", 2, "small".into(), None).await.unwrap();
    let page = store.range("l", Range::from(1, 10)).await.unwrap();
    assert_eq!((seqs(&page.entries), page.more), (vec![1, 2, 3], false));
}

async fn amended_entries_are_trimmed_and_removed_like_others(store: Store) {
    amended(&store).await;
    store
        .append("l", vec![entry("x").dedupe("x")])
        .await
        .unwrap();
    store.amend("l", 21, "y".into(), None).await.unwrap();
    let trim = |seq| Trim {
        before_seq: Some(seq),
        ..Trim::default()
    };
    let trimmed = store.trim("l", trim(7)).await.unwrap();
    assert_eq!((trimmed.removed, trimmed.first_seq), (6, 7));
    assert_eq!(
        values(&store, "l", Range::from(0, 100)).await[..14],
        expected(7..=20)
    );
    assert_eq!(store.amend("l", 6, "again".into(), None).await, Ok(false));
    let trimmed = store.trim("l", trim(u64::MAX)).await.unwrap();
    assert_eq!((trimmed.removed, trimmed.first_seq), (15, 22));
    let info = store.log_info("l").await.unwrap();
    assert_eq!((info.last_seq, info.bytes), (21, 0));
    assert_eq!(
        store.find("l", "x").await,
        Ok(None),
        "its dedupe key went with it"
    );
    store.append("l", entries(2)).await.unwrap();
    store.amend("l", 23, "z".into(), None).await.unwrap();
    assert_eq!(values(&store, "l", Range::from(0, 100)).await, ["e1", "z"]);
    assert_eq!(store.remove_log("l").await, Ok(true));
    assert_eq!(store.amend("l", 23, "z".into(), None).await, Ok(false));
    store.append("l", entries(23)).await.unwrap();
    let page = store.range("l", Range::from(23, 1)).await.unwrap();
    assert_eq!(
        page.entries[0].value, "e23",
        "nothing is left of the old log"
    );
}

async fn every_bound_of_a_trim_counts_amended_bytes(store: Store) {
    store.append("l", entries(4)).await.unwrap();
    store
        .amend("l", 2, vec![0; 100].into(), None)
        .await
        .unwrap();
    let most = 2 * (2 + ENTRY_OVERHEAD_BYTES);
    let trim = Trim {
        max_bytes: Some(most),
        ..Trim::default()
    };
    assert_eq!(store.trim("l", trim).await.unwrap().first_seq, 3);
    assert_eq!(store.log_info("l").await.unwrap().bytes, most);
    store
        .append("m", (1..=4).map(|n| Entry::new(NOW + n, "v")).collect())
        .await
        .unwrap();
    store.amend("m", 2, "w".into(), None).await.unwrap();
    let trim = Trim {
        before_time_ms: Some(NOW + 3),
        ..Trim::default()
    };
    assert_eq!(store.trim("m", trim).await.unwrap().first_seq, 3);
    let trim = Trim {
        max_entries: Some(1),
        ..Trim::default()
    };
    assert_eq!(store.trim("m", trim).await.unwrap().first_seq, 4);
}

async fn a_refused_batch_takes_its_amendments_back(store: Store) {
    amended(&store).await;
    let before = store.range("l", Range::from(0, 100)).await.unwrap();
    let batch = Batch::new(NOW)
        .amend("l", 1, "longer than before", None)
        .amend("l", 1, "twice", None)
        .amend("l", 3, "", None)
        .delete_range("c", DeleteRange::prefix(""))
        .put("d", "k", "v", Condition::Version(1), None);
    let refused = store.write(batch).await;
    assert!(
        matches!(refused, Err(WriteError::Conflict { op: 4, .. })),
        "{refused:?}"
    );
    assert_eq!(store.range("l", Range::from(0, 100)).await.unwrap(), before);
}

async fn an_entry_that_the_batch_appends_can_be_amended_in_it(store: Store) {
    let batch = Batch::new(NOW)
        .append("l", entries(2))
        .amend("l", 2, "b", None)
        .amend("l", 3, "c", None);
    let results = store.write(batch).await.unwrap();
    let amended = |existed| Applied::Amended { existed };
    assert_eq!(results[1..], [amended(true), amended(false)]);
    assert_eq!(values(&store, "l", Range::from(1, 10)).await, ["e1", "b"]);
}
