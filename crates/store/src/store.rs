//! The handle that everybody uses: one enum over the backends. The methods for single operations are in `calls`.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;

use crate::batch::{Applied, Batch};
use crate::error::{CloseError, OpenError, ReadError, WriteError};
use crate::health::{Health, Stats};
use crate::memory::Memory;
use crate::query::{Answer, Query};
use crate::redis::{Redis, RedisOptions};
use crate::sqlite::{Sqlite, SqliteOptions};

/// Documents, logs and rankings on one backend. Cheap to clone; clones are the same store.
///
/// Methods that write submit at once and give a future that is done after the commit. It may be awaited on any runtime, or
/// dropped: the write happens all the same. When the last clone is dropped the store closes in the background;
/// [`Store::close`] closes it and tells when that is done.
#[derive(Clone)]
pub struct Store(Backend);

#[derive(Clone)]
enum Backend {
    Sqlite(Arc<Sqlite>),
    Redis(Arc<Redis>),
    Memory(Arc<Memory>),
}

/// A submitted write: the results of its operations, in order.
#[must_use = "the write is under way, but only its future tells whether it was done"]
pub struct Writing(Pending<Result<Vec<Applied>, WriteError>>);

/// A submitted read: its answers, in order.
#[must_use = "a read that nobody awaits is not answered"]
pub struct Reading(Pending<Result<Vec<Answer>, ReadError>>);

enum Pending<T> {
    Now(Option<T>),
    Later(oneshot::Receiver<T>),
}

impl<T: Unpin> Pending<T> {
    /// `None` when the thread that should answer has died.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<T>> {
        match self {
            Self::Now(outcome) => Poll::Ready(outcome.take()),
            Self::Later(receiver) => Poll::Ready(ready!(Pin::new(receiver).poll(context)).ok()),
        }
    }
}

impl Future for Writing {
    type Output = Result<Vec<Applied>, WriteError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(self.0.poll(context));
        Poll::Ready(
            outcome
                .unwrap_or_else(|| Err(WriteError::Unknown("the store's thread is gone".into()))),
        )
    }
}

impl Future for Reading {
    type Output = Result<Vec<Answer>, ReadError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(self.0.poll(context));
        Poll::Ready(
            outcome.unwrap_or_else(|| Err(ReadError::Failed("the store's thread is gone".into()))),
        )
    }
}

impl Store {
    /// Opens or makes a SQLite file, with its folder.
    ///
    /// # Errors
    /// See [`OpenError`]; each says what to do.
    pub fn sqlite(path: impl AsRef<Path>, options: &SqliteOptions) -> Result<Self, OpenError> {
        let store = Sqlite::open(path.as_ref(), options)?;
        Ok(Self(Backend::Sqlite(Arc::new(store))))
    }

    /// Connects to a Redis server, the primary of a Sentinel group, or a node of a cluster:
    ///
    /// * `redis://[user:password@]host[:port][,host[:port]…][/db]` (`rediss://` over TLS; several hosts are asked in turn),
    /// * `redis+cluster://[user:password@]host[:port][,…]` (`rediss+cluster://`),
    /// * `redis+unix:///path[?db=…]`,
    /// * `redis+sentinel://[user:password@]host[:port][,…]/name[/db]` (`rediss+sentinel://`; user and password are the primary's,
    ///   `?sentinel_user=…&sentinel_password=…` the sentinels').
    ///
    /// # Errors
    /// See [`OpenError`]; each says what to do.
    pub fn redis(url: &str, options: &RedisOptions) -> Result<Self, OpenError> {
        Ok(Self(Backend::Redis(Arc::new(Redis::open(url, options)?))))
    }

    /// A store that is gone when it is dropped: for tests.
    #[must_use]
    pub fn memory() -> Self {
        Self(Backend::Memory(Arc::default()))
    }

    /// Submits a batch: all of it is applied, or none.
    pub fn write(&self, batch: Batch) -> Writing {
        let submitted = batch.check().and_then(|()| match &self.0 {
            Backend::Sqlite(sqlite) => sqlite.front().write(batch).map(Pending::Later),
            Backend::Redis(redis) => redis.write(batch).map(Pending::Later),
            Backend::Memory(memory) => Ok(Pending::Now(Some(memory.write(&batch)))),
        });
        Writing(submitted.unwrap_or_else(|error| Pending::Now(Some(Err(error)))))
    }

    /// Asks several things of one snapshot, at `now_ms` milliseconds since 1970 (which decides what has expired).
    pub fn read(&self, now_ms: u64, queries: Vec<Query>) -> Reading {
        let submitted = self.check(&queries).and_then(|()| match &self.0 {
            Backend::Sqlite(sqlite) => sqlite.front().read(now_ms, queries).map(Pending::Later),
            Backend::Redis(redis) => redis.read(now_ms, queries).map(Pending::Later),
            Backend::Memory(memory) => Ok(Pending::Now(Some(memory.read(now_ms, &queries)))),
        });
        Reading(submitted.unwrap_or_else(|error| Pending::Now(Some(Err(error)))))
    }

    fn check(&self, queries: &[Query]) -> Result<(), ReadError> {
        for (index, query) in queries.iter().enumerate() {
            if matches!(query, Query::Search { .. }) && !self.can_search() {
                return Err(ReadError::Unsupported);
            }
            query.check().map_err(|reason| ReadError::Invalid {
                query: index,
                reason,
            })?;
        }
        Ok(())
    }

    /// Whether it finds entries by their words ([`Query::Search`]). Redis can't.
    #[must_use]
    pub fn can_search(&self) -> bool {
        !matches!(self.0, Backend::Redis(_))
    }

    /// How the store is doing.
    #[must_use]
    pub fn health(&self) -> Health {
        match &self.0 {
            Backend::Sqlite(sqlite) => sqlite.front().health(),
            Backend::Redis(redis) => redis.front().health(),
            Backend::Memory(memory) => memory.health(),
        }
    }

    /// Figures for metrics.
    #[must_use]
    pub fn stats(&self) -> Stats {
        match &self.0 {
            Backend::Sqlite(sqlite) => sqlite.stats(),
            Backend::Redis(redis) => redis.front().stats(),
            Backend::Memory(memory) => memory.stats(),
        }
    }

    /// Takes in no more from the moment of the call, finishes what was submitted before, and closes the file or connection. To
    /// be awaited before a file is opened again or moved. Closing twice is closing once.
    pub fn close(&self) -> impl Future<Output = Result<(), CloseError>> + Send + use<> {
        let closing = match &self.0 {
            Backend::Sqlite(sqlite) => Some(sqlite.front().close()),
            Backend::Redis(redis) => Some(redis.front().close()),
            Backend::Memory(memory) => {
                memory.close();
                None
            }
        };
        async move {
            match closing {
                Some(closing) => closing.await,
                None => Ok(()),
            }
        }
    }
}
