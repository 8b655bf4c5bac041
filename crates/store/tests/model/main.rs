//! Random operations against a model that is too plain to be wrong.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod plain;
#[allow(dead_code, reason = "the model never ends its server on purpose")]
#[path = "../redis/server.rs"]
mod server;
mod steps;

use lakh_store::contract::block_on;
use lakh_store::{
    Answer, Batch, Condition, Entry, LogEntry, Op, Order, Query, Range, ReadError, Scan,
    ScoreRange, SqliteOptions, Store, Synchronous,
};
use proptest::prelude::*;

use crate::plain::{Doc, Model};
use crate::server::Server;
use crate::steps::{COLLECTIONS, DEDUPES, KEYS, LOGS, MEMBERS, RANKINGS, Step, steps};

/// Reads all that can be read, in all the ways there are, and compares.
fn compare(store: &Store, model: &Model, now: u64) {
    for collection in COLLECTIONS {
        for order in [Order::Ascending, Order::Descending] {
            let own = model.docs.keys().filter(|(other, _)| other == collection);
            let mut expected: Vec<_> = own
                .filter(|(_, key)| model.live(collection, key, now).is_some())
                .collect();
            if order == Order::Descending {
                expected.reverse();
            }
            let page = block_on(store.scan(now, collection, Scan::default().order(order))).unwrap();
            assert_eq!(page.next, None);
            let found: Vec<_> = page
                .items
                .iter()
                .map(|(key, doc)| (key, &doc.value, doc.expires_at_ms))
                .collect();
            let shown = |at: &(String, String)| {
                let doc = &model.docs[at];
                (&doc.value, doc.expires_at_ms)
            };
            let expected: Vec<_> = expected
                .into_iter()
                .map(|at| (&at.1, shown(at).0, shown(at).1))
                .collect();
            assert_eq!(found, expected);
        }
        for key in KEYS {
            let document = block_on(store.get(now, collection, key))
                .unwrap()
                .map(|document| Doc {
                    value: document.value,
                    version: document.version,
                    expires_at_ms: document.expires_at_ms,
                });
            assert_eq!(document.as_ref(), model.live(collection, key, now));
        }
    }
    LOGS.iter().for_each(|log| compare_log(store, model, log));
    compare_found(store, model);
    RANKINGS
        .iter()
        .for_each(|ranking| compare_ranking(store, model, ranking));
}

fn compare_log(store: &Store, model: &Model, name: &str) {
    let log = model.logs.get(name).cloned().unwrap_or_default();
    let page = block_on(store.range(name, Range::from(0, 1000))).unwrap();
    assert_eq!((page.info, page.more), (log.info(), false));
    let entry = |entry: &LogEntry| Entry {
        time_ms: entry.time_ms,
        dedupe: entry.dedupe.clone(),
        value: entry.value.clone(),
        notes: Vec::new(),
        text: None,
    };
    assert_eq!(
        page.entries.iter().map(entry).collect::<Vec<_>>(),
        plain(&log.all[log.trimmed..])
    );
    let seqs: Vec<u64> = page.entries.iter().map(|entry| entry.seq).collect();
    assert_eq!(
        seqs,
        (log.info().first_seq..=log.info().last_seq).collect::<Vec<_>>()
    );
    let mut back = block_on(store.range(name, Range::before(u64::MAX, 1000)))
        .unwrap()
        .entries;
    back.reverse();
    assert_eq!(back, page.entries);
    for dedupe in DEDUPES {
        assert_eq!(block_on(store.find(name, dedupe)), Ok(log.find(dedupe)));
    }
    let listed = block_on(store.logs(Scan::default())).unwrap();
    assert!(
        listed
            .items
            .iter()
            .map(|(name, _)| name)
            .eq(model.logs.keys())
    );
}

/// Entries without what can't be read back.
fn plain(entries: &[Entry]) -> Vec<Entry> {
    entries
        .iter()
        .map(|entry| entry.clone().text(None))
        .collect()
}

/// Each word in each set of logs, in pages of two.
fn compare_found(store: &Store, model: &Model) {
    if !store.can_search() {
        let refused = block_on(store.search(vec![LOGS[0].to_owned()], "a", None, 1));
        assert_eq!(refused, Err(ReadError::Unsupported));
        return;
    }
    for logs in [vec![LOGS[0]], LOGS.to_vec()] {
        for words in ["one", "TWO one", "t*", "\"one two\""] {
            let logs: Vec<String> = logs.iter().map(|&log| log.to_owned()).collect();
            let (mut found, mut before) = (Vec::new(), None);
            loop {
                let page = block_on(store.search(logs.clone(), words, before, 2)).unwrap();
                assert!(page.hits.len() == 2 || page.next.is_none());
                found.extend(
                    page.hits
                        .into_iter()
                        .map(|hit| (hit.time_ms, hit.log, hit.seq)),
                );
                before = page.next;
                if before.is_none() {
                    break;
                }
            }
            assert_eq!(found, model.found(&logs, words), "{words} in {logs:?}");
        }
    }
}

