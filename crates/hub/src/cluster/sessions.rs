//! Session records in Redis or in the store: what lets a client come back to another node than the one that it was on, or
//! to the next life of that one, whatever became of it.
//!
//! A record is written when a session begins and when its rooms or its data change, in batches, off the event loops. An
//! epoch fences it: whoever takes a session over raises it, and what an earlier owner still writes is refused, by which
//! that one hears that its connection is half open.

use std::collections::VecDeque;
use std::iter::repeat;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lakh_broker::cluster::Message;
use lakh_broker::cluster::streams::{SessionRecord, StreamId};
use lakh_broker::redis::SessionWrite;
use lakh_broker::{Position, Room};
use lakh_wire::socketio::transcode;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use serde_json::Value;
use tokio::sync::Notify;

use super::inbound::PAGE;
use super::tie::Tie;
use super::{Cluster, data};
use crate::args;
use crate::hub::Hub;
use crate::ids::Id;
use crate::namespace::Namespace;
use crate::outgoing::Outgoing;
use crate::payload::Payload;
use crate::recovery::Membership;
use crate::shard::SocketKey;

/// The event between servers by which a session is taken over.
pub(super) const EVICT: &str = "lakh:evict";
/// Records written at once.
const BATCH: usize = 512;
/// Wait for Redis to come back, before a client is told that its session is lost.
const PATIENCE: Duration = Duration::from_secs(6);
/// Wait between attempts while Redis is away.
const AGAIN: Duration = Duration::from_millis(100);
/// Pages of the log that are read for one client at most.
const MAX_PAGES: usize = 64;

/// What is to be written.
pub(crate) struct Recording {
    pub pid: Id,
    pub epoch: u64,
    pub ttl_ms: u64,
    /// `None`: the session is over.
    pub session: Option<Session>,
    /// Who wants to know: the socket and which of its changes this is.
    pub of: Option<(usize, SocketKey, u32)>,
}

/// A session as it's kept.
pub(crate) struct Session {
    pub id: Id,
    pub rooms: Vec<Membership>,
    pub data: Option<Value>,
    pub start: Position,
}

/// What became of a record that a socket wanted written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recorded {
    pub key: SocketKey,
    pub change: u32,
    /// `false`: another node has taken the session over.
    pub written: bool,
}

/// Records on their way to Redis. A session has one place here, so there are no more than sessions.
#[derive(Default)]
pub(crate) struct Recorder {
    queue: Mutex<RecorderQueue>,
    in_hand: AtomicUsize,
    wake: Notify,
}

#[derive(Default)]
struct RecorderQueue {
    order: VecDeque<Id>,
    recordings: FxHashMap<Id, Recording>,
}

impl RecorderQueue {
    fn take(&mut self) -> Vec<Recording> {
        let count = self.order.len().min(BATCH);
        let ids = self.order.drain(..count);
        ids.filter_map(|pid| self.recordings.remove(&pid)).collect()
    }

    /// The newer one counts.
    fn put_back(&mut self, recording: Recording) {
        if !self.recordings.contains_key(&recording.pid) {
            self.order.push_front(recording.pid);
            self.recordings.insert(recording.pid, recording);
        }
    }
}

impl Recorder {
    /// Has a record written. An older one of the same session that waits is replaced.
    pub(crate) fn record(&self, recording: Recording) {
        let mut queue = self.queue.lock();
        let pid = recording.pid;
        if queue.recordings.insert(pid, recording).is_none() {
            queue.order.push_back(pid);
        }
        drop(queue);
        self.wake.notify_one();
    }

    /// Records that wait to be written.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.lock().order.len() + self.in_hand.load(Ordering::Relaxed)
    }

    /// Writes records as they come.
    pub(super) async fn run(&self, hub: &Hub, tie: &Tie) {
        loop {
            let batch = self.queue.lock().take();
            if batch.is_empty() {
                self.wake.notified().await;
                continue;
            }
            self.in_hand.store(batch.len(), Ordering::Relaxed);
            let node = &hub.settings().node;
            let writes: Vec<SessionWrite> = batch.iter().map(|one| one.write(node)).collect();
            match tie.write_sessions(hub, &writes).await {
                Ok(written) => tell(hub, &batch, &written),
                Err(error) => {
                    tracing::debug!(%error, "session records wait");
                    self.put_back(batch);
                    tokio::time::sleep(AGAIN).await;
                }
            }
            self.in_hand.store(0, Ordering::Relaxed);
        }
    }

    fn put_back(&self, batch: Vec<Recording>) {
        let mut queue = self.queue.lock();
        batch.into_iter().rev().for_each(|one| queue.put_back(one));
    }

    /// Waits until all records are written, for a bounded time.
    pub(super) async fn finish(&self) {
        let all = async {
            while self.waiting() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, all).await.is_err() {
            let lost = self.waiting();
            tracing::warn!(lost, "session records could not be written before the end");
        }
    }
}

impl Recording {
    fn write(&self, node: &str) -> SessionWrite {
        let pid = self.pid.as_str().to_owned();
        let record = self.session.as_ref().map(|session| {
            let sid = session.id.as_str().to_owned();
            let own = Room::from(&*sid);
            let data = session.data.as_ref();
            let data = data.map_or_else(|| "{}".to_owned(), Value::to_string);
            let rooms = session.rooms.iter();
            // As Node has it, with its own room.
            let named = [own].into_iter();
            let named = named.chain(rooms.clone().map(|joined| Room::clone(&joined.room)));
            let after = [0].into_iter().chain(rooms.map(|joined| joined.after));
            // Its client can't ask for what was before its beginning.
            let after = after.map(|seq| (seq > session.start.seq).then(|| StreamId::unpack(seq)));
            let after: Vec<_> = after.collect();
            SessionRecord {
                rooms: named.collect(),
                after: match after.iter().any(Option::is_some) {
                    true => after,
                    false => Vec::new(),
                },
                sid,
                pid: pid.clone(),
                data: transcode::json_to_msgpack(&data, &[]).into(),
                start: session.start.stream_id(),
                node: Some(node.to_owned()),
            }
        });
        SessionWrite {
            pid,
            epoch: self.epoch,
            ttl_ms: self.ttl_ms,
            record,
        }
    }
}

