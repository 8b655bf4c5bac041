//! What holds when many use a store at once, and when it is closed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{NOW, behaviours, block_on, entries, entry, seqs};
use crate::{
    Answer, Batch, Condition, ENTRY_OVERHEAD_BYTES, Health, Query, Range, ReadError, Scan, Store,
    WriteError,
};

behaviours![
    writes_of_one_caller_keep_their_order,
    a_write_happens_though_its_future_is_dropped,
    a_refused_write_fails_alone_among_its_neighbours,
    a_counter_by_compare_and_set_counts_every_thread,
    appends_of_many_threads_leave_no_hole_and_keep_each_ones_order,
    a_dedupe_key_raced_by_many_threads_is_appended_once,
    a_write_that_is_done_is_seen_by_all,
    a_read_during_amendments_finds_every_entry_once,
    a_read_never_sees_half_a_batch,
    closing_finishes_what_was_submitted_and_takes_no_more,
    figures_count_what_was_done,
];

const THREADS: usize = 4;

async fn writes_of_one_caller_keep_their_order(store: Store) {
    let writes: Vec<_> = (0..300).map(|_| store.append("l", entries(1))).collect();
    for (index, write) in writes.into_iter().enumerate() {
        assert_eq!(write.await.unwrap().first_seq(), index as u64 + 1);
    }
}

async fn a_write_happens_though_its_future_is_dropped(store: Store) {
    drop(store.append("l", entries(1)));
    assert_eq!(store.append("l", entries(1)).await.unwrap().first_seq(), 2);
}

async fn a_refused_write_fails_alone_among_its_neighbours(store: Store) {
    // Every third batch appends and then meets a conflict; submitted without waiting, they share commits.
    let batch = |n: usize| {
        let condition = if n.is_multiple_of(3) {
            Condition::Version(1)
        } else {
            Condition::Absent
        };
        Batch::new(NOW)
            .append("l", vec![entry(&n.to_string())])
            .put("c", &n.to_string(), "v", condition, None)
    };
    let writes: Vec<_> = (0..99).map(|n| store.write(batch(n))).collect();
    for (n, write) in writes.into_iter().enumerate() {
        let outcome = write.await;
        if n.is_multiple_of(3) {
            assert_eq!(
                outcome,
                Err(WriteError::Conflict {
                    op: 1,
                    current: None
                })
            );
        } else {
            outcome.unwrap();
        }
    }
    let page = store.range("l", Range::from(1, 1000)).await.unwrap();
    assert_eq!(seqs(&page.entries), (1..=66).collect::<Vec<_>>());
    let values: Vec<usize> = page
        .entries
        .iter()
        .map(|entry| String::from_utf8_lossy(&entry.value).parse().unwrap())
        .collect();
    let applied = (0..99_usize).filter(|n| !n.is_multiple_of(3));
    assert_eq!(values, applied.collect::<Vec<_>>());
}

