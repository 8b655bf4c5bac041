//! What batches promise.

use super::{NOW, behaviours, entries, entry, seqs};
use crate::{
    Answer, Appended, Applied, Batch, Condition, MAX_BATCH_OPS, Order, Placed, Query, Range, Scan,
    ScoreRange, Store, Trim, WriteError,
};

behaviours![
    a_batch_gives_a_result_for_each_operation,
    operations_see_what_the_ones_before_them_did,
    a_refused_batch_changes_nothing,
    a_refused_batch_names_the_operation,
    a_batch_gives_way_to_a_duplicate,
    a_batch_without_a_duplicate_does_not_give_way,
    an_empty_batch_is_done,
    a_batch_has_bounds,
    a_read_answers_each_query_in_order,
];

async fn a_batch_gives_a_result_for_each_operation(store: Store) {
    let batch = Batch::new(NOW)
        .put("c", "k", "v", Condition::Absent, None)
        .append("l", entries(2))
        .set_score("r", "ann", 1.0)
        .touch("c", "nothing", None)
        .remove_member("r", "bob")
        .delete("c", "nothing", Condition::Any);
    let results = store.write(batch).await.unwrap();
    let [
        Applied::Put { version },
        Applied::Appended(appended),
        Applied::Scored(change),
        rest @ ..,
    ] = &results[..]
    else {
        panic!("{results:?}");
    };
    assert_eq!((appended.first_seq(), change.score), (1, 1.0));
    let expected = [
        Applied::Touched { existed: false },
        Applied::MemberRemoved { existed: false },
        Applied::Deleted { existed: false },
    ];
    assert_eq!(rest, expected);
    assert_eq!(
        store.get(NOW, "c", "k").await.unwrap().unwrap().version,
        *version
    );
}

async fn operations_see_what_the_ones_before_them_did(store: Store) {
    let batch = Batch::new(NOW)
        .put("c", "k", "1", Condition::Absent, None)
        .delete("c", "k", Condition::Any)
        .put("c", "k", "2", Condition::Absent, None)
        .append("l", vec![entry("a").dedupe("x")])
        .append("l", vec![entry("b").dedupe("x"), entry("c")])
        .remove_log("l")
        .append("l", vec![entry("d").dedupe("x")])
        .add_score("r", "ann", 2.0)
        .add_score("r", "ann", 3.0);
    let results = store.write(batch).await.unwrap();
    assert_eq!(results[1], Applied::Deleted { existed: true });
    let twice = Appended {
        entries: vec![
            Placed {
                seq: 1,
                duplicate: true,
            },
            Placed {
                seq: 2,
                duplicate: false,
            },
        ],
    };
    assert_eq!(results[4], Applied::Appended(twice));
    assert_eq!(store.get(NOW, "c", "k").await.unwrap().unwrap().value, "2");
    let page = store.range("l", Range::from(1, 10)).await.unwrap();
    assert_eq!(page.entries.len(), 1);
    assert_eq!(page.entries[0].value, "d");
    assert_eq!(store.score("r", "ann").await, Ok(Some(5.0)));
}

/// All that a store holds under the names used here.
async fn picture(store: &Store) -> Vec<Answer> {
    let name = |name: &str| name.to_owned();
    let log = |log: &str| Query::Range {
        log: log.to_owned(),
        range: Range::from(0, 100),
    };
    let ranking = |ranking: &str| Query::ByScore {
        ranking: ranking.to_owned(),
        scores: ScoreRange::ALL,
        offset: 0,
        limit: 100,
        order: Order::Ascending,
    };
    let queries = vec![
        Query::Scan {
            collection: name("c"),
            scan: Scan::default(),
        },
        Query::Logs {
            scan: Scan::default(),
        },
        log("old"),
        log("gone"),
        log("new"),
        Query::Find {
            log: name("old"),
            dedupe: name("x"),
        },
        ranking("old"),
        ranking("gone"),
        ranking("new"),
        Query::Count {
            ranking: name("old"),
            scores: ScoreRange::ALL,
        },
    ];
    store.read(NOW, queries).await.unwrap()
}

async fn a_refused_batch_changes_nothing(store: Store) {
    let before = Batch::new(NOW)
        .put("c", "a", "1", Condition::Any, None)
        .put("c", "b", "1", Condition::Any, Some(NOW + 10))
        .append("old", vec![entry("1").dedupe("x"), entry("2").dedupe("y")])
        .append("gone", entries(3))
        .set_score("old", "ann", 1.0)
        .set_score("gone", "bob", 2.0);
    store.write(before).await.unwrap();
    let expected = picture(&store).await;
    let trim = Trim {
        max_entries: Some(1),
        ..Trim::default()
    };
    let remove_ranking = crate::Op::RemoveRanking {
        ranking: "gone".to_owned(),
    };
    let changes = Batch::new(NOW)
        .put("c", "a", "2", Condition::Any, Some(NOW + 1))
        .put("c", "new", "2", Condition::Absent, None)
        .touch("c", "b", None)
        .delete("c", "b", Condition::Any)
        .append("old", vec![entry("3").dedupe("z"), entry("4").dedupe("x")])
        .append("new", entries(2))
        .trim("old", trim)
        .append("old", vec![entry("5").dedupe("x")])
        .remove_log("gone")
        .append("gone", entries(1))
        .add_score("old", "ann", 4.0)
        .remove_member("old", "ann")
        .set_score("new", "eve", 1.0)
        .op(remove_ranking)
        .set_score("gone", "eve", 1.0);
    let refused = changes.clone().delete("c", "a", Condition::Absent);
    let outcome = store.write(refused).await;
    assert!(
        matches!(outcome, Err(WriteError::Conflict { op: 15, .. })),
        "{outcome:?}"
    );
    assert_eq!(picture(&store).await, expected);
    store.write(changes).await.unwrap();
    assert_ne!(
        picture(&store).await,
        expected,
        "the same changes without the refusal are seen"
    );
}

