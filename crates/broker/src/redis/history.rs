//! The log that the stream is to clients who return.

use redis::{Value, cmd};

use super::backend::Backend;
use super::config::LinkError;
use super::entry::{counter_key, number};
use super::link::Link;
use super::reader;
use crate::cluster::streams::{StreamId, decode_entry};
use crate::cluster::{Message, Uid};

/// A broadcast in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Its place.
    pub offset: StreamId,
    /// Who sent it.
    pub from: Option<Uid>,
    /// Its number, if it was counted.
    pub number: Option<u64>,
    /// What it says.
    pub message: Message,
}

/// A part of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPage {
    /// The broadcasts of the namespace in it, oldest first. Which rooms they are for is not looked at.
    pub entries: Vec<Logged>,
    /// Where to read on.
    pub last: StreamId,
    /// Whether there was nothing more when it was read.
    pub end: bool,
    /// Whether the log still reaches back to where this part begins: if not, something may be missing in front of it.
    /// From the very beginning it does as long as nothing was ever trimmed; before version 7 Redis doesn't tell, and a
    /// stream is taken to be whole while it is shorter than its bound.
    pub whole: bool,
}

impl Link {
    /// The names of the stream and of what sessions' keys begin with.
    pub(super) fn stream(&self) -> Result<(&str, &str), LinkError> {
        match &self.shared().config.backend {
            Backend::Streams {
                stream,
                session_prefix,
                ..
            } => Ok((stream, session_prefix)),
            _ => Err(LinkError::Unsupported),
        }
    }

    /// The place of the newest entry of the stream, of whatever namespace: what a session that begins now is up to.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn log_tail(&self) -> Result<StreamId, LinkError> {
        let (stream, _) = self.stream()?;
        Ok(reader::tail(&mut self.connection()?, stream).await?)
    }

    /// The place of the newest entry that is older than `id`, of whatever namespace. `None` if there is none (any more).
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn entry_before(&self, id: StreamId) -> Result<Option<StreamId>, LinkError> {
        let (stream, _) = self.stream()?;
        // Redis finds fault with a range that ends before the first place there is.
        if id == StreamId::default() {
            return Ok(None);
        }
        let end = format!("({id}");
        Ok(reader::newest(&mut self.connection()?, stream, &end).await?)
    }

    /// The number that a counter gave last, 0 if it knows none (any more): see [`Link::publish_counted`].
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn count_of(&self, nsp: &str, counter: &str) -> Result<u64, LinkError> {
        let (stream, _) = self.stream()?;
        let mut get = cmd("GET");
        get.arg(counter_key(stream, nsp, counter));
        let found = self.connection()?.ask(&get).await?;
        Ok(match &found {
            Value::BulkString(text) => number(text).unwrap_or_default(),
            _ => 0,
        })
    }

    /// Reads broadcasts of a namespace after `after`, out of the next `count` entries of the stream.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn read_log(
        &self,
        nsp: &str,
        after: StreamId,
        count: usize,
    ) -> Result<LogPage, LinkError> {
        let Backend::Streams {
            stream, max_len, ..
        } = &self.shared().config.backend
        else {
            return Err(LinkError::Unsupported);
        };
        let mut connection = self.connection()?;
        let found = reader::range_after(&mut connection, stream, after, count).await?;
        // Looked at afterwards: if it stands there now, nothing behind it was trimmed before the read.
        let whole = if after == StreamId::default() {
            reader::is_untrimmed(&mut connection, stream, *max_len).await?
        } else {
            reader::holds(&mut connection, stream, after).await?
        };
        let end = found.len() < count;
        let last = found.last().map_or(after, |entry| entry.id);
        let limits = &self.shared().dialect.limits;
        let logged = found.into_iter().filter(|entry| entry.fields.nsp == nsp);
        let logged = logged.filter_map(|entry| {
            let envelope = decode_entry(&entry.fields, limits).ok()?;
            matches!(envelope.message, Message::Broadcast { .. }).then_some(Logged {
                offset: entry.id,
                from: envelope.from,
                number: entry.number,
                message: envelope.message,
            })
        });
        Ok(LogPage {
            entries: logged.collect(),
            last,
            end,
            whole,
        })
    }
}