/// Adds one to a counter, however often others are quicker.
async fn count_up(store: &Store) {
    loop {
        let document = store.get(NOW, "c", "counter").await.unwrap();
        let (count, condition) = match document {
            Some(document) => {
                let count: u64 = String::from_utf8_lossy(&document.value).parse().unwrap();
                (count, Condition::Version(document.version))
            }
            None => (0, Condition::Absent),
        };
        let value = (count + 1).to_string().into();
        match store.put(NOW, "c", "counter", value, condition, None).await {
            Ok(_) => return,
            Err(WriteError::Conflict { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

async fn a_counter_by_compare_and_set_counts_every_thread(store: Store) {
    in_threads(|_| {
        for _ in 0..25 {
            block_on(count_up(&store));
        }
    });
    let document = store.get(NOW, "c", "counter").await.unwrap().unwrap();
    assert_eq!(document.value, (THREADS * 25).to_string());
}

fn in_threads(work: impl Fn(usize) + Sync) {
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let work = &work;
            scope.spawn(move || work(thread));
        }
    });
}

async fn appends_of_many_threads_leave_no_hole_and_keep_each_ones_order(store: Store) {
    in_threads(|thread| {
        let writes: Vec<_> = (0..50)
            .map(|n| store.append("l", vec![entry(&format!("{thread} {n:02}"))]))
            .collect();
        for write in writes {
            block_on(write).unwrap();
        }
    });
    let page = store.range("l", Range::from(1, 1000)).await.unwrap();
    assert_eq!(
        seqs(&page.entries),
        (1..=THREADS as u64 * 50).collect::<Vec<_>>()
    );
    for thread in 0..THREADS {
        let own = format!("{thread} ");
        let values: Vec<_> = page.entries.iter().map(|entry| &entry.value).collect();
        let of_thread: Vec<_> = values
            .into_iter()
            .filter(|value| value.starts_with(own.as_bytes()))
            .collect();
        assert_eq!(of_thread.len(), 50);
        assert!(of_thread.is_sorted());
    }
}

async fn a_dedupe_key_raced_by_many_threads_is_appended_once(store: Store) {
    in_threads(|_| {
        for n in 0..25 {
            let once = vec![entry("v").dedupe(&n.to_string())];
            block_on(store.append("l", once)).unwrap();
        }
    });
    assert_eq!(store.last_seq("l").await, Ok(25));
}

async fn a_write_that_is_done_is_seen_by_all(store: Store) {
    in_threads(|thread| {
        let log = format!("l{thread}");
        for seq in 1..=25 {
            block_on(store.append(&log, entries(1))).unwrap();
            assert_eq!(block_on(store.last_seq(&log)), Ok(seq));
        }
    });
}

async fn a_read_during_amendments_finds_every_entry_once(store: Store) {
    store.append("l", entries(20)).await.unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..100_u64 {
                let seq = n * 7 % 20 + 1;
                let batch = Batch::new(NOW)
                    .append(
                        "l",
                        vec![entry("new").note("c", "n", seq.to_string(), None)],
                    )
                    .amend("l", seq, format!("amended {n}"), None);
                block_on(store.write(batch)).unwrap();
            }
            done.store(true, Ordering::Release);
        });
        while !done.load(Ordering::Acquire) {
            for range in [Range::from(1, 1000), Range::before(u64::MAX, 1000)] {
                let queries = vec![
                    Query::Range {
                        log: "l".to_owned(),
                        range,
                    },
                    Query::Scan {
                        collection: "c".to_owned(),
                        scan: Scan::default().limit(1000),
                    },
                ];
                let answers = block_on(store.read(NOW, queries)).unwrap();
                let [Answer::Entries(page), Answer::Documents(notes)] = &answers[..] else {
                    panic!("{answers:?}");
                };
                let mut found = seqs(&page.entries);
                found.sort_unstable();
                assert_eq!(found, (1..=page.info.last_seq).collect::<Vec<_>>());
                assert_eq!(notes.items.len() as u64 + 20, page.info.last_seq);
                let bytes = page
                    .entries
                    .iter()
                    .map(|entry| entry.value.len() as u64 + ENTRY_OVERHEAD_BYTES);
                assert_eq!(bytes.sum::<u64>(), page.info.bytes);
            }
        }
    });
    let page = store.range("l", Range::from(1, 20)).await.unwrap();
    assert!(
        page.entries
            .iter()
            .all(|entry| entry.value.starts_with(b"amended "))
    );
}

async fn a_read_never_sees_half_a_batch(store: Store) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..100 {
                let value = n.to_string();
                let batch = Batch::new(NOW)
                    .put("c", "left", value.clone(), Condition::Any, None)
                    .append("l", entries(1))
                    .put("c", "right", value, Condition::Any, None);
                block_on(store.write(batch)).unwrap();
            }
            done.store(true, Ordering::Release);
        });
        let get = |key: &str| Query::Get {
            collection: "c".to_owned(),
            key: key.to_owned(),
        };
        while !done.load(Ordering::Acquire) {
            let log = Query::Log {
                log: "l".to_owned(),
            };
            let answers = block_on(store.read(NOW, vec![get("left"), get("right"), log])).unwrap();
            let [
                Answer::Document(left),
                Answer::Document(right),
                Answer::Log(info),
            ] = &answers[..]
            else {
                panic!("{answers:?}");
            };
            let value = |document: &Option<crate::Document>| {
                document.as_ref().map(|document| document.value.clone())
            };
            assert_eq!(value(left), value(right));
            let written = info.last_seq.checked_sub(1).map(|n| n.to_string().into());
            assert_eq!(value(left), written);
        }
    });
}

async fn closing_finishes_what_was_submitted_and_takes_no_more(store: Store) {
    let before: Vec<_> = (0..50).map(|_| store.append("l", entries(1))).collect();
    let closing = store.close();
    let after = store.append("l", entries(1));
    closing.await.unwrap();
    for write in before {
        write.await.unwrap();
    }
    assert_eq!(after.await, Err(WriteError::Closed));
    assert_eq!(store.last_seq("l").await, Err(ReadError::Closed));
    assert_eq!(store.health(), Health::Closed);
    store.close().await.unwrap();
}

async fn figures_count_what_was_done(store: Store) {
    for n in 0..3 {
        let batch = Batch::new(NOW).append("l", entries(1)).put(
            "c",
            &n.to_string(),
            "v",
            Condition::Absent,
            None,
        );
        store.write(batch).await.unwrap();
    }
    let refused = store.put(NOW, "c", "0", "v".into(), Condition::Absent, None);
    refused.await.unwrap_err();
    store.last_seq("l").await.unwrap();
    let stats = store.stats();
    assert_eq!(
        (stats.batches, stats.ops, stats.batches_failed, stats.reads),
        (3, 6, 1, 1)
    );
    assert_eq!(stats.commits, stats.group_sizes.iter().sum::<u64>());
    assert!(stats.bytes_written > 0);
    assert_eq!((stats.last_error, store.health()), (None, Health::Ok));
}
