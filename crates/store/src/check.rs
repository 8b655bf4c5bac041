//! What is checked of a batch before a backend sees it, and how much it counts.

use crate::batch::Op;
use crate::documents::Condition;
use crate::limits;
use crate::logs::{Entry, Note, SEQ_DIGITS};
use crate::rankings::checked_score;

pub(crate) fn op_count(op: &Op) -> usize {
    match op {
        Op::Append { entries, .. } => entries.iter().map(|entry| 1 + entry.notes.len()).sum(),
        _ => 1,
    }
}

pub(crate) fn op_bytes(op: &Op) -> usize {
    const EACH: usize = 64;
    EACH + match op {
        Op::Put {
            collection,
            key,
            value,
            ..
        } => collection.len() + key.len() + value.len(),
        Op::Touch {
            collection, key, ..
        }
        | Op::Delete {
            collection, key, ..
        } => collection.len() + key.len(),
        Op::Append { log, entries } => {
            let note = |note: &Note| {
                EACH + note.collection.len() + note.prefix.len() + SEQ_DIGITS + note.value.len()
            };
            let entry = |entry: &Entry| {
                EACH + entry.value.len()
                    + entry.dedupe.as_ref().map_or(0, String::len)
                    + entry.text.as_ref().map_or(0, String::len)
                    + entry.notes.iter().map(note).sum::<usize>()
            };
            log.len() + entries.iter().map(entry).sum::<usize>()
        }
        Op::DeleteRange { collection, range } => {
            let end = |end: &Option<String>| end.as_ref().map_or(0, String::len);
            collection.len() + range.prefix.len() + end(&range.from) + end(&range.to)
        }
        Op::Amend {
            log, value, text, ..
        } => log.len() + value.len() + text.as_ref().map_or(0, String::len),
        Op::Trim { log, .. } | Op::RemoveLog { log } => log.len(),
        Op::SetScore {
            ranking, member, ..
        }
        | Op::AddScore {
            ranking, member, ..
        }
        | Op::RemoveMember { ranking, member } => ranking.len() + member.len(),
        Op::RemoveRanking { ranking } => ranking.len(),
        Op::Purge { .. } => 0,
    }
}

pub(crate) fn check_op(op: &Op) -> Result<(), String> {
    match op {
        Op::Put {
            collection,
            key,
            value,
            expires_at_ms,
            ..
        } => {
            check_document(collection, key, *expires_at_ms)?;
            limits::value(value)
        }
        Op::Touch {
            collection,
            key,
            expires_at_ms,
        } => check_document(collection, key, *expires_at_ms),
        Op::Delete {
            collection, key, ..
        } => check_document(collection, key, None),
        Op::Append { log, entries } => {
            if entries.is_empty() {
                return Err("the append has no entries; give it at least one".to_owned());
            }
            limits::name("log's name", log)?;
            entries.iter().try_for_each(check_entry)
        }
        Op::DeleteRange { collection, range } => {
            limits::name("collection's name", collection)?;
            limits::end("prefix", Some(&range.prefix))?;
            limits::end("range's beginning", range.from.as_deref())?;
            limits::end("range's end", range.to.as_deref())
        }
        Op::Amend {
            log, value, text, ..
        } => {
            limits::name("log's name", log)?;
            limits::text(text.as_deref())?;
            limits::value(value)
        }
        Op::Trim { log, .. } | Op::RemoveLog { log } => limits::name("log's name", log),
        Op::SetScore {
            ranking,
            member,
            score: number,
        }
        | Op::AddScore {
            ranking,
            member,
            by: number,
        } => {
            check_member(ranking, member)?;
            checked_score(*number).map(drop)
        }
        Op::RemoveMember { ranking, member } => check_member(ranking, member),
        Op::RemoveRanking { ranking } => limits::name("ranking's name", ranking),
        Op::Purge { .. } => Ok(()),
    }
}

fn check_document(collection: &str, key: &str, expires_at_ms: Option<u64>) -> Result<(), String> {
    limits::name("collection's name", collection)?;
    limits::name("key", key)?;
    limits::time("the expiry", expires_at_ms.unwrap_or(0))
}

fn check_entry(entry: &Entry) -> Result<(), String> {
    if let Some(dedupe) = &entry.dedupe {
        limits::name("dedupe key", dedupe)?;
    }
    limits::time("the entry's time", entry.time_ms)?;
    limits::value(&entry.value)?;
    limits::text(entry.text.as_deref())?;
    if entry.notes.len() > limits::MAX_NOTES {
        return Err(format!(
            "the entry has {} notes; {} are allowed",
            entry.notes.len(),
            limits::MAX_NOTES
        ));
    }
    entry.notes.iter().try_for_each(check_note)
}

fn check_note(note: &Note) -> Result<(), String> {
    limits::name("collection's name", &note.collection)?;
    limits::time("the expiry", note.expires_at_ms.unwrap_or(0))?;
    limits::value(&note.value)?;
    let most = limits::MAX_NAME_BYTES - SEQ_DIGITS;
    if note.prefix.len() > most {
        return Err(format!(
            "the note's prefix has {} bytes; {most} are allowed",
            note.prefix.len()
        ));
    }
    Ok(())
}

/// Refuses a condition that depends on what the batch itself will have made of notes and ranges: Redis decides all conditions
/// of a batch before it writes, and then neither the numbers of the entries nor the documents of a range are known.
pub(crate) fn check_order(ops: &[Op]) -> Result<(), (usize, String)> {
    let open = ops
        .iter()
        .position(is_open)
        .map_or(&ops[..0], |first| &ops[first..]);
    let skipped = ops.len() - open.len();
    for (index, op) in open.iter().enumerate() {
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
        if *condition != Condition::Any
            && open[..index]
                .iter()
                .any(|before| leaves_open(before, collection, key))
        {
            let reason = "the condition is on a document that an earlier operation of the batch may note or delete with a range; use two batches";
            return Err((skipped + index, reason.to_owned()));
        }
    }
    Ok(())
}

fn is_open(op: &Op) -> bool {
    match op {
        Op::Append { entries, .. } => entries.iter().any(|entry| !entry.notes.is_empty()),
        Op::DeleteRange { .. } => true,
        _ => false,
    }
}

/// Whether the operation may change a document, and nobody knows before.
fn leaves_open(op: &Op, collection: &str, key: &str) -> bool {
    let noted = |note: &Note| {
        note.collection == collection
            && key.strip_prefix(&note.prefix[..]).is_some_and(|seq| {
                seq.len() == SEQ_DIGITS && seq.bytes().all(|digit| digit.is_ascii_digit())
            })
    };
    match op {
        Op::Append { entries, .. } => entries.iter().any(|entry| entry.notes.iter().any(noted)),
        Op::DeleteRange {
            collection: other,
            range,
        } => other == collection && range.takes(key),
        _ => false,
    }
}

fn check_member(ranking: &str, member: &str) -> Result<(), String> {
    limits::name("ranking's name", ranking)?;
    limits::name("member's name", member)
}
