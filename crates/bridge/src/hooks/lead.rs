//! Sending: the one node that has an endpoint's lease reads its log, makes the requests, and notes what came of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lakh_hub::Hub;
use lakh_hub::store::{Applied, Condition, Entry, Op, Range, Scan, Store, Trim};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::changes::Changes;
use super::dead::{self, DeadCount};
use super::event::{Stored, body};
use super::lease::{Lease, Lost};
use super::post::{Post, Trouble};
use super::queue::{Attempt, Now, Outcome, Queue};
use super::sign::batch_id;
use super::write::Line;
use crate::lease::Leases;

/// Entries read at once.
const PAGE: usize = 500;
/// How often the log is looked at without a word that there is more: other nodes append to it, too.
const LOOK_SHARED: Duration = Duration::from_millis(200);
/// The same where nobody else does.
const LOOK_ALONE: Duration = Duration::from_secs(1);
/// Operations and bytes of one batch to the store.
const BATCH: (usize, usize) = (2_000, 12 << 20);

/// One who sends for an endpoint, or waits for their turn.
pub(crate) struct Leader {
    pub hub: Hub,
    pub store: Store,
    pub line: Arc<Line>,
    pub post: Arc<Post>,
    pub leases: Leases,
    /// How long requests under way may take once the end was asked for; `None` until then.
    pub stop: watch::Receiver<Option<Duration>>,
}

/// What is kept of a held lane beside its log.
#[derive(Serialize, Deserialize)]
struct HeldNote {
    attempts: u32,
    next_ms: u64,
}

struct Landed {
    flight: u64,
    outcome: Outcome,
    events: Vec<Stored>,
}

/// The time in which this node has the lease.
struct Term<'a> {
    leader: &'a Leader,
    lease: Lease,
    queue: Queue,
    flights: JoinSet<Landed>,
    trimmed_before: u64,
    has_more: bool,
    dead: DeadCount,
}

impl Leader {
    /// Sends until the end is asked for.
    pub(crate) async fn run(self) {
        let mut stop = self.stop.clone();
        let name = &self.line.endpoint.name;
        while stop.borrow().is_none() {
            let lease = tokio::select! {
                lease = Lease::take(&self.leases, name) => lease,
                _ = stop.changed() => continue,
            };
            let counts = &self.line.counts;
            counts.leads.store(true, Ordering::Relaxed);
            tracing::debug!(hook = name, "this node sends");
            let term = Term {
                leader: &self,
                lease,
                queue: Queue::new(self.line.endpoint.clone()),
                flights: JoinSet::new(),
                trimmed_before: 0,
                has_more: true,
                dead: DeadCount::default(),
            };
            let ended = term.run().await;
            counts.leads.store(false, Ordering::Relaxed);
            match ended {
                Ok(lease) => return lease.release().await,
                Err(Lost) => tracing::info!(hook = name, "another node sends"),
            }
        }
    }

    /// The collection of held lanes' notes, and what the names of their logs begin with.
    fn held(&self) -> String {
        format!("hooks_held:{}", self.line.endpoint.name)
    }

    fn held_log(&self, lane: u64) -> String {
        format!("{}:{lane:016x}", self.held())
    }
}

