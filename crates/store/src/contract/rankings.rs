//! What rankings promise.

use super::{behaviours, members};
use crate::{MAX_PAGE, Order, ScoreChange, ScoreRange, Store, WriteError};

behaviours![
    a_score_is_set_and_added_to,
    members_stand_by_score_and_then_by_name,
    members_are_read_by_rank_in_pages,
    members_are_read_by_score_with_both_ends,
    members_are_counted,
    a_member_is_taken_out,
    a_removed_ranking_is_empty,
    scores_stay_finite,
    a_negative_zero_is_a_zero,
];

const ASC: Order = Order::Ascending;
const DESC: Order = Order::Descending;

/// Ranks: cid 1, ann 2, bob 2, eve 2, dan 5.
async fn five(store: &Store) {
    for (member, score) in [
        ("bob", 2.0),
        ("dan", 5.0),
        ("ann", 2.0),
        ("cid", 1.0),
        ("eve", 2.0),
    ] {
        store.set_score("r", member, score).await.unwrap();
    }
}

async fn a_score_is_set_and_added_to(store: Store) {
    let change = |score, added| Ok(ScoreChange { score, added });
    assert_eq!(store.score("r", "ann").await, Ok(None));
    assert_eq!(store.add_score("r", "ann", 2.5).await, change(2.5, true));
    assert_eq!(store.add_score("r", "ann", -4.0).await, change(-1.5, false));
    assert_eq!(store.set_score("r", "ann", 7.0).await, change(7.0, false));
    assert_eq!(store.set_score("r", "bob", 0.1).await, change(0.1, true));
    assert_eq!(store.score("r", "ann").await, Ok(Some(7.0)));
    assert_eq!(store.score("r", "bob").await, Ok(Some(0.1)));
    assert_eq!(store.score("other", "ann").await, Ok(None));
    let large = 9_007_199_254_740_991.0;
    store.set_score("r", "ann", large).await.unwrap();
    assert_eq!(store.score("r", "ann").await, Ok(Some(large)));
}

async fn members_stand_by_score_and_then_by_name(store: Store) {
    five(&store).await;
    let ranked = store.by_rank("r", 0, 10, ASC).await.unwrap();
    assert_eq!(members(&ranked), ["cid", "ann", "bob", "eve", "dan"]);
    for (rank, ranked) in ranked.iter().enumerate() {
        let rank = rank as u64;
        assert_eq!(store.rank("r", &ranked.member, ASC).await, Ok(Some(rank)));
        assert_eq!(
            store.rank("r", &ranked.member, DESC).await,
            Ok(Some(4 - rank))
        );
    }
    assert_eq!(store.rank("r", "nobody", ASC).await, Ok(None));
    assert_eq!(store.rank("nowhere", "ann", ASC).await, Ok(None));
    store.set_score("r", "ann", 9.0).await.unwrap();
    assert_eq!(store.rank("r", "ann", DESC).await, Ok(Some(0)));
}

async fn members_are_read_by_rank_in_pages(store: Store) {
    five(&store).await;
    let ranked = store.by_rank("r", 1, 2, ASC).await.unwrap();
    assert_eq!(members(&ranked), ["ann", "bob"]);
    let ranked = store.by_rank("r", 0, 2, DESC).await.unwrap();
    assert_eq!(members(&ranked), ["dan", "eve"]);
    assert_eq!(ranked[0].score, 5.0);
    let ranked = store.by_rank("r", 4, 10, DESC).await.unwrap();
    assert_eq!(members(&ranked), ["cid"]);
    assert!(store.by_rank("r", 5, 10, ASC).await.unwrap().is_empty());
    assert!(
        store
            .by_rank("r", u64::MAX, 10, ASC)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        store
            .by_rank("nowhere", 0, 10, ASC)
            .await
            .unwrap()
            .is_empty()
    );
}

