//! What can be written: operations, and batches of them that are applied whole or not at all.

use bytes::Bytes;

use crate::check::{check_op, check_order, op_bytes, op_count};
use crate::documents::{Condition, DeleteRange, DeletedRange};
use crate::error::WriteError;
use crate::limits;
use crate::logs::{Appended, Entry, Trim, Trimmed};

/// One operation. Operations of a batch see what the ones before them did.
#[derive(Clone, Debug)]
pub enum Op {
    /// Puts a document, if the condition holds.
    Put {
        /// Where.
        collection: String,
        /// Under which key.
        key: String,
        /// What.
        value: Bytes,
        /// What must hold; otherwise [`WriteError::Conflict`].
        condition: Condition,
        /// Milliseconds since 1970 from which the document is gone.
        expires_at_ms: Option<u64>,
    },
    /// Changes when a document expires, and nothing else: its version stays.
    Touch {
        /// Where.
        collection: String,
        /// Under which key.
        key: String,
        /// Milliseconds since 1970 from which the document is gone; `None` keeps it.
        expires_at_ms: Option<u64>,
    },
    /// Deletes a document, if the condition holds.
    Delete {
        /// Where.
        collection: String,
        /// Under which key.
        key: String,
        /// What must hold; otherwise [`WriteError::Conflict`].
        condition: Condition,
    },
    /// Deletes documents by key, in the order of their keys.
    ///
    /// A condition on a document that it may have taken can't stand behind it in the same batch.
    DeleteRange {
        /// Where.
        collection: String,
        /// Which, and how many at most.
        range: DeleteRange,
    },
    /// Appends entries to a log.
    Append {
        /// The log's name; the first append makes it.
        log: String,
        /// One or more.
        entries: Vec<Entry>,
    },
    /// Replaces the value of an entry that is in the log. Its number, time and dedupe key stay; what notes of it stand elsewhere
    /// is not touched. The old value can be read no more.
    Amend {
        /// The log's name.
        log: String,
        /// The entry's number.
        seq: u64,
        /// What stands there from now on.
        value: Bytes,
        /// By which words it can be found from now on; `None`: by none.
        text: Option<String>,
    },
    /// Removes entries from the front of a log.
    Trim {
        /// The log's name.
        log: String,
        /// Which.
        trim: Trim,
    },
    /// Removes a log with its numbering: if it is written to again, it starts at 1.
    RemoveLog {
        /// The log's name.
        log: String,
    },
    /// Gives a member a score.
    SetScore {
        /// The ranking's name; the first member makes it.
        ranking: String,
        /// Whom.
        member: String,
        /// Finite.
        score: f64,
    },
    /// Adds to a member's score, which is 0 if it has none.
    AddScore {
        /// The ranking's name.
        ranking: String,
        /// Whom.
        member: String,
        /// How much, may be negative.
        by: f64,
    },
    /// Takes a member out.
    RemoveMember {
        /// The ranking's name.
        ranking: String,
        /// Whom.
        member: String,
    },
    /// Removes a ranking with all members.
    RemoveRanking {
        /// The ranking's name.
        ranking: String,
    },
    /// Frees the space of what is expired or was removed. Changes nothing that a read can see.
    Purge {
        /// Most rows to free, from 1 to [`REMOVE_AT_ONCE`](crate::REMOVE_AT_ONCE).
        limit: usize,
    },
}

/// What an operation did, in the order of the batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Applied {
    /// The document is stored at this version.
    Put {
        /// Its new version.
        version: u64,
    },
    /// The document's expiry is changed.
    Touched {
        /// There was such a document.
        existed: bool,
    },
    /// The document is gone.
    Deleted {
        /// There was such a document.
        existed: bool,
    },
    /// Documents of a range are gone.
    DeletedRange(DeletedRange),
    /// The entries are in the log.
    Appended(Appended),
    /// The entry has another value.
    Amended {
        /// There was such an entry; otherwise nothing is changed.
        existed: bool,
    },
    /// The log is trimmed.
    Trimmed(Trimmed),
    /// The log is gone.
    LogRemoved {
        /// There was such a log.
        existed: bool,
    },
    /// The member has a score.
    Scored(ScoreChange),
    /// The member is gone.
    MemberRemoved {
        /// There was such a member.
        existed: bool,
    },
    /// The ranking is gone.
    RankingRemoved {
        /// There was such a ranking.
        existed: bool,
    },
    /// Space was freed.
    Purged(Purged),
    /// Nothing was done, because an append of the batch met a duplicate (see [`Batch::unless_duplicate`]).
    Skipped,
}

/// A member's score after a change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreChange {
    /// The score now.
    pub score: f64,
    /// The member was not in the ranking before.
    pub added: bool,
}

/// What a purge did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purged {
    /// How many rows were freed. What counts as a row beside an expired document is the backend's affair.
    pub removed: u64,
    /// There is more; purge again.
    pub more: bool,
}

/// Operations that are applied together: all of them or none.
#[derive(Clone, Debug)]
pub struct Batch {
    now_ms: u64,
    ops: Vec<Op>,
    unless_duplicate: bool,
}

impl Batch {
    /// An empty batch, at `now_ms` milliseconds since 1970 (which decides what has expired).
    #[must_use]
    pub fn new(now_ms: u64) -> Self {
        Self {
            now_ms,
            ops: Vec::new(),
            unless_duplicate: false,
        }
    }