impl Term<'_> {
    async fn run(mut self) -> Result<Lease, Lost> {
        self.find_held().await?;
        let mut stop = self.leader.stop.clone();
        let lost = self.lease.lost();
        tokio::pin!(lost);
        let look = match self.leader.leases.is_shared() {
            true => LOOK_SHARED,
            false => LOOK_ALONE,
        };
        loop {
            let within = *stop.borrow();
            if let Some(within) = within {
                return self.end(within).await;
            }
            if self.has_more {
                self.read().await;
            }
            self.launch();
            self.note_counts();
            self.save().await?;
            let pause = self.pause(look);
            let line = &self.leader.line;
            tokio::select! {
                landed = self.flights.join_next(), if !self.flights.is_empty() => {
                    // A request that panicked can't be told from others: all is taken up anew.
                    self.land(landed.ok_or(Lost)?.map_err(|_| Lost)?);
                    while let Some(landed) = self.flights.try_join_next() {
                        self.land(landed.map_err(|_| Lost)?);
                    }
                }
                () = line.arrived.notified() => self.has_more = true,
                () = sleep(pause) => self.has_more = true,
                () = &mut lost => return Err(Lost),
                _ = stop.changed() => {}
            }
        }
    }

    /// How long there is nothing to do by itself.
    fn pause(&self, look: Duration) -> Duration {
        let now = self.leader.hub.clock_ms();
        match self.queue.due_ms() {
            Some(due) if due > now => look.min(Duration::from_millis(due - now)),
            // It's due and can't be sent: the end of a request will tell, or a little later.
            Some(_) if self.flights.is_empty() => Duration::from_millis(20),
            _ => look,
        }
    }

    /// Lanes that were held when the lease was taken.
    async fn find_held(&mut self) -> Result<(), Lost> {
        let (leader, now) = (self.leader, self.leader.hub.wall_ms());
        let prefix = format!("{}:", leader.held());
        let mut scan = Scan::prefix(&prefix).limit(PAGE);
        loop {
            let page = leader.store.logs(scan.clone()).await.map_err(|error| {
                tracing::warn!(%error, "the lanes that are held can't be read");
                Lost
            })?;
            for (log, info) in page.items {
                let lane = log.strip_prefix(&prefix).unwrap_or_default();
                let Ok(lane_number) = u64::from_str_radix(lane, 16) else {
                    continue;
                };
                let note = leader.store.get(now, &leader.held(), lane).await;
                let note = note.map_err(|_| Lost)?;
                let note = note.and_then(|note| serde_json::from_slice(&note.value).ok());
                let note: HeldNote = note.unwrap_or(HeldNote {
                    attempts: 0,
                    next_ms: 0,
                });
                let left_ms = note.next_ms.saturating_sub(now);
                let not_before_ms = leader.hub.clock_ms() + left_ms;
                self.queue
                    .hold(lane_number, note.attempts, not_before_ms, &info);
            }
            if page.next.is_none() {
                return Ok(());
            }
            scan = scan.after(page.next);
        }
    }

    /// Reads on in the log, as far as there is room.
    async fn read(&mut self) {
        let (leader, line) = (self.leader, &self.leader.line);
        self.has_more = false;
        while let Some(from) = self.queue.wants() {
            let page = leader
                .store
                .range(&line.log(), Range::from(from, PAGE))
                .await;
            let page = match page {
                Ok(page) => page,
                Err(error) => return tracing::warn!(%error, "what waits can't be read"),
            };
            if page.info.last_seq + 1 < from {
                tracing::warn!(
                    hook = line.endpoint.name,
                    "the store has lost the end of a log"
                );
                self.queue.rewind_to(page.info.first_seq);
                continue;
            }
            self.queue.skip_to(page.info.first_seq);
            let now = leader.hub.clock_ms();
            for entry in &page.entries {
                match Stored::read(entry, line.endpoint.order) {
                    Some(event) => self.queue.take_in(event, now),
                    None => self.queue.skip_to(entry.seq + 1),
                }
            }
            if !page.more {
                return;
            }
        }
        // There may be more once there is room again.
        self.has_more = true;
    }

    /// Makes the requests that are to be made now, unless another node may have taken over.
    fn launch(&mut self) {
        while self.lease.is_certain()
            && let Some(attempt) = self.queue.next(self.now())
        {
            let (hub, post) = (self.leader.hub.clone(), Arc::clone(&self.leader.post));
            let name = self.leader.line.endpoint.name.clone();
            match attempt {
                Attempt::Fresh { flight, events } => self.flights.spawn(async move {
                    let outcome = send(&hub, &post, &name, &events).await;
                    Landed {
                        flight,
                        outcome,
                        events: Vec::new(),
                    }
                }),
                Attempt::Held {
                    flight,
                    lane,
                    from,
                    most,
                } => {
                    let (store, log) = (self.leader.store.clone(), self.leader.held_log(lane));
                    let order = self.leader.line.endpoint.order;
                    self.flights.spawn(async move {
                        let page = store.range(&log, Range::from(from, most)).await;
                        let (outcome, events) = match page {
                            Ok(page) => {
                                let events = page.entries.iter();
                                let events: Vec<_> = events
                                    .filter_map(|entry| Stored::read(entry, order))
                                    .collect();
                                (send(&hub, &post, &name, &events).await, events)
                            }
                            Err(error) => (Outcome::Away(error.to_string(), None), Vec::new()),
                        };
                        Landed {
                            flight,
                            outcome,
                            events,
                        }
                    })
                }
            };
        }
    }

    fn now(&self) -> Now {
        Now {
            steady_ms: self.leader.hub.clock_ms(),
            wall_ms: self.leader.hub.wall_ms(),
        }
    }

    fn land(&mut self, landed: Landed) {
        let Landed {
            flight,
            outcome,
            events,
        } = landed;
        let (hub, line) = (&self.leader.hub, &self.leader.line);
        let count = self.queue.size_of(flight).unwrap_or(events.len());
        match &outcome {
            Outcome::Taken => line.counts.sent.add(count as u64),
            Outcome::Failed(reason) | Outcome::Away(reason, _) => {
                line.counts.failed.add(1);
                tracing::warn!(
                    hook = line.endpoint.name,
                    events = count,
                    reason,
                    "a hook failed"
                );
            }
        }
        let (now, random) = (self.now(), hub.random());
        self.queue.finish(flight, &outcome, events, now, random);
    }

    fn note_counts(&mut self) {
        let counts = &self.leader.line.counts;
        counts.retried.add(std::mem::take(&mut self.queue.retried));
        counts.late.add(std::mem::take(&mut self.queue.late));
        counts
            .is_down
            .store(self.queue.is_down(), Ordering::Relaxed);
    }

    /// Writes what has changed.
    async fn save(&mut self) -> Result<(), Lost> {
        let done = self.queue.done_before() > self.trimmed_before;
        if self.queue.changes.is_empty() && !done {
            return Ok(());
        }
        loop {
            let part = self.queue.changes.take_part(BATCH.0, BATCH.1);
            let is_last = self.queue.changes.is_empty();
            let (mut ops, moves) = self.ops(&part);
            let done_before = self.queue.done_before();
            if is_last && done_before > self.trimmed_before {
                let trim = Trim {
                    before_seq: Some(done_before),
                    ..Trim::default()
                };
                let log = self.leader.line.log();
                ops.push(Op::Trim { log, trim });
            }
            let applied = self.lease.write(&ops).await?;
            let appended = applied.iter().filter_map(|applied| match applied {
                Applied::Appended(appended) => Some(appended),
                _ => None,
            });
            for ((lane, count), appended) in moves.into_iter().zip(appended) {
                let numbers = appended.entries.iter().map(|placed| placed.seq);
                let (first, last) = (numbers.clone().min(), numbers.max());
                let (first, last) = (first.unwrap_or(1), last.unwrap_or(0));
                self.queue.moved(lane, count, first, last);
            }
            self.queue.left(&part);
            self.bury(part.dead.len()).await?;
            if is_last {
                self.trimmed_before = done_before;
                return Ok(());
            }
        }
    }

    /// Counts new dead letters, and drops the oldest past the bound.
    async fn bury(&mut self, new: usize) -> Result<(), Lost> {
        if new == 0 {
            return Ok(());
        }
        let (leader, line) = (self.leader, &self.leader.line);
        line.counts.dead.add(new as u64);
        let most = line.endpoint.max_dead;
        let surplus = self
            .dead
            .surplus(&leader.hub, &leader.store, line, new, most);
        let ops = surplus.await;
        if !ops.is_empty() {
            line.counts.dropped.add(ops.len() as u64);
            self.lease.write(&ops).await?;
        }
        Ok(())
    }

    /// A part of the changes as operations, and the lanes of their appends with how many events each has.
    fn ops(&self, part: &Changes) -> (Vec<Op>, Vec<(u64, usize)>) {
        let (leader, now) = (self.leader, self.leader.hub.wall_ms());
        let mut ops = dead::puts(&leader.line.endpoint.name, &part.dead, now);
        for lane in &part.ended {
            ops.push(Op::RemoveLog {
                log: leader.held_log(*lane),
            });
            ops.push(Op::Delete {
                collection: leader.held(),
                key: format!("{lane:016x}"),
                condition: Condition::Any,
            });
        }
        for (lane, before) in &part.trims {
            let trim = Trim {
                before_seq: Some(*before),
                ..Trim::default()
            };
            let log = leader.held_log(*lane);
            ops.push(Op::Trim { log, trim });
        }
        let mut lanes: Vec<(u64, Vec<Entry>)> = Vec::new();
        for event in &part.moves {
            let entry = Entry::new(event.stored_ms, event.json.clone()).dedupe(&event.id);
            match lanes.iter_mut().find(|(lane, _)| *lane == event.lane) {
                Some((_, entries)) => entries.push(entry),
                None => lanes.push((event.lane, vec![entry])),
            }
        }
        let moves = lanes.iter().map(|(lane, own)| (*lane, own.len())).collect();
        for (lane, entries) in lanes {
            let log = leader.held_log(lane);
            ops.push(Op::Append { log, entries });
        }
        for lane in &part.held {
            let Some(held) = self.queue.held.get(lane) else {
                continue;
            };
            let left_ms = held.not_before_ms.saturating_sub(leader.hub.clock_ms());
            let note = HeldNote {
                attempts: held.attempts,
                next_ms: now + left_ms,
            };
            ops.push(Op::Put {
                collection: leader.held(),
                key: format!("{lane:016x}"),
                // Two numbers can always be written.
                value: serde_json::to_vec(&note).unwrap_or_default().into(),
                condition: Condition::Any,
                expires_at_ms: None,
            });
        }
        (ops, moves)
    }

    /// Waits for the requests under way, for so long, and notes what came of them. What waits stays in the store.
    async fn end(mut self, within: Duration) -> Result<Lease, Lost> {
        let landing = async {
            while let Some(landed) = self.flights.join_next().await {
                if let Ok(landed) = landed {
                    self.land(landed);
                }
            }
        };
        // What has not come by then is sent again by whoever comes next.
        let _ = timeout(within, landing).await;
        self.note_counts();
        self.save().await?;
        Ok(self.lease)
    }
}

async fn send(hub: &Hub, post: &Post, name: &str, events: &[Stored]) -> Outcome {
    if events.is_empty() {
        return Outcome::Taken;
    }
    let id = batch_id(name, events.iter().map(|event| &*event.id));
    let body = body(&id, events.iter().map(|event| &*event.json));
    match post.send(&id, hub.wall_ms(), body).await {
        Ok(_) => Outcome::Taken,
        Err(trouble @ Trouble::Unreachable(_)) => Outcome::Away(trouble.to_string(), None),
        Err(trouble @ Trouble::Status(429, after)) => Outcome::Away(trouble.to_string(), after),
        Err(trouble @ Trouble::Status(503, Some(after))) => {
            Outcome::Away(trouble.to_string(), Some(after))
        }
        Err(trouble) => Outcome::Failed(trouble.to_string()),
    }
}
