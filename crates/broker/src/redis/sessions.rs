//! The sessions that clients come back to. Each has an epoch, which rises when another node takes the session over: what
//! its last owner still writes after that is refused.

use std::sync::LazyLock;

use redis::{Cmd, Value};

use super::config::LinkError;
use super::link::Link;
use super::script::{Script, beside};
use crate::cluster::streams::{SessionRecord, decode_session, encode_session, session_key};

/// Writes that are sent before their answers are waited for. More would keep others' commands waiting.
const BATCH: usize = 512;

static WRITE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("write_session.lua")));
static TAKE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("take_over.lua")));

/// A session that is to be kept, or dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionWrite {
    /// The private id that its client comes back with.
    pub pid: String,
    /// What [`Link::take_over`] gave to the writer; 0 for a session that began here.
    pub epoch: u64,
    /// How long to keep it, or, of one that is dropped, the memory that older epochs may not write it.
    pub ttl_ms: u64,
    /// What to keep. `None` drops the session.
    pub record: Option<SessionRecord>,
}

/// A session that now belongs to this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenOver {
    /// What its last owner kept.
    pub record: SessionRecord,
    /// What this node is to write it with.
    pub epoch: u64,
}

impl Link {
    /// Writes sessions, each for itself, and returns for each whether it was written: not if another node has taken it
    /// over with a later epoch. After an error some may be written and others not; they may be written again.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn write_sessions(&self, writes: &[SessionWrite]) -> Result<Vec<bool>, LinkError> {
        let (_, prefix) = self.stream()?;
        let mut connection = self.connection()?;
        let mut written = Vec::with_capacity(writes.len());
        for batch in writes.chunks(BATCH) {
            let calls = batch.iter().enumerate();
            let calls = calls
                .map(|(i, write)| call(prefix, write, i == 0))
                .collect();
            let replies = connection.ask_all(calls).await?;
            for (write, reply) in batch.iter().zip(replies) {
                let reply = match reply {
                    // A cluster's other servers have not seen the script yet.
                    Err(error) if error.code() == Some("NOSCRIPT") => {
                        connection.ask(&call(prefix, write, true)).await?
                    }
                    reply => reply?,
                };
                written.push(reply == Value::Int(1));
            }
        }
        Ok(written)
    }

    /// Makes this node the owner of a session, whoever it was before, and keeps it for `ttl_ms` at least. It stays where
    /// it is: a client that fails to come back may try again. `None` if there is none. A session of a Node server is
    /// taken as well, but Node doesn't know of epochs: nothing holds it back from writing that one.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn take_over(&self, pid: &str, ttl_ms: u64) -> Result<Option<TakenOver>, LinkError> {
        let (_, prefix) = self.stream()?;
        let mut take = TAKE.whole(&keys(prefix, pid).each_ref().map(String::as_str));
        take.arg(ttl_ms.max(1));
        let Value::Array(pair) = self.connection()?.ask(&take).await? else {
            return Ok(None);
        };
        let [Value::BulkString(record), Value::Int(epoch)] = pair.as_slice() else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(record);
        Ok(Some(TakenOver {
            record: decode_session(&text, &self.shared().dialect.limits)?,
            epoch: u64::try_from(*epoch).unwrap_or_default(),
        }))
    }
}

/// Where the record and the epoch stand.
fn keys(prefix: &str, pid: &str) -> [String; 2] {
    let record = session_key(prefix, pid);
    let epoch = beside(&record, ":epoch");
    [record, epoch]
}

fn call(prefix: &str, write: &SessionWrite, whole: bool) -> Cmd {
    let keys = keys(prefix, &write.pid);
    let keys = keys.each_ref().map(String::as_str);
    let mut call = if whole {
        WRITE.whole(&keys)
    } else {
        WRITE.named(&keys)
    };
    call.arg(write.epoch).arg(write.ttl_ms.max(1));
    if let Some(record) = &write.record {
        call.arg(encode_session(record));
    }
    call
}
