//! What streams keep in Redis: the log that returning clients read, and the sessions they come back to.

use redis::{Value, cmd};

use super::backend::Backend;
use super::config::LinkError;
use super::entry::{counter_key, number};
use super::link::Link;
use super::reader;
use crate::cluster::streams::{
    SessionRecord, StreamId, decode_entry, decode_session, encode_session, session_key,
};
use crate::cluster::{Message, Uid};

/// A broadcast in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Its place.
    pub offset: StreamId,
    /// Who sent it.
    pub from: Option<Uid>,
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
    pub whole: bool,
}

impl Link {
    fn stream(&self) -> Result<(&str, &str), LinkError> {
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
        let (stream, _) = self.stream()?;
        let mut connection = self.connection()?;
        let found = reader::range_after(&mut connection, stream, after, count).await?;
        // Looked at afterwards: if it stands there now, nothing behind it was trimmed before the read.
        let whole =
            after == StreamId::default() || reader::holds(&mut connection, stream, after).await?;
        let end = found.len() < count;
        let last = found.last().map_or(after, |entry| entry.id);
        let limits = &self.shared().dialect.limits;
        let logged = found.into_iter().filter(|entry| entry.fields.nsp == nsp);
        let logged = logged.filter_map(|entry| {
            let envelope = decode_entry(&entry.fields, limits).ok()?;
            matches!(envelope.message, Message::Broadcast { .. }).then_some(Logged {
                offset: entry.id,
                from: envelope.from,
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

    /// Keeps a session for `ttl_ms`.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn save_session(&self, record: &SessionRecord, ttl_ms: u64) -> Result<(), LinkError> {
        let (_, prefix) = self.stream()?;
        let mut set = cmd("SET");
        set.arg(session_key(prefix, &record.pid));
        set.arg(encode_session(record));
        set.arg("PX").arg(ttl_ms.max(1));
        self.connection()?.ask(&set).await?;
        Ok(())
    }

    /// The session of that private id. It stays: a restore that fails must not cost it.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn load_session(&self, pid: &str) -> Result<Option<SessionRecord>, LinkError> {
        let (_, prefix) = self.stream()?;
        let mut get = cmd("GET");
        get.arg(session_key(prefix, pid));
        match self.connection()?.ask(&get).await? {
            Value::BulkString(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                let limits = &self.shared().dialect.limits;
                Ok(Some(decode_session(&text, limits)?))
            }
            _ => Ok(None),
        }
    }

    /// Drops a session.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn drop_session(&self, pid: &str) -> Result<(), LinkError> {
        let (_, prefix) = self.stream()?;
        let mut del = cmd("DEL");
        del.arg(session_key(prefix, pid));
        self.connection()?.ask(&del).await?;
        Ok(())
    }
}