    /// Adds an operation.
    #[must_use]
    pub fn op(mut self, op: Op) -> Self {
        self.ops.push(op);
        self
    }

    /// Adds [`Op::Put`].
    #[must_use]
    pub fn put(
        self,
        collection: &str,
        key: &str,
        value: impl Into<Bytes>,
        condition: Condition,
        expires_at_ms: Option<u64>,
    ) -> Self {
        self.op(Op::Put {
            collection: collection.to_owned(),
            key: key.to_owned(),
            value: value.into(),
            condition,
            expires_at_ms,
        })
    }

    /// Adds [`Op::Touch`].
    #[must_use]
    pub fn touch(self, collection: &str, key: &str, expires_at_ms: Option<u64>) -> Self {
        self.op(Op::Touch {
            collection: collection.to_owned(),
            key: key.to_owned(),
            expires_at_ms,
        })
    }

    /// Adds [`Op::Delete`].
    #[must_use]
    pub fn delete(self, collection: &str, key: &str, condition: Condition) -> Self {
        self.op(Op::Delete {
            collection: collection.to_owned(),
            key: key.to_owned(),
            condition,
        })
    }

    /// Adds [`Op::DeleteRange`].
    #[must_use]
    pub fn delete_range(self, collection: &str, range: DeleteRange) -> Self {
        self.op(Op::DeleteRange {
            collection: collection.to_owned(),
            range,
        })
    }

    /// Adds [`Op::Append`].
    #[must_use]
    pub fn append(self, log: &str, entries: Vec<Entry>) -> Self {
        self.op(Op::Append {
            log: log.to_owned(),
            entries,
        })
    }

    /// Adds [`Op::Amend`].
    #[must_use]
    pub fn amend(self, log: &str, seq: u64, value: impl Into<Bytes>, text: Option<String>) -> Self {
        self.op(Op::Amend {
            log: log.to_owned(),
            seq,
            value: value.into(),
            text,
        })
    }

    /// Adds [`Op::Trim`].
    #[must_use]
    pub fn trim(self, log: &str, trim: Trim) -> Self {
        self.op(Op::Trim {
            log: log.to_owned(),
            trim,
        })
    }

    /// Adds [`Op::RemoveLog`].
    #[must_use]
    pub fn remove_log(self, log: &str) -> Self {
        self.op(Op::RemoveLog {
            log: log.to_owned(),
        })
    }

    /// Adds [`Op::SetScore`].
    #[must_use]
    pub fn set_score(self, ranking: &str, member: &str, score: f64) -> Self {
        self.op(Op::SetScore {
            ranking: ranking.to_owned(),
            member: member.to_owned(),
            score,
        })
    }

    /// Adds [`Op::AddScore`].
    #[must_use]
    pub fn add_score(self, ranking: &str, member: &str, by: f64) -> Self {
        self.op(Op::AddScore {
            ranking: ranking.to_owned(),
            member: member.to_owned(),
            by,
        })
    }

    /// Adds [`Op::RemoveMember`].
    #[must_use]
    pub fn remove_member(self, ranking: &str, member: &str) -> Self {
        self.op(Op::RemoveMember {
            ranking: ranking.to_owned(),
            member: member.to_owned(),
        })
    }

    /// Makes the batch do nothing when an entry of one of its appends is in the log before the batch begins: that append's
    /// result tells where (an entry of it that wasn't there has number 0), and every other operation is [`Applied::Skipped`]. So a retry of "append the message and update the
    /// room" is harmless as a whole.
    #[must_use]
    pub fn unless_duplicate(mut self) -> Self {
        self.unless_duplicate = true;
        self
    }

    /// The operations so far.
    #[must_use]
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// Milliseconds since 1970 at which the batch is applied.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    pub(crate) fn gives_way_to_duplicates(&self) -> bool {
        self.unless_duplicate
    }

    /// Bytes that the batch holds in memory, nearly: names, values, and a little for each operation.
    pub(crate) fn bytes(&self) -> usize {
        self.ops.iter().map(op_bytes).sum()
    }

    /// Refuses what no backend shall see.
    pub(crate) fn check(&self) -> Result<(), WriteError> {
        let invalid = |op, reason| WriteError::Invalid { op, reason };
        let mut count = 0;
        for (index, op) in self.ops.iter().enumerate() {
            check_op(op).map_err(|reason| invalid(index, reason))?;
            count += op_count(op);
        }
        check_order(&self.ops).map_err(|(index, reason)| invalid(index, reason))?;
        let last = self.ops.len().saturating_sub(1);
        if count > limits::MAX_BATCH_OPS {
            let most = limits::MAX_BATCH_OPS;
            return Err(invalid(
                last,
                format!("the batch has {count} operations; {most} are allowed"),
            ));
        }
        if self.bytes() > limits::MAX_BATCH_BYTES {
            let most = limits::MAX_BATCH_BYTES;
            return Err(invalid(
                last,
                format!("the batch has {} bytes; {most} are allowed", self.bytes()),
            ));
        }
        Ok(())
    }
}

/// What a duplicate leaves of a batch that gives way: the append's result at `index`, and nothing else.
pub(crate) fn skipped_but(ops: usize, index: usize, appended: Appended) -> Vec<Applied> {
    let mut results = vec![Applied::Skipped; ops];
    results[index] = Applied::Appended(appended);
    results
}
