//! The backend for tests: everything in maps behind one lock, applied when it is submitted.
//!
//! A batch that is refused is undone step by step from a list of what each operation replaced.

mod documents;
mod logs;
mod rankings;

use parking_lot::Mutex;

use self::documents::{Documents, Stored};
use self::logs::{Kept, Log, Logs};
use self::rankings::{Ranking, Rankings};
use crate::batch::{Applied, Batch, Op, skipped_but};
use crate::error::{ReadError, WriteError};
use crate::health::{Health, Stats};
use crate::logs::{Appended, Entry, Placed};
use crate::query::{Answer, Query};
use crate::rankings::ScoreRange;

/// Why an operation did nothing.
pub(crate) enum Refusal {
    Conflict(Option<u64>),
    Invalid(String),
}

/// How to take an operation back.
pub(crate) enum Undo {
    Document(String, String, Option<Stored>),
    Appended(String, usize),
    Amended(String, Kept),
    Trimmed(String, Vec<Kept>),
    Log(String, Option<Log>),
    Score(String, String, Option<f64>),
    Ranking(String, Option<Ranking>),
}

#[derive(Default)]
struct State {
    documents: Documents,
    logs: Logs,
    rankings: Rankings,
    stats: Stats,
    closed: bool,
}

/// Everything in memory.
#[derive(Default)]
pub(crate) struct Memory(Mutex<State>);

impl Memory {
    pub(crate) fn write(&self, batch: &Batch) -> Result<Vec<Applied>, WriteError> {
        let mut state = self.0.lock();
        if state.closed {
            return Err(WriteError::Closed);
        }
        let outcome = state.batch(batch);
        if outcome.is_ok() {
            state.stats.commits += 1;
            state.stats.batches += 1;
            state.stats.group_sizes[0] += 1;
            state.stats.ops += batch.ops().len() as u64;
            state.stats.bytes_written += batch.bytes() as u64;
        } else {
            state.stats.batches_failed += 1;
        }
        outcome
    }

    pub(crate) fn read(&self, now_ms: u64, queries: &[Query]) -> Result<Vec<Answer>, ReadError> {
        let mut state = self.0.lock();
        if state.closed {
            return Err(ReadError::Closed);
        }
        state.stats.reads += 1;
        Ok(queries
            .iter()
            .map(|query| state.answer(query, now_ms))
            .collect())
    }

    pub(crate) fn health(&self) -> Health {
        if self.0.lock().closed {
            Health::Closed
        } else {
            Health::Ok
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        self.0.lock().stats.clone()
    }

    pub(crate) fn close(&self) {
        self.0.lock().closed = true;
    }
}

impl State {
    fn batch(&mut self, batch: &Batch) -> Result<Vec<Applied>, WriteError> {
        if batch.gives_way_to_duplicates()
            && let Some(skipped) = self.duplicates(batch)
        {
            return Ok(skipped);
        }
        let mut undo = Vec::new();
        let mut results = Vec::with_capacity(batch.ops().len());
        for (op_index, op) in batch.ops().iter().enumerate() {
            match self.apply(op, batch.now_ms(), &mut undo) {
                Ok(applied) => results.push(applied),
                Err(refusal) => {
                    undo.into_iter().rev().for_each(|step| self.take_back(step));
                    return Err(match refusal {
                        Refusal::Conflict(current) => WriteError::Conflict {
                            op: op_index,
                            current,
                        },
                        Refusal::Invalid(reason) => WriteError::Invalid {
                            op: op_index,
                            reason,
                        },
                    });
                }
            }
        }
        Ok(results)
    }

    fn duplicates(&self, batch: &Batch) -> Option<Vec<Applied>> {
        batch.ops().iter().enumerate().find_map(|(index, op)| {
            let Op::Append { log, entries } = op else {
                return None;
            };
            let placed = entries.iter().map(|entry| {
                let seq = entry
                    .dedupe
                    .as_ref()
                    .and_then(|dedupe| self.logs.find(log, dedupe));
                Placed {
                    seq: seq.unwrap_or(0),
                    duplicate: seq.is_some(),
                }
            });
            let appended = Appended {
                entries: placed.collect(),
            };
            appended
                .any_duplicate()
                .then(|| skipped_but(batch.ops().len(), index, appended))
        })
    }

