//! What can be read: queries, and the answers in the same order.

use crate::documents::{Document, Order, Page, Scan};
use crate::limits;
use crate::logs::{LogInfo, LogPage, Range};
use crate::rankings::{Ranked, ScoreRange};
use crate::search;

/// One question. All questions of one read are answered from the same snapshot.
#[derive(Clone, Debug)]
pub enum Query {
    /// One document → [`Answer::Document`].
    Get {
        /// Where.
        collection: String,
        /// Under which key.
        key: String,
    },
    /// Documents by key → [`Answer::Documents`].
    Scan {
        /// Where.
        collection: String,
        /// Which.
        scan: Scan,
    },
    /// Entries of a log → [`Answer::Entries`].
    Range {
        /// The log's name.
        log: String,
        /// Which.
        range: Range,
    },
    /// How far a log reaches → [`Answer::Log`].
    Log {
        /// The log's name.
        log: String,
    },
    /// The number of the entry with a dedupe key → [`Answer::Seq`].
    Find {
        /// The log's name.
        log: String,
        /// The key it was appended with.
        dedupe: String,
    },
    /// Entries by their words ([`Entry::text`](crate::Entry::text)), newest first → [`Answer::Found`]. Not every backend can
    /// ([`Store::can_search`](crate::Store::can_search)). Costs a walk over what matches in the logs, from the newest to the page's end.
    Search {
        /// In which logs, at most [`MAX_SEARCHED_LOGS`](crate::MAX_SEARCHED_LOGS).
        logs: Vec<String>,
        /// What a person typed, as [`search::terms`](crate::search::terms) reads it.
        words: String,
        /// Go on after this hit: the `next` of the page before.
        before: Option<SearchCursor>,
        /// Most hits in the page, at most [`MAX_PAGE`](crate::MAX_PAGE).
        limit: usize,
    },
    /// Logs by name → [`Answer::Logs`].
    Logs {
        /// Which.
        scan: Scan,
    },
    /// A member's score → [`Answer::Score`].
    Score {
        /// The ranking's name.
        ranking: String,
        /// Whom.
        member: String,
    },
    /// How many members stand before one → [`Answer::Rank`]. Costs a walk over those before it.
    Rank {
        /// The ranking's name.
        ranking: String,
        /// Whom.
        member: String,
        /// Descending counts from the highest score.
        order: Order,
    },
    /// Members by rank → [`Answer::Ranked`].
    ByRank {
        /// The ranking's name.
        ranking: String,
        /// First rank wanted, from 0.
        from: u64,
        /// Most members, at most [`MAX_PAGE`](crate::MAX_PAGE).
        limit: usize,
        /// Descending gives the highest score rank 0.
        order: Order,
    },
    /// Members by score → [`Answer::Ranked`].
    ByScore {
        /// The ranking's name.
        ranking: String,
        /// Which scores.
        scores: ScoreRange,
        /// How many of them to pass over.
        offset: u64,
        /// Most members, at most [`MAX_PAGE`](crate::MAX_PAGE).
        limit: usize,
        /// Descending begins at `scores.max`.
        order: Order,
    },
    /// How many members have a score in a range → [`Answer::Count`].
    Count {
        /// The ranking's name.
        ranking: String,
        /// Which scores; [`ScoreRange::ALL`] costs nothing, any other range a walk over it.
        scores: ScoreRange,
    },
}

impl Query {
    /// Asks for one document.
    pub fn get(collection: impl Into<String>, key: impl Into<String>) -> Self {
        Self::Get {
            collection: collection.into(),
            key: key.into(),
        }
    }

    /// Refuses what no backend shall see.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Self::Search { logs, words, .. } = self else {
            return Ok(());
        };
        if logs.len() > limits::MAX_SEARCHED_LOGS {
            let most = limits::MAX_SEARCHED_LOGS;
            return Err(format!(
                "the search is in {} logs; {most} are allowed",
                logs.len()
            ));
        }
        search::terms(words)
            .map(drop)
            .map_err(|error| error.to_string())
    }
}

/// Where an entry stands that a search found. Sorts from the oldest to the newest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SearchCursor {
    /// The entry's time, milliseconds since 1970.
    pub time_ms: u64,
    /// Its log's name.
    pub log: String,
    /// Its number.
    pub seq: u64,
}

/// An entry that a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Its log's name.
    pub log: String,
    /// Its number.
    pub seq: u64,
    /// Its time, milliseconds since 1970.
    pub time_ms: u64,
}

/// One page of what a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundPage {
    /// Newest first: by time, then by log, then by number.
    pub hits: Vec<Hit>,
    /// To be given as `before` for the next page; `None` when this was the last.
    pub next: Option<SearchCursor>,
}

impl FoundPage {
    /// The page of what was found, newest first, one more than it may hold to know whether there is more.
    pub(crate) fn of(mut found: Vec<SearchCursor>, limit: usize) -> Self {
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).cloned();
        let hit = |SearchCursor { time_ms, log, seq }| Hit { log, seq, time_ms };
        Self {
            hits: found.into_iter().map(hit).collect(),
            next,
        }
    }
}

/// The answer to a [`Query`].
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// To [`Query::Get`]; `None` when there is none or it has expired.
    Document(Option<Document>),
    /// To [`Query::Scan`]: keys and documents.
    Documents(Page<(String, Document)>),
    /// To [`Query::Range`].
    Entries(LogPage),
    /// To [`Query::Log`]; a log that isn't there reaches from 1 to 0.
    Log(LogInfo),
    /// To [`Query::Find`].
    Seq(Option<u64>),
    /// To [`Query::Search`].
    Found(FoundPage),
    /// To [`Query::Logs`]: names and reaches.
    Logs(Page<(String, LogInfo)>),
    /// To [`Query::Score`].
    Score(Option<f64>),
    /// To [`Query::Rank`].
    Rank(Option<u64>),
    /// To [`Query::ByRank`] and [`Query::ByScore`].
    Ranked(Vec<Ranked>),
    /// To [`Query::Count`].
    Count(u64),
}
