//! A method of [`Store`] for each operation and query: batches and lists of one.

use std::future::Future;

use bytes::Bytes;

use crate::batch::{Applied, Batch, Op, Purged, ScoreChange};
use crate::documents::{Condition, DeleteRange, DeletedRange, Document, Order, Page, Scan};
use crate::error::{ReadError, WriteError};
use crate::logs::{Appended, Entry, LogInfo, LogPage, Range, Trim, Trimmed};
use crate::query::{Answer, FoundPage, Query, SearchCursor};
use crate::rankings::{Ranked, ScoreRange};
use crate::store::Store;

/// Awaits a write or read of one operation and takes its result out.
macro_rules! single {
    ($pending:expr, $error:ident, $pattern:pat => $value:expr) => {{
        let pending = $pending;
        async move {
            match pending.await?.pop() {
                Some($pattern) => Ok($value),
                // Results are made one for one from the operations, in the same order; a test of each method holds that.
                other => Err($error::Failed(format!("unexpected result {other:?}").into())),
            }
        }
    }};
}

/// Documents.
impl Store {
    /// Reads a document; one that has expired is none.
    pub fn get(
        &self,
        now_ms: u64,
        collection: &str,
        key: &str,
    ) -> impl Future<Output = Result<Option<Document>, ReadError>> + Send + use<> {
        let query = Query::Get {
            collection: collection.to_owned(),
            key: key.to_owned(),
        };
        single!(self.read(now_ms, vec![query]), ReadError, Answer::Document(document) => document)
    }

    /// Puts a document if the condition holds, and gives its new version.
    pub fn put(
        &self,
        now_ms: u64,
        collection: &str,
        key: &str,
        value: Bytes,
        condition: Condition,
        expires_at_ms: Option<u64>,
    ) -> impl Future<Output = Result<u64, WriteError>> + Send + use<> {
        let batch = Batch::new(now_ms).put(collection, key, value, condition, expires_at_ms);
        single!(self.write(batch), WriteError, Applied::Put { version } => version)
    }

    /// Changes when a document expires (`None`: never), not its version. False if there is none.
    pub fn touch(
        &self,
        now_ms: u64,
        collection: &str,
        key: &str,
        expires_at_ms: Option<u64>,
    ) -> impl Future<Output = Result<bool, WriteError>> + Send + use<> {
        let batch = Batch::new(now_ms).touch(collection, key, expires_at_ms);
        single!(self.write(batch), WriteError, Applied::Touched { existed } => existed)
    }

    /// Deletes a document if the condition holds. False if there was none.
    pub fn delete(
        &self,
        now_ms: u64,
        collection: &str,
        key: &str,
        condition: Condition,
    ) -> impl Future<Output = Result<bool, WriteError>> + Send + use<> {
        let batch = Batch::new(now_ms).delete(collection, key, condition);
        single!(self.write(batch), WriteError, Applied::Deleted { existed } => existed)
    }

    /// Deletes documents by key, a bounded number of them; one that has expired doesn't count.
    pub fn delete_range(
        &self,
        now_ms: u64,
        collection: &str,
        range: DeleteRange,
    ) -> impl Future<Output = Result<DeletedRange, WriteError>> + Send + use<> {
        let batch = Batch::new(now_ms).delete_range(collection, range);
        single!(self.write(batch), WriteError, Applied::DeletedRange(deleted) => deleted)
    }

    /// Lists documents by key.
    pub fn scan(
        &self,
        now_ms: u64,
        collection: &str,
        scan: Scan,
    ) -> impl Future<Output = Result<Page<(String, Document)>, ReadError>> + Send + use<> {
        let query = Query::Scan {
            collection: collection.to_owned(),
            scan,
        };
        single!(self.read(now_ms, vec![query]), ReadError, Answer::Documents(page) => page)
    }

