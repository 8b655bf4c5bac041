//! Logs: entries under sequence numbers that start at 1 and have no holes.
//!
//! Entries are only ever added at the end and removed at the front (their values may be replaced in between), so what a log holds is always one unbroken run
//! `first_seq..=last_seq`. A log whose entries are all trimmed away still knows its `last_seq`.

use bytes::Bytes;

use crate::documents::Order;

/// What an entry counts besides its value and dedupe key, in [`LogInfo::bytes`] and [`Trim::max_bytes`].
pub const ENTRY_OVERHEAD_BYTES: u64 = 16;

/// An entry to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The writer's time, milliseconds since 1970. Kept as given.
    pub time_ms: u64,
    /// Names the entry within its log: a second entry with the same key is not appended, and gets the first one's number.
    /// The key is known for as long as its entry is in the log.
    pub dedupe: Option<String>,
    /// The bytes.
    pub value: Bytes,
    /// Documents that are put with it; see [`Entry::note`].
    pub notes: Vec<Note>,
    /// By which words it can be found; see [`Entry::text`].
    pub text: Option<String>,
}

/// A document that is put when an entry is appended, under a key that ends in the entry's number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Where.
    pub collection: String,
    /// What the key begins with.
    pub prefix: String,
    /// What.
    pub value: Bytes,
    /// Milliseconds since 1970 from which the document is gone.
    pub expires_at_ms: Option<u64>,
}

/// How many digits a note's key ends in: as many as the largest number that Redis's scripts can tell from its neighbours has.
pub(crate) const SEQ_DIGITS: usize = 16;

impl Note {
    /// The key of the document for the entry with this number.
    pub(crate) fn key(&self, seq: u64) -> String {
        format!("{}{seq:0SEQ_DIGITS$}", self.prefix)
    }
}

impl Entry {
    /// An entry without a dedupe key.
    #[must_use]
    pub fn new(time_ms: u64, value: impl Into<Bytes>) -> Self {
        Self {
            time_ms,
            dedupe: None,
            value: value.into(),
            notes: Vec::new(),
            text: None,
        }
    }

    /// Gives it a dedupe key.
    #[must_use]
    pub fn dedupe(mut self, key: &str) -> Self {
        self.dedupe = Some(key.to_owned());
        self
    }

    /// Puts a document in the same step if the entry is appended (and not if it is a duplicate), whatever is there: an index on
    /// numbers that nobody knows before. Its key is the prefix and the entry's number as 16 decimal digits, so that a
    /// [`Scan`](crate::Scan) lists the notes in the log's order. Up to [`MAX_NOTES`](crate::MAX_NOTES) for an entry; the log knows
    /// nothing of them: what trims or amends the entry leaves them alone.
    #[must_use]
    pub fn note(
        mut self,
        collection: &str,
        prefix: &str,
        value: impl Into<Bytes>,
        expires_at_ms: Option<u64>,
    ) -> Self {
        self.notes.push(Note {
            collection: collection.to_owned(),
            prefix: prefix.to_owned(),
            value: value.into(),
            expires_at_ms,
        });
        self
    }

    /// Says by which words it can be found ([`Query::Search`](crate::Query::Search)). They are not a part of the value and can't be
    /// read back. A backend that can't search ignores them.
    #[must_use]
    pub fn text(mut self, text: Option<String>) -> Self {
        self.text = text;
        self
    }

    /// Bytes it counts in its log.
    pub(crate) fn bytes(&self) -> u64 {
        entry_bytes(
            self.value.len() as u64,
            self.dedupe.as_ref().map_or(0, String::len) as u64,
        )
    }
}

/// Bytes an entry counts in its log.
pub(crate) fn entry_bytes(value: u64, dedupe: u64) -> u64 {
    value + dedupe + ENTRY_OVERHEAD_BYTES
}

/// An entry as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its number in the log, from 1.
    pub seq: u64,
    /// The writer's time, milliseconds since 1970.
    pub time_ms: u64,
    /// The key it was appended with.
    pub dedupe: Option<String>,
    /// The bytes.
    pub value: Bytes,
}

