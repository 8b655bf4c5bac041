//! Batches and queries as the arguments of the scripts.

use redis::{Arg, Cmd, cmd};

use super::keys;
use crate::batch::{Batch, Op};
use crate::documents::{Condition, Order, Scan};
use crate::limits::{self, MAX_INTEGER, REMOVE_AT_ONCE};
use crate::logs::Entry;
use crate::query::Query;
use crate::rankings::{ScoreRange, checked_score};

/// Starts a call of a script that was loaded.
pub(crate) fn call(sha: &str, key: &str) -> Cmd {
    let mut call = cmd("EVALSHA");
    call.arg(sha).arg(1).arg(key);
    call
}

/// Adds a batch: how many arguments it has, and then those.
pub(crate) fn batch(call: &mut Cmd, batch: &Batch) {
    let mut own = Cmd::with_capacity(4 + 6 * batch.ops().len(), batch.bytes());
    own.arg(batch.now_ms())
        .arg(u8::from(batch.gives_way_to_duplicates()));
    batch.ops().iter().for_each(|op| add(&mut own, op));
    call.arg(own.args_iter().count());
    for argument in own.args_iter() {
        if let Arg::Simple(argument) = argument {
            call.arg(argument);
        }
    }
}

fn add(call: &mut Cmd, op: &Op) {
    match op {
        Op::Put {
            collection,
            key,
            value,
            condition: wanted,
            expires_at_ms,
        } => {
            call.arg("put")
                .arg(&*keys::collection(collection))
                .arg(key)
                .arg(&value[..]);
            condition(call, *wanted);
            optional(call, *expires_at_ms)
        }
        Op::Touch {
            collection,
            key,
            expires_at_ms,
        } => {
            call.arg("touch")
                .arg(&*keys::collection(collection))
                .arg(key);
            optional(call, *expires_at_ms)
        }
        Op::Delete {
            collection,
            key,
            condition: wanted,
        } => {
            call.arg("delete")
                .arg(&*keys::collection(collection))
                .arg(key);
            condition(call, *wanted)
        }
        Op::DeleteRange { collection, range } => {
            let (lower, upper) = range.bounds();
            call.arg("delete range")
                .arg(&*keys::collection(collection))
                .arg(lower)
                .arg(upper.unwrap_or_default())
                .arg(range.most())
        }
        Op::Amend {
            log, seq, value, ..
        } => call
            .arg("amend")
            .arg(log)
            .arg((*seq).min(MAX_INTEGER))
            .arg(&value[..]),
        Op::Append { log, entries } if entries.iter().any(|entry| !entry.notes.is_empty()) => {
            call.arg("append noted").arg(log).arg(entries.len());
            entries.iter().for_each(|entry| noted(call, entry));
            call
        }
        Op::Append { log, entries } => {
            call.arg("append").arg(log).arg(entries.len());
            for entry in entries {
                call.arg(entry.time_ms)
                    .arg(entry.dedupe.as_deref().unwrap_or_default())
                    .arg(&entry.value[..]);
            }
            call
        }
        Op::Trim { log, trim } => {
            call.arg("trim").arg(log);
            for bound in [
                trim.before_seq,
                trim.max_entries,
                trim.max_bytes,
                trim.before_time_ms,
            ] {
                optional(call, bound);
            }
            call
        }
        Op::RemoveLog { log } => call.arg("remove log").arg(log),
        Op::SetScore {
            ranking,
            member,
            score,
        } => call
            .arg("set score")
            .arg(ranking)
            .arg(member)
            .arg(number(*score)),
        Op::AddScore {
            ranking,
            member,
            by,
        } => call
            .arg("add score")
            .arg(ranking)
            .arg(member)
            .arg(number(*by)),
        Op::RemoveMember { ranking, member } => call.arg("remove member").arg(ranking).arg(member),
        Op::RemoveRanking { ranking } => call.arg("remove ranking").arg(ranking),
        Op::Purge { limit } => call.arg("purge").arg((*limit).clamp(1, REMOVE_AT_ONCE)),
    };
}

