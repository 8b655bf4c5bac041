//! What the scripts answer, as results and answers.

use bytes::Bytes;
use redis::Value;

use super::fault::{Fault, fault_in};
use crate::batch::{Applied, Batch, Op, Purged, ScoreChange, skipped_but};
use crate::documents::{DeletedRange, Document, Page};
use crate::error::WriteError;
use crate::front::Written;
use crate::logs::{Appended, LogEntry, LogInfo, LogPage, Placed, Trimmed};
use crate::query::{Answer, Query};
use crate::rankings::{Ranked, checked_score};

/// The answer has another form than the script gives it.
#[derive(Debug, thiserror::Error)]
#[error(
    "Redis answered something else than it was asked; is another program writing to the same keys?"
)]
pub(crate) struct Odd;

type Decoded<T> = Result<T, Odd>;

/// What the script says about a batch.
#[derive(Debug)]
pub(crate) enum Told {
    Written(Written),
    /// An error stopped it.
    Error(Fault),
}

/// What became of batches that were sent in one call; `None` if the connection may no longer write.
pub(crate) fn written<'a>(
    batches: impl ExactSizeIterator<Item = &'a Batch>,
    value: Value,
) -> Decoded<Option<Vec<Told>>> {
    let answers = items(value)?;
    if answers.len() == 0 {
        return Ok(None);
    }
    if answers.len() != batches.len() {
        return Err(Odd);
    }
    let told = batches
        .zip(answers)
        .map(|(batch, value)| told(batch, value));
    told.collect::<Decoded<_>>().map(Some)
}

fn told(batch: &Batch, value: Value) -> Decoded<Told> {
    let mut answer = items(value)?;
    Ok(Told::Written(match text(next(&mut answer)?)?.as_str() {
        "done" => Ok(results(batch.ops(), next(&mut answer)?)?),
        "skipped" => {
            let op = operation(&mut answer)?;
            let appended = appended(next(&mut answer)?)?;
            if op >= batch.ops().len() {
                return Err(Odd);
            }
            Ok(skipped_but(batch.ops().len(), op, appended))
        }
        "conflict" => Err(WriteError::Conflict {
            op: operation(&mut answer)?,
            current: optional(next(&mut answer)?)?,
        }),
        "score" => {
            let op = operation(&mut answer)?;
            let reason = checked_score(float(next(&mut answer)?)?).err().ok_or(Odd)?;
            Err(WriteError::Invalid { op, reason })
        }
        "error" => return Ok(Told::Error(fault_in(&text(next(&mut answer)?)?))),
        _ => return Err(Odd),
    }))
}

/// Scripts count from 1.
fn operation(answer: &mut Items) -> Decoded<usize> {
    let index = number(next(answer)?)?;
    usize::try_from(index)
        .ok()
        .and_then(|index| index.checked_sub(1))
        .ok_or(Odd)
}

fn results(ops: &[Op], value: Value) -> Decoded<Vec<Applied>> {
    let results = items(value)?;
    if results.len() != ops.len() {
        return Err(Odd);
    }
    ops.iter()
        .zip(results)
        .map(|(op, result)| applied(op, result))
        .collect()
}

fn applied(op: &Op, value: Value) -> Decoded<Applied> {
    Ok(match op {
        Op::Put { .. } => Applied::Put {
            version: number(value)?,
        },
        Op::Touch { .. } => Applied::Touched {
            existed: number(value)? > 0,
        },
        Op::Delete { .. } => Applied::Deleted {
            existed: number(value)? > 0,
        },
        Op::DeleteRange { .. } => {
            let mut value = items(value)?;
            Applied::DeletedRange(DeletedRange {
                removed: number(next(&mut value)?)?,
                more: number(next(&mut value)?)? > 0,
            })
        }
        Op::Append { .. } => Applied::Appended(appended(value)?),
        Op::Amend { .. } => Applied::Amended {
            existed: number(value)? > 0,
        },
        Op::Trim { .. } => {
            let mut value = items(value)?;
            Applied::Trimmed(Trimmed {
                removed: number(next(&mut value)?)?,
                first_seq: number(next(&mut value)?)?,
                more: number(next(&mut value)?)? > 0,
            })
        }
        Op::RemoveLog { .. } => Applied::LogRemoved {
            existed: number(value)? > 0,
        },
        Op::SetScore { .. } | Op::AddScore { .. } => {
            let mut value = items(value)?;
            Applied::Scored(ScoreChange {
                score: float(next(&mut value)?)?,
                added: number(next(&mut value)?)? > 0,
            })
        }
        Op::RemoveMember { .. } => Applied::MemberRemoved {
            existed: number(value)? > 0,
        },
        Op::RemoveRanking { .. } => Applied::RankingRemoved {
            existed: number(value)? > 0,
        },
        Op::Purge { .. } => {
            let mut value = items(value)?;
            Applied::Purged(Purged {
                removed: number(next(&mut value)?)?,
                more: number(next(&mut value)?)? > 0,
            })
        }
    })
}