async fn a_refused_batch_names_the_operation(store: Store) {
    let batch =
        Batch::new(NOW)
            .append("l", entries(1))
            .put("c", "k", "v", Condition::Version(5), None);
    assert_eq!(
        store.write(batch).await,
        Err(WriteError::Conflict {
            op: 1,
            current: None
        })
    );
    let batch = Batch::new(NOW)
        .set_score("r", "ann", f64::MAX)
        .append("l", entries(1))
        .add_score("r", "ann", f64::MAX);
    assert!(matches!(
        store.write(batch).await,
        Err(WriteError::Invalid { op: 2, .. })
    ));
    assert_eq!(store.last_seq("l").await, Ok(0));
    assert_eq!(store.score("r", "ann").await, Ok(None));
}

/// "Append the message and update the room", as a chat does it.
fn send(key: &str, room: &'static str) -> Batch {
    Batch::new(NOW)
        .put("rooms", "lobby", room, Condition::Any, None)
        .append("lobby", vec![entry("other"), entry("message").dedupe(key)])
        .add_score("activity", "lobby", 1.0)
        .unless_duplicate()
}

async fn a_batch_gives_way_to_a_duplicate(store: Store) {
    store.write(send("key", "first")).await.unwrap();
    let retried = store.write(send("key", "second")).await.unwrap();
    let appended = Appended {
        entries: vec![
            Placed {
                seq: 0,
                duplicate: false,
            },
            Placed {
                seq: 2,
                duplicate: true,
            },
        ],
    };
    assert_eq!(
        retried,
        [
            Applied::Skipped,
            Applied::Appended(appended),
            Applied::Skipped
        ]
    );
    assert_eq!(store.last_seq("lobby").await, Ok(2));
    assert_eq!(
        store
            .get(NOW, "rooms", "lobby")
            .await
            .unwrap()
            .unwrap()
            .value,
        "first"
    );
    assert_eq!(store.score("activity", "lobby").await, Ok(Some(1.0)));
}

async fn a_batch_without_a_duplicate_does_not_give_way(store: Store) {
    store.write(send("key", "first")).await.unwrap();
    let results = store.write(send("other", "second")).await.unwrap();
    assert!(!results.contains(&Applied::Skipped));
    let page = store.range("lobby", Range::from(1, 10)).await.unwrap();
    assert_eq!(seqs(&page.entries), [1, 2, 3, 4]);
    assert_eq!(
        store
            .get(NOW, "rooms", "lobby")
            .await
            .unwrap()
            .unwrap()
            .value,
        "second"
    );
}

async fn an_empty_batch_is_done(store: Store) {
    assert_eq!(store.write(Batch::new(NOW)).await, Ok(Vec::new()));
    assert_eq!(store.read(NOW, Vec::new()).await, Ok(Vec::new()));
}

async fn a_batch_has_bounds(store: Store) {
    let most = store.append("l", entries(MAX_BATCH_OPS)).await.unwrap();
    assert_eq!(most.entries.len(), MAX_BATCH_OPS);
    let refused = store.append("l", entries(MAX_BATCH_OPS + 1)).await;
    assert!(matches!(refused, Err(WriteError::Invalid { .. })));
    let value = vec![0; crate::MAX_VALUE_BYTES];
    let heavy = (0..2).fold(Batch::new(NOW), |batch, n| {
        batch.put("c", &n.to_string(), value.clone(), Condition::Any, None)
    });
    assert!(matches!(
        store.write(heavy).await,
        Err(WriteError::Invalid { .. })
    ));
    assert_eq!(store.last_seq("l").await, Ok(MAX_BATCH_OPS as u64));
}

async fn a_read_answers_each_query_in_order(store: Store) {
    store.write(send("key", "room")).await.unwrap();
    let queries = vec![
        Query::Log {
            log: "lobby".to_owned(),
        },
        Query::Get {
            collection: "rooms".to_owned(),
            key: "nothing".to_owned(),
        },
        Query::Score {
            ranking: "activity".to_owned(),
            member: "lobby".to_owned(),
        },
    ];
    let answers = store.read(NOW, queries).await.unwrap();
    assert!(matches!(
        answers[..],
        [Answer::Log(info), Answer::Document(None), Answer::Score(Some(1.0))] if info.last_seq == 2
    ));
}