fn noted(call: &mut Cmd, entry: &Entry) {
    call.arg(entry.time_ms)
        .arg(entry.dedupe.as_deref().unwrap_or_default())
        .arg(&entry.value[..])
        .arg(entry.notes.len());
    for note in &entry.notes {
        call.arg(&*keys::collection(&note.collection))
            .arg(&note.prefix)
            .arg(&note.value[..]);
        optional(call, note.expires_at_ms);
    }
}

fn condition(call: &mut Cmd, condition: Condition) -> &mut Cmd {
    match condition {
        Condition::Any => call.arg("any"),
        Condition::Absent => call.arg("absent"),
        Condition::Version(version) => call.arg(version),
    }
}

/// Nothing is an empty text.
fn optional(call: &mut Cmd, number: Option<u64>) -> &mut Cmd {
    match number {
        Some(number) => call.arg(number),
        None => call.arg(""),
    }
}

/// The shortest digits that read back as the same number. (A score that isn't finite was refused before.)
fn number(score: f64) -> String {
    format!("{:?}", checked_score(score).unwrap_or(score))
}

pub(crate) fn queries(call: &mut Cmd, now_ms: u64, queries: &[Query]) {
    call.arg(now_ms);
    queries.iter().for_each(|query| ask(call, query));
}

fn ask(call: &mut Cmd, query: &Query) {
    match query {
        Query::Get { collection, key } => {
            call.arg("get").arg(&*keys::collection(collection)).arg(key)
        }
        Query::Scan { collection, scan } => {
            call.arg("scan").arg(&*keys::collection(collection));
            names(call, scan)
        }
        Query::Range { log, range } => call
            .arg("range")
            .arg(log)
            .arg(limits::page(range.limit))
            .arg(range.from.min(MAX_INTEGER))
            .arg(range.to.min(MAX_INTEGER))
            .arg(way(range.order)),
        Query::Log { log } => call.arg("log").arg(log),
        Query::Find { log, dedupe } => call.arg("find").arg(log).arg(dedupe),
        // The store has refused it.
        Query::Search { .. } => call,
        Query::Logs { scan } => {
            call.arg("logs");
            names(call, scan)
        }
        Query::Score { ranking, member } => call.arg("score").arg(ranking).arg(member),
        Query::Rank {
            ranking,
            member,
            order,
        } => call.arg("rank").arg(ranking).arg(member).arg(way(*order)),
        Query::ByRank {
            ranking,
            from,
            limit,
            order,
        } => {
            // Redis takes both ends as included; a page of nothing ends before it begins.
            let (first, end) = match limits::page(*limit) as u64 {
                0 => (1, 1),
                limit => {
                    let first = (*from).min(MAX_INTEGER - limit);
                    (first, first + limit)
                }
            };
            call.arg("by rank")
                .arg(ranking)
                .arg(first)
                .arg(end - 1)
                .arg(way(*order))
        }
        Query::ByScore {
            ranking,
            scores: range,
            offset,
            limit,
            order,
        } => {
            call.arg("by score").arg(ranking);
            scores(call, *range);
            call.arg((*offset).min(MAX_INTEGER))
                .arg(limits::page(*limit))
                .arg(way(*order))
        }
        Query::Count {
            ranking,
            scores: range,
        } => {
            call.arg("count").arg(ranking);
            scores(call, *range)
        }
    };
}

fn names<'a>(call: &'a mut Cmd, scan: &Scan) -> &'a mut Cmd {
    let (lower, upper) = scan.bounds();
    call.arg(limits::page(scan.limit)).arg(lower);
    call.arg(upper.unwrap_or_default()).arg(way(scan.order))
}

fn way(order: Order) -> &'static str {
    match order {
        Order::Ascending => "up",
        Order::Descending => "down",
    }
}

/// No score is in a range one end of which is no number; Redis calls that an error.
fn scores(call: &mut Cmd, range: ScoreRange) -> &mut Cmd {
    if range.min.is_nan() || range.max.is_nan() {
        return call.arg("1").arg("0");
    }
    call.arg(format!("{:?}", range.min))
        .arg(format!("{:?}", range.max))
}