/// Where one appended entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Its number; for a duplicate, the number of the entry that was there. 0 if it was not appended because of another's
    /// duplicate (see [`Batch::unless_duplicate`](crate::Batch::unless_duplicate)).
    pub seq: u64,
    /// An entry with this dedupe key was there already, and nothing was appended.
    pub duplicate: bool,
}

/// Where the entries of one append are, in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// One for each entry; never empty.
    pub entries: Vec<Placed>,
}

impl Appended {
    /// The number of the first entry (0 only for an append that didn't happen).
    #[must_use]
    pub fn first_seq(&self) -> u64 {
        self.entries.first().map_or(0, |placed| placed.seq)
    }

    /// Whether any entry was there already.
    #[must_use]
    pub fn any_duplicate(&self) -> bool {
        self.entries.iter().any(|placed| placed.duplicate)
    }
}

/// Which entries to read.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// First number wanted; 0 or 1 for the beginning.
    pub from: u64,
    /// Last number wanted, itself included; `u64::MAX` for the end.
    pub to: u64,
    /// Most entries in the page, at most [`MAX_PAGE`](crate::MAX_PAGE).
    pub limit: usize,
    /// Ascending reads from `from` on, descending from `to` back.
    pub order: Order,
}

impl Range {
    /// The oldest entries from `seq` on, ascending.
    #[must_use]
    pub fn from(seq: u64, limit: usize) -> Self {
        Self {
            from: seq,
            to: u64::MAX,
            limit,
            order: Order::Ascending,
        }
    }

    /// The newest entries before `seq`, descending; `u64::MAX` for the end of the log.
    #[must_use]
    pub fn before(seq: u64, limit: usize) -> Self {
        Self {
            from: 0,
            to: seq.saturating_sub(1),
            limit,
            order: Order::Descending,
        }
    }
}

/// How far a log reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogInfo {
    /// Number of the oldest entry that is kept; `last_seq + 1` when none is.
    pub first_seq: u64,
    /// Number of the newest entry ever appended; 0 when there was none.
    pub last_seq: u64,
    /// Bytes of the entries kept: values, dedupe keys, and [`ENTRY_OVERHEAD_BYTES`] each.
    pub bytes: u64,
}

impl LogInfo {
    /// A log that was never written to, which is the same as none.
    pub(crate) const EMPTY: Self = Self {
        first_seq: 1,
        last_seq: 0,
        bytes: 0,
    };

    /// How many entries are kept.
    #[must_use]
    pub fn entries(&self) -> u64 {
        (self.last_seq + 1).saturating_sub(self.first_seq)
    }
}

/// One page of a log, and how far the log reached at that moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPage {
    /// The entries, in the order asked for, without holes.
    pub entries: Vec<LogEntry>,
    /// The range holds further entries in that direction.
    pub more: bool,
    /// The log at the same moment. A reader that asked from a number before `info.first_seq` has missed entries.
    pub info: LogInfo,
}

/// What to remove from the front of a log. Entries go, oldest first, for as long as any of the set bounds says so.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trim {
    /// Entries with a lower number go.
    pub before_seq: Option<u64>,
    /// Entries go while more than this many are kept.
    pub max_entries: Option<u64>,
    /// Entries go while they count more bytes than this.
    pub max_bytes: Option<u64>,
    /// Entries go while the oldest has a lower time (milliseconds since 1970).
    pub before_time_ms: Option<u64>,
}

impl Trim {
    /// Whether the oldest entry of a log goes.
    pub(crate) fn takes(&self, log: &LogInfo, oldest_time_ms: u64) -> bool {
        self.before_seq.is_some_and(|seq| log.first_seq < seq)
            || self.max_entries.is_some_and(|most| log.entries() > most)
            || self.max_bytes.is_some_and(|most| log.bytes > most)
            || self
                .before_time_ms
                .is_some_and(|time| oldest_time_ms < time)
    }
}

/// What a trim did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trimmed {
    /// How many entries went, at most [`REMOVE_AT_ONCE`](crate::REMOVE_AT_ONCE).
    pub removed: u64,
    /// Number of the oldest entry that is kept.
    pub first_seq: u64,
    /// The bounds ask for more; trim again.
    pub more: bool,
}
