//! The model: vectors and maps, and a copy of everything before each batch.

use std::collections::BTreeMap;

use bytes::Bytes;
use lakh_store::{
    Appended, Applied, Condition, DeleteRange, DeletedRange, ENTRY_OVERHEAD_BYTES, Entry, LogInfo,
    Op, Order, Placed, ScoreChange, Trim, Trimmed, WriteError, search,
};

use crate::steps::Step;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Doc {
    pub(crate) value: Bytes,
    pub(crate) version: u64,
    pub(crate) expires_at_ms: Option<u64>,
}

#[derive(Clone, Default)]
pub(crate) struct Log {
    pub(crate) trimmed: usize,
    /// Every entry ever appended.
    pub(crate) all: Vec<Entry>,
}

#[derive(Clone, Default)]
pub(crate) struct Model {
    pub(crate) docs: BTreeMap<(String, String), Doc>,
    pub(crate) logs: BTreeMap<String, Log>,
    scores: BTreeMap<(String, String), f64>,
    pub(crate) highest_version: u64,
}

impl Log {
    pub(crate) fn find(&self, dedupe: &str) -> Option<u64> {
        let kept = self.all.iter().enumerate().skip(self.trimmed);
        let mut found = kept.filter(|(_, entry)| entry.dedupe.as_deref() == Some(dedupe));
        found.next().map(|(index, _)| index as u64 + 1)
    }

    pub(crate) fn info(&self) -> LogInfo {
        let cost = |entry: &Entry| {
            entry.value.len() as u64
                + entry.dedupe.as_ref().map_or(0, String::len) as u64
                + ENTRY_OVERHEAD_BYTES
        };
        LogInfo {
            first_seq: self.trimmed as u64 + 1,
            last_seq: self.all.len() as u64,
            bytes: self.all[self.trimmed..].iter().map(cost).sum(),
        }
    }

    fn append(&mut self, entries: &[Entry]) -> Vec<Placed> {
        let mut placed = Vec::new();
        for entry in entries {
            let known = entry.dedupe.as_ref().and_then(|dedupe| self.find(dedupe));
            if known.is_none() {
                let notes = Vec::new();
                self.all.push(Entry {
                    notes,
                    ..entry.clone()
                });
            }
            let seq = known.unwrap_or(self.all.len() as u64);
            placed.push(Placed {
                seq,
                duplicate: known.is_some(),
            });
        }
        placed
    }

    fn amend(&mut self, seq: u64, value: Bytes, text: Option<String>) -> bool {
        let index = usize::try_from(seq).unwrap().wrapping_sub(1);
        let kept = self.all.get_mut(index).filter(|_| index >= self.trimmed);
        kept.map(|entry| (entry.value, entry.text) = (value, text))
            .is_some()
    }

    fn trim(&mut self, trim: &Trim) -> Trimmed {
        let before = self.trimmed;
        while self.trimmed < self.all.len() && self.goes(trim) {
            self.trimmed += 1;
        }
        Trimmed {
            removed: (self.trimmed - before) as u64,
            first_seq: self.trimmed as u64 + 1,
            more: false,
        }
    }

    fn goes(&self, trim: &Trim) -> bool {
        let (info, oldest) = (self.info(), &self.all[self.trimmed]);
        trim.before_seq.is_some_and(|seq| info.first_seq < seq)
            || trim
                .max_entries
                .is_some_and(|most| (self.all.len() - self.trimmed) as u64 > most)
            || trim.max_bytes.is_some_and(|most| info.bytes > most)
            || trim
                .before_time_ms
                .is_some_and(|time| oldest.time_ms < time)
    }
}

impl Model {
    pub(crate) fn live(&self, collection: &str, key: &str, now: u64) -> Option<&Doc> {
        let doc = self.docs.get(&(collection.to_owned(), key.to_owned()))?;
        doc.expires_at_ms.is_none_or(|end| end > now).then_some(doc)
    }

    fn condition(
        &self,
        at: (&str, &str),
        condition: Condition,
        now: u64,
    ) -> Result<(), WriteError> {
        let current = self.live(at.0, at.1, now).map(|doc| doc.version);
        let holds = match condition {
            Condition::Any => true,
            Condition::Absent => current.is_none(),
            Condition::Version(version) => current == Some(version),
        };
        if holds {
            Ok(())
        } else {
            Err(WriteError::Conflict { op: 0, current })
        }
    }

