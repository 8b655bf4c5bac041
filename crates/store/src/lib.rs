//! What is remembered: documents, append-only logs and rankings, behind one contract.
//!
//! A [`Store`] is a cheap handle on one backend: a SQLite file ([`Store::sqlite`]), a Redis server
//! ([`Store::redis`]) or plain memory for tests ([`Store::memory`]). All that a backend does is apply a [`Batch`] of operations atomically and answer a list of
//! [`Query`]s from one snapshot; the named methods of [`Store`] are batches and lists of one.
//!
//! What always holds, on each backend (the suite in `contract` checks it):
//!
//! * **Done means durable.** The future of a write is done after its commit and not before. The write is submitted when the
//!   method is called, not when the future is first polled; dropping the future does not take the write back.
//! * **Order.** Writes are executed in the order in which they were submitted. A read submitted after a write was done sees it;
//!   a read that overtakes a write which is still under way may or may not see it.
//! * **All or nothing.** A batch is applied whole or not at all, and a batch that is refused changes nothing for those that
//!   happen to be committed beside it.
//! * **Time is an argument.** The crate reads no clock: callers pass milliseconds since 1970. An expired document is
//!   invisible from that millisecond on, whether or not [`Store::purge`] has removed it.
//! * **Bounds.** The queues are bounded in count and bytes ([`WriteError::Busy`]), names and values in size, pages in
//!   entries and bytes, and trims and purges in how much one call removes.
//!
//! The tables, backing up and repair are described in docs/storage.md.

mod batch;
mod calls;
mod check;
mod counters;
mod documents;
mod error;
mod front;
mod health;
mod limits;
mod logs;
mod memory;
mod query;
mod queue;
mod rankings;
mod redis;
pub mod search;
mod sqlite;
mod store;

#[cfg(feature = "contract")]
pub mod contract;

pub use batch::{Applied, Batch, Op, Purged, ScoreChange};
pub use documents::{Condition, DeleteRange, DeletedRange, Document, Order, Page, Scan};
pub use error::{CloseError, OpenError, ReadError, WriteError};
pub use health::{GROUP_BUCKETS, Health, Stats};
pub use limits::{
    MAX_BATCH_BYTES, MAX_BATCH_OPS, MAX_NAME_BYTES, MAX_NOTES, MAX_PAGE, MAX_SEARCHED_LOGS,
    MAX_TEXT_BYTES, MAX_VALUE_BYTES, PAGE_BYTES, REMOVE_AT_ONCE,
};
pub use logs::{
    Appended, ENTRY_OVERHEAD_BYTES, Entry, LogEntry, LogInfo, LogPage, Note, Placed, Range, Trim,
    Trimmed,
};
pub use query::{Answer, FoundPage, Hit, Query, SearchCursor};
pub use rankings::{Ranked, ScoreRange};
pub use redis::RedisOptions;
pub use sqlite::{SqliteOptions, Synchronous};
pub use store::{Reading, Store, Writing};