fn compare_ranking(store: &Store, model: &Model, name: &str) {
    for order in [Order::Ascending, Order::Descending] {
        let expected = model.ranked(name, order);
        let found = block_on(store.by_rank(name, 0, 100, order)).unwrap();
        let found: Vec<_> = found
            .into_iter()
            .map(|ranked| (ranked.member, ranked.score))
            .collect();
        assert_eq!(found, expected);
        for member in MEMBERS {
            let rank = expected
                .iter()
                .position(|(other, _)| other == member)
                .map(|rank| rank as u64);
            assert_eq!(block_on(store.rank(name, member, order)), Ok(rank));
        }
        let scores = ScoreRange {
            min: -1.0,
            max: 1.0,
        };
        let within: Vec<_> = expected
            .iter()
            .filter(|(_, score)| scores.contains(*score))
            .collect();
        let found = block_on(store.by_score(name, scores, 1, 100, order)).unwrap();
        assert!(
            found
                .iter()
                .map(|ranked| &ranked.member)
                .eq(within.iter().skip(1).map(|(member, _)| member))
        );
        assert_eq!(block_on(store.count(name, scores)), Ok(within.len() as u64));
    }
    let all = Query::Count {
        ranking: name.to_owned(),
        scores: ScoreRange::ALL,
    };
    let count = model.ranked(name, Order::Ascending).len() as u64;
    assert_eq!(
        block_on(store.read(0, vec![all])),
        Ok(vec![Answer::Count(count)])
    );
}

/// No key is one of a note, but a range may take any: a condition behind one of its collection is refused (the contract says
/// so), so it is dropped.
fn clear(step: &mut Step) {
    let mut deleted: Vec<String> = Vec::new();
    for op in &mut step.ops {
        match op {
            Op::DeleteRange { collection, .. } => deleted.push(collection.clone()),
            Op::Put {
                collection,
                condition,
                ..
            }
            | Op::Delete {
                collection,
                condition,
                ..
            } if deleted.contains(collection) => {
                *condition = Condition::Any;
            }
            _ => {}
        }
    }
}

/// Conditions guess versions among the small numbers: half of them are turned into the version that is there, the others kept
/// below what was given so far, because the versions that this batch will be given can't be foretold.
fn aim(step: &mut Step, model: &Model, now: u64) {
    for op in &mut step.ops {
        let (Op::Put {
            collection,
            key,
            condition,
            ..
        }
        | Op::Delete {
            collection,
            key,
            condition,
        }) = op
        else {
            continue;
        };
        let Condition::Version(guess) = condition else {
            continue;
        };
        match model.live(collection, key, now) {
            Some(doc) if guess.is_multiple_of(2) => *guess = doc.version,
            _ => *guess = model.highest_version.min(*guess),
        }
    }
}

fn follow(mut store: Store, steps: Vec<Step>, reopen: impl Fn(Store) -> Store) {
    let mut model = Model::default();
    let mut now = 0;
    for mut step in steps {
        now += step.later_ms;
        aim(&mut step, &model, now);
        clear(&mut step);
        let mut batch = step.ops.iter().cloned().fold(Batch::new(now), Batch::op);
        if step.unless_duplicate {
            batch = batch.unless_duplicate();
        }
        let got = block_on(store.write(batch));
        let expected = model.batch(&step, now, &got);
        assert_eq!(got, expected, "{step:?}");
        if step.reopen {
            store = reopen(store);
        }
        compare(&store, &model, now);
    }
    block_on(store.close()).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_memory_backend_does_as_the_model(steps in steps()) {
        follow(Store::memory(), steps, |store| store);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_sqlite_backend_does_as_the_model_and_after_it_is_opened_again(steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            let options = SqliteOptions { synchronous: Synchronous::Normal, ..SqliteOptions::default() };
            Store::sqlite(folder.path().join("lakh.db"), &options).unwrap()
        };
        follow(open(), steps, |store| {
            block_on(store.close()).unwrap();
            open()
        });
    }
}

#[test]
fn the_redis_backend_does_as_the_model() {
    let server = Server::new();
    let config = ProptestConfig {
        cases: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(steps in steps())| {
        follow(server.fresh_store(&server::patient()), steps, |store| store);
    });
}