    /// What the operation should have done. A version can't be foretold: the one that was given must be higher than all.
    fn apply(&mut self, op: &Op, now: u64, got: Option<&Applied>) -> Result<Applied, WriteError> {
        Ok(match op.clone() {
            Op::Put { .. } | Op::Touch { .. } | Op::Delete { .. } => {
                return self.change_document(op, now, got);
            }
            Op::DeleteRange { collection, range } => {
                Applied::DeletedRange(self.delete_range(&collection, &range, now))
            }
            Op::Append { log, entries } => {
                let placed = self.logs.entry(log).or_default().append(&entries);
                self.note(&entries, &placed);
                Applied::Appended(Appended { entries: placed })
            }
            Op::Amend {
                log,
                seq,
                value,
                text,
            } => Applied::Amended {
                existed: self
                    .logs
                    .get_mut(&log)
                    .is_some_and(|log| log.amend(seq, value, text)),
            },
            Op::Trim { log, trim } => {
                let mut nowhere = Log::default();
                let log = self.logs.get_mut(&log).unwrap_or(&mut nowhere);
                Applied::Trimmed(log.trim(&trim))
            }
            Op::RemoveLog { log } => Applied::LogRemoved {
                existed: self.logs.remove(&log).is_some(),
            },
            Op::SetScore {
                ranking,
                member,
                score,
            } => self.rescore(ranking, member, |_| score),
            Op::AddScore {
                ranking,
                member,
                by,
            } => self.rescore(ranking, member, |score| score + by),
            Op::RemoveMember { ranking, member } => Applied::MemberRemoved {
                existed: self.scores.remove(&(ranking, member)).is_some(),
            },
            Op::RemoveRanking { ranking } => {
                let before = self.scores.len();
                self.scores.retain(|(other, _), _| *other != ranking);
                Applied::RankingRemoved {
                    existed: self.scores.len() < before,
                }
            }
            // How much it freed is the backend's affair; that nothing visible changed is seen by all that follows.
            Op::Purge { .. } => got.cloned().unwrap_or(Applied::Skipped),
        })
    }

    /// A note's version can't be foretold at all: 0 stands for it, and is not compared.
    fn note(&mut self, entries: &[Entry], placed: &[Placed]) {
        for (entry, placed) in entries.iter().zip(placed) {
            for note in entry.notes.iter().filter(|_| !placed.duplicate) {
                let key = format!("{}{:016}", note.prefix, placed.seq);
                let doc = Doc {
                    value: note.value.clone(),
                    version: 0,
                    expires_at_ms: note.expires_at_ms,
                };
                self.docs.insert((note.collection.clone(), key), doc);
            }
        }
    }

    fn delete_range(&mut self, collection: &str, range: &DeleteRange, now: u64) -> DeletedRange {
        let own = self.docs.keys().filter(|(other, key)| {
            other == collection
                && key.starts_with(&range.prefix)
                && range.from.as_ref().is_none_or(|from| key >= from)
                && range.to.as_ref().is_none_or(|to| key < to)
        });
        let live = own.filter(|(_, key)| self.live(collection, key, now).is_some());
        let mut keys: Vec<_> = live.cloned().collect();
        let more = keys.len() > range.limit;
        keys.truncate(range.limit);
        for key in &keys {
            self.docs.remove(key);
        }
        DeletedRange {
            removed: keys.len() as u64,
            more,
        }
    }

    fn change_document(
        &mut self,
        op: &Op,
        now: u64,
        got: Option<&Applied>,
    ) -> Result<Applied, WriteError> {
        Ok(match op.clone() {
            Op::Put {
                collection,
                key,
                value,
                condition,
                expires_at_ms,
            } => {
                self.condition((&collection, &key), condition, now)?;
                let version = match got {
                    Some(Applied::Put { version }) if *version > self.highest_version => *version,
                    _ => self.highest_version + 1,
                };
                self.highest_version = version;
                self.docs.insert(
                    (collection, key),
                    Doc {
                        value,
                        version,
                        expires_at_ms,
                    },
                );
                Applied::Put { version }
            }
            Op::Touch {
                collection,
                key,
                expires_at_ms,
            } => {
                let existed = self.live(&collection, &key, now).is_some();
                if existed {
                    self.docs.get_mut(&(collection, key)).unwrap().expires_at_ms = expires_at_ms;
                }
                Applied::Touched { existed }
            }
            Op::Delete {
                collection,
                key,
                condition,
            } => {
                self.condition((&collection, &key), condition, now)?;
                let existed = self.live(&collection, &key, now).is_some();
                self.docs.remove(&(collection, key));
                Applied::Deleted { existed }
            }
            other => panic!("{other:?} is about no document"),
        })
    }