    fn apply(&mut self, op: &Op, now_ms: u64, undo: &mut Vec<Undo>) -> Result<Applied, Refusal> {
        Ok(match op {
            Op::Put {
                collection,
                key,
                value,
                condition,
                expires_at_ms,
            } => {
                self.documents
                    .meets((collection, key), *condition, now_ms)?;
                let version =
                    self.documents
                        .put(collection, key, value.clone(), *expires_at_ms, undo);
                Applied::Put { version }
            }
            Op::Touch {
                collection,
                key,
                expires_at_ms,
            } => Applied::Touched {
                existed: self
                    .documents
                    .touch((collection, key), now_ms, *expires_at_ms, undo),
            },
            Op::Delete {
                collection,
                key,
                condition,
            } => {
                let current = self
                    .documents
                    .meets((collection, key), *condition, now_ms)?;
                self.documents.delete(collection, key, undo);
                Applied::Deleted {
                    existed: current.is_some(),
                }
            }
            Op::DeleteRange { collection, range } => {
                Applied::DeletedRange(self.documents.delete_range(collection, range, now_ms, undo))
            }
            Op::Append { log, entries } => {
                let appended = self.logs.append(log, entries, undo);
                self.note(entries, &appended, undo);
                Applied::Appended(appended)
            }
            Op::Amend {
                log,
                seq,
                value,
                text,
            } => Applied::Amended {
                existed: self.logs.amend(log, *seq, (value, text), undo),
            },
            Op::Trim { log, trim } => Applied::Trimmed(self.logs.trim(log, trim, undo)),
            Op::RemoveLog { log } => Applied::LogRemoved {
                existed: self.logs.remove(log, undo),
            },
            Op::SetScore {
                ranking,
                member,
                score,
            } => Applied::Scored(self.rankings.rescore(ranking, member, |_| *score, undo)?),
            Op::AddScore {
                ranking,
                member,
                by,
            } => {
                let add = |before: Option<f64>| before.unwrap_or(0.0) + by;
                Applied::Scored(self.rankings.rescore(ranking, member, add, undo)?)
            }
            Op::RemoveMember { ranking, member } => Applied::MemberRemoved {
                existed: self.rankings.remove_member(ranking, member, undo),
            },
            Op::RemoveRanking { ranking } => Applied::RankingRemoved {
                existed: self.rankings.remove(ranking, undo),
            },
            Op::Purge { limit } => Applied::Purged(self.documents.purge(now_ms, *limit, undo)),
        })
    }

    fn note(&mut self, entries: &[Entry], appended: &Appended, undo: &mut Vec<Undo>) {
        for (entry, placed) in entries.iter().zip(&appended.entries) {
            for note in entry.notes.iter().filter(|_| !placed.duplicate) {
                let (key, value) = (note.key(placed.seq), note.value.clone());
                self.documents
                    .put(&note.collection, &key, value, note.expires_at_ms, undo);
            }
        }
    }

    fn take_back(&mut self, step: Undo) {
        match step {
            Undo::Document(collection, key, before) => {
                self.documents.restore(&collection, &key, before)
            }
            Undo::Appended(log, entries) => self.logs.unappend(&log, entries),
            Undo::Amended(log, before) => self.logs.unamend(&log, before),
            Undo::Trimmed(log, entries) => self.logs.untrim(&log, entries),
            Undo::Log(log, before) => self.logs.restore(log, before),
            Undo::Score(ranking, member, before) => {
                self.rankings.restore_score(&ranking, &member, before)
            }
            Undo::Ranking(ranking, before) => self.rankings.restore(ranking, before),
        }
    }

    fn answer(&self, query: &Query, now_ms: u64) -> Answer {
        match query {
            Query::Get { collection, key } => {
                Answer::Document(self.documents.get(collection, key, now_ms))
            }
            Query::Scan { collection, scan } => {
                Answer::Documents(self.documents.scan(collection, scan, now_ms))
            }
            Query::Range { log, range } => Answer::Entries(self.logs.range(log, range)),
            Query::Log { log } => Answer::Log(self.logs.info(log)),
            Query::Find { log, dedupe } => Answer::Seq(self.logs.find(log, dedupe)),
            Query::Search {
                logs,
                words,
                before,
                limit,
            } => Answer::Found(self.logs.search(logs, words, before.as_ref(), *limit)),
            Query::Logs { scan } => Answer::Logs(self.logs.list(scan)),
            Query::Score { ranking, member } => Answer::Score(self.rankings.score(ranking, member)),
            Query::Rank {
                ranking,
                member,
                order,
            } => Answer::Rank(self.rankings.rank(ranking, member, *order)),
            Query::Count { ranking, scores } => {
                Answer::Count(self.rankings.count(ranking, *scores))
            }
            Query::ByRank {
                ranking,
                from,
                limit,
                order,
            } => Answer::Ranked(self.rankings.list(
                ranking,
                ScoreRange::ALL,
                (*from, *limit),
                *order,
            )),
            Query::ByScore {
                ranking,
                scores,
                offset,
                limit,
                order,
            } => Answer::Ranked(
                self.rankings
                    .list(ranking, *scores, (*offset, *limit), *order),
            ),
        }
    }
}