/// Tells the loops what became of their sockets' records.
fn tell(hub: &Hub, batch: &[Recording], written: &[bool]) {
    let mut by_shard: FxHashMap<usize, Vec<Recorded>> = FxHashMap::default();
    for (one, written) in batch.iter().zip(written) {
        if let Some((shard, key, change)) = one.of {
            by_shard.entry(shard).or_default().push(Recorded {
                key,
                change,
                written: *written,
            });
        }
    }
    for (shard, recorded) in by_shard {
        hub.run_surely_on(shard, move |shard| shard.recorded(&recorded));
    }
}

/// A session that is this node's from now on.
pub(crate) struct TakenOver {
    pub session: Session,
    pub epoch: u64,
}

impl Cluster {
    /// Takes a session over, wherever it was, for a client that has seen what stands up to `seen`. `None`: there is no
    /// such session, or Redis can't be asked.
    pub(crate) async fn take_over(
        &self,
        hub: &Hub,
        pid: &Id,
        seen: Option<Position>,
        ttl_ms: u64,
    ) -> Option<TakenOver> {
        let asked = async {
            loop {
                match self.tie.take_over(hub, pid.as_str(), ttl_ms).await {
                    Ok(taken) => return taken,
                    Err(error) if error.is_lasting() => {
                        tracing::warn!(%error, "a session record can't be read");
                        return None;
                    }
                    Err(_) => tokio::time::sleep(AGAIN).await,
                }
            }
        };
        let taken = tokio::time::timeout(PATIENCE, asked).await.ok()??;
        let record = taken.record;
        let limits = &hub.settings().limits;
        let data = transcode::msgpack_to_json(&record.data, limits).ok();
        let data = data.and_then(|(text, _)| serde_json::from_str(&text).ok());
        let sid = record.sid;
        let after = record.after.into_iter().map(|at| at?.packed());
        let rooms = record.rooms.into_iter().zip(after.chain(repeat(None)));
        Some(TakenOver {
            epoch: taken.epoch,
            session: Session {
                id: Id::parse(&sid)?,
                rooms: rooms
                    .filter(|(room, _)| **room != *sid)
                    .map(|(room, after)| Membership {
                        room,
                        after: after.unwrap_or_default(),
                    })
                    .collect(),
                // What nobody has set is an empty object in Node's records.
                data: data.filter(|data| *data != Value::Object(serde_json::Map::default())),
                // Node does not say where a session began, and takes nobody back who has seen nothing.
                start: record.start.and_then(Position::in_stream).or(seen)?,
            },
        })
    }

    /// Tells the others that a session of that epoch is here: a connection of an earlier one is half open.
    pub(crate) fn evict_elsewhere(&self, namespace: &str, taken: &TakenOver) {
        if self.tie.is_alone() {
            return;
        }
        let event = (taken.session.id.as_str(), taken.epoch);
        // Text and a number: this can't fail.
        if let Ok(payload) = args::encode(Some(EVICT), &event) {
            let message: Message = self.server_side(&payload, None);
            self.tell(namespace, &message);
        }
    }

    /// Whether a client can have been sent what stands at this place.
    pub(crate) fn holds(&self, place: StreamId) -> bool {
        self.tie.holds(place)
    }

    /// Broadcasts after `from` that are older than what is in memory, out of the log. `None`: some were trimmed.
    pub(crate) async fn read_older(
        &self,
        namespace: &Namespace,
        from: StreamId,
        until: u64,
    ) -> Option<Vec<(u64, Outgoing)>> {
        let mut found = Vec::new();
        let mut after = from;
        for _ in 0..MAX_PAGES {
            let read = self.tie.read_log(namespace.name(), after, PAGE).await;
            let read = read.ok()?;
            if !read.whole {
                return None;
            }
            for logged in read.entries {
                let Some(seq) = logged.offset.packed().filter(|seq| *seq <= until) else {
                    return Some(found);
                };
                let Message::Broadcast { data, opts, .. } = logged.message else {
                    continue;
                };
                let mut payload = data::event(data, &namespace.hub.settings().limits)?;
                if let Some(number) = logged.number {
                    payload.put_number(number);
                }
                let (targets, flags) = (super::targets(&opts), super::flags(&opts));
                if !flags.volatile {
                    let inner = std::sync::Arc::clone(&namespace.inner);
                    let outgoing = Outgoing::new(inner, payload, targets, flags);
                    found.push((seq, outgoing.at(Position::in_stream(logged.offset)?)));
                }
            }
            if read.end || read.last.packed()? >= until {
                return Some(found);
            }
            after = read.last;
        }
        None
    }
}

/// Another node has taken a session over.
pub(super) fn evicted(namespace: &Namespace, payload: &Payload) {
    let Ok((id, epoch)) = args::decode::<(String, u64)>(&payload.text, 1, &[]) else {
        return;
    };
    let inner = std::sync::Arc::clone(&namespace.inner);
    namespace
        .hub
        .on_each_shard(move |shard| shard.evicted(&inner, &id, epoch));
}