    /// Frees the space of expired documents and of removed logs and rankings, a bounded part of it. To be called every now
    /// and then, again at once while it says that there is more.
    pub fn purge(
        &self,
        now_ms: u64,
        limit: usize,
    ) -> impl Future<Output = Result<Purged, WriteError>> + Send + use<> {
        let batch = Batch::new(now_ms).op(Op::Purge { limit });
        single!(self.write(batch), WriteError, Applied::Purged(purged) => purged)
    }
}

/// Logs.
impl Store {
    /// Appends entries and tells their numbers.
    pub fn append(
        &self,
        log: &str,
        entries: Vec<Entry>,
    ) -> impl Future<Output = Result<Appended, WriteError>> + Send + use<> {
        let batch = Batch::new(0).append(log, entries);
        single!(self.write(batch), WriteError, Applied::Appended(appended) => appended)
    }

    /// Replaces the value of an entry, and the words by which it can be found. False if it isn't in the log (any more).
    pub fn amend(
        &self,
        log: &str,
        seq: u64,
        value: Bytes,
        text: Option<String>,
    ) -> impl Future<Output = Result<bool, WriteError>> + Send + use<> {
        let batch = Batch::new(0).amend(log, seq, value, text);
        single!(self.write(batch), WriteError, Applied::Amended { existed } => existed)
    }

    /// Removes entries from the front, a bounded number of them.
    pub fn trim(
        &self,
        log: &str,
        trim: Trim,
    ) -> impl Future<Output = Result<Trimmed, WriteError>> + Send + use<> {
        let batch = Batch::new(0).trim(log, trim);
        single!(self.write(batch), WriteError, Applied::Trimmed(trimmed) => trimmed)
    }

    /// Removes a log and its numbering. False if there was none.
    pub fn remove_log(
        &self,
        log: &str,
    ) -> impl Future<Output = Result<bool, WriteError>> + Send + use<> {
        let batch = Batch::new(0).remove_log(log);
        single!(self.write(batch), WriteError, Applied::LogRemoved { existed } => existed)
    }

    /// Reads entries.
    pub fn range(
        &self,
        log: &str,
        range: Range,
    ) -> impl Future<Output = Result<LogPage, ReadError>> + Send + use<> {
        let query = Query::Range {
            log: log.to_owned(),
            range,
        };
        single!(self.read(0, vec![query]), ReadError, Answer::Entries(page) => page)
    }

    /// How far a log reaches; one that isn't there reaches from 1 to 0.
    pub fn log_info(
        &self,
        log: &str,
    ) -> impl Future<Output = Result<LogInfo, ReadError>> + Send + use<> {
        let query = Query::Log {
            log: log.to_owned(),
        };
        single!(self.read(0, vec![query]), ReadError, Answer::Log(info) => info)
    }

    /// Number of the newest entry ever appended; 0 if there was none.
    pub fn last_seq(
        &self,
        log: &str,
    ) -> impl Future<Output = Result<u64, ReadError>> + Send + use<> {
        let info = self.log_info(log);
        async move { info.await.map(|info| info.last_seq) }
    }

    /// Number of the entry with a dedupe key, if it is still in the log.
    pub fn find(
        &self,
        log: &str,
        dedupe: &str,
    ) -> impl Future<Output = Result<Option<u64>, ReadError>> + Send + use<> {
        let query = Query::Find {
            log: log.to_owned(),
            dedupe: dedupe.to_owned(),
        };
        single!(self.read(0, vec![query]), ReadError, Answer::Seq(seq) => seq)
    }

    /// Finds entries by their words, newest first: see [`Query::Search`].
    pub fn search(
        &self,
        logs: Vec<String>,
        words: &str,
        before: Option<SearchCursor>,
        limit: usize,
    ) -> impl Future<Output = Result<FoundPage, ReadError>> + Send + use<> {
        let query = Query::Search {
            logs,
            words: words.to_owned(),
            before,
            limit,
        };
        single!(self.read(0, vec![query]), ReadError, Answer::Found(page) => page)
    }

    /// Lists logs by name.
    pub fn logs(
        &self,
        scan: Scan,
    ) -> impl Future<Output = Result<Page<(String, LogInfo)>, ReadError>> + Send + use<> {
        single!(self.read(0, vec![Query::Logs { scan }]), ReadError, Answer::Logs(page) => page)
    }
}

