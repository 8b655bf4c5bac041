//! One batch inside a transaction, and one list of queries inside a snapshot.

use rusqlite::Connection;

use super::documents::{self, At, Versions};
use super::fault::Fault;
use super::rankings::Window;
use super::{logs, rankings, texts};
use crate::batch::{Applied, Batch, Op, Purged, skipped_but};
use crate::documents::Condition;
use crate::limits::REMOVE_AT_ONCE;
use crate::logs::{Appended, Entry, Placed};
use crate::query::{Answer, Query};
use crate::rankings::ScoreRange;

/// Applies a batch; on a fault, says which operation stopped. Those before it are then written: the caller rolls back.
pub(crate) fn batch(
    conn: &Connection,
    versions: &mut Versions,
    batch: &Batch,
) -> Result<Vec<Applied>, (usize, Fault)> {
    if batch.gives_way_to_duplicates()
        && let Some(skipped) = duplicates(conn, batch).map_err(|error| (0, error.into()))?
    {
        return Ok(skipped);
    }
    let mut results = Vec::with_capacity(batch.ops().len());
    for (index, op) in batch.ops().iter().enumerate() {
        let applied = apply(conn, versions, op, batch.now_ms()).map_err(|fault| (index, fault))?;
        results.push(applied);
    }
    Ok(results)
}

/// The results of a batch that does nothing, because one of its appends is in its log already.
fn duplicates(conn: &Connection, batch: &Batch) -> rusqlite::Result<Option<Vec<Applied>>> {
    for (index, op) in batch.ops().iter().enumerate() {
        let Op::Append { log, entries } = op else {
            continue;
        };
        let mut placed = Vec::with_capacity(entries.len());
        for entry in entries {
            let seq = match &entry.dedupe {
                Some(dedupe) => logs::find(conn, log, dedupe)?,
                None => None,
            };
            placed.push(Placed {
                seq: seq.unwrap_or(0),
                duplicate: seq.is_some(),
            });
        }
        let appended = Appended { entries: placed };
        if appended.any_duplicate() {
            return Ok(Some(skipped_but(batch.ops().len(), index, appended)));
        }
    }
    Ok(None)
}

fn apply(
    conn: &Connection,
    versions: &mut Versions,
    op: &Op,
    now_ms: u64,
) -> Result<Applied, Fault> {
    let at = |collection, key| At {
        collection,
        key,
        now_ms,
    };
    Ok(match op {
        Op::Put {
            collection,
            key,
            value,
            condition,
            expires_at_ms,
        } => Applied::Put {
            version: documents::put(
                conn,
                versions,
                at(collection, key),
                value,
                *condition,
                *expires_at_ms,
            )?,
        },
        Op::Touch {
            collection,
            key,
            expires_at_ms,
        } => Applied::Touched {
            existed: documents::touch(conn, at(collection, key), *expires_at_ms)?,
        },
        Op::Delete {
            collection,
            key,
            condition,
        } => Applied::Deleted {
            existed: documents::delete(conn, at(collection, key), *condition)?,
        },
        Op::DeleteRange { collection, range } => {
            Applied::DeletedRange(documents::delete_range(conn, collection, range, now_ms)?)
        }
        Op::Append { log, entries } => {
            let appended = logs::append(conn, log, entries)?;
            note(conn, versions, entries, &appended, now_ms)?;
            Applied::Appended(appended)
        }
        Op::Amend {
            log,
            seq,
            value,
            text,
        } => Applied::Amended {
            existed: logs::amend(conn, log, *seq, value, text.as_deref())?,
        },
        Op::Trim { log, trim } => Applied::Trimmed(logs::trim(conn, log, trim)?),
        Op::RemoveLog { log } => Applied::LogRemoved {
            existed: logs::remove(conn, log)?,
        },
        Op::SetScore {
            ranking,
            member,
            score,
        } => Applied::Scored(rankings::set(conn, ranking, member, *score)?),
        Op::AddScore {
            ranking,
            member,
            by,
        } => Applied::Scored(rankings::add(conn, ranking, member, *by)?),
        Op::RemoveMember { ranking, member } => Applied::MemberRemoved {
            existed: rankings::remove_member(conn, ranking, member)?,
        },
        Op::RemoveRanking { ranking } => Applied::RankingRemoved {
            existed: rankings::remove(conn, ranking)?,
        },
        Op::Purge { limit } => {
            Applied::Purged(purge(conn, now_ms, (*limit).clamp(1, REMOVE_AT_ONCE))?)
        }
    })
}

/// Puts the notes of entries that were appended.
fn note(
    conn: &Connection,
    versions: &mut Versions,
    entries: &[Entry],
    appended: &Appended,
    now_ms: u64,
) -> Result<(), Fault> {
    for (entry, placed) in entries.iter().zip(&appended.entries) {
        for note in entry.notes.iter().filter(|_| !placed.duplicate) {
            let at = At {
                collection: &note.collection,
                key: &note.key(placed.seq),
                now_ms,
            };
            let any = Condition::Any;
            documents::put(conn, versions, at, &note.value, any, note.expires_at_ms)?;
        }
    }
    Ok(())
}

fn purge(conn: &Connection, now_ms: u64, limit: usize) -> Result<Purged, Fault> {
    let mut removed = documents::purge(conn, now_ms, limit)?;
    removed += logs::purge(conn, limit - removed)?;
    removed += rankings::purge(conn, limit - removed)?;
    Ok(Purged {
        removed: removed as u64,
        more: removed >= limit,
    })
}

/// Answers queries from one snapshot.
pub(crate) fn queries(
    conn: &Connection,
    queries: &[Query],
    now_ms: u64,
) -> rusqlite::Result<Vec<Answer>> {
    queries
        .iter()
        .map(|query| answer(conn, query, now_ms))
        .collect()
}

fn answer(conn: &Connection, query: &Query, now_ms: u64) -> rusqlite::Result<Answer> {
    Ok(match query {
        Query::Get { collection, key } => {
            let at = At {
                collection,
                key,
                now_ms,
            };
            Answer::Document(documents::get(conn, at)?)
        }
        Query::Scan { collection, scan } => {
            Answer::Documents(documents::scan(conn, collection, scan, now_ms)?)
        }
        Query::Range { log, range } => Answer::Entries(logs::range(conn, log, range)?),
        Query::Log { log } => Answer::Log(logs::info(conn, log)?),
        Query::Find { log, dedupe } => Answer::Seq(logs::find(conn, log, dedupe)?),
        Query::Search {
            logs,
            words,
            before,
            limit,
        } => Answer::Found(texts::search(conn, logs, words, before.as_ref(), *limit)?),
        Query::Logs { scan } => Answer::Logs(logs::list(conn, scan)?),
        Query::Score { ranking, member } => Answer::Score(rankings::score(conn, ranking, member)?),
        Query::Rank {
            ranking,
            member,
            order,
        } => Answer::Rank(rankings::rank(conn, ranking, member, *order)?),
        Query::Count { ranking, scores } => Answer::Count(rankings::count(conn, ranking, *scores)?),
        Query::ByRank {
            ranking,
            from,
            limit,
            order,
        } => {
            let window = Window {
                offset: *from,
                limit: *limit,
                order: *order,
            };
            Answer::Ranked(rankings::list(conn, ranking, ScoreRange::ALL, window)?)
        }
        Query::ByScore {
            ranking,
            scores,
            offset,
            limit,
            order,
        } => {
            let window = Window {
                offset: *offset,
                limit: *limit,
                order: *order,
            };
            Answer::Ranked(rankings::list(conn, ranking, *scores, window)?)
        }
    })
}