    fn rescore(&mut self, ranking: String, member: String, change: impl Fn(f64) -> f64) -> Applied {
        let before = self.scores.get(&(ranking.clone(), member.clone())).copied();
        let score = change(before.unwrap_or(0.0));
        self.scores.insert((ranking, member), score);
        Applied::Scored(ScoreChange {
            score,
            added: before.is_none(),
        })
    }

    fn gives_way(&self, ops: &[Op]) -> Option<Vec<Applied>> {
        for (index, op) in ops.iter().enumerate() {
            let Op::Append { log, entries } = op else {
                continue;
            };
            let find = |entry: &Entry| self.logs.get(log)?.find(entry.dedupe.as_ref()?);
            let placed: Vec<Placed> = entries
                .iter()
                .map(|entry| Placed {
                    seq: find(entry).unwrap_or(0),
                    duplicate: find(entry).is_some(),
                })
                .collect();
            if placed.iter().any(|placed| placed.duplicate) {
                let mut results = vec![Applied::Skipped; ops.len()];
                results[index] = Applied::Appended(Appended { entries: placed });
                return Some(results);
            }
        }
        None
    }

    /// Applies a batch to a copy, and keeps the copy if all of it went well.
    pub(crate) fn batch(
        &mut self,
        step: &Step,
        now: u64,
        result: &Result<Vec<Applied>, WriteError>,
    ) -> Result<Vec<Applied>, WriteError> {
        if step.unless_duplicate
            && let Some(results) = self.gives_way(&step.ops)
        {
            return Ok(results);
        }
        let mut copy = self.clone();
        let mut results = Vec::new();
        for (op, wanted) in step.ops.iter().enumerate() {
            let got = result.as_ref().ok().and_then(|results| results.get(op));
            match copy.apply(wanted, now, got) {
                Ok(applied) => results.push(applied),
                Err(WriteError::Conflict { current, .. }) => {
                    let current = self.known(current, result);
                    return Err(WriteError::Conflict { op, current });
                }
                Err(error) => return Err(error),
            }
        }
        *self = copy;
        Ok(results)
    }

    /// The version in a conflict; if the refused batch itself gave it, it can't be foretold but must be higher than all.
    fn known(&self, current: Option<u64>, got: &Result<Vec<Applied>, WriteError>) -> Option<u64> {
        match got {
            Err(WriteError::Conflict { current: got, .. })
                if current > Some(self.highest_version) && *got > Some(self.highest_version) =>
            {
                *got
            }
            _ => current,
        }
    }

    /// Newest first.
    pub(crate) fn found(&self, logs: &[String], words: &str) -> Vec<(u64, String, u64)> {
        let terms = search::terms(words).unwrap();
        let mut found = Vec::new();
        for (name, log) in self.logs.iter().filter(|(name, _)| logs.contains(name)) {
            for (index, entry) in log.all.iter().enumerate().skip(log.trimmed) {
                let text = entry.text.as_deref().unwrap_or_default();
                if search::matches(text, &terms) {
                    found.push((entry.time_ms, name.clone(), index as u64 + 1));
                }
            }
        }
        found.sort_unstable();
        found.reverse();
        found
    }

    pub(crate) fn ranked(&self, ranking: &str, order: Order) -> Vec<(String, f64)> {
        let own = self
            .scores
            .iter()
            .filter(|((other, _), _)| other == ranking);
        let mut members: Vec<_> = own
            .map(|((_, member), score)| (member.clone(), *score))
            .collect();
        members.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        if order == Order::Descending {
            members.reverse();
        }
        members
    }
}