async fn members_are_read_by_score_with_both_ends(store: Store) {
    five(&store).await;
    let two_up = ScoreRange {
        min: 2.0,
        max: f64::INFINITY,
    };
    let read = async |scores, offset, limit, order| {
        let ranked = store
            .by_score("r", scores, offset, limit, order)
            .await
            .unwrap();
        ranked
            .into_iter()
            .map(|ranked| ranked.member)
            .collect::<Vec<_>>()
    };
    assert_eq!(read(two_up, 0, 10, ASC).await, ["ann", "bob", "eve", "dan"]);
    assert_eq!(read(two_up, 1, 2, ASC).await, ["bob", "eve"]);
    assert_eq!(read(two_up, 1, 2, DESC).await, ["eve", "bob"]);
    let two = ScoreRange { min: 2.0, max: 2.0 };
    assert_eq!(read(two, 0, 10, DESC).await, ["eve", "bob", "ann"]);
    let backwards = ScoreRange { min: 5.0, max: 1.0 };
    assert!(read(backwards, 0, 10, ASC).await.is_empty());
    assert_eq!(read(ScoreRange::ALL, 0, MAX_PAGE + 1, ASC).await.len(), 5);
}

async fn members_are_counted(store: Store) {
    assert_eq!(store.count("r", ScoreRange::ALL).await, Ok(0));
    five(&store).await;
    store.add_score("r", "ann", 0.0).await.unwrap();
    assert_eq!(store.count("r", ScoreRange::ALL).await, Ok(5));
    let two = ScoreRange { min: 2.0, max: 2.0 };
    assert_eq!(store.count("r", two).await, Ok(3));
}

async fn a_member_is_taken_out(store: Store) {
    assert_eq!(store.remove_member("r", "ann").await, Ok(false));
    five(&store).await;
    assert_eq!(store.remove_member("r", "nobody").await, Ok(false));
    for (left, member) in [(4, "ann"), (3, "bob"), (2, "cid"), (1, "dan"), (0, "eve")] {
        assert_eq!(store.remove_member("r", member).await, Ok(true));
        assert_eq!(store.score("r", member).await, Ok(None));
        assert_eq!(store.count("r", ScoreRange::ALL).await, Ok(left));
    }
    assert!(store.add_score("r", "ann", 1.0).await.unwrap().added);
}

async fn a_removed_ranking_is_empty(store: Store) {
    assert_eq!(store.remove_ranking("r").await, Ok(false));
    five(&store).await;
    assert_eq!(store.remove_ranking("r").await, Ok(true));
    assert_eq!(store.count("r", ScoreRange::ALL).await, Ok(0));
    assert!(store.by_rank("r", 0, 10, ASC).await.unwrap().is_empty());
    store.set_score("r", "new", 1.0).await.unwrap();
    while store.purge(0, 2).await.unwrap().more {}
    assert_eq!(
        members(&store.by_rank("r", 0, 10, ASC).await.unwrap()),
        ["new"]
    );
}

async fn scores_stay_finite(store: Store) {
    store.set_score("r", "ann", f64::MAX).await.unwrap();
    for refused in [
        store.set_score("r", "ann", f64::NAN).await,
        store.set_score("r", "ann", f64::INFINITY).await,
        store.add_score("r", "ann", f64::NEG_INFINITY).await,
        store.add_score("r", "ann", f64::MAX).await,
    ] {
        assert!(
            matches!(refused, Err(WriteError::Invalid { op: 0, .. })),
            "{refused:?}"
        );
    }
    assert_eq!(store.score("r", "ann").await, Ok(Some(f64::MAX)));
}

async fn a_negative_zero_is_a_zero(store: Store) {
    let change = store.set_score("r", "b", -0.0).await.unwrap();
    assert!(change.score.is_sign_positive());
    store.set_score("r", "a", 0.0).await.unwrap();
    let ranked = store.by_rank("r", 0, 10, ASC).await.unwrap();
    assert_eq!(members(&ranked), ["a", "b"]);
    assert!(ranked.iter().all(|ranked| ranked.score.is_sign_positive()));
}