/// Numbers of entries; that of a duplicate is negative.
fn appended(value: Value) -> Decoded<Appended> {
    let place = |value| match value {
        Value::Int(seq) => Ok(Placed {
            seq: seq.unsigned_abs(),
            duplicate: seq < 0,
        }),
        _ => Err(Odd),
    };
    Ok(Appended {
        entries: items(value)?.map(place).collect::<Decoded<_>>()?,
    })
}

pub(crate) fn answers(queries: &[Query], value: Value) -> Decoded<Vec<Answer>> {
    let answers = items(value)?;
    if answers.len() != queries.len() {
        return Err(Odd);
    }
    queries
        .iter()
        .zip(answers)
        .map(|(query, value)| answer(query, value))
        .collect()
}

fn answer(query: &Query, value: Value) -> Decoded<Answer> {
    Ok(match query {
        Query::Get { .. } => {
            let mut value = items(value)?;
            Answer::Document(match value.len() {
                0 => None,
                _ => Some(document(&mut value)?),
            })
        }
        Query::Scan { .. } => Answer::Documents(page(value, document)?),
        Query::Range { .. } => {
            let mut value = items(value)?;
            let info = info(&mut items(next(&mut value)?)?)?;
            let more = number(next(&mut value)?)? > 0;
            let entries = items(next(&mut value)?)?
                .map(entry)
                .collect::<Decoded<_>>()?;
            Answer::Entries(LogPage {
                entries,
                more,
                info,
            })
        }
        Query::Log { .. } => Answer::Log(info(&mut items(value)?)?),
        Query::Find { .. } => Answer::Seq(optional(value)?),
        Query::Search { .. } => return Err(Odd),
        Query::Logs { .. } => {
            let info = |item: &mut Items| info(&mut items(next(item)?)?);
            Answer::Logs(page(value, info)?)
        }
        Query::Score { .. } => Answer::Score(match bytes(value)? {
            score if score.is_empty() => None,
            score => Some(float(Value::BulkString(score))?),
        }),
        Query::Rank { .. } => Answer::Rank(optional(value)?),
        Query::ByRank { .. } | Query::ByScore { .. } => Answer::Ranked(ranked(value)?),
        Query::Count { .. } => Answer::Count(number(value)?),
    })
}

fn document(value: &mut Items) -> Decoded<Document> {
    Ok(Document {
        version: number(next(value)?)?,
        expires_at_ms: optional(next(value)?)?,
        value: bytes(next(value)?)?.into(),
    })
}

fn info(value: &mut Items) -> Decoded<LogInfo> {
    Ok(LogInfo {
        first_seq: number(next(value)?)?,
        last_seq: number(next(value)?)?,
        bytes: number(next(value)?)?,
    })
}

/// `seq-0` and the fields, as a stream has them.
fn entry(value: Value) -> Decoded<LogEntry> {
    let mut value = items(value)?;
    let id = text(next(&mut value)?)?;
    let seq = id.split('-').next().and_then(|seq| seq.parse().ok());
    let mut entry = LogEntry {
        seq: seq.ok_or(Odd)?,
        time_ms: 0,
        dedupe: None,
        value: Bytes::new(),
    };
    let mut fields = items(next(&mut value)?)?;
    while fields.len() > 0 {
        let name = bytes(next(&mut fields)?)?;
        let field = next(&mut fields)?;
        match &name[..] {
            b"time_ms" => entry.time_ms = number(field)?,
            b"dedupe" => entry.dedupe = Some(text(field)?),
            b"value" => entry.value = bytes(field)?.into(),
            _ => return Err(Odd),
        }
    }
    Ok(entry)
}

