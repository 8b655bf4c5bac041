//! Random steps: few names, so that they meet.

use lakh_store::{Condition, DeleteRange, Entry, Note, Op, Trim};
use proptest::prelude::*;

pub(crate) const COLLECTIONS: [&str; 2] = ["c", "d"];
pub(crate) const KEYS: [&str; 4] = ["a", "ab", "b", "é"];
pub(crate) const LOGS: [&str; 2] = ["l", "m"];
pub(crate) const DEDUPES: [&str; 3] = ["x", "y", "z"];
pub(crate) const RANKINGS: [&str; 2] = ["r", "s"];
pub(crate) const MEMBERS: [&str; 3] = ["ann", "bob", "cid"];

#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) later_ms: u64,
    pub(crate) ops: Vec<Op>,
    pub(crate) unless_duplicate: bool,
    /// Close the store and open it again, where that can be done.
    pub(crate) reopen: bool,
}

fn pick(names: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(names).prop_map(str::to_owned)
}

fn at() -> impl Strategy<Value = (String, String)> {
    (pick(&COLLECTIONS), pick(&KEYS))
}

fn condition() -> impl Strategy<Value = Condition> {
    prop_oneof![
        4 => Just(Condition::Any),
        2 => Just(Condition::Absent),
        2 => (1..20_u64).prop_map(Condition::Version),
    ]
}

fn entry() -> impl Strategy<Value = Entry> {
    let value = prop::collection::vec(any::<u8>(), 0..20);
    let notes = prop::collection::vec(note(), 0..3);
    let notes = prop_oneof![3 => Just(Vec::new()), 1 => notes];
    (
        prop_oneof![0..50_u64, 0..9000_u64],
        prop::option::of(pick(&DEDUPES)),
        value,
        notes,
        text(),
    )
        .prop_map(|(time_ms, dedupe, value, notes, text)| Entry {
            text,
            time_ms,
            dedupe,
            value: value.into(),
            notes,
        })
}

fn text() -> impl Strategy<Value = Option<String>> {
    prop::option::weighted(
        0.6,
        pick(&["", "one", "Two", "one TWO", "two, one", "three one twö"]),
    )
}

fn note() -> impl Strategy<Value = Note> {
    let value = prop::collection::vec(any::<u8>(), 0..9);
    (at(), value, prop::option::of(0..60_u64)).prop_map(
        |((collection, prefix), value, expires_at_ms)| Note {
            collection,
            prefix,
            value: value.into(),
            expires_at_ms,
        },
    )
}

fn range() -> impl Strategy<Value = DeleteRange> {
    let end = || prop::option::weighted(0.3, pick(&KEYS));
    let prefix = prop_oneof![Just(String::new()), pick(&KEYS)];
    (prefix, end(), end(), 1..4_usize).prop_map(|(prefix, from, to, limit)| DeleteRange {
        prefix,
        from,
        to,
        limit,
    })
}

fn trim() -> impl Strategy<Value = Trim> {
    let bound = |most| prop::option::weighted(0.3, 0..most);
    (bound(12_u64), bound(6), bound(120), bound(50)).prop_map(
        |(before_seq, max_entries, max_bytes, before_time_ms)| Trim {
            before_seq,
            max_entries,
            max_bytes,
            before_time_ms,
        },
    )
}

fn op() -> impl Strategy<Value = Op> {
    let expiry = || prop::option::of(0..60_u64);
    let scored = || {
        (
            pick(&RANKINGS),
            pick(&MEMBERS),
            (-2..3_i32).prop_map(f64::from),
        )
    };
    prop_oneof![
        4 => (at(), prop::collection::vec(any::<u8>(), 0..9), condition(), expiry()).prop_map(
            |((collection, key), value, condition, expires_at_ms)| Op::Put {
                collection, key, value: value.into(), condition, expires_at_ms,
            }),
        1 => (at(), expiry()).prop_map(
            |((collection, key), expires_at_ms)| Op::Touch { collection, key, expires_at_ms }),
        2 => (at(), condition()).prop_map(|((collection, key), condition)| Op::Delete { collection, key, condition }),
        4 => (pick(&LOGS), prop::collection::vec(entry(), 1..4)).prop_map(|(log, entries)| Op::Append { log, entries }),
        1 => (pick(&COLLECTIONS), range()).prop_map(|(collection, range)| Op::DeleteRange { collection, range }),
        3 => (pick(&LOGS), 0..12_u64, prop::collection::vec(any::<u8>(), 0..20), text()).prop_map(
            |(log, seq, value, text)| Op::Amend { log, seq, value: value.into(), text }),
        2 => (pick(&LOGS), trim()).prop_map(|(log, trim)| Op::Trim { log, trim }),
        1 => pick(&LOGS).prop_map(|log| Op::RemoveLog { log }),
        2 => scored().prop_map(|(ranking, member, score)| Op::SetScore { ranking, member, score }),
        2 => scored().prop_map(|(ranking, member, by)| Op::AddScore { ranking, member, by }),
        2 => (pick(&RANKINGS), pick(&MEMBERS)).prop_map(|(ranking, member)| Op::RemoveMember { ranking, member }),
        1 => pick(&RANKINGS).prop_map(|ranking| Op::RemoveRanking { ranking }),
        1 => (1..4_usize).prop_map(|limit| Op::Purge { limit }),
    ]
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ops = prop::collection::vec(op(), 1..6);
    let step = (0..4_u64, ops, any::<bool>(), prop::bool::weighted(0.05));
    let step = step.prop_map(|(later_ms, ops, unless_duplicate, reopen)| Step {
        later_ms,
        ops,
        unless_duplicate,
        reopen,
    });
    prop::collection::vec(step, 1..30)
}
