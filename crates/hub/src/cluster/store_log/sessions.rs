//! Session records as documents of the store, and the epochs that fence them.
//!
//! Whoever could still write with an older epoch is a socket of this process: so epochs are compared in memory, and a record
//! only carries its own over to the next life. Taking a session over writes nothing.

use bytes::Bytes;
use lakh_broker::cluster::streams::{decode_session, encode_session};
use lakh_broker::cluster::{DecodeError, Limits};
use lakh_broker::redis::{SessionWrite, TakenOver};
use lakh_store::{Batch, Condition, MAX_VALUE_BYTES, Store};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::cluster::tie::TieError;

/// Key: the private id. Value: the format 1, the epoch as a big-endian u64, and the record as it stands in Redis.
const SESSIONS: &str = "hub_sessions";
const FORMAT: u8 = 1;
/// Bytes written at once, about.
const BATCH_BYTES: usize = 4 << 20;

/// Sessions that were taken over in this life.
#[derive(Default)]
pub(super) struct Sessions {
    epochs: Mutex<FxHashMap<Box<str>, Epoch>>,
}

struct Epoch {
    epoch: u64,
    until_ms: u64,
}

impl Sessions {
    /// Writes sessions, each for itself, and returns for each whether it was written: not if it was taken over since.
    pub(super) async fn write(
        &self,
        store: &Store,
        now_ms: u64,
        writes: &[SessionWrite],
    ) -> Result<Vec<bool>, TieError> {
        let allowed: Vec<bool> = writes
            .iter()
            .map(|write| self.admit(now_ms, write))
            .collect();
        let (mut batch, mut bytes) = (Batch::new(now_ms), 0);
        let mut pending = Vec::new();
        let writes = writes.iter().zip(&allowed);
        for (write, _) in writes.filter(|(_, allowed)| **allowed) {
            let value = value(write);
            bytes += value.as_ref().map_or(0, Bytes::len);
            batch = add(batch, now_ms, write, value);
            if bytes >= BATCH_BYTES {
                let full = std::mem::replace(&mut batch, Batch::new(now_ms));
                pending.push(store.write(full));
                bytes = 0;
            }
        }
        if !batch.ops().is_empty() {
            pending.push(store.write(batch));
        }
        for writing in pending {
            writing.await?;
        }
        Ok(allowed)
    }

    fn admit(&self, now_ms: u64, write: &SessionWrite) -> bool {
        let mut epochs = self.epochs.lock();
        match epochs.get_mut(&*write.pid) {
            Some(known) if known.epoch > write.epoch => false,
            Some(known) => {
                known.until_ms = known.until_ms.max(now_ms.saturating_add(write.ttl_ms));
                true
            }
            None => true,
        }
    }

    /// Makes the caller a session's owner: what is written with an older epoch from now on is refused.
    pub(super) async fn take_over(
        &self,
        store: &Store,
        now_ms: u64,
        pid: &str,
        ttl_ms: u64,
    ) -> Result<Option<TakenOver>, TieError> {
        let Some(found) = store.get(now_ms, SESSIONS, pid).await? else {
            return Ok(None);
        };
        let (stored, record) = split(&found.value)?;
        let record = decode_session(record, &Limits::default())?;
        let mut epochs = self.epochs.lock();
        let known = epochs.entry(pid.into()).or_insert(Epoch {
            epoch: stored,
            until_ms: 0,
        });
        known.epoch = known.epoch.max(stored) + 1;
        known.until_ms = known.until_ms.max(now_ms.saturating_add(ttl_ms));
        Ok(Some(TakenOver {
            record,
            epoch: known.epoch,
        }))
    }

    /// Forgets epochs that nobody can ask for any more.
    pub(super) fn tidy(&self, now_ms: u64) {
        self.epochs
            .lock()
            .retain(|_, known| known.until_ms > now_ms);
    }
}

/// `None` for what is to be dropped.
fn value(write: &SessionWrite) -> Option<Bytes> {
    let text = encode_session(write.record.as_ref()?);
    let mut value = Vec::with_capacity(9 + text.len());
    value.push(FORMAT);
    value.extend(write.epoch.to_be_bytes());
    value.extend(text.as_bytes());
    // One that is too large can't be come back to, and must not keep the others from being written.
    (value.len() <= MAX_VALUE_BYTES).then(|| value.into())
}

