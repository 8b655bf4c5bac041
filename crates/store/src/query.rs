//! What can be read: queries, and the answers in the same order.

use crate::documents::{Document, Order, Page, Scan};
use crate::logs::{LogInfo, LogPage, Range};
use crate::rankings::{Ranked, ScoreRange};

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
