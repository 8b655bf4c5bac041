//! What a person has read of a room, and what waits there for them.

use std::collections::BTreeSet;

use lakh_hub::Failure;
use lakh_hub::store::{Answer, Document, LogInfo, Order, Page, Query, Scan};
use serde::Serialize;

use super::marks::Marks;
use crate::{Chat, names, records, stored};

/// Mentions of a room that are looked at, the newest; no more are counted.
const MOST_MENTIONS: usize = 100;

/// How far somebody is in a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Tally {
    /// Number of the last message that was read.
    pub read: u64,
    /// Number of the last message that has reached a device.
    pub delivered: u64,
    /// Messages after the last read one.
    pub unread: u64,
    /// Those among them that mention the person or all; 100 at most.
    pub mentions: u64,
}

/// What is asked for a [`Tally`], in this order.
pub(crate) const QUERIES: usize = 4;

/// What is to be asked.
pub(crate) fn queries(room: &str, person: &str) -> [Query; QUERIES] {
    [
        marks_query(room, person),
        mentions_query(room, &names::mentions(person)),
        mentions_query(room, names::MENTIONS_OF_ALL),
        Query::Log {
            log: names::log(room),
        },
    ]
}

pub(crate) fn marks_query(room: &str, person: &str) -> Query {
    Query::get(names::marks(room), person)
}

/// The newest mentions in a room; those in threads stand behind `:`, and have no mark to be behind.
pub(crate) fn mentions_query(room: &str, collection: &str) -> Query {
    let prefix = names::in_room(room, None);
    Query::Scan {
        collection: collection.to_owned(),
        scan: Scan {
            from: Some(format!("{prefix}0")),
            to: Some(format!("{prefix}:")),
            limit: MOST_MENTIONS,
            order: Order::Descending,
            ..Scan::default()
        },
    }
}

/// The marks of a document, and the version that they stand at.
pub(crate) fn marks(document: Option<&Document>) -> Result<(Marks, Option<u64>), Failure> {
    match document {
        Some(document) => Ok((records::read(document)?, Some(document.version))),
        None => Ok((Marks::default(), None)),
    }
}

/// What was read for a [`Tally`].
#[derive(Debug)]
pub(crate) struct Found {
    pub marks: Marks,
    /// The version of the marks, if there are any.
    pub version: Option<u64>,
    pub mentions: Vec<u64>,
    pub of_all: Vec<u64>,
    pub log: LogInfo,
}

impl Found {
    /// The answers to [`queries`].
    pub(crate) fn of(answers: &mut impl Iterator<Item = Answer>) -> Result<Self, Failure> {
        let all = (
            answers.next(),
            answers.next(),
            answers.next(),
            answers.next(),
        );
        let (
            Some(Answer::Document(document)),
            Some(Answer::Documents(mentions)),
            Some(Answer::Documents(of_all)),
            Some(Answer::Log(log)),
        ) = all
        else {
            return Err(stored::unexpected(None));
        };
        let (marks, version) = marks(document.as_ref())?;
        Ok(Self {
            marks,
            version,
            mentions: seqs(&mentions),
            of_all: seqs(&of_all),
            log,
        })
    }

    /// What these marks leave unread.
    pub(crate) fn tally(&self, marks: Marks) -> Tally {
        tally(marks, &self.mentions, &self.of_all, &self.log)
    }
}

/// Numbers of the messages in a page of mentions.
pub(crate) fn seqs(page: &Page<(String, Document)>) -> Vec<u64> {
    let keys = page.items.iter();
    keys.filter_map(|(key, _)| key.rsplit('\n').next()?.parse().ok())
        .collect()
}

pub(crate) fn tally(marks: Marks, mentions: &[u64], of_all: &[u64], log: &LogInfo) -> Tally {
    let after: BTreeSet<u64> = mentions
        .iter()
        .chain(of_all)
        .copied()
        .filter(|seq| *seq > marks.read)
        .collect();
    Tally {
        read: marks.read,
        delivered: marks.delivered,
        unread: marks.unread(log.first_seq, log.last_seq),
        mentions: after.len().min(MOST_MENTIONS) as u64,
    }
}

/// How far a person is in rooms, in their order: one read of the store, 100 rooms at a time.
pub(crate) async fn of(chat: &Chat, person: &str, rooms: &[&str]) -> Result<Vec<Tally>, Failure> {
    let mut tallies = Vec::with_capacity(rooms.len());
    for rooms in rooms.chunks(100) {
        let queries = rooms.iter().flat_map(|room| queries(room, person));
        let answers = stored::read(chat, queries.collect()).await?;
        let mut answers = answers.into_iter();
        for room in rooms {
            tallies.push(of_answers(chat, room, person, &mut answers)?);
        }
    }
    Ok(tallies)
}

/// The answers to [`queries`], with what the person has sent just now.
pub(crate) fn of_answers(
    chat: &Chat,
    room: &str,
    person: &str,
    answers: &mut impl Iterator<Item = Answer>,
) -> Result<Tally, Failure> {
    let found = Found::of(answers)?;
    Ok(found.tally(super::with_sent(
        chat,
        room,
        person,
        found.marks,
        found.log.last_seq,
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_mentions_somebody_and_all_counts_once_and_read_ones_do_not() {
        let log = LogInfo {
            first_seq: 1,
            last_seq: 9,
            bytes: 0,
        };
        let marks = Marks {
            read: 4,
            delivered: 6,
        };
        let tally = tally(marks, &[9, 5, 4, 1], &[9, 8, 3], &log);
        assert_eq!((tally.unread, tally.mentions), (5, 3));
    }
}