fn add(batch: Batch, now_ms: u64, write: &SessionWrite, value: Option<Bytes>) -> Batch {
    let until = Some(now_ms.saturating_add(write.ttl_ms));
    match value {
        Some(value) => batch.put(SESSIONS, &write.pid, value, Condition::Any, until),
        None => batch.delete(SESSIONS, &write.pid, Condition::Any),
    }
}

fn split(value: &[u8]) -> Result<(u64, &str), DecodeError> {
    let broken = DecodeError::Field("session");
    let Some((&FORMAT, rest)) = value.split_first() else {
        return Err(broken);
    };
    match rest.split_first_chunk() {
        Some((epoch, text)) => {
            let text = std::str::from_utf8(text).map_err(|_| broken)?;
            Ok((u64::from_be_bytes(*epoch), text))
        }
        None => Err(broken),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use lakh_broker::cluster::streams::SessionRecord;

    use super::*;

    fn write(epoch: u64, room: Option<&str>) -> SessionWrite {
        SessionWrite {
            pid: "p".to_owned(),
            epoch,
            ttl_ms: 1_000,
            record: room.map(|room| SessionRecord {
                sid: "s".to_owned(),
                pid: "p".to_owned(),
                rooms: vec![room.into()],
                after: Vec::new(),
                data: Bytes::from_static(b"\xc0"),
                start: None,
                node: None,
            }),
        }
    }

    async fn taken(sessions: &Sessions, store: &Store, now_ms: u64) -> Option<(u64, String)> {
        let taken = sessions.take_over(store, now_ms, "p", 1_000).await.unwrap();
        taken.map(|taken| (taken.epoch, taken.record.rooms[0].to_string()))
    }

    #[tokio::test]
    async fn who_wrote_a_session_before_it_was_taken_over_does_not_write_it_any_more() {
        let (store, life) = (Store::memory(), Sessions::default());
        let put = async |life: &Sessions, epoch, room| {
            life.write(&store, 0, &[write(epoch, room)]).await.unwrap()
        };
        assert_eq!(taken(&life, &store, 0).await, None);
        assert_eq!(put(&life, 0, Some("a")).await, [true]);
        assert_eq!(taken(&life, &store, 0).await, Some((1, "a".to_owned())));
        assert_eq!(put(&life, 0, Some("late")).await, [false]);
        assert_eq!(put(&life, 0, None).await, [false]);
        assert_eq!(put(&life, 1, Some("b")).await, [true]);
        // Epochs go on in the next life, in which nobody of this one is left.
        let next = Sessions::default();
        assert_eq!(taken(&next, &store, 0).await, Some((2, "b".to_owned())));
        assert_eq!(taken(&next, &store, 0).await, Some((3, "b".to_owned())));
        assert_eq!(put(&next, 2, Some("late")).await, [false]);
        // An epoch is remembered for as long as there may be a record.
        next.tidy(999);
        assert_eq!(put(&next, 2, Some("late")).await, [false]);
        next.tidy(1_000);
        assert!(next.epochs.lock().is_empty());
        assert_eq!(taken(&next, &store, 999).await, Some((2, "b".to_owned())));
        assert_eq!(taken(&next, &store, 1_000).await, None);
        assert_eq!(put(&next, 2, None).await, [true]);
        assert_eq!(taken(&next, &store, 0).await, None);
    }

    #[tokio::test]
    async fn a_record_that_is_too_large_keeps_no_other_from_being_written() {
        let (store, life) = (Store::memory(), Sessions::default());
        let mut large = write(0, Some("a"));
        if let Some(record) = &mut large.record {
            record.data = Bytes::from(vec![0xc0; MAX_VALUE_BYTES]);
        }
        let mut other = write(0, Some("b"));
        other.pid = "q".to_owned();
        let written = life.write(&store, 0, &[large, other]).await.unwrap();
        assert_eq!(written, [true, true]);
        assert_eq!(taken(&life, &store, 0).await, None);
        assert!(life.take_over(&store, 0, "q", 1).await.unwrap().is_some());
    }
}