/// Rankings.
impl Store {
    /// Gives a member a score.
    pub fn set_score(
        &self,
        ranking: &str,
        member: &str,
        score: f64,
    ) -> impl Future<Output = Result<ScoreChange, WriteError>> + Send + use<> {
        let batch = Batch::new(0).set_score(ranking, member, score);
        single!(self.write(batch), WriteError, Applied::Scored(change) => change)
    }

    /// Adds to a member's score, which is 0 if it has none.
    pub fn add_score(
        &self,
        ranking: &str,
        member: &str,
        by: f64,
    ) -> impl Future<Output = Result<ScoreChange, WriteError>> + Send + use<> {
        let batch = Batch::new(0).add_score(ranking, member, by);
        single!(self.write(batch), WriteError, Applied::Scored(change) => change)
    }

    /// Takes a member out. False if it wasn't in.
    pub fn remove_member(
        &self,
        ranking: &str,
        member: &str,
    ) -> impl Future<Output = Result<bool, WriteError>> + Send + use<> {
        let batch = Batch::new(0).remove_member(ranking, member);
        single!(self.write(batch), WriteError, Applied::MemberRemoved { existed } => existed)
    }

    /// Removes a ranking with all members. False if there was none.
    pub fn remove_ranking(
        &self,
        ranking: &str,
    ) -> impl Future<Output = Result<bool, WriteError>> + Send + use<> {
        let op = Op::RemoveRanking {
            ranking: ranking.to_owned(),
        };
        single!(self.write(Batch::new(0).op(op)), WriteError, Applied::RankingRemoved { existed } => existed)
    }

    /// A member's score.
    pub fn score(
        &self,
        ranking: &str,
        member: &str,
    ) -> impl Future<Output = Result<Option<f64>, ReadError>> + Send + use<> {
        let query = Query::Score {
            ranking: ranking.to_owned(),
            member: member.to_owned(),
        };
        single!(self.read(0, vec![query]), ReadError, Answer::Score(score) => score)
    }

    /// How many members stand before one: 0 for the first. Descending counts from the highest score.
    pub fn rank(
        &self,
        ranking: &str,
        member: &str,
        order: Order,
    ) -> impl Future<Output = Result<Option<u64>, ReadError>> + Send + use<> {
        let query = Query::Rank {
            ranking: ranking.to_owned(),
            member: member.to_owned(),
            order,
        };
        single!(self.read(0, vec![query]), ReadError, Answer::Rank(rank) => rank)
    }

    /// Members by rank, from rank `from` on.
    pub fn by_rank(
        &self,
        ranking: &str,
        from: u64,
        limit: usize,
        order: Order,
    ) -> impl Future<Output = Result<Vec<Ranked>, ReadError>> + Send + use<> {
        let query = Query::ByRank {
            ranking: ranking.to_owned(),
            from,
            limit,
            order,
        };
        single!(self.read(0, vec![query]), ReadError, Answer::Ranked(members) => members)
    }

    /// Members with a score in a range, after passing over `offset` of them.
    pub fn by_score(
        &self,
        ranking: &str,
        scores: ScoreRange,
        offset: u64,
        limit: usize,
        order: Order,
    ) -> impl Future<Output = Result<Vec<Ranked>, ReadError>> + Send + use<> {
        let query = Query::ByScore {
            ranking: ranking.to_owned(),
            scores,
            offset,
            limit,
            order,
        };
        single!(self.read(0, vec![query]), ReadError, Answer::Ranked(members) => members)
    }

    /// How many members have a score in a range.
    pub fn count(
        &self,
        ranking: &str,
        scores: ScoreRange,
    ) -> impl Future<Output = Result<u64, ReadError>> + Send + use<> {
        let query = Query::Count {
            ranking: ranking.to_owned(),
            scores,
        };
        single!(self.read(0, vec![query]), ReadError, Answer::Count(count) => count)
    }
}