/// Whether there is more, and items that begin with their name.
fn page<T>(value: Value, rest: impl Fn(&mut Items) -> Decoded<T>) -> Decoded<Page<(String, T)>> {
    let mut value = items(value)?;
    let more = number(next(&mut value)?)? > 0;
    let named = |item| {
        let mut item = items(item)?;
        let name = text(next(&mut item)?)?;
        Ok((name, rest(&mut item)?))
    };
    let items: Vec<(String, T)> = items(next(&mut value)?)?
        .map(named)
        .collect::<Decoded<_>>()?;
    let last = items.last().filter(|_| more);
    Ok(Page {
        next: last.map(|(name, _)| name.clone()),
        items,
    })
}

/// Members and scores in turn.
fn ranked(value: Value) -> Decoded<Vec<Ranked>> {
    let mut value = items(value)?;
    let mut ranked = Vec::with_capacity(value.len() / 2);
    while value.len() > 0 {
        ranked.push(Ranked {
            member: text(next(&mut value)?)?,
            score: float(next(&mut value)?)?,
        });
    }
    Ok(ranked)
}

type Items = std::vec::IntoIter<Value>;

fn items(value: Value) -> Decoded<Items> {
    match value {
        Value::Array(items) => Ok(items.into_iter()),
        _ => Err(Odd),
    }
}

fn next(items: &mut Items) -> Decoded<Value> {
    items.next().ok_or(Odd)
}

fn bytes(value: Value) -> Decoded<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        _ => Err(Odd),
    }
}

fn text(value: Value) -> Decoded<String> {
    String::from_utf8(bytes(value)?).map_err(|_| Odd)
}

fn number(value: Value) -> Decoded<u64> {
    match value {
        Value::Int(number) => u64::try_from(number).map_err(|_| Odd),
        other => text(other)?.parse().map_err(|_| Odd),
    }
}

/// An empty text is nothing.
fn optional(value: Value) -> Decoded<Option<u64>> {
    match value {
        Value::BulkString(bytes) if bytes.is_empty() => Ok(None),
        other => number(other).map(Some),
    }
}

fn float(value: Value) -> Decoded<f64> {
    text(value)?.parse().map_err(|_| Odd)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn an_answer_of_another_form_is_an_error() {
        let text = |text: &str| Value::BulkString(text.into());
        let batch = Batch::new(0).touch("c", "k", None);
        for value in [
            Value::Nil,
            Value::Array(Vec::new()),
            Value::Array(vec![text("else")]),
            Value::Array(vec![text("done"), Value::Array(Vec::new())]),
            Value::Array(vec![text("done"), Value::Array(vec![text("x")])]),
            Value::Array(vec![
                text("skipped"),
                Value::Int(2),
                Value::Array(Vec::new()),
            ]),
            Value::Array(vec![text("conflict"), Value::Int(0), text("")]),
        ] {
            let one = || std::iter::once(&batch);
            let answer = Value::Array(vec![value.clone()]);
            assert!(written(one(), answer.clone()).is_err(), "{value:?}");
            let both = Value::Array(vec![value.clone(), value.clone()]);
            assert!(written(one(), both).is_err());
        }
    }

    #[test]
    fn an_error_is_sorted_and_an_empty_answer_is_another_mark() {
        let text = |text: &str| Value::BulkString(text.into());
        let batch = Batch::new(0);
        let answer = Value::Array(vec![Value::Array(vec![text("error"), text("OOM no")])]);
        let told = written(std::iter::once(&batch), answer).unwrap().unwrap();
        assert!(matches!(told[..], [Told::Error(Fault::Full)]), "{told:?}");
        let fenced = written(std::iter::once(&batch), Value::Array(Vec::new()));
        assert!(matches!(fenced, Ok(None)));
    }
}
